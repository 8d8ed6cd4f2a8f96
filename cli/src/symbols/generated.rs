//! Names for machine code that a process generated while it ran.
//!
//! Interpreters and just-in-time compilers list such code in `/tmp/perf-PID.map` when they are
//! asked to (`python3 -X perf` from 3.12 on, `node --perf-basic-prof`, ...): a line for each
//! function, `START SIZE NAME` with both numbers in hexadecimal, as the kernel's
//! `tools/perf/Documentation/jit-interface.txt` defines.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use mapgrow_format::layout::header;
use mapgrow_format::layout::packed::Pids;
use mapgrow_format::reader::Recording;
use mapgrow_report::symbols::Frame;

use crate::proc::own_uid;

/// Most bytes read of such a file, and of a line of it.
const MOST_BYTES: u64 = 256 << 20;
const MOST_LINE: u64 = 64 << 10;

/// What precedes a function of Python's: `py::NAME:FILE`.
const PYTHON: &str = "py::";

/// The functions that a process generated, by address.
#[derive(Debug, Default)]
pub struct GeneratedCode {
    /// By their first address; of those that lie at the same place, the newest.
    functions: Vec<Function>,
}

#[derive(Debug)]
struct Function {
    start: u64,
    bytes: u64,
    name: String,
}

impl GeneratedCode {
    /// What the recorded process listed; nothing where it did not, or where the file is not its
    /// own.
    pub fn of(recording: &Recording) -> GeneratedCode {
        // The other half of the word is the parent's.
        let pid = Pids::unpack(recording.header(header::PID)).own;
        let began = Duration::from_nanos(recording.header(header::START_UNIX_NS));
        let path = format!("/tmp/perf-{pid}.map");
        trusted(Path::new(&path), began)
            .map(|file| GeneratedCode::read(file.take(MOST_BYTES)))
            .unwrap_or_default()
    }

    fn read(file: impl Read) -> GeneratedCode {
        let mut functions = Vec::new();
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            match lines.by_ref().take(MOST_LINE).read_until(b'\n', &mut line) {
                Ok(1..) => functions.extend(function(&String::from_utf8_lossy(&line))),
                _ => break,
            }
        }
        // Code that was thrown away makes room for other code: what was listed last counts. The
        // order of those that are equal stays.
        functions.reverse();
        functions.sort_by_key(|function: &Function| function.start);
        functions.dedup_by_key(|function| function.start);
        GeneratedCode { functions }
    }

    /// The function at an address.
    pub fn function(&self, address: u64) -> Option<Frame> {
        let after = self
            .functions
            .partition_point(|function| function.start <= address);
        let function = &self.functions[after.checked_sub(1)?];
        (address - function.start < function.bytes).then(|| frame(&function.name))
    }
}

/// The file, if it is the process's: in a directory where anybody writes, under a name that
/// anybody can guess, it must be ours or root's, and younger than the process.
fn trusted(path: &Path, began: Duration) -> Option<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .ok()?;
    let meta = file.metadata().ok()?;
    let written = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let owner = meta.uid();
    let ours = owner == own_uid() || owner == 0;
    (meta.is_file() && ours && written >= began).then_some(file)
}

fn function(line: &str) -> Option<Function> {
    let mut words = line.trim_end_matches('\n').splitn(3, ' ');
    let mut number = || {
        let digits = words.next()?;
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        u64::from_str_radix(digits, 16).ok()
    };
    let (start, bytes) = (number()?, number()?);
    let name = words.next()?.trim().to_owned();
    (bytes > 0 && !name.is_empty()).then_some(Function { start, bytes, name })
}

fn frame(name: &str) -> Frame {
    let python = name
        .strip_prefix(PYTHON)
        .and_then(|rest| rest.split_once(':'));
    let (function, file) = match python {
        Some((function, file)) => (function, Some(file.to_owned())),
        None => (name, None),
    };
    Frame {
        function: Some(function.to_owned()),
        file,
        line: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(code: &GeneratedCode, address: u64) -> Option<(String, Option<String>)> {
        let frame = code.function(address)?;
        Some((frame.function?, frame.file))
    }

    #[test]
    fn addresses_fall_into_functions() {
        let list = "7f00 b py::load:/home/x/a b.py\n7f0b b py::<module>:/x.py\n\
                    0x9000 10 LazyCompile:*fill app.js:3\n";
        let code = GeneratedCode::read(list.as_bytes());
        let python = |function: &str, file: &str| Some((function.to_owned(), Some(file.into())));
        assert_eq!(name(&code, 0x7eff), None);
        assert_eq!(name(&code, 0x7f00), python("load", "/home/x/a b.py"));
        assert_eq!(name(&code, 0x7f0a), python("load", "/home/x/a b.py"));
        assert_eq!(name(&code, 0x7f0b), python("<module>", "/x.py"));
        assert_eq!(name(&code, 0x7f16), None);
        let script = Some(("LazyCompile:*fill app.js:3".to_owned(), None));
        assert_eq!(name(&code, 0x900f), script);
    }

    #[test]
    fn the_newest_code_at_a_place_counts_and_nonsense_does_not() {
        let list = b"10 8 old\n\nzz 8 x\n10\n10 8\n20 0 empty\n\xff\n10 8 new\n10 8 ";
        let code = GeneratedCode::read(&list[..]);
        assert_eq!(name(&code, 0x10), Some(("new".to_owned(), None)));
        assert_eq!(name(&code, 0x20), None);
        let lines = GeneratedCode::read(&[b'f'; 200_000][..]);
        assert_eq!(name(&lines, 1), None);
    }

    #[test]
    fn a_file_that_others_could_have_put_there_is_not_read() {
        let directory = tempfile();
        let path = directory.join("perf-1.map");
        std::fs::write(&path, "10 8 x\n").unwrap();
        assert!(trusted(&path, Duration::ZERO).is_some());
        let later = UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(3600);
        assert!(trusted(&path, later).is_none());
        let link = directory.join("perf-2.map");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(trusted(&link, Duration::ZERO).is_none());
        assert!(trusted(&directory, Duration::ZERO).is_none());
        std::fs::remove_dir_all(directory).unwrap();
    }

    fn tempfile() -> std::path::PathBuf {
        let name = format!("mapgrow-generated-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}
