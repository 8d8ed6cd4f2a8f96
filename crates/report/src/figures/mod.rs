//! Figures, the second stage: facts go in, what they add up to comes out, by group and for the whole
//! process.

pub(crate) mod columns;
pub(crate) mod contents;
pub(crate) mod ends;
pub(crate) mod examples;
pub(crate) mod flows;
pub(crate) mod forecast;
pub(crate) mod group;
pub(crate) mod holdings;
pub(crate) mod moving;
pub(crate) mod pauses;
pub(crate) mod peak;
pub(crate) mod roots;
pub(crate) mod samples;
pub(crate) mod strata;
pub(crate) mod sums;
pub(crate) mod told;
mod totals;
mod untold;

use crate::facts::Facts;
use crate::model::{Peak, Totals};
use columns::Columns;
use contents::Contents;
use group::{Common, GroupFigures};
use roots::Roots;

/// What a recording comes to.
pub(crate) struct Figures {
    /// Of every group of places.
    pub places: Vec<GroupFigures>,
    /// Of every container as the program's author knows it.
    pub owners: Vec<GroupFigures>,
    pub contents: Contents,
    pub totals: Totals,
    pub peak: Option<Peak>,
}

impl Figures {
    pub fn of(facts: &Facts<'_>) -> Self {
        let (recording, analysis) = (facts.recording, &facts.analysis);
        let context = facts.context(&facts.places);
        let peak = peak::peak(&context, &facts.blocks, &facts.most);
        let common = Common {
            roots: Roots::of(recording, analysis),
            contents: Contents::of(recording, analysis, &facts.chains, &facts.clock),
            columns: Columns::of(recording, analysis),
        };
        let places = group::of_groups(facts, &common, &facts.places);
        let owners = group::of_groups(facts, &common, &facts.owners);
        let totals = totals::totals(&context, &facts.blocks, &places, &common.roots, &facts.most);
        Self {
            places,
            owners,
            contents: common.contents,
            totals,
            peak,
        }
    }
}
