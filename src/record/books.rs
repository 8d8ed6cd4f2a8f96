//! Putting a block on record and taking it off, at its site and in the live table.

use super::{CERTAIN, Entry};
use crate::config::Settings;
use crate::hook::FILTER;
use crate::recording::Recording;
use crate::stack::Capture;
use crate::tables::live::{LiveRecord, Slot};
use crate::tables::sites::{BlockFigures, SiteKey, SiteOrigin};
use crate::thread;
use mapgrow_format::layout::{event, header, live};
use mapgrow_system::clock;
use mapgrow_system::sys::ErrnoGuard;

/// Takes a block out of the live table and counts it as freed `now`.
#[inline(always)]
pub(super) fn take_out(
    recording: &Recording,
    settings: &Settings,
    slot: Slot,
    address: usize,
    now: u64,
) -> Option<LiveRecord> {
    let record = recording.live.remove(slot, address as u64)?;
    if in_filter(settings, record.bytes as usize) {
        FILTER.remove(address, filter_align(settings, record.align_log2));
    }
    count_freed(recording, &record, now);
    Some(record)
}

#[inline(always)]
pub(super) fn count_freed(recording: &Recording, record: &LiveRecord, now: u64) {
    if u64::from(record.flags) & live::FLAG_FOLLOWED == 0 {
        recording
            .sites
            .freed(record.site, record.bytes, record.weight, now);
    }
}

/// Whether a block that is freed was certainly large enough to be recorded. Where `free` does not tell
/// the size, `bytes` is the block's usable size, which the allocator rounds up by at most a quarter.
#[inline]
pub(super) fn surely_large(settings: &Settings, bytes: usize) -> bool {
    if settings.sizes_known {
        bytes >= settings.floor
    } else {
        bytes > settings.floor.saturating_add(settings.floor / 4)
    }
}

/// Whether a block of this size is found by its page when freed, not by its size.
pub(super) fn in_filter(settings: &Settings, bytes: usize) -> bool {
    bytes < thread::free_floor(settings)
}

/// The alignment by which the filter has a block: 1 where a free does not say it.
pub(super) fn filter_align(settings: &Settings, align_log2: u8) -> usize {
    if settings.sizes_known {
        1 << align_log2.min(63)
    } else {
        1
    }
}

pub(super) fn sampled_flag(weight: u32) -> u8 {
    if weight == CERTAIN {
        0
    } else {
        event::FLAG_SAMPLED as u8
    }
}

/// Puts a block into the live table and counts it at its site.
#[inline(always)]
pub(super) fn insert(
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
        FILTER.add(address, filter_align(settings, record.align_log2));
    }
    let figures = BlockFigures {
        bytes: record.bytes,
        weight: record.weight,
        align_log2: record.align_log2,
        late,
        untold: u64::from(record.flags) & live::FLAG_UNTOLD != 0,
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
pub(super) fn site_of(recording: &Recording, entry: Entry, capture: &mut Capture<'_>) -> u32 {
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
    let site = recording.sites.find_or_create(&key, addresses.clone(), || {
        #[cfg(feature = "preload")]
        note_scripts(recording, capture);
        SiteOrigin {
            ticks: clock::ticks(),
            // SAFETY: the capture is of this call, so the thread is still in the frames.
            module_epoch: unsafe { recording.register_modules(addresses.clone()) },
            group: (capture.caller_function_start != 0).then(|| {
                addresses
                    .clone()
                    .skip(1)
                    .fold(hash(7, capture.caller_function_start), hash)
            }),
        }
    });
    *capture.site = site + 1;
    site
}

/// Records the interpreted functions that a stack of the calling thread leads through.
#[cfg(feature = "preload")]
fn note_scripts(recording: &Recording, capture: &Capture<'_>) {
    recording.note_interpreter(crate::stack::python::told());
    for frame in capture.script_functions() {
        recording.scripts.note(frame.key, |record| {
            // SAFETY: the capture is of this call, so the thread is still in the frames.
            unsafe {
                record.line = frame.line();
                frame.file(record.file());
                frame.function(record.function());
            }
        });
    }
}
