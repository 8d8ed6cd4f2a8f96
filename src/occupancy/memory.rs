//! The memory of a process, this one's included, as bytes to read.

use super::{Block, BlockReader, Foreign, Limits, Survey, read_foreign, survey};

/// A block in the memory of a process. Reading goes through the kernel, which refuses what is
/// not there: another thread may free and unmap the block meanwhile. What was read is then of no
/// use, but nothing breaks.
#[derive(Debug, Clone, Copy)]
pub struct ProcessMemory {
    pid: i32,
    address: u64,
}

impl ProcessMemory {
    /// The memory of process `pid` from `address` on.
    #[must_use]
    pub fn new(pid: u32, address: u64) -> Self {
        Self {
            pid: pid as i32,
            address,
        }
    }
}

impl BlockReader for ProcessMemory {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let Some(from) = self.address.checked_add(offset) else {
            return false;
        };
        let local = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        let remote = libc::iovec {
            iov_base: from as *mut libc::c_void,
            iov_len: into.len(),
        };
        // SAFETY: the kernel writes at most `into.len()` bytes to `into`, and checks the other
        // side itself.
        let read = unsafe {
            libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0)
        };
        usize::try_from(read).is_ok_and(|read| read == into.len())
    }
}

/// Whether the memory of process `pid` may be read, tried at `address`.
#[must_use]
pub fn readable(pid: u32, address: u64) -> bool {
    ProcessMemory::new(pid, address).read(0, &mut [0])
}

/// A block in the memory of a process.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The process.
    pub pid: u32,
    /// Where the block lies.
    pub address: u64,
    /// Its bytes, as asked for.
    pub bytes: u64,
    /// Its alignment, as asked for.
    pub align: u64,
    /// Width of hashbrown's control groups.
    pub group: u64,
    /// Whether it can be the table of a container in another language than Rust.
    pub foreign: bool,
}

/// Reads a block that may be a table. `None` when it is none, or cannot be read.
///
/// This alone proves nothing: whoever calls it knows from elsewhere that the block was live
/// before, and makes sure that it still is afterwards.
#[must_use]
pub fn read(place: &Place, limits: &Limits) -> Option<(Survey, Option<Foreign>)> {
    // `malloc` is not told an alignment. What Rust takes from it needs no more than a group's.
    let told = place.align >= place.group;
    let align = place.align.max(if place.foreign { place.group } else { 1 });
    let block = Block::new(place.bytes, Some(align), place.group)?;
    let hashbrown = || {
        block.shapes().next()?;
        let mut memory = ProcessMemory::new(place.pid, place.address);
        let survey = survey(&block, &mut memory, limits)?;
        (!survey.hypotheses().is_empty()).then_some((survey, None))
    };
    if told && let Some(found) = hashbrown() {
        return Some(found);
    }
    if !place.foreign {
        return None;
    }
    if let Some(foreign) = read_foreign(place.pid, place.address, place.bytes) {
        return Some((Survey::new(block), Some(foreign)));
    }
    // Only what other evidence says to be a table of hashbrown's is taken for one.
    if told { None } else { hashbrown() }
}

/// Reads `each` bytes from every one of `addresses` in the memory of process `pid`, one behind
/// the other. True when all could be read.
pub(super) fn read_many(pid: u32, addresses: &[u64], each: usize, into: &mut [u8]) -> bool {
    let mut remote = [libc::iovec {
        iov_base: core::ptr::null_mut(),
        iov_len: 0,
    }; MANY];
    let Some(remote) = remote.get_mut(..addresses.len()) else {
        return false;
    };
    if into.len() != addresses.len() * each {
        return false;
    }
    for (place, &address) in remote.iter_mut().zip(addresses) {
        place.iov_base = address as *mut libc::c_void;
        place.iov_len = each;
    }
    let local = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    // SAFETY: the kernel writes at most `into.len()` bytes to `into`, and checks the other side
    // itself.
    let read = unsafe {
        libc::process_vm_readv(
            pid as i32,
            &raw const local,
            1,
            remote.as_ptr(),
            remote.len() as libc::c_ulong,
            0,
        )
    };
    usize::try_from(read).is_ok_and(|read| read == into.len())
}

/// Places read at once at most.
pub(super) const MANY: usize = 512;
