//! The blocks of a report: rows with their advice go in, blocks that know their places come out, and
//! places that say what would help the whole.

use super::indexed::joined;
use crate::model::{Caller, Place, Site, StackFrame};
use crate::rows::cost::{held, order};
use crate::words::names::callers;
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
    let mut blocks = with_places(owners, &places);
    told_apart(&mut blocks);
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
pub(crate) fn place(site: &Site) -> Place {
    Place::of(site, callers(site).next().map(StackFrame::caller))
}

/// Blocks, of which those that no type and no caller tells apart say from where they were called: as
/// far in as they differ.
fn told_apart(blocks: &mut [Site]) {
    let mut alike: HashMap<_, Vec<usize>> = HashMap::default();
    for (at, block) in blocks.iter().enumerate() {
        let (family, type_name) = (block.family, block.type_name.clone());
        let key = (family, type_name, block.caller.clone());
        alike.entry(key).or_default().push(at);
    }
    for alike in alike.into_values().filter(|alike| alike.len() > 1) {
        let from = |&at: &usize| callers(&blocks[at]).map(StackFrame::caller).collect();
        let from: Vec<Vec<Caller>> = alike.iter().map(from).collect();
        let differ = |depth: &usize| {
            let mut there = from.iter().map(|callers| callers.get(*depth));
            let first = there.next();
            there.any(|other| Some(other) != first)
        };
        let deepest = from.iter().map(Vec::len).max().unwrap_or(0);
        if let Some(depth) = (0..deepest).find(differ) {
            for (at, callers) in alike.into_iter().zip(from) {
                blocks[at].called_from = callers.into_iter().nth(depth);
            }
        }
    }
}

/// Blocks with the places that each is made of, the one where its maps began first.
fn with_places(blocks: impl Iterator<Item = Site>, places: &[Site]) -> Vec<Site> {
    let at: HashMap<u32, &Site> = places.iter().map(|place| (place.id, place)).collect();
    let with_own = |block: Site| {
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
            places: own.into_iter().map(place).collect(),
            ..block
        }
    };
    blocks.map(with_own).collect()
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
