//! What happens to a block that the fast path did not let pass.
//!
//! A new block is recorded after the backend gave it, a freed one is taken out before the backend
//! takes it back, and a reallocated one is taken out before and put in after: an address is in
//! the live table only while it belongs to the program, so no two threads ever claim one.

use crate::clock;
use crate::config::{Defaults, Mode, Settings};
use crate::hook::FILTER;
use crate::lineage::{Block, Outcome};
use crate::process::{self, State};
use crate::recording::Recording;
use crate::recording::layout::{WEIGHT_ONE, edge, event, header, live, site};
use crate::stack::{Capture, Registers};
use crate::sys::ErrnoGuard;
use crate::tables::edges::{EdgeKey, ReplaceFigures};
use crate::tables::history::Earlier;
use crate::tables::live::{LiveRecord, Slot};
use crate::tables::sites::{BlockFigures, SiteKey, SiteOrigin};
use crate::thread::{self, Busy, Cold, HOT};
use crate::timeline::Event;

/// Certain, in fixed point.
const CERTAIN: u32 = WEIGHT_ONE as u32;
/// Tables of one map whose sizes are kept; an older history is cut off.
const HISTORY_MOST: u32 = 64;

/// Which entry point a block came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `alloc`, `malloc` and kin.
    Alloc,
    /// `alloc_zeroed`, `calloc`.
    Zeroed,
    /// `realloc`.
    Realloc,
}

impl Entry {
    fn code(self) -> u8 {
        (match self {
            Self::Alloc => site::ENTRY_ALLOC,
            Self::Zeroed => site::ENTRY_ZEROED,
            Self::Realloc => site::ENTRY_REALLOC,
        }) as u8
    }
}

/// One call into the recorder. Nothing that is allocated while it lives is recorded.
pub(crate) struct Session {
    /// `None` while the entry frames are being learnt, inside another session.
    busy: Option<Busy>,
    state: Option<&'static State>,
}

/// A block that is about to be allocated and will be recorded.
pub(crate) struct AllocationPlan {
    entry: Entry,
    bytes: usize,
    align_log2: u8,
    weight: u32,
    start: u64,
}

/// A block that is about to move.
pub(crate) struct ReallocPlan {
    address: usize,
    old_bytes: usize,
    bytes: usize,
    align_log2: u8,
    weight: u32,
    /// Recorded only because the block before it was: counted nowhere.
    followed: bool,
    site: u32,
    /// What was recorded of it, if it was.
    old: Option<LiveRecord>,
    start: u64,
}

/// A block that was replaced by another and is about to be freed.
pub(crate) struct Freed {
    edge: u32,
    figures: ReplaceFigures,
    event: Event,
    start: u64,
}

/// Removes what is recorded of a block that is freed or moved while the thread is already in the
/// recorder (in a signal handler, say).
pub(crate) fn forget(address: usize, bytes: usize) {
    let (Some(state), Some(recording)) = (State::get(), process::existing_recording()) else {
        return;
    };
    if let Some(slot) = recording.live.find(address as u64) {
        take_out(recording, &state.settings, slot, address, bytes);
    }
}

/// Size and alignment under which a block is recorded, if it is.
#[cfg(feature = "preload")]
pub(crate) fn recorded(address: usize) -> Option<(usize, usize)> {
    let recording = process::existing_recording()?;
    let slot = recording.live.find(address as u64)?;
    let record = recording.live.read(slot, address as u64)?;
    Some((record.bytes as usize, 1 << record.align_log2.min(63)))
}

/// Debug builds end the process when the recorder itself allocates: in a release build that
/// would go unnoticed until it deadlocks in somebody's service. (A signal handler that allocates
/// while it interrupts the recorder ends here too; it has no business doing so.)
pub(crate) fn refuse_own_allocation() {
    if cfg!(debug_assertions) && thread::must_not_allocate() && !process::calibrating() {
        crate::sys::complain(&[b"the recorder allocated from the heap that it records"]);
        std::process::abort();
    }
}

/// Takes a block out of the live table and counts it as freed.
fn take_out(
    recording: &Recording,
    settings: &Settings,
    slot: Slot,
    address: usize,
    bytes: usize,
) -> Option<LiveRecord> {
    let record = recording.live.read(slot, address as u64)?;
    if !recording.live.remove(slot, address as u64) {
        return None;
    }
    if in_filter(settings, bytes) {
        FILTER.remove(address);
    }
    count_freed(recording, &record, clock::ticks());
    Some(record)
}

