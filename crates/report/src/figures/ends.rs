//! Live bytes over time: the roots' series and the events go in, the series of each group comes out,
//! with what it held at the end of each interval.
//!
//! The recorder keeps the largest value of an interval alone, and in an interval with a resize
//! that is old and new table together. What stayed when it was over follows from the events,
//! read backwards from what is live at the end.

use super::roots::Roots;
use super::sums::Sums;
use super::told::{Change, Told};
use super::untold;
use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::model::{Coverage, Series, Untold};
use foldhash::HashSet;
use mapgrow_containers::classify::catalogue::Container;
use mapgrow_format::layout::event;
use mapgrow_format::reader::BlockEvent;

/// What a group held over time.
#[derive(Debug, Default)]
pub(crate) struct OverTime {
    /// `None` where only samples are known.
    pub series: Option<Series>,
    pub untold: Option<Untold>,
}

/// The series of each group: the largest that it held in each interval, and what it held at the end.
pub(crate) fn over_time(
    context: &Context<'_>,
    blocks: &Blocks,
    roots: &Roots,
    sums: &[Sums],
    complete_from_ns: Option<u64>,
) -> Vec<OverTime> {
    let (recording, clock) = (context.recording, context.clock);
    let groups = context.groups.all.iter().zip(sums);
    let all =
        groups
            .zip(changes(context, blocks))
            .zip(untold::of_groups(context.groups, blocks, sums));
    all.map(|(((group, sums), changes), untold)| {
        let tree = group.family.container == Container::Tree;
        if sums.coverage(recording, tree) == Coverage::Sampled {
            return OverTime::default();
        }
        let Some(series) = roots.series(recording, &group.members, clock) else {
            return OverTime {
                series: None,
                untold,
            };
        };
        let told = Told::of(&series, changes, sums, untold.as_ref(), complete_from_ns);
        let (last_live_bytes, untold) = match untold {
            Some(untold) => untold::over_time(untold, &series, &told),
            None => (told.ends(), None),
        };
        OverTime {
            series: Some(Series {
                last_live_bytes,
                ..series
            }),
            untold,
        }
    })
    .collect()
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
