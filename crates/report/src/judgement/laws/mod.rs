//! The laws of conservation, what any recording must add up to: a recording goes in, findings come out.
//!
//! Counts are kept three times over: at the site of each block, in the live table, and on the
//! timeline. Each law sets two of them against each other, for every site, every family and in
//! total, or for every live map. A law that a recording cannot answer (it dropped events, it was
//! copied while threads were at work) is reported as not applicable, with the reason; that it
//! holds is said only where it was seen to.
//!
//! Samples count too: one that was taken is in the live table until it is freed. What they are
//! estimates *of* no recording knows, and no law here speaks of it.

mod balance;
mod facts;
mod history;
mod maps;

use crate::model::Caller;
use crate::symbols::Symbolizer;
use facts::Facts;
use mapgrow_format::reader::Recording;

/// A law of conservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Law {
    /// Bytes allocated - bytes freed = bytes live.
    Bytes,
    /// Blocks allocated - blocks freed = blocks live.
    Blocks,
    /// Samples taken - samples freed = samples live, and so their weighted bytes.
    Samples,
    /// The live bytes that are kept as a sum are those of the blocks, and no peak is below them.
    LiveSums,
    /// Blocks that took the place of others were allocated, those that left theirs were freed.
    Moves,
    /// Maps created - maps dropped = maps live.
    Maps,
    /// Events on the timeline = what was counted.
    Events,
    /// Tables in the chain of a live map = resizes that it went through.
    Chains,
    /// Each earlier table that is kept is of one live map, or free.
    Nodes,
}

impl Law {
    /// All laws, in the order in which they are judged.
    pub const ALL: [Self; 9] = [
        Self::Bytes,
        Self::Blocks,
        Self::Samples,
        Self::LiveSums,
        Self::Moves,
        Self::Maps,
        Self::Events,
        Self::Chains,
        Self::Nodes,
    ];

    /// The law in words.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::Bytes => "bytes allocated - freed = live",
            Self::Blocks => "blocks allocated - freed = live",
            Self::Samples => "samples taken - freed = live",
            Self::LiveSums => "live bytes kept as sums = live bytes of blocks, peaks at least that",
            Self::Moves => "blocks that took a place were allocated, those that left one freed",
            Self::Maps => "maps created - dropped = live",
            Self::Events => "events on the timeline = counts",
            Self::Chains => "earlier tables of a live map = its resizes",
            Self::Nodes => "each earlier table is kept for one live map, or free",
        }
    }
}

/// Whether a law holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Outcome {
    /// Everywhere.
    Holds,
    /// The recording cannot tell.
    NotApplicable,
    /// Not everywhere.
    Broken,
}

/// What a law is judged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Scope {
    /// A recorded site.
    Site,
    /// Sites that the report shows as one place.
    Place,
    /// All places of a family.
    Family,
    /// A live map.
    Map,
    /// A way in which blocks follow each other.
    Edge,
    /// The whole recording.
    Total,
}

/// Where a law was found broken, or not applicable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Spot {
    /// Of what kind.
    pub scope: Scope,
    /// Recorded site, edge, or first site of a place; `None` of larger things.
    pub id: Option<u32>,
    /// Family of container; `None` when it is no container's, or of all together.
    pub family: Option<&'static str>,
    /// Place in the program.
    pub caller: Option<Caller>,
    /// The figures that contradict each other, in words.
    pub figures: String,
}

/// What became of a law.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Finding {
    /// The law.
    pub law: Law,
    /// The law in words.
    pub says: &'static str,
    /// Whether it holds.
    pub outcome: Outcome,
    /// For how many sites, places, families, maps and edges it was judged.
    pub judged: u64,
    /// For how many of them it does not hold.
    pub off: u64,
    /// Why it is not applicable.
    pub reason: Option<String>,
    /// The first place where it does not hold.
    pub spot: Option<Spot>,
}

/// Judges all laws over a recording. `alive`: whether the process still runs, when that is known.
#[must_use]
pub fn verify(
    recording: &Recording,
    symbolizer: &mut dyn Symbolizer,
    alive: Option<bool>,
) -> Vec<Finding> {
    Facts::read(recording, symbolizer, alive, |facts| {
        Law::ALL
            .into_iter()
            .map(|law| {
                let mut trial = Trial::default();
                match law {
                    Law::Bytes => balance::bytes(facts, &mut trial),
                    Law::Blocks => balance::blocks(facts, &mut trial),
                    Law::Samples => balance::samples(facts, &mut trial),
                    Law::LiveSums => balance::live_sums(facts, &mut trial),
                    Law::Moves => maps::moves(facts, &mut trial),
                    Law::Maps => maps::maps(facts, &mut trial),
                    Law::Events => history::events(facts, &mut trial),
                    Law::Chains => history::chains(facts, &mut trial),
                    Law::Nodes => history::nodes(facts, &mut trial),
                }
                trial.end(law, facts)
            })
            .collect()
    })
}

/// A law while it is judged.
#[derive(Debug, Default)]
struct Trial {
    judged: u64,
    off: u64,
    /// Blocks by which things are off, as far as that is known.
    off_by: u64,
    spot: Option<Spot>,
    /// Why the law says nothing here, whatever the figures are.
    unknown: Option<String>,
}

impl Trial {
    /// Judges one thing: it is right if `off_by` is 0. The first that is not is described.
    fn judge(&mut self, off_by: u64, spot: impl FnOnce() -> Spot) {
        self.judged += 1;
        if off_by != 0 {
            self.off += 1;
            self.off_by = self.off_by.saturating_add(off_by);
            self.spot.get_or_insert_with(spot);
        }
    }

    /// There is nothing to judge.
    fn cannot(&mut self, why: String) {
        self.unknown = Some(why);
    }

    fn end(self, law: Law, facts: &Facts<'_>) -> Finding {
        let excuse = || {
            facts.in_flight.as_ref().and_then(|flight| {
                let few = flight.at_most.is_none_or(|most| self.off <= most);
                few.then(|| flight.why.clone())
            })
        };
        let reason = match self.unknown {
            Some(why) => Some(why),
            None if self.off > 0 => excuse(),
            None => None,
        };
        let outcome = match (&reason, self.off) {
            (Some(_), _) => Outcome::NotApplicable,
            (None, 0) => Outcome::Holds,
            (None, _) => Outcome::Broken,
        };
        Finding {
            law,
            says: law.says(),
            outcome,
            judged: self.judged,
            off: self.off,
            reason,
            spot: self.spot,
        }
    }
}

#[cfg(test)]
mod tests;