fn count_freed(recording: &Recording, record: &LiveRecord, now: u64) {
    if u64::from(record.flags) & live::FLAG_FOLLOWED == 0 {
        recording
            .sites
            .freed(record.site, record.bytes, record.weight, now);
    }
}

/// Whether a block of this size is found by its page when freed, not by its size.
fn in_filter(settings: &Settings, bytes: usize) -> bool {
    bytes < thread::free_floor(settings)
}

impl Session {
    /// Enters the recorder; `None` when the thread is in it already, or nothing is recorded.
    #[inline]
    pub(crate) fn begin(defaults: &Defaults, backend: u64) -> Option<Self> {
        let Some(busy) = Busy::enter() else {
            return process::calibrating().then_some(Self {
                busy: None,
                state: None,
            });
        };
        let state = State::get_or_init(defaults, backend)?;
        if state.settings.mode == Mode::Off {
            thread::switch_off_here();
            return None;
        }
        Some(Self {
            busy: Some(busy),
            state: Some(state),
        })
    }

    /// The thread's pages and the recording, both created if need be. `None` while recording is
    /// paused or cannot be had.
    fn attach(&mut self) -> Option<(&'static State, &'static Recording, &mut Cold)> {
        let state = self.state?;
        let Some(recording) = process::recording(state) else {
            thread::switch_off_here();
            return None;
        };
        // SAFETY: `busy` is this thread's and is borrowed for as long as the pages are.
        let cold = unsafe { thread::cold(self.busy.as_mut()?, recording, &state.settings) }?;
        Some((state, recording, cold))
    }

    /// Decides whether a block that is about to be allocated is recorded.
    #[inline]
    pub(crate) fn plan_allocation(
        &mut self,
        entry: Entry,
        bytes: usize,
        align: usize,
    ) -> Option<AllocationPlan> {
        let plan = |weight| AllocationPlan {
            entry,
            bytes,
            align_log2: align.trailing_zeros() as u8,
            weight,
            start: clock::ticks(),
        };
        let Some(state) = self.state else {
            return Some(plan(CERTAIN));
        };
        let settings = &state.settings;
        let (countdown, floor) = HOT.with(|hot| {
            // What the fast path turned away it did not count: nothing of a block at or above
            // the floor, and with the totals due to be flushed not in the tables' countdown.
            let too_large = bytes >= hot.floor.get();
            let table = align >= thread::TABLE_ALIGN;
            if table && (too_large || hot.allocate_countdown.get() < 0) {
                hot.tables_countdown
                    .set(hot.tables_countdown.get() - bytes as i64);
            }
            if too_large {
                let left = hot.allocate_countdown.get() - bytes as i64;
                hot.allocate_countdown.set(left);
            }
            thread::prime(hot, settings);
            (hot.allocate_countdown.get(), hot.floor.get())
        });
        if bytes < floor && align < thread::TABLE_ALIGN && countdown >= 0 {
            return None;
        }
        let (_, recording, cold) = self.attach()?;
        let heap_sample = countdown < 0 && cold.flush(recording);
        if recording.paused() {
            return None;
        }
        match cold.weigh(bytes, align, heap_sample) {
            Some(weight) => Some(plan(weight)),
            None => {
                if bytes >= settings.floor {
                    recording.count(header::BUDGET_SKIPPED, 1);
                    recording.count(header::BUDGET_SKIPPED_BYTES, bytes as u64);
                }
                None
            }
        }
    }

