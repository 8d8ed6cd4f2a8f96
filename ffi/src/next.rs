//! The program's own allocator: the next definition of each function after this library's.

use core::ffi::{CStr, c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use recorder::preload_support::object_start;

use crate::bootstrap;

type Block = *mut c_void;

/// One function of the program's allocator.
pub(crate) struct Function {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Function {
    const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            address: AtomicPtr::new(ptr::null_mut()),
        }
    }

    #[inline(always)]
    pub(crate) fn address(&self) -> Block {
        self.address.load(Ordering::Relaxed)
    }
}

pub(crate) static MALLOC: Function = Function::new(c"malloc");
static CALLOC: Function = Function::new(c"calloc");
static REALLOC: Function = Function::new(c"realloc");
static FREE: Function = Function::new(c"free");
static POSIX_MEMALIGN: Function = Function::new(c"posix_memalign");
static ALIGNED_ALLOC: Function = Function::new(c"aligned_alloc");
static MEMALIGN: Function = Function::new(c"memalign");
static VALLOC: Function = Function::new(c"valloc");
static PVALLOC: Function = Function::new(c"pvalloc");
pub(crate) static USABLE_SIZE: Function = Function::new(c"malloc_usable_size");

/// What is called in place of a function that the program's allocator does not have, as small C
/// libraries lack the obsolete ones: there is no memory to be had from it.
mod missing {
    use core::ffi::{c_int, c_void};
    use core::ptr;
    use core::sync::atomic::Ordering;

    use super::{
        ALIGNED_ALLOC, Block, Function, MEMALIGN, POSIX_MEMALIGN, PVALLOC, USABLE_SIZE, VALLOC,
    };

    fn out_of_memory() -> Block {
        // SAFETY: `__errno_location` returns the calling thread's errno, valid for its life.
        unsafe { *libc::__errno_location() = libc::ENOMEM };
        ptr::null_mut()
    }

    unsafe extern "C" fn sized(_: usize) -> Block {
        out_of_memory()
    }

    unsafe extern "C" fn aligned(_: usize, _: usize) -> Block {
        out_of_memory()
    }

    unsafe extern "C" fn placed(_: *mut Block, _: usize, _: usize) -> c_int {
        libc::ENOMEM
    }

    unsafe extern "C" fn size_of_block(_: Block) -> usize {
        0
    }

    /// Each has the type that [`super::Next`] calls it by.
    pub(super) fn stand_in() {
        let functions: [(&Function, *mut c_void); 6] = [
            (&POSIX_MEMALIGN, placed as *mut c_void),
            (&ALIGNED_ALLOC, aligned as *mut c_void),
            (&MEMALIGN, aligned as *mut c_void),
            (&VALLOC, sized as *mut c_void),
            (&PVALLOC, sized as *mut c_void),
            (&USABLE_SIZE, size_of_block as *mut c_void),
        ];
        for (function, own) in functions {
            if function.address().is_null() {
                function.address.store(own, Ordering::Release);
            }
        }
    }
}

/// The C library's `exec` family.
#[cfg(target_arch = "x86_64")]
pub(crate) mod exec {
    use core::ffi::{CStr, c_int, c_void};
    use core::sync::atomic::AtomicPtr;

    type Address = AtomicPtr<c_void>;

    /// Stands for one that was not found (yet): it fails, as they do.
    extern "C" fn missing() -> c_int {
        // SAFETY: `__errno_location` returns the calling thread's errno, valid for its life.
        unsafe { *libc::__errno_location() = libc::ENOSYS };
        -1
    }

    const MISSING: *mut c_void = missing as *mut c_void;

    pub(crate) static EXECVE: Address = Address::new(MISSING);
    pub(crate) static EXECV: Address = Address::new(MISSING);
    pub(crate) static EXECVP: Address = Address::new(MISSING);
    pub(crate) static EXECVPE: Address = Address::new(MISSING);
    pub(crate) static FEXECVE: Address = Address::new(MISSING);
    pub(crate) static EXECL: Address = Address::new(MISSING);
    pub(crate) static EXECLP: Address = Address::new(MISSING);
    pub(crate) static EXECLE: Address = Address::new(MISSING);

    pub(super) static ALL: [(&CStr, &Address); 8] = [
        (c"execve", &EXECVE),
        (c"execv", &EXECV),
        (c"execvp", &EXECVP),
        (c"execvpe", &EXECVPE),
        (c"fexecve", &FEXECVE),
        (c"execl", &EXECL),
        (c"execlp", &EXECLP),
        (c"execle", &EXECLE),
    ];
}

/// Set while a thread looks for them. Others, and what that thread allocates meanwhile, are
/// served by [`bootstrap`].
static LOOKING: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicBool = AtomicBool::new(false);

/// Proof that the allocator was found.
#[derive(Clone, Copy)]
pub(crate) struct Next(());

/// The program's allocator; `None` while it is being looked for.
#[inline]
pub(crate) fn next() -> Option<Next> {
    if FOUND.load(Ordering::Acquire) {
        return Some(Next(()));
    }
    look()
}

/// The same for what can do nothing without it: another thread that looks needs no longer than this.
#[cfg(target_arch = "x86_64")]
pub(crate) fn next_soon() -> Option<Next> {
    const PATIENCE: u32 = 1_000_000;
    for _ in 0..PATIENCE {
        if let Some(next) = next() {
            return Some(next);
        }
        // SAFETY: no preconditions.
        unsafe { libc::sched_yield() };
    }
    None
}

