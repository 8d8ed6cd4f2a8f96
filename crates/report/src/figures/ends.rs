//! Live bytes over time: the roots' series and the events go in, the series of each group comes out,
//! with what it held at the end of each interval.
//!
//! The recorder keeps the largest value of an interval alone, and in an interval with a resize
//! that is old and new table together. What stayed when it was over follows from the events,
//! read backwards from what is live at the end.

use super::roots::Roots;
use super::sums::Sums;
use super::untold;
use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::model::{Coverage, Series, Untold};
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

/// What the blocks of a group that have events held in each interval, going backwards from what is live.
pub(super) struct Told {
    /// At its end.
    pub last: Vec<i128>,
    /// The most within it.
    pub most: Vec<i128>,
    /// The first interval of which nothing is missing, if there is one.
    pub from: Option<usize>,
}

impl Told {
    fn of(
        series: &Series,
        changes: Vec<Change>,
        sums: &Sums,
        untold: Option<&Untold>,
        complete_from_ns: Option<u64>,
    ) -> Self {
        let total = |of: fn(&Change) -> u64| {
            let all = changes.iter().map(|change| u128::from(of(change)));
            all.sum::<u128>()
        };
        let all = total(|change| change.came) == u128::from(sums.alloc_bytes)
            && total(|change| change.went) == u128::from(sums.free_bytes);
        let intervals = series.max_live_bytes.len();
        let until = |index: usize| series.interval_ns.saturating_mul(index as u64 + 1);
        let from = if all { Some(0) } else { complete_from_ns };
        let from = from.and_then(|from| (0..intervals).find(|&index| until(index) >= from));
        let untold = untold.map_or(0, |untold| untold.live_bytes);
        let mut live = i128::from(sums.live_bytes()) - i128::from(untold);
        let (mut last, mut most) = (vec![live; intervals], vec![live; intervals]);
        let mut earlier = at_one_time(changes).into_iter().rev().peekable();
        for index in (0..intervals).rev() {
            while let Some((_, change)) = earlier.next_if(|&(at, _)| at >= until(index)) {
                live -= change;
            }
            (last[index], most[index]) = (live, live);
            let begin = until(index).saturating_sub(series.interval_ns);
            while let Some((_, change)) = earlier.next_if(|&(at, _)| at >= begin) {
                live -= change;
                most[index] = most[index].max(live);
            }
        }
        Self { last, most, from }
    }

    /// What is known of the ends of intervals.
    fn ends(&self) -> Vec<Option<u64>> {
        let known = |index: usize| self.from.is_some_and(|from| index >= from);
        let last = self.last.iter().enumerate();
        last.map(|(index, &last)| u64::try_from(last).ok().filter(|_| known(index)))
            .collect()
    }
}

/// Changes in the order of time, those of one moment as one: a `realloc` takes away what it had
/// when it adds what it gives.
fn at_one_time(changes: Vec<Change>) -> Vec<(u64, i128)> {
    let mut changes = changes;
    changes.sort_by_key(|change| change.at_ns);
    let mut all: Vec<(u64, i128)> = Vec::new();
    for change in changes {
        let by = i128::from(change.came) - i128::from(change.went);
        match all.last_mut() {
            Some((at, sum)) if *at == change.at_ns => *sum += by,
            _ => all.push((change.at_ns, by)),
        }
    }
    all
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
