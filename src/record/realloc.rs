//! Blocks that are reallocated.

use super::books::{count_freed, filter_align, in_filter, insert, sampled_flag, site_of};
use super::follow::{Leaving, certain, drop_map, heritage_of, tell_late, untold};
use super::{CERTAIN, Entry, Session, alone, forget};
use crate::calibration;
use crate::config::Settings;
use crate::hook::{self, FILTER};
use crate::life::existing_recording;
use crate::recording::Recording;
use crate::stack::Registers;
use crate::tables::edges::{EdgeKey, ReplaceFigures};
use crate::tables::live::LiveRecord;
use crate::thread::{self, Cold, HOT};
use crate::timeline::Event;
use mapgrow_format::layout::{edge, event, header, live};
use mapgrow_system::clock;

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

/// What became of a block that was reallocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Nothing: the reallocation failed.
    Nowhere,
    /// No byte was copied, and old and new block were never there at one time. Its address.
    InPlace(usize),
    /// It was copied to this address.
    Copied(usize),
}

impl Moved {
    /// By the addresses before and after (0: it failed).
    #[inline]
    pub(crate) fn by_address(before: usize, after: usize) -> Self {
        match after {
            0 => Self::Nowhere,
            _ if after == before => Self::InPlace(after),
            _ => Self::Copied(after),
        }
    }
}

impl ReallocPlan {
    /// The edge that it is counted at.
    fn edge(&self) -> EdgeKey {
        let old_site = match &self.old {
            Some(old) if certain(old) && self.weight == CERTAIN => old.site,
            _ => edge::NO_SITE,
        };
        EdgeKey {
            new_site: self.site,
            old_site,
            join: 0,
            kind: edge::KIND_REALLOC as u8,
            free_pc: 0,
        }
    }

    /// The new block, before it has inherited anything.
    fn record(&self, serial: u64, thread: u16) -> LiveRecord {
        LiveRecord {
            site: self.site,
            bytes: self.bytes as u64,
            ticks: self.start,
            serial,
            history: 0,
            thread,
            align_log2: self.align_log2,
            flags: if self.followed {
                live::FLAG_FOLLOWED as u8
            } else {
                0
            },
            weight: self.weight,
            resizes: 0,
            born_ticks: self.start,
            first_serial: serial,
        }
    }

    /// Puts the record of a block that could not be reallocated back into the live table.
    fn stays(&self, recording: &Recording, cold: &mut Cold, settings: &Settings, now: u64) {
        let Some(old) = &self.old else { return };
        if untold(old) && alone::put_back(recording, cold, self.address, old) {
            return;
        }
        if recording.live.insert(self.address as u64, old).is_some() {
            if in_filter(settings, old.bytes as usize) {
                FILTER.add(self.address, filter_align(settings, old.align_log2));
            }
            return;
        }
        // Its place was taken meanwhile and there is no other: it is known no longer.
        recording.count(header::TABLES_UNTRACKED, 1);
        count_freed(recording, old, now);
        recording.history.release_chain(old.history);
        let leaving = Leaving {
            record: Some(old),
            bytes: old.bytes,
            now,
        };
        drop_map(recording, cold.slot, &leaving);
    }
}

impl Session {
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
            // SAFETY: the registers are this function's, which has not returned.
            unsafe { calibration::learn(&Registers::here()) };
            return None;
        };
        let settings = &state.settings;
        let (flush_due, floor) = HOT.with(|hot| {
            // The fast path of frees sees a size of 0 where none is known.
            let seen = if settings.sizes_known { old_bytes } else { 0 };
            if !hook::counts_reallocation(seen, bytes) {
                hot.count_allocated(bytes);
                hot.count_freed(seen);
            }
            // The fast path of reallocations does not count tables.
            if align >= thread::TABLE_ALIGN {
                hot.tables_countdown
                    .set(hot.tables_countdown.get() - bytes as i64);
            }
            thread::prime(hot, settings);
            (hot.flush_is_due(), hot.floor.get())
        });
        if bytes < floor && !flush_due && existing_recording().is_none() {
            return None;
        }
        let Some((_, recording, cold)) = self.attach() else {
            forget(address);
            return None;
        };
        let entered = clock::ticks();
        let heap_sample = flush_due && cold.flush(recording);
        let align_log2 = align.trailing_zeros() as u8;
        let block = (address, old_bytes, align_log2);
        let alone = alone::find(recording, settings, cold, block);
        let old = match alone {
            Some(found) => Some(alone::take(&found, align_log2, cold.serial.next())),
            None => {
                let found = recording.live.find(address as u64);
                found.and_then(|slot| recording.live.remove(slot, address as u64))
            }
        };
        if let Some(old) = &old
            && in_filter(settings, old.bytes as usize)
        {
            FILTER.remove(address, filter_align(settings, old.align_log2));
        }
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
        // SAFETY: the registers are this function's, which returns after the capture; `Busy` proves
        // that `stacks` is in use nowhere else on this thread.
        let mut capture = unsafe {
            cold.stacks
                .capture_for_site(&Registers::here(), &state.entry_frames)
        };
        cold.counters.captured(capture.outcome);
        let site = site_of(recording, Entry::Realloc, &mut capture);
        cold.pending.forget(address);
        cold.spent(entered, recording, settings);
        Some(ReallocPlan {
            address,
            old_bytes,
            bytes,
            align_log2,
            weight,
            followed,
            site,
            old,
            start: clock::ticks(),
        })
    }

    /// Records where a block went.
    pub(crate) fn reallocated(&mut self, plan: &ReallocPlan, moved: Moved) {
        let end = clock::ticks();
        let Some((state, recording, cold)) = self.attach() else {
            return;
        };
        let settings = &state.settings;
        let (old_bytes, bytes) = (plan.old_bytes as u64, plan.bytes as u64);
        let (in_place, moved) = match moved {
            Moved::InPlace(address) => (true, address),
            Moved::Copied(address) => (false, address),
            Moved::Nowhere => (true, 0),
        };
        if moved == 0 {
            return plan.stays(recording, cold, settings, end);
        }
        // While it was copied there were both: the old one is still counted.
        let both = recording.sites.live_bytes().saturating_add(bytes);
        if let Some(old) = &plan.old {
            count_freed(recording, old, end);
        }
        let key = plan.edge();
        let edge = cold.edges.find_or_create(&recording.edges, &key, 0);
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
        let serial = cold.serial.next();
        let mut record = plan.record(serial, cold.slot);
        let leaving = Leaving {
            record: plan.old.as_ref(),
            bytes: old_bytes,
            now: end,
        };
        record.inherit(&heritage_of(recording, &leaving, edge));
        if insert(recording, settings, moved, &record, plan.old.is_none()).is_none() {
            // Nothing is known of the new block, so the old one's map ends here.
            recording.history.release_chain(record.history);
            return drop_map(recording, cold.slot, &leaving);
        }
        if !plan.followed {
            recording.edges.count(edge, &figures);
        }
        tell_late(recording, plan.old.as_ref());
        if !in_place && plan.old.as_ref().is_some_and(certain) {
            recording.sites.copied(both, old_bytes, end);
        }
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
