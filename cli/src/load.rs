//! Reads a recording from its file without its holes.
//!
//! A live recording is a sparse file: regions reserved for their full capacity, of which a
//! prefix is in use. Only the header and those prefixes are read, and put one behind the other.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use mapgrow_format::layout::packed::{Pids, RegionRow};
use mapgrow_format::layout::{MAGIC, VERSION, header, region};
use mapgrow_format::program_name;
use mapgrow_format::reader::Recording;

use crate::failure::{Failure, plain};

const HEADER_BYTES: usize = header::WORDS * 8;

/// A damaged file is read as a whole, for an exact message, up to this many bytes.
const MOST_DAMAGED_BYTES: u64 = 256 << 20;
/// No recording is larger: `MAPGROW_MAX_MEMORY` is a fraction of this.
const MOST_BYTES: u64 = 8 << 30;
/// Times that a file which somebody looks at is tried to be opened for writing.
const MOST_TRIES: u32 = 100;

/// The first words of a recording, as read from its file.
#[derive(Debug, Clone)]
pub struct Header {
    bytes: Vec<u8>,
}

impl Header {
    /// Reads the header of what claims to be a recording; `None` when it is none, or one of
    /// another version.
    pub fn read(file: &File) -> io::Result<Option<Header>> {
        let bytes = read_upto(file, 0, HEADER_BYTES)?;
        let header = Header { bytes };
        let ours = header.bytes.len() == HEADER_BYTES
            && header.word(header::MAGIC) == MAGIC
            && header.word(header::VERSION) == VERSION;
        Ok(ours.then_some(header))
    }

    /// A word.
    pub fn word(&self, index: usize) -> u64 {
        let at = index * 8;
        let word = self.bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
        word.map_or(0, u64::from_le_bytes)
    }

