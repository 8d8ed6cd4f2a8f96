//! What the laws are judged on, read once.

use super::{Scope, Spot};
use crate::Options;
use crate::facts::analysis::Analysis;
use crate::facts::blocks::Blocks;
use crate::facts::groups::Groups;
use crate::facts::process;
use crate::facts::resolve::Resolver;
use crate::facts::succession::Successions;
use crate::figures::flows::{self, Flow};
use crate::model::{Caller, ProcessState};
use crate::rows::sites;
use crate::symbols::Symbolizer;
use mapgrow_format::layout::{WEIGHT_ONE, header, site};
use mapgrow_format::reader::{LiveBlock, Recording};
use std::collections::BTreeMap;

/// What a site counted, and what the live table has of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    pub allocated_bytes: i128,
    pub freed_bytes: i128,
    pub live_bytes: i128,
    pub allocated: i128,
    pub freed: i128,
    pub live: i128,
    /// Blocks whose beginning or end is not on the timeline.
    pub began_untold: i128,
    pub ended_untold: i128,
    pub untold_live: i128,
    pub samples: i128,
    pub samples_freed: i128,
    pub samples_live: i128,
    pub weighted_bytes: i128,
    pub weighted_freed: i128,
    pub weighted_live: i128,
}

impl Count {
    pub fn add(&mut self, other: &Self) {
        self.allocated_bytes += other.allocated_bytes;
        self.freed_bytes += other.freed_bytes;
        self.live_bytes += other.live_bytes;
        self.allocated += other.allocated;
        self.freed += other.freed;
        self.live += other.live;
        self.began_untold += other.began_untold;
        self.ended_untold += other.ended_untold;
        self.untold_live += other.untold_live;
        self.samples += other.samples;
        self.samples_freed += other.samples_freed;
        self.samples_live += other.samples_live;
        self.weighted_bytes += other.weighted_bytes;
        self.weighted_freed += other.weighted_freed;
        self.weighted_live += other.weighted_live;
    }

    fn add_live(&mut self, block: &LiveBlock) {
        if block.certain() {
            self.live += 1;
            self.live_bytes += i128::from(block.bytes);
        } else if !block.followed() {
            self.samples_live += 1;
            // To the nearest byte, as each block was counted.
            let product = u128::from(block.bytes) * u128::from(block.weight);
            let whole = (product + u128::from(WEIGHT_ONE / 2)) / u128::from(WEIGHT_ONE);
            self.weighted_live += whole as i128;
        }
    }
}

/// Why counts may be off though nothing is wrong.
#[derive(Debug)]
pub(super) struct InFlight {
    pub why: String,
    /// How many things may be off at most, when that is known.
    pub at_most: Option<u64>,
}

pub(super) struct Facts<'a> {
    pub recording: &'a Recording,
    pub blocks: &'a Blocks,
    pub analysis: &'a Analysis,
    pub groups: &'a Groups,
    pub flows: Vec<Flow>,
    /// By site.
    pub counts: BTreeMap<u32, Count>,
    pub in_flight: Option<InFlight>,
}

