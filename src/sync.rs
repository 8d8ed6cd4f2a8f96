//! The atomics that the recording's words are made of: the real ones, or loom's in its models;
//! and the read-modify-write operations that are worth doing without the bus lock when they can.

#[cfg(all(target_arch = "x86_64", not(any(miri, all(test, loom)))))]
mod alone;

#[cfg(not(all(test, loom)))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// How several words are counted in right after each other: whether this thread is the only one is
/// asked once for all of them.
#[derive(Clone, Copy)]
pub(crate) struct Counting {
    #[cfg(all(target_arch = "x86_64", not(any(miri, all(test, loom)))))]
    alone: bool,
}

impl Counting {
    /// To be asked right before the words are counted in.
    #[inline(always)]
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(all(target_arch = "x86_64", not(any(miri, all(test, loom)))))]
            alone: alone::alone(),
        }
    }

    /// [`add`].
    #[inline(always)]
    pub(crate) fn add(self, word: &AtomicU64, amount: u64) {
        #[cfg(all(target_arch = "x86_64", not(any(miri, all(test, loom)))))]
        if self.alone {
            return alone::add(word, amount);
        }
        word.fetch_add(amount, Ordering::Relaxed);
    }

    /// [`fetch_add`].
    #[inline(always)]
    pub(crate) fn fetch_add(self, word: &AtomicU64, amount: u64) -> u64 {
        #[cfg(all(target_arch = "x86_64", not(any(miri, all(test, loom)))))]
        if self.alone {
            return alone::fetch_add(word, amount);
        }
        word.fetch_add(amount, Ordering::Relaxed)
    }
}

/// Adds to a word and gives what it held before. Orders nothing else.
#[inline(always)]
pub(crate) fn fetch_add(word: &AtomicU64, amount: u64) -> u64 {
    Counting::begin().fetch_add(word, amount)
}

/// Adds to a word and gives what it held before. What comes before it stays before, what comes
/// after it after.
#[inline(always)]
pub(crate) fn fetch_add_ordered(word: &AtomicU64, amount: u64) -> u64 {
    #[cfg(all(target_arch = "x86_64", not(any(miri, all(test, loom)))))]
    if alone::alone() {
        return alone::fetch_add(word, amount);
    }
    word.fetch_add(amount, Ordering::AcqRel)
}

/// Adds to a word. Orders nothing else.
#[inline(always)]
pub(crate) fn add(word: &AtomicU64, amount: u64) {
    Counting::begin().add(word, amount);
}

/// [`AtomicU64::compare_exchange`].
#[inline(always)]
pub(crate) fn compare_exchange(
    word: &AtomicU64,
    current: u64,
    new: u64,
    success: Ordering,
    failure: Ordering,
) -> Result<u64, u64> {
    #[cfg(all(target_arch = "x86_64", not(any(miri, all(test, loom)))))]
    if alone::alone() {
        return alone::compare_exchange(word, current, new);
    }
    word.compare_exchange(current, new, success, failure)
}

/// Has a record fetched into the cache that will be written to soon. It need not be backed by memory.
#[inline(always)]
pub(crate) fn prefetch<T>(record: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: reads nothing that the program could notice, and faults nowhere.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(record).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = record;
}

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

/// Marks a place where a thread that is stopped gives others room to come in between. Nothing,
/// unless built to look for that (`--cfg mapgrow_preempt`): then it stops now and then.
#[cfg(not(mapgrow_preempt))]
#[inline(always)]
pub(crate) fn preemption_point() {}

#[cfg(mapgrow_preempt)]
pub(crate) fn preemption_point() {
    let now = mapgrow_system::clock::monotonic_ns() / 8;
    if now.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59 == 0 {
        let nap = libc::timespec {
            tv_sec: 0,
            tv_nsec: 30_000,
        };
        // SAFETY: both pointers are as `nanosleep` asks for.
        unsafe { libc::nanosleep(&raw const nap, core::ptr::null_mut()) };
    }
}
