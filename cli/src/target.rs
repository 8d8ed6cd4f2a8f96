//! Where a page or a picture goes: a file, or standard output.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::load::{self, Header};
use crate::output;

/// Where to write what a verb makes.
#[derive(Debug)]
pub enum Target {
    /// A file, which is replaced if it is there.
    File(PathBuf),
    /// Standard output, which goes to a file or a program.
    Output,
}

impl Target {
    /// The file that the user named, or standard output unless a person looks at it: `example`
    /// is the name that the failure suggests.
    pub fn of(named: Option<&Path>, example: &str) -> Result<Target, Failure> {
        match named {
            Some(path) if is_recording(path) => Err(Failure::new(format!(
                "{} is a recording, which would be lost: choose another name",
                path.display()
            ))),
            Some(path) => Ok(Target::File(path.to_owned())),
            None if io::stdout().is_terminal() => Err(Failure::new(format!(
                "this is not for a terminal: name a file, as in `-o {example}`"
            ))),
            None => Ok(Target::Output),
        }
    }

    /// The file that the user named, or standard output, which may be a terminal.
    pub fn text(named: Option<&Path>) -> Result<Target, Failure> {
        match named {
            Some(_) => Target::of(named, ""),
            None => Ok(Target::Output),
        }
    }

    /// Writes all of it.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Target::File(path) => {
                fs::write(path, bytes).map_err(|error| Failure::file("write", path, &error))
            }
            Target::Output => output::write_with(|out| out.write_all(bytes)),
        }
    }
}

fn is_recording(path: &Path) -> bool {
    let header = load::open(path, false, true).and_then(|file| Header::read(&file));
    header.is_ok_and(|header| header.is_some())
}
