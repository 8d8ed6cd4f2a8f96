//! What is served: each target's latest report, read when somebody asks, but not too often.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mapgrow_report::Report;

use crate::failure::Failure;
use crate::pprof;
use crate::source::is_process;
use crate::verbs;

/// Processes and files that are served.
pub struct Targets {
    all: Vec<Target>,
    binaries: Vec<PathBuf>,
    /// A report younger than this is not read again.
    keep: Duration,
}

struct Target {
    path: PathBuf,
    report: Mutex<Kept<Report>>,
    heap: Mutex<Kept<Vec<u8>>>,
}

/// The last reading.
struct Kept<T> {
    value: Option<Arc<T>>,
    read: Option<Instant>,
    /// Whether the last attempt worked.
    fresh: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept {
            value: None,
            read: None,
            fresh: false,
        }
    }
}

/// A target as it was last read.
#[derive(Clone)]
pub struct Reading {
    /// What the user called it.
    pub name: String,
    /// Its last report; `None` when it could never be read.
    pub report: Option<Arc<Report>>,
    /// Whether that is of now.
    pub up: bool,
}

impl Targets {
    /// Targets, none of them read yet.
    pub fn new(paths: &[PathBuf], binaries: &[PathBuf], keep: Duration) -> Targets {
        let target = |path: &PathBuf| Target {
            path: path.clone(),
            report: Mutex::default(),
            heap: Mutex::default(),
        };
        Targets {
            all: paths.iter().map(target).collect(),
            binaries: binaries.to_vec(),
            keep,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Reads every target once: what cannot be read at the start never will.
    pub fn check(&self) -> Result<(), Failure> {
        for target in &self.all {
            let report = verbs::report::build(Some(&target.path), &self.binaries)?;
            lock(&target.report).keep(Ok(report));
        }
        Ok(())
    }

    /// A target's report of now, or its last one.
    pub fn reading(&self, at: usize) -> Option<Reading> {
        let target = self.all.get(at)?;
        let mut kept = lock(&target.report);
        if kept.is_old(self.keep) {
            let report = verbs::report::build(Some(&target.path), &self.binaries);
            let known = kept.value.clone();
            let known = known.as_deref().filter(|_| is_process(&target.path));
            kept.keep(report.and_then(|report| same_process(known, report)));
        }
        Some(Reading {
            name: name(&target.path),
            report: kept.value.clone(),
            up: kept.fresh,
        })
    }

    /// A target's containers as a profile, gzip.
    pub fn containers(&self, at: usize) -> Option<Vec<u8>> {
        let report = self.reading(at)?.report?;
        pprof::encode(&pprof::of_report(&report, pprof::Functions::Own)).ok()
    }

    /// A target's whole heap as a profile, gzip.
    pub fn heap(&self, at: usize) -> Option<Arc<Vec<u8>>> {
        let target = self.all.get(at)?;
        // Whether it still is the process that it was, the report tells.
        let up = self.reading(at)?.up;
        let mut kept = lock(&target.heap);
        if up && kept.is_old(self.keep) {
            let heap = verbs::pprof::heap(Some(&target.path), &self.binaries);
            kept.keep(heap.and_then(|heap| {
                pprof::encode(&pprof::of_heap(&heap))
                    .map_err(|error| Failure::new(error.to_string()))
            }));
        }
        kept.value.clone()
    }
}

impl<T> Kept<T> {
    fn is_old(&self, keep: Duration) -> bool {
        self.read.is_none_or(|read| read.elapsed() >= keep)
    }

    /// A reading that failed leaves the last one: a process that ended was read before.
    fn keep(&mut self, value: Result<T, Failure>) {
        self.fresh = value.is_ok();
        if let Ok(value) = value {
            self.value = Some(Arc::new(value));
        }
        self.read = Some(Instant::now());
    }
}

/// The report, if it is of the process that was read before: its id may be another's by now.
fn same_process(known: Option<&Report>, report: Report) -> Result<Report, Failure> {
    match known.map(|known| &known.process.recording_id) {
        Some(known) if *known != report.process.recording_id => Err(Failure::new(
            "the process has ended, and another has its id",
        )),
        _ => Ok(report),
    }
}

/// A reading that panicked is a reading that failed.
fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
