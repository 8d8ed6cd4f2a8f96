//! The lines of source around the places that a page tells of, where their files are on this machine.
//!
//! A page is handed on, and a recording may name any file. So nothing is taken from a file that its
//! owner does not let everybody read.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use mapgrow_report::Caller;
use serde::Serialize;

/// Lines before the one in question, and behind it.
const AROUND: usize = 3;
/// Characters of a line.
const LONGEST_LINE: usize = 200;
/// Bytes of a file, and of all that are read.
const LARGEST_FILE: u64 = 4 << 20;
const MOST_BYTES: u64 = 64 << 20;
/// Files that are looked for.
const MOST_FILES: usize = 2000;

/// A few lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// Number of the first line, counted from 1.
    first: u32,
    lines: Vec<String>,
    /// Whether the file is younger than the program: other lines may have stood there.
    changed: bool,
}

/// The files that were read, and when programs were built.
#[derive(Debug)]
pub struct Sources {
    files: HashMap<String, Option<Text>>,
    built: HashMap<String, Option<SystemTime>>,
    /// Bytes that may still be read.
    left: u64,
}

#[derive(Debug)]
struct Text {
    lines: Vec<String>,
    bytes: u64,
    written: Option<SystemTime>,
}

impl Sources {
    /// None yet.
    pub fn new() -> Sources {
        Sources {
            files: HashMap::new(),
            built: HashMap::new(),
            left: MOST_BYTES,
        }
    }

    /// The lines around a place in a program or library.
    pub fn excerpt(&mut self, place: &Caller, module: Option<&str>) -> Option<Excerpt> {
        let at = usize::try_from(place.line?).ok()?.checked_sub(1)?;
        let built = module.and_then(|module| self.built(module));
        let text = self.text(place.file.as_deref()?)?;
        // A line that is not there is one of another version of the file.
        text.lines.get(at)?;
        let first = at.saturating_sub(AROUND);
        let lines = &text.lines[first..text.lines.len().min(at + AROUND + 1)];
        Some(Excerpt {
            first: u32::try_from(first + 1).ok()?,
            lines: lines.to_vec(),
            changed: built.is_some() && text.written > built,
        })
    }

    fn built(&mut self, module: &str) -> Option<SystemTime> {
        if !self.built.contains_key(module) && self.built.len() < MOST_FILES {
            let modified = std::fs::metadata(module).and_then(|file| file.modified());
            self.built.insert(module.to_owned(), modified.ok());
        }
        *self.built.get(module)?
    }

    fn text(&mut self, file: &str) -> Option<&Text> {
        if !self.files.contains_key(file) && self.files.len() < MOST_FILES {
            let text = read(Path::new(file), LARGEST_FILE.min(self.left));
            self.left -= text.as_ref().map_or(0, |text| text.bytes).min(self.left);
            self.files.insert(file.to_owned(), text);
        }
        self.files.get(file)?.as_ref()
    }
}

/// What a file says, if that is for everybody's eyes and has at most so many bytes.
fn read(path: &Path, most: u64) -> Option<Text> {
    // Nobody knows any more what a relative path was relative to.
    if !path.is_absolute() {
        return None;
    }
    let open = OpenOptions::new()
        .read(true)
        // A pipe may never end, and a terminal must not become that of this process.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let file = open.ok()?;
    let metadata = file.metadata().ok()?;
    if !for_everybody(&metadata) || metadata.len() > most {
        return None;
    }
    let text = text(file, most)?;
    let cut = |line: &str| line.chars().take(LONGEST_LINE).collect();
    Some(Text {
        lines: text.lines().map(cut).collect(),
        bytes: text.len() as u64,
        written: metadata.modified().ok(),
    })
}

fn for_everybody(metadata: &Metadata) -> bool {
    const OTHERS_READ: u32 = 0o004;
    metadata.is_file() && metadata.mode() & OTHERS_READ != 0
}

fn text(file: File, most: u64) -> Option<String> {
    let mut text = String::new();
    file.take(most).read_to_string(&mut text).ok()?;
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::time::Duration;

    /// A directory that is removed at the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let name = format!("mapgrow-sources-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).expect("a directory");
            Directory(path)
        }

        fn file(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> String {
            let path = self.0.join(name);
            std::fs::write(&path, text).expect("written");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("its mode");
            path.to_str().expect("UTF-8").to_owned()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn at(file: &str, line: u32) -> Option<Excerpt> {
        Sources::new().excerpt(&place(file, line), None)
    }

    fn place(file: &str, line: u32) -> Caller {
        Caller {
            function: "f".to_owned(),
            file: Some(file.to_owned()),
            line: Some(line),
        }
    }

    #[test]
    fn the_lines_around_a_place_are_shown() {
        let directory = Directory::new("lines");
        let lines: Vec<String> = (1..=20).map(|line| format!("line {line}")).collect();
        let file = directory.file("a.rs", lines.join("\n"), 0o644);
        let excerpt = at(&file, 10).expect("lines");
        assert_eq!((excerpt.first, excerpt.changed), (7, false));
        assert_eq!(excerpt.lines, lines[6..13]);
        assert_eq!(at(&file, 1).expect("lines").lines, lines[..4]);
        assert_eq!(at(&file, 20).expect("lines").lines, lines[16..]);
        for line in [0, 21, u32::MAX] {
            assert_eq!(at(&file, line), None);
        }
    }

    #[test]
    fn what_not_everybody_may_read_is_not_handed_on() {
        let directory = Directory::new("secret");
        let secret = directory.file("key", "secret", 0o640);
        let link = directory.0.join("link.rs");
        std::os::unix::fs::symlink(&secret, &link).expect("a link");
        let data = directory.file("data", b"a\0b", 0o644);
        let long = directory.file("long", "x".repeat(9000), 0o644);
        let directory = directory.0.to_str().expect("UTF-8");
        let link = link.to_str().expect("UTF-8");
        for file in [
            &secret,
            link,
            &data,
            directory,
            "/dev/zero",
            "a.rs",
            "",
            "\0",
        ] {
            assert_eq!(at(file, 1), None, "{file}");
        }
        let excerpt = at(&long, 1).expect("a line");
        assert_eq!(excerpt.lines[0].len(), LONGEST_LINE);
    }

    #[test]
    fn a_file_younger_than_the_program_is_told() {
        let directory = Directory::new("age");
        let file = directory.file("a.rs", "fill();", 0o644);
        let program = directory.file("a", "", 0o755);
        let hour = Duration::from_secs(3600);
        for (built, changed) in [
            (SystemTime::now() + hour, false),
            (SystemTime::now() - hour, true),
        ] {
            let program_file = File::options().write(true).open(&program);
            let set = program_file.and_then(|file| file.set_modified(built));
            set.expect("its time");
            let excerpt = Sources::new().excerpt(&place(&file, 1), Some(&program));
            assert_eq!(excerpt.expect("a line").changed, changed);
        }
    }
}
