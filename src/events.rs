//! Resizes as they happen, for programs that log or alarm on growth.
//!
//! The allocator never sends: a channel's locks have no place there. A thread that is started
//! with the first subscription reads the ring of resizes from where it stopped, and hands on what is
//! new. A place where containers grow is looked at when it is met first; no report is built.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::inprocess::{self, OwnSymbols};
use crate::life::existing_recording;
use crate::recording::Recording;
use crate::thread::Busy;
use mapgrow_format::reader::BlockEvent;
pub use mapgrow_report::growth::GrowthEvent;
use mapgrow_report::growth::{Growth, Present};
use mapgrow_report::symbols::{Frame, Module, Symbolizer};

/// Events that a slow subscriber may fall behind.
const CAPACITY: usize = 1024;
/// How often the ring is looked at.
const PERIOD: Duration = Duration::from_millis(50);
/// New places are looked at for at most this share of the time...
const LEARNING_SHARE: u32 = 10;
/// ...unless they have waited so long.
const LEARNING_WAIT: Duration = Duration::from_secs(5);
/// Events that are handed on at a time.
const BATCH: usize = 1024;

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
        let next = existing_recording().map_or(0, |recording| recording.resizes.head());
        let to_pump = sender.clone();
        let started = std::thread::Builder::new()
            .name("mapgrow-events".into())
            .spawn(move || Pump::new(next).run(&to_pump));
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

/// The program's symbols, each looked up once.
#[derive(Default)]
struct Remembered {
    frames: HashMap<u64, Vec<Frame>>,
    /// Objects that were loaded when they were looked up: another may take an address later.
    modules: Vec<(u64, String)>,
}

impl Symbolizer for Remembered {
    fn frames(&mut self, module: &Module, address: u64) -> Vec<Frame> {
        let at = (module.start, module.path.clone());
        if !self.modules.contains(&at) {
            self.modules.retain(|(start, _)| *start != at.0);
            self.modules.push(at);
            self.frames.clear();
        }
        let frames = self.frames.entry(address);
        frames
            .or_insert_with(|| OwnSymbols.frames(module, address))
            .clone()
    }
}

/// What the thread keeps from one look at the ring to the next.
struct Pump {
    /// Number of the next resize.
    next: u64,
    /// A number that was handed out but had no record when last looked for: its writer may be at
    /// it, or have dropped it.
    missing: Option<u64>,
    growth: Growth,
    symbols: Remembered,
    /// When new places may be looked at again.
    learn_at: Instant,
}

impl Pump {
    fn new(next: u64) -> Self {
        Self {
            next,
            missing: None,
            growth: Growth::new(),
            symbols: Remembered::default(),
            learn_at: Instant::now(),
        }
    }

    fn run(mut self, sender: &Sender<GrowthEvent>) {
        loop {
            std::thread::sleep(PERIOD);
            // What this allocates is not the program's.
            let _busy = Busy::report();
            if let Some(recording) = existing_recording() {
                while self.hand_on(recording, sender) {}
            }
        }
    }

    /// Hands on a few events. True when there may be more.
    fn hand_on(&mut self, recording: &Recording, sender: &Sender<GrowthEvent>) -> bool {
        let mut events = self.events(recording);
        if events.is_empty() {
            return false;
        }
        if events.iter().any(|event| self.growth.is_new(event)) {
            self.learn(recording);
        }
        // One of a place that nobody has looked at waits, and so do those after it.
        let known = events.iter().position(|event| self.growth.is_new(event));
        events.truncate(known.unwrap_or(events.len()));
        let Some(last) = events.last() else {
            return false;
        };
        // Between those that are there some may have been dropped.
        let after = last.number + 1;
        let gone = (after - self.next).saturating_sub(events.len() as u64);
        DROPPED.fetch_add(gone, Ordering::Relaxed);
        self.next = after;
        let Some(present) = inprocess::header_and_threads(recording) else {
            return false;
        };
        for event in self.growth.tell(&events, &Present::of(&present)) {
            let sent = sender.try_send(event);
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sent {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        known.is_none() && events.len() == BATCH
    }

    /// The next events, up to one that is not there yet.
    fn events(&mut self, recording: &Recording) -> Vec<BlockEvent> {
        let ring = &recording.resizes;
        let head = ring.head();
        let oldest = head.saturating_sub(ring.capacity());
        if self.next < oldest {
            DROPPED.fetch_add(oldest - self.next, Ordering::Relaxed);
            self.next = oldest;
        }
        let mut events = Vec::new();
        for number in (self.next..head).take(BATCH) {
            match ring.read(number) {
                Some(event) => events.push(BlockEvent {
                    number,
                    ticks: event.ticks,
                    old_serial: event.old_serial,
                    new_serial: event.new_serial,
                    old_bytes: event.old_bytes,
                    new_bytes: event.new_bytes,
                    what: event.subject,
                    thread: event.thread,
                    kind: u64::from(event.kind),
                    flags: u64::from(event.flags),
                    pause: event.pause_ticks,
                }),
                // Looked for twice: it will not come any more.
                None if self.missing.is_some_and(|missing| missing >= number) => {
                    if events.is_empty() {
                        DROPPED.fetch_add(1, Ordering::Relaxed);
                        self.next = number + 1;
                    }
                }
                None => {
                    self.missing = Some(head - 1);
                    break;
                }
            }
        }
        events
    }

    fn learn(&mut self, recording: &Recording) {
        let begun = Instant::now();
        if begun < self.learn_at {
            return;
        }
        if let Some(parsed) = inprocess::parsed(recording) {
            self.growth.learn(&parsed, &mut self.symbols);
        }
        let wait = begun.elapsed() * LEARNING_SHARE;
        self.learn_at = Instant::now() + wait.min(LEARNING_WAIT);
    }
}
