//! The earlier tables of live maps, and the free list that recycles their nodes.
//!
//! A map's history is a chain of nodes, newest first, that hangs off its live record. When the
//! map goes, its whole chain goes back at once: the free list is a stack of *chains*, linked
//! through the `BYTES` word of each chain's first node. Whoever takes a node takes a chain off
//! the stack, keeps its first node and puts the rest back. So both giving back and taking cost
//! the same however long the chain is. Between the two steps the rest of a chain is nowhere; a
//! thread that comes by then takes a fresh node.
//!
//! The head of the stack carries a tag that every change moves on, so that a thread that read a
//! chain's successor, was overtaken, and finds the same node on top again does not install a
//! successor that is in use.
//!
//! A reader follows a chain from a live record and reads that record's key, generation and links
//! again afterwards: unchanged, and the chain was never given back in between.

use crate::pool::{Commit, Pool, TRIES, word};
use crate::sync::{AtomicU64, Ordering, compare_exchange};
use mapgrow_format::layout::packed::{FreeNodes, HistoryLinks};
use mapgrow_format::layout::{header, history, region};

/// An earlier table of a live map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// The node before + 1; 0: none.
    pub(crate) previous: u32,
    /// Edge by which this table was replaced.
    pub(crate) edge: u32,
    /// Bytes of the table.
    pub(crate) bytes: u64,
    /// Its serial; 0 when it was not recorded.
    pub(crate) serial: u64,
    /// When it was replaced.
    pub(crate) ticks: u64,
}

/// The pool of history nodes. Links are node + 1, so that 0 can say none.
pub(crate) struct HistoryPool<'a, C> {
    nodes: Pool<'a, C, { history::WORDS }>,
    free: &'a AtomicU64,
}

impl<'a, C: Commit> HistoryPool<'a, C> {
    /// `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        nodes: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        Some(Self {
            nodes: Pool::new(header, header::HISTORY_USED, nodes, region::HISTORY, commit)?,
            free: word(header, header::HISTORY_FREE)?,
        })
    }

    /// Puts a table in front of the chain `earlier.previous` and gives the new chain (node + 1).
    /// `None` when there is no room; the chain is then as it was.
    pub(crate) fn push(&self, earlier: &Earlier) -> Option<u32> {
        let node = match self.take_free() {
            Some(node) => node,
            None => self.nodes.take(1)?,
        };
        let words = self.nodes.record(node)?;
        let links = HistoryLinks {
            previous: earlier.previous,
            edge: earlier.edge,
        };
        words[history::LINKS].store(links.pack(), Ordering::Relaxed);
        words[history::BYTES].store(earlier.bytes, Ordering::Relaxed);
        words[history::SERIAL].store(earlier.serial, Ordering::Relaxed);
        words[history::TICKS].store(earlier.ticks, Ordering::Relaxed);
        Some(node + 1)
    }

    /// The first table of a chain (node + 1), for whoever owns the map.
    #[cfg(test)]
    pub(crate) fn read(&self, chain: u32) -> Option<Earlier> {
        let words = self.nodes.record(chain.checked_sub(1)?)?;
        let links = HistoryLinks::unpack(words[history::LINKS].load(Ordering::Relaxed));
        Some(Earlier {
            previous: links.previous,
            edge: links.edge,
            bytes: words[history::BYTES].load(Ordering::Relaxed),
            serial: words[history::SERIAL].load(Ordering::Relaxed),
            ticks: words[history::TICKS].load(Ordering::Relaxed),
        })
    }

    /// Gives a whole chain (node + 1, 0: none) back. No live record may lead to it any more: take
    /// the record out first.
    pub(crate) fn release_chain(&self, chain: u32) {
        let Some(node) = chain.checked_sub(1) else {
            return;
        };
        let Some(words) = self.nodes.record(node) else {
            return;
        };
        let mut head = self.free.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            let next = FreeNodes::unpack(head).first;
            words[history::BYTES].store(u64::from(next), Ordering::Relaxed);
            match compare_exchange(
                self.free,
                head,
                with_next_tag(head, chain),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(moved) => head = moved,
            }
        }
    }

    /// Takes a node off the free list.
    fn take_free(&self) -> Option<u32> {
        let mut head = self.free.load(Ordering::Acquire);
        for _ in 0..TRIES {
            let node = FreeNodes::unpack(head).first.checked_sub(1)?;
            let words = self.nodes.record(node)?;
            // Another thread may have taken this node already and be writing to it. What is read
            // here is then of no use, and the tag makes the swap fail.
            let next_chain = words[history::BYTES].load(Ordering::Relaxed) as u32;
            match compare_exchange(
                self.free,
                head,
                with_next_tag(head, next_chain),
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    let links = words[history::LINKS].load(Ordering::Relaxed);
                    self.release_chain(HistoryLinks::unpack(links).previous);
                    return Some(node);
                }
                Err(moved) => head = moved,
            }
        }
        None
    }
}

/// A new head of the free list, with a tag that tells it from all recent ones.
fn with_next_tag(head: u64, chain: u32) -> u64 {
    let next = FreeNodes {
        first: chain,
        tag: FreeNodes::unpack(head).tag.wrapping_add(1),
    };
    next.pack()
}
