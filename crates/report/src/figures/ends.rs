//! What each site held at the end of each interval of its series.
//!
//! The recorder keeps the largest value of an interval alone, and in an interval with a resize
//! that is old and new table together. What stayed when it was over follows from the events,
//! read backwards from what is live at the end.

use super::sums::Sums;
use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::model::Site;
use foldhash::HashSet;
use mapgrow_format::layout::event;
use mapgrow_format::reader::BlockEvent;

/// What a block that came or went did to the live bytes of a group of sites.
#[derive(Debug, Clone, Copy)]
struct Change {
    at_ns: u64,
    came: u64,
    went: u64,
}

/// Fills in what is known of the ends of intervals; `sums` are those of each group, and
/// `complete_from_ns` is from when on no event of any site is missing.
pub(crate) fn fill_in(
    sites: &mut [Site],
    context: &Context<'_>,
    blocks: &Blocks,
    sums: &[Sums],
    complete_from_ns: Option<u64>,
) {
    let mut changes = changes(context, blocks);
    for site in sites {
        let Some(group) = context.groups.index(site.id) else {
            continue;
        };
        let (Some(series), Some(sums)) = (site.series.as_mut(), sums.get(group)) else {
            continue;
        };
        let own = &mut changes[group];
        own.sort_by_key(|change| std::cmp::Reverse(change.at_ns));
        let total = |of: fn(&Change) -> u64| {
            own.iter()
                .map(|change| u128::from(of(change)))
                .sum::<u128>()
        };
        let all = total(|change| change.came) == u128::from(sums.alloc_bytes)
            && total(|change| change.went) == u128::from(sums.free_bytes);
        let from = if all { Some(0) } else { complete_from_ns };
        let mut earlier = own.iter().peekable();
        let mut live = i128::from(site.live_bytes);
        let length = series.max_live_bytes.len();
        let mut ends = vec![None; length];
        for (index, end) in ends.iter_mut().enumerate().rev() {
            let until = series.interval_ns.saturating_mul(index as u64 + 1);
            while let Some(change) = earlier.next_if(|change| change.at_ns >= until) {
                live += i128::from(change.went) - i128::from(change.came);
            }
            if from.is_some_and(|from| until >= from) {
                *end = u64::try_from(live).ok();
            }
        }
        series.last_live_bytes = ends;
    }
}

/// The changes of each group, from blocks that are counted with certainty.
fn changes(context: &Context<'_>, blocks: &Blocks) -> Vec<Vec<Change>> {
    let events = || blocks.births.iter().chain(&blocks.resizes);
    let sampled = |event: &&BlockEvent| event.flags & event::FLAG_SAMPLED != 0;
    // A map whose samples were followed until one was large enough to be counted.
    let samples: HashSet<u64> = events()
        .filter(sampled)
        .map(|event| event.new_serial)
        .collect();
    let mut changes = vec![Vec::new(); context.groups.all.len()];
    for event in events().filter(|event| !sampled(event)) {
        let Some(at_ns) = context.clock.moment(event.ticks) else {
            continue;
        };
        let mut change = |site: Option<u32>, came, went| {
            if let Some(group) = site.and_then(|site| context.groups.index(site)) {
                changes[group].push(Change { at_ns, came, went });
            }
        };
        let edge = || context.recording.edge(event.what);
        let old_is_counted = event.old_serial != 0 && !samples.contains(&event.old_serial);
        let went = if old_is_counted { event.old_bytes } else { 0 };
        match event.kind {
            event::KIND_CREATE => change(Some(event.what), event.new_bytes, 0),
            event::KIND_DROP => change(Some(event.what), 0, went),
            event::KIND_ABANDON => {
                change(edge().map(|edge| edge.new_site()), 0, event.new_bytes);
            }
            event::KIND_REPLACE => change(edge().and_then(|edge| edge.old_site()), 0, went),
            event::KIND_REALLOC => {
                change(edge().map(|edge| edge.new_site()), event.new_bytes, 0);
                change(edge().and_then(|edge| edge.old_site()), 0, went);
            }
            _ => {}
        }
    }
    changes
}
