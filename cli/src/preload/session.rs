//! What the processes of one run record: where they put it, and what comes of it.
//!
//! Recordings lie in memory while their processes run, and dumps on disk once they ended; both
//! in directories made for this run, and removed with it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mapgrow_format::layout::header;

use crate::clock::Moment;
use crate::failure::Failure;
use crate::load::{self, Header};
use crate::preload::runs;
use crate::process::{self, Life, own_uid};
use crate::recordings::{self, RecordingFile};
use crate::source::calibrate;

/// Dumps that are kept while the run goes on, the largest; of others only the figures are.
const MOST_DUMPS: usize = 64;

/// A process of the run that came to its end.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its dump; `None` when it was one too many.
    pub dump: Option<PathBuf>,
    /// Process id.
    pub pid: u32,
    /// Name of its program.
    pub program: String,
    /// When it began to record, monotonic ns.
    pub began_ns: u64,
    /// Most bytes of recorded blocks at one time.
    pub peak_bytes: u64,
    recording: u64,
    sequence: u64,
}

/// The directories of a run, and what was found in them so far.
#[derive(Debug)]
pub struct Session {
    recordings: PathBuf,
    dumps: PathBuf,
    ended: Mutex<Vec<Ended>>,
}

impl Session {
    /// Makes the directories.
    pub fn new() -> Result<Session, Failure> {
        let recordings = runs::memory_directories()
            .iter()
            .find_map(|parent| make_private(parent, 0o700).ok());
        let on_disk = std::env::temp_dir();
        // A process of root's may give up its rights before it dumps.
        let mode = if own_uid() == 0 { 0o1733 } else { 0o700 };
        let dumps = make_private(&on_disk, mode)
            .map_err(|error| Failure::file("make a directory in", &on_disk, &error))?;
        let recordings = match recordings {
            Some(recordings) => recordings,
            None => make_private(&on_disk, 0o700)
                .map_err(|error| Failure::file("make a directory in", &on_disk, &error))?,
        };
        Ok(Session {
            recordings,
            dumps,
            ended: Mutex::default(),
        })
    }