impl Facts<'_> {
    /// Reads a recording and lets `judge` look at it.
    pub fn read<T>(
        recording: &Recording,
        symbolizer: &mut dyn Symbolizer,
        alive: Option<bool>,
        judge: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let mut resolver = Resolver::new(recording, symbolizer);
        let blocks = Blocks::read(recording);
        let analysis = Analysis::of(recording, &blocks, &mut resolver);
        resolver.done();
        let groups = Groups::of(recording, &analysis);
        let successions = Successions::of(&blocks, &analysis, &groups);
        let flows = flows::flows(recording, &analysis, &groups, &blocks, &successions);
        judge(&Facts {
            recording,
            counts: counts(recording, &blocks),
            in_flight: in_flight(recording, &blocks, alive),
            blocks: &blocks,
            analysis: &analysis,
            groups: &groups,
            flows,
        })
    }

    /// Family of a site's container.
    pub fn family(&self, site: u32) -> Option<&'static str> {
        let group = self.groups.index(site)?;
        Some(self.groups.all[group].family.name)
    }

    fn caller(&self, site: u32) -> Option<Caller> {
        self.analysis.fact(site).and_then(sites::caller)
    }

    /// Something at a site.
    pub fn at(&self, scope: Scope, site: u32, figures: String) -> Spot {
        Spot {
            scope,
            id: Some(site),
            family: self.family(site),
            caller: self.caller(site),
            figures,
        }
    }

    /// Whether blocks were recorded by chance too.
    pub fn samples(&self) -> u64 {
        let sites = self.recording.sites();
        let samples = sites.map(|site| site.word(site::SAMPLED_ALLOCS));
        samples.fold(0, u64::saturating_add)
    }

    /// Events that both rings have lost.
    pub fn events_dropped(&self) -> u64 {
        let lost = |head: usize, kept: usize| self.recording.header(head).abs_diff(kept as u64);
        let resizes = lost(header::RESIZE_HEAD, self.blocks.resizes.len());
        resizes.saturating_add(lost(header::BIRTH_HEAD, self.blocks.births.len()))
    }
}

impl Spot {
    /// All of a family, or of everything.
    pub(super) fn sum(family: Option<&'static str>, scope: Scope, figures: String) -> Self {
        Self {
            scope,
            id: None,
            family,
            caller: None,
            figures,
        }
    }
}

fn counts(recording: &Recording, blocks: &Blocks) -> BTreeMap<u32, Count> {
    let mut counts = BTreeMap::new();
    for site in recording.sites() {
        let word = |word: usize| i128::from(site.word(word));
        let count = Count {
            allocated_bytes: word(site::ALLOC_BYTES),
            freed_bytes: word(site::FREE_BYTES),
            allocated: word(site::ALLOCS),
            freed: word(site::FREES),
            began_untold: word(site::UNTOLD_ALLOCS),
            ended_untold: word(site::UNTOLD_FREES),
            samples: word(site::SAMPLED_ALLOCS),
            samples_freed: word(site::SAMPLED_FREES),
            weighted_bytes: word(site::W_ALLOC_BYTES),
            weighted_freed: word(site::W_FREE_BYTES),
            ..Count::default()
        };
        counts.insert(site.id, count);
    }
    for block in blocks.told() {
        counts.entry(block.site).or_default().add_live(block);
    }
    for (&site, alone) in &blocks.alone {
        let count = counts.entry(site).or_default();
        count.live += i128::from(alone.blocks);
        count.live_bytes += i128::from(alone.bytes);
        count.untold_live += i128::from(alone.blocks);
    }
    counts
}

fn in_flight(recording: &Recording, blocks: &Blocks, alive: Option<bool>) -> Option<InFlight> {
    let options = Options {
        alive,
        ..Options::default()
    };
    let threads = recording.header(header::DUMP_THREADS);
    let any = |why: String| Some(InFlight { why, at_most: None });
    if blocks.unreadable > 0 {
        let records = blocks.unreadable;
        return any(format!(
            "{records} records were being written when it was taken"
        ));
    }
    match process::state(recording, &options) {
        ProcessState::Ended | ProcessState::Snapshot => match threads {
            // The only thread wrote the dump itself, between two of its events, unless a signal
            // made it do so within one.
            1 if recording.header(header::DUMP_REASON) != header::REASON_SIGNAL => None,
            1 => Some(InFlight {
                why: "the signal that asked for it may have come within an event".into(),
                at_most: Some(2),
            }),
            0 => any("other threads may have been at work while it was copied".into()),
            _ => any(format!(
                "{} other threads were there while it was copied, and may have been at work",
                threads - 1
            )),
        },
        ProcessState::Live => any("the process runs, and was at work while it was read".into()),
        ProcessState::Killed | ProcessState::Unfinished => {
            // The event that a thread was killed in stays half done: at most one for each thread.
            let threads = recording.header(header::THREAD_COUNT).max(1);
            Some(InFlight {
                why: format!(
                    "the process was not finished: each of its threads ({threads} at most) may \
                     have been within an event"
                ),
                at_most: Some(threads.saturating_mul(2)),
            })
        }
    }
}
