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

/// Puts the path of dump number `sequence` into `path`: `MAPGROW_OUT` with `%p` (pid), `%n`
/// (sequence number), `%e` (program name) and `%%` replaced, else
/// `<state directory>/<program>-<unix seconds>-<pid>-<n>.mapgrow`. `attempt` above 0 makes a
/// pattern that names an existing file name another one: the default one by its number, so that
/// the name keeps its form.
pub(crate) fn expand(
    path: &mut Text<PATH_MAX>,
    settings: &Settings,
    program: &[u8],
    sequence: u64,
    attempt: u64,
) {
    path.truncate(0);
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
            .push_decimal(sequence + attempt)
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
    if attempt > 0 && !pattern.is_empty() {
        path.push(b".").push_decimal(attempt);
    }
}

/// The directory of a path, as a path.
fn directory(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => b"/",
        Some(slash) => path.get(..slash).unwrap_or(b"."),
        None => b".",
    }
}

/// Puts a name in the directory of `path` that nobody else uses into `name`.
pub(crate) fn temporary(path: &Text<PATH_MAX>, name: &mut Text<PATH_MAX>) {
    name.truncate(0);
    name.push(directory(path.as_bytes()))
        .push(b"/.mapgrow-")
        .push_hex(sys::random())
        .push(b".tmp");
}

/// Makes the directory of `path` and its missing parents, for this user alone. `prefix` is room
/// to work in.
pub(crate) fn make_directories(path: &Text<PATH_MAX>, prefix: &mut Text<PATH_MAX>) {
    let make = |prefix: &Text<PATH_MAX>| {
        if let Some(path) = prefix.as_c_str() {
            // SAFETY: `path` is a C string. That it exists already is the usual case.
            unsafe { libc::mkdir(path.as_ptr(), 0o700) };
        }
    };
    prefix.truncate(0);
    for &byte in directory(path.as_bytes()) {
        if byte == b'/' && !prefix.as_bytes().is_empty() {
            make(prefix);
        }
        prefix.push(&[byte]);
    }
    make(prefix);
}

/// Gives a finished file its name, trying further names while one is taken. `path` is the name
/// then; false if it could not be given one.
pub(crate) fn publish(
    temporary: &CStr,
    path: &mut Text<PATH_MAX>,
    settings: &Settings,
    program: &[u8],
    sequence: u64,
) -> bool {
    for attempt in 0..TRIES {
        expand(path, settings, program, sequence, attempt);
        let Some(name) = path.as_c_str() else {
            return false;
        };
        if rename_new(temporary, name) {
            return true;
        }
        if sys::errno() != libc::EEXIST {
            return false;
        }
    }
    false
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

/// Removes the oldest dumps of the default directory beyond the bound, a few at a time. Not for a
/// signal handler, whose stack may be small.
#[inline(never)]
pub(crate) fn prune(state_dir: &Text<PATH_MAX>) {
    const AT_ONCE: usize = 4;
    for _ in 0..AT_ONCE {
        let Some(path) = state_dir.as_c_str() else {
            return;
        };
        let mut count = 0;
        let mut oldest = (i64::MAX, Text::<PATH_MAX>::new());
        sys::each_entry(path, |name| {
            if !name.to_bytes().ends_with(b".mapgrow") {
                return;
            }
            count += 1;
            let mut full = state_dir.clone();
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

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn patterns_are_expanded() {
        let pid = std::process::id();
        let path = |out: &str, attempt| {
            let mut path = Text::new();
            path.push(b"what was here before, which is longer");
            expand(&mut path, &settings(out), b"prog", 3, attempt);
            text(path.as_bytes())
        };
        assert_eq!(path("/a/%e-%p-%n.x", 0), format!("/a/prog-{pid}-3.x"));
        assert_eq!(path("100%%%", 0), "100%%");
        assert_eq!(path("/a/%q", 0), "/a/%q");
        assert_eq!(path("/a/b", 2), "/a/b.2");
        assert!(path("", 0).ends_with("-3.mapgrow"));
        assert!(path("", 2).ends_with("-5.mapgrow"));
    }

    #[test]
    fn the_directory_of_a_path() {
        let directory = |path: &str| text(directory(path.as_bytes()));
        assert_eq!(directory("/a/b"), "/a");
        assert_eq!(directory("/b"), "/");
        assert_eq!(directory("b"), ".");
        assert_eq!(directory("a/b"), "a");
    }

    #[test]
    fn missing_directories_are_made() {
        let base = std::env::temp_dir().join(format!("mapgrow-dirs-{}", std::process::id()));
        let mut path = Text::new();
        path.push(base.join("a/b/dump").to_str().unwrap().as_bytes());
        make_directories(&path, &mut Text::new());
        assert!(base.join("a/b").is_dir());
        std::fs::remove_dir_all(&base).unwrap();
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
        let mut path = Text::new();
        let settings = settings(out.to_str().unwrap());
        assert!(publish(&name, &mut path, &settings, b"p", 1));
        assert!(path.as_bytes().ends_with(b"dump.1"));
        assert_eq!(std::fs::read(&out).unwrap(), b"precious");
        assert_eq!(std::fs::read(directory.join("dump.1")).unwrap(), b"new");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
