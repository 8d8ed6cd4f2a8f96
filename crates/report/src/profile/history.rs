//! Profiles of one process over time, in bounded memory however many are taken.
//!
//! The last one is kept as a whole. Of those before it, what each line held and had allocated: of
//! every one at first, of every second once there are many, and so on. What a line held at most is
//! that of all profiles, those that were left out too; what was allocated between two that are
//! kept is exact, since it is a difference of sums.

use super::folded::{Folded, Key};
use super::rows;
use super::{HeapProfile, Innermost};
use crate::model::Report;
use mapgrow_containers::classify::go::MapRuntime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Moments that are kept, at most.
const MOST: usize = 360;

/// Profiles of one process, folded to what a report needs of them.
#[derive(Debug)]
pub struct History {
    /// Those that are kept, evenly spaced.
    kept: Vec<Moment>,
    /// The last one, if it is not kept.
    newest: Option<Moment>,
    last: Option<Folded>,
    /// One in so many is kept.
    every: usize,
    taken: usize,
    runtime: Option<MapRuntime>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            newest: None,
            last: None,
            every: 1,
            taken: 0,
            runtime: None,
        }
    }
}

/// A profile of which nothing is needed any more but this.
#[derive(Debug)]
pub(super) struct Moment {
    pub taken_unix_ns: Option<u64>,
    pub lines: BTreeMap<Arc<Key>, Held>,
}

/// What a line held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub live_bytes: u64,
    /// The most since the moment before that is kept.
    pub most_live_bytes: u64,
    /// All that it ever allocated.
    pub allocated_bytes: u64,
}

impl Moment {
    /// `before`: lines are mostly the same ones, and need be kept once.
    fn of(folded: &Folded, before: Option<&Moment>) -> Self {
        let known = |key: &Key| {
            let (known, _) = before?.lines.get_key_value(key)?;
            Some(Arc::clone(known))
        };
        let lines = folded.growers.iter().map(|(key, growing)| {
            let held = Held {
                live_bytes: growing.sum.live_bytes,
                most_live_bytes: growing.sum.live_bytes,
                allocated_bytes: growing.sum.allocated_bytes,
            };
            (known(key).unwrap_or_else(|| Arc::new(key.clone())), held)
        });
        Self {
            taken_unix_ns: folded.taken_unix_ns,
            lines: lines.collect(),
        }
    }

    /// Takes in what was at most held at a moment just before, which is left out.
    fn stand_for(&mut self, left_out: &Moment) {
        for (key, held) in &mut self.lines {
            if let Some(before) = left_out.lines.get(key) {
                held.most_live_bytes = held.most_live_bytes.max(before.most_live_bytes);
            }
        }
    }
}

impl History {
    /// Takes in a profile, younger than those before.
    pub fn add(&mut self, profile: &HeapProfile, innermost: &mut dyn Innermost) {
        let folded = Folded::of(profile, innermost);
        let mut moment = Moment::of(&folded, self.newest.as_ref().or(self.kept.last()));
        if let Some(left_out) = self.newest.take() {
            moment.stand_for(&left_out);
        }
        if self.taken.is_multiple_of(self.every) {
            self.kept.push(moment);
            if self.kept.len() > MOST {
                self.thin();
            }
        } else {
            self.newest = Some(moment);
        }
        self.taken += 1;
        self.runtime = self.runtime.or(folded.map_runtime);
        self.last = Some(folded);
    }

    /// Leaves out every second moment.
    fn thin(&mut self) {
        let mut all = std::mem::take(&mut self.kept).into_iter();
        // The first of all stays, and there are even numbers behind it.
        self.kept.extend(all.next());
        while let (Some(left_out), Some(mut stays)) = (all.next(), all.next()) {
            stays.stand_for(&left_out);
            self.kept.push(stays);
        }
        self.every *= 2;
    }