    /// Records a block that was allocated as planned.
    #[inline(never)]
    pub(crate) fn allocated(&mut self, plan: &AllocationPlan, address: usize) {
        if self.state.is_none() {
            return process::learn(&Registers::here());
        }
        let Some((state, recording, cold)) = self.attach() else {
            return;
        };
        // SAFETY: the registers were read in this function, which does not return before the
        // capture is made.
        let mut capture = unsafe { cold.stacks.capture(&Registers::here(), &state.entry_frames) };
        cold.counters.captured(&capture);
        let site = site_of(recording, plan.entry, &mut capture);
        let stack = capture.returns();
        let serial = cold.serial.next();
        let record = LiveRecord {
            site,
            bytes: plan.bytes as u64,
            ticks: plan.start,
            serial,
            history: 0,
            thread: cold.slot,
            align_log2: plan.align_log2,
            flags: if plan.entry == Entry::Zeroed {
                live::FLAG_ZEROED as u8
            } else {
                0
            },
            weight: plan.weight,
            resizes: 0,
            born_ticks: plan.start,
            first_serial: serial,
        };
        if let Some(slot) = insert(recording, &state.settings, address, &record, false) {
            let block = Block {
                address,
                slot,
                bytes: plan.bytes,
                align_log2: plan.align_log2,
                site,
                serial,
                start_ticks: plan.start,
            };
            cold.pending.push(&block, stack);
            recording.births.publish(&Event {
                ticks: plan.start,
                new_serial: serial,
                new_bytes: record.bytes,
                subject: site,
                thread: cold.slot,
                kind: event::KIND_CREATE as u8,
                flags: sampled_flag(plan.weight),
                ..Event::default()
            });
        }
        cold.expect_frees(plan.bytes, &state.settings);
        cold.counters.recorded += 1;
        cold.spent(plan.start, recording, &state.settings);
    }

    /// Takes a block out that is about to be freed. What is given back is to be finished once it
    /// is freed.
    #[inline(never)]
    pub(crate) fn freed(&mut self, address: usize, bytes: usize, align: usize) -> Option<Freed> {
        let Some(state) = self.state else {
            process::learn(&Registers::here());
            return None;
        };
        let settings = &state.settings;
        let countdown = HOT.with(|hot| {
            if bytes >= hot.free_floor.get() {
                hot.free_countdown
                    .set(hot.free_countdown.get() - bytes as i64);
            }
            thread::prime(hot, settings);
            hot.free_countdown.get()
        });
        // Nothing can be recorded of this block if nothing is recorded at all.
        process::existing_recording()?;
        let (_, recording, cold) = self.attach()?;
        if countdown < 0 {
            cold.flush(recording);
        }
        cold.one_free_less(settings);
        let align_log2 = align.trailing_zeros() as u8;
        let start = clock::ticks();
        let found = recording.live.find(address as u64);
        let old = match found {
            Some(slot) => Some(take_out(recording, settings, slot, address, bytes)?),
            None if cold.pending.could_replace(bytes, align_log2) => None,
            None => {
                if bytes >= settings.floor {
                    recording.count(header::FREES_UNKNOWN, 1);
                }
                return None;
            }
        };
        // A stack is worth its cost only if it can tell something: whether a newer block took
        // this one's place, or whether an unwinding growth gives up the block it had just made.
        let since = old.as_ref().map_or(0, |old| old.ticks);
        let own = cold.pending.holds(address) && state.may_be_unwinding();
        let outcome = if own || cold.pending.any_since(since) {
            // SAFETY: as in `allocated`.
            let capture = unsafe { cold.stacks.capture(&Registers::here(), &state.entry_frames) };
            cold.counters.captured(&capture);
            cold.pending
                .resolve(address, bytes, align_log2, capture.returns())
        } else {
            cold.pending.forget(address);
            Outcome::Dropped
        };
        let freed = settle(
            recording,
            settings,
            cold,
            bytes as u64,
            old.as_ref(),
            &outcome,
            start,
        );
        if freed.is_none() {
            if let Some(old) = &old {
                recording.history.release_chain(old.history);
            }
            cold.spent(start, recording, settings);
        }
        freed
    }

    /// Completes the record of a resize once the old block is freed.
    pub(crate) fn finish_free(&mut self, freed: &Freed) {
        let Some((state, recording, cold)) = self.attach() else {
            return;
        };
        let end = clock::ticks();
        let pause = end.saturating_sub(freed.start);
        let figures = ReplaceFigures {
            pause_ticks: pause,
            end_ticks: end,
            ..freed.figures
        };
        if figures.weight != 0 {
            recording.edges.count(freed.edge, &figures);
        }
        let event = Event {
            ticks: end,
            pause_ticks: pause,
            ..freed.event
        };
        recording.resizes.publish(&event);
        cold.spent(end, recording, &state.settings);
    }

