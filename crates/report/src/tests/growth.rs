//! What a program is told of its resizes while it runs, against the timeline of a report.

use super::Names;
use crate::growth::{Growth, GrowthEvent, Present};
use crate::{EventKind, Report};
use mapgrow_format::reader::Recording;

/// What both say of a resize.
type Said = (
    EventKind,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<&'static str>,
    Option<String>,
    Option<String>,
);

fn told(event: &GrowthEvent) -> Said {
    (
        event.kind,
        event.old_bytes,
        Some(event.new_bytes),
        event.pause.map(|pause| pause.as_nanos() as u64),
        event.family,
        event.caller.as_ref().map(|caller| caller.function.clone()),
        event.type_name.clone(),
    )
}

/// Resizes of the timeline that are one event of the ring.
fn listed(report: &Report) -> Vec<Said> {
    let resize = |kind| {
        let kinds = [EventKind::Grow, EventKind::Shrink, EventKind::Rehash];
        kinds.contains(&kind) || kind == EventKind::Replace
    };
    let events = report.timeline.iter();
    let resizes = events
        .filter(|event| resize(event.kind) && event.number.is_some() && event.overlap_ns.is_none());
    let said = resizes.map(|event| {
        let site = report.sites.iter().find(|site| Some(site.id) == event.site);
        let site = site.expect("its place");
        let caller = site.caller.as_ref().map(|caller| caller.function.clone());
        (
            event.kind,
            event.old_bytes,
            event.new_bytes,
            event.pause_ns,
            site.family,
            caller,
            site.type_name.clone(),
        )
    });
    said.collect()
}

/// Both say the same of the same resizes.
pub(super) fn check(recording: &Recording, names: &mut Names, report: &Report) {
    let stepwise = |event: &&crate::Event| event.overlap_ns.is_some();
    if report.timeline.is_empty() || report.timeline.iter().any(|event| stepwise(&event)) {
        return;
    }
    let events = recording.resize_events();
    let mut growth = Growth::new();
    assert!(growth.tell(&events, &Present::of(recording)).is_empty());
    growth.learn(recording, names);
    let heard = growth.tell(&events, &Present::of(recording));
    let mut heard: Vec<Said> = heard.iter().map(told).collect();
    let mut listed = listed(report);
    // The timeline is in order of time, the ring in that of its numbers.
    heard.sort_unstable();
    listed.sort_unstable();
    assert_eq!(heard, listed);
}
