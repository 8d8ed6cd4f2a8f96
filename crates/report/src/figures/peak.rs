//! The peak of the process, taken apart: events go in; what of it was old tables beside new ones comes
//! out.
//!
//! What was live at any moment follows from what is live at the end and from the events, read
//! backwards, as far back as the rings reach. A `realloc` takes the old block's place at once
//! in the recorder's books: what the allocator held twice while it copied is added here.

use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::facts::most::Most;
use crate::facts::resize_or_rebuild::Relation;
use crate::facts::rings::{complete_from, copies, counted};
use crate::model::{Peak, PeakSite};
use foldhash::HashMap;
use mapgrow_format::layout::{event, header, site};
use mapgrow_format::reader::{BlockEvent, Recording};
use std::collections::{BTreeMap, BTreeSet};

/// A resize during which old and new table were live side by side.
struct Overlap {
    site: u32,
    new_serial: u64,
    start: u64,
    end: u64,
    /// Both tables.
    bytes: u64,
    /// What goes away if they are never live together: the smaller.
    extra: u64,
}

/// The parts of the peak; `None` when nothing was recorded.
pub(crate) fn peak(context: &Context<'_>, blocks: &Blocks, most: &Most) -> Option<Peak> {
    let recording = context.recording;
    let (bytes, at) = (most.bytes, most.ticks);
    if bytes == 0 {
        return None;
    }
    let side_by_side = |event: &&BlockEvent| {
        event.kind == event::KIND_REPLACE || most.copying && event.ticks == at && copies(event)
    };
    let overlaps: Vec<Overlap> = blocks
        .resizes
        .iter()
        .filter(side_by_side)
        .filter_map(|event| overlap(context, event))
        .collect();
    let (resizes_from, all_from) = complete_from(recording, blocks);
    // When the next one begins at the tick at which one ended, that one is over.
    let under_way =
        |overlap: &&Overlap| (overlap.start..overlap.end.max(overlap.start + 1)).contains(&at);
    let mut sites: BTreeMap<u32, PeakSite> = BTreeMap::new();
    for overlap in overlaps.iter().filter(under_way) {
        let site = sites.entry(overlap.site).or_insert(PeakSite {
            site: overlap.site,
            overlap_bytes: 0,
            extra_bytes: 0,
        });
        site.overlap_bytes = site.overlap_bytes.saturating_add(overlap.bytes);
        site.extra_bytes = site.extra_bytes.saturating_add(overlap.extra);
    }
    let mut sites: Vec<PeakSite> = sites.into_values().collect();
    sites.sort_by_key(|site| std::cmp::Reverse(site.extra_bytes));
    // What ended after the peak is in the ring if the ring reaches back to it.
    let known = resizes_from <= at;
    let sum = |of: fn(&PeakSite) -> u64| sites.iter().map(of).fold(0, u64::saturating_add);
    let replayed = replay(recording, blocks, &overlaps, all_from);
    let before = live_before(recording, all_from).min(bytes);
    // Blocks without events were there beside the others, or not.
    let with_untold = replayed.saturating_add(untold_most(recording));
    let replayed = replayed.max(recording.header(header::LIVE_BYTES));
    let upper = with_untold.max(replayed).max(before).min(bytes);
    Some(Peak {
        bytes,
        at_ns: context.clock.moment_if_set(at),
        overlap_bytes: known.then(|| sum(|site| site.overlap_bytes)),
        extra_bytes: known.then(|| sum(|site| site.extra_bytes)),
        sites: if known { sites } else { Vec::new() },
        without_overlap_bytes: upper,
        without_overlap_error_bytes: upper.saturating_sub(replayed.min(upper)),
    })
}

fn overlap(context: &Context<'_>, event: &BlockEvent) -> Option<Overlap> {
    let resize = counted(&event)
        && event.old_serial != 0
        && context.analysis.relation(event.what) == Relation::Resize;
    let edge = context.recording.edge(event.what).filter(|_| resize)?;
    Some(Overlap {
        site: context.groups.id(edge.new_site())?,
        new_serial: event.new_serial,
        start: event.ticks.saturating_sub(event.pause),
        // At its last tick a `realloc` has both blocks, another resize has freed the old one.
        end: event.ticks + u64::from(event.kind == event::KIND_REALLOC),
        bytes: event.old_bytes.saturating_add(event.new_bytes),
        extra: event.old_bytes.min(event.new_bytes),
    })
}

/// An upper bound of what the blocks without events ever held together.
fn untold_most(recording: &Recording) -> u64 {
    let untold = recording
        .sites()
        .filter(|site| site.word(site::UNTOLD_ALLOCS) != 0);
    let roots: BTreeSet<u32> = untold.map(|site| site.root()).collect();
    let most = |root: u32| {
        let root = recording.site(root);
        root.map_or(0, |root| root.word(site::PEAK_BYTES))
    };
    roots.into_iter().map(most).fold(0, u64::saturating_add)
}