    /// Takes a block out that is about to be reallocated, if it is recorded or its next size is
    /// to be.
    #[inline(never)]
    pub(crate) fn plan_realloc(
        &mut self,
        address: usize,
        old_bytes: usize,
        bytes: usize,
        align: usize,
    ) -> Option<ReallocPlan> {
        let Some(state) = self.state else {
            process::learn(&Registers::here());
            return None;
        };
        let settings = &state.settings;
        let (countdown, floor) = HOT.with(|hot| {
            if bytes >= hot.floor.get() || old_bytes >= hot.free_floor.get() {
                hot.allocate_countdown
                    .set(hot.allocate_countdown.get() - bytes as i64);
                hot.free_countdown
                    .set(hot.free_countdown.get() - old_bytes as i64);
            }
            thread::prime(hot, settings);
            (
                hot.allocate_countdown.get().min(hot.free_countdown.get()),
                hot.floor.get(),
            )
        });
        if bytes < floor && countdown >= 0 && process::existing_recording().is_none() {
            return None;
        }
        let (_, recording, cold) = self.attach()?;
        let entered = clock::ticks();
        let heap_sample = countdown < 0 && cold.flush(recording);
        let found = recording.live.find(address as u64);
        let old = found.and_then(|slot| recording.live.read(slot, address as u64));
        let own = cold.weigh(bytes, align, heap_sample);
        let (weight, followed) = match (own, old.as_ref()) {
            (None, None) => return None,
            (Some(_), None) if recording.paused() => return None,
            (Some(CERTAIN), _) => (CERTAIN, false),
            // The successor of a block that was certain to be recorded is so too.
            (_, Some(old)) if certain(old) => (CERTAIN, false),
            (Some(weight), _) => (weight, false),
            (None, Some(old)) => (old.weight, true),
        };
        // SAFETY: as in `allocated`.
        let mut capture = unsafe { cold.stacks.capture(&Registers::here(), &state.entry_frames) };
        cold.counters.captured(&capture);
        let site = site_of(recording, Entry::Realloc, &mut capture);
        if let Some(slot) = found {
            recording.live.remove(slot, address as u64);
            if in_filter(settings, old_bytes) {
                FILTER.remove(address);
            }
        }
        cold.pending.forget(address);
        cold.spent(entered, recording, settings);
        Some(ReallocPlan {
            address,
            old_bytes,
            bytes,
            align_log2: align.trailing_zeros() as u8,
            weight,
            followed,
            site,
            old,
            start: clock::ticks(),
        })
    }

    /// Records where a block went. `moved` 0: nowhere, the reallocation failed.
    pub(crate) fn reallocated(&mut self, plan: &ReallocPlan, moved: usize) {
        let end = clock::ticks();
        let Some((state, recording, cold)) = self.attach() else {
            return;
        };
        let settings = &state.settings;
        let (old_bytes, bytes) = (plan.old_bytes as u64, plan.bytes as u64);
        if moved == 0 {
            if let Some(old) = &plan.old
                && recording.live.insert(plan.address as u64, old).is_some()
                && in_filter(settings, plan.old_bytes)
            {
                FILTER.add(plan.address);
            }
            return;
        }
        let in_place = moved == plan.address;
        if let Some(old) = &plan.old {
            count_freed(recording, old, end);
        }
        let old_site = match &plan.old {
            Some(old) if certain(old) && plan.weight == CERTAIN => old.site,
            _ => edge::NO_SITE,
        };
        let key = EdgeKey {
            new_site: plan.site,
            old_site,
            join: 0,
            kind: edge::KIND_REALLOC as u8,
            free_pc: 0,
        };
        let edge = recording.edges.find_or_create(&key, 0);
        let pause = end.saturating_sub(plan.start);
        let figures = ReplaceFigures {
            old_bytes,
            new_bytes: bytes,
            copied: if in_place { 0 } else { old_bytes.min(bytes) },
            overlap: if in_place { 0 } else { old_bytes + bytes },
            in_place,
            pause_ticks: pause,
            end_ticks: end,
            weight: plan.weight,
        };
        if !plan.followed {
            recording.edges.count(edge, &figures);
        }
        let serial = cold.serial.next();
        let mut record = LiveRecord {
            site: plan.site,
            bytes,
            ticks: plan.start,
            serial,
            history: 0,
            thread: cold.slot,
            align_log2: plan.align_log2,
            flags: if plan.followed {
                live::FLAG_FOLLOWED as u8
            } else {
                0
            },
            weight: plan.weight,
            resizes: 0,
            born_ticks: plan.start,
            first_serial: serial,
        };
        continue_history(
            recording,
            &mut record,
            plan.old.as_ref(),
            old_bytes,
            edge,
            end,
        );
        insert(recording, settings, moved, &record, plan.old.is_none());
        recording.resizes.publish(&Event {
            ticks: end,
            old_serial: plan.old.as_ref().map_or(0, |old| old.serial),
            new_serial: serial,
            old_bytes,
            new_bytes: bytes,
            subject: edge,
            thread: cold.slot,
            kind: event::KIND_REALLOC as u8,
            flags: sampled_flag(plan.weight)
                | if in_place {
                    event::FLAG_IN_PLACE as u8
                } else {
                    0
                },
            pause_ticks: pause,
        });
        cold.counters.recorded += 1;
        cold.spent(end, recording, settings);
    }
}

