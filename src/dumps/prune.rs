//! Keeps the default directories of dumps within bounds: so many for each program, so many in all,
//! so many bytes.

use core::ffi::CStr;

use super::Names;
use super::path::{PLACES, push_default_directory};
use crate::config::Settings;
use crate::recording::private_pages;
use mapgrow_system::sys::Directory;

/// Dumps kept in a default directory.
const KEPT: usize = 64;
/// Dumps of one program that are kept: its children must not push out those of all others.
const KEPT_OF_PROGRAM: usize = 16;
/// Bytes of dumps that are kept.
const KEPT_BYTES: u64 = 1 << 30;
/// Files of a directory that are looked at.
const MOST: usize = 4096;
/// A temporary file of a dump that is older belongs to nobody any more.
const ABANDONED_AFTER_S: i64 = 3600;

/// When a file was written.
type Written = (i64, i64);

/// A dump in the directory.
#[derive(Debug, Clone, Copy)]
struct Dump {
    written: Written,
    bytes: u64,
    /// Whether it is of the program that looks.
    own: bool,
}

/// Dumps that are older than these go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Oldest {
    own: Written,
    any: Written,
}

/// The program that a dump's name says it is of, if a file is named as dumps are in the default
/// directory: `<program>-<unix seconds>-<pid>-<n>.mapgrow`.
fn program_of(name: &[u8]) -> Option<&[u8]> {
    let stem = name.strip_suffix(b".mapgrow")?;
    let mut parts = stem.rsplitn(4, |&byte| byte == b'-');
    let mut number = || {
        let part = parts.next().unwrap_or(&[]);
        !part.is_empty() && part.iter().all(u8::is_ascii_digit)
    };
    if number() && number() && number() {
        parts.next()
    } else {
        None
    }
}

/// Which of these dumps are to be kept.
fn oldest_kept(dumps: &mut [Dump]) -> Oldest {
    dumps.sort_unstable_by_key(|dump| core::cmp::Reverse(dump.written));
    let (mut all, mut own, mut bytes) = (0, 0, 0_u64);
    let mut oldest = Oldest {
        own: (i64::MIN, 0),
        any: (i64::MIN, 0),
    };
    let mut last = (i64::MAX, 0);
    let mut last_own = (i64::MAX, 0);
    for dump in dumps {
        if dump.own && own == KEPT_OF_PROGRAM {
            oldest.own = oldest.own.max(last_own);
            continue;
        }
        all += 1;
        bytes = bytes.saturating_add(dump.bytes);
        // The newest is kept whatever its size.
        if all > KEPT || (bytes > KEPT_BYTES && all > 1) {
            oldest.any = last;
            return oldest;
        }
        last = dump.written;
        if dump.own {
            own += 1;
            last_own = dump.written;
        }
    }
    oldest
}

/// Removes the oldest dumps of the default directories beyond the bounds, and what dumps that never
/// came to an end left behind: files of this user's that are named so, in directories of this
/// user's own. To be called by the one who writes a dump.
pub(super) fn prune(settings: &Settings, names: &mut Names) {
    let size = MOST * size_of::<Dump>();
    let Some(pages) = private_pages(size) else {
        return;
    };
    // SAFETY: fresh pages, zero is valid for a `Dump`, and the slice is gone before they are.
    let room = unsafe { core::slice::from_raw_parts_mut(pages.cast::<Dump>(), MOST) };
    for place in 0..PLACES {
        names.directory.clear();
        push_default_directory(&mut names.directory, settings, place);
        let open = || names.directory.as_c_str().and_then(Directory::own);
        let mut count = 0;
        if let Some(directory) = open() {
            let program = names.program.as_bytes();
            each_dump(&directory, |_, dump_of, dump| {
                if let Some(place) = room.get_mut(count) {
                    let own = dump_of == program;
                    *place = Dump { own, ..dump };
                    count += 1;
                }
            });
        }
        let Some(dumps) = room.get_mut(..count) else {
            break;
        };
        let oldest = oldest_kept(dumps);
        // A descriptor's entries are read once.
        if let Some(directory) = open() {
            remove_older(&directory, names.program.as_bytes(), oldest);
        }
    }
    // SAFETY: mapped above with this size; `room`, the only reference to it, is not used again.
    unsafe { libc::munmap(pages.cast(), size) };
}

fn remove_older(directory: &Directory, program: &[u8], oldest: Oldest) {
    each_dump(directory, |name, dump_of, dump| {
        let own = dump_of == program;
        if dump.written < oldest.any || (own && dump.written < oldest.own) {
            directory.remove(name);
        }
    });
}

