//! Resizes as they happen, for programs that log or alarm on growth.
//!
//! The allocator never sends: a channel's locks have no place there. A thread that is started
//! with the first subscription reads the recording's timeline and hands on what is new.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::inprocess;
use crate::life::existing_recording;
use crate::thread::Busy;
use mapgrow_report::{Caller, EventKind, NextResize, Options, Report};

/// Events that a slow subscriber may fall behind.
const CAPACITY: usize = 1024;
/// Maps whose next resize is foretold, the largest.
const FORETOLD_MAPS: usize = 256;
/// How often the timeline is looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// A resize.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrowthEvent {
    /// When it was over, since recording began.
    pub at: Duration,
    /// `Grow`, `Shrink` or `Rehash`; `Replace` where the program's symbols cannot tell a resize
    /// from a rebuild.
    pub kind: EventKind,
    /// Bytes of the old table; `None` when it is not known.
    pub old_bytes: Option<u64>,
    /// Bytes of the new table.
    pub new_bytes: u64,
    /// How long the thread was at it.
    pub pause: Option<Duration>,
    /// Thread that did it: name and id.
    pub thread: Option<String>,
    /// Family of the container: `hashbrown`, `raw_vec`...
    pub family: Option<&'static str>,
    /// First frame of the program's own code.
    pub caller: Option<Caller>,
    /// Type of the container, where debug information names it.
    pub type_name: Option<String>,
    /// The resize that the same map comes to next, as far as it can be foretold of one of the
    /// largest live maps. It is worth an alarm when [`NextResize::fits`] is false: the process
    /// will then be killed, or the allocation fail.
    pub next_resize: Option<NextResize>,
}

static CHANNEL: OnceLock<(Sender<GrowthEvent>, Receiver<GrowthEvent>)> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// A receiver of the resizes from now on, of tables at or above the floor.
///
/// The channel is bounded, and shared by all receivers: each event goes to one of them. When it
/// is full further events are dropped and counted in [`growth_events_dropped`]. The first call
/// starts a thread named `mapgrow-events`, whose own allocations are not recorded; a child of
/// `fork` has none and receives nothing.
#[must_use]
pub fn growth_events() -> Receiver<GrowthEvent> {
    let (_, receiver) = CHANNEL.get_or_init(|| {
        let (sender, receiver) = bounded(CAPACITY);
        let mark = Progress::now();
        let to_pump = sender.clone();
        let started = std::thread::Builder::new()
            .name("mapgrow-events".into())
            .spawn(move || pump(&to_pump, mark));
        if started.is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        (sender, receiver)
    });
    receiver.clone()
}

/// Events that were lost because no subscriber took them in time, or because they left the
/// timeline before they could be read.
#[must_use]
pub fn growth_events_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// How far the timeline has been handed on.
struct Progress {
    /// Number of the next resize.
    next: u64,
}

impl Progress {
    fn now() -> Self {
        let next = existing_recording().map_or(0, |recording| recording.resizes.head());
        Self { next }
    }
}

fn pump(sender: &Sender<GrowthEvent>, mut progress: Progress) {
    loop {
        std::thread::sleep(PERIOD);
        let _busy = Busy::report();
        let Some(recording) = existing_recording() else {
            continue;
        };
        if recording.resizes.head() == progress.next {
            continue;
        }
        let options = Options {
            alive: Some(true),
            max_maps: FORETOLD_MAPS,
            timeline: true,
        };
        if let Some(report) = inprocess::build(recording, &options) {
            hand_on(&report, sender, &mut progress);
        }
    }
}

fn hand_on(report: &Report, sender: &Sender<GrowthEvent>, progress: &mut Progress) {
    let mut next = progress.next;
    for event in &report.timeline {
        let (Some(number), Some(new_bytes)) = (event.number, event.new_bytes) else {
            continue;
        };
        let resize = matches!(
            event.kind,
            EventKind::Grow | EventKind::Shrink | EventKind::Rehash | EventKind::Replace
        );
        if number < progress.next || !resize {
            continue;
        }
        next = next.max(number + 1);
        let site = report.sites.iter().find(|site| Some(site.id) == event.site);
        // A table that has been replaced since tells nothing of the map's next.
        let map = report
            .maps
            .iter()
            .find(|map| Some(map.id) == event.map && map.bytes == new_bytes);
        let handed_on = sender.try_send(GrowthEvent {
            at: Duration::from_nanos(event.t_ns.unwrap_or(0)),
            kind: event.kind,
            old_bytes: event.old_bytes,
            new_bytes,
            pause: event.pause_ns.map(Duration::from_nanos),
            thread: event.thread.clone(),
            family: site.and_then(|site| site.family),
            caller: site.and_then(|site| site.caller.clone()),
            type_name: site.and_then(|site| site.type_name.clone()),
            next_resize: map.and_then(|map| map.next_resize.clone()),
        });
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = handed_on {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    progress.next = next;
}
