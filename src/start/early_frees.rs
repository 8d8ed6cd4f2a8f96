//! Frees of blocks as large as recorded ones while nothing is recorded: a child of `fork` frees
//! what it inherited before it allocates anything.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::sandbox;

/// The process in bits 32..64, for a child has a copy; their number in bits 0..32.
static COUNTED: AtomicU64 = AtomicU64::new(0);

/// Counts a free of a block that is not known because nothing is recorded yet.
pub(crate) fn count() {
    if sandbox::entered() {
        return;
    }
    let own = u64::from(std::process::id()) << 32;
    let _ = COUNTED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counted| {
        let before = if counted >> 32 == own >> 32 {
            counted
        } else {
            own
        };
        // A full count stays.
        (before as u32 != u32::MAX).then(|| before + 1)
    });
}

/// Takes the count of this process: from now on such frees are counted in the recording.
pub(super) fn take() -> u64 {
    let counted = COUNTED.swap(0, Ordering::Relaxed);
    if counted >> 32 == u64::from(std::process::id()) {
        counted & u64::from(u32::MAX)
    } else {
        0
    }
}