    /// Number of profiles that were taken in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The report; `None` without a profile.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        rows::report(self)
    }

    pub(super) fn last(&self) -> Option<&Folded> {
        self.last.as_ref()
    }

    pub(super) fn runtime(&self) -> Option<MapRuntime> {
        self.runtime
    }

    /// All moments, oldest first.
    pub(super) fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.kept.iter().chain(&self.newest)
    }

    /// When the first was taken.
    pub(super) fn first_ns(&self) -> Option<u64> {
        self.kept.first()?.taken_unix_ns
    }

    /// Time from one moment to the next.
    pub(super) fn interval_ns(&self) -> Option<u64> {
        let mut last = self.kept.last()?;
        let mut steps = self.kept.len() - 1;
        if let Some(newest) = self.newest.as_ref().filter(|_| steps == 0) {
            (last, steps) = (newest, 1);
        }
        let length = last.taken_unix_ns?.checked_sub(self.first_ns()?)?;
        length.checked_div(steps as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::MOST;

    struct Nobody;

    impl Innermost for Nobody {
        fn called(&mut self, _: &HeapProfile, _: &ProfilePlace) -> Vec<String> {
            Vec::new()
        }
        fn map_type(&mut self, _: &HeapProfile, _: &ProfilePlace) -> Option<MapType> {
            None
        }
        fn source(&mut self, _: &HeapProfile, _: &ProfilePlace) -> Option<SourceHint> {
            None
        }
        fn warnings(&self) -> Vec<String> {
            Vec::new()
        }
    }

    /// A profile of a map that has allocated `allocated` and holds `live` bytes.
    fn profile(seconds: u64, allocated: u64, live: u64) -> HeapProfile {
        let function = |name: &str| ProfileFunction {
            name: name.into(),
            file: Some("main.go".into()),
        };
        HeapProfile {
            taken_unix_ns: Some(seconds * 1_000_000_000),
            period_bytes: Some(1),
            functions: vec![
                function("internal/runtime/maps.(*table).grow"),
                function("main.fill"),
            ],
            places: vec![
                ProfilePlace {
                    address: 1,
                    module: None,
                    lines: vec![(0, Some(1))],
                },
                ProfilePlace {
                    address: 2,
                    module: None,
                    lines: vec![(1, Some(2))],
                },
            ],
            samples: vec![HeapSample {
                stack: vec![0, 1],
                block_bytes: Some(1),
                allocated,
                allocated_bytes: allocated,
                live,
                live_bytes: live,
            }],
            ..HeapProfile::default()
        }
    }

    #[test]
    fn many_profiles_take_no_more_than_few() {
        const ALL: u64 = 5_000;
        const PEAK: u64 = 1 << 40;
        let mut history = History::default();
        for second in 0..ALL {
            // At one moment, which is left out, it held much.
            let live = if second == 1_001 { PEAK } else { 10 };
            history.add(&profile(second, 2 * PEAK + second, live), &mut Nobody);
            assert!(history.kept.len() <= MOST);
        }
        assert_eq!(history.len() as u64, ALL);
        let report = history.report().expect("there are some");
        let facts = report.profile.as_ref().expect("of profiles");
        assert_eq!(facts.profiles, ALL);
        assert_eq!(report.process.duration_ns, Some((ALL - 1) * 1_000_000_000));
        let site = &report.sites[0];
        assert_eq!(
            (site.live_bytes, site.allocated_bytes),
            (10, 2 * PEAK + ALL - 1)
        );
        let series = site.series.as_ref().expect("over time");
        assert!((MOST / 2..=MOST + 1).contains(&series.max_live_bytes.len()));
        assert_eq!(series.interval_ns, history.every as u64 * 1_000_000_000);
        assert_eq!(series.max_live_bytes.iter().flatten().max(), Some(&PEAK));
        let at = series
            .max_live_bytes
            .iter()
            .position(|&most| most == Some(PEAK));
        assert_eq!(at, Some(1_001usize.div_ceil(history.every)));
        assert_eq!(series.last_live_bytes.iter().flatten().max(), Some(&10));
        // One line, kept once.
        let keys = history.moments().flat_map(|moment| moment.lines.keys());
        let first = history.kept[0].lines.keys().next().expect("one");
        assert!(
            keys.into_iter()
                .all(|key| std::sync::Arc::ptr_eq(key, first))
        );
    }

    #[test]
    fn few_profiles_are_all_kept() {
        let mut history = History::default();
        for second in 0..5 {
            history.add(&profile(second, 10 + second, 10 + second), &mut Nobody);
        }
        let report = history.report().expect("there are some");
        let series = report.sites[0].series.as_ref().expect("over time");
        let expected: Vec<_> = (10..15).map(Some).collect();
        assert_eq!(series.max_live_bytes, expected);
        assert_eq!(series.last_live_bytes, expected);
        assert_eq!(report.timeline.len(), 4);
    }
}
