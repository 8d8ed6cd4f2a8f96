//! Facts, the first stage: a recording goes in; what it says, with names and with the answers to what
//! belongs together, comes out. Nothing is summed here.

pub(crate) mod analysis;
pub(crate) mod beyond;
pub(crate) mod blocks;
pub(crate) mod callers;
pub(crate) mod chains;
pub(crate) mod claims;
pub(crate) mod context;
pub(crate) mod elements;
pub(crate) mod evidence;
pub(crate) mod groups;
pub(crate) mod meanwhile;
pub(crate) mod modules;
pub(crate) mod most;
pub(crate) mod owners;
pub(crate) mod process;
pub(crate) mod replacing;
pub(crate) mod resize_or_rebuild;
pub(crate) mod resolve;
pub(crate) mod rings;
pub(crate) mod serials;
pub(crate) mod sets;
pub(crate) mod succession;
pub(crate) mod tick_scale;
pub(crate) mod weight;

use crate::Options;
use crate::model::Process;
use crate::symbols::Symbolizer;
use analysis::Analysis;
use blocks::Blocks;
use chains::Chain;
use context::Context;
use groups::Groups;
use mapgrow_format::reader::Recording;
use most::Most;
use process::Threads;
use resolve::Resolver;
use serials::Serials;
use succession::Successions;
use tick_scale::TickScale;

/// What a recording says.
pub(crate) struct Facts<'a> {
    pub recording: &'a Recording,
    pub options: &'a Options,
    pub process: Process,
    pub clock: TickScale,
    pub threads: Threads,
    pub blocks: Blocks,
    /// From when on no event of any site is missing.
    pub complete_from_ns: Option<u64>,
    pub resolver: Resolver<'a>,
    pub analysis: Analysis,
    /// Containers by the place in the program that allocates their tables.
    pub places: Groups,
    /// Containers as the program's author knows them.
    pub owners: Groups,
    /// The most that was live in all recorded blocks.
    pub most: Most,
    pub successions: Successions,
    pub chains: Vec<Chain>,
    pub serials: Serials,
}

impl<'a> Facts<'a> {
    pub fn of(
        recording: &'a Recording,
        symbolizer: &'a mut dyn Symbolizer,
        options: &'a Options,
    ) -> Self {
        let (clock, threads) = (TickScale::of(recording), Threads::of(recording));
        // It reads the rings for itself: before anything else is held in memory.
        let process = process::process(recording, &clock, options);
        let mut resolver = Resolver::new(recording, symbolizer);
        let blocks = Blocks::read(recording);
        let analysis = Analysis::of(recording, &blocks, &mut resolver);
        resolver.done();
        let places = Groups::of(recording, &analysis);
        let successions = Successions::of(&blocks, &analysis, &places);
        let chains = chains::chains(recording, &blocks, &analysis, &places, &successions);
        Self {
            complete_from_ns: rings::complete_from_ns(recording, &blocks, &clock),
            owners: owners::owners(recording, &analysis, &places, &successions),
            serials: Serials::of(&chains, &blocks, &analysis, &successions),
            recording,
            options,
            process,
            clock,
            threads,
            blocks,
            resolver,
            analysis,
            places,
            most: Most::of(recording),
            successions,
            chains,
        }
    }

    /// What is known of the groups of one grouping.
    pub fn context<'b>(&'b self, groups: &'b Groups) -> Context<'b> {
        Context {
            recording: self.recording,
            analysis: &self.analysis,
            groups,
            clock: &self.clock,
            threads: &self.threads,
            options: self.options,
        }
    }
}
