//! What the processes of one run record: where they put it, and what comes of it.
//!
//! Recordings lie in memory while their processes run, and dumps on disk once they ended; both
//! in directories made for this run, and removed with it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use mapgrow_format::layout::header;

use crate::directory::{Directory, random};
use crate::failure::{Failure, plain};
use crate::holder::Life;
use crate::load::{self, Header};
use crate::now::Now;
use crate::preload::runs;
use crate::proc::own_uid;
use crate::recordings;
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

/// What the recorder in the command's own process has told (`src/run.rs`).
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// That it is there.
    pub started: bool,
    /// That it could make no file for the recording.
    pub private: bool,
    /// That there was no memory for a recording.
    pub unrecorded: bool,
}

/// The directories of a run, and what was found in them so far.
#[derive(Debug)]
pub struct Session {
    recordings: Directory,
    /// Dumps, which nobody else can write to.
    dumps: Directory,
    /// Where processes put their dumps that may have given up root's rights: a directory that all
    /// may write to, under a name that nobody can guess or look up.
    inbox: Option<Directory>,
    ended: Mutex<Vec<Ended>>,
}

impl Session {
    /// Makes the directories.
    pub fn new() -> Result<Session, Failure> {
        let on_disk = || {
            new_in(&runs::disk_directories())
                .map_err(|(place, error)| Failure::file("make a directory in", &place, &error))
        };
        let in_memory = runs::memory_directories();
        let recordings = match new_in(&in_memory) {
            Ok(recordings) => recordings,
            Err(_) => on_disk()?,
        };
        let named = std::env::var_os("MAPGROW_DIR").filter(|named| !named.is_empty());
        if let Some(named) = named.filter(|named| !recordings.path().starts_with(named)) {
            let _ = writeln!(
                io::stderr(),
                "mapgrow: MAPGROW_DIR={} cannot be used ({}): recordings are kept in {}",
                Path::new(&named).display(),
                unusable(Path::new(&named)),
                recordings.path().display()
            );
        }
        let dumps = on_disk()?;
        let inbox = match own_uid() {
            0 => Some(
                inbox(&dumps)
                    .map_err(|error| Failure::file("make a directory in", dumps.path(), &error))?,
            ),
            _ => None,
        };
        Ok(Session {
            recordings,
            dumps,
            inbox,
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
        let place = self.inbox.as_ref().unwrap_or(&self.dumps).path();
        let mut out = place.to_string_lossy().replace('%', "%%");
        out.push_str("/%p-%n.mapgrow");
        // AddressSanitizer refuses to start behind another library, unless it is told that this is
        // as it should be. (That of the command itself stays in front: it is not preloaded.)
        let mut sanitizer = std::env::var_os("ASAN_OPTIONS").unwrap_or_default();
        if !sanitizer.is_empty() {
            sanitizer.push(":");
        }
        sanitizer.push("verify_asan_link_order=0");
        let mut variables = vec![
            ("ASAN_OPTIONS", sanitizer),
            ("LD_PRELOAD", preload),
            ("MAPGROW_DIR", self.recordings.path().into()),
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

    /// Takes in what processes that ended have left. `main` is the command itself, `users` those
    /// with whose rights processes of the run were seen.
    pub fn collect(&self, main: u32, users: &HashSet<u32>) {
        self.save_orphans();
        self.take_in(users);
        let mut ended = self.lock();
        for name in self.dumps.names() {
            let path = self.dumps.path().join(&name);
            let known = ended.iter().any(|one| one.dump.as_ref() == Some(&path));
            if !known
                && !is_temporary(&name)
                && let Ok(file) = self.dumps.open(&name, false)
                && let Some(new) = Ended::read(&file, path)
            {
                self.add(&mut ended, new);
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
                self.drop_dump(&path);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ended>> {
        match self.ended.lock() {
            Ok(ended) => ended,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// Makes dumps of recordings whose processes ended without a word.
    fn save_orphans(&self) {
        for recording in recordings::within(&self.recordings) {
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
                    self.keep(name, &packed)
                });
            if saved.is_ok() {
                let _ = self.recordings.remove_this(name, &recording.file);
            }
        }
    }

    /// Moves dumps from where all may write to where nobody else can. Dumps of users as whom no
    /// process of this run was ever seen to run are left where they are.
    fn take_in(&self, users: &HashSet<u32>) {
        let Some(inbox) = &self.inbox else { return };
        for name in inbox.names() {
            if is_temporary(&name) {
                continue;
            }
            let Ok(file) = inbox.open_of_anybody(&name, false) else {
                continue;
            };
            let Ok(meta) = file.metadata() else { continue };
            let trusted = meta.uid() == own_uid() || users.contains(&meta.uid());
            if !trusted || meta.nlink() != 1 {
                continue;
            }
            let path = inbox.path().join(&name);
            let kept = load::read_packed(&file, &path).map(|bytes| self.keep_new(&name, &bytes));
            if kept.is_ok_and(|kept| kept.is_ok()) {
                let _ = inbox.remove_this(&name, &file);
            }
        }
    }

    /// Writes a dump under the first free name. One of that name may be there: what a process
    /// left that went on to run another program (`exec`) was moved here, and so its name in the
    /// inbox was free again.
    fn keep_new(&self, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
        let mut free = name.to_owned();
        for further in 1.. {
            match self.dumps.write_new(&free, bytes) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    free = name.to_owned();
                    free.push(format!(".{further}"));
                }
                done => return done,
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Writes the dump of a recording, unless it is there.
    fn keep(&self, name: &OsStr, bytes: &[u8]) -> Result<(), Failure> {
        match self.dumps.write_new(name, bytes) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let path = self.dumps.path().join(name);
                Err(Failure::file("write", &path, &error))
            }
            _ => Ok(()),
        }
    }

    fn drop_dump(&self, path: &Path) {
        if let Some(name) = path.file_name() {
            let _ = self.dumps.remove(name);
        }
    }

    /// All processes that ended, in the order in which they began.
    pub fn ended(&self) -> Vec<Ended> {
        let mut all = self.lock().clone();
        all.sort_by_key(|one| (one.began_ns, one.pid));
        all
    }

    /// What the recorder in the command's own process has told.
    pub fn told(&self) -> Told {
        let names = self.recordings.names();
        let has = |name: &str| names.iter().any(|one| one == name);
        Told {
            started: has(".started"),
            private: has(".private"),
            unrecorded: has(".unrecorded"),
        }
    }

    /// Where recordings are kept.
    pub fn place(&self) -> &Path {
        self.recordings.path()
    }

    /// Processes of the run that go on.
    pub fn running(&self) -> Vec<u32> {
        let recordings = recordings::within(&self.recordings).into_iter();
        let running = recordings.filter(|recording| recording.life == Life::Running);
        let mut pids: Vec<u32> = running
            .map(|recording| recording.pid.unwrap_or(recording.header.pid()))
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Removes the directories, unless a process still needs them.
    pub fn remove(&self) {
        if self.running().is_empty() {
            runs::remove(&self.recordings);
            runs::remove(&self.dumps);
        }
    }

    /// Adds a dump; a process that dumped before (its `exec` failed, say) is as its newest has it.
    fn add(&self, ended: &mut Vec<Ended>, new: Ended) {
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
            self.drop_dump(&path);
        }
    }
}

impl Ended {
    fn read(file: &File, path: PathBuf) -> Option<Ended> {
        let header = Header::read(file).ok()??;
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
        let amend = || -> io::Result<()> {
            let file = load::open(path, true, false)?;
            let header = Header::read(&file)?;
            let Some(header) = header.filter(|header| header.word(header::DUMP_REASON) == 0) else {
                return Ok(());
            };
            let state = header.word(header::STATE) | header::STATE_FINISHED;
            let mut words = vec![(header::STATE, state)];
            words.extend(Now::read(&header).into_iter().flat_map(Now::calibration));
            for (index, word) in words {
                file.write_all_at(&word.to_le_bytes(), (index * 8) as u64)?;
            }
            Ok(())
        };
        amend().map_err(|error| Failure::file("write", path, &error))
    }
}

/// A new directory in the first that will have it, in use from now on; else the first one and
/// why not.
fn new_in(parents: &[PathBuf]) -> Result<Directory, (PathBuf, io::Error)> {
    let mut refused = None;
    for parent in parents {
        let name = runs::name(std::process::id(), &format!("{:x}", random()));
        let made = Directory::new_in(parent, &name).and_then(|made| made.lock().map(|()| made));
        match made {
            Ok(directory) => return Ok(directory),
            Err(error) => {
                refused.get_or_insert((parent.clone(), error));
            }
        }
    }
    Err(refused.unwrap_or_else(|| (PathBuf::new(), io::ErrorKind::NotFound.into())))
}

/// Where processes of any user may put a dump: its name is known to the processes of the run
/// alone, since the directory that it lies in can be passed through and not read.
fn inbox(dumps: &Directory) -> io::Result<Directory> {
    dumps.set_mode(0o711)?;
    dumps.new_within(&format!("{:016x}{:016x}", random(), random()), 0o1733)
}

/// Why a directory cannot be used.
fn unusable(path: &Path) -> String {
    match Directory::new_in(path, &format!(".mapgrow-{:016x}", random())) {
        Ok(made) => {
            let _ = made.remove_self();
            "it is no absolute path".to_owned()
        }
        Err(error) => plain(&error),
    }
}

/// Files that are not finished have a name that starts with a dot.
fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}
