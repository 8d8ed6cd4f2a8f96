//! What a recording may take of what the process' limits leave the program.
//!
//! Read once, when the recording is made: in a sandbox that the program enters later none of the
//! questions may be asked. From then on it is the kernel that says no, and the recording is told
//! so by an error.

use core::ptr;

use mapgrow_format::layout::header;
use mapgrow_system::sys::{self, Descriptor};

/// A recording gets one part in so many of the address space or file system that was left when it
/// was made.
const SHARE: u64 = 64;
/// As much of a file system that several use.
const FILE_SYSTEM_SHARE: u64 = 4;
/// What one region may have of that which has a substitute for what does not fit.
const PART: u64 = 4;
/// What a recording needs to be of any use, and gets if at all possible.
pub(super) const LEAST: u64 = 640 << 10;
/// With less address space than this left nothing is recorded.
const NEEDED: u64 = 4 << 20;
/// Up to here nobody looks at what is locked.
const UNLOCKED: usize = 1 << 20;

/// Bounds of a recording beside its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// Most bytes, and whose limit that is.
    most: u64,
    reason: u64,
    /// Bytes that the process may lock, where that can be found out by asking for them.
    lockable: Option<usize>,
}

impl Allowance {
    /// What the process' limits allow; `None`: nothing.
    pub(super) fn of_process() -> Option<Self> {
        let mut allowance = Self {
            most: u64::MAX,
            reason: 0,
            lockable: sys::limit(libc::RLIMIT_MEMLOCK)
                .and_then(|bytes| usize::try_from(bytes).ok())
                .filter(|&bytes| bytes > 0),
        };
        if let Some(limit) = sys::limit(libc::RLIMIT_AS) {
            let left = limit.saturating_sub(address_space_used().unwrap_or(limit));
            if left < NEEDED {
                return None;
            }
            allowance.narrow((left / SHARE).max(LEAST), header::LIMIT_ADDRESS_SPACE);
            // The question takes address space for a moment, which another thread may need.
            allowance.lockable = None;
        }
        Some(allowance)
    }

    fn narrow(&mut self, most: u64, reason: u64) {
        if most < self.most {
            (self.most, self.reason) = (most, reason);
        }
    }

    /// The same in a file system with so many bytes free; `None` when that is too little.
    pub(super) fn in_file_system(mut self, free: u64) -> Option<Self> {
        let share = free / FILE_SYSTEM_SHARE;
        if share < LEAST {
            return None;
        }
        self.narrow(share, header::LIMIT_FILE_SYSTEM);
        Some(self)
    }

    /// Whether a region that others must not want for may have `bytes`; else why not.
    pub(super) fn grants_part(&self, bytes: usize) -> Result<(), u64> {
        if bytes as u64 > self.most / PART {
            return Err(self.reason);
        }
        Ok(())
    }

    /// Whether a recording of `total` bytes may have `more`; else why not.
    pub(super) fn grants(&self, total: usize, more: usize) -> Result<(), u64> {
        if total.saturating_add(more) as u64 > self.most {
            return Err(self.reason);
        }
        if total > UNLOCKED && self.lockable.is_some_and(all_is_locked) {
            return Err(header::LIMIT_LOCKED);
        }
        Ok(())
    }
}

/// Bytes of address space in use: the first field of `/proc/self/statm`, pages.
fn address_space_used() -> Option<u64> {
    let mut buffer = [0; 32];
    let file = Descriptor::open(c"/proc/self/statm", libc::O_RDONLY, 0)?;
    let length = file.read_up_to(&mut buffer);
    let pages = buffer.get(..length)?.split(|&byte| byte == b' ').next()?;
    Some(crate::config::bytes(pages)?.saturating_mul(4096))
}

/// Whether what is mapped from now on is locked (`mlockall(MCL_FUTURE)`) and the limit of that
/// applies: then as much as the limit cannot be had. Asked for and given back, never touched.
fn all_is_locked(lockable: usize) -> bool {
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
    let probe = unsafe {
        libc::mmap(
            ptr::null_mut(),
            lockable,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if probe == libc::MAP_FAILED {
        return sys::errno() == libc::EAGAIN;
    }
    // SAFETY: mapped just now with this length, its address given to nobody.
    unsafe { libc::munmap(probe, lockable) };
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(most: u64) -> Allowance {
        Allowance {
            most,
            reason: header::LIMIT_ADDRESS_SPACE,
            lockable: None,
        }
    }

    #[test]
    fn the_narrower_bound_counts() {
        let wide = allowance(1 << 30);
        let narrow = wide.in_file_system(8 << 20).unwrap();
        assert_eq!(narrow.grants_part(512 << 10), Ok(()));
        assert_eq!(
            narrow.grants_part(513 << 10),
            Err(header::LIMIT_FILE_SYSTEM)
        );
        assert_eq!(narrow.grants(2 << 20, 0), Ok(()));
        assert_eq!(narrow.grants(2 << 20, 4096), Err(header::LIMIT_FILE_SYSTEM));
        let first = allowance(1 << 20).in_file_system(1 << 40).unwrap();
        assert_eq!(first.grants(1 << 20, 1), Err(header::LIMIT_ADDRESS_SPACE));
    }

    #[test]
    fn a_file_system_without_room_is_not_used() {
        assert!(allowance(1 << 30).in_file_system(256 << 10).is_none());
    }

    #[test]
    fn this_process_knows_its_address_space() {
        let used = address_space_used().unwrap();
        assert!(used > 1 << 20 && used < 1 << 47, "{used}");
    }
}
