//! Edges: in which way one block followed another, how often, and at what cost.

use super::counting::{add, add_to_histogram, mix, raise, raise_max, variance, weighted};
use super::index::{Index, Indexed};
use crate::pool::{Commit, Pool, word};
use crate::sync::{AtomicU64, Counting, Ordering};
use mapgrow_format::layout::packed::{COMPLETE, EdgeJoin, EdgeSites};
use mapgrow_format::layout::{WEIGHT_ONE, edge, header, pause_bucket, region};

/// The edge that everything is counted at once the table is full.
pub(crate) const EDGE_OVERFLOW: u32 = 0;

/// What tells one edge from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EdgeKey {
    /// Site of the new block.
    pub(crate) new_site: u32,
    /// Site of the old one, or [`edge::NO_SITE`].
    pub(crate) old_site: u32,
    /// Frame of the new site's stack in which both meet.
    pub(crate) join: u16,
    /// `edge::KIND_*`.
    pub(crate) kind: u8,
    /// Return address, in the function where both meet, of the call that led to the free.
    pub(crate) free_pc: u64,
}

impl EdgeKey {
    fn words(&self) -> [u64; 3] {
        let sites = EdgeSites {
            new: self.new_site,
            old: self.old_site,
        };
        let join = EdgeJoin {
            frame: self.join,
            kind: self.kind,
            marks: 0,
        };
        [sites.pack(), join.pack(), self.free_pc]
    }
}

/// Edges that one thread keeps for itself.
const MEMO: usize = 16;

/// The edges that a thread found last: most are passed again and again, and looking one up in
/// the table takes longer than counting it.
pub(crate) struct EdgeMemo {
    /// Words of the key, and the edge; [`EDGE_OVERFLOW`]: none.
    places: [([u64; 3], u32); MEMO],
}

impl EdgeMemo {
    /// Forgets all of them, in place.
    pub(crate) fn clear(&mut self) {
        for (_, edge) in &mut self.places {
            *edge = EDGE_OVERFLOW;
        }
    }

    /// [`EdgeTable::find_or_create`] of the recording that all edges here are of.
    #[inline]
    pub(crate) fn find_or_create<C: Commit>(
        &mut self,
        table: &EdgeTable<'_, C>,
        key: &EdgeKey,
        free_callee_pc: u64,
    ) -> u32 {
        let words = key.words();
        let hash = (words[0] ^ words[2].rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let place = self.places.get_mut((hash >> 32) as usize % MEMO);
        if let Some((known, edge)) = &place
            && *known == words
            && *edge != EDGE_OVERFLOW
        {
            return *edge;
        }
        let edge = table.find_or_create(key, free_callee_pc);
        if let Some(place) = place {
            *place = (words, edge);
        }
        edge
    }
}

/// One passage over an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplaceFigures {
    /// Size of the old block.
    pub(crate) old_bytes: u64,
    /// Size of the new one.
    pub(crate) new_bytes: u64,
    /// Bytes copied.
    pub(crate) copied: u64,
    /// Bytes of both that were live side by side; 0 when they never were.
    pub(crate) overlap: u64,
    /// A `realloc` that stayed at its address.
    pub(crate) in_place: bool,
    /// Pause.
    pub(crate) pause_ticks: u64,
    /// When it was over.
    pub(crate) end_ticks: u64,
    /// Weight of the map, fixed point.
    pub(crate) weight: u32,
}

/// The edges of a recording.
pub(crate) struct EdgeTable<'a, C> {
    records: Pool<'a, C, { edge::WORDS }>,
    index: Index<'a, C>,
    folded: &'a AtomicU64,
}

