//! Puts a report together: the line of stages.

use super::Options;
use super::facts::{Facts, modules, process};
use super::figures::Figures;
use super::judgement::Judged;
use super::model::{Report, VERSION};
use super::rows::{Happened, Rows};
use super::symbols::Symbolizer;
use mapgrow_format::reader::Recording;

pub(super) fn build(
    recording: &Recording,
    symbolizer: &mut dyn Symbolizer,
    options: &Options,
) -> Report {
    let facts = Facts::of(recording, symbolizer, options);
    let figures = Figures::of(&facts);
    let rows = Rows::of(&facts, figures.places, figures.owners, &figures.contents);
    drop(figures.contents);
    let judged = Judged::of(&facts, rows.places, rows.owners, rows.maps_omitted);
    // The timeline is most of a large report: it is made only after what the other rows were made
    // from is freed.
    let happened = Happened::of(&facts);
    Report {
        format: "mapgrow-report",
        version: VERSION,
        settings: process::settings(recording),
        memory: process::memory(recording),
        totals: figures.totals,
        peak: figures.peak,
        sites: judged.places,
        blocks: judged.blocks,
        others: rows.others,
        maps: rows.maps,
        timeline: happened.timeline,
        marks: happened.marks,
        threads: facts.threads.model(&facts.clock),
        modules: modules::loaded(recording),
        honesty: judged.honesty,
        members: Vec::new(),
        profile: None,
        process: facts.process,
    }
}
