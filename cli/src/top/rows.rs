//! What the view shows of a report: one row for each site, with rates since the last reading.

use std::collections::HashMap;
use std::time::Instant;

use mapgrow_report::summary::{Summary, resizes_at};
use mapgrow_report::text::{place, title};
use mapgrow_report::{Event, EventKind, Map, Report, Site};

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
    /// Its figures, as all views have them.
    pub figures: Summary,
    /// Resizes in a second; `None` before the second reading.
    pub resizes_rate: Option<f64>,
    /// Bytes allocated in a second.
    pub allocated_rate: Option<f64>,
    /// How long the latest resize took, and when it ended.
    pub last_pause: Option<(u64, Option<u64>)>,
    /// The longest resize.
    pub max_pause: Option<u64>,
    /// The resize that is next due in one of its maps.
    pub next: Option<Next>,
}

/// A resize to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// When it is due.
    pub due: Due,
    /// Bytes of the new table.
    pub needs_bytes: u64,
}

/// When a resize is due. What comes first in this order is told of a site with several maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// In so many nanoseconds, at the present rate.
    In(u64),
    /// At so many entries; the rate is not known.
    At(u64),
    /// Its map got no entries since the reading before.
    Steady,
    /// Nobody counts the entries.
    Unknown,
}

/// Whether an event is a resize whose pause counts among those of its site.
pub fn is_timed(event: &Event) -> bool {
    let resize = matches!(
        event.kind,
        EventKind::Grow | EventKind::Shrink | EventKind::Rehash
    );
    resize && event.pause_ns.is_some()
}

/// The figures that rates are made of, at one moment.
pub struct Before {
    at: Instant,
    sites: HashMap<u32, (u64, u64)>,
    /// Entries of live maps.
    entries: HashMap<u64, u64>,
    /// What the recordings told of their next resize.
    etas_ns: HashMap<u64, u64>,
}

impl Before {
    /// Remembers a report.
    pub fn of(report: &Report, at: Instant) -> Before {
        let figures = |site: &Site| (resizes_at(site), site.allocated().0);
        Before {
            at,
            sites: report
                .blocks()
                .iter()
                .map(|site| (site.id, figures(site)))
                .collect(),
            entries: report
                .maps
                .iter()
                .filter_map(|map| Some((map.id, map.entries?)))
                .collect(),
            etas_ns: report
                .maps
                .iter()
                .filter_map(|map| Some((map.id, map.next_resize.as_ref()?.eta_ns?)))
                .collect(),
        }
    }

    /// Seconds until `now`.
    fn seconds(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.at).as_secs_f64()
    }
}

/// When the next resize of a map is due: by what was added since the reading before, else by
/// what the recording tells.
fn next(map: &Map, at: Instant, before: Option<&Before>) -> Option<Next> {
    let next = map.next_resize.as_ref()?;
    let added = before.and_then(|before| {
        let then = *before.entries.get(&map.id)?;
        let added = map.entries?.saturating_sub(then);
        Some((added as f64, before.seconds(at)))
    });
    let left = next.at_entries.zip(map.entries);
    let left = left.map(|(at, now)| at.saturating_sub(now) as f64);
    // Where entries are not counted: a time that does not come nearer is none.
    let nearer = |eta: &u64| {
        let then = before.and_then(|before| before.etas_ns.get(&map.id));
        then.is_none_or(|then| eta < then)
    };
    let eta_ns = next.eta_ns.filter(nearer);
    let due = match (added, left, eta_ns, next.at_entries) {
        (Some((added, _)), ..) if added < 1.0 => Due::Steady,
        (Some((added, seconds)), Some(left), ..) => Due::In((left / added * seconds * 1e9) as u64),
        (_, _, Some(eta), _) => Due::In(eta),
        (_, _, None, Some(entries)) => Due::At(entries),
        (_, _, None, None) => Due::Unknown,
    };
    Some(Next {
        due,
        needs_bytes: next.needs_bytes,
    })
}

/// The rows of a report.
pub fn rows(report: &Report, at: Instant, before: Option<&Before>) -> Vec<Row> {
    let mut last: HashMap<u32, (u64, Option<u64>)> = HashMap::new();
    for event in report.timeline.iter().filter(|event| is_timed(event)) {
        if let (Some(site), Some(pause)) = (event.site, event.pause_ns) {
            last.insert(site, (pause, event.t_ns));
        }
    }
    let mut soonest: HashMap<u32, Next> = HashMap::new();
    for map in &report.maps {
        let Some(next) = next(map, at, before) else {
            continue;
        };
        let known = soonest.entry(map.table_site).or_insert(next);
        if next.due < known.due {
            *known = next;
        }
    }
    let row = |site: &Site| {
        let rate = |of: fn(&(u64, u64)) -> u64, now: u64| {
            let before = before?;
            let seconds = before.seconds(at);
            // A site that was not there before began with nothing.
            let old = before.sites.get(&site.id).map_or(0, of);
            (seconds > 0.0).then(|| now.saturating_sub(old) as f64 / seconds)
        };
        let figures = Summary::of(site);
        Row {
            id: site.id,
            title: title(site),
            label: label(site),
            function: site
                .caller
                .as_ref()
                .map_or(String::new(), |caller| caller.function.clone()),
            resizes_rate: figures.resizes.and_then(|now| rate(|old| old.0, now.value)),
            figures,
            allocated_rate: rate(|old| old.1, site.allocated().0),
            last_pause: site
                .recorded_sites
                .iter()
                .chain([&site.id])
                .filter_map(|id| last.get(id).copied())
                .max_by_key(|&(_, ended)| ended),
            max_pause: site.pause_ns.as_ref().and_then(|pauses| pauses.max),
            next: site
                .recorded_sites
                .iter()
                .find_map(|id| soonest.get(id))
                .copied(),
        }
    };
    report.blocks().iter().map(row).collect()
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
