//! A report as a profile: what containers hold, allocated and cost, by call stack.

use std::collections::BTreeMap;

use mapgrow_report::text::caller_at;
use mapgrow_report::{Event, EventKind, Report, Site};

use super::proto::{Profile, Sample};
use super::tables::Tables;

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

/// What sets the samples of one site apart.
type Key = (Option<u64>, Option<String>);

/// The profile of a report. Stacks begin with the function in whose code the container grows: what
/// lies within it is the container and the allocator, the same for all. The samples of a site add up to the site's figures in the report,
/// those without a map or a thread being what the report does not tell apart. `overlap_bytes` is
/// the largest of a site, so sums of it over sites are bounds.
#[must_use]
pub fn of_report(report: &Report) -> Profile {
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
    let mut samples = Vec::new();
    for site in &report.sites {
        let parts = parts.remove(&site.id).unwrap_or_default();
        samples.extend(of_site(&mut tables, site, parts));
    }
    let mut profile = tables.finish();
    profile.sample = samples;
    profile.time_nanos = signed(report.process.start_unix_ns);
    profile.duration_nanos = report.process.duration_ns.map_or(0, signed);
    // At its end a program has often dropped all of its maps.
    let shown = usize::from(report.sites.iter().all(|site| site.live_bytes == 0));
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

/// The samples of a site: one for each map and thread that the report names, and one for the
/// rest.
fn of_site(tables: &mut Tables<'_>, site: &Site, parts: BTreeMap<Key, Values>) -> Vec<Sample> {
    let mut left = Values {
        live: site.live_bytes,
        allocated: site.allocated_bytes,
        resizes: site.resizes.unwrap_or(0),
        overlap: site.overlap_peak_bytes.unwrap_or(0),
        pause: site.pause_ns.as_ref().and_then(|p| p.total).unwrap_or(0),
    };
    let from = caller_at(site, &site.stack).unwrap_or(0);
    let location_id = tables.stack(&site.stack[from..]);
    let mut sample = |(map, thread): &Key, values: Values| {
        let mut label = Vec::new();
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
            location_id: location_id.clone(),
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

    /// No more than what is left of the site's figures: maps that were sampled, or that began
    /// as samples, are in no figure of the site.
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