impl<'a, C: Commit> EdgeTable<'a, C> {
    /// `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        records: &'a [AtomicU64],
        index: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        Some(Self {
            records: Pool::new(header, header::EDGE_COUNT, records, region::EDGES, commit)?,
            index: Index::new(index, region::EDGE_INDEX, commit),
            folded: word(header, header::EDGES_FOLDED)?,
        })
    }

    /// Makes the overflow edge, before anything else is done with the table. False when there is
    /// no room.
    pub(crate) fn start(&self) -> bool {
        let Some(record) = self.records.take(1).and_then(|id| self.records.record(id)) else {
            return false;
        };
        record[edge::JOIN].store(COMPLETE, Ordering::Release);
        true
    }

    /// The edge of a key, made if need be: [`EDGE_OVERFLOW`] when there is no room.
    /// `free_callee_pc` is kept as the first that used the edge had it.
    pub(crate) fn find_or_create(&self, key: &EdgeKey, free_callee_pc: u64) -> u32 {
        let [sites, join, free_pc] = key.words();
        let hash = mix(mix(mix(sites) ^ join) ^ free_pc);
        let matches = |id: u32| {
            self.records.record(id).is_some_and(|record| {
                record[edge::SITES].load(Ordering::Relaxed) == sites
                    && record[edge::JOIN].load(Ordering::Relaxed) & !COMPLETE == join
                    && record[edge::FREE_PC].load(Ordering::Relaxed) == free_pc
            })
        };
        let create = || {
            let id = self.records.take(1)?;
            let record = self.records.record(id)?;
            record[edge::HASH].store(hash, Ordering::Relaxed);
            record[edge::SITES].store(sites, Ordering::Relaxed);
            record[edge::FREE_PC].store(free_pc, Ordering::Relaxed);
            record[edge::FREE_CALLEE_PC].store(free_callee_pc, Ordering::Relaxed);
            record[edge::JOIN].store(join, Ordering::Relaxed);
            Some(id)
        };
        match self.index.find_or_insert(hash, matches, create) {
            Indexed::Full => EDGE_OVERFLOW,
            Indexed::Found(id) | Indexed::Created(id) => {
                // Whoever uses the record first completes it: its maker may have been stopped.
                if let Some(record) = self.records.record(id)
                    && record[edge::JOIN].load(Ordering::Relaxed) & COMPLETE == 0
                {
                    record[edge::JOIN].fetch_or(COMPLETE, Ordering::Release);
                }
                id
            }
        }
    }

    /// Counts one passage. Pauses and overlaps are kept of certain blocks alone (weight 1); of
    /// sampled ones only what can be estimated without bias is.
    pub(crate) fn count(&self, id: u32, figures: &ReplaceFigures) {
        let Some(record) = self.records.record(id) else {
            return;
        };
        if id == EDGE_OVERFLOW {
            add(self.folded, 1);
        }
        let (grows, shrinks) = (
            figures.new_bytes > figures.old_bytes,
            figures.new_bytes < figures.old_bytes,
        );
        if u64::from(figures.weight) != WEIGHT_ONE {
            let weight = u64::from(figures.weight);
            add(&record[edge::SAMPLED], 1);
            add(&record[edge::W_COUNT], weight);
            add(&record[edge::VAR_COUNT], variance(1, figures.weight, 1));
            add(
                &record[edge::W_OLD_BYTES],
                weighted(figures.old_bytes, figures.weight),
            );
            add(
                &record[edge::W_NEW_BYTES],
                weighted(figures.new_bytes, figures.weight),
            );
            if grows {
                add(&record[edge::W_GROWS], weight);
            }
            if shrinks {
                add(&record[edge::W_SHRINKS], weight);
            }
            return;
        }
        let counting = Counting::begin();
        counting.add(&record[edge::COUNT], 1);
        if grows {
            counting.add(&record[edge::GROWS], 1);
        }
        if shrinks {
            counting.add(&record[edge::SHRINKS], 1);
        }
        counting.add(&record[edge::OLD_BYTES], figures.old_bytes);
        counting.add(&record[edge::NEW_BYTES], figures.new_bytes);
        if figures.copied != 0 {
            counting.add(&record[edge::COPIED_BYTES], figures.copied);
        }
        if figures.in_place {
            counting.add(&record[edge::IN_PLACE], 1);
        }
        raise(
            &record[edge::OVERLAP_PEAK],
            &record[edge::OVERLAP_TICKS],
            figures.overlap,
            figures.end_ticks,
        );
        counting.add(&record[edge::PAUSE_TOTAL], figures.pause_ticks);
        raise_max(&record[edge::PAUSE_MAX], figures.pause_ticks);
        if let Some(histogram) = record.get(edge::PAUSES..edge::PAUSES + edge::PAUSES_WORDS) {
            add_to_histogram(counting, histogram, pause_bucket(figures.pause_ticks), 1);
        }
    }
}
