//! Rows go in, phrases about their figures come out.

use super::estimates::{peak_at_least, peak_of_all, with_error};
use super::methods::is_deque;
use super::names::{self, Callers, function_and_place, place};
use super::units::{bytes, bytes_within, count, thousands, time};
use crate::model::{Caller, KnownBy, Place, Site, Totals};
use crate::rows::cost::{held, only_samples, peak};
use crate::rows::summary::{Bound, Figure, Summary};
use mapgrow_containers::classify::catalogue;
use mapgrow_containers::classify::catalogue::Container;

/// `1.1 MiB -> 2.2 MiB -> ... (9 more) -> 640 MiB`.
#[must_use]
pub fn chain(sizes: &[u64]) -> String {
    let shown = |sizes: &[u64]| sizes.iter().map(|&size| bytes(size)).collect::<Vec<_>>();
    let parts = match sizes.len() {
        0..=6 => shown(sizes),
        length => {
            let mut parts = shown(&sizes[..2]);
            parts.push(format!("... ({} more)", length - 5));
            parts.extend(shown(&sizes[length - 3..]));
            parts
        }
    };
    parts.join(" -> ")
}

/// The sizes that the largest map of a site went through, as far as known.
pub(crate) fn tables(site: &Site) -> String {
    let begun = if site.example_tables_cut {
        "... -> "
    } else {
        ""
    };
    format!("{begun}{}", chain(&site.example_tables))
}

