//! Puts the report of folded profiles together.

use super::folded::{Folded, Growing, Key};
use super::history::{Held, History};
use super::sampling::Sum;
use crate::model::VERSION;
use crate::model::{
    Advice, AdviceKind, Coverage, Event, EventKind, Honesty, Process, ProcessState, ProfileFacts,
    Report, Sampled, Saving, Series, Settings, Site, SizeCount, Totals,
};
use crate::words::units::bytes;
use mapgrow_containers::classify::catalogue::Container;
use mapgrow_containers::classify::go::{GO_MAP, GO_SLICE, MapRuntime};
use std::collections::BTreeMap;

/// Tables in use below this are not worth a verdict.
const LEAST_KEPT_BYTES: u64 = 64 << 10;
/// Samples from which a share can be told.
const LEAST_SAMPLES: f64 = 8.0;
/// Share of what was allocated beside a map that may be in use if the map was emptied.
const EMPTIED_SHARE: f64 = 0.1;

pub(super) fn report(history: &History) -> Option<Report> {
    let last = history.last()?;
    let runtime = history.runtime();
    let first_ns = history.first_ns();
    let since = |taken_unix_ns: Option<u64>| taken_unix_ns?.checked_sub(first_ns?);
    let mut ids: BTreeMap<&Key, u32> = BTreeMap::new();
    for (key, id) in last.growers.keys().zip(1..) {
        ids.insert(key, id);
    }
    let mut sites: Vec<Site> = last
        .growers
        .iter()
        // What grew since the last collection is in the profile with nothing to show for it.
        .filter(|(_, growing)| growing.sum.allocated_bytes > 0)
        .map(|(key, growing)| Site {
            series: series(history, key),
            ..site(ids[key], key, growing, runtime)
        })
        .collect();
    sites.sort_by_key(|site| {
        let order = (
            site.live_bytes,
            site.allocated_bytes,
            std::cmp::Reverse(site.id),
        );
        std::cmp::Reverse(order)
    });
    let timeline = timeline(history, &ids, since);
    Some(Report {
        format: "mapgrow-report",
        version: VERSION,
        process: Process {
            exe: last.program.clone(),
            start_unix_ns: first_ns.unwrap_or(0),
            duration_ns: since(last.taken_unix_ns).filter(|_| history.len() > 1),
            state: ProcessState::Snapshot,
            ..Process::default()
        },
        settings: Settings {
            mode: "profile",
            sample_tables_bytes: last.period_bytes.unwrap_or(0),
            sample_heap_bytes: last.period_bytes.unwrap_or(0),
            ..Settings::default()
        },
        totals: totals(last, &sites),
        timeline,
        modules: last.modules.clone(),
        honesty: Honesty {
            notes: notes(last, &sites),
            ..Honesty::default()
        },
        profile: Some(ProfileFacts {
            language: last.go.then_some("go"),
            profiles: history.len() as u64,
            taken_unix_ns: last.taken_unix_ns,
            period_bytes: last.period_bytes,
            map_runtime: runtime.map(|runtime| match runtime {
                MapRuntime::Swiss => "swiss",
                MapRuntime::Buckets => "buckets",
            }),
            allocated_bytes: last.all.allocated_bytes,
            samples: last.all.samples.round() as u64,
        }),
        sites,
        ..Report::default()
    })
}

fn site(id: u32, key: &Key, growing: &Growing, runtime: Option<MapRuntime>) -> Site {
    let sum = &growing.sum;
    let retained = kept(growing);
    let sizes = &growing.sizes;
    let mut site = Site {
        id,
        recorded_sites: vec![id],
        family: Some(growing.family.name),
        known_by: Some(growing.known_by),
        exact: false,
        coverage: Coverage::Sampled,
        caller: key.caller.clone(),
        stack: growing.stack.clone(),
        type_name: growing.map_type.as_ref().map(|told| told.name.clone()),
        resizes: Some(growing.grown),
        grows: Some(growing.grown),
        allocs: sum.allocated,
        frees: sum.allocated.saturating_sub(sum.live),
        live_bytes: sum.live_bytes,
        allocated_bytes: sum.allocated_bytes,
        freed_bytes: sum.allocated_bytes.saturating_sub(sum.live_bytes),
        overlap_peak_bytes: overlap(growing, runtime),
        retained_bytes: retained,
        smallest_table_bytes: sizes.keys().next().copied(),
        largest_table_bytes: sizes.keys().next_back().copied(),
        freed_sizes: freed_sizes(sizes),
        sampled: Some(sampled(sum, growing.grown)),
        ..Site::default()
    };
    site.suggestions.extend(advice(growing, retained));
    let words = site.suggestions.iter().map(|one| one.text.clone());
    site.advice = words.collect();
    site
}

