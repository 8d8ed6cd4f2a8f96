//! Doors for the fuzz targets of `tests/fuzz`: readers that the command keeps to itself, and what it
//! says of what it read. Builds for fuzzing alone have them.

mod wire;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mapgrow_report::Report;
use mapgrow_report::diff::Diff;
use mapgrow_report::gates::{Finding, Outcome};
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::runtime::Runtime;

use crate::flame::{self, Libraries, Weight};
use crate::html::{self, Source};
use crate::look::{self, Layout, Target, Wanted};
use crate::render::{check, diff, heat};
use crate::saved;
use crate::serve::{Format, Limits, Reading, Targets, alone, metrics};
use wire::Wire;

/// A file that lies in memory alone: readers want one, and a disk would be slow.
struct Input {
    _file: File,
    path: PathBuf,
}

impl Input {
    fn new(bytes: &[u8]) -> Input {
        let file: File = memfd_create("input", MemfdFlags::CLOEXEC)
            .expect("a file in memory")
            .into();
        file.write_all_at(bytes, 0).expect("memory takes it");
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Input { _file: file, path }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// A saved report, as every verb that takes one opens it.
#[must_use]
pub fn saved(bytes: &[u8]) -> Option<Report> {
    let input = Input::new(bytes);
    saved::open(input.path()).ok().flatten()
}

/// What `diff` says.
#[must_use]
pub fn diff_text(of: &Diff) -> String {
    let page = diff::Page {
        width: 100,
        color: true,
        top: 10,
    };
    diff::render(of, &page)
}

/// What `check` says, as text and as JSON.
#[must_use]
pub fn check_text(findings: &[Finding]) -> String {
    let document = check::document(findings, Outcome::Held);
    check::render(findings, true, 100, true) + &document.to_string()
}

/// What `flame`, `html`, `report --map --svg` and `serve` make of a report, one behind the other.
#[must_use]
pub fn drawn(report: &Report) -> String {
    let mut all = String::new();
    for weight in [Weight::Live, Weight::Allocated, Weight::Pause] {
        let stacks = flame::folded(report, weight, Libraries::Folded);
        if let Ok(svg) = flame::svg(report, &stacks, weight) {
            all.push_str(&String::from_utf8_lossy(&svg));
        }
    }
    report
        .maps
        .iter()
        .filter_map(heat::svg)
        .for_each(|svg| all.push_str(&svg));
    let reading = Reading {
        name: "input".to_owned(),
        report: Some(Arc::new(report.clone())),
        up: true,
    };
    all.push_str(&metrics(&[reading], 10, Format::OpenMetrics));
    all + &html::page(report.clone(), Source::LeftOut)
}

/// What `look` says of a core file, in all its ways; or why it says nothing.
///
/// # Errors
/// The sentence that it ends with.
pub fn looked(core: &[u8]) -> Result<String, String> {
    let input = Input::new(core);
    let target = Target::Core(input.path().to_owned());
    let wanted = Wanted {
        most: 100,
        deep: true,
    };
    let found = look::look(&target, wanted).map_err(|failure| failure.to_string())?;
    let layout = Layout {
        width: 100,
        color: true,
        top: 10,
    };
    let json = serde_json::to_string(&found).expect("memory takes it");
    Ok(look::text(&found, layout) + &look::table(&found) + &json)
}

/// A server of a few files, whose clients are bytes.
pub struct Server {
    runtime: Runtime,
    targets: Arc<Targets>,
    _files: Vec<Input>,
}

impl Server {
    /// Serves these files, each of which is read once.
    ///
    /// # Panics
    /// When one of them cannot be served.
    #[must_use]
    pub fn new(files: &[&[u8]]) -> Server {
        /// Longer than any fuzzing.
        const KEPT: Duration = Duration::from_secs(1 << 30);
        let files: Vec<Input> = files.iter().map(|bytes| Input::new(bytes)).collect();
        let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        let targets = Targets::new(&paths, &[], KEPT);
        targets.check().expect("they can be read");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .build()
            .expect("a runtime");
        Server {
            runtime,
            targets: Arc::new(targets),
            _files: files,
        }
    }

    /// What one connection is answered that sends `bytes`, `step` of them at a time, and no more
    /// after them.
    #[must_use]
    pub fn answers(&self, bytes: &[u8], step: usize, loopback: bool) -> Vec<u8> {
        let limits = Limits {
            connections: 1,
            sites: 10,
            loopback,
        };
        let mut said = Vec::new();
        let wire = Wire::new(bytes, step, &mut said);
        self.runtime
            .block_on(alone(wire, Arc::clone(&self.targets), limits));
        said
    }
}
