//! Why bytes could not be read as a recording.

use crate::layout;
use std::fmt;

/// Why bytes could not be read as a recording. Displays as one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// There is not a single byte.
    Empty,
    /// Something else than a recording.
    Foreign {
        /// What it looks like, when that can be told.
        looks_like: Option<&'static str>,
    },
    /// A recording that a later version wrote.
    Newer {
        /// The version found.
        found: u64,
    },
    /// A recording of a layout that is no longer read.
    Older {
        /// The version found.
        found: u64,
    },
    /// The file ends too early.
    Truncated {
        /// The part that is not all there.
        part: &'static str,
        /// Bytes missing of it.
        missing: u64,
        /// Bytes that are there, of the whole file.
        length: u64,
    },
    /// The file contradicts itself.
    Damaged {
        /// How.
        what: String,
    },
}

impl ReadError {
    pub(super) fn foreign(bytes: &[u8]) -> Self {
        const KNOWN: [(&[u8], &str); 7] = [
            (b"\x7fELF", "an executable or library"),
            (b"\x1f\x8b", "a gzip file, perhaps a pprof profile"),
            (b"{", "JSON"),
            (b"heap_v2/", "a jemalloc heap profile"),
            (b"heaptrack", "a heaptrack recording"),
            (b"\x28\xb5\x2f\xfd", "a zstd file"),
            (b"\0\0\0\0\0\0\0\0", "a recording that was never set up"),
        ];
        let looks_like = KNOWN
            .iter()
            .find(|(start, _)| bytes.starts_with(start))
            .map(|&(_, name)| name);
        Self::Foreign { looks_like }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "the file is empty, so the process wrote no recording into it: \
                 check that the program ran with mapgrow as its allocator",
            ),
            Self::Foreign {
                looks_like: Some(what),
            } => write!(
                f,
                "this is no mapgrow recording (it does not start with MAPGROW and looks like \
                 {what}): give the path of a recording or a dump, or the id of a process",
            ),
            Self::Foreign { looks_like: None } => f.write_str(
                "this is no mapgrow recording (it does not start with MAPGROW): \
                 give the path of a recording or a dump, or the id of a process",
            ),
            Self::Newer { found } => write!(
                f,
                "the recording has version {found} and this mapgrow reads up to version {}: \
                 read it with the mapgrow that the program was built with, or a later one",
                layout::VERSION,
            ),
            Self::Older { found } => write!(
                f,
                "the recording has version {found} and this mapgrow reads version {}: \
                 read it with the mapgrow that the program was built with",
                layout::VERSION,
            ),
            Self::Truncated {
                part,
                missing,
                length,
            } => write!(
                f,
                "the recording is truncated: {missing} bytes of its {part} are missing after \
                 byte {length}; copy the file again, all of it",
            ),
            Self::Damaged { what } => write!(
                f,
                "the recording is damaged: {what}; copy the file again or take a new dump",
            ),
        }
    }
}

impl std::error::Error for ReadError {}