/// The most that was live since `from` in blocks that have events, had no old table been live beside
/// its successor.
fn replay(recording: &Recording, blocks: &Blocks, overlaps: &[Overlap], from: u64) -> u64 {
    let extra: HashMap<u64, u64> = overlaps
        .iter()
        .map(|overlap| (overlap.new_serial, overlap.extra))
        .collect();
    let of = |serial: u64| i128::from(extra.get(&serial).copied().unwrap_or(0));
    let mut changes: Vec<(u64, i128)> = Vec::new();
    for event in blocks.births.iter().chain(&blocks.resizes).filter(counted) {
        let (old, new) = (i128::from(event.old_bytes), i128::from(event.new_bytes));
        let old = if event.old_serial == 0 { 0 } else { old };
        changes.push((
            event.ticks,
            match event.kind {
                event::KIND_CREATE => new - of(event.new_serial),
                event::KIND_DROP => -old,
                event::KIND_REPLACE => of(event.new_serial) - old,
                event::KIND_REALLOC => new - old,
                event::KIND_ABANDON => -new,
                _ => 0,
            },
        ));
    }
    changes.sort_unstable_by_key(|&(ticks, _)| std::cmp::Reverse(ticks));
    let untold = i128::from(blocks.alone_bytes());
    let mut live = i128::from(recording.header(header::LIVE_BYTES)) - untold;
    let mut most = live;
    for (_, change) in changes.into_iter().take_while(|&(ticks, _)| ticks >= from) {
        live -= change;
        most = most.max(live);
    }
    u64::try_from(most).unwrap_or(0)
}

/// An upper bound of what was live before `until`, by the series of all sites.
fn live_before(recording: &Recording, until: u64) -> u64 {
    let start = recording.header(header::START_TICKS);
    let roots = || recording.sites().filter(|site| site.root() == site.id);
    let Some(shift) = roots().map(|site| site.series_shift()).max() else {
        return 0;
    };
    let mut sums: Vec<u64> = Vec::new();
    for root in roots() {
        let finer = shift.saturating_sub(root.series_shift()).min(63);
        let mut last = 0;
        let mut coarse: Vec<u64> = Vec::new();
        for (bucket, live) in root.series().enumerate() {
            // At its beginning an interval still had what the one before ended with.
            let most = live.unwrap_or(last).max(last);
            last = live.unwrap_or(last);
            let slot = bucket >> finer;
            coarse.resize(coarse.len().max(slot + 1), 0);
            coarse[slot] = coarse[slot].max(most);
        }
        sums.resize(sums.len().max(coarse.len()), 0);
        for (sum, live) in sums.iter_mut().zip(coarse) {
            *sum = sum.saturating_add(live);
        }
    }
    let begins = |bucket: usize| {
        let ticks = (bucket as u64).checked_shl(shift).unwrap_or(u64::MAX);
        start.saturating_add(ticks)
    };
    let before = sums.iter().enumerate();
    before
        .take_while(|&(bucket, _)| begins(bucket) < until)
        .map(|(_, &live)| live)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::tests::{Names, program, report, table};
    use mapgrow_format::layout::{edge, header, site};

    #[test]
    fn the_old_table_is_told_from_the_peak() {
        let (mut names, mut program) = (Names::default(), program());
        let growth = names.at(&["hashbrown::raw::RawTable<T,A>::reserve_rehash"]);
        let user = names.at(&["demo::run@src/run.rs:7"]);
        let at = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
        let grow = program
            .recording
            .edge(edge::KIND_REPLACE, Some(at), at, 0, growth);
        let other = program.alloc(at, table(1 << 12, 40), 16);
        program.now += 1000;
        let mut map = program.alloc(at, table(1 << 14, 40), 16);
        program.now += 1000;
        map = program.replace(map, grow, table(1 << 15, 40), 100);
        program.now += 1000;
        program.free(other);
        program.keep(map, 0x7000_0000_1000);
        let (small, old, new) = (table(1 << 12, 40), table(1 << 14, 40), table(1 << 15, 40));
        let peak = report(&mut program, &mut names).peak.expect("a peak");
        assert_eq!(peak.bytes, small + old + new);
        assert_eq!(peak.overlap_bytes, Some(old + new));
        assert_eq!(
            (peak.extra_bytes, peak.sites[0].extra_bytes),
            (Some(old), old)
        );
        assert_eq!(peak.without_overlap_bytes, small + new);
        assert_eq!(peak.without_overlap_error_bytes, 0);

        // The rings have lost what was before: the parts are unknown, and the rest is bounded.
        program.recording.set(header::RESIZE_HEAD, 1000);
        program.recording.set(header::BIRTH_HEAD, 1000);
        program.recording.set(header::PEAK_TICKS, 1);
        let peak = report(&mut program, &mut names).peak.expect("a peak");
        assert_eq!((peak.overlap_bytes, peak.extra_bytes), (None, None));
        let (upper, error) = (peak.without_overlap_bytes, peak.without_overlap_error_bytes);
        assert!((upper - error..=upper).contains(&(small + new)), "{peak:?}");
    }
}
