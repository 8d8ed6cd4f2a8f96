//! Where dumps go, and how they get there: under a temporary name first, then by a rename that
//! refuses to replace anything.

use core::ffi::CStr;

use crate::clock;
use crate::config::{PATH_MAX, Settings};
use crate::sys::{self, Text};

/// Dumps kept in the default directory.
const KEPT: usize = 64;
/// Names tried before giving up.
const TRIES: u64 = 1000;

/// The directory and the pattern of file names of this process' dumps.
pub(crate) struct Target {
    /// The full path for sequence number `n`.
    path: Text<PATH_MAX>,
    /// Bytes of `path` that name the directory, without the slash; 0 for the working directory.
    directory: usize,
    pub(crate) in_default_directory: bool,
}

/// Builds the path of dump number `sequence`: `MAPGROW_OUT` with `%p` (pid), `%n` (sequence
/// number), `%e` (program name) and `%%` replaced, else
/// `<state directory>/<program>-<unix seconds>-<pid>-<n>.mapgrow`. `attempt` above 0 makes a
/// pattern that names an existing file name another one.
pub(crate) fn target(settings: &Settings, program: &[u8], sequence: u64, attempt: u64) -> Target {
    let mut path = Text::new();
    let pid = u64::from(std::process::id());
    let pattern = settings.out.as_bytes();
    if pattern.is_empty() {
        path.push(settings.state_dir.as_bytes())
            .push(b"/")
            .push(program);
        path.push(b"-")
            .push_decimal(clock::unix_ns() / 1_000_000_000);
        path.push(b"-")
            .push_decimal(pid)
            .push(b"-")
            .push_decimal(sequence)
            .push(b".mapgrow");
    } else {
        let mut rest = pattern.iter();
        while let Some(&byte) = rest.next() {
            match (byte, rest.as_slice().first()) {
                (b'%', Some(b'p')) => path.push_decimal(pid),
                (b'%', Some(b'n')) => path.push_decimal(sequence),
                (b'%', Some(b'e')) => path.push(program),
                (b'%', Some(b'%')) => path.push(b"%"),
                _ => {
                    path.push(&[byte]);
                    continue;
                }
            };
            rest.next();
        }
    }
    if attempt > 0 {
        path.push(b".").push_decimal(attempt);
    }
    let directory = path
        .as_bytes()
        .iter()
        .rposition(|&b| b == b'/')
        .unwrap_or(0);
    Target {
        path,
        directory,
        in_default_directory: pattern.is_empty(),
    }
}

impl Target {
    pub(crate) fn path(&self) -> &Text<PATH_MAX> {
        &self.path
    }

    /// The directory as a path.
    pub(crate) fn directory(&self) -> Text<PATH_MAX> {
        let mut directory = self.path.clone();
        directory.truncate(self.directory);
        if directory.as_bytes().is_empty() {
            directory.push(if self.path.as_bytes().starts_with(b"/") {
                b"/"
            } else {
                b"."
            });
        }
        directory
    }

    /// A name in the same directory that nobody else uses.
    pub(crate) fn temporary(&self) -> Text<PATH_MAX> {
        let mut name = self.directory();
        name.push(b"/.mapgrow-")
            .push_hex(sys::random())
            .push(b".tmp");
        name
    }
}

/// Makes the default directory and its missing parents, for this user alone.
pub(crate) fn make_directories(directory: &Text<PATH_MAX>) {
    let bytes = directory.as_bytes();
    for at in 1..=bytes.len() {
        if at < bytes.len() && bytes.get(at) != Some(&b'/') {
            continue;
        }
        let mut prefix = directory.clone();
        prefix.truncate(at);
        if let Some(path) = prefix.as_c_str() {
            // SAFETY: `path` is a C string. That it exists already is the usual case.
            unsafe { libc::mkdir(path.as_ptr(), 0o700) };
        }
    }
}

/// Gives a finished file its name, trying further names while one is taken. The sequence number
/// that was used, or `None`.
pub(crate) fn publish(
    temporary: &CStr,
    settings: &Settings,
    program: &[u8],
    sequence: u64,
) -> Option<Text<PATH_MAX>> {
    for attempt in 0..TRIES {
        let target = target(settings, program, sequence, attempt);
        let path = target.path().as_c_str()?;
        if rename_new(temporary, path) {
            return Some(target.path().clone());
        }
        if sys::errno() != libc::EEXIST {
            return None;
        }
    }
    None
}

