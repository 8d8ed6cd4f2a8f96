//! What a program that `mapgrow run` started lets the command know: empty files in the run's own
//! directory. Without them nobody could tell why there is no recording.

use core::ffi::CStr;

use crate::config::Settings;
use mapgrow_system::sys::Directory;

/// Name of a run's directory, up to the id of the command's process.
pub(crate) const PREFIX: &[u8] = b"mapgrow-run-";
/// The recorder is in the program.
pub(crate) const STARTED: &CStr = c".started";
/// No file could be made for its recording, which is in memory of its own.
pub(crate) const PRIVATE: &CStr = c".private";
/// There was no memory for a recording.
pub(crate) const UNRECORDED: &CStr = c".unrecorded";

/// Tells the command, if it has started this very process: what others of the run do is their own
/// affair.
#[cold]
pub(crate) fn tell(settings: &Settings, what: &CStr) {
    // SAFETY: `getppid` has no preconditions.
    let parent = unsafe { libc::getppid() };
    if maker(settings.dir.as_bytes()) != u64::try_from(parent).ok() {
        return;
    }
    if let Some(directory) = settings.dir.as_c_str().and_then(Directory::own) {
        drop(directory.create(what, libc::O_WRONLY));
    }
}

/// The process that has made a run's directory, as its name tells.
fn maker(directory: &[u8]) -> Option<u64> {
    let name = directory.rsplit(|&byte| byte == b'/').next()?;
    let rest = name.strip_prefix(PREFIX)?;
    let digits = rest.iter().position(|&byte| byte == b'-')?;
    crate::config::bytes(rest.get(..digits)?)
}

#[cfg(test)]
mod tests {
    use super::maker;

    #[test]
    fn a_directory_tells_who_made_it() {
        assert_eq!(maker(b"/dev/shm/mapgrow-run-42-ab0"), Some(42));
        for other in ["/dev/shm", "/a/mapgrow-run-42", "/mapgrow-run-x-1", ""] {
            assert_eq!(maker(other.as_bytes()), None, "{other}");
        }
    }
}
