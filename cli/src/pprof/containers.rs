//! A report as a profile: what containers hold, allocated and cost, by call stack.

use std::collections::BTreeMap;

use mapgrow_report::summary::resizes_at;
use mapgrow_report::{Event, EventKind, Report, Site};

use super::proto::{Profile, Sample};
use super::tables::Tables;
use crate::frames;

/// The kinds of values, and their units.
const KINDS: [(&str, &str); 5] = [
    ("live_bytes", "bytes"),
    ("alloc_bytes", "bytes"),
    ("resizes", "count"),
    ("overlap_bytes", "bytes"),
    ("pause_ns", "nanoseconds"),
];

/// Values of a sample, in the order of [`KINDS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Values {
    live: u64,
    allocated: u64,
    resizes: u64,
    overlap: u64,
    pause: u64,
}

/// Which functions of a stack a profile has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Functions {
    /// All, also those of the container and of the allocator.
    All,
    /// From the one in whose code the container grows on, without plumbing: what only leads from one
    /// function of the program's own to the next.
    Own,
}

/// What sets the samples of one site apart.
type Key = (Option<u64>, Option<String>);

/// The profile of a report. The samples of a site add up to the site's figures in the report, with
/// what samples of the recording stand for; those without a map or a thread are what the report does
/// not tell apart. `overlap_bytes` is the largest of a site, so sums of it over sites are bounds.
#[must_use]
pub fn of_report(report: &Report, functions: Functions) -> Profile {
    let mut tables = Tables::new(&KINDS, &report.modules, report.process.exe.as_deref());
    let mut parts: BTreeMap<u32, BTreeMap<Key, Values>> = BTreeMap::new();
    for map in &report.maps {
        let key = (Some(map.id), map.thread.clone());
        let part = parts.entry(map.table_site).or_default().entry(key);
        let live = &mut part.or_default().live;
        *live = live.saturating_add(map.bytes);
    }
    for event in &report.timeline {
        if let Some(site) = event.site.filter(|_| is_resize(event)) {
            let key = (event.map, event.thread.clone());
            let part = parts.entry(site).or_default().entry(key).or_default();
            part.resizes += 1;
            part.pause = part.pause.saturating_add(event.pause_ns.unwrap_or(0));
        }
    }
    let titles = frames::titles(report);
    let mut samples = Vec::new();
    for site in &report.sites {
        let parts = parts.remove(&site.id).unwrap_or_default();
        let location_id = match functions {
            Functions::All => tables.stack(&site.stack),
            Functions::Own => tables.stack(&frames::without_plumbing(site)),
        };
        let container = titles.get(&site.id).map(String::as_str);
        let of = Of {
            site,
            container: container.unwrap_or_default(),
            location_id,
        };
        samples.extend(of_site(&mut tables, &of, parts));
    }
    if report.sites.iter().any(|site| site.sampled.is_some()) {
        tables.comment("Small tables were sampled: bytes and resizes include an estimate of them.");
    }
    let mut profile = tables.finish();
    profile.sample = samples;
    profile.time_nanos = signed(report.process.start_unix_ns);
    profile.duration_nanos = report.process.duration_ns.map_or(0, signed);
    // At its end a program has often dropped all of its maps.
    let shown = usize::from(report.sites.iter().all(|site| site.live().0 == 0));
    profile.default_sample_type = profile.sample_type[shown].r#type;
    profile
}

/// Whether an event is a resize that the site counts as one of its own.
fn is_resize(event: &Event) -> bool {
    let resize = matches!(
        event.kind,
        EventKind::Grow | EventKind::Shrink | EventKind::Rehash
    );
    resize && !event.sampled
}

/// What the samples of a site have in common.
struct Of<'a> {
    site: &'a Site,
    /// What its block is called.
    container: &'a str,
    location_id: Vec<u64>,
}

/// The samples of a site: one for each map and thread that the report names, and one for the
/// rest.
fn of_site(tables: &mut Tables<'_>, of: &Of<'_>, parts: BTreeMap<Key, Values>) -> Vec<Sample> {
    let site = of.site;
    let mut left = Values {
        live: site.live().0,
        allocated: site.allocated().0,
        resizes: resizes_at(site),
        overlap: site.overlap_peak_bytes.unwrap_or(0),
        pause: site.pause_ns.as_ref().and_then(|p| p.total).unwrap_or(0),
    };
    let mut sample = |(map, thread): &Key, values: Values| {
        let mut label = vec![tables.label("container", of.container)];
        if let Some(family) = site.family {
            label.push(tables.label("family", family));
        }
        if let Some(name) = &site.type_name {
            label.push(tables.label("type", name));
        }
        if let Some(map) = map {
            label.push(tables.label("map", &map.to_string()));
        }
        if let Some(thread) = thread {
            label.push(tables.label("thread", thread));
        }
        Sample {
            location_id: of.location_id.clone(),
            value: values.list(),
            label,
        }
    };
    let mut named: BTreeMap<Key, Values> = BTreeMap::new();
    for ((map, thread), part) in parts {
        let part = part.at_most(left);
        left = left.without(part);
        // Of maps that are gone there can be very many, and nobody looks for one of them.
        let map = map.filter(|_| part.live > 0);
        let sum = named.entry((map, thread)).or_default();
        *sum = sum.with(part, u64::saturating_add);
    }
    let mut samples = Vec::new();
    for (key, part) in &named {
        if *part != Values::default() {
            samples.push(sample(key, *part));
        }
    }
    if left != Values::default() {
        samples.push(sample(&(None, None), left));
    }
    samples
}

impl Values {
    fn list(self) -> Vec<i64> {
        let values = [
            self.live,
            self.allocated,
            self.resizes,
            self.overlap,
            self.pause,
        ];
        values.map(signed).to_vec()
    }

    /// No more than what is left of the site's figures: of maps that began as samples not every resize
    /// is in them.
    fn at_most(self, left: Self) -> Self {
        self.with(left, u64::min)
    }

    fn without(self, part: Self) -> Self {
        self.with(part, u64::saturating_sub)
    }

    fn with(self, other: Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            live: combine(self.live, other.live),
            allocated: combine(self.allocated, other.allocated),
            resizes: combine(self.resizes, other.resizes),
            overlap: combine(self.overlap, other.overlap),
            pause: combine(self.pause, other.pause),
        }
    }
}

/// The format has signed numbers.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
