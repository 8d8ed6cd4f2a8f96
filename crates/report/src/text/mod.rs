//! The last stage: a report goes in; text comes out, for a person who has little time.
//!
//! The first line says what grew and what it cost; then comes one block for each site, the
//! most harmful first; the honesty line ends it.

mod blocks;
mod heat;
mod lead;
mod page;
mod profile;
mod screen;
mod table;

pub use crate::words::estimates::{live, live_of_all, peak_of_all};
pub use crate::words::fit::fit;
pub use crate::words::held::contents as contents_of;
pub use crate::words::names::{caller_at, frame_place, is_own, place, place_of, title, what};
pub use crate::words::phrases::{chain, their_peak};
pub use crate::words::units;
pub use lead::Headlines;
pub use table::table;

use crate::judgement::diff::SiteSide;
use crate::model::{EventKind, Honesty, Map, Report, Site};
use crate::rows::cost::harm;
use crate::rows::summary::{Figure, Summary};
use crate::words::fit::printable;
use crate::words::names::{self, named};
use blocks::Sum;
use mapgrow_containers::classify::catalogue::HASHBROWN;
use page::{Page, Style};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use units::{bytes, count};

/// Lines of a screen, which a report fits unless more is asked for.
pub const SCREEN_LINES: usize = 40;

/// How to show a report as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns to fit into.
    pub width: usize,
    /// Whether to use colours.
    pub color: bool,
    /// How many blocks to show.
    pub top: usize,
    /// What a block stands for.
    pub by: By,
    /// What comes first.
    pub sort: Sort,
    /// Lines to fit into: what costs least is then told in a line or two. `None` shows all.
    pub lines: Option<usize>,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            width: 100,
            color: false,
            top: 10,
            by: By::Site,
            sort: Sort::Harm,
            lines: None,
        }
    }
}

/// What a block of the text report stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A place in the program.
    Site,
    /// A live map.
    Map,
    /// A type of container.
    Type,
    /// A thread.
    Thread,
}

/// What comes first in the text report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// What hurt most: overlap, pauses and bytes copied.
    Harm,
    /// What holds most now.
    Live,
    /// What held most at its peak.
    Peak,
    /// What resized most often.
    Resizes,
    /// What stalled threads longest.
    Pause,
    /// What allocated most.
    Allocated,
}

/// Renders a report.
#[must_use]
pub fn render(report: &Report, options: &TextOptions) -> String {
    let mut page = Page::new(options.width, options.color);
    match &report.profile {
        Some(facts) => profile::lead(&mut page, report, facts),
        None => lead::lead(&mut page, report),
    }
    match options.by {
        By::Site => by_site(&mut page, report, options),
        By::Map => by_map(&mut page, report, options),
        By::Type => by_type(&mut page, report, options),
        By::Thread => by_thread(&mut page, report, options),
    }
    end(&mut page, report);
    page.finish()
}

/// The sentences that a report begins with.
#[must_use]
pub fn headlines(report: &Report) -> Headlines {
    match &report.profile {
        Some(facts) => profile::headlines(report, facts),
        None => lead::headlines(report),
    }
}

/// What is missing or uncertain.
fn end(page: &mut Page, report: &Report) {
    page.blank();
    for note in &report.honesty.notes {
        page.paragraph(&format!("note: {}", printable(note)), 6, Style::Plain);
    }
    let honesty = match &report.profile {
        Some(facts) => profile::honesty(facts),
        None => honesty(&report.honesty),
    };
    page.paragraph(&honesty, 9, Style::Faint);
}

/// Renders one live map, with a picture of its table; `None` when the report has no such map.
#[must_use]
pub fn render_map(report: &Report, id: u64, options: &TextOptions) -> Option<String> {
    let map = report.maps.iter().find(|map| map.id == id)?;
    let mut page = Page::new(options.width, options.color);
    blocks::map(&mut page, 1, map, report);
    match &map.heat {
        Some(heat) => heat::heat(&mut page, heat),
        None => page.row("table", &format!("no picture: {}", no_picture(map))),
    }
    Some(page.finish().trim_start().to_owned())
}

