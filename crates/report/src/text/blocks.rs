//! One block for each site, map, type or thread.

use super::page::{Page, Style};
use crate::model::{Coverage, Map, Report, Site};
use crate::rows::cost::{held, only_samples};
use crate::rows::summary::Summary;
use crate::words::fit::{fit, printable};
use crate::words::units::{bytes, count, estimated_bytes, thousands, time};
use crate::words::{estimates, held, methods, names, phrases};

/// The block of a site.
pub(super) fn site(page: &mut Page, number: usize, site: &Site) {
    let what = names::container(site.family, site.type_name.as_deref());
    page.blank();
    page.paragraph(
        &format!("{number:>2}. {what} at {}", names::place_of(site)),
        4,
        Style::Strong,
    );
    let room = page.room();
    if let Some(caller) = site.caller.as_ref().filter(|caller| caller.line.is_some()) {
        page.row("in", &fit(&printable(&caller.function), room));
    }
    if let Some(why) = phrases::known_by(site) {
        page.row("known", why);
    }
    growth(page, site);
    cost(page, site);
    if !only_samples(site) {
        page.row("holds", &phrases::holds(site));
    }
    if let Some(contents) = held::contents(site) {
        page.row("contents", &contents);
    }
    if let Some(samples) = estimates::samples(site) {
        page.row("samples", &samples);
    }
    if let Some(bars) = over_time(site, room) {
        page.row("over time", &bars);
    }
    for (index, place) in phrases::places(site, room).iter().enumerate() {
        page.row(if index == 0 { "places" } else { "" }, place);
    }
    for (index, caller) in phrases::callers(site, room).iter().enumerate() {
        page.row(
            if index == 0 { "called by" } else { "" },
            &fit(caller, room),
        );
    }
    for advice in &site.advice {
        page.row("advice", advice);
    }
}

/// How often the maps of a site were resized, and through which tables they went.
fn growth(page: &mut Page, site: &Site) {
    let grew = phrases::resizes(site);
    let maps = phrases::maps(site);
    match (grew, maps) {
        (Some(grew), Some(maps)) => page.row("resizes", &format!("{grew} ({maps})")),
        (Some(grew), None) => page.row("resizes", &grew),
        (None, Some(maps)) => page.row("resizes", &format!("none seen ({maps})")),
        (None, None) if !only_samples(site) => {
            let live = site.allocs.saturating_sub(site.frees);
            let (row, one) = methods::parts(site.family);
            let nodes = count(site.allocs, one);
            page.row(row, &format!("{nodes} allocated, {} live", thousands(live)));
        }
        (None, None) => {}
    }
    if site.example_tables.len() > 1 {
        page.row("tables", &phrases::tables(site));
    }
}

/// What the resizes of a site cost, and what else became of its maps.
fn cost(page: &mut Page, site: &Site) {
    if let Some(overlap) = site.overlap_peak_bytes.filter(|&overlap| overlap > 0) {
        let when = site
            .overlap_peak_at_ns
            .map(|ns| format!(", {}", phrases::after(ns)));
        let long = site
            .overlap_longest_ns
            .map(|ns| format!(", for up to {}", time(ns)));
        let text = format!(
            "{} of old and new table at once{}{}",
            bytes(overlap),
            when.unwrap_or_default(),
            long.unwrap_or_default()
        );
        page.row("overlap", &text);
    }
    if let Some(pauses) = phrases::pauses(site) {
        page.row("stalls", &pauses);
    }
    let copied = Summary::of(site).copied_bytes;
    if let Some(copied) = copied.filter(|copied| copied.value > 0) {
        let least = copied.bound.map_or("", |_| "at least ");
        let copied = bytes(copied.value);
        page.row("copied", &format!("{least}{copied} from old tables to new"));
    }
    if let Some(rebuilds) = site.rebuilds.filter(|&rebuilds| rebuilds > 0) {
        page.row(
            "rebuilt",
            &format!(
                "{} by the program: a new one filled, the old dropped",
                phrases::often(rebuilds)
            ),
        );
    }
    if let Some(replaces) = site.replaces.filter(|&replaces| replaces > 0) {
        page.row(
            "replaced",
            &format!(
                "{}: resize or rebuild, nothing can tell",
                phrases::often(replaces)
            ),
        );
    }
}

