//! Which block took the place of which.
//!
//! A container that grows allocates its new table and frees the old one from one activation of
//! its growth function. So when a block is freed, the blocks that the same thread allocated lately
//! are looked through for one whose allocation shares an activation with this free: a frame at
//! the same place in the stack, entered from the same call. The innermost shared frame is what the
//! reader judges (`facts/resize_or_rebuild.rs` of the report): a growth function means a resize, the
//! program's own function a rebuild.
//!
//! Two calls made one after the other from the same place have frames at the same address too, and
//! a hasher may allocate between the new table and the free of the old one. Candidates are
//! therefore ranked: blocks whose sizes fit one container first, then those whose shared frame lies
//! furthest in, then those that were asked for as the freed one was (a growth function may ask for
//! several blocks), then those allocated closest to the shared frame, then the most recent.

mod joins;
mod places;

use crate::stack::{Return, Stack};
use crate::tables::live::Slot;
use joins::Joins;
use mapgrow_format::layout::WEIGHT_ONE;
use places::Places;

/// Alignment from which a small block is treated as a possible table: hashbrown's control group.
pub(crate) const TABLE_ALIGN: usize = 16;

/// Frames of an allocation that are kept for comparison. A growth function lies within a few
/// frames of the allocator (at most eight in debug builds of hashbrown).
pub(crate) const FRAMES: usize = 16;
/// Allocations of a thread that are remembered. A hasher that makes and drops maps while a table
/// grows takes one place again and again; one that keeps more than this many pushes the table that
/// grows out.
const PENDING: usize = 16;

/// A block that was allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Block {
    pub(crate) address: usize,
    pub(crate) slot: Slot,
    pub(crate) bytes: usize,
    pub(crate) align_log2: u8,
    pub(crate) site: u32,
    pub(crate) serial: u64,
    /// Entry of the allocation, ticks.
    pub(crate) start_ticks: u64,
    /// Weight with which it was recorded, fixed point.
    pub(crate) weight: u32,
}

impl Block {
    /// Whether it was recorded with certainty, not by chance.
    fn certain(&self) -> bool {
        u64::from(self.weight) == WEIGHT_ONE
    }
}

/// The innermost frames of an allocation's stack.
#[derive(Clone, Copy)]
struct Frames {
    /// Number of the whole stack.
    number: u64,
    count: usize,
    returns: [Return; FRAMES],
}

impl Frames {
    #[cfg(test)]
    const NONE: Self = Self {
        number: 0,
        count: 0,
        returns: [Return { slot: 0, pc: 0 }; FRAMES],
    };

    fn as_stack(&self) -> Stack<'_> {
        Stack {
            returns: self.returns.get(..self.count).unwrap_or(&[]),
            number: self.number,
        }
    }

    fn keep(&mut self, stack: &Stack<'_>) {
        // The last one that was kept here is often the same.
        if stack.number != 0 && stack.number == self.number {
            return;
        }
        self.number = stack.number;
        self.count = stack.returns.len().min(FRAMES);
        for (place, frame) in self.returns.iter_mut().zip(stack.returns) {
            *place = *frame;
        }
    }
}

/// Where the stacks of an allocation and of a free meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    /// Frame of the allocation's stack that both share.
    pub(crate) frame: u16,
    /// Return address in that frame on the way to the free; 0 if it jumped there.
    pub(crate) free_pc: u64,
    /// Return address in the next frame inwards, 0 if that is the allocator.
    pub(crate) free_callee_pc: u64,
    /// Where in the stack the shared frame's return address lies: the smaller, the further in.
    slot: u64,
}

/// The innermost frame that both stacks share, if any lies within the frames kept.
///
/// A frame is its place in the stack, told by the slot of the return address into its caller, and
/// that return address. Slots grow outwards, so one pass over both finds it.
fn join(allocation: &[Return], free: &[Return]) -> Option<Join> {
    let mut f = 0;
    for (a, outer) in allocation.iter().enumerate() {
        while free.get(f).is_some_and(|frame| frame.slot < outer.slot) {
            f += 1;
        }
        let Some(candidate) = free.get(f) else { break };
        if candidate.slot != outer.slot || candidate.pc != outer.pc {
            continue;
        }
        // `outer` is the return address out of the shared frame; the frame itself is the next
        // one inwards on either side. On the way to the free there is none if the function went
        // there by a jump, as its last act: it is the same one all the same, since one call
        // enters one function.
        let Some(frame) = a.checked_sub(1) else {
            // Allocated through a jump as well: nothing tells the functions apart.
            return None;
        };
        let own = f.checked_sub(1);
        return Some(Join {
            frame: frame as u16,
            free_pc: own.and_then(|i| free.get(i)).map_or(0, |r| r.pc),
            free_callee_pc: own
                .and_then(|i| i.checked_sub(1))
                .and_then(|i| free.get(i))
                .map_or(0, |r| r.pc),
            slot: outer.slot,
        });
    }
    None
}

