//! The first lines: what grew and what it cost, and whose recording this is.

use super::page::{Page, Style};
use crate::judgement::advice::PILED_ENTRIES;
use crate::judgement::outlook;
use crate::model::{Member, OtherPlace, Process, ProcessState, Report, Site, error_of_sum};
use crate::rows::cost::{harm, held};
use crate::words::fit::{fit, printable};
use crate::words::names::capital;
use crate::words::units::{bytes, bytes_within, count, estimated_bytes, thousands, time};
use crate::words::{estimates, held, names, phrases};

/// The sentences that a report begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Headlines {
    /// What did most harm, and what else one should know first.
    pub findings: Vec<String>,
    /// Whose recording it is, and the sums of the whole process.
    pub sums: Vec<String>,
}

/// The sentences that a report of a recording begins with.
pub(super) fn headlines(report: &Report) -> Headlines {
    // What is still to come can be helped.
    let (costs, keeps) = (Some(headline(report)), kept(report));
    let [first, second] = match keeps_most(report) {
        true => [keeps, costs],
        false => [costs, keeps],
    };
    let findings = [foretold(report), first, second, piled(report)];
    let sums = [Some(summary(report)), peak(report), others(report)];
    Headlines {
        findings: findings.into_iter().flatten().collect(),
        sums: sums.into_iter().flatten().collect(),
    }
}

pub(super) fn lead(page: &mut Page, report: &Report) {
    let Headlines { findings, sums } = headlines(report);
    for line in &findings {
        page.paragraph(line, 0, Style::Strong);
    }
    for line in &sums {
        page.paragraph(line, 0, Style::Plain);
    }
    let command = report.process.command.join(" ");
    if !command.is_empty() {
        let room = page.room();
        page.paragraph(
            &format!("command: {}", fit(&printable(&command), room)),
            9,
            Style::Faint,
        );
    }
}

/// The block that costs most: of those that cost the same the first one, as they are sorted.
fn costliest(report: &Report) -> Option<&Site> {
    report.blocks().iter().rev().max_by_key(|site| harm(site))
}

/// The block that keeps most that it does not need.
fn keeper(report: &Report) -> Option<&Site> {
    let blocks = report.blocks().iter();
    blocks.max_by_key(|site| site.retained_bytes)
}

/// One sentence on what costs most: the first block of the report.
fn headline(report: &Report) -> String {
    let Some(site) = costliest(report) else {
        return nothing(report);
    };
    if site.resizes.is_some_and(|resizes| resizes > 0) {
        return cost(site);
    }
    let nothing_grew = report.totals.resizes == 0 && report.blocks().iter().all(unmoved);
    let (held, _) = held(site);
    let container = names::container(site.family, site.type_name.as_deref());
    let place = names::place_of(site);
    if nothing_grew && held == 0 && site.peak_live_bytes.unwrap_or(0) == 0 {
        return format!(
            "Nothing grew, and {container} at {place} holds nothing that was counted one by one."
        );
    }
    format!(
        "{}{} at {place} {} most: {}.",
        if nothing_grew { "Nothing grew. " } else { "" },
        capital(&container),
        if held > 0 { "holds" } else { "held" },
        phrases::holds(site),
    )
}

fn unmoved(site: &Site) -> bool {
    let estimated = site.sampled.as_ref().and_then(|told| told.est_resizes);
    estimated.unwrap_or(0.0) < 1.0
}

