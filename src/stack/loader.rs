//! What the dynamic loader knows about an address: the object that it lies in, and where that
//! object's unwind tables are.
//!
//! `_dl_find_object` (glibc 2.35) answers without a lock and may be called from a signal handler.
//! Older C libraries offer only `dl_iterate_phdr`, which takes the loader's lock: called from an
//! allocator while another thread is inside `dlopen`, that is a deadlock. So there is no second
//! way here: where the symbol is missing, [`find_object`] finds nothing and no stack is captured.
//!
//! The symbol is referred to weakly, from inline assembly, because neither a link error nor
//! `dlsym` (which allocates) is acceptable.

use core::ffi::{CStr, c_char, c_void};
use core::mem::MaybeUninit;
use core::ops::Range;

/// The public head of glibc's `struct link_map`.
#[repr(C)]
pub(crate) struct LinkMap {
    bias: usize,
    name: *const c_char,
}

/// glibc's `struct dl_find_object`.
#[repr(C)]
struct Found {
    flags: u64,
    map_start: usize,
    map_end: usize,
    link_map: *const LinkMap,
    eh_frame_hdr: usize,
    reserved: [u64; 7],
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut Found) -> i32;

/// A loaded object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    /// Where its mapping begins.
    pub(crate) map_start: u64,
    /// Where its mapping ends (exclusive). There may be holes in between.
    pub(crate) map_end: u64,
    /// What to subtract from an address to get the one in its file.
    pub(crate) bias: u64,
    /// Its `.eh_frame_hdr`; 0 when it has none.
    pub(crate) eh_frame_hdr: u64,
    /// The loader's own record, used as an identity.
    pub(crate) link_map: u64,
    /// Path as the loader knows it; empty for the program itself.
    pub(crate) name: *const c_char,
}

