//! Read-modify-write without the bus lock while the process has one thread.
//!
//! A locked instruction costs about twenty cycles though nobody else is there. The C library
//! says whether somebody could be (`__libc_single_threaded`, glibc 2.32 and later): the byte is
//! set only while no other thread exists, and cleared before `pthread_create` starts one. A
//! thread made past the C library, by a bare `clone` that shares memory, is not known to it;
//! the C library's own locks do not work beside such a thread either.
//!
//! Without the lock prefix it is still *one instruction*. So what a locked one gives against
//! everything but another CPU remains: a signal handler comes before or after it, a kill leaves
//! the word old or new, and who reads the word from another process sees one or the other. Nobody
//! outside writes to these words. And x86_64 keeps all loads and all stores in order but for a
//! load that overtakes a store, which nothing here relies on.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Whether the calling thread is the only one of the process.
///
/// To be asked right before each use: between the two only a signal handler could start another.
#[inline(always)]
pub(crate) fn alone() -> bool {
    let flag: *const AtomicU8;
    // SAFETY: reads one word of our own global offset table, which is 0 for a weak symbol that
    // nobody defines.
    unsafe {
        core::arch::asm!(
            ".weak __libc_single_threaded",
            "mov {}, qword ptr [rip + __libc_single_threaded@GOTPCREL]",
            out(reg) flag,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    // SAFETY: null, or the C library's `char`, which exists as long as the process and is
    // written by the C library alone.
    unsafe { flag.as_ref() }.is_some_and(|flag| flag.load(Ordering::Relaxed) != 0)
}

/// Adds to a word in one instruction and gives what it held before.
///
/// No update is lost only if no other thread writes to the word meanwhile.
#[inline(always)]
pub(crate) fn fetch_add(word: &AtomicU64, amount: u64) -> u64 {
    let before;
    // SAFETY: the reference is valid for reads and writes of its 8 aligned bytes, which are
    // accessed as a whole, as atomics are. Registers are given back as declared.
    unsafe {
        core::arch::asm!(
            "xadd qword ptr [{word}], {amount}",
            word = in(reg) word.as_ptr(),
            amount = inout(reg) amount => before,
            options(nostack),
        );
    }
    before
}

/// Adds to a word in one instruction, as [`fetch_add`].
#[inline(always)]
pub(crate) fn add(word: &AtomicU64, amount: u64) {
    // SAFETY: the reference is valid for 8 aligned bytes; one instruction reads and writes them.
    unsafe {
        core::arch::asm!(
            "add qword ptr [{word}], {amount}",
            word = in(reg) word.as_ptr(),
            amount = in(reg) amount,
            options(nostack),
        );
    }
}

/// Replaces `current` by `new` in one instruction; what the word held before, `Ok` if that was
/// `current`. Under the condition of [`fetch_add`].
#[inline(always)]
pub(crate) fn compare_exchange(word: &AtomicU64, current: u64, new: u64) -> Result<u64, u64> {
    let before;
    // SAFETY: the same; `cmpxchg` writes `new` or leaves the word, and `rax` is declared.
    unsafe {
        core::arch::asm!(
            "cmpxchg qword ptr [{word}], {new}",
            word = in(reg) word.as_ptr(),
            new = in(reg) new,
            inout("rax") current => before,
            options(nostack),
        );
    }
    if before == current {
        Ok(before)
    } else {
        Err(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_changed_as_by_the_locked_ones() {
        let word = AtomicU64::new(u64::MAX - 1);
        assert_eq!(fetch_add(&word, 5), u64::MAX - 1);
        assert_eq!(word.load(Ordering::Relaxed), 3);
        add(&word, 4);
        assert_eq!(word.load(Ordering::Relaxed), 7);
        assert_eq!(compare_exchange(&word, 8, 9), Err(7));
        assert_eq!(word.load(Ordering::Relaxed), 7);
        assert_eq!(compare_exchange(&word, 7, 9), Ok(7));
        assert_eq!(word.load(Ordering::Relaxed), 9);
    }

    #[test]
    fn a_process_with_two_threads_is_not_alone() {
        // The test harness may run this on its only thread.
        let other = std::thread::spawn(alone);
        assert!(!alone(), "another thread was started and not yet joined");
        assert!(!other.join().expect("it only looks"));
    }
}