/// Why there is no picture of a map's table.
#[must_use]
pub fn no_picture(map: &Map) -> &'static str {
    if map.family == Some(HASHBROWN.name) {
        "its table is small, or was not read"
    } else {
        "only the tables of Rust's hash maps and sets have one"
    }
}

/// The blocks of a report, in the order in which lists have them.
#[must_use]
pub fn sorted(report: &Report, sort: Sort) -> Vec<&Site> {
    let mut sites: Vec<&Site> = report.blocks().iter().collect();
    let key = |site: &Site| {
        let summary = Summary::of(site);
        let value = |figure: Option<Figure>| figure.map_or(0, |figure| figure.value);
        match sort {
            // A profile knows no pauses and no copies: what is in use hurts.
            Sort::Harm if report.profile.is_some() => summary.live_bytes.value,
            Sort::Harm => harm(site),
            Sort::Live => summary.live_bytes.value,
            Sort::Peak => site.peak_live_bytes.unwrap_or(0),
            Sort::Resizes => value(summary.resizes),
            Sort::Pause => value(summary.pause_ns),
            Sort::Allocated => summary.allocated_bytes.value,
        }
    };
    // Stable: sites that tie stay in the order of the report.
    sites.sort_by_key(|site| Reverse(key(site)));
    sites
}

fn by_site(page: &mut Page, report: &Report, options: &TextOptions) {
    let sites = sorted(report, options.sort);
    if let (None, Some(lines)) = (&report.profile, options.lines) {
        return screen::fill(page, report, &sites, lines, options);
    }
    for (index, site) in sites.iter().take(options.top).enumerate() {
        match &report.profile {
            Some(_) => profile::site(page, index + 1, site, report),
            None => blocks::site(page, index + 1, site),
        }
    }
    let mut rest = Sum::default();
    sites
        .iter()
        .skip(options.top)
        .for_each(|site| rest.add(site));
    more(page, rest.sites, "place", &rest);
}

fn by_map(page: &mut Page, report: &Report, options: &TextOptions) {
    let mut maps: Vec<&Map> = report.maps.iter().collect();
    if options.sort == Sort::Resizes {
        maps.sort_by_key(|map| Reverse(map.tables.len()));
    }
    for (index, map) in maps.iter().take(options.top).enumerate() {
        blocks::map(page, index + 1, map, report);
    }
    let rest = maps.iter().skip(options.top);
    let live_bytes = rest.fold(0u64, |sum, map| sum.saturating_add(map.bytes));
    let left = (maps.len().saturating_sub(options.top)) as u64 + report.honesty.maps_omitted;
    more(
        page,
        left,
        "live map",
        &Sum {
            live_bytes,
            ..Sum::default()
        },
    );
}

fn by_type(page: &mut Page, report: &Report, options: &TextOptions) {
    let mut types: BTreeMap<String, Sum> = BTreeMap::new();
    for site in &report.sites {
        let name = match (&site.type_name, site.family) {
            (Some(name), _) => name.clone(),
            (None, family) => format!("{} of unknown type", names::container(family, None)),
        };
        types.entry(name).or_default().add(site);
    }
    sums(page, types, options, "type");
}

/// Threads are known for events of the timeline and for live maps.
fn by_thread(page: &mut Page, report: &Report, options: &TextOptions) {
    let mut threads: BTreeMap<String, Sum> = BTreeMap::new();
    let label =
        |thread: &Option<String>| thread.clone().unwrap_or_else(|| "unknown threads".into());
    for event in &report.timeline {
        let resize = matches!(
            event.kind,
            EventKind::Grow | EventKind::Shrink | EventKind::Rehash
        );
        // A sampled resize stands for many, and is in no sum of the sites either.
        if !resize || event.sampled {
            continue;
        }
        let sum = threads.entry(label(&event.thread)).or_default();
        let (old, new) = (event.old_bytes.unwrap_or(0), event.new_bytes.unwrap_or(0));
        let pause = event.pause_ns.unwrap_or(0);
        sum.resizes += 1;
        if !event.in_place && !event.late {
            sum.copied_bytes = sum.copied_bytes.saturating_add(old.min(new));
            sum.overlap_peak = sum.overlap_peak.max(old.saturating_add(new));
        }
        sum.pause_total = sum.pause_total.saturating_add(pause);
        sum.pause_max = sum.pause_max.max(pause);
    }
    // A sampled map stands for many: of those only the sites' estimates are told.
    for map in report.maps.iter().filter(|map| map.weight <= 1.0) {
        let sum = threads.entry(label(&map.thread)).or_default();
        sum.maps_live += 1;
        sum.live_bytes = sum.live_bytes.saturating_add(map.bytes);
    }
    let mut parts = Vec::new();
    if report.honesty.events_dropped > 0 {
        let lost = count(report.honesty.events_dropped, "older event");
        parts.push(format!(
            "Resizes are those still in the timeline; {lost} left it."
        ));
    }
    if report.honesty.maps_omitted > 0 {
        parts.push(format!(
            "What is held is that of the {} alone; {} are left out.",
            count(report.maps.len() as u64, "largest live map"),
            count(report.honesty.maps_omitted, "smaller one")
        ));
    }
    if !parts.is_empty() && !threads.is_empty() {
        page.blank();
        page.paragraph(&parts.join(" "), 0, Style::Plain);
    }
    sums(page, threads, options, "thread");
}