/// Whether the block was recorded with certainty.
fn certain(record: &LiveRecord) -> bool {
    record.weight == CERTAIN && u64::from(record.flags) & live::FLAG_FOLLOWED == 0
}

/// Weight of a replacement that was seen only because both blocks were recorded: one over the
/// probability of that. `old` `None`: a block that is looked for whenever `new` is recorded.
fn weight_of_replacement(
    old: Option<&LiveRecord>,
    new: &LiveRecord,
    old_in_filter: bool,
) -> Option<u32> {
    match old {
        None => Some(new.weight),
        Some(old) if certain(old) => Some(new.weight),
        Some(_) if certain(new) && !old_in_filter => Some(CERTAIN),
        // Recorded by chance of an even earlier block: not to be counted.
        Some(old) if u64::from(old.flags) & live::FLAG_FOLLOWED != 0 => None,
        Some(old) => {
            let product = u64::from(old.weight) * u64::from(new.weight) / WEIGHT_ONE;
            Some(u32::try_from(product).unwrap_or(u32::MAX))
        }
    }
}

fn sampled_flag(weight: u32) -> u8 {
    if weight == CERTAIN {
        0
    } else {
        event::FLAG_SAMPLED as u8
    }
}

/// Puts a block into the live table and counts it at its site.
fn insert(
    recording: &Recording,
    settings: &Settings,
    address: usize,
    record: &LiveRecord,
    late: bool,
) -> Option<Slot> {
    let Some(slot) = recording.live.insert(address as u64, record) else {
        recording.count(header::TABLES_UNTRACKED, 1);
        return None;
    };
    if in_filter(settings, record.bytes as usize) {
        FILTER.add(address);
    }
    let figures = BlockFigures {
        bytes: record.bytes,
        weight: record.weight,
        align_log2: record.align_log2,
        late,
    };
    if u64::from(record.flags) & live::FLAG_FOLLOWED == 0 {
        recording
            .sites
            .allocated(record.site, &figures, record.ticks);
    }
    Some(slot)
}

/// The site of a capture, looked up only when the memo does not know it.
#[inline]
fn site_of(recording: &Recording, entry: Entry, capture: &mut Capture<'_>) -> u32 {
    match capture.site.checked_sub(1) {
        Some(site) => site,
        None => find_site(recording, entry, capture),
    }
}

#[cold]
fn find_site(recording: &Recording, entry: Entry, capture: &mut Capture<'_>) -> u32 {
    let _errno = ErrnoGuard::save();
    let addresses = capture.returns().iter().map(|frame| frame.pc);
    let hash = |mut sum: u64, address: u64| {
        sum = (sum ^ address).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum ^ (sum >> 29)
    };
    let key = SiteKey {
        hash: addresses.clone().fold(u64::from(entry.code()), hash),
        entry: entry.code(),
        truncated: capture.truncated,
    };
    let site = recording
        .sites
        .find_or_create(&key, addresses.clone(), || SiteOrigin {
            ticks: clock::ticks(),
            module_epoch: recording.register_modules(addresses.clone()),
            group: (capture.caller_function_start != 0).then(|| {
                addresses
                    .clone()
                    .skip(1)
                    .fold(hash(7, capture.caller_function_start), hash)
            }),
        });
    *capture.site = site + 1;
    site
}