fn cost(site: &Site) -> String {
    let what = capital(&names::container(site.family, site.type_name.as_deref()));
    let place = names::place_of(site);
    let (grows, resizes) = (site.grows.unwrap_or(0), site.resizes.unwrap_or(0));
    let to = site
        .largest_table_bytes
        .filter(|&size| size != site.live_bytes);
    let did = match to {
        Some(size) if grows > 0 && site.maps_live > Some(1) => {
            let size = bytes(size);
            format!("grew {}, the largest to {size}", phrases::often(grows))
        }
        Some(size) if grows > 0 => format!("grew {}, to {}", phrases::often(grows), bytes(size)),
        _ if grows > 0 => format!("grew {}", phrases::often(grows)),
        _ => format!("was resized {}", phrases::often(resizes)),
    };
    let overlap = site.overlap_peak_bytes.filter(|&overlap| overlap > 0);
    let overlap =
        overlap.map(|overlap| format!("{} of old and new table side by side", bytes(overlap)));
    let stall = site.pause_ns.as_ref().and_then(|pauses| pauses.max);
    // What the scheduler did to the thread is not what the map did.
    let stall = stall.filter(|&max| phrases::waited(max, site.overlap_peak_bytes).is_none());
    let stall = stall.map(|max| format!("a stall of {}", time(max)));
    let mut costs: Vec<String> = overlap.into_iter().chain(stall).collect();
    // Where samples stand for most of them, what was counted is not what they did, and of many small
    // maps no single resize matters.
    let did = match held(site) {
        (held, Some(_)) => {
            if site.overlap_peak_bytes.unwrap_or(0) < held / 100 {
                costs.clear();
            }
            let resizes = phrases::resizes(site).map(|told| format!(", {told}"));
            format!(
                "holds {}{}",
                phrases::holds(site),
                resizes.unwrap_or_default()
            )
        }
        (0, _) => format!("{}, and nothing now; {did}", phrases::held_briefly(site)),
        _ => {
            let noun = phrases::noun(site.family);
            let maps = site
                .maps_live
                .filter(|&live| live > 1 && site.tables_of_each.is_none())
                // Two may be one whose entries are being moved.
                .filter(|&live| live > 2 || site.overlap_longest_ns.is_none());
            let maps = maps.map(|live| format!(" in {}", count(live, noun)));
            let maps = maps.unwrap_or_default();
            format!("{}{maps}, {did}", phrases::held_briefly(site))
        }
    };
    if costs.is_empty() {
        return format!("{what} at {place} {did}.");
    }
    format!("{what} at {place} {did}. At worst: {}.", costs.join(", "))
}

/// Whether the first block keeps for nothing most of what it holds: then that is what to say first.
fn keeps_most(report: &Report) -> bool {
    let both = costliest(report).zip(keeper(report));
    both.is_some_and(|(first, keeper)| {
        first.id == keeper.id && first.retained_bytes.unwrap_or(0) > held(first).0 / 2
    })
}

/// One sentence on the site whose maps keep most that they do not need, if that is a good part
/// of what containers hold.
fn kept(report: &Report) -> Option<String> {
    const LEAST_BYTES: u64 = 1 << 20;
    let worst = keeper(report)?;
    let (retained, entries) = (worst.retained_bytes?, worst.entries?);
    if retained < LEAST_BYTES || retained < report.totals.est_live_bytes / 10 {
        return None;
    }
    let sampled = worst.sampled.as_ref().filter(|sampled| {
        held(worst).1.is_some() && sampled.est_maps_live > worst.maps_live.unwrap_or(0) as f64
    });
    let maps = match (worst.maps_live, sampled) {
        (_, Some(sampled)) => {
            let maps = estimates::rounded(sampled.est_maps_live.max(0.0) as u64);
            format!(" in about {}", count(maps, "live map"))
        }
        (Some(live), None) if live > 1 => format!(" in {}", count(live, "live map")),
        _ => String::new(),
    };
    let room = worst
        .capacity
        .map(|capacity| format!(" in room for {}", thousands(capacity)));
    // Of several maps that is the one that keeps most.
    let had = worst.had_entries_at_least.filter(|_| maps.is_empty());
    let had = had.map(|had| format!("; it had {} or more", thousands(had)));
    let since = worst.retained_for_at_most_ns.zip(had);
    let since = since.map(|(ns, had)| format!("{had}, not longer than {} ago", time(ns)));
    let since = since.unwrap_or_default();
    Some(format!(
        "{} at {} keeps {} that it does not need: {}{}{maps}{since}.",
        capital(&names::container(worst.family, worst.type_name.as_deref())),
        names::place_of(worst),
        estimated_bytes(retained, worst.retained_error_bytes),
        held::entries(entries, worst.entries_error),
        room.unwrap_or_default(),
    ))
}

