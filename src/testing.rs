//! Assertions on growth, for tests.
//!
//! ```
//! # use std::collections::HashMap;
//! #[global_allocator]
//! static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();
//!
//! # fn main() {
//! let mut cache: HashMap<u32, u32> = HashMap::with_capacity(1_000);
//! let watch = mapgrow::testing::watch();
//! for key in 0..1_000 {
//!     cache.insert(key, key);
//! }
//! watch.assert_no_resizes();
//! # }
//! ```
//!
//! A watch sees the thread that made it, exactly and down to the smallest table while it lives,
//! so tests that run in parallel do not disturb each other. Work that a test hands to other
//! threads is not seen. [`assert_gates`] judges the whole process instead, by the rules that
//! `mapgrow check` has.

use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use crate::inprocess;
use crate::life::{State, existing_recording};
use crate::start;
use crate::task::own_tid;
use crate::thread::{self, Busy};
pub use mapgrow_report::gates::Rule;
use mapgrow_report::gates::{self, Outcome};
pub use mapgrow_report::measure::Measure;
use mapgrow_report::text::units;
use mapgrow_report::{Event, EventKind, Options, Report};

/// Resizes named in a failure message.
const SHOWN: usize = 8;

/// Watches the containers of the calling thread from now on.
///
/// # Panics
/// When recording is off or cannot start: a test that sees nothing must not pass.
#[must_use = "a watch that is not asked asserts nothing"]
#[track_caller]
pub fn watch() -> Watch {
    let Some(thread) = begin_watch() else {
        panic!(
            "mapgrow::testing: nothing is recorded. Set `#[global_allocator] static ALLOC: \
             mapgrow::MapGrow = mapgrow::MapGrow::new();` in the test, and leave MAPGROW unset \
             or `exact`"
        );
    };
    let (first, capacity) = inprocess::resize_ring();
    Watch {
        thread,
        first,
        capacity,
        begun: mapgrow_system::clock::ticks(),
        not_send: PhantomData,
    }
}

/// Has everything recorded that the calling thread allocates; the thread's id. `None` when nothing
/// is recorded.
fn begin_watch() -> Option<u32> {
    // An allocation, so that there is a state to watch with.
    drop(std::hint::black_box(Box::new(0u64)));
    let mut busy = Busy::enter()?;
    let state = State::get()?;
    let recording = start::recording(state)?;
    // SAFETY: the token is this thread's and outlives the use.
    unsafe { thread::cold(&mut busy, recording, &state.settings) }?.begin_watch();
    Some(own_tid() as u32)
}

fn end_watch() {
    let Some(mut busy) = Busy::enter() else {
        return;
    };
    let Some((state, recording)) = State::get().zip(existing_recording()) else {
        return;
    };
    // SAFETY: as in `begin_watch`.
    if let Some(cold) = unsafe { thread::cold(&mut busy, recording, &state.settings) } {
        cold.end_watch(&state.settings);
    }
}

/// What the calling thread's containers did since [`watch`].
#[derive(Debug)]
pub struct Watch {
    thread: u32,
    /// Number of the first resize that counts, and how many the timeline holds.
    first: u64,
    capacity: u64,
    /// When it began, ticks.
    begun: u64,
    /// A watch belongs to its thread.
    not_send: PhantomData<Rc<()>>,
}

impl Watch {
    /// Resizes since the watch began, by containers of any kind.
    ///
    /// # Panics
    /// When so much happened meanwhile that the timeline no longer holds all of it.
    #[must_use]
    #[track_caller]
    pub fn resizes(&self) -> u64 {
        let report = self.report();
        self.events(&report).count() as u64
    }

    /// Resizes of tables that `site` is part of the function name or `file:line` of.
    ///
    /// # Panics
    /// As [`resizes`](Self::resizes).
    #[must_use]
    #[track_caller]
    pub fn resizes_at(&self, site: &str) -> u64 {
        let report = self.report();
        self.events(&report)
            .filter(|event| place(&report, event).contains(site))
            .count() as u64
    }

    /// Bytes of tables that this thread allocated since the watch began and that are live.
    ///
    /// # Panics
    /// As [`resizes`](Self::resizes).
    #[must_use]
    #[track_caller]
    pub fn held_bytes(&self) -> u64 {
        let report = self.report();
        let begun_ns = inprocess::to_ns(self.begun);
        report
            .maps
            .iter()
            .filter(|map| self.is_mine(&map.thread) && map.table_at_ns >= Some(begun_ns))
            .map(|map| map.bytes)
            .sum()
    }

    /// Asserts that no container was resized.
    ///
    /// # Panics
    /// With the resizes and where they came from, if there were any.
    #[track_caller]
    pub fn assert_no_resizes(&self) {
        self.assert_resizes_at_most(0);
    }

    /// Asserts that there were at most `most` resizes.
    ///
    /// # Panics
    /// With the resizes and where they came from, if there were more.
    #[track_caller]
    pub fn assert_resizes_at_most(&self, most: u64) {
        let report = self.report();
        let events: Vec<&Event> = self.events(&report).collect();
        if events.len() as u64 <= most {
            return;
        }
        let mut message = format!(
            "{} resize{} where at most {most} were expected:\n",
            events.len(),
            if events.len() == 1 { "" } else { "s" }
        );
        for event in events.iter().take(SHOWN) {
            let size = |bytes: Option<u64>| bytes.map_or("?".into(), units::bytes);
            message.push_str(&format!(
                "  {} -> {}  {}\n",
                size(event.old_bytes),
                size(event.new_bytes),
                place(&report, event),
            ));
        }
        if events.len() > SHOWN {
            message.push_str(&format!("  and {} more\n", events.len() - SHOWN));
        }
        panic!("{message}");
    }

