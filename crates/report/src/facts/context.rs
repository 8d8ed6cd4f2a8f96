//! What later stages are given of the facts, with one of the two groupings.

use super::analysis::Analysis;
use super::groups::Groups;
use super::process::Threads;
use super::tick_scale::TickScale;
use crate::Options;
use mapgrow_format::reader::Recording;

/// What is known of a recording, by the groups of one grouping.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub recording: &'a Recording,
    pub analysis: &'a Analysis,
    pub groups: &'a Groups,
    pub clock: &'a TickScale,
    pub threads: &'a Threads,
    pub options: &'a Options,
}