/// `grew 20 times, shrank twice`.
pub(crate) fn resizes(site: &Site) -> Option<String> {
    if let Some(Figure {
        value,
        error: Some(error),
        ..
    }) = Summary::of(site).resizes
    {
        let (value, error) = with_error(value, error);
        let (all, error) = (often(value), thousands(error));
        return Some(format!("resized about {all} (+- {error})"));
    }
    let times = |verb: &str, figure: Option<u64>| {
        figure
            .filter(|&figure| figure > 0)
            .map(|figure| format!("{verb} {}", often(figure)))
    };
    let mut parts: Vec<String> = [
        times("grew", site.grows),
        times("shrank", site.shrinks),
        times("rehashed", site.rehashes),
        times("gave up growing", site.aborted),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(in_place) = site.in_place.filter(|&in_place| in_place > 0) {
        parts.push(format!("{} of these without copying", thousands(in_place)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

pub(crate) fn often(times: u64) -> String {
    match times {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{} times", thousands(times)),
    }
}

/// `3 maps, 1 live`.
pub(crate) fn maps(site: &Site) -> Option<String> {
    let all = site
        .maps_created?
        .saturating_add(site.maps_late.unwrap_or(0));
    let live = site.maps_live?;
    let noun = noun(site.family);
    if only_samples(site) {
        return None;
    }
    if let Some(Figure {
        value,
        error: Some(error),
        ..
    }) = Summary::of(site).maps_live
    {
        let (value, error) = with_error(value, error);
        return Some(format!(
            "about {} live, +- {}",
            count(value, noun),
            thousands(error)
        ));
    }
    if live == 0
        && let Some(moved) = site.maps_moved_on.filter(|&moved| moved > 0)
    {
        return Some(moved_on(site, all, moved, noun));
    }
    if live == 2 && all == 2 && site.overlap_longest_ns.is_some() {
        return Some(format!(
            "2 live tables: 2 {noun}s, or 1 whose entries are being moved"
        ));
    }
    let each = site.tables_of_each.filter(|each| *each > 1);
    let each = each.filter(|each| all.is_multiple_of(*each) && live.is_multiple_of(*each));
    let tables = each.map_or(String::new(), |each| format!("; {each} tables to each"));
    let (all, live) = (all / each.unwrap_or(1), live / each.unwrap_or(1));
    let maps = match (all, live) {
        // All its maps were born elsewhere and grew here.
        (0, 0) => "its maps began and ended elsewhere".to_owned(),
        (0, live) => count(live, &format!("live {noun}")),
        (1, 1) => format!("1 {noun}, live"),
        (1, 0) => format!("1 {noun}, dropped"),
        (all, 0) => format!("{}, all dropped", count(all, noun)),
        (all, live) if live >= all => count(live, &format!("live {noun}")),
        (all, live) => format!("{}, {} live", count(all, noun), thousands(live)),
    };
    Some(maps + &tables)
}

/// What one of them is called in general.
pub(crate) fn noun(family: Option<&str>) -> &'static str {
    let kind = family.and_then(catalogue::named).map(|of| of.container);
    match (family, kind) {
        (Some("unknown_container"), _) => "container",
        (Some(name), _) if name.ends_with("_list") => "list",
        (Some(name), _) if name.ends_with("_string") => "string",
        _ if is_deque(family) => "deque",
        (_, Some(Container::Vector)) => "vector",
        _ => "map",
    }
}

/// The peak of all containers together, after what they hold was told: `their peak was 31 MiB, 2.0 s
/// after the start`.
#[must_use]
pub fn their_peak(totals: &Totals) -> String {
    let least = peak_at_least(totals);
    if totals.peak_at_least && least == 0 {
        return "their peak is not known".to_owned();
    }
    if totals.peak_at_least && least <= totals.est_live_bytes {
        return "their peak was that or more".to_owned();
    }
    let when = totals.peak_at_ns.map(|ns| format!(", {}", after(ns)));
    format!(
        "their peak was {}{}",
        peak_of_all(totals),
        when.unwrap_or_default()
    )
}

/// Maps that went on elsewhere were not dropped here.
fn moved_on(site: &Site, all: u64, moved: u64, noun: &str) -> String {
    let to = match &site.moved_on_to {
        Some(to) => format!("moved on to {}", place(Some(to))),
        None => "moved on to another place".to_owned(),
    };
    let dropped = site.maps_dropped.unwrap_or(0);
    match (all.max(moved), dropped) {
        (1, _) => format!("1 {noun}, {to}"),
        (all, 0) => format!("{}, {to}", count(all, noun)),
        (all, dropped) => format!(
            "{}, {} {to}, {} dropped",
            count(all, noun),
            thousands(moved),
            thousands(dropped)
        ),
    }
}

/// The places at which the maps of a block grew, where there are several: `load, src/a.rs:5: grew
/// 12 times` and `serve, src/a.rs:9: twice, holds 4.2 MiB now`.
pub(crate) fn places(site: &Site, room: usize) -> Vec<String> {
    shares(site, room, "place", |one| one.caller.as_ref())
}

/// Who called the place at which the maps of a site grew: of several the share of each, of one those
/// who called it, too.
pub(crate) fn callers(site: &Site, room: usize) -> Vec<String> {
    let mut places = site.places.iter().map(|one| &one.caller);
    let first = places.next();
    if places.all(|other| Some(other) == first) {
        let shares = shares(site, room, "caller", |one| one.called_by.as_ref());
        if !shares.is_empty() {
            return shares;
        }
    }
    outwards(site)
}

/// The callers of a site, outwards, three at most: a function that called itself is one of them.
fn outwards(site: &Site) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut lines: Vec<(String, u64)> = Vec::new();
    for frame in Callers::default().of(site, site.stack.len()) {
        let line = names::called_by(&frame.caller());
        let full = lines.len() == SHOWN;
        match lines.last_mut() {
            Some((same, times)) if *same == line => *times += 1,
            _ if full => break,
            _ => lines.push((line, 1)),
        }
    }
    let told = lines.into_iter().map(|(line, times)| match times {
        1 => line,
        _ => format!("{line}, {times} calls deep"),
    });
    told.collect()
}

/// What one caller, or one place, has of what a block did and holds.
struct Share<'a> {
    caller: Option<&'a Caller>,
    resizes: u64,
    live_bytes: u64,
    presize: Option<&'a str>,
}

impl Share<'_> {
    /// `12 resizes, holds 5.4 MiB now; begin with reserve(400000)`.
    fn told(&self) -> String {
        let mut told = count(self.resizes, "resize");
        if self.live_bytes > 0 {
            told.push_str(&format!(", holds {} now", bytes(self.live_bytes)));
        }
        if let Some(call) = self.presize {
            told.push_str(&format!("; {call}"));
        }
        told
    }
}

/// What each has of what a block did and holds; nothing where there is one.
fn shares(
    site: &Site,
    room: usize,
    noun: &str,
    whose: impl Fn(&Place) -> Option<&Caller>,
) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut lines: Vec<Share<'_>> = Vec::new();
    for one in &site.places {
        let share = Share {
            caller: whose(one),
            resizes: one.resizes.unwrap_or(0),
            live_bytes: one.live_bytes,
            presize: one.presize.as_deref(),
        };
        match lines.iter_mut().find(|line| line.caller == share.caller) {
            Some(line) => {
                line.resizes = line.resizes.saturating_add(share.resizes);
                line.live_bytes = line.live_bytes.saturating_add(share.live_bytes);
                line.presize = None;
            }
            None => lines.push(share),
        }
    }
    if lines.len() < 2 {
        return Vec::new();
    }
    // The first place is where they began, then come those that hold most.
    let begun = usize::from(noun == "place");
    lines[begun..].sort_by_key(|line| std::cmp::Reverse((line.live_bytes, line.resizes)));
    let shown = lines.iter().take(SHOWN).map(|line| {
        let told = line.told();
        let room = room.saturating_sub(told.chars().count() + 2);
        match line.caller {
            Some(caller) => format!("{}: {told}", function_and_place(caller, room)),
            None => format!("an unknown place: {told}"),
        }
    });
    let mut shown: Vec<String> = shown.collect();
    if lines.len() > SHOWN {
        shown.push(format!(
            "and {}",
            count((lines.len() - SHOWN) as u64, &format!("more {noun}"))
        ));
    }
    shown
}

