//! Where the recording of a run's command stays.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::directory;
use crate::dumps;
use crate::failure::Failure;
use crate::preload::session::Ended;

/// Dumps that are kept, the newest: as many as the recorder itself keeps.
const MOST_KEPT: usize = 64;

/// Whether a file can be made there, as far as that can be known beforehand.
pub fn can_write(path: &Path) -> Result<(), Failure> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let there = directory.metadata().and_then(|meta| match meta.is_dir() {
        true => Ok(()),
        false => Err(io::Error::from(io::ErrorKind::NotADirectory)),
    });
    there.map_err(|error| Failure::file("write", path, &error))
}

/// What to say of a name that is taken.
pub fn taken(path: &Path) -> String {
    format!(
        "{} is there already and mapgrow overwrites nothing: choose another name",
        path.display()
    )
}

/// Puts the command's recording where it is to stay: where the user says, else, or where that
/// fails, in the directory for dumps.
pub fn keep(output: Option<&Path>, own: Option<&Ended>, dump: &Path) -> Result<PathBuf, Failure> {
    let bytes = fs::read(dump).map_err(|error| Failure::file("read", dump, &error))?;
    let (program, pid) = own.map_or(("", 0), |own| (own.program.as_str(), own.pid));
    let named = output
        .map(Path::to_owned)
        .or_else(|| from_environment(program, pid));
    if let Some(path) = named {
        let failure = match directory::write_new(&path, &bytes) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken(&path),
            Err(error) => Failure::file("write", &path, &error).to_string(),
        };
        let _ = writeln!(io::stderr(), "mapgrow: {failure}");
    }
    dumps::write(program, pid, &bytes, Some(MOST_KEPT))
}

/// Where `MAPGROW_OUT` says, as the recorder reads it; this is the first dump.
fn from_environment(program: &str, pid: u32) -> Option<PathBuf> {
    let pattern = std::env::var("MAPGROW_OUT")
        .ok()
        .filter(|pattern| !pattern.is_empty())?;
    let mut path = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        let replaced = match (c, rest.peek()) {
            ('%', Some('p')) => pid.to_string(),
            ('%', Some('n')) => "1".to_owned(),
            ('%', Some('e')) => program.to_owned(),
            ('%', Some('%')) => "%".to_owned(),
            _ => {
                path.push(c);
                continue;
            }
        };
        rest.next();
        path += &replaced;
    }
    Some(path.into())
}
