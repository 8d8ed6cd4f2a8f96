//! The memory of a process, this one's included, as bytes to read.

use super::{Block, BlockReader, Limits, Survey, survey};

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

/// Reads a block that may be a table in the memory of process `pid`. `None` when it is none, or
/// cannot be read.
///
/// This alone proves nothing: whoever calls it knows from elsewhere that the block was live
/// before, and makes sure that it still is afterwards.
#[must_use]
pub fn read_block(
    pid: u32,
    address: u64,
    bytes: u64,
    align: u64,
    group: u64,
    limits: &Limits,
) -> Option<Survey> {
    let block = Block::new(bytes, Some(align), group)?;
    block.shapes().next()?;
    survey(&block, &mut ProcessMemory::new(pid, address), limits)
}