#[cold]
#[inline(never)]
fn look() -> Option<Next> {
    if LOOKING.swap(true, Ordering::AcqRel) {
        return FOUND.load(Ordering::Acquire).then_some(Next(()));
    }
    // SAFETY: `__errno_location` returns the calling thread's errno, valid for its life.
    let errno = unsafe { *libc::__errno_location() };
    for function in [
        &MALLOC,
        &CALLOC,
        &REALLOC,
        &FREE,
        &POSIX_MEMALIGN,
        &ALIGNED_ALLOC,
        &MEMALIGN,
        &VALLOC,
        &PVALLOC,
        &USABLE_SIZE,
    ] {
        // The result is stored, so this is no tail call: `dlsym` learns from its return address
        // after which library it has to look.
        // SAFETY: `name` is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, function.name.as_ptr()) };
        function.address.store(found, Ordering::Release);
    }
    #[cfg(target_arch = "x86_64")]
    for (name, address) in exec::ALL {
        // SAFETY: `name` is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        if !found.is_null() {
            address.store(found, Ordering::Release);
        }
    }
    let needed = [&MALLOC, &CALLOC, &REALLOC, &FREE];
    if needed.iter().any(|function| function.address().is_null()) {
        // There is no C library behind us: nothing that could be forwarded to.
        std::process::abort();
    }
    missing::stand_in();
    let tells = home(USABLE_SIZE.address()) == home(MALLOC.address());
    TELLS_SIZES.store(tells, Ordering::Release);
    #[cfg(target_arch = "x86_64")]
    crate::operators::look();
    // A function that was not found must not leave an error for the program's own `dlerror`: a
    // search that succeeds clears it. (`dlerror` would too, but takes locks, under which the
    // program may be allocating: `newlocale` does.) SAFETY: the name is a C string.
    unsafe { libc::dlsym(libc::RTLD_NEXT, MALLOC.name.as_ptr()) };
    FOUND.store(true, Ordering::Release);
    BOOTSTRAPPED.store(bootstrap::close(), Ordering::Release);
    // SAFETY: `__errno_location` returns the calling thread's errno, valid for its life.
    unsafe { *libc::__errno_location() = errno };
    Some(Next(()))
}

/// Where the object begins that an address lies in.
pub(crate) fn home(address: Block) -> Option<Block> {
    if address.is_null() {
        return None;
    }
    // `dladdr` goes through all symbols of the object.
    if let Some(start) = object_start(address.addr()) {
        return Some(address.with_addr(start));
    }
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` may be written to; all zero is a value of it.
    unsafe { (libc::dladdr(address, info.as_mut_ptr()) != 0).then(|| info.assume_init().dli_fbase) }
}

/// Whether `malloc_usable_size` comes with `malloc`.
static TELLS_SIZES: AtomicBool = AtomicBool::new(false);

/// Whether the program's allocator tells how large its blocks are. Of one without
/// `malloc_usable_size` the C library's would be asked, which takes all blocks for its own.
#[inline]
pub(crate) fn tells_sizes() -> bool {
    TELLS_SIZES.load(Ordering::Relaxed)
}

/// Whether blocks of [`bootstrap`] are about.
static BOOTSTRAPPED: AtomicBool = AtomicBool::new(true);

/// Whether a block came from [`bootstrap`].
#[inline(always)]
pub(crate) fn is_bootstrap(block: *const c_void) -> bool {
    BOOTSTRAPPED.load(Ordering::Relaxed) && bootstrap::holds(block)
}

impl Next {
    /// For a thread of which the recorder knows: it was in here with [`next`] before.
    ///
    /// # Safety
    /// [`next`] has returned `Some` before.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }

    /// Bytes that a block holds at least: 0 where the allocator does not tell.
    ///
    /// # Safety
    /// A live block of the program's allocator.
    pub(crate) unsafe fn least_size(self, block: Block) -> usize {
        if tells_sizes() {
            // SAFETY: `block` is a live block of the program's allocator (this contract), and
            // `malloc_usable_size` is of that same allocator.
            unsafe { self.usable_size(block) }
        } else {
            0
        }
    }
}

macro_rules! forward {
    ($($(#[$doc:meta])* $name:ident = $function:ident ($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Next {
            $($(#[$doc])*
            ///
            /// # Safety
            /// As for the function of that name in the C library.
            #[inline(always)]
            pub(crate) unsafe fn $name(self, $($argument: $type),*) -> $result {
                let address = $function.address();
                // SAFETY: `self` proves that `look` went through: the address is that of the
                // program's function, which the C standard, POSIX or glibc give this type, or that
                // of the one in `missing`, which has it too. What the function itself asks for is
                // this method's contract.
                unsafe {
                    transmute::<Block, unsafe extern "C" fn($($type),*) -> $result>(address)(
                        $($argument),*
                    )
                }
            })*
        }
    };
}

forward! {
    /// `malloc` of the program's allocator.
    malloc = MALLOC(size: usize) -> Block;
    /// Its `calloc`.
    calloc = CALLOC(count: usize, size: usize) -> Block;
    /// Its `realloc`.
    realloc = REALLOC(block: Block, size: usize) -> Block;
    /// Its `free`.
    free = FREE(block: Block) -> ();
    /// Its `posix_memalign`.
    posix_memalign = POSIX_MEMALIGN(place: *mut Block, align: usize, size: usize) -> c_int;
    /// Its `aligned_alloc`.
    aligned_alloc = ALIGNED_ALLOC(align: usize, size: usize) -> Block;
    /// Its `memalign`.
    memalign = MEMALIGN(align: usize, size: usize) -> Block;
    /// Its `valloc`.
    valloc = VALLOC(size: usize) -> Block;
    /// Its `pvalloc`.
    pvalloc = PVALLOC(size: usize) -> Block;
    /// Its `malloc_usable_size`.
    usable_size = USABLE_SIZE(block: Block) -> usize;
}