/// `worst 312 ms, median 3.1 ms, 1.2 s in all`.
pub(crate) fn pauses(site: &Site) -> Option<String> {
    let Some(pauses) = site.pause_ns.as_ref() else {
        let none = "none: the entries move little by little, beside other work";
        return site.overlap_longest_ns.map(|_| none.to_owned());
    };
    let (max, total) = (pauses.max?, pauses.total?);
    let waited = waited(max, site.overlap_peak_bytes);
    let waited = waited.map_or_else(String::new, |moved| {
        format!(
            " (longer than to move {} takes: the thread waited{})",
            bytes(moved),
            if hashes(site) {
                ", or its hash function is slow"
            } else {
                ""
            }
        )
    });
    if pauses.count == 1 {
        return Some(time(max) + &waited);
    }
    let median = pauses
        .p50
        .map(|p50| format!(", median {}", time(p50)))
        .unwrap_or_default();
    let least = Summary::of(site).pause_ns.and_then(|told| told.bound);
    let least = least.map_or("", |_| "at least ");
    Some(format!(
        "worst {}{waited}{median}, {least}{} in all",
        time(max),
        time(total)
    ))
}

/// Whether its keys may be hashed when it grows.
fn hashes(site: &Site) -> bool {
    let family = site.family.and_then(catalogue::named);
    family.is_none_or(|family| matches!(family.container, Container::Map | Container::Unknown))
}

/// The bytes of a resize that took longer than moving them explains: whoever is stopped meanwhile,
/// because others want the processor, moves no entries.
pub(crate) fn waited(ns: u64, moved: Option<u64>) -> Option<u64> {
    /// A debug build with the standard hash function takes no longer for a byte.
    const MOST_NS_PER_BYTE: u64 = 100;
    const WORTHWHILE_NS: u64 = 1_000_000;
    moved.filter(|moved| ns >= WORTHWHILE_NS && ns / MOST_NS_PER_BYTE > *moved)
}

/// `640 MiB now, 960 MiB at its peak 12 s after the start`.
pub(crate) fn holds(site: &Site) -> String {
    if let (bytes_held, Some(error)) = held(site) {
        let (estimate, error) = (bytes_within(bytes_held, error), bytes(error));
        let counted = match site.live_bytes {
            0 => String::new(),
            counted => format!(" ({} of it counted one by one)", bytes(counted)),
        };
        return format!("about {estimate} +- {error} now{counted}");
    }
    let now = if site.live_bytes == 0 {
        "nothing now".to_owned()
    } else {
        format!("{} now", bytes(site.live_bytes))
    };
    let Some(peak) = most(site).filter(|_| site.peak_live_bytes > Some(site.live_bytes)) else {
        return now;
    };
    // What samples stand for may have been there at another time.
    let counted = Summary::of(site).peak_bytes.and_then(|peak| peak.bound) != Some(Bound::AtLeast);
    let when = site
        .peak_at_ns
        .filter(|_| counted)
        .map(|ns| format!(", {}", after(ns)))
        .unwrap_or_default();
    format!("{now}, {peak} at its peak{when}")
}

/// The most that a site held: `8.0 MiB`, `at most 8.0 MiB`, `between 8.0 MiB and about 20 MiB`.
fn most(site: &Site) -> Option<String> {
    let (least, most) = peak(site)?;
    let bound = Summary::of(site).peak_bytes.and_then(|peak| peak.bound);
    Some(match bound {
        Some(Bound::AtLeast) => {
            let (_, error) = site.allocated();
            let most = bytes_within(most, error);
            format!("between {} and about {most}", bytes(least))
        }
        Some(Bound::AtMost) => format!("at most {}", bytes(most)),
        None => bytes(most),
    })
}

/// `holds 12 MiB`, or of what holds nothing any more `held 12 MiB`.
pub(crate) fn held_briefly(site: &Site) -> String {
    match held(site) {
        (held, Some(error)) => {
            format!(
                "holds about {} +- {}",
                bytes_within(held, error),
                bytes(error)
            )
        }
        (0, _) if site.peak_live_bytes > Some(0) => {
            format!("held {}", most(site).unwrap_or_default())
        }
        (held, _) => format!("holds {}", bytes(held)),
    }
}

/// `12 s after the start`.
pub(crate) fn after(ns: u64) -> String {
    if ns < 1_000 {
        "at the start".to_owned()
    } else {
        format!("{} after the start", time(ns))
    }
}

/// How a family is known, where it is not by name.
pub(crate) fn known_by(site: &Site) -> Option<&'static str> {
    match site.known_by {
        Some(KnownBy::Source) => {
            Some("by the line of source and the sizes of its blocks; no name tells")
        }
        Some(KnownBy::Layout) => Some("by the shape of its tables; no name tells"),
        Some(KnownBy::Behaviour) if told_by_interface(site) => {
            Some("by how its blocks follow each other, below functions of its interface")
        }
        Some(KnownBy::Behaviour) => Some("by how its blocks follow each other; no name tells"),
        Some(KnownBy::Symbol) | None => None,
    }
}

/// Whether a container that is known by its behaviour has a name all the same: a stripped library
/// keeps the names of the functions that others call.
fn told_by_interface(site: &Site) -> bool {
    let by_blocks_alone = [
        &catalogue::UNKNOWN,
        &catalogue::HASHBROWN,
        &catalogue::RAW_VEC,
    ];
    site.family
        .is_some_and(|name| by_blocks_alone.iter().all(|family| family.name != name))
}
