//! Profiles in pprof's format: `profile.proto`, gzip.

mod containers;
mod heap;
pub mod proto;
mod read;
mod tables;
mod wire;

pub use containers::{Functions, of_report};
pub use heap::of_heap;
pub use read::{LOOK_BYTES, MOST_BYTES as MOST_PROFILE_BYTES, heap_profile, looks_like_profile};

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use proto::Profile;

/// The bytes of a file: gzip, as every reader of the format expects them.
///
/// # Errors
/// None in practice: memory is written to.
pub fn encode(profile: &Profile) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&profile.encode_to_vec())?;
    gzip.finish()
}
