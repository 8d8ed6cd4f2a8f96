//! Recordings of processes that run, or that ended without a word: where they lie and whose
//! they are.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::dumps;
use crate::failure::Failure;
use crate::load::{self, Header};
use crate::preload::{program, runs};
use crate::process::{self, Life, own_uid};

/// A recording file, open.
pub struct RecordingFile {
    /// Where it was found.
    pub path: PathBuf,
    /// The file.
    pub file: File,
    /// Its header when it was opened.
    pub header: Header,
    /// Whether its process runs.
    pub life: Life,
}

impl RecordingFile {
    /// Opens a recording of a name that the recorder gives; `None` when it is none of ours.
    pub fn open(path: PathBuf, write: bool) -> io::Result<Option<RecordingFile>> {
        // Names in a directory that others may write to are not followed.
        let file = load::open(&path, write, false)?;
        Ok(Header::read(&file)?.map(|header| RecordingFile {
            life: process::life(&header),
            path,
            file,
            header,
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
    directories.extend(runs::directories().into_iter().map(|run| run.path));
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
    found.sort_by_key(|recording| (recording.life == Life::Gone, recording.header.pid()));
    found
}

/// The recordings in a directory.
pub fn in_directory(directory: &Path) -> Vec<RecordingFile> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let named = path.file_name().and_then(OsStr::to_str);
            named.filter(|name| is_recording_name(name))?;
            RecordingFile::open(path, false).ok().flatten()
        })
        .collect()
}

/// The recording of a process: that which it has mapped, else one that a process of this id
/// left behind.
pub fn of_process(pid: u32, write: bool) -> Result<RecordingFile, Failure> {
    let mut refused = None;
    let mut left_behind: Vec<RecordingFile> = Vec::new();
    for path in candidates(pid) {
        match RecordingFile::open(path.clone(), write) {
            // Several paths can lead to it, and a process id may have been used before.
            Ok(Some(recording)) if recording.life == Life::Running => return Ok(recording),
            Ok(Some(recording)) => left_behind.push(recording),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                refused = Some(Failure::file("open", &path, &error));
            }
            Err(_) => {}
        }
    }
    let started = |recording: &RecordingFile| {
        recording
            .header
            .word(mapgrow_format::layout::header::START_UNIX_NS)
    };
    if let Some(newest) = left_behind.into_iter().max_by_key(started) {
        return Ok(newest);
    }
    Err(refused.unwrap_or_else(|| no_recording(pid)))
}

/// Paths at which the recording of a process may be opened.
fn candidates(pid: u32) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(mapped) = process::mapped_recording(pid) {
        // The process may have another root directory than ours.
        let own_root = PathBuf::from(format!("/proc/{pid}/root"));
        let below = mapped.strip_prefix("/").unwrap_or(&mapped).to_owned();
        paths.push(own_root.join(below));
        paths.push(mapped);
    }
    let mut places = directories();
    let environment = process::environment(pid);
    for (name, below) in [("MAPGROW_DIR", ""), ("XDG_RUNTIME_DIR", "mapgrow")] {
        let value = environment
            .as_ref()
            .and_then(|variables| variables.variable(name));
        places.extend(value.map(|path| Path::new(path).join(below)));
    }
    let prefix = format!("mapgrow-{pid}-");
    for directory in places {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let named = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_recording_name(name) && name.starts_with(&prefix));
        paths.extend(named.map(|name| directory.join(name)));
    }
    paths
}

fn no_recording(pid: u32) -> Failure {
    if process::exists(pid) {
        return Failure::new(match process::has_recorder(pid) {
            None => format!(
                "process {pid} has no recording that can be read, nor can its program: it may be \
                 another user's; try again as that user"
            ),
            // To a program without the recorder the signal may mean anything.
            Some(true) if process::catches(pid, libc::SIGUSR1) => format!(
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
    let executable = process::executable(pid);
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
