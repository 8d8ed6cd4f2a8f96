//! The malloc family. Each function first asks whether the recorder has to see the call, which
//! is a compare and a countdown in thread-local storage, and a byte of the page filter for a
//! block that is given back; if not, it goes straight on to the program's allocator.
//!
//! A thread that was never here fails that first look, so the fast way may take for granted that
//! the program's allocator was found. Blocks of `bootstrap` fail it by their address.

use core::ffi::{c_int, c_void};
use core::ptr;

use recorder::preload_support::{
    Entry, MALLOC_ALIGN, allocate, allocation_is_fast, free as free_recorded, free_is_fast,
    reallocate, reallocation_is_fast,
};

use crate::bootstrap;
use crate::next::{Next, is_bootstrap, next};

/// A block, as C functions hand it about.
pub(crate) type Block = *mut c_void;

fn set_errno(number: c_int) {
    // SAFETY: `__errno_location` returns the calling thread's errno, valid for its life.
    unsafe { *libc::__errno_location() = number }
}

/// A block while the program's allocator is being looked for.
fn bootstrap_block(bytes: usize, align: usize) -> Block {
    let block = bootstrap::allocate(bytes, align);
    if block.is_null() {
        set_errno(libc::ENOMEM);
    }
    block
}

/// Goes the slow way of an allocation.
///
/// # Safety
/// `forward` may be called: it is the caller's request to the program's allocator.
#[cold]
#[inline(never)]
pub(crate) unsafe fn allocate_slowly(
    entry: Entry,
    bytes: usize,
    align: usize,
    forward: impl FnOnce(Next) -> Block,
) -> Block {
    let align = if align.is_power_of_two() {
        align.max(MALLOC_ALIGN)
    } else {
        MALLOC_ALIGN
    };
    let Some(next) = next() else {
        let block = bootstrap::allocate(bytes, align);
        // The arena was closed because the allocator was found meanwhile.
        return match crate::next::next() {
            Some(next) if block.is_null() => forward(next),
            _ if block.is_null() => bootstrap_block(bytes, align),
            _ => block,
        };
    };
    allocate(entry, bytes, align, || forward(next))
}

/// `malloc(3)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> Block {
    if allocation_is_fast(size, MALLOC_ALIGN) {
        // SAFETY: nothing opens a thread's fast way before `next` has succeeded once, so the
        // address is set; `malloc` takes any size.
        return unsafe { Next::assume().malloc(size) };
    }
    // SAFETY: the allocator was found when `forward` runs, and it takes any number.
    unsafe {
        allocate_slowly(Entry::Alloc, size, MALLOC_ALIGN, move |next| {
            next.malloc(size)
        })
    }
}

/// `calloc(3)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> Block {
    let bytes = count.saturating_mul(size);
    if allocation_is_fast(bytes, MALLOC_ALIGN) {
        // SAFETY: nothing opens a thread's fast way before `next` has succeeded once, so the
        // address is set; `calloc` takes any two numbers.
        return unsafe { Next::assume().calloc(count, size) };
    }
    // SAFETY: the allocator was found when `forward` runs, and it takes any number.
    unsafe {
        allocate_slowly(Entry::Zeroed, bytes, MALLOC_ALIGN, move |next| {
            next.calloc(count, size)
        })
    }
}

/// `free(3)`.
///
/// # Safety
/// `block` is null or a block of this allocator that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: Block) {
    if free_is_fast(block as usize) {
        // SAFETY: nothing opens a thread's fast way before `next` has succeeded once, so the
        // address is set; `block` is null or a live block of that allocator (those of `bootstrap`
        // never pass).
        return unsafe { Next::assume().free(block) };
    }
    // SAFETY: `block` is null or live, and `forward` frees it at most once.
    unsafe { free_slowly(block, move |next| next.free(block)) }
}

/// Goes the slow way of a free, of which `forward` is the caller's request.
///
/// # Safety
/// As [`free`].
#[cold]
#[inline(never)]
pub(crate) unsafe fn free_slowly(block: Block, forward: impl FnOnce(Next)) {
    if block.is_null() || is_bootstrap(block) {
        return;
    }
    // Only blocks of `bootstrap` exist before.
    let Some(next) = next() else { return };
    free_recorded(
        block as usize,
        // SAFETY: `block` is live, of the program's allocator: null and `bootstrap` went another
        // way above.
        || unsafe { next.least_size(block) },
        || forward(next),
    );
}

/// `realloc(3)`.
///
/// # Safety
/// `block` is null or a block of this allocator; unless null is returned, it is not used any
/// more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: Block, size: usize) -> Block {
    if reallocation_is_fast(block as usize, size) {
        // SAFETY: nothing opens a thread's fast way before `next` has succeeded once, so the
        // address is set; `block` is null or a live block of that allocator (those of `bootstrap`
        // never pass), and the old address is not used after.
        return unsafe { Next::assume().realloc(block, size) };
    }
    // SAFETY: `block` is null or a live block of this allocator, and the program uses it no more
    // unless it gets null.
    unsafe { reallocate_slowly(block, size) }
}

