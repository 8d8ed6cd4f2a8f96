//! The blocks of a report: rows with their advice go in, blocks that know their places come out, and
//! places that say what would help the whole.

use super::indexed::joined;
use crate::model::{Caller, Place, Site, StackFrame};
use crate::rows::cost::{held, order};
use crate::words::names::Callers;
use foldhash::HashMap;
use mapgrow_containers::classify::catalogue::nodes_of;

/// The places and the blocks of a report. `most`: all that recorded blocks ever had at one moment.
pub(crate) fn places_and_blocks(
    places: Vec<Site>,
    owners: Vec<Site>,
    most: u64,
) -> (Vec<Site>, Vec<Site>) {
    let bounded = |row: Site| bounded(row, most);
    let places: Vec<Site> = places.into_iter().map(bounded).collect();
    let owners = joined(owners, &places).into_iter().map(bounded);
    let mut callers = Callers::default();
    let mut blocks = with_places(owners, &places, &mut callers);
    told_apart(&mut blocks, &mut callers);
    blocks.sort_by_key(order);
    (with_advice_of_whole(places, &blocks), blocks)
}

/// A row whose peak is not more than all recorded blocks ever had, as the sum of several can be, and
/// not less than what is held now, with what samples stand for.
fn bounded(row: Site, most: u64) -> Site {
    let (Some(peak), Some(error)) = (row.peak_live_bytes, row.peak_live_error_bytes) else {
        return row;
    };
    let most = most.max(row.overlap_peak_bytes.unwrap_or(0));
    let least = peak.saturating_sub(error).max(held(&row).0);
    let bound = peak.min(most).max(least);
    Site {
        peak_live_bytes: Some(bound),
        peak_live_error_bytes: Some(bound - least),
        ..row
    }
}

/// What a block tells of one of its sites.
pub(crate) fn place(site: &Site, callers: &mut Callers) -> Place {
    let called_by = callers.of(site, 1).first().map(|frame| frame.caller());
    Place::of(site, called_by)
}

/// Blocks, of which those that no type and no caller tells apart say from where they were called: as
/// far in as they differ.
fn told_apart(blocks: &mut [Site], callers: &mut Callers) {
    /// Callers that are compared.
    const DEEPEST: usize = 16;
    let mut alike: HashMap<_, Vec<usize>> = HashMap::default();
    for (at, block) in blocks.iter().enumerate() {
        let key = (block.family, &block.type_name, &block.caller);
        alike.entry(key).or_default().push(at);
    }
    let several = alike.into_values().filter(|alike| alike.len() > 1);
    let mut from: Vec<(usize, Caller)> = Vec::new();
    for alike in several {
        let stacks = alike.iter().map(|&at| callers.of(&blocks[at], DEEPEST));
        let stacks: Vec<Vec<&StackFrame>> = stacks.collect();
        let place = |frame: &&StackFrame| (frame.function.clone(), frame.file.clone(), frame.line);
        let differ = |depth: &usize| {
            let mut there = stacks.iter().map(|stack| stack.get(*depth).map(place));
            let first = there.next();
            there.any(|other| Some(other) != first)
        };
        if let Some(depth) = (0..DEEPEST).find(differ) {
            let told = alike.iter().zip(&stacks);
            from.extend(told.filter_map(|(&at, stack)| Some((at, stack.get(depth)?.caller()))));
        }
    }
    for (at, caller) in from {
        blocks[at].called_from = Some(caller);
    }
}

/// Blocks with the places that each is made of, the one where its maps began first.
fn with_places(
    blocks: impl Iterator<Item = Site>,
    places: &[Site],
    callers: &mut Callers,
) -> Vec<Site> {
    let at: HashMap<u32, &Site> = places.iter().map(|place| (place.id, place)).collect();
    let mut with_own = |block: Site| {
        // Nodes that hang on a table are no place where it grew.
        let grows = |place: &&Site| {
            let table = place.family.and_then(nodes_of);
            table.is_none() || block.family != table
        };
        let members = block.recorded_sites.iter();
        let members = members.filter_map(|id| at.get(id).copied());
        let mut own: Vec<&Site> = members.filter(grows).collect();
        own.sort_by_key(|place| (place.id != block.id, place.first_at_ns, place.id));
        Site {
            places: own.into_iter().map(|site| place(site, callers)).collect(),
            ..block
        }
    };
    blocks.map(&mut with_own).collect()
}

/// Places, of which the one where maps began is told what would help the whole: what a map came to
/// elsewhere is no matter of the place that it left.
fn with_advice_of_whole(places: Vec<Site>, blocks: &[Site]) -> Vec<Site> {
    let several = blocks.iter().filter(|block| block.places.len() > 1);
    let by_first: HashMap<u32, &Site> = several.map(|block| (block.id, block)).collect();
    let told = |place: Site| match by_first.get(&place.id) {
        Some(block) => Site {
            advice: block.advice.clone(),
            suggestions: block.suggestions.clone(),
            ..place
        },
        None => place,
    };
    places.into_iter().map(told).collect()
}