/// Bytes of tables that entries no longer need: known, with some probability, only for a map
/// whose entries refer to blocks that are gone. Go never gives tables back on delete.
fn kept(growing: &Growing) -> Option<u64> {
    let sum = &growing.sum;
    let beside = growing.beside.as_ref()?;
    let refers = growing.map_type.as_ref().is_none_or(|told| told.refers);
    let told = growing.family.container == Container::Map
        && refers
        && sum.live_bytes >= LEAST_KEPT_BYTES
        && beside.samples >= LEAST_SAMPLES
        && beside.allocated_bytes >= sum.live_bytes / 32;
    let share = beside.live_bytes as f64 / beside.allocated_bytes.max(1) as f64;
    (told && share <= EMPTIED_SHARE).then_some((sum.live_bytes as f64 * (1.0 - share)) as u64)
}

/// Old and new table at once, as the way in which the container grows has it; `None` when that
/// is not known.
fn overlap(growing: &Growing, runtime: Option<MapRuntime>) -> Option<u64> {
    let mut largest = growing.sizes.keys().rev();
    let (&new, old) = (largest.next()?, largest.next());
    if growing.grown == 0 {
        return None;
    }
    match (growing.family.container, runtime) {
        // A table that is full splits into two of its size; one below the limit doubles.
        (Container::Map, Some(MapRuntime::Swiss)) => Some(new.saturating_mul(3)),
        // The old array, half as large, stays until its last bucket is moved.
        (Container::Map, Some(MapRuntime::Buckets)) => Some(new.saturating_add(new / 2)),
        (Container::Map, None) => None,
        _ => Some(new.saturating_add(*old?)),
    }
}

fn freed_sizes(sizes: &BTreeMap<u64, (u64, u64)>) -> Vec<SizeCount> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for (&size, &(allocated, live)) in sizes {
        let freed = allocated.saturating_sub(live);
        if let Some(log2) = size.checked_ilog2().filter(|_| freed > 0) {
            let sum = counts.entry(log2).or_default();
            *sum = sum.saturating_add(freed);
        }
    }
    let counts = counts.into_iter();
    counts
        .map(|(log2, count)| SizeCount {
            from_bytes: 1 << log2,
            count,
        })
        .collect()
}

fn sampled(sum: &Sum, grown: u64) -> Sampled {
    let [allocs, allocated_bytes, live, live_bytes] = sum.errors();
    Sampled {
        samples: sum.samples.round() as u64,
        est_allocs: sum.allocated as f64,
        est_allocs_error: allocs,
        est_allocated_bytes: sum.allocated_bytes as f64,
        est_allocated_bytes_error: allocated_bytes,
        est_live_bytes: sum.live_bytes as f64,
        est_live_bytes_error: live_bytes,
        est_maps_live: sum.live as f64,
        est_maps_live_error: live,
        est_resizes: Some(grown as f64),
        est_resizes_error: Some(allocs),
    }
}

fn advice(growing: &Growing, retained: Option<u64>) -> Option<Advice> {
    const WORTHWHILE_BYTES: u64 = 1 << 20;
    let gone = growing
        .sum
        .allocated_bytes
        .saturating_sub(growing.sum.live_bytes);
    let map = growing.family == &GO_MAP;
    if let Some(retained) = retained {
        let text = format!(
            "it was probably emptied and kept: a new map (or nil) in its place would give back \
             about {}, delete() and clear() give nothing back",
            bytes(retained)
        );
        return Some(advised(AdviceKind::Shrink, text));
    }
    if growing.grown < 2 || gone < WORTHWHILE_BYTES {
        return None;
    }
    let make = match (&growing.map_type, map) {
        (Some(told), true) => format!("make({}, n)", told.name),
        (None, true) => "make(map[K]V, n)".to_owned(),
        _ if growing.family == &GO_SLICE => "make([]T, 0, n)".to_owned(),
        _ => return None,
    };
    let text = format!(
        "{make} for the n that it will hold would save most of {} of outgrown tables",
        bytes(gone)
    );
    Some(advised(AdviceKind::Presize, text))
}

fn advised(kind: AdviceKind, text: String) -> Advice {
    Advice {
        kind,
        text,
        saves: Saving::default(),
        call: None,
        risks_bytes: None,
    }
}

