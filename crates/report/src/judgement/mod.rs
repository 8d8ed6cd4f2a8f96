//! Judgement, the fourth stage: rows go in; advice, what hangs together, and what one cannot be sure of
//! come out. On finished reports: gates, the outlook, the difference between two.

pub(crate) mod advice;
pub(crate) mod blocks;
pub mod diff;
pub mod gates;
pub(crate) mod honesty;
pub(crate) mod indexed;
pub mod laws;
pub mod matching;
pub mod measure;
pub mod outlook;

use crate::facts::Facts;
use crate::model::{Honesty, Site};
use crate::rows::sites::Row;

/// What a report says of the places and blocks of a program.
pub(crate) struct Judged {
    pub places: Vec<Site>,
    pub blocks: Vec<Site>,
    pub honesty: Honesty,
}

impl Judged {
    /// `maps_omitted`: live maps that no row lists.
    pub fn of(facts: &Facts<'_>, places: Vec<Row>, owners: Vec<Row>, maps_omitted: u64) -> Self {
        let (places, owners) = (advised(places), advised(owners));
        let honesty = honesty::honesty(facts, &places, maps_omitted);
        let (places, blocks) = blocks::places_and_blocks(places, owners, facts.most.bytes);
        Self {
            places,
            blocks,
            honesty,
        }
    }
}

/// Rows with the advice for each.
fn advised(rows: Vec<Row>) -> Vec<Site> {
    // Collected, they would go on taking the room of the rows, which is twice as much.
    let mut sites = Vec::with_capacity(rows.len());
    sites.extend(rows.into_iter().map(advice::advised));
    advice::shared::warned(&mut sites);
    sites
}