/// How well a block may have taken another's place, the smaller the better: fit of the sizes,
/// where in the stack both meet, whether it was asked for elsewhere, and frames from there to the
/// allocation.
type Rank = (u8, u64, bool, u16);

/// The worst fit of a block that is larger than the one before.
const MUCH_LARGER: u8 = 1;

/// Which of two kinds a block is of: 1 with the alignment of a table, else 0.
fn kind(align_log2: u8) -> usize {
    usize::from(align_log2 >= TABLE_ALIGN.trailing_zeros() as u8)
}

/// How well two block sizes fit one container; smaller is better, `None` not at all.
fn fit(old_bytes: usize, new_bytes: usize, old_align: u8, new_align: u8) -> Option<u8> {
    if old_align != new_align {
        return None;
    }
    match new_bytes {
        // Most double; first tables, and the sets of some, grow by more.
        new if new > old_bytes && new <= old_bytes.saturating_mul(3) => Some(0),
        new if new > old_bytes && new / 16 <= old_bytes => Some(MUCH_LARGER),
        new if new == old_bytes => Some(2),
        new if new < old_bytes => Some(3),
        _ => Some(4),
    }
}

/// A block that is about to be freed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreedBlock {
    pub(crate) address: usize,
    pub(crate) bytes: usize,
    pub(crate) align_log2: u8,
    /// Its number; 0: it was not recorded.
    pub(crate) serial: u64,
    /// When it was allocated, ticks; 0: not known.
    pub(crate) since: u64,
    /// Where, if that is known.
    pub(crate) site: Option<u32>,
    /// Whether it was recorded with certainty. Then its successor must be so too: if a sampled
    /// block were taken for it, a drop that every figure counts would vanish. For a sampled block
    /// only a larger one is taken for the successor.
    pub(crate) certain: bool,
}

/// What a free turned out to be.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// The freed block was replaced by this one.
    Replaced(Block, Join),
    /// The freed block is one that was just allocated, under a shared activation.
    Abandoned(Block, Join),
    /// Nothing took its place.
    Dropped,
}

/// The latest allocations of one thread that are not freed yet.
pub(crate) struct PendingStack {
    /// The places in use, by age.
    ages: Places,
    /// The same, bit n for place n.
    used: u32,
    /// Start of the latest allocation that was remembered, of blocks that have not the shape of a table
    /// and of those that have: most frees are of blocks that nothing of the kind was allocated after,
    /// and look no further.
    latest: [u64; 2],
    /// Address of the block in each place: apart from the rest, because it is all that most
    /// frees look at.
    addresses: [usize; PENDING],
    blocks: [Block; PENDING],
    frames: [Frames; PENDING],
    joins: Joins,
}

impl PendingStack {
    #[cfg(test)]
    pub(crate) const fn new() -> Self {
        const NONE: Block = Block {
            address: 0,
            slot: Slot::FIRST,
            bytes: 0,
            align_log2: 0,
            site: 0,
            serial: 0,
            start_ticks: 0,
            weight: 0,
        };
        Self {
            ages: Places::NONE,
            used: 0,
            latest: [0; 2],
            addresses: [0; PENDING],
            blocks: [NONE; PENDING],
            frames: [Frames::NONE; PENDING],
            joins: Joins::new(),
        }
    }

    /// Forgets all of them, in place: a stack may have no room for another.
    pub(crate) fn clear(&mut self) {
        self.ages = Places::NONE;
        self.used = 0;
        self.latest = [0; 2];
        self.addresses.fill(0);
    }

    /// Remembers an allocation and the innermost frames of its stack; if there is no room, the
    /// oldest one is forgotten.
    pub(crate) fn push(&mut self, block: &Block, stack: &Stack<'_>) {
        let free = self.used.trailing_ones() as usize;
        let place = if free < PENDING {
            free
        } else {
            self.ages.pop_oldest().unwrap_or(0)
        };
        let (Some(address), Some(held), Some(frames)) = (
            self.addresses.get_mut(place),
            self.blocks.get_mut(place),
            self.frames.get_mut(place),
        ) else {
            return;
        };
        self.ages.push(place);
        self.used |= 1 << place;
        let latest = &mut self.latest[kind(block.align_log2)];
        *latest = (*latest).max(block.start_ticks);
        *address = block.address;
        *held = *block;
        frames.keep(stack);
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.ages.filter_map(|at| self.blocks.get(at))
    }

    /// Whether an allocation is remembered that began after `ticks`, and whose alignment could be that
    /// of a successor.
    #[inline]
    pub(crate) fn any_since(&self, ticks: u64, align_log2: u8) -> bool {
        self.latest[kind(align_log2)] > ticks
            && self
                .blocks()
                .any(|block| block.start_ticks > ticks && block.align_log2 == align_log2)
    }

    /// Whether the allocation of the block at `address` is remembered.
    pub(crate) fn holds(&self, address: usize) -> bool {
        let mut ages = self.ages;
        ages.any(|at| self.addresses.get(at) == Some(&address))
    }

