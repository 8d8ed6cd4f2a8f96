//! How far a long work is: on a terminal alone, and gone when it is done.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is shorter says nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// A line on standard error that is written over.
pub struct Progress {
    what: &'static str,
    all: usize,
    done: usize,
    begun: Instant,
    terminal: bool,
    shown: bool,
}

impl Progress {
    /// Work of so many steps.
    pub fn new(what: &'static str, all: usize) -> Progress {
        Progress {
            what,
            all,
            done: 0,
            begun: Instant::now(),
            terminal: io::stderr().is_terminal(),
            shown: false,
        }
    }

    /// Begins the next step.
    pub fn step(&mut self, on: &str) {
        self.done += 1;
        if self.terminal && self.begun.elapsed() > PATIENCE {
            self.shown = true;
            let on: String = on
                .chars()
                .filter(|letter| !letter.is_control())
                .take(50)
                .collect();
            let (done, all, what) = (self.done, self.all, self.what);
            // Whoever does not see it misses nothing.
            let _ = write!(io::stderr(), "\r\x1b[K{what} {done} of {all}: {on}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
