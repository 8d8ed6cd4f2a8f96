//! Containers of the program's own that move their entries little by little: growths and what else was
//! allocated go in, those during which the thread did other work come out.
//!
//! The recorder times a growth from the allocation of the new table to the free of the old. A function
//! that asks for the one and returns, to be called again until it can free the other, has stopped no
//! thread for so long. What shows it is a block of another kind that the same thread allocated
//! meanwhile: while a table is moved at once, nothing else runs.

use super::analysis::Analysis;
use super::blocks::Blocks;
use super::evidence::SiteFacts;
use super::resize_or_rebuild::Relation;
use super::resolve::PhysicalFrame;
use foldhash::{HashMap, HashSet};
use mapgrow_containers::classify::catalogue::UNKNOWN;
use mapgrow_format::layout::event;
use mapgrow_format::reader::{Edge, EdgeKind, Recording};

/// Growths of one thread that lie in each other, at most.
const NESTED: usize = 8;

/// A growth: when the new table was allocated, when the old one was freed, and its edge.
type Span = (u64, u64, u32);

impl Analysis {
    /// Finds the edges of growths that stopped nobody.
    pub(crate) fn tell_little_by_little(&mut self, recording: &Recording, blocks: &Blocks) {
        let mut spans = self.spans(recording, blocks);
        for spans in spans.values_mut() {
            spans.sort_unstable();
        }
        let born = blocks
            .births
            .iter()
            .filter(|event| event.kind == event::KIND_CREATE)
            .map(|event| (event.thread, event.ticks, event.what));
        let live = blocks.live.iter();
        let born = born.chain(live.map(|block| (block.thread, block.ticks, block.site)));
        let mut found = HashSet::default();
        let mut judged = HashMap::<(u32, u32), bool>::default();
        for (thread, ticks, site) in born {
            let Some(spans) = spans.get(&thread) else {
                continue;
            };
            let begun = spans.partition_point(|&(began, ..)| began < ticks);
            let around = spans[begun.saturating_sub(NESTED)..begun].iter();
            for &(_, _, edge) in around.filter(|&&(_, ended, _)| ticks < ended) {
                let other = judged.entry((edge, site)).or_insert_with(|| {
                    let edge = recording.edge(edge);
                    edge.is_some_and(|edge| self.is_other_work(&edge, site))
                });
                if *other {
                    found.insert(edge);
                }
            }
        }
        self.little_by_little = found;
    }

    /// Growths of containers that nobody catalogued, by thread.
    fn spans(&self, recording: &Recording, blocks: &Blocks) -> HashMap<u16, Vec<Span>> {
        let mut spans = HashMap::<u16, Vec<Span>>::default();
        for event in &blocks.resizes {
            let edge = recording.edge(event.what);
            let grows = edge.filter(|edge| {
                event.kind == event::KIND_REPLACE
                    && edge.kind() == Some(EdgeKind::Replace)
                    && self.relation(edge.id) == Relation::Resize
                    && self.family(edge.new_site()) == Some(&UNKNOWN)
            });
            if let Some(edge) = grows {
                let began = event.ticks.saturating_sub(event.pause);
                let of_thread = spans.entry(event.thread).or_default();
                of_thread.push((began, event.ticks, edge.id));
            }
        }
        spans
    }

    /// Whether a block of this site, allocated in the midst of such a growth, is none of its own: it was
    /// asked for below the same call, and not by the function that asked for the new table.
    fn is_other_work(&self, edge: &Edge<'_>, site: u32) -> bool {
        let ends = [edge.old_site(), Some(edge.new_site())];
        let facts = self.fact(edge.new_site()).zip(self.fact(site));
        let Some((new, other)) = facts.filter(|_| !ends.contains(&Some(site))) else {
            return false;
        };
        // Keys and values grow one after the other.
        if other.family == Some(&UNKNOWN) {
            return false;
        }
        parts_from(new, other, edge.join())
    }
}

/// Whether the way to the other block leaves the way to the new table in the function of this frame, or
/// in one that it called.
fn parts_from(new: &SiteFacts, other: &SiteFacts, join: usize) -> bool {
    let address = |frame: &PhysicalFrame| frame.address;
    let outwards = |fact: &SiteFacts| fact.stack.iter().rev().map(address).collect::<Vec<_>>();
    let (to_new, to_other) = (outwards(new), outwards(other));
    let together = to_new.iter().zip(&to_other);
    let shared = together.take_while(|(one, other)| one == other).count();
    // Fewer: another thread's stack, or one that was cut.
    if shared + join + 1 < to_new.len() {
        return false;
    }
    let at = |fact: &SiteFacts| {
        let frame = fact.stack.iter().rev().nth(shared)?;
        let name = frame.functions.last()?.name.as_ref()?;
        Some(name.path.clone())
    };
    at(new).is_some() && at(new) == at(other)
}
