//! Which block took the place of which.
//!
//! A container that grows allocates its new table and frees the old one from one activation of
//! its growth function. So when a block is freed, the blocks that the same thread allocated lately
//! are looked through for one whose allocation shares an activation with this free: a frame at
//! the same place in the stack, entered from the same call. The innermost shared frame is what the
//! reader judges: a growth function means a resize, the program's own function a rebuild.
//!
//! Two calls made one after the other from the same place have frames at the same address too, and
//! a hasher may allocate between the new table and the free of the old one. Candidates are
//! therefore ranked: blocks whose sizes fit one container first, then those whose shared frame lies
//! furthest in, then those allocated closest to it, then the most recent.

use crate::recording::layout::edge;
use crate::stack::Return;
use crate::tables::live::Slot;

/// Frames of an allocation that are kept for comparison. A growth function lies within a few
/// frames of the allocator (at most eight in debug builds of hashbrown).
pub(crate) const FRAMES: usize = 16;
/// Allocations of a thread that are remembered.
const PENDING: usize = 8;

/// A block that was allocated. Address 0: none.
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
}

/// A block that may turn out to be the new table of a resize.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) block: Block,
    frame_count: usize,
    frames: [Return; FRAMES],
}

impl Pending {
    fn frames(&self) -> &[Return] {
        self.frames.get(..self.frame_count).unwrap_or(&[])
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

/// How well two block sizes fit one container; smaller is better, `None` not at all.
fn fit(old_bytes: usize, new_bytes: usize, old_align: u8, new_align: u8) -> Option<u8> {
    if old_align != new_align {
        return None;
    }
    match new_bytes {
        // Most double; some of the others' first tables, and sets of CPython's, grow by more.
        new if new > old_bytes && new <= old_bytes.saturating_mul(3) => Some(0),
        new if new > old_bytes && new / 16 <= old_bytes => Some(1),
        new if new == old_bytes => Some(2),
        new if new < old_bytes => Some(3),
        _ => Some(4),
    }
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

impl Outcome {
    /// The edge kind (`edge::KIND_*`) of this outcome, if it is an edge.
    pub(crate) fn kind(&self) -> Option<u64> {
        match self {
            Self::Replaced(..) => Some(edge::KIND_REPLACE),
            Self::Abandoned(..) => Some(edge::KIND_ABANDON),
            Self::Dropped => None,
        }
    }
}

/// The latest allocations of one thread, most recent last.
pub(crate) struct PendingStack {
    entries: [Pending; PENDING],
    next: usize,
}

impl PendingStack {
    pub(crate) const fn new() -> Self {
        const NONE: Block = Block {
            address: 0,
            slot: Slot::FIRST,
            bytes: 0,
            align_log2: 0,
            site: 0,
            serial: 0,
            start_ticks: 0,
        };
        let none = Pending {
            block: NONE,
            frame_count: 0,
            frames: [Return { slot: 0, pc: 0 }; FRAMES],
        };
        Self {
            entries: [none; PENDING],
            next: 0,
        }
    }

    /// Remembers an allocation and the innermost frames of its stack; the oldest one is
    /// forgotten.
    pub(crate) fn push(&mut self, block: &Block, stack: &[Return]) {
        let Some(entry) = self.entries.get_mut(self.next % PENDING) else {
            return;
        };
        self.next = self.next.wrapping_add(1);
        entry.block = *block;
        entry.frame_count = stack.len().min(FRAMES);
        for (place, frame) in entry.frames.iter_mut().zip(stack) {
            *place = *frame;
        }
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.entries
            .iter()
            .map(|entry| &entry.block)
            .filter(|block| block.address != 0)
    }

    /// Whether an allocation that began after `ticks` is remembered.
    pub(crate) fn any_since(&self, ticks: u64) -> bool {
        self.blocks().any(|block| block.start_ticks > ticks)
    }

    /// Whether the allocation of the block at `address` is remembered.
    pub(crate) fn holds(&self, address: usize) -> bool {
        self.blocks().any(|block| block.address == address)
    }

    /// Forgets the block at `address`, which moved by `realloc` or is gone.
    pub(crate) fn forget(&mut self, address: usize) {
        for entry in &mut self.entries {
            if entry.block.address == address {
                entry.block.address = 0;
            }
        }
    }

    /// Whether a block of `bytes` could be the old table of a remembered allocation: a cheap
    /// look before a stack is captured for a block that is not recorded.
    pub(crate) fn could_replace(&self, bytes: usize, align_log2: u8) -> bool {
        self.blocks().any(|block| {
            fit(bytes, block.bytes, align_log2, block.align_log2) == Some(0)
                // Primes and rounding make some double by a little more.
                && block.bytes <= bytes.saturating_mul(2).saturating_add(bytes / 4)
        })
    }

    /// Matches a free of `address`, allocated at `since` (0: not known), whose stack is `free`
    /// (innermost frame first).
    ///
    /// Only a block that was allocated after the freed one can replace it. If the freed block's
    /// own allocation is still remembered, its stack may seem to share an activation with the
    /// free though it was another one, entered from the same place: a map's first growth right
    /// after its creation. So a later allocation that lies as close to the place where it meets
    /// the free wins; only if there is none was the block abandoned.
    pub(crate) fn resolve(
        &mut self,
        address: usize,
        bytes: usize,
        align_log2: u8,
        since: u64,
        free: &[Return],
    ) -> Outcome {
        let mut best: Option<(u8, Block, Join)> = None;
        let mut own = None;
        for age in 0..PENDING {
            let at = self.next.wrapping_sub(1 + age) % PENDING;
            let Some(pending) = self.entries.get(at) else {
                continue;
            };
            let block = pending.block;
            if block.address == address {
                own = join(pending.frames(), free).map(|join| (block, join));
                break;
            }
            if block.address == 0 || block.start_ticks <= since {
                continue;
            }
            let Some(fit) = fit(bytes, block.bytes, align_log2, block.align_log2) else {
                continue;
            };
            if best.is_some_and(|(least, ..)| fit > least) {
                continue;
            }
            let Some(join) = join(pending.frames(), free) else {
                continue;
            };
            let rank = (fit, join.slot, join.frame);
            if best.is_none_or(|(f, _, known)| rank < (f, known.slot, known.frame)) {
                best = Some((fit, block, join));
            }
        }
        self.forget(address);
        if let Some((block, join)) = own
            && best.is_none_or(|(.., other)| (other.slot, other.frame) > (join.slot, join.frame))
        {
            return Outcome::Abandoned(block, join);
        }
        match best {
            Some((_, block, join)) => {
                self.forget(block.address);
                Outcome::Replaced(block, join)
            }
            None => Outcome::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stacks as (slot, pc) pairs, innermost frame first.
    fn stack(frames: &[(u64, u64)]) -> Vec<Return> {
        let entry = |&(slot, pc)| Return { slot, pc };
        frames.iter().map(entry).collect()
    }

    impl PendingStack {
        fn allocated(&mut self, address: usize, bytes: usize, frames: &[(u64, u64)]) {
            let block = Block {
                address,
                bytes,
                align_log2: 4,
                start_ticks: self.next as u64 + 1,
                ..Block::default()
            };
            self.push(&block, &stack(frames));
        }

        fn is_empty(&self) -> bool {
            self.blocks().next().is_none()
        }
    }

    /// The growth function, called from the program at 90, calls the allocator at 10 and the
    /// free at 20.
    const GROWS: [(u64, u64); 2] = [(100, 10), (200, 90)];
    const FREES: [(u64, u64); 2] = [(100, 20), (200, 90)];

    #[test]
    fn a_first_growth_right_after_creation_is_a_replacement() {
        let mut pending = PendingStack::new();
        pending.allocated(0x1000, 84, &GROWS);
        pending.allocated(0x2000, 152, &GROWS);
        let outcome = pending.resolve(0x1000, 84, 4, 0, &stack(&FREES));
        let Outcome::Replaced(new, join) = outcome else {
            panic!("not replaced");
        };
        assert_eq!(new.address, 0x2000);
        assert_eq!((join.frame, join.free_pc), (0, 20));
        assert!(pending.is_empty());
    }

    /// A node that the program's own function asked for without a function in between, just before
    /// the container that it is put into grows.
    #[test]
    fn a_block_of_the_callers_own_is_no_successor() {
        let mut pending = PendingStack::new();
        let grows = [(100, 10), (120, 15), (200, 90)];
        pending.allocated(0x1000, 16, &grows);
        pending.allocated(0x2000, 32, &[(200, 80), (300, 99)]);
        pending.allocated(0x3000, 40, &grows);
        let frees = stack(&[(120, 16), (200, 90), (300, 99)]);
        let outcome = pending.resolve(0x1000, 16, 4, 0, &frees);
        assert!(matches!(outcome, Outcome::Replaced(new, _) if new.address == 0x3000));
    }

    /// A deque's array of pointers doubles, and a block for elements comes right after it.
    #[test]
    fn what_doubles_fits_better_than_what_is_merely_larger() {
        let mut pending = PendingStack::new();
        pending.allocated(0x2000, 1024, &GROWS);
        pending.allocated(0x3000, 4080, &GROWS);
        let outcome = pending.resolve(0x1000, 512, 4, 0, &stack(&FREES));
        assert!(matches!(outcome, Outcome::Replaced(new, _) if new.address == 0x2000));
    }

    #[test]
    fn what_was_there_before_takes_no_place() {
        let mut pending = PendingStack::new();
        pending.allocated(0x1000, 24, &[(200, 80)]);
        pending.allocated(0x2000, 152, &GROWS);
        let shrinks = [(80, 11), (100, 12), (200, 90)];
        pending.allocated(0x3000, 84, &shrinks);
        pending.forget(0x2000);
        let outcome = pending.resolve(0x2000, 152, 4, 2, &stack(&FREES));
        assert!(matches!(outcome, Outcome::Replaced(new, _) if new.address == 0x3000));
    }

    #[test]
    fn a_growth_that_is_given_up_is_abandoned_though_the_hasher_filled_a_map() {
        let mut pending = PendingStack::new();
        pending.allocated(0x1000, 84, &GROWS);
        pending.allocated(0x2000, 152, &GROWS);
        let in_hasher = [(40, 11), (60, 30), (100, 15), (200, 90)];
        pending.allocated(0x3000, 152, &in_hasher);
        let outcome = pending.resolve(0x2000, 152, 4, 0, &stack(&FREES));
        let Outcome::Abandoned(new, join) = outcome else {
            panic!("not abandoned");
        };
        assert_eq!(new.address, 0x2000);
        assert_eq!(join.frame, 0);
    }

    #[test]
    fn a_function_that_jumps_to_the_free_is_still_the_same() {
        let mut pending = PendingStack::new();
        pending.allocated(0x2000, 84, &GROWS);
        let outcome = pending.resolve(0x1000, 152, 4, 0, &stack(&FREES[1..]));
        let Outcome::Replaced(_, join) = outcome else {
            panic!("not replaced");
        };
        assert_eq!((join.frame, join.free_pc, join.free_callee_pc), (0, 0, 0));
    }

    #[test]
    fn a_free_from_elsewhere_is_a_drop() {
        let mut pending = PendingStack::new();
        pending.allocated(0x2000, 152, &GROWS);
        let elsewhere = stack(&[(100, 20), (200, 91)]);
        let outcome = pending.resolve(0x1000, 84, 4, 0, &elsewhere);
        assert!(outcome.kind().is_none());
    }

    const GROW: u64 = 0x7f80;
    const CALLER: u64 = 0x8000;

    /// A growth function, called again and again from one place of a loop, allocates at pc 10
    /// and frees at pc 11.
    #[test]
    fn a_table_and_its_successor_from_one_loop_are_a_resize() {
        let mut pending = PendingStack::new();
        let (allocates, frees) = ([(GROW, 10), (CALLER, 20)], [(GROW, 11), (CALLER, 20)]);
        pending.allocated(0x1000, 2056, &allocates);
        pending.allocated(0x2000, 4328, &allocates);
        let outcome = pending.resolve(0x1000, 2056, 4, 0, &stack(&frees));
        assert!(matches!(outcome, Outcome::Replaced(new, join)
            if new.address == 0x2000 && join.frame == 0 && join.free_pc == 11));
    }

    /// The new table is given up after a hasher, called by the growth function, allocated a
    /// larger block.
    #[test]
    fn a_table_that_is_given_up_is_not_replaced_by_what_a_hasher_allocated() {
        let mut pending = PendingStack::new();
        pending.allocated(0x1000, 2056, &[(GROW, 10), (CALLER, 20)]);
        let hasher = [(0x7f00, 30), (GROW, 12), (CALLER, 20)];
        pending.allocated(0x2000, 4096, &hasher);
        let frees = stack(&[(GROW, 11), (CALLER, 20)]);
        let outcome = pending.resolve(0x1000, 2056, 4, 0, &frees);
        assert!(matches!(outcome, Outcome::Abandoned(own, _) if own.address == 0x1000));
    }
}