/// # Safety
/// As [`realloc`].
#[cold]
#[inline(never)]
unsafe fn reallocate_slowly(block: Block, size: usize) -> Block {
    if block.is_null() {
        // SAFETY: the allocator was found when `forward` runs, and it takes any number.
        return unsafe {
            allocate_slowly(Entry::Alloc, size, MALLOC_ALIGN, move |next| {
                next.realloc(ptr::null_mut(), size)
            })
        };
    }
    if is_bootstrap(block) {
        // SAFETY: `block` is one of `bootstrap`'s.
        return unsafe { move_out_of_bootstrap(block, size) };
    }
    let Some(next) = next() else {
        return bootstrap_block(size, MALLOC_ALIGN);
    };
    let mut moved = ptr::null_mut();
    if size == 0 {
        // glibc frees the block and returns null. Others return a new one, too small to matter.
        free_recorded(
            block as usize,
            // SAFETY: `block` is live, of the program's allocator: null and `bootstrap` went
            // another way above.
            || unsafe { next.least_size(block) },
            // SAFETY: `block` is live, of the program's allocator (null and `bootstrap` went
            // another way above), and is passed on once.
            || moved = unsafe { next.realloc(block, 0) },
        );
        return moved;
    }
    reallocate(
        block as usize,
        size,
        // SAFETY: asked of the live block, before it is passed on, and of the new one after.
        |block| unsafe { next.least_size(block as Block) },
        // SAFETY: `block` is live, of the program's allocator (null and `bootstrap` went another
        // way above), and is passed on once.
        || unsafe { next.realloc(block, size) },
    )
}

/// # Safety
/// `block` is one of [`bootstrap`]'s.
unsafe fn move_out_of_bootstrap(block: Block, size: usize) -> Block {
    // SAFETY: `block` has `bootstrap::size` readable bytes; `moved` is new, at least as long as
    // what is copied, and another block.
    unsafe {
        let moved = malloc(size);
        if !moved.is_null() {
            let bytes = bootstrap::size(block).min(size);
            ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast::<u8>(), bytes);
        }
        moved
    }
}

/// `reallocarray(3)`.
///
/// # Safety
/// As [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(block: Block, count: usize, size: usize) -> Block {
    let Some(bytes) = count.checked_mul(size) else {
        set_errno(libc::ENOMEM);
        return ptr::null_mut();
    };
    // SAFETY: `block` is null or a live block of this allocator, and the program uses it no more
    // unless it gets null.
    unsafe { realloc(block, bytes) }
}

/// `posix_memalign(3)`.
///
/// # Safety
/// `place` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(place: *mut Block, align: usize, size: usize) -> c_int {
    let mut result = libc::ENOMEM;
    let mut forwarded = false;
    let request = |next: Next| {
        forwarded = true;
        // SAFETY: `place` may be written to (`posix_memalign`'s contract); it is read only after a
        // success, which has set it.
        unsafe {
            result = next.posix_memalign(place, align, size);
            if result == 0 { *place } else { ptr::null_mut() }
        }
    };
    // SAFETY: the allocator was found when `request` runs; `place` may be written to (this
    // contract); any numbers will do.
    let block = unsafe { allocate_slowly(Entry::Alloc, size, align, request) };
    if !forwarded && !block.is_null() {
        // SAFETY: `place` may be written to (`posix_memalign`'s contract).
        unsafe { *place = block };
        result = 0;
    }
    result
}

/// `aligned_alloc(3)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> Block {
    // SAFETY: the allocator was found when `forward` runs, and it takes any number.
    unsafe {
        allocate_slowly(Entry::Alloc, size, align, move |next| {
            next.aligned_alloc(align, size)
        })
    }
}

/// `memalign(3)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, size: usize) -> Block {
    // SAFETY: the allocator was found when `forward` runs, and it takes any number.
    unsafe {
        allocate_slowly(Entry::Alloc, size, align, move |next| {
            next.memalign(align, size)
        })
    }
}

fn page() -> usize {
    // SAFETY: `sysconf` takes a number and touches no memory of ours.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// `valloc(3)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn valloc(size: usize) -> Block {
    // SAFETY: the allocator was found when `forward` runs, and it takes any number.
    unsafe { allocate_slowly(Entry::Alloc, size, page(), move |next| next.valloc(size)) }
}

/// `pvalloc(3)`: whole pages.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pvalloc(size: usize) -> Block {
    let bytes = size.checked_next_multiple_of(page()).unwrap_or(usize::MAX);
    // SAFETY: the allocator was found when `forward` runs, and it takes any number.
    unsafe { allocate_slowly(Entry::Alloc, bytes, page(), move |next| next.pvalloc(size)) }
}

/// `malloc_usable_size(3)`.
///
/// # Safety
/// `block` is null or a block of this allocator.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: Block) -> usize {
    if is_bootstrap(block) {
        // SAFETY: a block of `bootstrap`'s.
        return unsafe { bootstrap::size(block) };
    }
    match next() {
        // SAFETY: `block` is null or a live block of the allocator that `next` stands for.
        Some(next) => unsafe { next.usable_size(block) },
        None => 0,
    }
}
