//! What the blocks of a group held that have events: these and what is live go in, intervals come out.

use super::sums::Sums;
use crate::model::{Series, Untold};

/// What a block that came or went did to the live bytes of a group of sites.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub at_ns: u64,
    pub came: u64,
    pub went: u64,
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
    pub fn of(
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
    pub fn ends(&self) -> Vec<Option<u64>> {
        let known = |index: usize| self.from.is_some_and(|from| index >= from);
        let last = self.last.iter().enumerate();
        last.map(|(index, &last)| u64::try_from(last).ok().filter(|_| known(index)))
            .collect()
    }
}

/// Changes in the order of time, those of one moment as one: a `realloc` takes away what it had
/// when it adds what it gives.
fn at_one_time(mut changes: Vec<Change>) -> Vec<(u64, i128)> {
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