/// Makes an edge of what a free turned out to be, and hands the old block's history on. `None`
/// when the block was dropped, which is then on the timeline.
fn settle(
    recording: &Recording,
    settings: &Settings,
    cold: &mut Cold,
    old_bytes: u64,
    old: Option<&LiveRecord>,
    outcome: &Outcome,
    now: u64,
) -> Option<Freed> {
    let (pending, join) = match outcome {
        Outcome::Replaced(pending, join) | Outcome::Abandoned(pending, join) => (pending, join),
        Outcome::Dropped => {
            let old = old?;
            recording.births.publish(&Event {
                ticks: now,
                old_serial: old.serial,
                old_bytes,
                subject: old.site,
                thread: cold.slot,
                kind: event::KIND_DROP as u8,
                flags: sampled_flag(old.weight),
                ..Event::default()
            });
            return None;
        }
    };
    let kind = outcome.kind()?;
    let abandoned = kind == edge::KIND_ABANDON;
    let mut new = match old {
        Some(old) if abandoned => *old,
        _ => recording.live.read(pending.slot, pending.address as u64)?,
    };
    if new.serial != pending.serial {
        return None;
    }
    let weight = if abandoned {
        Some(new.weight)
    } else {
        weight_of_replacement(old, &new, in_filter(settings, old_bytes as usize))
    };
    let old_site = match old {
        Some(old) if certain(old) && weight == Some(CERTAIN) => old.site,
        _ => edge::NO_SITE,
    };
    let key = EdgeKey {
        new_site: pending.site,
        old_site,
        join: join.frame,
        kind: kind as u8,
        free_pc: join.free_pc,
    };
    let edge = recording.edges.find_or_create(&key, join.free_callee_pc);
    let event = Event {
        ticks: now,
        old_serial: old.map_or(0, |old| old.serial),
        new_serial: new.serial,
        old_bytes,
        new_bytes: new.bytes,
        subject: edge,
        thread: cold.slot,
        kind: kind as u8,
        flags: sampled_flag(new.weight),
        pause_ticks: 0,
    };
    let figures = ReplaceFigures {
        old_bytes,
        new_bytes: new.bytes,
        copied: if abandoned {
            0
        } else {
            old_bytes.min(new.bytes)
        },
        overlap: if abandoned { 0 } else { old_bytes + new.bytes },
        in_place: false,
        pause_ticks: 0,
        end_ticks: now,
        weight: weight.unwrap_or(0),
    };
    if abandoned {
        recording.edges.count(edge, &figures);
        recording.births.publish(&event);
        return None;
    }
    continue_history(recording, &mut new, old, old_bytes, edge, now);
    recording
        .live
        .update(pending.slot, pending.address as u64, &new);
    Some(Freed {
        edge,
        figures,
        event,
        start: pending.start_ticks,
    })
}

/// Makes `new` the successor of `old` (`None`: a block that was not recorded).
fn continue_history(
    recording: &Recording,
    new: &mut LiveRecord,
    old: Option<&LiveRecord>,
    old_bytes: u64,
    edge: u32,
    now: u64,
) {
    let mut previous = 0;
    match old {
        Some(old) => {
            previous = old.history;
            new.resizes = old.resizes.saturating_add(1);
            new.born_ticks = old.born_ticks;
            new.first_serial = old.first_serial;
            new.flags |= old.flags & (live::FLAG_LATE | live::FLAG_HISTORY_CUT) as u8;
            if new.resizes.is_multiple_of(HISTORY_MOST) {
                recording.history.release_chain(previous);
                previous = 0;
                new.flags |= live::FLAG_HISTORY_CUT as u8;
            }
        }
        None => {
            new.resizes = 1;
            new.flags |= live::FLAG_LATE as u8;
        }
    }
    let earlier = Earlier {
        previous,
        edge,
        bytes: old_bytes,
        serial: old.map_or(0, |old| old.serial),
        ticks: now,
    };
    match recording.history.push(&earlier) {
        Some(chain) => new.history = chain,
        None => {
            recording.count(header::HISTORY_DROPPED, 1);
            new.history = previous;
            new.flags |= live::FLAG_HISTORY_CUT as u8;
        }
    }
}
