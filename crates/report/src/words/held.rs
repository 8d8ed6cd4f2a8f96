//! Rows go in; phrases about what is in maps, and what comes next, come out.

use super::estimates::with_error;
use super::methods::{self, is_deque};
use super::units::{bytes, count, estimated_bytes, thousands, time};
use crate::model::{Activity, LeftUnder, Map, Memory, NextResize, Site};
use crate::rows::cost::held;
use mapgrow_containers::classify::catalogue::{self, Container};

/// `1,234 entries in room for 3,670,016, 12 tombstones, 120 MiB more than they need`.
#[must_use]
pub fn contents(site: &Site) -> Option<String> {
    let mut text = match site.entries {
        Some(number) => entries(number, site.entries_error),
        None if site.retained_bytes > Some(0) => String::new(),
        None => return unread(site),
    };
    if let Some(capacity) = site.capacity {
        text.push_str(&format!(" in room for {}", thousands(capacity)));
    }
    if let Some(tombstones) = site.tombstones.filter(|&tombstones| tombstones > 0) {
        text.push_str(&format!(", {}", count(tombstones, "tombstone")));
    }
    let told = |&retained: &u64| retained > site.retained_error_bytes.unwrap_or(0);
    if let Some(retained) = site.retained_bytes.filter(told) {
        let retained = estimated_bytes(retained, site.retained_error_bytes);
        let before = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{before}{retained} more than they need"));
    }
    Some(text)
}

/// `1 entry`, `about 490,000 entries +- 8,000`.
pub(crate) fn entries(number: u64, error: Option<u64>) -> String {
    match error.filter(|&error| error > 0) {
        Some(error) => {
            let (number, error) = with_error(number, error);
            format!(
                "about {} entries +- {}",
                thousands(number),
                thousands(error)
            )
        }
        None if number == 1 => "1 entry".to_owned(),
        None => format!("{} entries", thousands(number)),
    }
}

/// That nobody knows what is in the tables, where there may be much room in them.
fn unread(site: &Site) -> Option<String> {
    const MATTERS: u64 = 1 << 20;
    if held(site).0 < MATTERS || site.maps_live.unwrap_or(0) == 0 {
        return None;
    }
    let kind = catalogue::named(site.family?).map(|family| family.container);
    Some(match kind {
        Some(Container::Vector) if is_deque(site.family) => {
            "not known: a deque's length is not kept in its blocks".to_owned()
        }
        Some(Container::Vector) => {
            let unused = methods::of(site.family)
                .shrink
                .filter(|_| site.advice.is_empty());
            let unused = unused.map(|call| format!("; {call} gives back what it does not use"));
            format!(
                "not known: a vector's length is not kept in its block{}",
                unused.unwrap_or_default()
            )
        }
        _ if site.family == Some("hashbrown") => {
            "not known: its tables were not read, or may be several things".to_owned()
        }
        _ => "not known: what is in these tables cannot be read, or was not".to_owned(),
    })
}

/// `in about 14 min, at 29,360,129 entries: needs 6.0 GiB, 4.1 GiB left in its control group`.
pub(crate) fn next_resize(next: &NextResize, memory: Option<&Memory>) -> String {
    let when = next.eta_ns.map(|ns| format!("in about {}", time(ns)));
    let at = next
        .at_entries
        .map(|entries| format!("at {} entries", thousands(entries)));
    let when: Vec<String> = when.into_iter().chain(at).collect();
    let when = if when.is_empty() {
        "when it is full".to_owned()
    } else {
        when.join(", ")
    };
    format!("{when}: {}", room_for(next, memory))
}

/// What goes on in a map, or went on in one of a process that has `ended`, where that is worth a
/// word.
pub(crate) fn activity(map: &Map, ended: bool) -> Option<String> {
    match map.activity? {
        Activity::Churning => Some(
            "insert and delete in turn: tombstones fill it, not entries, and it is rehashed in \
             place when they do"
                .to_owned(),
        ),
        Activity::Emptied => {
            let had = thousands(map.had_entries_at_least?);
            let since = map
                .retained_for_at_most_ns
                .map(|ns| format!(", not longer than {} ago", time(ns)));
            Some(format!(
                "emptied: it had {had} entries or more{}",
                since.unwrap_or_default()
            ))
        }
        Activity::Growing => {
            let rate = per_s(map.entries_per_s?);
            let verb = if ended { "grew" } else { "grows" };
            Some(format!("{verb} by {rate}"))
        }
        Activity::Slowed => {
            let slowed = map.slowed?;
            let average = format!(
                "{} on average in the last {}",
                per_s(slowed.entries_per_s),
                time(slowed.for_ns)
            );
            Some(match slowed.before_entries_per_s {
                Some(before) => format!(
                    "slowed down or stopped: {average}, since its last resize; {} before that",
                    per_s(before)
                ),
                None => format!("does not grow at the moment; {average}"),
            })
        }
    }
}

fn per_s(rate: f64) -> String {
    match rate.round() as u64 {
        0 => "less than 1 entry/s".to_owned(),
        1 => "1 entry/s".to_owned(),
        rate => format!("{} entries/s", thousands(rate)),
    }
}

/// `needs 6.0 GiB, 4.1 GiB left in its control group: will be OOM-killed`.
pub(crate) fn room_for(next: &NextResize, memory: Option<&Memory>) -> String {
    let needs = format!("needs {}", bytes(next.needs_bytes));
    let Some(memory) = memory.filter(|_| next.fits == Some(false)) else {
        return needs;
    };
    // What the resizes before it leave.
    let left = next
        .needs_bytes
        .saturating_sub(next.short_bytes.unwrap_or(0));
    let then = if left < memory.left_bytes {
        " then"
    } else {
        ""
    };
    let left = bytes(left);
    match memory.left_under {
        LeftUnder::ControlGroup => {
            format!("{needs}, {left} left{then} in its control group: will be OOM-killed")
        }
        LeftUnder::AddressSpace => {
            format!("{needs}, {left} left{then} of its address space: the allocation will fail")
        }
        LeftUnder::Machine => {
            format!("{needs}, {left} left{then} on the machine: will be OOM-killed")
        }
    }
}
