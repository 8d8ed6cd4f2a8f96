//! Live bytes over time: the roots' series and the events go in, the series of each group comes out,
//! with what it held at the end of each interval.
//!
//! The recorder keeps the largest value of an interval alone, and in an interval with a resize
//! that is old and new table together. What stayed when it was over follows from the events,
//! read backwards from what is live at the end.

use super::roots::Roots;
use super::sums::Sums;
use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::model::{Coverage, Series};
use foldhash::HashSet;
use mapgrow_containers::classify::catalogue::Container;
use mapgrow_format::layout::event;
use mapgrow_format::reader::BlockEvent;

/// What a block that came or went did to the live bytes of a group of sites.
#[derive(Debug, Clone, Copy)]
struct Change {
    at_ns: u64,
    came: u64,
    went: u64,
}

/// The series of each group: the largest that it held in each interval, and what it held at the end.
/// `None` where only samples are known.
pub(crate) fn series(
    context: &Context<'_>,
    blocks: &Blocks,
    roots: &Roots,
    sums: &[Sums],
    complete_from_ns: Option<u64>,
) -> Vec<Option<Series>> {
    let (recording, clock) = (context.recording, context.clock);
    let groups = context.groups.all.iter().zip(sums);
    let all = groups.zip(changes(context, blocks));
    all.map(|((group, sums), changes)| {
        let tree = group.family.container == Container::Tree;
        if sums.coverage(recording, tree) == Coverage::Sampled {
            return None;
        }
        let series = roots.series(recording, &group.members, clock)?;
        Some(Series {
            last_live_bytes: ends(&series, changes, sums, complete_from_ns),
            ..series
        })
    })
    .collect()
}

/// What a group held at the end of each interval, as far as the events that changed it tell.
fn ends(
    series: &Series,
    mut changes: Vec<Change>,
    sums: &Sums,
    complete_from_ns: Option<u64>,
) -> Vec<Option<u64>> {
    changes.sort_by_key(|change| std::cmp::Reverse(change.at_ns));
    let total = |of: fn(&Change) -> u64| {
        let all = changes.iter().map(|change| u128::from(of(change)));
        all.sum::<u128>()
    };
    let all = total(|change| change.came) == u128::from(sums.alloc_bytes)
        && total(|change| change.went) == u128::from(sums.free_bytes);
    let from = match (all, sums.untold) {
        (true, _) => Some(0),
        (false, 0) => complete_from_ns,
        (false, _) => None,
    };
    let mut earlier = changes.iter().peekable();
    let mut live = i128::from(sums.live_bytes());
    let mut ends = vec![None; series.max_live_bytes.len()];
    for (index, end) in ends.iter_mut().enumerate().rev() {
        let until = series.interval_ns.saturating_mul(index as u64 + 1);
        while let Some(change) = earlier.next_if(|change| change.at_ns >= until) {
            live += i128::from(change.went) - i128::from(change.came);
        }
        if from.is_some_and(|from| until >= from) {
            *end = u64::try_from(live).ok();
        }
    }
    ends
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
