//! Maps, threads, marks and timelines of many reports, put together.

use crate::model::Report;
use std::collections::HashMap;

/// Live maps listed one by one in a merged report.
const MOST_MAPS: usize = 10_000;
/// Events in the timeline of a merged report; the latest are kept.
const MOST_EVENTS: usize = 200_000;

/// Moves what is not summed into the merged report: numbers of sites become the merged ones,
/// threads are named after their process, times are since the common start.
pub(super) fn add(
    merged: &mut Report,
    report: Report,
    label: &str,
    shift: u64,
    numbers: &HashMap<u32, u32>,
) {
    let own = |thread: &mut Option<String>| {
        if let Some(thread) = thread {
            *thread = format!("{label}: {thread}");
        }
    };
    let later = |at: &mut Option<u64>| *at = at.map(|at| at.saturating_add(shift));
    let site = |id: Option<u32>| numbers.get(&id?).copied();
    // Two processes may both have a map 7.
    let mut maps: HashMap<u64, u64> = HashMap::new();
    let mut next = last_map(merged);
    let mut renumber = |id: u64| {
        *maps.entry(id).or_insert_with(|| {
            // Who saved the report may have given its maps any number.
            next = next.wrapping_add(1);
            next
        })
    };
    for mut map in report.maps {
        let Some(table_site) = site(Some(map.table_site)) else {
            count(&mut merged.honesty.maps_omitted, 1);
            continue;
        };
        map.id = renumber(map.id);
        map.site = site(map.site);
        map.table_site = table_site;
        own(&mut map.thread);
        for at in [
            &mut map.born_at_ns,
            &mut map.table_at_ns,
            &mut map.measured_at_ns,
        ] {
            later(at);
        }
        merged.maps.push(map);
    }
    for mut event in report.timeline {
        later(&mut event.t_ns);
        event.map = event.map.map(&mut renumber);
        event.old_map = event.old_map.map(&mut renumber);
        event.site = site(event.site);
        event.number = None;
        own(&mut event.thread);
        merged.timeline.push(event);
    }
    let from = |from: u64| {
        if from > 0 {
            from.saturating_add(shift)
        } else {
            0
        }
    };
    let own_from = report.honesty.timeline_complete_from_ns.map(from);
    raise(&mut merged.honesty.timeline_complete_from_ns, own_from);
    for mut mark in report.marks {
        later(&mut mark.t_ns);
        own(&mut mark.thread);
        merged.marks.push(mark);
    }
    for mut thread in report.threads {
        thread.label = format!("{label}: {}", thread.label);
        merged.threads.push(thread);
    }
    if merged.maps.len() > 2 * MOST_MAPS || merged.timeline.len() > 2 * MOST_EVENTS {
        bound(merged);
    }
}

/// Sorts, and keeps within the bounds.
pub(super) fn finish(merged: &mut Report) {
    bound(merged);
    merged.marks.sort_by_key(|mark| mark.t_ns);
}

fn bound(merged: &mut Report) {
    merged.maps.sort_by_key(|map| std::cmp::Reverse(map.bytes));
    let omitted = merged.maps.len().saturating_sub(MOST_MAPS);
    merged.maps.truncate(MOST_MAPS);
    count(&mut merged.honesty.maps_omitted, omitted);
    merged.timeline.sort_by_key(|event| event.t_ns);
    let dropped = merged.timeline.len().saturating_sub(MOST_EVENTS);
    merged.timeline.drain(..dropped);
    if dropped > 0 {
        let oldest = merged.timeline.first().and_then(|event| event.t_ns);
        raise(&mut merged.honesty.timeline_complete_from_ns, oldest);
    }
    count(&mut merged.honesty.events_dropped, dropped);
}

/// Counts more, as far as a saved report left room for it.
fn count(sum: &mut u64, more: usize) {
    *sum = sum.saturating_add(more as u64);
}

/// The later of two moments; unknown if either is.
fn raise(moment: &mut Option<u64>, other: Option<u64>) {
    *moment = moment.zip(other).map(|(one, other)| one.max(other));
}

/// The largest number that a map of this report has.
fn last_map(report: &Report) -> u64 {
    let events = report
        .timeline
        .iter()
        .flat_map(|event| [event.map, event.old_map]);
    let maps = report.maps.iter().map(|map| map.id);
    maps.chain(events.flatten()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::merge::{Part, merge};
    use crate::tests::counts::{grow, grower};
    use crate::tests::{Names, program, report};

    #[test]
    fn a_saved_report_may_say_any_number() {
        let (mut names, mut program) = (Names::default(), program());
        let at = grower(&mut program, &mut names, "demo::Cache::put@src/cache.rs:58");
        let map = grow(&mut program, &at, 6);
        program.keep(map, 0x7000_0000_1000);
        let mut odd = report(&mut program, &mut names);
        odd.maps[0].id = u64::MAX;
        odd.honesty.maps_omitted = u64::MAX;
        let mut lost = odd.clone();
        lost.maps[0].table_site = 1234;
        let reports = [odd.clone(), odd, lost];
        let parts = reports.into_iter().map(|report| Part {
            label: "odd".to_owned(),
            report,
        });
        let merged = merge(parts.collect()).expect("a report");
        let ids: Vec<u64> = merged.maps.iter().map(|map| map.id).collect();
        assert_eq!((ids.len(), ids[0] == ids[1]), (2, false), "{ids:?}");
        assert_eq!(merged.honesty.maps_omitted, u64::MAX);
    }
}
