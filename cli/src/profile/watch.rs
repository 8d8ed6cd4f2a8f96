//! A service looked at time and again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mapgrow_report::Report;
use mapgrow_report::profile::History;

use super::evidence::Evidence;
use super::service::Service;
use crate::failure::Failure;
use crate::symbols::Files;

/// Takes a profile at once and another every so often, for a length of time or until the service
/// is gone, and shows the report on all so far after each.
pub fn watch(
    url: &Path,
    every: Duration,
    length: Option<Duration>,
    binaries: &[PathBuf],
    mut show: impl FnMut(&Report, bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(service) = Service::named(url)? else {
        return Err(Failure::new(format!(
            "{} is no URL: --watch wants one such as http://localhost:6060/debug/pprof/heap",
            url.display()
        )));
    };
    let files = Files::new();
    let mut evidence = Evidence::new(&files, binaries, None);
    let mut history = History::default();
    let begun = Instant::now();
    loop {
        let next = Instant::now() + every;
        match service.profile() {
            Ok(profile) => {
                evidence.ask(&service);
                history.add(&profile, &mut evidence);
            }
            Err(failure) if history.is_empty() => return Err(failure),
            Err(failure) => {
                eprintln!("mapgrow: {failure}");
                return last(&history, &mut show);
            }
        }
        let over = length.is_some_and(|length| next > begun + length);
        if over {
            return last(&history, &mut show);
        }
        if let Some(report) = history.report() {
            show(&report, false)?;
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn last(
    history: &History,
    show: &mut impl FnMut(&Report, bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match history.report() {
        Some(report) => show(&report, true),
        None => Ok(()),
    }
}
