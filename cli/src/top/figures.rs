//! What the view shows of a report: one row for each site, with rates since the last reading.

use std::collections::HashMap;
use std::time::Instant;

use mapgrow::report::text::{place, title};
use mapgrow::report::{NextResize, Report, Site};

/// A site's row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Number of the site.
    pub id: u32,
    /// What the site is called.
    pub title: String,
    /// The same, the shortest first: `cache.rs:58 HashMap<u64, Session>`.
    pub label: String,
    /// Function that it is in.
    pub function: String,
    /// Bytes of live tables.
    pub live: u64,
    /// Largest number of live bytes.
    pub peak: Option<u64>,
    /// Resizes so far.
    pub resizes: Option<u64>,
    /// Resizes in a second; `None` before the second reading.
    pub resizes_rate: Option<f64>,
    /// Bytes allocated in a second.
    pub allocated_rate: Option<f64>,
    /// How long the latest resize took, and when it ended.
    pub last_pause: Option<(u64, Option<u64>)>,
    /// The longest resize.
    pub max_pause: Option<u64>,
    /// The resize that is next due in one of its maps.
    pub next: Option<NextResize>,
}

/// The figures that rates are made of, at one moment.
pub struct Before {
    at: Instant,
    sites: HashMap<u32, (u64, u64)>,
}

impl Before {
    /// Remembers a report.
    pub fn of(report: &Report, at: Instant) -> Before {
        let figures = |site: &Site| (site.resizes.unwrap_or(0), site.allocated_bytes);
        Before {
            at,
            sites: report
                .sites
                .iter()
                .map(|site| (site.id, figures(site)))
                .collect(),
        }
    }
}

/// The rows of a report.
pub fn rows(report: &Report, at: Instant, before: Option<&Before>) -> Vec<Row> {
    let mut last: HashMap<u32, (u64, Option<u64>)> = HashMap::new();
    for event in &report.timeline {
        if let (Some(site), Some(pause)) = (event.site, event.pause_ns) {
            last.insert(site, (pause, event.t_ns));
        }
    }
    let mut next: HashMap<u32, NextResize> = HashMap::new();
    for map in &report.maps {
        let Some(due) = &map.next_resize else {
            continue;
        };
        let sooner = next
            .get(&map.table_site)
            .is_none_or(|known| soon(due) < soon(known));
        if sooner {
            next.insert(map.table_site, due.clone());
        }
    }
    let row = |site: &Site| {
        let rate = |of: fn(&(u64, u64)) -> u64, now: u64| {
            let before = before?;
            let seconds = at.saturating_duration_since(before.at).as_secs_f64();
            // A site that was not there before began with nothing.
            let old = before.sites.get(&site.id).map_or(0, of);
            (seconds > 0.0).then(|| now.saturating_sub(old) as f64 / seconds)
        };
        let resizes = site.resizes;
        Row {
            id: site.id,
            title: title(site),
            label: label(site),
            function: site
                .caller
                .as_ref()
                .map_or(String::new(), |caller| caller.function.clone()),
            live: site.live_bytes,
            peak: site.peak_live_bytes,
            resizes,
            resizes_rate: resizes.and_then(|now| rate(|old| old.0, now)),
            allocated_rate: rate(|old| old.1, site.allocated_bytes),
            last_pause: last.get(&site.id).copied(),
            max_pause: site.pause_ns.as_ref().and_then(|pauses| pauses.max),
            next: site
                .recorded_sites
                .iter()
                .find_map(|id| next.get(id))
                .cloned(),
        }
    };
    report.sites.iter().map(row).collect()
}

/// A place and its type in few columns: the name of the file is enough where the stack is one key
/// away.
fn label(site: &Site) -> String {
    let at = place(site.caller.as_ref());
    let at = match &site.caller {
        Some(caller) if caller.line.is_some() => at.rsplit('/').next().unwrap_or(&at).to_owned(),
        _ => at,
    };
    let what = site
        .type_name
        .as_deref()
        .or(site.family)
        .unwrap_or_default();
    let what: String = what.chars().filter(|letter| !letter.is_control()).collect();
    format!("{at} {what}")
}

/// Known times first, then the fewest bytes.
fn soon(due: &NextResize) -> (u64, u64) {
    (
        due.eta_ns.unwrap_or(u64::MAX),
        due.at_entries.unwrap_or(u64::MAX),
    )
}
