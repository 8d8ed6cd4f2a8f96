//! Recordings of processes that run, or that ended without a word: where they lie and whose
//! they are.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::directory::Directory;
use crate::dumps;
use crate::failure::Failure;
use crate::holder::{self, Holder, Life};
use crate::load::{self, Header};
use crate::preload::{program, runs};
use crate::proc::{self, own_uid};

/// A recording file, open.
pub struct RecordingFile {
    /// Where it was found.
    pub path: PathBuf,
    /// The file.
    pub file: File,
    /// Its header when it was opened.
    pub header: Header,
    /// Whether its process records.
    pub life: Life,
    /// The process that does, by its id here; `None` when it is gone, or runs where it cannot be
    /// seen from here.
    pub pid: Option<u32>,
}

impl RecordingFile {
    /// Opens a recording of a name that the recorder gives; `None` when it is none of ours.
    pub fn open(path: PathBuf) -> io::Result<Option<RecordingFile>> {
        // Names in a directory that others may write to are not followed.
        let file = load::open(&path, false, false)?;
        RecordingFile::of(path, file)
    }

    /// Takes an open file of such a name.
    pub fn of(path: PathBuf, file: File) -> io::Result<Option<RecordingFile>> {
        Ok(Header::read(&file)?.map(|header| {
            let name = path.file_name().unwrap_or_default();
            let Holder { life, pid } = holder::holder(&file, name, &header);
            RecordingFile {
                path,
                file,
                header,
                life,
                pid,
            }
        }))
    }

    /// Bytes of memory or disk that the file takes.
    pub fn used_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.blocks() * 512)
    }
}

/// Whether a file is named as the recorder names its files: `mapgrow-<pid>-<16 hex>.rec`.
pub fn is_recording_name(name: &str) -> bool {
    let parts = || -> Option<(&str, &str)> {
        let middle = name.strip_prefix("mapgrow-")?.strip_suffix(".rec")?;
        middle.split_once('-')
    };
    parts().is_some_and(|(pid, id)| {
        !pid.is_empty()
            && pid.bytes().all(|b| b.is_ascii_digit())
            && id.len() == 16
            && id.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Directories in which processes of this user keep their recordings.
pub fn directories() -> Vec<PathBuf> {
    let uid = own_uid();
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let mut directories: Vec<PathBuf> = [
        variable("MAPGROW_DIR"),
        variable("XDG_RUNTIME_DIR").map(|path| path.join("mapgrow")),
        // A service and a shell differ in their environment.
        Some(PathBuf::from(format!("/run/user/{uid}/mapgrow"))),
        Some(PathBuf::from(format!("/dev/shm/mapgrow-{uid}"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let runs = runs::directories().into_iter();
    directories.extend(runs.map(|run| run.path().to_owned()));
    let mut seen = Vec::new();
    directories.retain(|path| {
        let new = !seen.contains(path);
        seen.push(path.clone());
        new
    });
    directories
}

/// All recordings of this user that can be read, running ones first, then by process id.
pub fn all() -> Vec<RecordingFile> {
    let mut found: Vec<RecordingFile> = directories()
        .iter()
        .flat_map(|directory| in_directory(directory))
        .collect();
    found.sort_by_key(|recording| {
        let pid = recording.pid.unwrap_or(recording.header.pid());
        (recording.life != Life::Running, pid)
    });
    found
}

/// The recordings in a directory of ours; none in one that is not.
pub fn in_directory(path: &Path) -> Vec<RecordingFile> {
    match Directory::own(path) {
        Ok(directory) => within(&directory),
        Err(_) => Vec::new(),
    }
}

/// The recordings in an open directory: regular files of ours that are named as recordings are.
pub fn within(directory: &Directory) -> Vec<RecordingFile> {
    let names = directory.names().into_iter();
    let named = names.filter(|name| name.to_str().is_some_and(is_recording_name));
    named
        .filter_map(|name| {
            let file = directory.open(&name, false).ok()?;
            RecordingFile::of(directory.path().join(&name), file).ok()?
        })
        .collect()
}

/// The recording of a process: that which it has mapped, else what a process of this id left
/// behind.
pub fn of_process(pid: u32, write: bool) -> Result<RecordingFile, Failure> {
    let mut refused = None;
    for mapped in holder::mapped_recordings(pid).unwrap_or_default() {
        match holder::open_mapped(pid, &mapped, write) {
            Ok(file) => {
                if let Ok(Some(header)) = Header::read(&file) {
                    return Ok(RecordingFile {
                        path: mapped.path,
                        file,
                        header,
                        life: Life::Running,
                        pid: Some(pid),
                    });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                refused = Some(Failure::file("open", &mapped.path, &error));
            }
            Err(_) => {}
        }
    }
    left_behind(pid).ok_or_else(|| refused.unwrap_or_else(|| no_recording(pid)))
}

/// What a process of this id left behind. While a process has this id, only what it recorded before
/// an `exec` counts: any other recording with the id is another process's.
fn left_behind(pid: u32) -> Option<RecordingFile> {
    let wanted = match proc::exists(pid) {
        true => Life::Replaced,
        false => Life::Gone,
    };
    let of = |recording: &RecordingFile| recording.header.pid() == pid && recording.life == wanted;
    let started = |recording: &RecordingFile| {
        recording
            .header
            .word(mapgrow_format::layout::header::START_UNIX_NS)
    };
    all().into_iter().filter(of).max_by_key(started)
}

fn no_recording(pid: u32) -> Failure {
    if proc::exists(pid) {
        return Failure::new(match proc::has_recorder(pid) {
            None => format!(
                "process {pid} has no recording that can be read, nor can its program: it may be \
                 another user's; try again as that user"
            ),
            // To a program without the recorder the signal may mean anything.
            Some(true) if proc::catches(pid, libc::SIGUSR1) => format!(
                "process {pid} has no recording file that can be read: if its recording is in \
                 private memory, `kill -USR1 {pid}` makes it write a dump itself"
            ),
            Some(true) => format!(
                "process {pid} has no recording: it has allocated no table yet, or was started \
                 with MAPGROW=off"
            ),
            Some(false) => without_recorder(pid),
        });
    }
    let dumped =
        dumps::newest(Some(pid)).map(|path| format!("; its newest dump is {}", path.display()));
    Failure::new(format!(
        "there is no process {pid} and it left no recording{}: `mapgrow list` shows those that \
         are there",
        dumped.unwrap_or_default()
    ))
}

/// What to do about a process that knows nothing of mapgrow.
fn without_recorder(pid: u32) -> String {
    let executable = proc::executable(pid);
    if let Some(blind) = executable.as_deref().and_then(program::inspect_binary) {
        return blind.explanation(&format!("process {pid}"));
    }
    format!(
        "process {pid} does not record: mapgrow is neither its allocator nor loaded into it. Start \
         it with `mapgrow run -- COMMAND`, or, if it is written in Rust, make mapgrow::MapGrow its \
         global allocator"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recorder_s_names_are_recordings() {
        for (name, expected) in [
            ("mapgrow-1-0123456789abcdef.rec", true),
            ("mapgrow-4242-0123456789abcdeF.rec", true),
            ("mapgrow-4242-0123456789abcde.rec", false),
            ("mapgrow--0123456789abcdef.rec", false),
            ("mapgrow-4242-0123456789abcdef.rec.tmp", false),
            ("mapgrow-x-0123456789abcdef.rec", false),
        ] {
            assert_eq!(is_recording_name(name), expected, "{name}");
        }
    }
}
