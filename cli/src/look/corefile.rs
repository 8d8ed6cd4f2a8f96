//! Core files: the memory of a process as it was when it died, or when `gcore` was asked.
//!
//! A core may be cut off, or have been made to do harm: what is there is looked at, nothing is
//! believed, and what is kept of it is bounded.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mapgrow_containers::finder::{Region, Searched};
use mapgrow_system::memory::Memory;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::listing::listed;
use super::memory::{below, stacks};
use super::notes::{self, Notes};
use super::unpacked;
use crate::failure::{Failure, plain};

/// Bytes of the file's header, and of a segment's.
const FILE_HEADER: usize = 64;
const SEGMENT: usize = 56;
/// Segments that a core may have.
const MOST_SEGMENTS: u64 = 1 << 18;
/// The number of segments stands elsewhere.
const MANY_SEGMENTS: u64 = 0xFFFF;
/// Kinds of segments.
const LOAD: u32 = 1;
const NOTE: u32 = 4;
/// What a segment's memory could be used for.
pub const WRITE: u32 = 2;
pub const READ: u32 = 4;
/// Addresses of processes lie below.
const HIGHEST: u64 = 1 << 57;

/// A part of the memory.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    pub start: u64,
    /// Bytes that it had.
    pub length: u64,
    pub flags: u32,
    offset: u64,
    /// Bytes of it that the core has.
    pub there: u64,
}

/// The memory that a core file has.
pub struct CoreFile {
    file: File,
    segments: Vec<Segment>,
    regions: Vec<Region>,
    left: Vec<Region>,
    maps: String,
    missing: u64,
    notes: Notes,
    /// Width of hashbrown's control groups in programs for its processor.
    pub group: u64,
}

impl CoreFile {
    /// Opens the core at `path`, unpacked if need be.
    pub fn open(path: &Path) -> Result<CoreFile, Failure> {
        let cannot = |error: io::Error| {
            Failure::new(format!(
                "cannot read {}: {}; `look` takes the id of a process or the path of a core file",
                path.display(),
                plain(&error)
            ))
        };
        let is_file = std::fs::metadata(path).map_err(cannot)?.is_file();
        if !is_file {
            return Err(told(
                path,
                "is not a file; name a core file, as `gcore` writes it",
            ));
        }
        let mut file = File::open(path).map_err(cannot)?;
        let mut magic = [0; 4];
        let _ = file.read_exact_at(&mut magic, 0);
        if unpacked::is_packed(magic) {
            file = unpacked::unpack(path, file)?;
        }
        Self::read(path, file)
    }

    fn read(path: &Path, file: File) -> Result<CoreFile, Failure> {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let mut header = [0; FILE_HEADER];
        let read = file.read_exact_at(&mut header, 0).is_ok();
        if !read || !header.starts_with(b"\x7fELF") {
            return Err(told(
                path,
                "is no core file; unpack it first if it is packed otherwise than with zstd",
            ));
        }
        if header[4..6] != [2, 1] {
            return Err(told(
                path,
                "is not of a 64-bit little-endian program, and others' maps have another layout",
            ));
        }
        let short = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let long = |at: usize| word(&header, at).unwrap_or(0);
        if short(16) != 4 {
            return Err(told(
                path,
                "is a program or a library, not a core; `gcore PID` writes one of a process",
            ));
        }
        let mut count = short(56);
        if count == MANY_SEGMENTS {
            let mut section = [0; 64];
            let read = file.read_exact_at(&mut section, long(40)).is_ok();
            let bytes = [section[44], section[45], section[46], section[47]];
            count = if read {
                u64::from(u32::from_le_bytes(bytes))
            } else {
                0
            };
        }
        if short(54) != SEGMENT as u64 || count == 0 || count > MOST_SEGMENTS {
            return Err(told(
                path,
                "has no table of its memory that makes sense; write the core anew",
            ));
        }
        let mut core = CoreFile {
            file,
            segments: Vec::new(),
            regions: Vec::new(),
            left: Vec::new(),
            maps: String::new(),
            missing: 0,
            notes: Notes::default(),
            group: if short(18) == 62 { 16 } else { 8 },
        };
        core.take_segments(long(32), count, size);
        let there = core.segments.iter().map(|segment| segment.there);
        if there.fold(0, u64::saturating_add) > size {
            return Err(told(
                path,
                "says that it has more memory than it is long; write the core anew",
            ));
        }
        core.find_regions();
        Ok(core)
    }

