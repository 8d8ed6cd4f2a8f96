//! The atomics that the recording's words are made of: the real ones, or loom's in its models.

#[cfg(not(all(test, loom)))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// Loads a word so that, of two threads that each write one word and then load the other's in this
/// way, at least one sees what the other wrote.
#[cfg(not(all(test, loom)))]
pub(crate) fn load_after_own_write(word: &AtomicU64) -> u64 {
    word.load(Ordering::SeqCst)
}

/// Loom knows no total order of sequentially consistent accesses; reading as part of a
/// read-modify-write gives the same guarantee.
#[cfg(all(test, loom))]
pub(crate) fn load_after_own_write(word: &AtomicU64) -> u64 {
    word.fetch_or(0, Ordering::AcqRel)
}
