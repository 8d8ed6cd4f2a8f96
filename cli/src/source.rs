//! What a verb works on: a file, a process, or the newest dump.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mapgrow_format::layout::header;
use mapgrow_format::reader::Recording;
use mapgrow_system::headroom;

use crate::dumps;
use crate::failure::Failure;
use crate::holder::Life;
use crate::load;
use crate::now::Now;
use crate::proc;
use crate::readings;
use crate::recordings::{self, RecordingFile};
use crate::symbols::{Files, GeneratedCode, ObjectSymbolizer, Places};

/// A recording that was opened for reading.
pub struct Source {
    /// What it says.
    pub recording: Recording,
    /// The process while it runs and the recording is its own.
    pub running: Option<u32>,
    /// Whether the process runs, when that can be known.
    pub alive: Option<bool>,
    /// Whether the system would not let us read the memory of the process.
    pub contents_refused: bool,
}

impl Source {
    /// What gives its addresses names: the binaries of this machine, those that the user named,
    /// and what an interpreter lists of its own code.
    pub fn symbolizer<'a>(&self, files: &'a Files, binaries: &[PathBuf]) -> ObjectSymbolizer<'a> {
        let places = Places {
            pid: self.running,
            program: self.recording.exe(),
            binaries: binaries.to_vec(),
        };
        ObjectSymbolizer::new(files, places).with_generated(GeneratedCode::of(&self.recording))
    }
}

/// Whether a name stands for a process.
pub fn is_process(named: &Path) -> bool {
    pid(named).is_some()
}

/// The process that a name stands for.
pub fn pid(named: &Path) -> Option<u32> {
    named.to_str()?.parse().ok()
}

impl Source {
    /// Opens what the user named: digits are a process, anything else a file, nothing the
    /// newest dump.
    pub fn open(named: Option<&Path>) -> Result<Source, Failure> {
        match named {
            None => match dumps::newest(None) {
                Some(path) => {
                    // Whose it is may be a surprise.
                    let _ = writeln!(io::stderr(), "mapgrow: reading {}", path.display());
                    Source::from_file(&path)
                }
                None => Err(no_dump()),
            },
            Some(path) => match pid(path) {
                Some(pid) => Source::from_process(pid),
                None => Source::from_file(path),
            },
        }
    }

    fn from_file(path: &Path) -> Result<Source, Failure> {
        let file =
            load::open(path, false, true).map_err(|error| load::open_failure(path, &error))?;
        let recording = load::recording(&file, path)?;
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(recordings::is_recording_name)
            && let Ok(Some(live)) = RecordingFile::open(path.to_owned())
        {
            return Source::from_recording(live);
        }
        Ok(Source {
            recording,
            running: None,
            alive: None,
            contents_refused: false,
        })
    }

    fn from_process(pid: u32) -> Result<Source, Failure> {
        match recordings::of_process(pid, false) {
            Ok(live) => Source::from_recording(live),
            Err(failure) => match dumps::newest(Some(pid)) {
                Some(path) if !proc::exists(pid) => Source::from_file(&path),
                _ => Err(failure),
            },
        }
    }

    fn from_recording(live: RecordingFile) -> Result<Source, Failure> {
        let mut packed = load::read_packed(&live.file, &live.path)?;
        calibrate(&mut packed, &live);
        let running = live.life == Life::Running;
        // The memory of one that runs elsewhere cannot be read either.
        let contents_refused = running && !readings::read_into(&mut packed, &live);
        if running {
            let headroom = live.pid.map(|pid| headroom::of(Some(pid)));
            load::set_words(&mut packed, &headroom.unwrap_or_default().encode());
        }
        if live.life == Life::Replaced {
            // Its program ended when another took its place: nobody killed it.
            let state = live.header.word(header::STATE) | header::STATE_FINISHED;
            load::set_words(&mut packed, &[(header::STATE, state)]);
        }
        Ok(Source {
            recording: load::parse(packed, &live.path)?,
            contents_refused,
            running: live.pid,
            alive: Some(running),
        })
    }
}

/// Brings the calibration of ticks up to date: a process calibrates seldom, and not at all when
/// it was killed early.
pub fn calibrate(packed: &mut [u8], live: &RecordingFile) {
    let running = live.life == Life::Running;
    let Some(now) = Now::read(&live.header) else {
        return;
    };
    let never = live.header.word(header::NOW_TICKS) == live.header.word(header::START_TICKS);
    if live.pid.is_some_and(proc::shares_clock) {
        load::set_words(packed, &now.calibration());
    } else if !running && never {
        load::set_words(packed, &now.rate_only(&live.header));
    }
}

fn no_dump() -> Failure {
    let running = recordings::all()
        .into_iter()
        .find_map(|recording| recording.pid);
    let hint = match running {
        Some(pid) => {
            format!("process {pid} is being recorded, `mapgrow report {pid}` shows it")
        }
        None => "run a program with mapgrow as its allocator, or name a FILE or a PID".to_owned(),
    };
    let directories: Vec<String> = dumps::directories()
        .iter()
        .map(|directory| directory.display().to_string())
        .collect();
    Failure::new(format!(
        "there is no dump in {}: {hint}",
        directories.join(" or ")
    ))
}