fn sums(page: &mut Page, sums: BTreeMap<String, Sum>, options: &TextOptions, noun: &str) {
    let mut order: Vec<(String, Sum)> = sums.into_iter().collect();
    order.sort_by_key(|(_, sum)| {
        Reverse(match options.sort {
            Sort::Harm => sum.harm(),
            Sort::Live => sum.live_bytes,
            Sort::Peak => sum.peak,
            Sort::Resizes => sum.resizes,
            Sort::Pause => sum.pause_total,
            Sort::Allocated => sum.allocated_bytes,
        })
    });
    for (index, (title, sum)) in order.iter().take(options.top).enumerate() {
        blocks::sum(page, index + 1, title, sum);
    }
    let mut rest = Sum::default();
    for (_, sum) in order.iter().skip(options.top) {
        rest.resizes += sum.resizes;
        rest.live_bytes = rest.live_bytes.saturating_add(sum.live_bytes);
        rest.est_small_bytes += sum.est_small_bytes;
    }
    more(
        page,
        order.len().saturating_sub(options.top) as u64,
        noun,
        &rest,
    );
}

/// What was not shown.
fn more(page: &mut Page, left: u64, noun: &str, rest: &Sum) {
    if left == 0 {
        return;
    }
    page.blank();
    let resizes = match rest.resizes {
        0 => String::new(),
        resizes => format!("{}, ", count(resizes, "resize")),
    };
    let sampled = rest.est_small_bytes.max(0.0) as u64;
    let about = if sampled > 0 { "about " } else { "" };
    let text = format!(
        "    and {}: {resizes}{about}{} live",
        count(left, &format!("more {noun}")),
        bytes(rest.live_bytes.saturating_add(sampled))
    );
    page.paragraph(&text, 4, Style::Plain);
}

fn honesty(honesty: &Honesty) -> String {
    let lost = [
        (honesty.events_dropped, "event", "dropped from the timeline"),
        (honesty.sites_folded, "site", "folded"),
        (honesty.stacks_truncated, "stack", "truncated"),
        (honesty.maps_untracked, "map", "untracked"),
        (honesty.records_unreadable, "record", "unreadable"),
    ];
    let lost = lost.into_iter().filter(|&(number, ..)| number > 0);
    let mut parts: Vec<String> = lost
        .map(|(number, what, how)| format!("{} {how}", count(number, what)))
        .collect();
    if parts.is_empty() {
        parts.push("nothing dropped, folded, truncated or untracked".to_owned());
    }
    let checks = count(honesty.memo_checks, "memo check");
    parts.push(match honesty.memo_mismatches {
        0 => format!("no mismatch in {checks}"),
        some => {
            let mismatches = count(some, "mismatch").replace("mismatchs", "mismatches");
            format!("{mismatches} in {checks}")
        }
    });
    parts.push(format!("the recorder uses {}", bytes(honesty.self_bytes)));
    format!("honesty: {}.", parts.join(", "))
}

/// The same for a site of a comparison.
#[must_use]
pub fn title_of(side: &SiteSide) -> String {
    named(side.family, side.type_name.as_deref(), side.caller.as_ref())
}
