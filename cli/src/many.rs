//! Many reports, each with what its process is called.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mapgrow_report::Options;
use mapgrow_report::merge::Part;

use crate::binaries;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::symbols::{Files, Opened};
use crate::verbs::report;

/// Reads what was named as `[LABEL=]FILE|PID`, telling how far it is. `skip`: goes on past what
/// cannot be read, and says so.
pub fn read(sources: &[PathBuf], binaries: &[PathBuf], skip: bool) -> Result<Vec<Part>, Failure> {
    let all: Vec<PathBuf> = sources.iter().map(|source| named(source).1).collect();
    binaries::check(binaries, all.iter().map(|path| Some(path.as_path())))?;
    let mut progress = Progress::new("reading", sources.len());
    let (mut parts, mut taken) = (Vec::new(), HashSet::new());
    let files = Files::new();
    let mut opened = Opened::for_many(&files);
    for source in sources {
        let (label, path) = named(source);
        progress.step(&label);
        let built = report::build_among(Some(&path), binaries, &Options::default(), opened);
        let report = match built {
            Ok(built) => {
                opened = built.1;
                built.0
            }
            Err(failure) if skip => {
                let _ = writeln!(io::stderr(), "mapgrow: skipped: {failure}");
                opened = Opened::for_many(&files);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let mut unique = label.clone();
        let mut number = 1;
        while !taken.insert(unique.clone()) {
            number += 1;
            unique = format!("{label}#{number}");
        }
        parts.push(Part {
            label: unique,
            report,
        });
    }
    Ok(parts)
}

/// What a source is called, and its path. A file that has `=` in its name is meant as it is.
fn named(source: &Path) -> (String, PathBuf) {
    if let Some((label, path)) = source.to_str().and_then(|text| text.split_once('='))
        && !label.is_empty()
        && !source.exists()
    {
        return (label.to_owned(), PathBuf::from(path));
    }
    let name = source.file_stem().unwrap_or(source.as_os_str());
    (name.to_string_lossy().into_owned(), source.to_owned())
}
