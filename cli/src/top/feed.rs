//! Reads the recording again and again, beside the view: a slow reading must not hold up a key.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use mapgrow_report::Report;

use super::readings::Readings;
use crate::failure::Failure;
use crate::symbols::Files;

/// What a reading gave.
pub enum Reading {
    /// The process as it was at a moment.
    Report(Box<Report>, Instant),
    /// The process has ended, or its recording is gone.
    Ended,
}

/// The thread that reads.
pub struct Feed {
    readings: Receiver<Result<Reading, Failure>>,
    /// Dropped to stop the thread.
    _stop: Sender<()>,
}

impl Feed {
    /// Begins to read.
    pub fn start(source: &Path, every: Duration) -> Feed {
        // Whoever looks may be held up, by a terminal that was stopped: one reading waits then.
        let (send, readings) = sync_channel(1);
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
    send: &SyncSender<Result<Reading, Failure>>,
    stopped: &Receiver<()>,
) {
    let files = Files::new();
    let mut readings = Readings::new(&source, &files);
    loop {
        let begun = Instant::now();
        let reading = match readings.take() {
            Ok(Some(reading)) => reading,
            Ok(None) => {
                let _ = send.send(Ok(Reading::Ended));
                return;
            }
            Err(failure) => {
                let _ = send.send(Err(failure));
                return;
            }
        };
        let sent = send.send(Ok(Reading::Report(Box::new(reading.report), begun)));
        if !reading.more {
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
