//! A report goes in; whether there is room for the resizes that are foretold comes out.

use super::advice::cures;
use super::gates::{Finding, Outcome};
use crate::model::{Map, NextResize, Report};
use crate::words::units::{bytes, count, time};
use crate::words::{held, names};

/// Of all resizes that come within `within_ns`, the first for which there is no room, and its
/// map.
#[must_use]
pub fn first_without_room(report: &Report, within_ns: u64) -> Option<(&Map, &NextResize)> {
    let all = report.maps.iter().filter(|map| map.weight <= 1.0);
    all.filter_map(|map| {
        let next = map.upcoming.iter().find(|next| next.fits == Some(false))?;
        Some((map, next, next.eta_ns.filter(|&eta| eta <= within_ns)?))
    })
    .min_by_key(|&(_, _, eta)| eta)
    .map(|(map, next, _)| (map, next))
}

/// `HashMap<u64, Session> at src/cache.rs:58 grows in about 14 min: needs 6.0 GiB, 4.1 GiB left
/// in its control group: will be OOM-killed.`
pub(crate) fn sentence(report: &Report, map: &Map, next: &NextResize) -> String {
    let site = report.sites.iter().find(|site| site.id == map.table_site);
    let again = match map.upcoming.iter().position(|other| other == next) {
        Some(0) | None => "grows",
        Some(1) => "grows for the second time",
        Some(_) => "grows for the third time",
    };
    let when = next.eta_ns.map(|eta| format!(" in about {}", time(eta)));
    format!(
        "{} at {} {again}{}: {}.",
        names::container(map.family, map.type_name.as_deref()),
        names::place(site.and_then(|site| site.caller.as_ref())),
        when.unwrap_or_default(),
        held::room_for(next, report.memory.as_ref()),
    )
}

/// Judges whether there is room for the resizes that are foretold to come within `within`
/// (nanoseconds; without it, for the next three of each live map).
#[must_use]
pub fn judge(report: &Report, within: Option<u64>) -> Finding {
    let within_ns = within.unwrap_or(u64::MAX);
    let first = first_without_room(report, within_ns);
    let site = first.and_then(|(map, _)| {
        let site = report.sites.iter().find(|site| site.id == map.table_site);
        site.or_else(|| report.sites.iter().find(|site| Some(site.id) == map.site))
    });
    let (outcome, reason) = match (first, &report.memory) {
        (Some((map, next)), _) => (Outcome::Broken, sentence(report, map, next)),
        (None, None) => (
            Outcome::Unknown,
            "it is not known how much memory the process could still have: take a dump of it \
             while it runs"
                .to_owned(),
        ),
        (None, Some(_)) if report.process.state.ended() && any_without_room(report) => (
            Outcome::Unknown,
            "the process has ended, and whether its maps were still growing nobody can tell: for \
             the next resize of one there was no room; take a dump while it runs"
                .to_owned(),
        ),
        (None, Some(_)) if report.process.state.ended() => (
            Outcome::Held,
            "the process has ended, and for what is foretold of its maps there was room".to_owned(),
        ),
        (None, Some(_)) if unforeseen(report) > 0 && !any_foretold(report) => (
            Outcome::Unknown,
            "maps grew, but nobody can tell when they will again: what is in them is not known"
                .to_owned(),
        ),
        (None, Some(memory)) => {
            let due = |next: &&NextResize| next.eta_ns.is_some_and(|eta| eta <= within_ns);
            let growing = report.maps.iter().flat_map(|map| &map.upcoming);
            let largest = growing.filter(due).map(|next| next.needs_bytes).max();
            let left = bytes(memory.left_bytes);
            (
                Outcome::Held,
                match largest {
                    Some(needs) => format!(
                        "there is room for every resize that is foretold: the largest needs {}, \
                         {left} are left",
                        bytes(needs)
                    ),
                    None => format!("no map is foretold to grow; {left} are left"),
                } + &slowed(report)
                    + &match unforeseen(report) {
                        0 => String::new(),
                        maps => format!(
                            "; of {} that grew nothing can be foretold",
                            count(maps, "map")
                        ),
                    },
            )
        }
    };
    Finding {
        outcome,
        rule: match within {
            None => "--forecast".to_owned(),
            Some(within) => format!("--forecast={}", time(within).replace(' ', "")),
        },
        measure: None,
        found: first.map(|(_, next)| next.needs_bytes),
        found_error: None,
        most: first.map(|(_, next)| {
            next.needs_bytes
                .saturating_sub(next.short_bytes.unwrap_or(0))
        }),
        baseline: None,
        site: site.map(|site| site.id),
        caller: site.and_then(|site| site.caller.clone()),
        reason,
        advice: site.map(cures::of_growth).unwrap_or_default(),
    }
}

fn any_without_room(report: &Report) -> bool {
    let mut upcoming = report.maps.iter().flat_map(|map| &map.upcoming);
    upcoming.any(|next| next.fits == Some(false))
}

/// Live maps that grew, of which nothing is known that tells when they will again.
fn unforeseen(report: &Report) -> u64 {
    let silent =
        |map: &&Map| map.tables.len() > 1 && map.upcoming.is_empty() && map.slowed.is_none();
    report.maps.iter().filter(silent).count() as u64
}

fn any_foretold(report: &Report) -> bool {
    report
        .maps
        .iter()
        .any(|map| !map.upcoming.is_empty() || map.slowed.is_some())
}

/// Maps for whose next resize there is no room, and of which nobody knows whether they go on.
fn slowed(report: &Report) -> String {
    let without_room = |map: &&Map| {
        let mut upcoming = map.upcoming.iter();
        map.slowed.is_some() && upcoming.any(|next| next.fits == Some(false))
    };
    let maps = report.maps.iter().filter(without_room).count() as u64;
    let has = match maps {
        0 => return String::new(),
        1 => "has",
        _ => "have",
    };
    format!(
        "; {} that slowed down or stopped {has} no room for what comes next, and nobody can tell \
         when that is",
        count(maps, "map")
    )
}
