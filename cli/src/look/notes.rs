//! What a core file notes of its process: its name, where its threads' stacks were, and which
//! files were mapped.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of notes that are read: of all of them, for ever so many may be said to lie in one place.
const MOST: u64 = 64 << 20;
/// Threads and files that are kept.
const MOST_KEPT: usize = 1 << 17;
/// Bytes of a path.
const LONGEST_PATH: usize = 4096;
/// Kinds of notes.
const STATUS: u32 = 1;
const PROGRAM: u32 = 3;
const FILES: u32 = 0x4649_4C45;
/// Where a thread's status has its stack pointer on x86_64, and elsewhere (aarch64).
const STACK_POINTER: usize = 112 + if cfg!(target_arch = "x86_64") { 19 } else { 31 } * 8;

/// What was noted.
#[derive(Debug, Default)]
pub struct Notes {
    /// The process' id.
    pub pid: Option<u32>,
    /// Its program's name, the first bytes of it.
    pub name: Option<String>,
    /// Its command line, the first bytes of it.
    pub command: Option<String>,
    /// The file that was mapped first below all others: of most programs, their own.
    pub program: Option<String>,
    /// Its threads, and their stack pointers.
    threads: Vec<(u32, u64)>,
    /// Files that were mapped: from where to where, from which byte of it on, and its path.
    files: Vec<(u64, u64, u64, String)>,
    /// Where the first byte of each was mapped.
    starts: HashMap<String, u64>,
    /// Where files that processes share were mapped.
    shared: Vec<(u64, u64)>,
}

impl Notes {
    /// The stack pointers of its threads.
    pub fn stacks(&self) -> Vec<u64> {
        self.threads.iter().map(|&(_, pointer)| pointer).collect()
    }

    /// Its threads, and their stack pointers.
    pub fn threads(&self) -> &[(u32, u64)] {
        &self.threads
    }

    /// Where the first byte of a file was mapped.
    pub fn file_start(&self, path: &str) -> Option<u64> {
        self.starts.get(path).copied()
    }

    /// Which file was mapped at an address: which byte of it, and its path.
    pub fn file_at(&self, address: u64) -> Option<(u64, &str)> {
        let after = (self.files).partition_point(|&(start, ..)| start <= address);
        let (start, end, offset, name) = self.files.get(after.checked_sub(1)?)?;
        (address < *end).then(|| (offset.saturating_add(address - start), name.as_str()))
    }

    /// Whether what lies at `address` may be another process' as well.
    pub fn is_shared(&self, address: u64) -> bool {
        let after = self.shared.partition_point(|&(start, _)| start <= address);
        after > 0
            && self
                .shared
                .get(after - 1)
                .is_some_and(|&(_, end)| address < end)
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
}

/// Reads the notes of `file`, as many as there are: each of `places` is an offset and a length.
pub fn read(file: &File, places: &[(u64, u64)]) -> Notes {
    let mut notes = Notes::default();
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let mut left = MOST;
    for &(offset, length) in places {
        let length = length.min(left).min(size.saturating_sub(offset));
        left -= length;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if file.read_exact_at(&mut bytes, offset).is_ok() {
            let _ = take(&bytes, &mut notes);
        }
    }
    notes.shared.sort_unstable();
    notes.files.sort_unstable();
    notes
}

fn take(mut bytes: &[u8], into: &mut Notes) -> Option<()> {
    loop {
        let (name, length) = (half(bytes, 0)? as usize, half(bytes, 4)? as usize);
        let kind = half(bytes, 8)?;
        let from = 12_usize.checked_add(name.checked_next_multiple_of(4)?)?;
        let body = bytes.get(from..from.checked_add(length)?)?;
        match kind {
            STATUS => status(body, into),
            PROGRAM => program(body, into),
            FILES => {
                let _ = files(body, into);
            }
            _ => {}
        }
        bytes = bytes.get(from.checked_add(length.checked_next_multiple_of(4)?)?..)?;
    }
}

fn status(body: &[u8], into: &mut Notes) {
    let id = half(body, 32);
    into.pid = into.pid.or(id);
    if let Some(pointer) = word(body, STACK_POINTER)
        && into.threads.len() < MOST_KEPT
    {
        into.threads.push((id.unwrap_or(0), pointer));
    }
}

fn program(body: &[u8], into: &mut Notes) {
    into.pid = half(body, 24).or(into.pid);
    into.name = body.get(40..56).map(text);
    into.command = body.get(56..136).map(text);
}

/// Where which files were mapped: their number, then three words of each, then their names.
fn files(body: &[u8], into: &mut Notes) -> Option<()> {
    let count = usize::try_from(word(body, 0)?).ok()?.min(MOST_KEPT);
    let page = word(body, 8)?;
    let mut names = body.get(16 + count.checked_mul(24)?..)?;
    for index in 0..count {
        let entry = 16 + index * 24;
        let (start, end) = (word(body, entry)?, word(body, entry + 8)?);
        let length = names.iter().position(|&byte| byte == 0)?;
        let name = names.get(..length)?;
        names = names.get(length + 1..)?;
        if index == 0 {
            into.program = Some(text(name));
        }
        // What a path has that is no text would be told as other characters.
        if let Ok(path) = std::str::from_utf8(name)
            && let Some(offset) = word(body, entry + 16).and_then(|pages| pages.checked_mul(page))
            && path.starts_with('/')
            && path.len() <= LONGEST_PATH
            && !path.contains('\n')
            && into.files.len() < MOST_KEPT
        {
            if offset == 0 {
                into.starts.entry(path.to_owned()).or_insert(start);
            }
            into.files.push((start, end, offset, path.to_owned()));
        }
        let shared: [&[u8]; 3] = [b"/dev/", b"/memfd:", b"/SYSV"];
        let is_shared = shared.iter().any(|prefix| name.starts_with(prefix));
        if is_shared && name != b"/dev/zero" && into.shared.len() < MOST_KEPT {
            into.shared.push((start, end));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_may_end_anywhere() {
        let mut notes = Vec::new();
        let mut body = vec![0; 136];
        body[24] = 42;
        body[40..45].copy_from_slice(b"cache");
        body[56..66].copy_from_slice(b"./cache -v");
        for (kind, body) in [(PROGRAM, body), (STATUS, vec![7; 336])] {
            notes.extend(5_u32.to_le_bytes());
            notes.extend((body.len() as u32).to_le_bytes());
            notes.extend(kind.to_le_bytes());
            notes.extend(b"CORE\0\0\0\0");
            notes.extend(body);
        }
        for length in 0..notes.len() {
            let _ = take(&notes[..length], &mut Notes::default());
        }
        let mut read = Notes::default();
        let _ = take(&notes, &mut read);
        assert_eq!((read.pid, read.name.as_deref()), (Some(42), Some("cache")));
        assert_eq!(read.command.as_deref(), Some("./cache -v"));
        assert_eq!(read.stacks(), [0x0707_0707_0707_0707]);
        let mut wild = notes.clone();
        wild[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(take(&wild, &mut Notes::default()).is_none());
    }
}
