//! Whether the program has entered a sandbox: a filter of system calls that ends it at one that it
//! does not need itself.
//!
//! From then on the recorder makes no call that a program's own use of `malloc` would not make.
//! What the regions of the recording have room for is recorded on; nothing is dumped; the
//! recording's file is what is left. Only the preload library sees the call by which a program
//! enters (`ffi/src/sandbox.rs`).

use core::sync::atomic::{AtomicBool, Ordering};

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether it has.
#[inline]
pub fn entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

/// Notes that it does so now.
pub fn enter() {
    ENTERED.store(true, Ordering::Release);
}