    fn set(&mut self, index: usize, value: u64) {
        let at = index * 8;
        if let Some(word) = self.bytes.get_mut(at..at + 8) {
            word.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// The recorded process.
    pub fn pid(&self) -> u32 {
        Pids::unpack(self.word(header::PID)).own
    }

    /// Name of the program, without its directory.
    pub fn program(&self) -> String {
        let text = |word: usize, words: usize| {
            let bytes = &self.bytes[word * 8..(word + words) * 8];
            let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
            &bytes[..end]
        };
        let exe = text(header::EXE, header::EXE_WORDS);
        let first_argument = text(header::COMMAND, header::COMMAND_WORDS);
        String::from_utf8_lossy(program_name(exe, first_argument)).into_owned()
    }
}

/// Opens a file that may be a recording: whatever lies at the path, this does not block.
pub fn open(path: &Path, write: bool, follow: bool) -> io::Result<File> {
    let no_link = if follow { 0 } else { libc::O_NOFOLLOW };
    let mut options = OpenOptions::new();
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | no_link;
    options.read(true).write(write).custom_flags(flags);
    let mut file = options.open(path);
    // Another command may just be asking who writes to it.
    for _ in 0..MOST_TRIES {
        match &file {
            Err(error) if write && error.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
        std::thread::sleep(Duration::from_millis(1));
        file = options.open(path);
    }
    let file = file?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// The bytes of a recording, packed: what [`Recording::parse`] takes. A file that is no whole
/// recording gives bytes that `parse` refuses with the right words.
pub fn read_packed(file: &File, path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot_read = |error: io::Error| Failure::file("read", path, &error);
    let length = file.metadata().map_err(cannot_read)?.size();
    let Some(original) = Header::read(file).map_err(cannot_read)? else {
        return read_upto(file, 0, HEADER_BYTES).map_err(cannot_read);
    };
    let Some(regions) = Regions::of(&original, length) else {
        return read_upto(file, 0, length.min(MOST_DAMAGED_BYTES) as usize).map_err(cannot_read);
    };
    if regions.committed > MOST_BYTES {
        return Err(Failure::new(format!(
            "{} says that it holds {} bytes, more than any recording: it is damaged; take a new \
             dump",
            path.display(),
            regions.committed
        )));
    }
    let mut packed = original;
    packed.bytes.reserve_exact(regions.committed as usize);
    for (kind, (offset, committed)) in regions.rows.into_iter().enumerate() {
        let at = packed.bytes.len();
        append(file, offset, committed as usize, &mut packed.bytes).map_err(cannot_read)?;
        if (packed.bytes.len() - at) as u64 != committed {
            return Err(Failure::new(format!(
                "{} became shorter while it was read: try again",
                path.display()
            )));
        }
        packed.set(RegionRow::offset_word(kind), at as u64);
    }
    Ok(packed.bytes)
}

/// Reads and parses a recording.
pub fn recording(file: &File, path: &Path) -> Result<Recording, Failure> {
    parse(read_packed(file, path)?, path)
}

/// Parses packed bytes, naming the file in what goes wrong.
pub fn parse(packed: Vec<u8>, path: &Path) -> Result<Recording, Failure> {
    Recording::parse(packed)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

/// Sets words of a packed recording's header.
pub fn set_words(packed: &mut [u8], words: &[(usize, u64)]) {
    for (index, value) in words {
        if let Some(word) = packed.get_mut(index * 8..index * 8 + 8) {
            word.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// The parts of each region that may be read.
struct Regions {
    /// Offset and committed bytes.
    rows: [(u64, u64); region::COUNT],
    committed: u64,
}

impl Regions {
    /// `None` when the table contradicts itself or the length of the file.
    fn of(header: &Header, length: u64) -> Option<Regions> {
        let mut rows = [(0, 0); region::COUNT];
        let mut total = 0u64;
        for (kind, slot) in rows.iter_mut().enumerate() {
            let RegionRow {
                offset,
                capacity,
                committed,
            } = RegionRow::read(kind, |word| header.word(word));
            let sane = header.word(RegionRow::kind_word(kind)) == kind as u64
                && committed <= capacity
                && offset % 8 == 0
                && committed % 8 == 0
                && (committed == 0
                    || offset >= HEADER_BYTES as u64
                        && offset
                            .checked_add(committed)
                            .is_some_and(|end| end <= length));
            if !sane {
                return None;
            }
            total = total.checked_add(committed)?;
            *slot = (offset, committed);
        }
        // Regions that overlap would let a small file ask for much memory.
        (total <= length).then_some(Regions {
            rows,
            committed: total,
        })
    }
}

/// Reads `length` bytes from `offset` on, or as many as there are.
fn read_upto(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    append(file, offset, length, &mut bytes)?;
    Ok(bytes)
}

/// The same, behind what is in `bytes`.
fn append(file: &File, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let start = bytes.len();
    bytes.resize(start + length, 0);
    let mut end = start;
    while end < bytes.len() {
        match file.read_at(&mut bytes[end..], offset + (end - start) as u64) {
            Ok(0) => break,
            Ok(count) => end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(end);
    Ok(())
}

/// A sentence for a file that cannot even be opened.
pub fn open_failure(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::Other => Failure::new(format!(
            "cannot read {}: {}; give the path of a recording or a dump, or the id of a process",
            path.display(),
            plain(error)
        )),
        io::ErrorKind::NotFound => match path.to_str().filter(|text| names_a_service(text)) {
            Some(service) => Failure::new(format!(
                "there is no file {service}; for a Go service write http://{}/debug/pprof/heap",
                service.split('/').next().unwrap_or(service)
            )),
            None => Failure::file("read", path, error),
        },
        _ => Failure::file("read", path, error),
    }
}

/// Whether a name looks like a host and a port: `localhost:6060`, `10.0.0.7:80/debug`.
fn names_a_service(text: &str) -> bool {
    let host_and_port = text.split('/').next().unwrap_or(text);
    let host_and_port = host_and_port.rsplit_once(':');
    host_and_port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
