//! How a verb ends.

use std::fmt;
use std::io;
use std::path::Path;

/// Why a verb could not do its work: exit status 2.
#[derive(Debug)]
pub enum Failure {
    /// A sentence that says what is wrong and what to do next.
    Told(String),
    /// Whoever read our output has gone; there is nobody to tell.
    ReaderGone,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(sentence: impl Into<String>) -> Failure {
        Failure::Told(sentence.into())
    }

    /// A file that could not be worked with.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Failure {
        let path = path.display();
        let written = doing == "write";
        let hint = match error.kind() {
            io::ErrorKind::NotFound if written => ": make its directory first, or name another",
            io::ErrorKind::PermissionDenied if written => ": name a place that you may write to",
            io::ErrorKind::NotFound => {
                ": check the path, or look for recordings with `mapgrow list`"
            }
            io::ErrorKind::PermissionDenied => {
                ": run mapgrow as the user whose process was recorded, or as root"
            }
            _ => "",
        };
        Failure::new(format!("cannot {doing} {path}: {}{hint}", plain(error)))
    }
}

/// The system's words for an error, without its number.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Told(sentence) => f.write_str(sentence),
            Failure::ReaderGone => f.write_str("nobody reads the output"),
        }
    }
}
