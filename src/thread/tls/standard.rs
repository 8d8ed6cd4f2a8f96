//! [`Hot`] in the standard library's thread-local storage.

use core::cell::Cell;

use super::super::hot::Hot;

thread_local! {
    /// The calling thread's [`Hot`].
    pub(crate) static HOT: Hot = const { Hot::new() };
}

/// Takes `size` off a countdown; false when it is below 0 then.
#[inline(always)]
fn count_down(countdown: &Cell<i64>, size: usize) -> bool {
    let left = countdown.get().wrapping_sub(size as i64);
    countdown.set(left);
    left >= 0
}

/// Counts bytes allocated; false when the countdown has run out.
#[inline(always)]
pub(crate) fn count_allocated(size: usize) -> bool {
    HOT.with(|hot| count_down(&hot.allocate_countdown, size))
}

/// Counts bytes of a table-shaped block; false when the countdown has run out.
#[inline(always)]
pub(crate) fn count_table(size: usize) -> bool {
    HOT.with(|hot| count_down(&hot.tables_countdown, size))
}

/// Counts bytes freed; false when the countdown has run out.
#[inline(always)]
pub(crate) fn count_freed(size: usize) -> bool {
    HOT.with(|hot| count_down(&hot.free_countdown, size))
}

/// Whether the countdown of bytes freed has not run out.
#[cfg(feature = "preload")]
#[inline(always)]
pub(crate) fn frees_pass() -> bool {
    HOT.with(|hot| hot.free_countdown.get() >= 0)
}
