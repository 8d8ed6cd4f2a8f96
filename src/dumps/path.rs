//! Where dumps go, and how they get there: under a temporary name first, then by a rename that
//! refuses to replace anything.

use core::ffi::CStr;

use crate::config::{PATH_MAX, Settings};
use mapgrow_system::clock;
use mapgrow_system::sys::{self, Directory, Text};

/// Names tried before giving up.
const TRIES: u64 = 1000;
/// Directories that are tried where the user named no file.
pub(crate) const PLACES: usize = 3;

/// Puts the directory in which dumps lie that the user named no file for: the user's state
/// directory, or one of these where that cannot be used. The command looks in the same ones.
pub(super) fn push_default_directory(path: &mut Text<PATH_MAX>, settings: &Settings, place: usize) {
    let shared: &[u8] = match place {
        0 => {
            path.push(settings.state_dir.as_bytes());
            return;
        }
        1 => b"/var/tmp/mapgrow-",
        _ => b"/tmp/mapgrow-",
    };
    // SAFETY: `geteuid` has no preconditions.
    let user = unsafe { libc::geteuid() };
    path.push(shared).push_decimal(u64::from(user));
}

/// Puts the path of dump number `sequence` into `path`: `MAPGROW_OUT` with `%p` (pid), `%n`
/// (sequence number), `%e` (program name) and `%%` replaced, else
/// `<default directory>/<program>-<unix seconds>-<pid>-<n>.mapgrow`. `place` is the default
/// directory, below [`PLACES`]. `attempt` above 0 makes a pattern that names an existing file name
/// another one: the default one by its number, so that the name keeps its form.
pub(crate) fn expand(
    path: &mut Text<PATH_MAX>,
    settings: &Settings,
    program: &[u8],
    sequence: u64,
    place: usize,
    attempt: u64,
) {
    path.truncate(0);
    let pid = u64::from(std::process::id());
    let pattern = settings.out.as_bytes();
    if pattern.is_empty() {
        push_default_directory(path, settings, place);
        path.push(b"/").push(program);
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

/// The name of a path's file in its directory. `None` when the path was cut, or holds a NUL.
pub(crate) fn file_name(path: &Text<PATH_MAX>) -> Option<&CStr> {
    let whole = path.as_c_str()?.to_bytes_with_nul();
    let start = whole.iter().rposition(|&byte| byte == b'/');
    CStr::from_bytes_with_nul(whole.get(start.map_or(0, |slash| slash + 1)..)?).ok()
}

/// Opens the directory of `path`: made with its missing parents and checked to be this user's
/// own, unless the user named it. `prefix` is room to work in.
pub(crate) fn open_directory(
    path: &Text<PATH_MAX>,
    named: bool,
    prefix: &mut Text<PATH_MAX>,
) -> Option<Directory> {
    if !named {
        make_parents(path, prefix);
    }
    prefix.truncate(0);
    prefix.push(directory(path.as_bytes()));
    let directory = prefix.as_c_str()?;
    if named {
        Directory::named(directory)
    } else {
        Directory::private(directory)
    }
}

/// A name that nobody else uses.
pub(crate) fn temporary_name() -> Text<40> {
    let mut name = Text::new();
    name.push(b".mapgrow-")
        .push_hex(sys::random())
        .push(b".tmp");
    name
}

/// Makes what is missing above the directory of `path`, for this user alone.
fn make_parents(path: &Text<PATH_MAX>, prefix: &mut Text<PATH_MAX>) {
    prefix.truncate(0);
    for &byte in directory(path.as_bytes()) {
        if byte == b'/'
            && !prefix.as_bytes().is_empty()
            && let Some(parent) = prefix.as_c_str()
        {
            // SAFETY: `parent` is a C string. That it exists already is the usual case.
            unsafe { libc::mkdir(parent.as_ptr(), 0o700) };
        }
        prefix.push(&[byte]);
    }
}

/// What became of a finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// It has its name.
    Yes,
    /// All names that were tried are taken, or none can be made.
    NoneFree,
    /// The system refused for another reason.
    Refused,
}

/// Gives a finished file its name by `name`, trying further ones while one is taken (`errno` is
/// `EEXIST` then). `path` is the name in the end.
pub(crate) fn publish(
    path: &mut Text<PATH_MAX>,
    another: impl Fn(&mut Text<PATH_MAX>, u64),
    name: impl Fn(&CStr) -> bool,
) -> Published {
    for attempt in 0..TRIES {
        another(path, attempt);
        let Some(file) = file_name(path) else {
            return Published::NoneFree;
        };
        if name(file) {
            return Published::Yes;
        }
        if sys::errno() != libc::EEXIST {
            return Published::Refused;
        }
    }
    Published::NoneFree
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
            expand(&mut path, &settings(out), b"prog", 3, 0, attempt);
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
        assert!(open_directory(&path, true, &mut Text::new()).is_none());
        assert!(open_directory(&path, false, &mut Text::new()).is_some());
        assert!(base.join("a/b").is_dir());
        std::fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let directory = std::env::temp_dir().join(format!("mapgrow-path-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let out = directory.join("dump");
        std::fs::write(&out, b"precious").unwrap();
        std::fs::write(directory.join("tmp"), b"new").unwrap();
        let mut path = Text::new();
        let settings = settings(out.to_str().unwrap());
        let name = |path: &mut Text<PATH_MAX>, attempt| {
            expand(path, &settings, b"p", 1, 0, attempt);
        };
        name(&mut path, 0);
        let open = open_directory(&path, true, &mut Text::new()).unwrap();
        let rename = |name: &CStr| open.rename_new(c"tmp", name);
        assert_eq!(publish(&mut path, name, rename), Published::Yes);
        assert!(path.as_bytes().ends_with(b"dump.1"));
        assert_eq!(std::fs::read(&out).unwrap(), b"precious");
        assert_eq!(std::fs::read(directory.join("dump.1")).unwrap(), b"new");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
