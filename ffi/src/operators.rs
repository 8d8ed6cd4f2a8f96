//! C++'s `operator new` and `operator delete`, of an allocator that brings its own.
//!
//! The C++ libraries' own go on to `malloc` and `free`, where the recorder meets them. Those of
//! libjemalloc, libtcmalloc and their like do not, so here they are recorded: where the program's
//! operator lies in the same object as its `malloc`.
//!
//! Everywhere else this library hides its operators as soon as it is called, so that whoever is
//! loaded later finds what it would have found without. What was bound to them before passes by
//! one jump, and leaves no frame.
//!
//! The operators themselves may throw, and may call a handler of the program's that does anything
//! at all. So they are never called from a frame of Rust's, and nothing is held meanwhile.

use core::ffi::{CStr, c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use recorder::preload_support::{
    Entry, MALLOC_ALIGN, Planned, allocation_is_fast, free_is_fast, plan, record,
};

use crate::interpose::{Block, aligned_alloc, free, free_slowly, malloc};
use crate::next::{self, MALLOC, home};

type Address = *mut c_void;

/// One of the operators.
pub(crate) struct Operator {
    /// Its name in an object file (Itanium C++ ABI, 5.1.5).
    name: &'static CStr,
    /// What is exported under that name.
    exported: unsafe extern "C" fn(),
    /// Where a call of it goes on: at first to where the rest is found out.
    go: AtomicPtr<c_void>,
    /// What the program would call without this library; null where there is no C++.
    next: AtomicPtr<c_void>,
    /// Calls `next` and records what it did. Never changed.
    recorded: AtomicPtr<c_void>,
    /// How often in a row it was seen to go on to `malloc`.
    went_on: AtomicU32,
}

/// An operator that was seen to go on to `malloc` so many times in a row is not looked at any more.
const ENOUGH: u32 = 4;

/// Finds what the program would call without this library. Part of the search for the program's
/// allocator: what the loader allocates meanwhile, for the text of an error too, the program never
/// gets to see.
pub(crate) fn look() {
    for operator in &ALL {
        // The result is stored: no tail call, see `next::look`.
        // SAFETY: `name` is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, operator.name.as_ptr()) };
        operator.next.store(found, Ordering::Release);
        if found.is_null() && ptr::eq(*operator, &NEW) {
            break;
        }
    }
    let own = home(MALLOC.address()).filter(|_| next::tells_sizes());
    let is_own = |operator: &Operator| own.is_some() && home(operator.next()) == own;
    hide(ALL.iter().copied().filter(|operator| !is_own(operator)));
    // What is recorded is to be seen when it is freed: so the last ones, which free, come first.
    for operator in ALL.iter().rev() {
        let next = operator.next();
        let go = if next.is_null() {
            operator.plain()
        } else if is_own(operator) {
            operator.recorded.load(Ordering::Relaxed)
        } else {
            next
        };
        operator.go.store(go, Ordering::Release);
    }
}

/// Takes operators out of this library's symbols: a symbol of value 0 is none (glibc's
/// dl-lookup.c, `check_match`). What cannot be taken out stays, and passes everything on.
fn hide(operators: impl Iterator<Item = &'static Operator>) {
    let mut symbols = [None; ALL.len()];
    for (symbol, operator) in symbols.iter_mut().zip(operators) {
        *symbol = own_symbol(operator);
    }
    let found = || symbols.iter().flatten().copied();
    let (Some(first), Some(last)) = (found().min(), found().max()) else {
        return;
    };
    // SAFETY: `sysconf` takes a number and touches no memory of ours.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = first.addr() / page * page;
    let end = last.wrapping_add(1).addr();
    if !is_read_only(start..end) {
        return;
    }
    let start = first.with_addr(start).cast::<c_void>();
    let length = end - start.addr();
    // SAFETY: pages of this library's own that hold nothing to be executed; they stay readable.
    // The words are changed one by one, each to a value that is right by itself.
    unsafe {
        if libc::mprotect(start, length, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            return;
        }
        for symbol in found() {
            (&raw mut (*symbol).st_value).write_volatile(0);
        }
        libc::mprotect(start, length, libc::PROT_READ);
    }
}

/// The loader's own record of what this library exports for an operator; `None` where the program
/// has one of its own under that name, which comes before ours.
fn own_symbol(operator: &Operator) -> Option<*mut libc::Elf64_Sym> {
    const RTLD_DL_SYMENT: c_int = 1;
    unsafe extern "C" {
        fn dladdr1(
            address: *const c_void,
            info: *mut libc::Dl_info,
            extra: *mut *mut c_void,
            flags: c_int,
        ) -> c_int;
    }
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let mut symbol = ptr::null_mut();
    // SAFETY: both places may be written to; `info` was zeroed, so it is initialised even if the
    // call fails; a loaded object's names are C strings.
    unsafe {
        let address = operator.exported as *const c_void;
        let found = dladdr1(address, info.as_mut_ptr(), &raw mut symbol, RTLD_DL_SYMENT) != 0;
        let info = info.assume_init();
        let is_ours = found && home(info.dli_fbase) == home(own_symbol as *mut c_void);
        let is_known = is_ours && !symbol.is_null() && !info.dli_sname.is_null();
        (is_known && CStr::from_ptr(info.dli_sname) == operator.name).then(|| symbol.cast())
    }
}

/// Whether addresses lie in a part of this library that is neither written to nor executed.
fn is_read_only(addresses: core::ops::Range<usize>) -> bool {
    let Some(base) = home(own_symbol as *mut c_void) else {
        return false;
    };
    // SAFETY: an object is loaded from its header on, and its program headers with it.
    unsafe {
        let header = &*base.cast::<libc::Elf64_Ehdr>();
        let headers = base
            .wrapping_byte_add(header.e_phoff as usize)
            .cast::<libc::Elf64_Phdr>();
        core::slice::from_raw_parts(headers, usize::from(header.e_phnum))
            .iter()
            .filter(|part| part.p_type == libc::PT_LOAD)
            .any(|part| {
                let start = base.addr() + part.p_vaddr as usize;
                part.p_flags == libc::PF_R
                    && start <= addresses.start
                    && addresses.end <= start + part.p_memsz as usize
            })
    }
}

/// Where the first call of an operator goes on, when nothing else was called here before.
extern "C" fn find(operator: &Operator) -> Address {
    match next::next_soon() {
        Some(_) => operator.go.load(Ordering::Acquire),
        None => operator.plain(),
    }
}

impl Operator {
    #[inline(always)]
    fn next(&self) -> Address {
        self.next.load(Ordering::Relaxed)
    }

    /// What stands for an operator where there is no C++ at all: somebody asked for the bare name.
    fn plain(&self) -> Address {
        let name = self.name.to_bytes();
        if name.starts_with(b"_Zd") {
            free as *mut c_void
        } else if name.windows(5).any(|part| part == b"align") {
            plain_aligned as *mut c_void
        } else {
            malloc as *mut c_void
        }
    }
}

extern "C" fn plain_aligned(size: usize, align: usize) -> Block {
    // SAFETY: no preconditions.
    unsafe { aligned_alloc(align, size) }
}

/// Whether a block that is about to be allocated is to be looked at; then `planned` holds what is
/// known of it.
extern "C" fn plan_new(planned: &mut MaybeUninit<Planned>, size: usize, _: usize) -> bool {
    plan_aligned_new(planned, size, MALLOC_ALIGN)
}

/// The same for a block with an alignment.
extern "C" fn plan_aligned_new(
    planned: &mut MaybeUninit<Planned>,
    size: usize,
    align: usize,
) -> bool {
    if allocation_is_fast(size, align) {
        return false;
    }
    let align = if align.is_power_of_two() {
        align.max(MALLOC_ALIGN)
    } else {
        MALLOC_ALIGN
    };
    let plan = plan(Entry::Alloc, size, align);
    plan.map(|plan| planned.write(plan)).is_some()
}

/// Records a block as planned, and gives it back.
///
/// # Safety
/// `planned` was written by [`plan_new`] or [`plan_aligned_new`].
unsafe extern "C" fn record_new(
    planned: &MaybeUninit<Planned>,
    block: Block,
    operator: &Operator,
) -> Block {
    // SAFETY: the assembly calls this only if the plan function returned true, and then it has
    // written `planned`.
    let planned = unsafe { planned.assume_init_ref() };
    if block.is_null() {
        return block;
    }
    if record(planned, block as usize) {
        operator.went_on.store(0, Ordering::Relaxed);
    } else if operator.went_on.fetch_add(1, Ordering::Relaxed) + 1 >= ENOUGH {
        operator.go.store(operator.next(), Ordering::Release);
    }
    block
}

/// Bytes on the stack for what is planned of a block.
const ROOM: usize = size_of::<Planned>().next_multiple_of(16);

/// Declares the operators: what is exported, and the record of each.
macro_rules! operators {
    ($($id:ident = $symbol:ident, $recorded:path;)*) => {
        $(
            static $id: Operator = Operator {
                name: match CStr::from_bytes_with_nul(
                    concat!(stringify!($symbol), "\0").as_bytes(),
                ) {
                    Ok(name) => name,
                    Err(_) => panic!("a name that ends with a zero"),
                },
                exported: $symbol,
                go: AtomicPtr::new(first::$symbol as *mut c_void),
                next: AtomicPtr::new(ptr::null_mut()),
                recorded: AtomicPtr::new($recorded as *mut c_void),
                went_on: AtomicU32::new(0),
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
                    ".cfi_startproc",
                    "jmp qword ptr [rip + {operator} + {go}]",
                    ".cfi_endproc",
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

        static ALL: [&Operator; <[()]>::len(&[$(operators!(@one $id)),*])] = [$(&$id),*];
    };
    (@one $id:ident) => { () };
}

operators! {
    NEW = _Znwm, news::new;
    NEW_ARRAY = _Znam, news::new_array;
    NEW_NOTHROW = _ZnwmRKSt9nothrow_t, news::new_nothrow;
    NEW_ARRAY_NOTHROW = _ZnamRKSt9nothrow_t, news::new_array_nothrow;
    NEW_ALIGNED = _ZnwmSt11align_val_t, news::new_aligned;
    NEW_ARRAY_ALIGNED = _ZnamSt11align_val_t, news::new_array_aligned;
    NEW_ALIGNED_NOTHROW = _ZnwmSt11align_val_tRKSt9nothrow_t, news::new_aligned_nothrow;
    NEW_ARRAY_ALIGNED_NOTHROW = _ZnamSt11align_val_tRKSt9nothrow_t, news::new_array_aligned_nothrow;
    DELETE = _ZdlPv, deletes::delete;
    DELETE_ARRAY = _ZdaPv, deletes::delete_array;
    DELETE_SIZED = _ZdlPvm, deletes::delete_sized;
    DELETE_ARRAY_SIZED = _ZdaPvm, deletes::delete_array_sized;
    DELETE_NOTHROW = _ZdlPvRKSt9nothrow_t, deletes::delete_nothrow;
    DELETE_ARRAY_NOTHROW = _ZdaPvRKSt9nothrow_t, deletes::delete_array_nothrow;
    DELETE_ALIGNED = _ZdlPvSt11align_val_t, deletes::delete_aligned;
    DELETE_ARRAY_ALIGNED = _ZdaPvSt11align_val_t, deletes::delete_array_aligned;
    DELETE_SIZED_ALIGNED = _ZdlPvmSt11align_val_t, deletes::delete_sized_aligned;
    DELETE_ARRAY_SIZED_ALIGNED = _ZdaPvmSt11align_val_t, deletes::delete_array_sized_aligned;
    DELETE_ALIGNED_NOTHROW = _ZdlPvSt11align_val_tRKSt9nothrow_t, deletes::delete_aligned_nothrow;
    DELETE_ARRAY_ALIGNED_NOTHROW =
        _ZdaPvSt11align_val_tRKSt9nothrow_t, deletes::delete_array_aligned_nothrow;
}

/// Those that allocate: the plan is made before, and the record after, and in between the
/// operator is called with what the program gave. If it throws, the plan is forgotten.
mod news {
    macro_rules! news {
        ($($name:ident = $operator:ident, $plan:ident;)*) => {
            $(
                /// # Safety
                /// As for the operator; it was found.
                #[unsafe(naked)]
                pub(super) unsafe extern "C" fn $name() {
                    core::arch::naked_asm!(
                        ".cfi_startproc",
                        "push rdi",
                        "push rsi",
                        "push rdx",
                        "sub rsp, {room}",
                        ".cfi_adjust_cfa_offset {whole}",
                        "mov rdx, rsi",
                        "mov rsi, rdi",
                        "mov rdi, rsp",
                        "call {plan}",
                        "test al, al",
                        "mov rdi, qword ptr [rsp + {room} + 16]",
                        "mov rsi, qword ptr [rsp + {room} + 8]",
                        "mov rdx, qword ptr [rsp + {room}]",
                        "jz 2f",
                        "call qword ptr [rip + {operator} + {next}]",
                        "mov rdi, rsp",
                        "mov rsi, rax",
                        "lea rdx, [rip + {operator}]",
                        "call {record}",
                        "add rsp, {whole}",
                        ".cfi_def_cfa_offset 8",
                        "ret",
                        ".cfi_def_cfa_offset {whole} + 8",
                        "2: add rsp, {whole}",
                        ".cfi_def_cfa_offset 8",
                        "jmp qword ptr [rip + {operator} + {next}]",
                        ".cfi_endproc",
                        room = const super::ROOM,
                        whole = const super::ROOM + 24,
                        plan = sym super::$plan,
                        record = sym super::record_new,
                        operator = sym super::$operator,
                        next = const core::mem::offset_of!(super::Operator, next),
                    )
                }
            )*
        };
    }

    news! {
        new = NEW, plan_new;
        new_array = NEW_ARRAY, plan_new;
        new_nothrow = NEW_NOTHROW, plan_new;
        new_array_nothrow = NEW_ARRAY_NOTHROW, plan_new;
        new_aligned = NEW_ALIGNED, plan_aligned_new;
        new_array_aligned = NEW_ARRAY_ALIGNED, plan_aligned_new;
        new_aligned_nothrow = NEW_ALIGNED_NOTHROW, plan_aligned_new;
        new_array_aligned_nothrow = NEW_ARRAY_ALIGNED_NOTHROW, plan_aligned_new;
    }
}

/// Those that free; they neither throw nor ask anybody. What follows the block (a size, an
/// alignment, a `nothrow_t const&`) is handed on as it came: no operator has more than two.
mod deletes {
    use super::{Address, Block, free_is_fast, free_slowly, transmute};

    macro_rules! deletes {
        ($($name:ident = $operator:ident;)*) => {
            $(
                /// # Safety
                /// `block` is null or a block of the allocator, not used any more; the operator
                /// was found, and is the allocator's own.
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
                    // SAFETY: `block` is null or a live block that the program gives up; `forward`
                    // frees it once.
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
