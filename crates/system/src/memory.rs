//! Memory that can be read by address: that of a process, this one's included.

/// Memory that can be read by address.
pub trait Memory {
    /// Fills `into` with the bytes from `address` on. False when they cannot be had; `into` may
    /// then hold anything.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;

    /// Reads `each` bytes from every one of `addresses`, at most [`MANY`], one behind the other.
    /// True when all could be read.
    fn read_many(&self, addresses: &[u64], each: usize, into: &mut [u8]) -> bool {
        each > 0
            && into.len() == addresses.len() * each
            && addresses
                .iter()
                .zip(into.chunks_exact_mut(each))
                .all(|(&address, piece)| self.read(address, piece))
    }
}

/// Places that [`Memory::read_many`] reads at once, at most.
pub const MANY: usize = 512;

/// The memory of a process. Reading goes through the kernel, which refuses what is not there:
/// another thread may free and unmap a block meanwhile. What was read is then of no use, but
/// nothing breaks.
#[derive(Debug, Clone, Copy)]
pub struct ProcessMemory {
    pid: i32,
}

impl ProcessMemory {
    /// The memory of process `pid`.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self { pid: pid as i32 }
    }

    /// Whether it may be read, tried at `address`.
    #[must_use]
    pub fn readable(&self, address: u64) -> bool {
        self.read(address, &mut [0])
    }
}

impl Memory for ProcessMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let local = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        let remote = libc::iovec {
            iov_base: address as *mut libc::c_void,
            iov_len: into.len(),
        };
        // SAFETY: the kernel writes at most `into.len()` bytes to `into`, and checks the other
        // side itself.
        let read = unsafe {
            libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0)
        };
        usize::try_from(read).is_ok_and(|read| read == into.len())
    }

    fn read_many(&self, addresses: &[u64], each: usize, into: &mut [u8]) -> bool {
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
        // SAFETY: the kernel writes at most `into.len()` bytes to `into`, and checks the other
        // side itself.
        let read = unsafe {
            libc::process_vm_readv(
                self.pid,
                &raw const local,
                1,
                remote.as_ptr(),
                remote.len() as libc::c_ulong,
                0,
            )
        };
        usize::try_from(read).is_ok_and(|read| read == into.len())
    }
}
