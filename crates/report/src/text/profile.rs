//! What is different in the text of a report of heap profiles: in use and allocated in place of
//! peaks and pauses, and estimates throughout.

use super::lead::Headlines;
use super::page::{Page, Style};
use crate::model::{ProfileFacts, Report, Site};
use crate::words::fit::{fit, printable};
use crate::words::units::{bytes, count, thousands, time};
use crate::words::{estimates, names, phrases};
use mapgrow_containers::classify::go::{GO_MAP, GO_SLICE};

pub(super) fn lead(page: &mut Page, report: &Report, facts: &ProfileFacts) {
    let Headlines { findings, sums } = headlines(report, facts);
    for line in &findings {
        page.paragraph(line, 0, Style::Strong);
    }
    for line in &sums {
        page.paragraph(line, 0, Style::Plain);
    }
}

/// The sentences that a report of heap profiles begins with.
pub(super) fn headlines(report: &Report, facts: &ProfileFacts) -> Headlines {
    Headlines {
        findings: [Some(headline(report)), kept(report)]
            .into_iter()
            .flatten()
            .collect(),
        sums: vec![summary(report, facts)],
    }
}

/// `map[string]int at cache/cache.go:58`.
fn what(site: &Site) -> String {
    format!(
        "{} at {}",
        names::container(site.family, site.type_name.as_deref()),
        names::place(site.caller.as_ref())
    )
}

fn headline(report: &Report) -> String {
    let Some(site) = report.sites.iter().max_by_key(|site| site.live_bytes) else {
        return "No map and no slice is known to have grown.".to_owned();
    };
    format!(
        "{} has most in use: about {}{}, of {} allocated.",
        names::capital(&what(site)),
        bytes(site.live_bytes),
        share(site, report),
        bytes(site.allocated_bytes)
    )
}

fn kept(report: &Report) -> Option<String> {
    let site = report
        .sites
        .iter()
        .filter(|site| site.retained_bytes.is_some_and(|kept| kept > 0))
        .max_by_key(|site| site.retained_bytes)?;
    Some(format!(
        "{} was probably emptied and kept: about {} of its tables are in use for nothing.",
        names::capital(&what(site)),
        bytes(site.retained_bytes?)
    ))
}

/// `, 34 % of the heap`.
fn share(site: &Site, report: &Report) -> String {
    let heap = report.totals.heap_live_bytes.filter(|&heap| heap > 0);
    heap.map(|heap| {
        let percent = site.live_bytes as f64 * 100.0 / heap as f64;
        format!(", {percent:.0} % of the heap")
    })
    .unwrap_or_default()
}

fn summary(report: &Report, facts: &ProfileFacts) -> String {
    let program = report.process.name().map(printable);
    let mut text = program.unwrap_or_else(|| "the program".to_owned());
    match (facts.profiles, report.process.duration_ns) {
        (1, _) => text.push_str(" (heap profile)"),
        (profiles, Some(ns)) => {
            text.push_str(&format!(" ({profiles} heap profiles in {})", time(ns)))
        }
        (profiles, None) => text.push_str(&format!(" ({profiles} heap profiles)")),
    }
    let totals = &report.totals;
    text.push_str(&format!(
        ": what grows has about {} in use",
        bytes(totals.live_bytes)
    ));
    if let (Some(share), Some(heap)) = (totals.map_share, totals.heap_live_bytes) {
        text.push_str(&format!(
            ", {:.0} % of the heap of {}",
            share * 100.0,
            bytes(heap)
        ));
    }
    text.push_str(&format!(
        ", at {}. {} were allocated for it, of {} in all.",
        count(report.sites.len() as u64, "line"),
        bytes(totals.allocated_bytes),
        bytes(facts.allocated_bytes),
    ));
    text
}

