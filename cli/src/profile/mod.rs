//! Heap profiles of other tools, such as Go's, as something to report on: a file or a running
//! service.

mod binary;
mod evidence;
mod service;
mod source;
pub mod watch;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use mapgrow_report::Report;
use mapgrow_report::profile::{HeapProfile, History};

use crate::failure::Failure;
use crate::load;
use crate::pprof::{LOOK_BYTES, MOST_PROFILE_BYTES, heap_profile, looks_like_profile};
use crate::symbols::Files;

use evidence::Evidence;
use service::Service;

/// The report on a heap profile, if that is what the user named: a file that holds one, or the
/// URL of a service.
pub fn report(source: &Path, binaries: &[PathBuf]) -> Result<Option<Report>, Failure> {
    let files = Files::new();
    let mut history = History::default();
    if let Some(service) = Service::named(source)? {
        let profile = service.profile()?;
        let mut evidence = Evidence::new(&files, binaries, Some(&service));
        history.add(&profile, &mut evidence);
    } else if let Some(profile) = from_file(source)? {
        history.add(&profile, &mut Evidence::new(&files, binaries, None));
    }
    Ok(history.report())
}

/// The heap profile in a file; `None` when the file holds something else, or there is none.
fn from_file(path: &Path) -> Result<Option<HeapProfile>, Failure> {
    let Ok(file) = load::open(path, false, true) else {
        // Whoever opens it as a recording says what is wrong.
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>, most: u64| {
        (&file as &File)
            .take(most)
            .read_to_end(bytes)
            .map_err(|error| Failure::file("read", path, &error))
    };
    read(&mut bytes, LOOK_BYTES)?;
    if !looks_like_profile(&bytes) {
        return Ok(None);
    }
    read(&mut bytes, MOST_PROFILE_BYTES)?;
    parse(&bytes, &path.display().to_string()).map(Some)
}

fn parse(bytes: &[u8], from: &str) -> Result<HeapProfile, Failure> {
    heap_profile(bytes).map_err(|reason| {
        Failure::new(format!(
            "{from} is no heap profile that can be read: {reason}; take one with \
             `curl -o heap.pb.gz http://HOST/debug/pprof/heap` or runtime/pprof"
        ))
    })
}