    fn take_segments(&mut self, table: u64, count: u64, size: u64) {
        let mut notes = Vec::new();
        for index in 0..count {
            let mut bytes = [0; SEGMENT];
            let place = table.saturating_add(index * SEGMENT as u64);
            if self.file.read_exact_at(&mut bytes, place).is_err() {
                break;
            }
            let half = |at: usize| {
                u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            let long = |at: usize| word(&bytes, at).unwrap_or(0);
            let (offset, start) = (long(8), long(16));
            let (has, length) = (long(32), long(40));
            let there = has.min(length).min(size.saturating_sub(offset));
            match half(0) {
                NOTE => notes.push((offset, has)),
                LOAD if start < HIGHEST && length <= HIGHEST && length > 0 => {
                    let missing = has.min(length) - there;
                    self.missing = self.missing.saturating_add(missing);
                    self.segments.push(Segment {
                        start,
                        length,
                        flags: half(4),
                        offset,
                        there,
                    });
                }
                _ => {}
            }
        }
        self.notes = notes::read(&self.file, &notes);
        self.segments.sort_by_key(|segment| segment.start);
        let mut end = 0;
        // Memory does not overlap; what does is made up.
        self.segments.retain(|segment| {
            let apart = segment.start >= end;
            if apart {
                end = segment.start + segment.length;
            }
            apart
        });
    }

    fn find_regions(&mut self) {
        for segment in &self.segments {
            let wanted = segment.flags & (READ | WRITE) == READ | WRITE && segment.there > 0;
            if wanted && !self.notes.is_shared(segment.start) {
                self.regions.push(Region {
                    start: segment.start,
                    end: segment.start + segment.there,
                });
            }
        }
        self.maps = listed(self, &self.segments, &self.notes);
        self.left = below(&self.notes.stacks(), &stacks(&self.maps));
    }

    /// Where maps can lie, in order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Bytes that the core should have, and that are cut off.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Its memory, as `/proc/PID/maps` would list it.
    pub fn maps(&self) -> &str {
        &self.maps
    }

    /// What the core says of its process.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }
}

fn told(path: &Path, what: &str) -> Failure {
    Failure::new(format!("{} {what}", path.display()))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

impl Memory for CoreFile {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let (mut at, mut rest) = (address, into);
        while !rest.is_empty() {
            let Some(segment) = self.segment_at(at) else {
                return false;
            };
            let from = at - segment.start;
            if from >= segment.there {
                return false;
            }
            let length = rest
                .len()
                .min(usize::try_from(segment.there - from).unwrap_or(usize::MAX));
            let (piece, behind) = rest.split_at_mut(length);
            if self
                .file
                .read_exact_at(piece, segment.offset + from)
                .is_err()
            {
                return false;
            }
            at += length as u64;
            rest = behind;
        }
        true
    }
}

impl CoreFile {
    fn segment_at(&self, address: u64) -> Option<&Segment> {
        let after = self
            .segments
            .partition_point(|segment| segment.start <= address);
        self.segments.get(after.checked_sub(1)?)
    }