/// The block of a line that grows a map or a slice.
pub(super) fn site(page: &mut Page, number: usize, site: &Site, report: &Report) {
    page.blank();
    page.paragraph(&format!("{number:>2}. {}", what(site)), 4, Style::Strong);
    let room = page.room();
    if let Some(caller) = site.caller.as_ref().filter(|caller| caller.line.is_some()) {
        page.row("in", &fit(&printable(&caller.function), room));
    }
    if let Some(why) = phrases::known_by(site) {
        page.row("known", why);
    }
    page.row("growth", &growth(site));
    page.row("in use", &in_use(site, report));
    if let Some(kept) = kept_row(site) {
        page.row("kept", &kept);
    }
    if let Some(overlap) = overlap(site, report) {
        page.row("overlap", &overlap);
    }
    let bars = site
        .series
        .as_ref()
        .and_then(|series| estimates::bars(series, room));
    if let Some(bars) = bars {
        page.row("over time", &bars);
    }
    for (index, caller) in phrases::callers(site, room).iter().enumerate() {
        let label = if index == 0 { "called by" } else { "" };
        page.row(label, &fit(caller, room));
    }
    for advice in &site.advice {
        page.row("advice", advice);
    }
}

/// `about 2,100 tables by growth, of 272 B to 27 KiB`.
fn growth(site: &Site) -> String {
    let noun = match site.family {
        Some(family) if family == GO_MAP.name => "table",
        Some(family) if family == GO_SLICE.name => "array",
        _ => "block",
    };
    let grown = site.grows.unwrap_or(0);
    let made = site.allocs.saturating_sub(grown);
    let mut parts = Vec::new();
    if grown > 0 {
        parts.push(format!(
            "about {} by growth",
            count(estimates::rounded(grown), noun)
        ));
    }
    if made > 0 {
        let about = count(estimates::rounded(made), noun);
        parts.push(format!("about {about} made in their size"));
    }
    let sizes = match (site.smallest_table_bytes, site.largest_table_bytes) {
        (Some(small), Some(large)) if small < large => {
            format!(", of {} to {}", bytes(small), bytes(large))
        }
        (Some(size), _) => format!(", of {}", bytes(size)),
        _ => String::new(),
    };
    format!("{}{sizes}", parts.join(" and "))
}

/// `53 MiB +- 5.1 MiB of 114 MiB allocated, 42 % of the heap`.
fn in_use(site: &Site, report: &Report) -> String {
    let error = site
        .sampled
        .as_ref()
        .map(|sampled| sampled.est_live_bytes_error as u64);
    let error = error.filter(|&error| error > 0);
    let error = error.map(|error| format!(" +- {}", bytes(error)));
    format!(
        "{}{} of {} allocated{}",
        bytes(site.live_bytes),
        error.unwrap_or_default(),
        bytes(site.allocated_bytes),
        if site.live_bytes > 0 {
            share(site, report)
        } else {
            String::new()
        }
    )
}

fn kept_row(site: &Site) -> Option<String> {
    if site.family != Some(GO_MAP.name) || site.live_bytes == 0 {
        return None;
    }
    Some(match site.retained_bytes {
        Some(kept) => format!(
            "about {} after deletes: what was allocated beside its inserts is gone, its tables are \
             not",
            bytes(kept)
        ),
        None => "unknown: a profile does not show entries, and deletes free no table".to_owned(),
    })
}

/// How much of old and new there is at once, and why.
fn overlap(site: &Site, report: &Report) -> Option<String> {
    let most = bytes(site.overlap_peak_bytes?);
    let runtime = report.profile.as_ref()?.map_runtime;
    let map = site.family == Some(GO_MAP.name);
    Some(match runtime {
        Some("swiss") if map => {
            format!("at most {most} at once: tables of up to 1,024 slots grow and split one by one")
        }
        Some("buckets") if map => format!(
            "up to {most} at once: the old buckets stay until inserts and deletes have moved all"
        ),
        _ => format!("about {most} of old and new at once, until the next collection"),
    })
}

/// The last line: how good the figures are.
pub(super) fn honesty(facts: &ProfileFacts) -> String {
    let period = match facts.period_bytes {
        Some(period) => format!(", one in about {}", bytes(period)),
        None => String::new(),
    };
    let samples = thousands(facts.samples);
    format!(
        "honesty: every figure is an estimate from {samples} samples{period}; +- is one standard error."
    )
}