/// One sentence on a hash that makes entries pile up.
fn piled(report: &Report) -> Option<String> {
    let worst = report.maps.iter().filter(|map| {
        let piles = map.hash_verdict == Some("clustered");
        piles && map.entries >= Some(PILED_ENTRIES)
    });
    let map = worst.max_by_key(|map| map.entries)?;
    let site = report.sites.iter().find(|site| site.id == map.table_site);
    Some(format!(
        "{} at {}: many of its {} entries have the same hash or nearly, so inserts and look-ups \
         are slow.",
        capital(&names::container(map.family, map.type_name.as_deref())),
        names::place(site.and_then(|site| site.caller.as_ref())),
        thousands(map.entries?),
    ))
}

/// One sentence on the resize that comes first of those for which there is no room, of a process
/// that goes on.
fn foretold(report: &Report) -> Option<String> {
    let (map, next) = outlook::first_without_room(report, u64::MAX)?;
    Some(capital(&outlook::sentence(report, map, next)))
}

/// What of the peak was old tables beside new ones, if that is a good part of it.
fn peak(report: &Report) -> Option<String> {
    let peak = report.peak.as_ref()?;
    let (overlap, extra) = (peak.overlap_bytes?, peak.extra_bytes?);
    // A peak of counted tables is not the peak, and is told nothing about, where samples stand for a
    // good part of what is live.
    let totals = &report.totals;
    let sampled = totals.est_live_bytes.saturating_sub(totals.live_bytes);
    if extra < peak.bytes / 20 || sampled > peak.bytes / 20 || totals.est_live_bytes > peak.bytes {
        return None;
    }
    let most = if peak.without_overlap_error_bytes > 0 {
        "at most "
    } else {
        ""
    };
    // A bound that is the peak itself tells nothing.
    let without = if peak.without_overlap_bytes < peak.bytes {
        let without = bytes(peak.without_overlap_bytes);
        format!("; it would have been {most}{without} without the old ones")
    } else {
        String::new()
    };
    Some(format!(
        "At the peak of {}{} old and new tables side by side held {}{without}.",
        bytes(peak.bytes),
        if peak.bytes == report.totals.peak_bytes {
            ""
        } else {
            " in all recorded blocks,"
        },
        bytes(overlap),
    ))
}