    /// The parts of the file between two offsets that are no holes; all of it where that cannot be
    /// asked.
    fn data(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let (mut at, mut parts) = (from, Vec::new());
        while at < to {
            let begins = match seek(&self.file, SeekFrom::Data(at)) {
                Ok(begins) => begins.max(at),
                Err(Errno::NXIO) => break,
                Err(_) => at,
            };
            let ends = seek(&self.file, SeekFrom::Hole(begins)).unwrap_or(to);
            if begins >= to || ends <= begins {
                break;
            }
            parts.push((begins, ends.min(to)));
            at = ends;
        }
        parts
    }
}

impl Searched for CoreFile {
    /// Holes of the file are zeros: there are none of a map's words, and there may be terabytes.
    fn parts(&self, from: u64, to: u64, add: &mut dyn FnMut(u64, u64)) {
        /// So much before what is no hole may belong to the same header.
        const BEFORE: u64 = 64;
        let mut at = from;
        while at < to {
            let Some(segment) = self.segment_at(at) else {
                return;
            };
            let end = to.min(segment.start + segment.there);
            if end <= at {
                return;
            }
            let offset = segment.offset + (at - segment.start);
            let mut behind = at;
            for (begins, ends) in self.data(offset, offset + (end - at)) {
                let begins = at + (begins - offset).saturating_sub(BEFORE) / 8 * 8;
                let (begins, ends) = (begins.max(behind), at + (ends - offset));
                super::memory::without(&self.left, begins, ends, add);
                behind = ends;
            }
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core of one processor with these segments: kind, flags, offset, start, bytes that it has and
    /// bytes that there were.
    fn core(segments: &[(u32, u32, u64, u64, u64, u64)]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(FILE_HEADER, 0);
        bytes[16] = 4;
        bytes[18] = 62;
        bytes[32] = FILE_HEADER as u8;
        bytes[54] = SEGMENT as u8;
        bytes[56..58].copy_from_slice(&(segments.len() as u16).to_le_bytes());
        for &(kind, flags, offset, start, has, length) in segments {
            bytes.extend([kind, flags].iter().flat_map(|half| half.to_le_bytes()));
            let words = [offset, start, 0, has, length, 0];
            bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        bytes
    }

    fn opened(bytes: &[u8]) -> Result<CoreFile, Failure> {
        let name = format!("mapgrow-core-{}-{}", std::process::id(), bytes.len());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("written");
        let core = CoreFile::open(&path);
        std::fs::remove_file(&path).expect("removed");
        core
    }

    #[test]
    fn what_is_missing_may_be_more_than_there_are_addresses() {
        let segment = (LOAD, READ | WRITE, 0, 0x1000, HIGHEST, HIGHEST);
        let core = opened(&core(&[segment; 600])).expect("a core");
        assert_eq!(core.missing(), u64::MAX);
    }

    #[test]
    fn holes_are_not_searched() {
        const START: u64 = 0x5500_0000_0000;
        let all = 1 << 40;
        let path = std::env::temp_dir().join(format!("mapgrow-holes-{}", std::process::id()));
        let file = File::create(&path).expect("written");
        // Where no file can be so long, none can do harm.
        if file.set_len(4096 + all).is_ok() {
            let header = core(&[(LOAD, READ | WRITE, 4096, START, all, all)]);
            file.write_all_at(&header, 0).expect("written");
            let word = START.to_le_bytes();
            file.write_all_at(&word, 4096 + (1 << 30)).expect("written");
            let core = CoreFile::open(&path).expect("a core");
            let mut parts = Vec::new();
            core.parts(START, START + all, &mut |from, to| parts.push((from, to)));
            let searched: u64 = parts.iter().map(|(from, to)| to - from).sum();
            assert!(searched < 16 << 20, "{searched}");
            let word = START + (1 << 30);
            let within = |&(from, to): &(u64, u64)| from + 64 <= word && word < to;
            assert!(parts.iter().any(within), "{parts:x?}");
        }
        std::fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn notes_that_are_said_to_lie_in_one_place_are_read_once() {
        const STATUS: usize = 12 + 8 + 336;
        // Each is as long as the file, and there are as many as a header can say.
        let mut bytes = core(&[(NOTE, 0, 0, 0, u64::MAX, 0); 60_000]);
        let (headers, statuses) = (bytes.len(), 1000);
        for _ in 0..statuses {
            bytes.extend([5_u32, 336, 1].iter().flat_map(|half| half.to_le_bytes()));
            bytes.extend(b"CORE\0\0\0\0");
            bytes.extend([7; 336]);
        }
        for segment in bytes[FILE_HEADER..headers].chunks_exact_mut(SEGMENT) {
            segment[8..16].copy_from_slice(&(headers as u64).to_le_bytes());
        }
        let core = opened(&bytes).expect("a core");
        let most = (64 << 20) / (STATUS * statuses) + 1;
        let stacks = core.notes().stacks().len();
        assert!((statuses..=most * statuses).contains(&stacks), "{stacks}");
    }
}
