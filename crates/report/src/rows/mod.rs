//! Rows, the third stage: figures go in; a row for each place and each container, for each live map and
//! each event comes out. A row is made once.

pub(crate) mod cost;
pub mod curve;
pub(crate) mod fold;
pub(crate) mod maps;
pub(crate) mod others;
pub mod series;
pub(crate) mod sites;
pub mod summary;
pub(crate) mod timeline;

use crate::facts::Facts;
use crate::figures::contents::Contents;
use crate::figures::group::GroupFigures;
use crate::model::{Event, Map, Mark, OtherPlace};
use sites::Row;

/// What a report lists.
pub(crate) struct Rows {
    /// Containers by place, most harmful first.
    pub places: Vec<Row>,
    /// Containers as the program's author knows them, in the same order.
    pub owners: Vec<Row>,
    /// Places that hold most in blocks that are no container's.
    pub others: Vec<OtherPlace>,
    /// Live maps, largest first.
    pub maps: Vec<Map>,
    /// Smaller ones that are left out.
    pub maps_omitted: u64,
}

impl Rows {
    /// `places` and `owners`: the figures of each group of these.
    pub fn of(
        facts: &Facts<'_>,
        places: Vec<GroupFigures>,
        owners: Vec<GroupFigures>,
        contents: &Contents,
    ) -> Self {
        let context = facts.context(&facts.places);
        let places = sites::rows(&context, &facts.resolver, places);
        let owners = sites::rows(&facts.context(&facts.owners), &facts.resolver, owners);
        let (maps, maps_omitted) = maps::maps(
            &context,
            &facts.blocks,
            &facts.chains,
            &facts.serials,
            contents,
        );
        Self {
            places,
            owners,
            others: others::others(&context, &facts.blocks),
            maps,
            maps_omitted,
        }
    }
}

/// What happened, oldest first.
pub(crate) struct Happened {
    pub timeline: Vec<Event>,
    pub marks: Vec<Mark>,
}

impl Happened {
    pub fn of(facts: &Facts<'_>) -> Self {
        let marks = facts.recording.marks();
        let timeline = if facts.options.timeline {
            let (blocks, moves) = (&facts.blocks, &facts.successions);
            let context = facts.context(&facts.places);
            timeline::timeline(&context, blocks, moves, &marks, &facts.serials)
        } else {
            Vec::new()
        };
        let mark = |mark: mapgrow_format::reader::Mark| Mark {
            t_ns: facts.clock.moment(mark.ticks),
            thread: facts.threads.label(mark.thread, mark.ticks),
            label: mark.label,
        };
        Self {
            timeline,
            marks: marks.into_iter().map(mark).collect(),
        }
    }
}