/// Where much of the heap lies that is in no container.
fn others(report: &Report) -> Option<String> {
    /// A place that has less than one part in so many of the heap, or of what containers held at
    /// their peak, is not named.
    const MATTERS: u64 = 10;
    /// Places that are named.
    const NAMED: usize = 3;
    let totals = &report.totals;
    let recorded = totals
        .est_live_bytes
        .saturating_add(totals.other_live_bytes);
    let now = totals.heap_live_bytes.unwrap_or(0).max(recorded);
    // What is left of a program that has ended is of no interest beside what its containers held.
    let heap = now.max(totals.peak_bytes);
    let large = |place: &&OtherPlace| place.est_live_bytes > heap / MATTERS;
    let named = report.others.iter().filter(large).take(NAMED);
    let named = named.map(|place| {
        let held = estimated_bytes(place.est_live_bytes, Some(place.est_live_error_bytes));
        let blocks = match place.est_live_bytes == place.live_bytes {
            true => format!(" in {}", count(place.live_blocks, "block")),
            false => String::new(),
        };
        format!("{held}{blocks} at {}", names::place(place.caller.as_ref()))
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| format!("In no container: {}.", named.join(", ")))
}

fn nothing(report: &Report) -> String {
    let floor = report.settings.floor_bytes;
    let least = if floor > 0 {
        format!(" of {} or more", bytes(floor))
    } else {
        String::new()
    };
    let other = match report.totals.other_live_bytes {
        // Those that are named next are as large, or larger.
        other if other > 0 && others(report).is_none() => {
            format!(" Other blocks hold {}.", bytes(other))
        }
        _ => String::new(),
    };
    format!(
        "No container was recognised: no map and no vector of a known kind, and nothing that grew, \
         had a table{least}.{other}"
    )
}

fn summary(report: &Report) -> String {
    let text = if report.members.is_empty() {
        whose(&report.process)
    } else {
        several(report)
    };
    if report.sites.is_empty() {
        return text;
    }
    format!("{text}: {}. {}.", resized(report), contained(report))
}

/// How often containers were resized, and what that cost.
fn resized(report: &Report) -> String {
    let totals = &report.totals;
    let resizing = report
        .blocks()
        .iter()
        .filter(|site| site.resizes.is_some_and(|n| n > 0));
    let sampled = report.sites.iter().filter_map(|site| {
        let estimate = site.sampled.as_ref()?.est_resizes?;
        Some((estimate - site.resizes? as f64).max(0.0))
    });
    let sampled = match sampled.sum::<f64>().round() as u64 {
        0 => String::new(),
        more => {
            let more = thousands(estimates::rounded(more));
            format!(", and about {more} more of small ones")
        }
    };
    let mut parts = vec![format!(
        "{} at {}{sampled}",
        count(totals.resizes, "resize"),
        count(resizing.count() as u64, "place")
    )];
    if let Some(total) = totals.pause_total_ns.filter(|&total| total > 0) {
        parts.push(format!("{} in all", time(total)));
    }
    if let Some(copied) = totals.copied_bytes.filter(|&copied| copied > 0) {
        parts.push(format!("{} copied", bytes(copied)));
    }
    parts.join(", ")
}

/// What containers hold, and held at their peak.
fn contained(report: &Report) -> String {
    let totals = &report.totals;
    let share = totals
        .map_share
        .map(|share| format!(", {:.0} % of the heap", share * 100.0))
        .unwrap_or_default();
    let blocks = report.blocks().iter();
    let of_each = blocks.filter_map(|site| site.retained_bytes.zip(site.retained_error_bytes));
    let kept = of_each.fold((0u64, 0.0f64), |(sum, error), (kept, its)| {
        (sum.saturating_add(kept), error_of_sum(error, its as f64))
    });
    let kept = match kept {
        (kept, error) if kept >= 1 << 20 => {
            let kept = estimated_bytes(kept, Some(error as u64));
            format!(" ({kept} more than their entries need)")
        }
        _ => String::new(),
    };
    let error = match totals.est_live_error_bytes {
        0 => String::new(),
        error => format!(" +- {}", bytes(error)),
    };
    let estimated = totals.est_live_bytes > totals.live_bytes;
    let now = match estimated {
        true => {
            let held = bytes_within(totals.est_live_bytes, totals.est_live_error_bytes);
            format!("about {held}{error}")
        }
        false => bytes(totals.live_bytes),
    };
    let peak = phrases::their_peak(totals);
    format!("Containers hold {now}{share}{kept}; {peak}")
}

fn whose(process: &Process) -> String {
    let name = process.name().map(printable);
    let name = name.as_deref().unwrap_or("the program");
    let state = match (process.state, process.duration_ns) {
        (ProcessState::Ended, Some(ns)) => format!("ended after {}", time(ns)),
        (ProcessState::Ended, None) => "ended".to_owned(),
        (ProcessState::Killed, Some(ns)) => format!("was killed after {} or more", time(ns)),
        (ProcessState::Killed, None) => "was killed".to_owned(),
        (ProcessState::Live, Some(ns)) => format!("running for {}", time(ns)),
        (ProcessState::Live, None) => "running".to_owned(),
        (ProcessState::Snapshot, Some(ns)) => format!("dumped {}", phrases::after(ns)),
        (ProcessState::Snapshot, None) => "dumped while running".to_owned(),
        (ProcessState::Unfinished, Some(ns)) => format!("running or killed, {} recorded", time(ns)),
        (ProcessState::Unfinished, None) => "running or killed".to_owned(),
    };
    format!("{name} (pid {}, {state})", process.pid)
}

/// The processes of a merged report, the largest first.
fn several(report: &Report) -> String {
    const SHOWN: usize = 3;
    let mut members: Vec<&Member> = report.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.totals.peak_bytes));
    let shown: Vec<String> = members
        .iter()
        .take(SHOWN)
        .map(|member| {
            format!(
                "{} {}",
                printable(&member.label),
                bytes(member.totals.peak_bytes)
            )
        })
        .collect();
    let more = match members.len().saturating_sub(SHOWN) {
        0 => "",
        _ => ", ...",
    };
    let all = match members.len() {
        1 => "1 process".to_owned(),
        all => format!("{} processes", thousands(all as u64)),
    };
    format!("{all} (peaks: {}{more})", shown.join(", "))
}