    /// The variables that make a process load the library and record for this run.
    pub fn variables(&self, library: &Path, exact: bool) -> Vec<(&'static str, OsString)> {
        let mut preload = OsString::from(library);
        if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
            preload.push(":");
            preload.push(others);
        }
        // The recorder replaces what follows a percent sign.
        let mut out = self.dumps.to_string_lossy().replace('%', "%%");
        out.push_str("/%p-%n.mapgrow");
        let mut variables = vec![
            ("LD_PRELOAD", preload),
            ("MAPGROW_DIR", self.recordings.clone().into()),
            ("MAPGROW_OUT", out.into()),
            ("MAPGROW_AT_EXIT", "dump".into()),
        ];
        if exact {
            variables.push(("MAPGROW", "exact".into()));
        }
        // The recordings can be read without asking the processes: their signals stay theirs.
        if std::env::var_os("MAPGROW_SIGNAL").is_none() {
            variables.push(("MAPGROW_SIGNAL", "none".into()));
        }
        variables
    }

    /// Takes in what processes that ended have left. `main` is the command itself.
    pub fn collect(&self, main: u32) {
        self.save_orphans();
        let mut ended = match self.ended.lock() {
            Ok(ended) => ended,
            Err(poisoned) => poisoned.into_inner(),
        };
        for path in entries(&self.dumps) {
            let known = ended.iter().any(|one| one.dump.as_ref() == Some(&path));
            if !known && let Some(new) = Ended::read(path) {
                add(&mut ended, new);
            }
        }
        loop {
            let kept = |one: &&mut Ended| one.dump.is_some() && one.pid != main;
            if ended.iter_mut().filter(kept).count() <= MOST_DUMPS {
                break;
            }
            let smallest = ended
                .iter_mut()
                .filter(kept)
                .min_by_key(|one| one.peak_bytes);
            if let Some(path) = smallest.and_then(|one| one.dump.take()) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Makes dumps of recordings whose processes ended without a word.
    fn save_orphans(&self) {
        for recording in self.live() {
            if recording.life == Life::Running {
                continue;
            }
            let name = recording
                .path
                .file_name()
                .unwrap_or(OsStr::new("recording"));
            let saved =
                load::read_packed(&recording.file, &recording.path).and_then(|mut packed| {
                    calibrate(&mut packed, &recording);
                    let path = self.dumps.join(name);
                    fs::write(&path, packed).map_err(|error| Failure::file("write", &path, &error))
                });
            if saved.is_ok() {
                let _ = fs::remove_file(&recording.path);
            }
        }
    }

    fn live(&self) -> Vec<RecordingFile> {
        entries(&self.recordings)
            .into_iter()
            .filter(|path| {
                let name = path.file_name().and_then(OsStr::to_str);
                name.is_some_and(recordings::is_recording_name)
            })
            .filter_map(|path| RecordingFile::open(path, false).ok().flatten())
            .collect()
    }

    /// All processes that ended, in the order in which they began.
    pub fn ended(&self) -> Vec<Ended> {
        let mut all = match self.ended.lock() {
            Ok(ended) => ended.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        all.sort_by_key(|one| (one.began_ns, one.pid));
        all
    }

    /// Processes of the run that go on.
    pub fn running(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self
            .live()
            .iter()
            .filter(|recording| recording.life == Life::Running)
            .map(|recording| recording.header.pid())
            .filter(|&pid| process::exists(pid))
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Removes the directories, unless a process still needs them.
    pub fn remove(&self) {
        if self.running().is_empty() {
            let _ = fs::remove_dir_all(&self.recordings);
            let _ = fs::remove_dir_all(&self.dumps);
        }
    }
}

/// Adds a dump; a process that dumped before (its `exec` failed, say) is as its newest has it.
fn add(ended: &mut Vec<Ended>, new: Ended) {
    let same = |one: &&mut Ended| one.recording == new.recording && one.pid == new.pid;
    let Some(before) = ended.iter_mut().find(same) else {
        ended.push(new);
        return;
    };
    let older = if before.sequence < new.sequence {
        std::mem::replace(before, new)
    } else {
        new
    };
    if let Some(path) = older.dump {
        let _ = fs::remove_file(path);
    }
}

impl Ended {
    fn read(path: PathBuf) -> Option<Ended> {
        let file = load::open(&path, false, false).ok()?;
        let header = Header::read(&file).ok()??;
        Some(Ended {
            pid: header.pid(),
            program: header.program(),
            began_ns: header.word(header::START_MONO_NS),
            peak_bytes: header.word(header::PEAK_BYTES),
            recording: header.word(header::RECORDING_ID),
            sequence: header.word(header::DUMP_SEQ),
            dump: Some(path),
        })
    }

    /// To be said right after the end of a process that was not killed. One that left by a system
    /// call of its own (a Go program does) could not say so itself.
    pub fn ended_by_itself(&self) -> Result<(), Failure> {
        let Some(path) = &self.dump else {
            return Ok(());
        };
        let read = || {
            let header = Header::read(&fs::File::open(path)?)?;
            Ok((header, fs::read(path)?))
        };
        let (header, mut packed) =
            read().map_err(|error: io::Error| Failure::file("read", path, &error))?;
        let Some(header) = header.filter(|header| header.word(header::DUMP_REASON) == 0) else {
            return Ok(());
        };
        let state = header.word(header::STATE) | header::STATE_FINISHED;
        load::set_words(&mut packed, &[(header::STATE, state)]);
        if let Some(now) = Moment::now(&header) {
            load::set_words(&mut packed, &now.calibration());
        }
        fs::write(path, packed).map_err(|error| Failure::file("write", path, &error))
    }
}

/// Makes a directory with a name that nobody else has.
fn make_private(parent: &Path, mode: u32) -> io::Result<PathBuf> {
    const TRIES: u32 = 100;
    for attempt in 0..TRIES {
        let name = runs::name(std::process::id(), &unique(attempt));
        let path = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                if path.symlink_metadata()?.mode() & 0o7777 != mode {
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
                }
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("all names are taken"))
}

fn unique(attempt: u32) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    format!("{:x}", now.wrapping_add(u64::from(attempt)))
}

/// Files of a directory that are finished: others have a name that starts with a dot.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(directory) else {
        return Vec::new();
    };
    found
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            (!hidden).then(|| entry.path())
        })
        .collect()
}