/// Renames without replacing; `errno` is `EEXIST` when the name is taken.
fn rename_new(from: &CStr, to: &CStr) -> bool {
    const RENAME_NOREPLACE: libc::c_uint = 1;
    // SAFETY: both are C strings.
    let renamed = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            RENAME_NOREPLACE,
        )
    } == 0;
    if renamed || sys::errno() == libc::EEXIST {
        return renamed;
    }
    // File systems without that flag: a link never replaces either.
    // SAFETY: both are C strings.
    unsafe { libc::link(from.as_ptr(), to.as_ptr()) == 0 && libc::unlink(from.as_ptr()) == 0 }
}

/// Removes the oldest dumps of the default directory beyond the bound, a few at a time.
pub(crate) fn prune(directory: &Text<PATH_MAX>) {
    const AT_ONCE: usize = 4;
    for _ in 0..AT_ONCE {
        let Some(path) = directory.as_c_str() else {
            return;
        };
        let mut count = 0;
        let mut oldest = (i64::MAX, Text::<PATH_MAX>::new());
        sys::each_entry(path, |name| {
            if !name.to_bytes().ends_with(b".mapgrow") {
                return;
            }
            count += 1;
            let mut full = directory.clone();
            full.push(b"/").push(name.to_bytes());
            // SAFETY: `stat` is plain data for which zero is valid.
            let mut stat: libc::stat = unsafe { core::mem::zeroed() };
            let Some(file) = full.as_c_str() else { return };
            // SAFETY: `file` is a C string and `stat` a place for the result.
            let found = unsafe { libc::lstat(file.as_ptr(), &raw mut stat) } == 0;
            if found && stat.st_mode & libc::S_IFMT == libc::S_IFREG && stat.st_mtime < oldest.0 {
                oldest = (stat.st_mtime, full);
            }
        });
        if count <= KEPT {
            return;
        }
        let Some(file) = oldest.1.as_c_str() else {
            return;
        };
        // SAFETY: `file` is a C string.
        if unsafe { libc::unlink(file.as_ptr()) } != 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defaults;

    fn settings(out: &str) -> Settings {
        let mut settings = Settings::resolve(&Defaults::new());
        settings.out = Text::new();
        settings.out.push(out.as_bytes());
        settings
    }

    #[test]
    fn patterns_are_expanded() {
        let pid = std::process::id();
        let path = |out: &str, attempt| {
            let target = target(&settings(out), b"prog", 3, attempt);
            String::from_utf8(target.path().as_bytes().to_vec()).unwrap()
        };
        assert_eq!(path("/a/%e-%p-%n.x", 0), format!("/a/prog-{pid}-3.x"));
        assert_eq!(path("100%%%", 0), "100%%");
        assert_eq!(path("/a/%q", 0), "/a/%q");
        assert_eq!(path("/a/b", 2), "/a/b.2");
    }

    #[test]
    fn the_directory_of_a_path() {
        let directory = |out: &str| {
            let target = target(&settings(out), b"prog", 1, 0);
            String::from_utf8(target.directory().as_bytes().to_vec()).unwrap()
        };
        assert_eq!(directory("/a/b"), "/a");
        assert_eq!(directory("/b"), "/");
        assert_eq!(directory("b"), ".");
        assert_eq!(directory("a/b"), "a");
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let directory = std::env::temp_dir().join(format!("mapgrow-path-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let out = directory.join("dump");
        std::fs::write(&out, b"precious").unwrap();
        let temporary = directory.join("tmp");
        std::fs::write(&temporary, b"new").unwrap();
        let name = std::ffi::CString::new(temporary.to_str().unwrap()).unwrap();
        let path = publish(&name, &settings(out.to_str().unwrap()), b"p", 1).unwrap();
        assert!(path.as_bytes().ends_with(b"dump.1"));
        assert_eq!(std::fs::read(&out).unwrap(), b"precious");
        assert_eq!(std::fs::read(directory.join("dump.1")).unwrap(), b"new");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
