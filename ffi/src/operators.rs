//! C++'s `operator new` and `operator delete`, of an allocator that brings its own.
//!
//! The C++ libraries' own go on to `malloc` and `free`, where the recorder meets them: a call of
//! theirs passes here by one jump, and leaves no frame. Those of libjemalloc, libtcmalloc and
//! their like do not, so here they are recorded.
//!
//! No exception passes through a frame of this library: the form that gives null is asked first,
//! and when it has nothing to give, the caller's request goes on, by a jump, to the form that
//! throws.

use core::ffi::{CStr, c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use recorder::preload_support::{
    Entry, MALLOC_ALIGN, allocation_is_fast, free_is_fast, unrecorded,
};

use crate::interpose::{Block, allocate_slowly, free, free_slowly, malloc};
use crate::next::{self, MALLOC, Next, USABLE_SIZE};

type Address = *mut c_void;

/// One of the operators.
pub(crate) struct Operator {
    /// Its name in an object file (Itanium C++ ABI, 5.1.5).
    name: &'static CStr,
    /// Where a call of it goes on: at first to [`find`].
    go: AtomicPtr<c_void>,
    first: unsafe extern "C" fn(),
    /// What the program would call without this library, once it is known.
    next: AtomicPtr<c_void>,
    /// Records a call, if `next` is the allocator's own. Never changed.
    recorded: AtomicPtr<c_void>,
    /// The form that gives null and does not throw, of one that throws.
    silent: Option<&'static Operator>,
}

/// Whether it was settled where the operators lead that the program has from its start.
static DECIDED: AtomicBool = AtomicBool::new(false);

/// Finds what the program would call without this library, if C++ is there when it starts. Part
/// of the search for the program's allocator: what the loader allocates meanwhile, for the text of
/// an error too, the program never gets to see.
pub(crate) fn look() {
    for operator in &ALL {
        // The result is stored: no tail call, see `next::look`.
        // SAFETY: `name` is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, operator.name.as_ptr()) };
        operator.next.store(found, Ordering::Release);
        if found.is_null() && core::ptr::eq(*operator, &NEW) {
            break;
        }
    }
}

/// Settles where the operators lead. In a constructor, because the first call of one may come in
/// a child of `fork`, which should not ask the loader.
pub(crate) fn at_start() {
    if next::next().is_some() && !NEW.next().is_null() {
        decide();
    }
}

fn decide() {
    if DECIDED.swap(true, Ordering::AcqRel) {
        return;
    }
    let own = home(MALLOC.address()).filter(|&own| home(USABLE_SIZE.address()) == Some(own));
    for operator in &ALL {
        let next = operator.next();
        if next.is_null() {
            continue;
        }
        let is_own = own.is_some() && home(next) == own;
        let go = if is_own && !unrecorded(|| operator.goes_on_to_malloc()) {
            operator.recorded.load(Ordering::Relaxed)
        } else {
            next
        };
        operator.go.store(go, Ordering::Release);
    }
}

/// Where the object begins that an address lies in.
fn home(address: Address) -> Option<Address> {
    if address.is_null() {
        return None;
    }
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` may be written to; all zero is a value of it.
    unsafe { (libc::dladdr(address, info.as_mut_ptr()) != 0).then(|| info.assume_init().dli_fbase) }
}

/// Stand for a moment between the malloc family of this library and the program's.
mod wires {
    use super::{Address, AtomicBool, AtomicPtr, Ordering, ptr, transmute};
    use crate::next;

    static CROSSED: AtomicBool = AtomicBool::new(false);

    macro_rules! wires {
        ($($name:ident = $function:ident;)*) => {
            $(
                /// Hands on what it is given: no function of the family takes more, or other
                /// things than words.
                extern "C" fn $name(first: usize, second: usize, third: usize) -> usize {
                    CROSSED.store(true, Ordering::Release);
                    let real = real::$function.load(Ordering::Acquire);
                    // SAFETY: the program's function, which takes these words or fewer.
                    unsafe {
                        transmute::<Address, extern "C" fn(usize, usize, usize) -> usize>(real)(
                            first, second, third,
                        )
                    }
                }
            )*

            mod real {
                use super::{AtomicPtr, ptr};
                use core::ffi::c_void;
                $(pub(super) static $function: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());)*
            }

            /// Whether a function of the family is called through this library while `act` acts.
            pub(super) fn are_crossed(act: impl FnOnce()) -> bool {
                $(
                    real::$function.store(next::$function.address(), Ordering::Release);
                    next::$function.set($name as Address);
                )*
                CROSSED.store(false, Ordering::Release);
                act();
                $(next::$function.set(real::$function.load(Ordering::Acquire));)*
                CROSSED.load(Ordering::Acquire)
            }
        };
    }

    wires! {
        malloc = MALLOC;
        calloc = CALLOC;
        realloc = REALLOC;
        free = FREE;
        posix_memalign = POSIX_MEMALIGN;
        aligned_alloc = ALIGNED_ALLOC;
        memalign = MEMALIGN;
    }
}

/// Where the first call of an operator goes on, made from `caller`.
extern "C" fn find(operator: &Operator, caller: Address) -> Address {
    at_start();
    let next = operator.next();
    if next.is_null() {
        // C++ came with a library that was loaded for itself alone: only its own names lead there.
        let found = unrecorded(|| seen_by(caller, operator.name));
        if let Some(found) = found {
            operator.go.store(found, Ordering::Release);
        }
        return found.unwrap_or_else(|| operator.plain());
    }
    match operator.go.load(Ordering::Acquire) {
        // Another thread is about to settle it, or this one is, in the allocator's first steps.
        go if go == operator.first as Address => next,
        go => go,
    }
}

/// What the object that `caller` lies in, and what it was linked with, means by a name.
fn seen_by(caller: Address, name: &CStr) -> Option<Address> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: as in `home`; the name of a loaded object is a C string.
    let info =
        unsafe { (libc::dladdr(caller, info.as_mut_ptr()) != 0).then(|| info.assume_init())? };
    let found = {
        let object = Loaded::again(info.dli_fname)?;
        // SAFETY: a handle, and a C string.
        unsafe { libc::dlsym(object.0, name.as_ptr()) }
    };
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: as above.
    unsafe {
        if found.is_null() || libc::dladdr(found, info.as_mut_ptr()) == 0 {
            return None;
        }
        // It is called from here from now on, so it must not go.
        core::mem::forget(Loaded::again(info.assume_init().dli_fname)?);
    }
    Some(found)
}

/// A handle of an object that is loaded.
struct Loaded(Address);

impl Loaded {
    /// One more handle of what is loaded under this name.
    fn again(name: *const core::ffi::c_char) -> Option<Self> {
        const FLAGS: c_int = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
        // SAFETY: `name` is the loader's own name of an object.
        let handle = unsafe { libc::dlopen(name, FLAGS) };
        (!handle.is_null()).then_some(Self(handle))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: a handle that nobody else has.
        unsafe { libc::dlclose(self.0) };
    }
}

impl Operator {
    /// Whether it goes on to the malloc family of this library, which then records what it does.
    /// Finds out with a block of its own.
    fn goes_on_to_malloc(&self) -> bool {
        // As this library calls it.
        let probed = self.silent.unwrap_or(self);
        let aligned = probed
            .name
            .to_bytes()
            .windows(11)
            .any(|part| part == b"align_val_t");
        let new: &Operator = if aligned {
            &NEW_ALIGNED_NOTHROW
        } else {
            &NEW_NOTHROW
        };
        let delete: &Operator = if aligned { &DELETE_ALIGNED } else { &DELETE };
        if [probed, new, delete]
            .iter()
            .any(|operator| operator.next().is_null())
        {
            return true;
        }
        /// Size and alignment of the block.
        const PROBE: usize = 64;
        // What the second word is, the third, and whether there are so many, depends on the form:
        // for all of them this will do.
        let [second, third] = match (aligned, probed.name.to_bytes().contains(&b'm')) {
            (true, _) => [PROBE; 2],
            (false, true) => [PROBE, 0],
            (false, false) => [0, 0],
        };
        let call = |operator: &Operator, first: usize| {
            // SAFETY: an operator of the program, with what it takes or more. A `nothrow_t` is
            // not read, so anything may stand for its address.
            unsafe {
                transmute::<Address, unsafe extern "C" fn(usize, usize, usize) -> usize>(
                    operator.next(),
                )(first, second, third)
            }
        };
        if probed.frees() {
            let block = call(new, PROBE);
            wires::are_crossed(|| {
                call(probed, block);
            })
        } else {
            let mut block = 0;
            let crossed = wires::are_crossed(|| block = call(probed, PROBE));
            call(delete, block);
            crossed
        }
    }

    fn frees(&self) -> bool {
        self.name.to_bytes().starts_with(b"_Zd")
    }

    /// What stands for an operator where there is no C++ at all: somebody asked for the bare name.
    fn plain(&self) -> Address {
        if self.frees() {
            free as *mut c_void
        } else {
            malloc as *mut c_void
        }
    }

    #[inline(always)]
    fn next(&self) -> Address {
        self.next.load(Ordering::Relaxed)
    }
}

/// `operator new(size_t, nothrow_t const&)`, and the first attempt of those that throw.
///
/// # Safety
/// The allocator brings this operator itself.
unsafe extern "C" fn new_recorded(size: usize, nothrow: *const c_void) -> Block {
    let forward = move || {
        let next = NEW_NOTHROW.next();
        // SAFETY: it was found, and has this type; nothing is read of a `nothrow_t`.
        unsafe {
            transmute::<Address, unsafe extern "C" fn(usize, *const c_void) -> Block>(next)(
                size, nothrow,
            )
        }
    };
    if allocation_is_fast(size, MALLOC_ALIGN) {
        return forward();
    }
    // SAFETY: forwards the caller's request.
    unsafe { allocate_slowly(Entry::Alloc, size, MALLOC_ALIGN, move |_: Next| forward()) }
}

/// The same with an alignment.
///
/// # Safety
/// The allocator brings this operator itself.
unsafe extern "C" fn new_aligned_recorded(
    size: usize,
    align: usize,
    nothrow: *const c_void,
) -> Block {
    let forward = move || {
        let next = NEW_ALIGNED_NOTHROW.next();
        // SAFETY: as above.
        unsafe {
            transmute::<Address, unsafe extern "C" fn(usize, usize, *const c_void) -> Block>(next)(
                size, align, nothrow,
            )
        }
    };
    // SAFETY: forwards the caller's request.
    unsafe { allocate_slowly(Entry::Alloc, size, align, move |_: Next| forward()) }
}

/// Declares the operators: what is exported, and the record of each.
macro_rules! operators {
    ($($id:ident = $symbol:ident, $recorded:path $(, $silent:ident)?;)*) => {
        $(
            static $id: Operator = Operator {
                // A constant with a zero at its end.
                name: match CStr::from_bytes_with_nul(concat!(stringify!($symbol), "\0").as_bytes())
                {
                    Ok(name) => name,
                    Err(_) => c"",
                },
                go: AtomicPtr::new(first::$symbol as *mut c_void),
                first: first::$symbol,
                next: AtomicPtr::new(ptr::null_mut()),
                recorded: AtomicPtr::new($recorded as *mut c_void),
                silent: operators!(@silent $($silent)?),
            };

            /// The operator of that name: goes on where it was found to lead.
            ///
            /// # Safety
            /// As for the operator.
            #[allow(non_snake_case)]
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $symbol() {
                core::arch::naked_asm!(
                    "jmp qword ptr [rip + {operator} + {go}]",
                    operator = sym $id,
                    go = const core::mem::offset_of!(Operator, go),
                )
            }
        )*

        /// Where each goes on until it was found where it leads.
        mod first {
            $(
                /// # Safety
                /// As for the operator.
                #[allow(non_snake_case)]
                #[unsafe(naked)]
                pub(super) unsafe extern "C" fn $symbol() {
                    core::arch::naked_asm!(
                        ".cfi_startproc",
                        "push rdi",
                        "push rsi",
                        "push rdx",
                        ".cfi_adjust_cfa_offset 24",
                        "lea rdi, [rip + {operator}]",
                        "mov rsi, [rsp + 24]",
                        "call {find}",
                        "pop rdx",
                        "pop rsi",
                        "pop rdi",
                        ".cfi_adjust_cfa_offset -24",
                        "jmp rax",
                        ".cfi_endproc",
                        operator = sym super::$id,
                        find = sym super::find,
                    )
                }
            )*
        }

        static ALL: [&Operator; operators!(@count $($id)*)] = [$(&$id),*];
    };
    (@silent) => { None };
    (@silent $silent:ident) => { Some(&$silent) };
    (@count $($id:ident)*) => { <[()]>::len(&[$(operators!(@unit $id)),*]) };
    (@unit $id:ident) => { () };
}

operators! {
    NEW = _Znwm, throwing::new, NEW_NOTHROW;
    NEW_ARRAY = _Znam, throwing::new_array, NEW_NOTHROW;
    NEW_NOTHROW = _ZnwmRKSt9nothrow_t, new_recorded;
    NEW_ARRAY_NOTHROW = _ZnamRKSt9nothrow_t, new_recorded, NEW_NOTHROW;
    NEW_ALIGNED = _ZnwmSt11align_val_t, throwing::new_aligned, NEW_ALIGNED_NOTHROW;
    NEW_ARRAY_ALIGNED = _ZnamSt11align_val_t, throwing::new_array_aligned, NEW_ALIGNED_NOTHROW;
    NEW_ALIGNED_NOTHROW = _ZnwmSt11align_val_tRKSt9nothrow_t, new_aligned_recorded;
    NEW_ARRAY_ALIGNED_NOTHROW =
        _ZnamSt11align_val_tRKSt9nothrow_t, new_aligned_recorded, NEW_ALIGNED_NOTHROW;
    DELETE = _ZdlPv, recorded::delete;
    DELETE_ARRAY = _ZdaPv, recorded::delete_array;
    DELETE_SIZED = _ZdlPvm, recorded::delete_sized;
    DELETE_ARRAY_SIZED = _ZdaPvm, recorded::delete_array_sized;
    DELETE_NOTHROW = _ZdlPvRKSt9nothrow_t, recorded::delete_nothrow;
    DELETE_ARRAY_NOTHROW = _ZdaPvRKSt9nothrow_t, recorded::delete_array_nothrow;
    DELETE_ALIGNED = _ZdlPvSt11align_val_t, recorded::delete_aligned;
    DELETE_ARRAY_ALIGNED = _ZdaPvSt11align_val_t, recorded::delete_array_aligned;
    DELETE_SIZED_ALIGNED = _ZdlPvmSt11align_val_t, recorded::delete_sized_aligned;
    DELETE_ARRAY_SIZED_ALIGNED = _ZdaPvmSt11align_val_t, recorded::delete_array_sized_aligned;
    DELETE_ALIGNED_NOTHROW = _ZdlPvSt11align_val_tRKSt9nothrow_t, recorded::delete_aligned_nothrow;
    DELETE_ARRAY_ALIGNED_NOTHROW =
        _ZdaPvSt11align_val_tRKSt9nothrow_t, recorded::delete_array_aligned_nothrow;
}

/// Those that throw: they ask the form that gives null, and go on to the program's own when it
/// has nothing to give.
mod throwing {
    macro_rules! throwing {
        ($($name:ident = $asks:ident, $next:ident;)*) => {
            $(
                /// # Safety
                /// As for the operator; the allocator brings it itself.
                #[unsafe(naked)]
                pub(super) unsafe extern "C" fn $name() {
                    core::arch::naked_asm!(
                        ".cfi_startproc",
                        "push rdi",
                        "push rsi",
                        "sub rsp, 8",
                        ".cfi_adjust_cfa_offset 24",
                        "call {asks}",
                        "add rsp, 8",
                        "pop rsi",
                        "pop rdi",
                        ".cfi_adjust_cfa_offset -24",
                        "test rax, rax",
                        "jz 2f",
                        "ret",
                        "2: jmp qword ptr [rip + {operator} + {next}]",
                        ".cfi_endproc",
                        asks = sym super::$asks,
                        operator = sym super::$next,
                        next = const core::mem::offset_of!(super::Operator, next),
                    )
                }
            )*
        };
    }

    throwing! {
        new = new_silently, NEW;
        new_array = new_silently, NEW_ARRAY;
        new_aligned = new_aligned_silently, NEW_ALIGNED;
        new_array_aligned = new_aligned_silently, NEW_ARRAY_ALIGNED;
    }
}

/// # Safety
/// As [`new_recorded`].
unsafe extern "C" fn new_silently(size: usize) -> Block {
    // SAFETY: the caller's promise.
    unsafe { new_recorded(size, (&raw const NOTHROW).cast()) }
}

/// # Safety
/// As [`new_aligned_recorded`].
unsafe extern "C" fn new_aligned_silently(size: usize, align: usize) -> Block {
    // SAFETY: the caller's promise.
    unsafe { new_aligned_recorded(size, align, (&raw const NOTHROW).cast()) }
}

/// What a `nothrow_t const&` refers to.
static NOTHROW: u8 = 0;

/// Those that free. What follows the block (a size, an alignment, a `nothrow_t const&`) is handed
/// on as it came: no operator has more than two.
mod recorded {
    use super::{Address, Block, free_is_fast, free_slowly, transmute};

    macro_rules! deletes {
        ($($name:ident = $operator:ident;)*) => {
            $(
                /// # Safety
                /// `block` is null or a block of the allocator, not used any more; the allocator
                /// brings the operator itself.
                pub(super) unsafe extern "C" fn $name(block: Block, second: usize, third: usize) {
                    let forward = move || {
                        let next = super::$operator.next();
                        // SAFETY: it was found, and takes a block and up to two words.
                        unsafe {
                            transmute::<Address, unsafe extern "C" fn(Block, usize, usize)>(next)(
                                block, second, third,
                            )
                        }
                    };
                    if free_is_fast(block as usize) {
                        return forward();
                    }
                    // SAFETY: the caller's promise.
                    unsafe { free_slowly(block, move |_| forward()) }
                }
            )*
        };
    }

    deletes! {
        delete = DELETE;
        delete_array = DELETE_ARRAY;
        delete_sized = DELETE_SIZED;
        delete_array_sized = DELETE_ARRAY_SIZED;
        delete_nothrow = DELETE_NOTHROW;
        delete_array_nothrow = DELETE_ARRAY_NOTHROW;
        delete_aligned = DELETE_ALIGNED;
        delete_array_aligned = DELETE_ARRAY_ALIGNED;
        delete_sized_aligned = DELETE_SIZED_ALIGNED;
        delete_array_sized_aligned = DELETE_ARRAY_SIZED_ALIGNED;
        delete_aligned_nothrow = DELETE_ALIGNED_NOTHROW;
        delete_array_aligned_nothrow = DELETE_ARRAY_ALIGNED_NOTHROW;
    }
}
