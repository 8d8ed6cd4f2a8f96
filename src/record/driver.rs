//! The way of a block through the recorder, whoever asks: the program through its global allocator,
//! or through the C library's functions that the preload library stands in front of.
//!
//! What differs is given: how a call into the recorder begins, who serves the request (`forward`),
//! and how large a block is known to be. Blocks that may go the short way do.

use super::short::Short;
use super::{Entry, Moved, Session, forget, refuse_own_allocation};
use crate::thread::forwarding;

/// Allocates by `forward`, which returns the block or null, and records the block if it is one to
/// record.
#[inline(always)]
pub(crate) fn allocate<T>(
    begin: impl FnOnce() -> Option<Session>,
    entry: Entry,
    (bytes, align): (usize, usize),
    forward: impl FnOnce() -> *mut T,
) -> *mut T {
    if let Some(mut short) = Short::begin_allocation(bytes) {
        let block = forwarding(forward);
        if !block.is_null() {
            short.allocated(entry, (bytes, align), block.addr());
        }
        return block;
    }
    let Some(mut session) = begin() else {
        refuse_own_allocation();
        return forward();
    };
    let plan = session.plan_allocation(entry, bytes, align);
    let block = forwarding(forward);
    if let Some(plan) = plan
        && !block.is_null()
    {
        session.allocated(&plan, block.addr());
    }
    block
}

/// Frees by `forward`, after whatever is recorded of the block was taken out. `said`: bytes and
/// alignment of the block where that was said, else 0 and 1. `held` tells both in any case.
#[inline(always)]
pub(crate) fn free(
    begin: impl FnOnce() -> Option<Session>,
    address: usize,
    said: (usize, usize),
    held: impl FnOnce() -> (usize, usize),
    forward: impl FnOnce(),
) {
    if let Some(mut short) = Short::begin(said.0)
        && short.freed(said, address)
    {
        return forwarding(forward);
    }
    let Some(mut session) = begin() else {
        forget(address);
        return forward();
    };
    let (bytes, align) = held();
    let freed = session.freed(address, bytes, align);
    forwarding(forward);
    if let Some(freed) = freed {
        session.finish_free(&freed);
    }
}

/// Reallocates by `forward`, which returns the block or null, and what became of the old one. If
/// the move is to be recorded, `forward` is told the old block's size. `held` as in [`free`].
#[inline(always)]
pub(crate) fn reallocate<T>(
    session: Option<Session>,
    address: usize,
    bytes: usize,
    held: impl FnOnce() -> (usize, usize),
    forward: impl FnOnce(Option<usize>) -> (*mut T, Moved),
) -> *mut T {
    let Some(mut session) = session else {
        refuse_own_allocation();
        forget(address);
        return forward(None).0;
    };
    let (old, align) = held();
    let plan = session.plan_realloc(address, old, bytes, align);
    let recorded = plan.as_ref().map(|_| old);
    let (block, moved) = forwarding(|| forward(recorded));
    if let Some(plan) = plan {
        session.reallocated(&plan, moved);
    }
    block
}