/// Live bytes over time as a row of bars.
fn over_time(site: &Site, room: usize) -> Option<String> {
    let series = site.series.as_ref();
    // A series counts only blocks that were counted one by one.
    let series = series.filter(|_| held(site).1.is_none())?;
    // The series of a place that shares its root with others may show more than it held.
    let most = series.max_live_bytes.iter().copied().flatten().max();
    let own = series.exact || most <= site.peak_live_bytes;
    estimates::bars(series, room).filter(|_| own)
}

/// A site in two lines or three.
pub(super) fn brief(page: &mut Page, number: usize, site: &Site) {
    let what = names::container(site.family, site.type_name.as_deref());
    page.blank();
    let place = names::place_of(site);
    page.paragraph(&format!("{number:>2}. {what} at {place}"), 4, Style::Strong);
    let grew = phrases::resizes(site).map(|grew| format!("; {grew}"));
    let held = match only_samples(site) {
        true => estimates::samples(site).unwrap_or_default(),
        false => phrases::holds(site) + &grew.unwrap_or_default(),
    };
    page.row("holds", &held);
    if let Some(advice) = site.advice.first() {
        page.row("advice", advice);
    }
}

/// A site in one line: `3. HashMap<u64, Job> at src/jobs.rs:9: held 15 MiB; grew 14 times`.
pub(super) fn line(page: &mut Page, number: usize, site: &Site) {
    let kept = site.retained_bytes.filter(|&kept| kept > held(site).0 / 4);
    let kept = kept.map(|kept| {
        let kept = estimated_bytes(kept, site.retained_error_bytes);
        format!(", {kept} of it for nothing")
    });
    let grew = phrases::resizes(site).map(|grew| format!("; {grew}"));
    let room = page.width();
    let title = format!("{number:>2}. {}", names::title(site));
    let held = phrases::held_briefly(site);
    let more = kept.or(grew).unwrap_or_default();
    // What else it did, and then what it is, gives way before where it is and what it holds do.
    let length = |text: &str| text.chars().count();
    let told = match length(&title) + 2 + length(&held) + length(&more) <= room {
        true => held + &more,
        false => held,
    };
    let left = room.saturating_sub(length(&told) + 2).max(room / 2);
    page.paragraph(&format!("{}: {told}", fit(&title, left)), 4, Style::Plain);
}

/// The block of a live map.
pub(super) fn map(page: &mut Page, number: usize, map: &Map, report: &Report) {
    let what = names::container(map.family, map.type_name.as_deref());
    page.blank();
    page.paragraph(
        &format!(
            "{number:>2}. {what}, {} at {:#x} (map {})",
            bytes(map.bytes),
            map.address,
            map.id
        ),
        4,
        Style::Strong,
    );
    let room = page.room();
    let at = |id: Option<u32>| {
        let site = report.sites.iter().find(|site| Some(site.id) == id)?;
        site.caller
            .as_ref()
            .map(|caller| names::function_and_place(caller, room))
    };
    let born = map.born_at_ns.map(phrases::after);
    if let Some(place) = at(map.site) {
        let when = born.map(|born| format!(", {born}")).unwrap_or_default();
        page.row("born", &format!("{place}{when}"));
    }
    if map.site != Some(map.table_site)
        && let Some(place) = at(Some(map.table_site))
    {
        page.row("grown", &place);
    }
    if map.tables.len() > 1 {
        let begun = if map.history_complete { "" } else { "... -> " };
        page.row("tables", &format!("{begun}{}", phrases::chain(&map.tables)));
    }
    table(page, map);
    prospects(page, map, report);
    if let Some(thread) = &map.thread {
        page.row("thread", &printable(thread));
    }
    if map.weight > 1.0 {
        page.row(
            "samples",
            &format!("stands for about {:.0} maps", map.weight),
        );
    }
}

/// The table of a map, and what is in it.
fn table(page: &mut Page, map: &Map) {
    if let (Some(capacity), Some(buckets)) = (map.capacity, map.buckets) {
        let element = map
            .element_bytes
            .map(|size| format!(" of {size} bytes"))
            .unwrap_or_default();
        page.row(
            "capacity",
            &format!(
                "{} entries in {} buckets{element}",
                thousands(capacity),
                thousands(buckets)
            ),
        );
    }
    if let Some(entries) = map.entries {
        let error = map.entries_error.filter(|&error| error > 0);
        let error = error.map(|error| format!(" +- {}", thousands(error)));
        let mut text = format!(
            "{}{} entries",
            thousands(entries),
            error.unwrap_or_default()
        );
        if let Some(tombstones) = map.tombstones.filter(|&tombstones| tombstones > 0) {
            text.push_str(&format!(", {}", count(tombstones, "tombstone")));
        }
        if let Some(retained) = map.retained_bytes.filter(|&retained| retained > 0) {
            text.push_str(&format!(", {} more than they need", bytes(retained)));
        }
        page.row("contents", &text);
    }
    if let (Some(used), Some(buckets)) = (map.buckets_used, map.buckets) {
        let text = format!("{} of {} not empty", thousands(used), thousands(buckets));
        page.row("buckets", &text);
    }
}

