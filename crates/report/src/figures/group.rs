//! The figures of each kind go in; all figures of each group of sites come out, in one place.

use super::columns::Columns;
use super::contents::Contents;
use super::ends;
use super::examples::{self, Example};
use super::flows::{self, Flow};
use super::holdings::Holdings;
use super::roots::{Peak, Roots};
use super::samples::LiveSamples;
use super::sums::Sums;
use crate::facts::Facts;
use crate::facts::groups::{Group, Groups};
use crate::model::{Coverage, Series, Untold};
use mapgrow_containers::classify::catalogue::Container;

/// What the figures of all groupings are made from, besides the facts.
pub(crate) struct Common {
    pub roots: Roots,
    pub contents: Contents,
    pub columns: Columns,
}

/// What a group of sites comes to.
pub(crate) struct GroupFigures {
    pub sums: Sums,
    pub flow: Flow,
    pub samples: LiveSamples,
    pub coverage: Coverage,
    /// `None` where only samples are known.
    pub peak: Option<Peak>,
    /// Whether the roots of the sites kept that peak for them alone.
    pub peak_is_exact: bool,
    pub series: Option<Series>,
    pub untold: Option<Untold>,
    /// Tables that each map has, where several grow together.
    pub tables_of_each: Option<u64>,
    /// Sizes that the largest known map went through.
    pub example: Example,
    /// Buckets of the largest table, where the size of its elements tells.
    pub largest_buckets: Option<u64>,
    pub holdings: Holdings,
}

/// The figures of every group of a grouping.
pub(crate) fn of_groups(facts: &Facts<'_>, common: &Common, groups: &Groups) -> Vec<GroupFigures> {
    let context = &facts.context(groups);
    let (recording, blocks) = (facts.recording, &facts.blocks);
    let sums = groups.all.iter().map(|group| Sums::of(recording, group));
    let sums: Vec<Sums> = sums.collect();
    let flows = flows::flows(
        recording,
        &facts.analysis,
        groups,
        blocks,
        &facts.successions,
    );
    let complete = facts.complete_from_ns;
    let over_time = ends::over_time(context, blocks, &common.roots, &sums, complete);
    let examples = examples::examples(context, blocks, &facts.chains, &facts.serials);
    let holdings = Holdings::of(context, &facts.chains, &common.contents);
    let samples = LiveSamples::of(blocks, groups);
    let parts = groups.all.iter().zip(sums).zip(flows).zip(samples);
    let more = over_time.into_iter().zip(examples).zip(holdings);
    parts
        .zip(more)
        .map(
            |((((group, sums), flow), samples), ((over_time, example), holdings))| {
                let tree = group.family.container == Container::Tree;
                let coverage = sums.coverage(recording, tree);
                let kept = (coverage != Coverage::Sampled).then(|| {
                    let live = sums.live_bytes();
                    common.roots.peak(recording, &group.members, live)
                });
                let most = facts.most.bytes.min(sums.alloc_bytes);
                let largest_buckets = sums.largest.and_then(|largest| {
                    let elements = common.contents.elements(group.id())?;
                    elements.buckets(largest)
                });
                GroupFigures {
                    coverage,
                    peak: kept.map(|peak| peak.at_most(most).at_least(flow.overlap_peak)),
                    peak_is_exact: kept.is_none_or(|peak| peak.error == 0),
                    tables_of_each: tables_of_each(facts, common, group),
                    largest_buckets,
                    sums,
                    flow,
                    samples,
                    series: over_time.series,
                    untold: over_time.untold,
                    example,
                    holdings,
                }
            },
        )
        .collect()
}

/// Columns are told by the places at which they grew, whatever the grouping.
fn tables_of_each(facts: &Facts<'_>, common: &Common, group: &Group) -> Option<u64> {
    let several = matches!(group.family.container, Container::Map | Container::Unknown);
    let columns = several.then_some(&common.columns)?;
    columns.of_each(facts.recording, &facts.places, &group.members)
}
