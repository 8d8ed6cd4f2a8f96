//! What mapgrow asks of the operating system, in forms that may run anywhere: inside an
//! allocator, in a signal handler, after `fork`. Nothing here allocates.
//!
//! ```
//! use mapgrow_system::memory::{Memory, ProcessMemory};
//!
//! // The kernel reads for us and refuses what is not there: nothing breaks.
//! let own = ProcessMemory::of(std::process::id());
//! let (value, mut read) = (42_u64, [0; 8]);
//! assert!(own.read(&raw const value as u64, &mut read));
//! assert_eq!(u64::from_ne_bytes(read), value);
//! assert!(!own.readable(8));
//! ```

pub mod clock;
pub mod headroom;
pub mod memory;
pub mod sandbox;
pub mod sys;