/// Address of `_dl_find_object`, if the C library has one.
#[inline]
fn lookup_function() -> Option<FindObject> {
    let address: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads one word of our own global offset table, 0 if nobody defines the symbol.
    unsafe {
        core::arch::asm!(
            ".weak _dl_find_object",
            "mov {}, qword ptr [rip + _dl_find_object@GOTPCREL]",
            out(reg) address,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads one word of our own global offset table, 0 if nobody defines the symbol.
    unsafe {
        core::arch::asm!(
            ".weak _dl_find_object",
            "adrp {0}, :got:_dl_find_object",
            "ldr {0}, [{0}, :got_lo12:_dl_find_object]",
            out(reg) address,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        address = 0;
    }
    if address == 0 {
        return None;
    }
    // SAFETY: the symbol has had this type since glibc 2.35, where it first appeared.
    Some(unsafe { core::mem::transmute::<usize, FindObject>(address) })
}

/// Whether stacks can be unwound in this process at all.
pub(crate) fn available() -> bool {
    lookup_function().is_some()
}

/// What the loader says of an address. The link map in it goes when its object is unloaded.
fn ask(address: u64) -> Option<Found> {
    let find = lookup_function()?;
    let mut found = MaybeUninit::<Found>::uninit();
    // SAFETY: the function takes any address, and fills in `found` when it returns 0.
    unsafe {
        let is_there = find(address as usize as *mut c_void, found.as_mut_ptr()) == 0;
        is_there.then(|| found.assume_init())
    }
}

/// Where the object that `address` lies in is mapped, or was just now: see [`find_object`].
pub(crate) fn mapping(address: u64) -> Option<Range<u64>> {
    let found = ask(address)?;
    Some(found.map_start as u64..found.map_end as u64)
}

/// The object that `address` lies in. `None` for generated code, and always where the C library
/// has no `_dl_find_object`.
///
/// # Safety That object is not unloaded until this returns. (An object that a thread's stack leads
/// into is not.)
pub(crate) unsafe fn find_object(address: u64) -> Option<Object> {
    let found = ask(address)?;
    let (bias, name) = if found.link_map.is_null() {
        (0, c"".as_ptr())
    } else {
        // SAFETY: the link map stays as long as the object is loaded: until this returns (this
        // contract).
        unsafe { ((*found.link_map).bias, (*found.link_map).name) }
    };
    Some(Object {
        map_start: found.map_start as u64,
        map_end: found.map_end as u64,
        bias: bias as u64,
        eh_frame_hdr: found.eh_frame_hdr as u64,
        link_map: found.link_map as u64,
        name: if name.is_null() { c"".as_ptr() } else { name },
    })
}

impl Object {
    /// Path as the loader knows it; empty for the program itself.
    ///
    /// # Safety
    /// The object must still be loaded.
    pub(crate) unsafe fn path(&self) -> &CStr {
        // SAFETY: never null, and the loader's names are NUL-terminated.
        unsafe { CStr::from_ptr(self.name) }
    }

    /// Whether the object's mapping holds `address`.
    #[inline]
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.map_start <= address && address < self.map_end
    }

    /// The object's program headers. One whose first page is not an ELF header has none, unless it
    /// is the program: of one whose segments leave gaps, glibc gives each as a mapping of its own.
    ///
    /// # Safety
    /// The object must still be loaded.
    unsafe fn program_headers(&self) -> &[libc::Elf64_Phdr] {
        // SAFETY: the object is loaded until this returns (this contract).
        unsafe {
            match self.headers_at_start() {
                Some(headers) => headers,
                None if self.path().is_empty() => self.headers_of_program().unwrap_or(&[]),
                None => &[],
            }
        }
    }

    /// # Safety
    /// As [`program_headers`](Self::program_headers).
    unsafe fn headers_at_start(&self) -> Option<&[libc::Elf64_Phdr]> {
        let size = self.map_end.saturating_sub(self.map_start);
        if size < size_of::<libc::Elf64_Ehdr>() as u64 || !self.map_start.is_multiple_of(8) {
            return None;
        }
        // SAFETY: the loader maps the first segment at `map_start`, and it is at least a page.
        let header = unsafe { &*(self.map_start as usize as *const libc::Elf64_Ehdr) };
        let entry = usize::from(header.e_phentsize);
        let table_bytes = u64::from(header.e_phnum) * entry as u64;
        let fits = header
            .e_phoff
            .checked_add(table_bytes)
            .is_some_and(|end| end <= size);
        if header.e_ident[..4] != *b"\x7fELF"
            || entry != size_of::<libc::Elf64_Phdr>()
            || !header.e_phoff.is_multiple_of(8)
            || !fits
        {
            return None;
        }
        let table = (self.map_start + header.e_phoff) as usize as *const libc::Elf64_Phdr;
        // SAFETY: in bounds and aligned (checked above), and the loader reads the same table.
        Some(unsafe { core::slice::from_raw_parts(table, usize::from(header.e_phnum)) })
    }

    /// What the kernel says of the program, if it is this one: where the loader was run by hand,
    /// it may be of the loader.
    ///
    /// # Safety
    /// As [`program_headers`](Self::program_headers).
    unsafe fn headers_of_program(&self) -> Option<&[libc::Elf64_Phdr]> {
        // SAFETY: `getauxval` takes any number and touches no memory of ours.
        let [table, count, entry] = [libc::AT_PHDR, libc::AT_PHNUM, libc::AT_PHENT]
            .map(|what| unsafe { libc::getauxval(what) });
        if table == 0 || !table.is_multiple_of(8) || entry != size_of::<libc::Elf64_Phdr>() as u64 {
            return None;
        }
        // SAFETY: the kernel mapped this table of so many entries, and it stays.
        let headers = unsafe {
            core::slice::from_raw_parts(
                table as usize as *const libc::Elf64_Phdr,
                usize::try_from(count).ok()?,
            )
        };
        let is_here = |entry: &libc::Elf64_Phdr| {
            entry.p_type == libc::PT_PHDR && self.bias.wrapping_add(entry.p_vaddr) == table
        };
        headers.iter().any(is_here).then_some(headers)
    }

    /// End of the loaded segment that holds `address`: nothing beyond it belongs together with
    /// what lies there. Where the program headers cannot be read, the end of the mapping. `None`
    /// when the object has nothing there.
    ///
    /// Of a program whose segments leave a gap (a linker leaves one when a segment ends within a
    /// few bytes of a page's end) the mapping is one segment, and `address` may lie in another.
    ///
    /// # Safety
    /// The object must still be loaded.
    pub(crate) unsafe fn segment_end(&self, address: u64) -> Option<u64> {
        let stop = |entry: &libc::Elf64_Phdr| {
            let start = self.bias.wrapping_add(entry.p_vaddr);
            let stop = start.wrapping_add(entry.p_memsz);
            let hit = entry.p_type == libc::PT_LOAD && (start..stop).contains(&address);
            hit.then_some(stop)
        };
        // SAFETY: the object is loaded until this returns (this contract).
        let mut headers = unsafe { self.program_headers() }.iter();
        let end = headers.find_map(stop);
        end.or_else(|| self.contains(address).then_some(self.map_end))
    }

    /// Address and length of the object's GNU build id.
    ///
    /// # Safety
    /// The object must still be loaded.
    pub(crate) unsafe fn build_id_location(&self) -> Option<(u64, usize)> {
        // SAFETY: the object is loaded until this returns (this contract).
        let headers = unsafe { self.program_headers() };
        headers
            .iter()
            .filter(|entry| entry.p_type == libc::PT_NOTE)
            .filter_map(|entry| {
                let start = self.bias.wrapping_add(entry.p_vaddr);
                let end = start.checked_add(entry.p_memsz)?;
                let loaded = headers.iter().any(|part| {
                    let first = self.bias.wrapping_add(part.p_vaddr);
                    part.p_type == libc::PT_LOAD
                        && first <= start
                        && end <= first.saturating_add(part.p_memsz)
                });
                loaded.then_some((start..end, entry.p_align))
            })
            // SAFETY: the notes lie in a loaded segment.
            .find_map(|(notes, align)| unsafe { build_id_among(notes, align) })
    }
}

/// The GNU build id among the notes at these addresses: where it lies, and its length.
///
/// # Safety
/// The addresses may be read.
unsafe fn build_id_among(notes: Range<u64>, align: u64) -> Option<(u64, usize)> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let (mut at, end) = (notes.start, notes.end);
    while at.is_multiple_of(4) && end - at >= 16 {
        // SAFETY: 16 bytes before the end, aligned.
        let [name, payload, kind, owner] = unsafe { *(at as usize as *const [u32; 4]) };
        let name_end = at + 12 + u64::from(name).next_multiple_of(4);
        let align = if align == 8 { 8 } else { 4 };
        let next = name_end + u64::from(payload).next_multiple_of(align);
        if next > end {
            return None;
        }
        if kind == NT_GNU_BUILD_ID && name == 4 && owner == u32::from_ne_bytes(*b"GNU\0") {
            return Some((name_end, payload as usize));
        }
        at = next;
    }
    None
}

/// Copies the object's GNU build id into `out` and returns its length; 0 when it has none. An id
/// longer than `out` (none is in use) is cut.
///
/// # Safety
/// The object must still be loaded.
pub(crate) unsafe fn build_id(object: &Object, out: &mut [u8; 32]) -> usize {
    // SAFETY: the object is loaded until this returns (this contract).
    let Some((address, length)) = (unsafe { object.build_id_location() }) else {
        return 0;
    };
    let length = length.min(out.len());
    // SAFETY: `build_id_location` found `length` bytes there, inside a loaded segment.
    let id = unsafe { core::slice::from_raw_parts(address as usize as *const u8, length) };
    out[..length].copy_from_slice(id);
    length
}