/// Calls `visit` with the name, program, age and size of each dump of this user's; temporary files
/// that nobody writes to any more are removed on the way.
fn each_dump(directory: &Directory, mut visit: impl FnMut(&CStr, &[u8], Dump)) {
    // SAFETY: `geteuid` has no preconditions.
    let user = unsafe { libc::geteuid() };
    let now = (mapgrow_system::clock::unix_ns() / 1_000_000_000) as i64;
    directory.each_entry(|name| {
        let bytes = name.to_bytes();
        let temporary = bytes.starts_with(b".mapgrow-") && bytes.ends_with(b".tmp");
        let program = program_of(bytes);
        if !temporary && program.is_none() {
            return;
        }
        let Some(stat) = directory.stat(name) else {
            return;
        };
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_uid != user {
            return;
        }
        if temporary {
            if stat.st_mtime < now - ABANDONED_AFTER_S {
                directory.remove(name);
            }
        } else if let Some(program) = program {
            let dump = Dump {
                written: (stat.st_mtime, stat.st_mtime_nsec),
                bytes: stat.st_size as u64,
                own: false,
            };
            visit(name, program, dump);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use crate::config::Defaults;
    use mapgrow_system::sys::Text;

    #[test]
    fn a_dump_is_told_by_its_name() {
        let program = |name: &str| program_of(name.as_bytes()).map(<[u8]>::to_vec);
        assert_eq!(program("app-1-2-3.mapgrow"), Some(b"app".to_vec()));
        assert_eq!(program("my-app-1-2-3.mapgrow"), Some(b"my-app".to_vec()));
        for other in ["mine.mapgrow", "app-1-2-x.mapgrow", "app-1-2-3.mapgrow.txt"] {
            assert_eq!(program(other), None, "{other}");
        }
    }

    fn dump(age: i64, bytes: u64, own: bool) -> Dump {
        Dump {
            written: (1_000_000 - age, 0),
            bytes,
            own,
        }
    }

    #[test]
    fn a_program_keeps_its_newest_and_leaves_those_of_others() {
        // A hundred of ours, newer than the ten of others.
        let mut dumps: Vec<Dump> = (0..100).map(|age| dump(age, 10, true)).collect();
        dumps.extend((200..210).map(|age| dump(age, 10, false)));
        let oldest = oldest_kept(&mut dumps);
        let kept =
            |dump: &&Dump| dump.written >= oldest.any && !(dump.own && dump.written < oldest.own);
        assert_eq!(dumps.iter().filter(kept).count(), KEPT_OF_PROGRAM + 10);
    }

    #[test]
    fn all_together_are_bounded_by_number_and_by_bytes() {
        let mut many: Vec<Dump> = (0..100).map(|age| dump(age, 10, false)).collect();
        let oldest = oldest_kept(&mut many);
        let kept = many.iter().filter(|dump| dump.written >= oldest.any);
        assert_eq!(kept.count(), KEPT);
        let mut large: Vec<Dump> = (0..10).map(|age| dump(age, 300 << 20, false)).collect();
        let oldest = oldest_kept(&mut large);
        let kept = large.iter().filter(|dump| dump.written >= oldest.any);
        assert_eq!(kept.count(), 3);
        let mut huge = [dump(0, 4 << 30, true)];
        assert_eq!(oldest_kept(&mut huge).any, (i64::MIN, 0));
    }

    #[test]
    fn pruning_removes_the_oldest_dumps_and_nothing_else() {
        let directory = std::env::temp_dir().join(format!("mapgrow-prune-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("a-1-2-3.mapgrow")).unwrap();
        let mut settings = Settings::resolve(&Defaults::new());
        settings.out = Text::new();
        settings.state_dir = Text::new();
        let path = directory.to_str().unwrap().as_bytes();
        settings.state_dir.push(path);
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let write = |name: &str, age: u64| {
            let file = std::fs::File::create(directory.join(name)).unwrap();
            let when = old - std::time::Duration::from_secs(age);
            file.set_modified(when).unwrap();
        };
        for number in 0..KEPT as u64 + 300 {
            write(&format!("app-1-2-{number}.mapgrow"), number);
        }
        for kept in ["mine.mapgrow", "app-1-2-x.mapgrow", ".mapgrow-else"] {
            write(kept, 1000);
        }
        write(".mapgrow-0123.tmp", 1000);
        std::os::unix::fs::symlink("mine.mapgrow", directory.join("l-1-2-3.mapgrow")).unwrap();
        let names = || std::fs::read_dir(&directory).unwrap().count();
        let before = names();
        let mut writer = Writer::begin().expect("nobody else dumps");
        prune(&settings, writer.names());
        assert_eq!(names(), before - 300 - 1);
        assert!(directory.join("app-1-2-0.mapgrow").exists());
        assert!(directory.join("mine.mapgrow").exists());
        assert!(!directory.join(".mapgrow-0123.tmp").exists());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