    /// Asserts that tables which this thread allocated since the watch began hold at most
    /// `bytes`.
    ///
    /// # Panics
    /// With what they hold, if it is more.
    #[track_caller]
    pub fn assert_held_at_most(&self, bytes: u64) {
        let held = self.held_bytes();
        assert!(
            held <= bytes,
            "tables hold {} where at most {} were expected",
            units::bytes(held),
            units::bytes(bytes),
        );
    }

    /// Asserts that tables of `site` (part of the function name or `file:line`) were resized at
    /// most `most` times.
    ///
    /// # Panics
    /// With the number, if there were more.
    #[track_caller]
    pub fn assert_resizes_at_most_at(&self, site: &str, most: u64) {
        let found = self.resizes_at(site);
        assert!(
            found <= most,
            "{} at {site:?} where at most {most} were expected",
            units::count(found, "resize"),
        );
    }

    /// Asserts that no resize took longer than `longest`, from the allocation of the new table to
    /// the free of the old.
    ///
    /// # Panics
    /// With the longest and where it came from, if one did.
    #[track_caller]
    pub fn assert_pauses_at_most(&self, longest: Duration) {
        let report = self.report();
        let worst = self.events(&report).max_by_key(|event| event.pause_ns);
        let Some((event, pause)) = worst.and_then(|event| Some((event, event.pause_ns?))) else {
            return;
        };
        assert!(
            u128::from(pause) <= longest.as_nanos(),
            "a resize took {} {} where at most {longest:?} were expected",
            units::time(pause),
            place(&report, event),
        );
    }

    /// Asserts that in no resize the old and the new table held more than `bytes` together.
    ///
    /// # Panics
    /// With the largest and where it came from, if one did.
    #[track_caller]
    pub fn assert_overlap_at_most(&self, bytes: u64) {
        let report = self.report();
        let both = |event: &&Event| {
            let moved = (!event.in_place).then_some(event.old_bytes)?;
            Some(moved?.saturating_add(event.new_bytes?))
        };
        let worst = self.events(&report).max_by_key(both);
        let Some((event, overlap)) = worst.and_then(|event| Some((event, both(&event)?))) else {
            return;
        };
        assert!(
            overlap <= bytes,
            "old and new table held {} together {} where at most {} were expected",
            units::bytes(overlap),
            place(&report, event),
            units::bytes(bytes),
        );
    }

    #[track_caller]
    fn report(&self) -> Judged {
        let options = Options {
            alive: Some(true),
            max_maps: usize::MAX,
            timeline: true,
        };
        let report = inprocess::report(&options).expect("a watch exists only while recording");
        assert!(
            inprocess::resize_ring().0 - self.first <= self.capacity,
            "mapgrow::testing: more happened since the watch began than the timeline holds; \
             raise MAPGROW_MAX_MEMORY or watch a shorter stretch"
        );
        Judged {
            report,
            _held_off: Busy::report(),
        }
    }

    fn is_mine(&self, label: &Option<String>) -> bool {
        let tid = format!("({})", self.thread);
        label.as_ref().is_some_and(|label| label.ends_with(&tid))
    }

    fn events<'a>(&'a self, report: &'a Report) -> impl Iterator<Item = &'a Event> {
        report.timeline.iter().filter(|event| {
            let resize = matches!(
                event.kind,
                EventKind::Grow | EventKind::Shrink | EventKind::Rehash
            );
            resize && event.number >= Some(self.first) && self.is_mine(&event.thread)
        })
    }
}

/// Asserts that the whole process keeps the bounds, as `mapgrow check` would: every thread, since
/// it began. Bounds on sites that the process does not have are kept.
///
/// # Panics
/// With the reasons, when a bound is exceeded or its figure is not known; and when nothing is
/// recorded.
#[track_caller]
pub fn assert_gates(rules: &[Rule]) {
    let options = Options {
        alive: Some(true),
        ..Options::default()
    };
    let Some(report) = inprocess::report(&options) else {
        panic!("mapgrow::testing: nothing is recorded, so no gate can be judged");
    };
    let mut message = String::new();
    for finding in gates::judge(&report, rules) {
        if matches!(finding.outcome, Outcome::Broken | Outcome::Unknown) {
            message.push_str(&format!("  {}\n", finding.reason));
            for advice in finding.advice {
                message.push_str(&format!("    - {advice}\n"));
            }
        }
    }
    assert!(message.is_empty(), "gates that do not hold:\n{message}");
}

impl Drop for Watch {
    fn drop(&mut self) {
        end_watch();
    }
}

/// A report that is being judged. What that allocates is not the program's: the next assertion
/// must not see it.
struct Judged {
    /// Dropped first, with the recorder still held off.
    report: Report,
    _held_off: Option<Busy>,
}

impl Deref for Judged {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

/// Where an event came from, in words.
fn place(report: &Report, event: &Event) -> String {
    let site = report.sites.iter().find(|site| Some(site.id) == event.site);
    let Some(caller) = site.and_then(|site| site.caller.as_ref()) else {
        return "at an unknown place".into();
    };
    let mut place = format!("in {}", caller.function);
    if let (Some(file), Some(line)) = (&caller.file, caller.line) {
        place.push_str(&format!(" at {file}:{line}"));
    }
    place
}
