//! Figures as OpenMetrics, and as the older text format of Prometheus.
//!
//! Label sets are bounded: the sites with the largest peaks have series of their own, all others
//! of a process share the one named `other`. A figure that is not known has no sample.

use std::collections::BTreeMap;
use std::fmt::Write;

use mapgrow_report::summary::Summary;
use mapgrow_report::{Report, Site};

use super::labels::{labels, owner};
use super::targets::Reading;

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Text,
}

impl Format {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Gauge,
    Counter,
}

/// How figures of several sites become one.
#[derive(Clone, Copy, PartialEq)]
enum Together {
    Sum,
    Largest,
    /// They do not.
    Never,
}

/// A figure as a metric.
struct Metric<T: ?Sized> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    together: Together,
    of: fn(&T) -> Option<f64>,
}

/// Nanoseconds as seconds.
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn figure(value: u64) -> Option<f64> {
    Some(value as f64)
}

const PROCESS: [Metric<Report>; 12] = {
    use Kind::{Counter, Gauge};
    const fn metric(
        name: &'static str,
        kind: Kind,
        help: &'static str,
        of: fn(&Report) -> Option<f64>,
    ) -> Metric<Report> {
        Metric {
            name,
            kind,
            help,
            together: Together::Never,
            of,
        }
    }
    [
        metric("mapgrow_live_bytes", Gauge, "Bytes of live tables", |r| {
            figure(r.totals.est_live_bytes)
        }),
        metric(
            "mapgrow_live_error_bytes",
            Gauge,
            "Standard error of mapgrow_live_bytes, 0 where all was counted",
            |r| figure(r.totals.est_live_error_bytes),
        ),
        metric(
            "mapgrow_peak_live_bytes",
            Gauge,
            "Largest number of live bytes so far",
            |r| figure(r.totals.peak_bytes),
        ),
        metric(
            "mapgrow_heap_live_bytes",
            Gauge,
            "Live heap bytes, containers or not",
            |r| r.totals.heap_live_bytes.map(|bytes| bytes as f64),
        ),
        metric(
            "mapgrow_maps_live",
            Gauge,
            "Live maps, samples included",
            |r| {
                r.totals.maps_live?;
                let each = r
                    .blocks()
                    .iter()
                    .filter_map(|block| Summary::of(block).maps_live);
                figure(each.fold(0, |sum, maps| maps.value.saturating_add(sum)))
            },
        ),
        metric(
            "mapgrow_overlap_peak_bytes",
            Gauge,
            "Largest old and new table side by side",
            |r| figure(r.totals.overlap_peak_bytes),
        ),
        metric(
            "mapgrow_pause_max_seconds",
            Gauge,
            "Longest single resize",
            |r| r.totals.pause_max_ns.map(seconds),
        ),
        metric(
            "mapgrow_resizes",
            Counter,
            "Resizes that were counted one by one",
            |r| figure(r.totals.resizes),
        ),
        metric(
            "mapgrow_allocated_bytes",
            Counter,
            "Bytes of all tables ever allocated, samples included",
            |r| figure(r.totals.est_allocated_bytes.max(r.totals.allocated_bytes)),
        ),
        metric(
            "mapgrow_copied_bytes",
            Counter,
            "Bytes moved from old tables to new ones",
            |r| r.totals.copied_bytes.and_then(figure),
        ),
        metric(
            "mapgrow_pause_seconds",
            Counter,
            "Time that threads spent in resizes",
            |r| r.totals.pause_total_ns.map(seconds),
        ),
        metric(
            "mapgrow_recorder_bytes",
            Gauge,
            "Bytes that the recorder itself uses",
            |r| figure(r.honesty.self_bytes),
        ),
    ]
};

const SITES: [Metric<Site>; 12] = {
    use Kind::{Counter, Gauge};
    use Together::{Largest, Never, Sum};
    const fn metric(
        name: &'static str,
        kind: Kind,
        together: Together,
        help: &'static str,
        of: fn(&Site) -> Option<f64>,
    ) -> Metric<Site> {
        Metric {
            name,
            kind,
            help,
            together,
            of,
        }
    }
    [
        metric(
            "mapgrow_site_live_bytes",
            Gauge,
            Sum,
            "Bytes of live tables of a site",
            |s| figure(s.live().0),
        ),
        metric(
            "mapgrow_site_live_error_bytes",
            Gauge,
            Sum,
            "Standard error of mapgrow_site_live_bytes",
            |s| figure(s.live().1),
        ),
        metric(
            "mapgrow_site_peak_live_bytes",
            Gauge,
            Never,
            "Largest number of live bytes of a site",
            |s| s.peak_live_bytes.map(|bytes| bytes as f64),
        ),
        metric(
            "mapgrow_site_retained_bytes",
            Gauge,
            Sum,
            "Bytes beyond what the entries need",
            |s| s.retained_bytes.map(|bytes| bytes as f64),
        ),
        metric(
            "mapgrow_site_entries",
            Gauge,
            Sum,
            "Entries in the live maps of a site",
            |s| s.entries.map(|entries| entries as f64),
        ),
        metric(
            "mapgrow_site_overlap_peak_bytes",
            Gauge,
            Largest,
            "Largest old and new table side by side",
            |s| s.overlap_peak_bytes.map(|bytes| bytes as f64),
        ),
        metric(
            "mapgrow_site_pause_max_seconds",
            Gauge,
            Largest,
            "Longest single resize of a site",
            |s| s.pause_ns.as_ref()?.max.map(seconds),
        ),
        metric(
            "mapgrow_site_maps_live",
            Gauge,
            Sum,
            "Live maps of a site, samples included",
            |s| Summary::of(s).maps_live.map(|maps| maps.value as f64),
        ),
        metric(
            "mapgrow_site_resizes",
            Counter,
            Sum,
            "Resizes into tables of a site that were counted one by one",
            |s| s.resizes.map(|resizes| resizes as f64),
        ),
        metric(
            "mapgrow_site_allocated_bytes",
            Counter,
            Sum,
            "Bytes of all tables of a site ever allocated, samples included",
            |s| figure(s.allocated().0),
        ),
        metric(
            "mapgrow_site_copied_bytes",
            Counter,
            Sum,
            "Bytes moved into tables of a site",
            |s| s.copied_bytes.map(|bytes| bytes as f64),
        ),
        metric(
            "mapgrow_site_pause_seconds",
            Counter,
            Sum,
            "Time that threads spent in resizes of a site",
            |s| s.pause_ns.as_ref()?.total.map(seconds),
        ),
    ]
};