/// What goes on in a map, and what comes next.
fn prospects(page: &mut Page, map: &Map, report: &Report) {
    let ended = report.process.state.ended();
    if let Some(goes_on) = held::activity(map, ended) {
        page.row("activity", &goes_on);
    }
    if let Some(verdict) = map.hash_verdict.filter(|&verdict| verdict != "good") {
        page.row("hash", verdict);
    }
    if let Some(next) = &map.next_resize {
        // What a process could still have had does not matter once it has ended.
        let (label, memory) = match ended {
            true => ("full", None),
            false => ("grows", report.memory.as_ref()),
        };
        page.row(label, &held::next_resize(next, memory));
    }
}

/// Figures of several sites, or of a thread's events.
#[derive(Debug, Default, Clone)]
pub(super) struct Sum {
    pub sites: u64,
    pub resizes: u64,
    pub maps_live: u64,
    pub live_bytes: u64,
    /// Live bytes in sampled tables, estimated.
    pub est_small_bytes: f64,
    pub allocated_bytes: u64,
    pub copied_bytes: u64,
    pub overlap_peak: u64,
    pub pause_total: u64,
    pub pause_max: u64,
    pub peak: u64,
}

impl Sum {
    pub fn add(&mut self, site: &Site) {
        self.sites += 1;
        if let Some(sampled) = site
            .sampled
            .as_ref()
            .filter(|_| site.coverage != Coverage::Sampled)
        {
            self.est_small_bytes += (sampled.est_live_bytes - site.live_bytes as f64).max(0.0);
        }
        let mut add = |sum: fn(&mut Self) -> &mut u64, more: Option<u64>| {
            let sum = sum(self);
            *sum = sum.saturating_add(more.unwrap_or(0));
        };
        add(|sum| &mut sum.resizes, site.resizes);
        add(|sum| &mut sum.maps_live, site.maps_live);
        add(|sum| &mut sum.live_bytes, Some(site.live_bytes));
        add(|sum| &mut sum.allocated_bytes, Some(site.allocated_bytes));
        add(|sum| &mut sum.copied_bytes, site.copied_bytes);
        add(|sum| &mut sum.peak, site.peak_live_bytes);
        let pauses = site.pause_ns.as_ref();
        add(
            |sum| &mut sum.pause_total,
            pauses.and_then(|pauses| pauses.total),
        );
        self.pause_max = self
            .pause_max
            .max(pauses.and_then(|pauses| pauses.max).unwrap_or(0));
        self.overlap_peak = self.overlap_peak.max(site.overlap_peak_bytes.unwrap_or(0));
    }

    pub fn harm(&self) -> u64 {
        self.overlap_peak
            .saturating_add(self.copied_bytes)
            .saturating_add(self.pause_total)
    }
}

/// The block of a type or a thread.
pub(super) fn sum(page: &mut Page, number: usize, title: &str, sum: &Sum) {
    page.blank();
    page.paragraph(
        &format!("{number:>2}. {}", printable(title)),
        4,
        Style::Strong,
    );
    let places = match sum.sites {
        0 => String::new(),
        sites => format!(" at {}", count(sites, "place")),
    };
    page.row("resizes", &format!("{}{places}", thousands(sum.resizes)));
    if sum.overlap_peak > 0 {
        page.row(
            "overlap",
            &format!("{} of old and new table at once", bytes(sum.overlap_peak)),
        );
    }
    if sum.pause_total > 0 {
        let text = format!(
            "{} at worst, {} in all",
            time(sum.pause_max),
            time(sum.pause_total)
        );
        page.row("stalls", &text);
    }
    if sum.copied_bytes > 0 {
        page.row(
            "copied",
            &format!("{} from old tables to new", bytes(sum.copied_bytes)),
        );
    }
    let small = match sum.est_small_bytes as u64 {
        0 => String::new(),
        small => format!(", and about {} in small tables", bytes(small)),
    };
    let live = match sum.maps_live {
        0 => String::new(),
        live => format!(" in {}", count(live, "container")),
    };
    page.row(
        "holds",
        &format!("{} now{live}{small}", bytes(sum.live_bytes)),
    );
}
