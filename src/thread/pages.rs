//! Where the cold part of a thread lies: pages of its own, with a header that other threads read.
//!
//! A thread cannot tell us that it ends. Its pages stay in a list, and one that starts later asks
//! the kernel whether their owner is gone, and takes them over.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::Cold;
use crate::recording::{Recording, private_pages};
use crate::task::{has_ended, own_identity};
use mapgrow_format::layout::header;

/// Pages asked about before new ones are mapped.
const ASKED: usize = 8;

/// The pages of a thread. Other threads read the first two fields, its owner alone touches the
/// last: no reference to the whole is ever made.
struct Pages {
    /// Thread and process that they belong to.
    owner: AtomicU64,
    /// Those that were made before; never changed once they are in the list.
    next: *mut Pages,
    cold: Cold,
}

/// All that were ever made; they are handed on, never given back.
static ALL: AtomicPtr<Pages> = AtomicPtr::new(ptr::null_mut());
/// Where the search for an ended thread goes on.
static CURSOR: AtomicPtr<Pages> = AtomicPtr::new(ptr::null_mut());

/// The cold part in pages that are the calling thread's from now on: those of an ended thread, with
/// what that left in them, or new ones, all zero. `None` when there is no memory.
pub(super) fn take(recording: &Recording) -> Option<*mut Cold> {
    let pages = adopt().or_else(|| create(recording))?;
    // SAFETY: a place in pages that are never unmapped.
    Some(unsafe { &raw mut (*pages).cold })
}

/// Makes the calling thread the owner of its pages in this process: the copy that a child of `fork`
/// has still names the parent's thread.
///
/// # Safety
/// `cold` came from [`take`], on this thread or the one that this is a copy of.
pub(super) unsafe fn keep(cold: *mut Cold) {
    // SAFETY: it lies in pages that are never unmapped, at this offset.
    let owner = unsafe {
        let pages = cold
            .byte_sub(core::mem::offset_of!(Pages, cold))
            .cast::<Pages>();
        &(*pages).owner
    };
    owner.store(own_identity(), Ordering::Release);
}

fn adopt() -> Option<*mut Pages> {
    let mut at = CURSOR.load(Ordering::Acquire);
    for _ in 0..ASKED {
        if at.is_null() {
            at = ALL.load(Ordering::Acquire);
            if at.is_null() {
                return None;
            }
        }
        // SAFETY: pages in the list are never unmapped. What is read is an atomic and a word that
        // nobody changes any more; the owner's part is not touched.
        let (owner, next) = unsafe { (&(*at).owner, (*at).next) };
        let before = owner.load(Ordering::Acquire);
        if has_ended(before)
            && owner
                .compare_exchange(before, own_identity(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        {
            CURSOR.store(next, Ordering::Release);
            return Some(at);
        }
        at = next;
    }
    CURSOR.store(at, Ordering::Release);
    None
}

fn create(recording: &Recording) -> Option<*mut Pages> {
    let size = core::mem::size_of::<Pages>();
    let pages = private_pages(size)?.cast::<Pages>();
    recording.count(header::PRIVATE_BYTES, size as u64);
    let mut head = ALL.load(Ordering::Acquire);
    loop {
        // SAFETY: fresh pages that nobody else knows until they are in the list. Zero is valid for
        // what they hold.
        unsafe {
            (*pages).owner.store(own_identity(), Ordering::Relaxed);
            (*pages).next = head;
        }
        match ALL.compare_exchange_weak(head, pages, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(pages),
            Err(now) => head = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a child of `fork` no thread has the ids of the parent's threads. The pages are not
    /// abandoned for that: one of them goes on there, in a thread that uses its own.
    #[test]
    fn a_child_of_fork_takes_no_pages_of_its_parents_threads() {
        let size = core::mem::size_of::<Pages>();
        let pages = private_pages(size).expect("memory").cast::<Pages>();
        // SAFETY: fresh pages, which stay; zero is valid for what they hold.
        unsafe {
            (*pages).owner.store(own_identity(), Ordering::Relaxed);
            (*pages).next = ptr::null_mut();
        }
        let head = ALL.swap(pages, Ordering::AcqRel);
        assert!(head.is_null(), "nobody else here records");
        assert!(adopt().is_none(), "its thread is there");
        // SAFETY: the child makes system calls alone.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let code = i32::from(adopt().is_some());
            // SAFETY: ends the child.
            unsafe { libc::syscall(libc::SYS_exit_group, code) };
        }
        let mut status = 0;
        // SAFETY: waits for the child that was just made.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "the child took them");
        let found = std::thread::spawn(|| adopt().is_some()).join();
        assert!(!found.expect("a thread"), "its thread is still there");
        // SAFETY: the pages stay.
        unsafe {
            let gone = std::thread::spawn(own_identity).join().expect("a thread");
            (*pages).owner.store(gone, Ordering::Relaxed);
        }
        assert_eq!(adopt(), Some(pages), "its thread has ended");
        assert!(adopt().is_none(), "and it is this one's now");
    }
}
