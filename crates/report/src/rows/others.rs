//! Live blocks that are no container's go in, the places that hold most of them come out.

use super::sites::caller;
use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::figures::samples::LiveSamples;
use crate::model::{Caller, OtherPlace, error_of_sum};
use mapgrow_format::layout::site::{ALLOC_BYTES, ALLOCS, FREE_BYTES, FREES};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Places that are listed.
const MOST: usize = 5;

/// `context`: of the places of containers.
pub(crate) fn others(context: &Context<'_>, blocks: &Blocks) -> Vec<OtherPlace> {
    let samples = LiveSamples::elsewhere(blocks, context.groups);
    let sites = context.recording.sites();
    let places = sites.filter(|site| context.groups.index(site.id).is_none());
    largest(places.map(|site| {
        let left = |of, less| site.word(of).saturating_sub(site.word(less));
        let live_bytes = left(ALLOC_BYTES, FREE_BYTES);
        let sampled = samples.get(&site.id);
        OtherPlace {
            caller: context.analysis.fact(site.id).and_then(caller),
            live_blocks: left(ALLOCS, FREES),
            live_bytes,
            est_live_bytes: live_bytes
                .saturating_add(sampled.map_or(0, |sampled| sampled.bytes as u64)),
            est_live_error_bytes: sampled.map_or(0, |sampled| sampled.bytes_error() as u64),
        }
    }))
}

/// The largest of these, those of one place together.
pub(crate) fn largest(all: impl Iterator<Item = OtherPlace>) -> Vec<OtherPlace> {
    let mut places = BTreeMap::<Option<Caller>, OtherPlace>::new();
    for more in all.filter(|place| place.est_live_bytes > 0) {
        let Some(sum) = places.get_mut(&more.caller) else {
            places.insert(more.caller.clone(), more);
            continue;
        };
        sum.live_blocks = sum.live_blocks.saturating_add(more.live_blocks);
        sum.live_bytes = sum.live_bytes.saturating_add(more.live_bytes);
        sum.est_live_bytes = sum.est_live_bytes.saturating_add(more.est_live_bytes);
        let errors = [sum.est_live_error_bytes, more.est_live_error_bytes];
        let [one, other] = errors.map(|error| error as f64);
        sum.est_live_error_bytes = error_of_sum(one, other) as u64;
    }
    let mut places: Vec<OtherPlace> = places.into_values().collect();
    places.sort_by_key(|place| Reverse(place.est_live_bytes));
    places.truncate(MOST);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32, live_bytes: u64, sampled: (u64, u64)) -> OtherPlace {
        OtherPlace {
            caller: Some(Caller {
                function: "load".into(),
                file: Some("src/images.rs".into()),
                line: Some(line),
            }),
            live_blocks: 1,
            live_bytes,
            est_live_bytes: live_bytes + sampled.0,
            est_live_error_bytes: sampled.1,
        }
    }

    #[test]
    fn those_of_one_place_are_one_and_the_largest_come_first() {
        let all = [
            place(1, 10, (90, 30)),
            place(2, 50, (0, 0)),
            place(1, 0, (60, 40)),
            place(3, 0, (0, 0)),
        ];
        let places = largest(all.into_iter());
        let both = OtherPlace {
            live_blocks: 2,
            ..place(1, 10, (150, 50))
        };
        assert_eq!(places, [both, place(2, 50, (0, 0))]);
    }

    #[test]
    fn no_more_than_five_are_listed() {
        let places = largest((1..20).map(|line| place(line, u64::from(line), (0, 0))));
        let lines = places
            .iter()
            .filter_map(|place| place.caller.as_ref()?.line);
        assert_eq!(lines.collect::<Vec<_>>(), [19, 18, 17, 16, 15]);
    }
}
