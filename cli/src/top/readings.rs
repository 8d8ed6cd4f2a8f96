//! Readings of one process, one after the other.

use std::path::{Path, PathBuf};

use mapgrow_format::layout::header;
use mapgrow_report::{Options, Report};

use crate::failure::Failure;
use crate::source::Source;
use crate::symbols::{Files, ObjectSymbolizer, Opened};

/// Live maps that are looked at for their next resize.
const MOST_MAPS: usize = 2_000;

/// Reads a recording again and again. What one reading needs that the one before did not is kept:
/// object files that were opened, not readings.
pub struct Readings<'a> {
    source: PathBuf,
    files: &'a Files,
    symbolizer: Option<ObjectSymbolizer<'a>>,
    /// Which recording it was at first: the id of a process may be another's by now.
    recording: Option<u64>,
}

/// One reading.
pub struct Reading {
    /// What it gave.
    pub report: Report,
    /// Whether the process records, so that another reading is worth it.
    pub more: bool,
}

impl<'a> Readings<'a> {
    /// None yet.
    pub fn new(source: &Path, files: &'a Files) -> Readings<'a> {
        Readings {
            source: source.to_owned(),
            files,
            symbolizer: None,
            recording: None,
        }
    }

    /// The next one; `None` when the process has ended and another has its id.
    pub fn take(&mut self) -> Result<Option<Reading>, Failure> {
        let opened = Source::open(Some(&self.source))?;
        let id = opened.recording.header(header::RECORDING_ID);
        if *self.recording.get_or_insert(id) != id {
            return Ok(None);
        }
        let files = self.files;
        // Names stay: only new places cost anything after the first reading.
        let names = self.symbolizer.get_or_insert_with(|| {
            let symbolizer = opened.symbolizer(files, &[]);
            symbolizer.with_opened(Opened::for_many(files))
        });
        let options = Options {
            alive: opened.alive,
            max_maps: MOST_MAPS,
            timeline: true,
        };
        Ok(Some(Reading {
            report: Report::build(&opened.recording, names, &options),
            more: opened.running.is_some() || opened.alive == Some(true),
        }))
    }
}
