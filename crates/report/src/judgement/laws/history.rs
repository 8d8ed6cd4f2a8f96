//! What the timeline and the chains of live maps say is what was counted.

use super::facts::Facts;
use super::{Scope, Spot, Trial};
use mapgrow_format::layout::packed::FreeNodes;
use mapgrow_format::layout::{edge, event, header, live};
use mapgrow_format::reader::{BlockEvent, EdgeKind, LiveBlock};
use std::collections::{BTreeMap, HashMap};

/// Why the timeline cannot be compared with counts, if it cannot.
fn incomplete(facts: &Facts<'_>) -> Option<String> {
    let dropped = facts.events_dropped();
    if dropped > 0 {
        return Some(format!(
            "{dropped} events are no longer on the timeline, which keeps the newest"
        ));
    }
    let samples = facts.samples();
    (samples > 0).then(|| {
        format!("{samples} blocks were recorded by chance: what follows them is not counted")
    })
}

/// Events at a site.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    allocated: u64,
    freed: u64,
}

pub(super) fn events(facts: &Facts<'_>, trial: &mut Trial) {
    if let Some(why) = incomplete(facts) {
        return trial.cannot(why);
    }
    let mut edges: BTreeMap<u32, u64> = BTreeMap::new();
    let mut sites: BTreeMap<u32, Told> = BTreeMap::new();
    for event in facts.blocks.resizes.iter().chain(&facts.blocks.births) {
        match event.kind {
            event::KIND_CREATE => sites.entry(event.what).or_default().allocated += 1,
            event::KIND_DROP => sites.entry(event.what).or_default().freed += 1,
            event::KIND_REPLACE | event::KIND_REALLOC | event::KIND_ABANDON => {
                *edges.entry(event.what).or_default() += 1;
                tell_moved(facts, event, &mut sites);
            }
            _ => {}
        }
    }
    for edge in facts.recording.edges() {
        let told = edges.get(&edge.id).copied().unwrap_or(0);
        let counted = edge
            .word(edge::COUNT)
            .saturating_add(edge.word(edge::SAMPLED));
        trial.judge(told.abs_diff(counted), || {
            let figures = format!("{counted} passages counted, but {told} on the timeline");
            Spot {
                id: Some(edge.id),
                ..facts.at(Scope::Edge, edge.new_site(), figures)
            }
        });
    }
    if facts.recording.header(header::EDGES_FOLDED) > 0 {
        // Nothing tells to which sites the blocks counted at the overflow edge belonged.
        return;
    }
    for (&site, count) in &facts.counts {
        let told = sites.get(&site).copied().unwrap_or_default();
        let off = |told: u64, untold: i128, counted: i128| {
            (i128::from(told) + untold - counted).unsigned_abs()
        };
        let off_by = off(told.allocated, count.began_untold, count.allocated).max(off(
            told.freed,
            count.ended_untold,
            count.freed,
        ));
        trial.judge(u64::try_from(off_by).unwrap_or(u64::MAX), || {
            let figures = format!(
                "{} blocks allocated and {} freed, but {} and {} on the timeline or known to be \
                 missing from it",
                count.allocated,
                count.freed,
                i128::from(told.allocated) + count.began_untold,
                i128::from(told.freed) + count.ended_untold
            );
            facts.at(Scope::Site, site, figures)
        });
    }
}

/// What an event over an edge says of the sites at its ends.
fn tell_moved(facts: &Facts<'_>, event: &BlockEvent, sites: &mut BTreeMap<u32, Told>) {
    let Some(edge) = facts.recording.edge(event.what).filter(|edge| edge.id != 0) else {
        return;
    };
    // Of a replacement, the new block's own event tells that it was allocated.
    if event.kind == event::KIND_REALLOC {
        sites.entry(edge.new_site()).or_default().allocated += 1;
    }
    let given_up = edge.kind() == Some(EdgeKind::Abandon);
    if let Some(old) = edge.old_site().or(given_up.then_some(edge.new_site())) {
        sites.entry(old).or_default().freed += 1;
    }
}

pub(super) fn chains(facts: &Facts<'_>, trial: &mut Trial) {
    let by_new: Option<HashMap<u64, &BlockEvent>> = incomplete(facts).is_none().then(|| {
        let resizes = facts.blocks.resizes.iter();
        resizes.map(|event| (event.new_serial, event)).collect()
    });
    let mut met = vec![false; facts.recording.history_count()];
    for block in &facts.blocks.live {
        let nodes: Vec<_> = facts.recording.history_of(block, &mut met).collect();
        if block.flags & live::FLAG_HISTORY_CUT != 0 {
            continue;
        }
        let whole = nodes.iter().flatten().count();
        let resizes = u64::from(block.blocks_before);
        let told = by_new.as_ref().map(|by_new| followed(block, by_new));
        let off_by = resizes
            .abs_diff(whole as u64)
            .max(told.map_or(0, |told| resizes.abs_diff(told)));
        trial.judge(off_by, || {
            let told = told.map_or(String::new(), |told| {
                format!(" and {told} are on the timeline")
            });
            let figures = format!(
                "block {} of {} bytes is said to have had {resizes} before, but {whole} are kept \
                 for it{told}",
                block.serial, block.bytes
            );
            facts.at(Scope::Map, block.site, figures)
        });
    }
}

/// Resizes on the timeline that led to a block.
fn followed(block: &LiveBlock, by_new: &HashMap<u64, &BlockEvent>) -> u64 {
    let (mut serial, mut told) = (block.serial, 0);
    // Each event leads to a block that was there before; a damaged recording may go in circles.
    while let Some(event) = by_new.get(&serial).filter(|_| told <= by_new.len() as u64) {
        told += 1;
        serial = event.old_serial;
    }
    told
}

pub(super) fn nodes(facts: &Facts<'_>, trial: &mut Trial) {
    let total = facts.recording.history_count();
    let mut met = vec![false; total];
    let mut twice = 0u64;
    for block in &facts.blocks.live {
        for node in facts.recording.history_of(block, &mut met) {
            twice += u64::from(node.is_none());
        }
    }
    let kept = met.iter().filter(|met| **met).count();
    // Chains on the free list hang together by the second word of their first nodes.
    let mut chain = FreeNodes::unpack(facts.recording.header(header::HISTORY_FREE)).first;
    while let Some(first) = chain.checked_sub(1) {
        let mut next = Some(first);
        while let Some(number) = next {
            let fresh = met
                .get_mut(number as usize)
                .is_some_and(|met| !std::mem::replace(met, true));
            let node = facts.recording.history(number).filter(|_| fresh);
            twice += u64::from(node.is_none());
            next = node.and_then(|node| node.before);
        }
        let bytes = facts.recording.history(first).map_or(0, |node| node.bytes);
        // A chain that was met before has been followed from there.
        chain = if twice > 0 { 0 } else { bytes as u32 };
    }
    let missing = met.iter().filter(|met| !**met).count() as u64;
    trial.judge(missing.max(twice), || {
        let free = met.iter().filter(|met| **met).count() - kept;
        let figures = format!(
            "{total} earlier tables have been written, {kept} are kept for live maps and {free} \
             are free: {missing} are lost, {twice} belong to two"
        );
        Spot::sum(None, Scope::Total, figures)
    });
}
