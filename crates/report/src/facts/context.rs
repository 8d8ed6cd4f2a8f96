//! What is known of a recording before anything is counted.

use super::analysis::Analysis;
use super::clock::Clock;
use super::groups::Groups;
use super::process::Threads;
use crate::Options;
use mapgrow_format::reader::Recording;

/// Everything that a map's row is made from.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub recording: &'a Recording,
    pub analysis: &'a Analysis,
    pub groups: &'a Groups,
    pub clock: &'a Clock,
    pub threads: &'a Threads,
    pub options: &'a Options,
    /// The most that was live in all recorded blocks.
    pub most: u64,
}