/// A page of metrics with at most `sites` sites of each target.
pub fn render(readings: &[Reading], sites: usize, format: Format) -> String {
    let mut text = String::new();
    head(
        &mut text,
        "mapgrow_up",
        Kind::Gauge,
        "Whether the target can be read now",
        format,
    );
    let owners: Vec<String> = readings
        .iter()
        .enumerate()
        .map(|(at, one)| owner(at, one))
        .collect();
    for (reading, owner) in readings.iter().zip(&owners) {
        let _ = writeln!(text, "mapgrow_up{{{owner}}} {}", u8::from(reading.up));
    }
    let reports: Vec<(&String, &Report)> = owners
        .iter()
        .zip(readings)
        .filter_map(|(owner, reading)| Some((owner, reading.report.as_deref()?)))
        .collect();
    for metric in &PROCESS {
        head(&mut text, metric.name, metric.kind, metric.help, format);
        for (owner, report) in &reports {
            sample(
                &mut text,
                metric.name,
                metric.kind,
                owner,
                (metric.of)(report),
            );
        }
    }
    let rows: Vec<(&String, Vec<Row<'_>>)> = reports
        .iter()
        .map(|(owner, report)| (*owner, rows(report, sites)))
        .collect();
    for metric in &SITES {
        head(&mut text, metric.name, metric.kind, metric.help, format);
        for (owner, rows) in &rows {
            for row in rows {
                let labels = format!("{owner},{}", row.labels);
                sample(
                    &mut text,
                    metric.name,
                    metric.kind,
                    &labels,
                    row.figure(metric),
                );
            }
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn head(text: &mut String, name: &str, kind: Kind, help: &str, format: Format) {
    // The older format calls a counter by the name of its samples.
    let (suffix, kind) = match (kind, format) {
        (Kind::Gauge, _) => ("", "gauge"),
        (Kind::Counter, Format::OpenMetrics) => ("", "counter"),
        (Kind::Counter, Format::Text) => ("_total", "counter"),
    };
    let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
    let unit = ["bytes", "seconds"]
        .iter()
        .find(|unit| name.ends_with(*unit));
    if let (Some(unit), Format::OpenMetrics) = (unit, format) {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    let _ = writeln!(text, "# HELP {name}{suffix} {help}");
}

fn sample(text: &mut String, name: &str, kind: Kind, labels: &str, value: Option<f64>) {
    let Some(value) = value else { return };
    let suffix = if kind == Kind::Counter { "_total" } else { "" };
    let _ = writeln!(text, "{name}{suffix}{{{labels}}} {value}");
}

/// Sites behind one series.
struct Row<'a> {
    labels: String,
    sites: Vec<&'a Site>,
    /// Whether these are all the sites that have no series of their own.
    other: bool,
}

impl Row<'_> {
    fn figure(&self, metric: &Metric<Site>) -> Option<f64> {
        let mut known = self.sites.iter().filter_map(|site| (metric.of)(site));
        match metric.together {
            Together::Sum => known
                .next()
                .map(|first| known.fold(first, |sum, more| sum + more)),
            Together::Largest => known.reduce(f64::max),
            // For two sites with the same labels the sum is still a bound; for all the others
            // together it says nothing.
            Together::Never if self.other => None,
            Together::Never => known
                .next()
                .map(|first| known.fold(first, |sum, more| sum + more)),
        }
    }
}

/// The series of a report: sites that people cannot tell apart share one.
fn rows(report: &Report, most: usize) -> Vec<Row<'_>> {
    let mut by_label: BTreeMap<String, Vec<&Site>> = BTreeMap::new();
    for site in report.blocks() {
        by_label.entry(labels(site)).or_default().push(site);
    }
    let mut rows: Vec<Row<'_>> = by_label
        .into_iter()
        .map(|(labels, sites)| Row {
            labels,
            sites,
            other: false,
        })
        .collect();
    let peak = |row: &Row<'_>| {
        row.sites
            .iter()
            .filter_map(|site| site.peak_live_bytes)
            .fold(0, u64::saturating_add)
    };
    // By peaks, which never fall: a series comes and goes as seldom as possible.
    rows.sort_by_cached_key(|row| std::cmp::Reverse(peak(row)));
    let rest: Vec<&Site> = rows
        .drain(most.min(rows.len())..)
        .flat_map(|row| row.sites)
        .collect();
    if !rest.is_empty() {
        rows.push(Row {
            labels: "site=\"other\",function=\"\",type=\"\",family=\"\"".to_owned(),
            sites: rest,
            other: true,
        });
    }
    rows
}