    /// Forgets the block at `address`, which moved by `realloc` or is gone.
    #[inline]
    pub(crate) fn forget(&mut self, address: usize) {
        self.forget_all([address]);
    }

    #[inline]
    fn forget_all<const N: usize>(&mut self, addresses: [usize; N]) {
        let mut position = 0;
        for at in self.ages {
            let held = self.addresses.get(at).copied().unwrap_or(0);
            if addresses.contains(&held) {
                self.ages.remove(position);
                self.used &= !(1 << at);
            } else {
                position += 1;
            }
        }
    }

    /// Whether a block of `bytes` could be the old table of a remembered allocation: a cheap
    /// look before a stack is captured for a block that is not recorded. `expected`: the block is
    /// one of the first that are freed after such an allocation, which may have grown by any
    /// factor. A block larger than the new one is never taken for its predecessor: a map made
    /// where another one grows next looks the same.
    pub(crate) fn could_replace(&self, bytes: usize, align_log2: u8, expected: bool) -> bool {
        self.blocks().any(|block| {
            fit(bytes, block.bytes, align_log2, block.align_log2)
                .is_some_and(|fit| fit <= MUCH_LARGER)
                // Primes and rounding make some double by a little more.
                && (expected || block.bytes <= bytes.saturating_mul(2).saturating_add(bytes / 4))
        })
    }

    /// Matches a free whose stack is `free` (innermost frame first).
    ///
    /// Only a block that was allocated after the freed one can replace it. If the freed block's
    /// own allocation is still remembered, its stack may seem to share an activation with the
    /// free though it was another one, entered from the same place: a map's first growth right
    /// after its creation. So a later allocation that lies as close to the place where it meets
    /// the free wins; only if there is none was the block abandoned.
    ///
    /// A block that was handed to another thread may be gone without a word, and its address may be
    /// another block's: `is_there` says whether one still is. It is asked of the best only, and
    /// those that are gone are forgotten.
    #[inline(never)]
    pub(crate) fn resolve(
        &mut self,
        freed: &FreedBlock,
        free: &Stack<'_>,
        is_there: impl Fn(&Block) -> bool,
    ) -> Outcome {
        for _ in 0..PENDING {
            let outcome = self.best(freed, free);
            match &outcome {
                Outcome::Replaced(block, _) if !is_there(block) => {
                    self.forget(block.address);
                    continue;
                }
                Outcome::Replaced(block, _) => self.forget_all([freed.address, block.address]),
                _ => self.forget(freed.address),
            }
            return outcome;
        }
        Outcome::Dropped
    }

    /// [`resolve`](Self::resolve), as far as this thread knows.
    fn best(&mut self, freed: &FreedBlock, free: &Stack<'_>) -> Outcome {
        let FreedBlock {
            address,
            bytes,
            align_log2,
            serial,
            since,
            site,
            certain,
        } = *freed;
        // The freed block's own allocation, and the best of those made since.
        let mut own = None;
        let mut best: Option<(Rank, Block, Join)> = None;
        // The stacks of the best, and of the last one that does not meet the free: of two blocks from
        // one stack the later one is as good or better.
        let (mut best_stack, mut unmet) = (0, 0);
        let each = (self.ages).filter_map(|at| self.blocks.get(at).zip(self.frames.get(at)));
        for (block, frames) in each {
            if block.address == address && block.serial == serial {
                own = (self.joins.of(&frames.as_stack(), free)).map(|join| (*block, join));
                break;
            }
            // One at the address of the freed block is gone, or the freed block would not be there.
            if block.start_ticks <= since || block.address == address {
                continue;
            }
            let Some(fit) = fit(bytes, block.bytes, align_log2, block.align_log2) else {
                continue;
            };
            if certain && !block.certain()
                || !certain && fit > MUCH_LARGER
                || best.as_ref().is_some_and(|((least, ..), ..)| fit > *least)
            {
                continue;
            }
            let stack = frames.as_stack();
            let known = stack.number != 0
                && (stack.number == unmet
                    || stack.number == best_stack
                        && best.as_ref().is_some_and(|((least, ..), ..)| fit == *least));
            if known {
                continue;
            }
            let Some(join) = self.joins.of(&stack, free) else {
                unmet = stack.number;
                continue;
            };
            // Of two that are equally good the later one stays: the loop meets it first.
            let elsewhere = site != Some(block.site);
            let rank = (fit, join.slot, elsewhere, join.frame);
            if best.as_ref().is_none_or(|(least, ..)| rank < *least) {
                best = Some((rank, *block, join));
                best_stack = stack.number;
            }
        }
        let abandoned = own.filter(|(_, own)| {
            best.as_ref()
                .is_none_or(|(_, _, other)| (other.slot, other.frame) > (own.slot, own.frame))
        });
        match (abandoned, best) {
            (Some((block, join)), _) => Outcome::Abandoned(block, join),
            (None, Some((_, block, join))) => Outcome::Replaced(block, join),
            (None, None) => Outcome::Dropped,
        }
    }
}

#[cfg(test)]
mod tests;
