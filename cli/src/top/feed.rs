//! Reads the recording again and again, beside the view: a slow reading must not hold up a key.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mapgrow_report::{Options, Report};

use crate::failure::Failure;
use crate::source::Source;
use crate::symbols::{Files, ObjectSymbolizer};

/// What a reading gave.
pub enum Reading {
    /// The process as it was at a moment.
    Report(Box<Report>, Instant),
    /// The process has ended, or its recording is gone.
    Ended,
}

/// Live maps that are looked at for their next resize.
const MOST_MAPS: usize = 2_000;

/// The thread that reads.
pub struct Feed {
    readings: Receiver<Result<Reading, Failure>>,
    /// Dropped to stop the thread.
    _stop: Sender<()>,
}

impl Feed {
    /// Begins to read.
    pub fn start(source: &Path, every: Duration) -> Feed {
        let (send, readings) = channel();
        let (stop, stopped) = channel();
        let source = source.to_owned();
        thread::spawn(move || read(source, every, &send, &stopped));
        Feed {
            readings,
            _stop: stop,
        }
    }

    /// Waits for the first reading.
    pub fn first(&self) -> Result<(Box<Report>, Instant), Failure> {
        match self.readings.recv() {
            Ok(Ok(Reading::Report(report, at))) => Ok((report, at)),
            Ok(Err(failure)) => Err(failure),
            Ok(Ok(Reading::Ended)) | Err(_) => Err(Failure::new("the recording could not be read")),
        }
    }

    /// A reading that has not been taken yet. One that failed means that nothing more comes.
    pub fn latest(&self) -> Option<Reading> {
        self.readings
            .try_recv()
            .ok()
            .map(|reading| reading.unwrap_or(Reading::Ended))
    }
}

fn read(
    source: PathBuf,
    every: Duration,
    send: &Sender<Result<Reading, Failure>>,
    stopped: &Receiver<()>,
) {
    let files = Files::new();
    // Names stay: only new places cost anything after the first reading.
    let mut symbolizer: Option<ObjectSymbolizer<'_>> = None;
    loop {
        let begun = Instant::now();
        let opened = match Source::open(Some(&source)) {
            Ok(opened) => opened,
            Err(failure) => {
                let _ = send.send(Err(failure));
                return;
            }
        };
        let names = symbolizer.get_or_insert_with(|| opened.symbolizer(&files, &[]));
        let options = Options {
            alive: opened.alive,
            max_maps: MOST_MAPS,
            timeline: true,
        };
        let report = Report::build(&opened.recording, names, &options);
        let sent = send.send(Ok(Reading::Report(Box::new(report), begun)));
        if opened.running.is_none() {
            let _ = send.send(Ok(Reading::Ended));
            return;
        }
        // A reading that takes long is not followed by the next at once.
        let rest = every.max(begun.elapsed());
        if sent.is_err() || stopped.recv_timeout(rest) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}
