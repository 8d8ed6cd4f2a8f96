//! What is done and asked of recorded blocks by those that are not in a session.

#[cfg(feature = "preload")]
use super::AllocationPlan;
use super::books::take_out;
use super::follow::{Leaving, drop_map};
use super::{NO_THREAD, alone};
use crate::life::{State, existing_recording};
use mapgrow_system::clock;

/// Removes what is recorded of a block that is freed or moved while the thread is already in the
/// recorder (in a signal handler, say), or has no pages of its own.
#[cold]
#[inline(never)]
pub(crate) fn forget(address: usize) {
    let (Some(state), Some(recording)) = (State::get(), existing_recording()) else {
        return;
    };
    let now = clock::ticks();
    if let Some(found) = recording.untold.find_anew(address) {
        return alone::free(recording, &found, now);
    }
    let Some(slot) = recording.live.find(address as u64) else {
        return;
    };
    if let Some(old) = take_out(recording, &state.settings, slot, address, now) {
        let leaving = Leaving {
            record: Some(&old),
            bytes: old.bytes,
            now,
        };
        drop_map(recording, NO_THREAD, &leaving);
        recording.history.release_chain(old.history);
    }
}

/// Size and alignment under which a block is recorded, if it is.
#[cfg(feature = "preload")]
pub(crate) fn recorded(address: usize) -> Option<(usize, usize)> {
    let recording = existing_recording()?;
    let slot = recording.live.find(address as u64)?;
    let record = recording.live.read(slot, address as u64)?;
    Some((record.bytes as usize, 1 << record.align_log2.min(63)))
}

/// Whether a block is recorded that was allocated since the plan was made.
#[cfg(feature = "preload")]
pub(crate) fn recorded_since(address: usize, plan: &AllocationPlan) -> bool {
    existing_recording().is_some_and(|recording| {
        let slot = recording.live.find(address as u64);
        let record = slot.and_then(|slot| recording.live.read(slot, address as u64));
        record.is_some_and(|record| record.ticks >= plan.start)
    })
}