fn totals(last: &Folded, sites: &[Site]) -> Totals {
    let sum = |of: fn(&Site) -> u64| sites.iter().map(of).fold(0, u64::saturating_add);
    let (live_bytes, allocated_bytes) = (sum(|site| site.live_bytes), sum(|s| s.allocated_bytes));
    let heap = last.all.live_bytes;
    let error = sites.iter().filter_map(|site| site.sampled.as_ref());
    let variance: f64 = error.map(|s| s.est_allocated_bytes_error.powi(2)).sum();
    Totals {
        live_bytes,
        // All that is known: at least what is in use now, at most all there ever was.
        peak_bytes: allocated_bytes,
        peak_error_bytes: allocated_bytes.saturating_sub(live_bytes),
        resizes: sum(|site| site.resizes.unwrap_or(0)),
        allocated_bytes,
        overlap_peak_bytes: sites
            .iter()
            .filter_map(|site| site.overlap_peak_bytes)
            .max()
            .unwrap_or(0),
        heap_live_bytes: Some(heap),
        heap_live_error_bytes: last.all.errors()[3] as u64,
        map_share: (heap > 0).then(|| (live_bytes as f64 / heap as f64).min(1.0)),
        other_live_bytes: heap.saturating_sub(live_bytes),
        est_live_bytes: live_bytes,
        est_allocated_bytes: allocated_bytes,
        est_allocated_error_bytes: variance.sqrt() as u64,
        ..Totals::default()
    }
}

/// What changed from each profile to the next.
fn timeline(
    history: &History,
    ids: &BTreeMap<&Key, u32>,
    since: impl Fn(Option<u64>) -> Option<u64>,
) -> Vec<Event> {
    let mut events = Vec::new();
    for (earlier, later) in history.moments().zip(history.moments().skip(1)) {
        for (key, now) in &later.lines {
            let before = earlier.lines.get(key);
            let allocated = before.map_or(0, |held| held.allocated_bytes);
            let old = before.map_or(0, |held| held.live_bytes);
            let kind = match now.live_bytes {
                new if new < old => EventKind::Drop,
                _ if now.allocated_bytes > allocated => EventKind::Grow,
                _ => continue,
            };
            events.push(Event {
                t_ns: since(later.taken_unix_ns),
                kind,
                number: None,
                map: None,
                old_map: None,
                site: ids.get(&**key).copied(),
                thread: None,
                old_bytes: Some(old),
                new_bytes: Some(now.live_bytes),
                pause_ns: None,
                overlap_ns: None,
                in_place: false,
                late: false,
                sampled: true,
                label: None,
            });
        }
    }
    events
}

/// Bytes in use at each moment, and at most since the one before.
fn series(history: &History, key: &Key) -> Option<Series> {
    let held = |of: fn(&Held) -> u64| {
        let moments = history.moments();
        moments
            .map(|moment| Some(moment.lines.get(key).map_or(0, of)))
            .collect()
    };
    Some(Series {
        interval_ns: history.interval_ns()?,
        last_live_bytes: held(|held| held.live_bytes),
        max_live_bytes: held(|held| held.most_live_bytes),
        exact: false,
    })
}

fn notes(last: &Folded, sites: &[Site]) -> Vec<String> {
    let mut notes = Vec::new();
    notes.push(match last.period_bytes {
        Some(1) => "the profile has every allocation (MemProfileRate 1)".to_owned(),
        Some(period) => format!(
            "figures are estimates from a profile that samples one allocation in about {}, scaled \
             up by whoever took it; blocks are rounded up to the allocator's sizes",
            bytes(period)
        ),
        None => "figures are estimates: the profile does not say how it was sampled".to_owned(),
    });
    if last.go {
        notes.push(
            "Go's heap profiles show the heap as the last garbage collection left it".to_owned(),
        );
    }
    if last.go && last.unknown_bytes >= last.all.allocated_bytes / 20 {
        notes.push(
            "Go leaves the functions of its run-time library out of heap profiles, so some lines \
             cannot be told to grow a map or a slice: name the program with --binary FILE, or \
             give the URL of the running service (http://HOST/debug/pprof/heap)"
                .to_owned(),
        );
    }
    if sites.iter().any(|site| site.family == Some(GO_MAP.name)) {
        notes.push(
            "what a map holds, single maps, pauses and peaks are not in a heap profile".to_owned(),
        );
    }
    notes.extend(last.warnings.iter().cloned());
    notes
}
