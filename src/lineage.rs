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
//! therefore ranked: blocks whose sizes fit one container first, then those allocated closest to
//! the shared frame, then the most recent.

use crate::recording::layout::edge;
use crate::stack::Return;
use crate::tables::live::Slot;

/// Frames of an allocation that are kept for comparison. A growth function lies within a few
/// frames of the allocator (at most eight in debug builds of hashbrown).
pub(crate) const FRAMES: usize = 16;
/// Allocations of a thread that are remembered.
const PENDING: usize = 8;

/// A block that may turn out to be the new table of a resize.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) address: usize,
    pub(crate) slot: Slot,
    pub(crate) bytes: usize,
    pub(crate) align_log2: u8,
    pub(crate) site: u32,
    pub(crate) serial: u64,
    /// Entry of the allocation, ticks.
    pub(crate) start_ticks: u64,
    frame_count: usize,
    frames: [Return; FRAMES],
}

impl Pending {
    /// A candidate with its stack, innermost frame first.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        address: usize,
        slot: Slot,
        bytes: usize,
        align_log2: u8,
        site: u32,
        serial: u64,
        start_ticks: u64,
        stack: &[Return],
    ) -> Self {
        let mut frames = [Return { slot: 0, pc: 0 }; FRAMES];
        let mut frame_count = 0;
        for (place, frame) in frames.iter_mut().zip(stack) {
            *place = *frame;
            frame_count += 1;
        }
        Self {
            address,
            slot,
            bytes,
            align_log2,
            site,
            serial,
            start_ticks,
            frame_count,
            frames,
        }
    }

    fn frames(&self) -> &[Return] {
        self.frames.get(..self.frame_count).unwrap_or(&[])
    }
}

/// Where the stacks of an allocation and of a free meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    /// Frame of the allocation's stack that both share.
    pub(crate) frame: u16,
    /// Return address in that frame on the way to the free.
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
        // one inwards on either side.
        let (Some(frame), Some(own)) = (a.checked_sub(1), f.checked_sub(1)) else {
            // Allocated and freed through one call: nothing tells the functions apart.
            return None;
        };
        return Some(Join {
            frame: frame as u16,
            free_pc: free.get(own).map_or(0, |r| r.pc),
            free_callee_pc: own
                .checked_sub(1)
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
        new if new > old_bytes && new / 16 <= old_bytes => Some(0),
        new if new == old_bytes => Some(1),
        new if new < old_bytes => Some(2),
        _ => Some(3),
    }
}

/// What a free turned out to be.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// The freed block was replaced by this one.
    Replaced(Pending, Join),
    /// The freed block is one that was just allocated, under a shared activation.
    Abandoned(Pending, Join),
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
    entries: [Option<Pending>; PENDING],
    next: usize,
}

impl PendingStack {
    pub(crate) const fn new() -> Self {
        Self {
            entries: [None; PENDING],
            next: 0,
        }
    }

    /// Remembers an allocation; the oldest is forgotten.
    pub(crate) fn push(&mut self, pending: Pending) {
        let at = self.next % PENDING;
        if let Some(entry) = self.entries.get_mut(at) {
            *entry = Some(pending);
        }
        self.next = self.next.wrapping_add(1);
    }

    /// Whether any allocation is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.iter().all(Option::is_none)
    }

    /// Forgets the block at `address`, which moved by `realloc` or is gone.
    pub(crate) fn forget(&mut self, address: usize) {
        for entry in &mut self.entries {
            if entry
                .as_ref()
                .is_some_and(|pending| pending.address == address)
            {
                *entry = None;
            }
        }
    }

    /// Whether a block of `bytes` could be the old table of a remembered allocation: a cheap
    /// look before a stack is captured for a block that is not recorded.
    pub(crate) fn could_replace(&self, bytes: usize, align_log2: u8) -> bool {
        self.entries.iter().flatten().any(|pending| {
            fit(bytes, pending.bytes, align_log2, pending.align_log2) == Some(0)
                // Primes and rounding make some double by a little more.
                && pending.bytes <= bytes.saturating_mul(2).saturating_add(bytes / 4)
        })
    }

    /// Matches a free of `address` whose stack is `free` (innermost frame first).
    pub(crate) fn resolve(
        &mut self,
        address: usize,
        bytes: usize,
        align_log2: u8,
        free: &[Return],
    ) -> Outcome {
        let mut best: Option<(u8, u16, usize, Join)> = None;
        for age in 0..PENDING {
            let at = self.next.wrapping_sub(1 + age) % PENDING;
            let Some(Some(pending)) = self.entries.get(at) else {
                continue;
            };
            if pending.address == address {
                let own = *pending;
                self.entries[at] = None;
                let Some(own_join) = join(own.frames(), free) else {
                    if best.is_some_and(|(fit, ..)| fit == 0) {
                        break;
                    }
                    return Outcome::Dropped;
                };
                // A loop that grows a container calls the growth function from one place: this
                // table and its successor then look as if one activation had made both. But the
                // successor is the larger, and asked for by the same function: what else is
                // allocated between a table and its being given up is asked for further in.
                let depth = |join: &Join| (join.slot, join.frame);
                if best
                    .is_some_and(|(fit, _, _, join)| fit == 0 && depth(&join) <= depth(&own_join))
                {
                    break;
                }
                return Outcome::Abandoned(own, own_join);
            }
            let Some(fit) = fit(bytes, pending.bytes, align_log2, pending.align_log2) else {
                continue;
            };
            let Some(join) = join(pending.frames(), free) else {
                continue;
            };
            if best.is_none_or(|(f, frame, ..)| (fit, join.frame) < (f, frame)) {
                best = Some((fit, join.frame, at, join));
            }
        }
        let Some((_, _, at, join)) = best else {
            return Outcome::Dropped;
        };
        match self.entries.get_mut(at).and_then(Option::take) {
            Some(pending) => Outcome::Replaced(pending, join),
            None => Outcome::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROW: u64 = 0x7f80;
    const CALLER: u64 = 0x8000;

    /// A stack: slots and return addresses from the innermost frame on.
    fn stack(frames: &[(u64, u64)]) -> Vec<Return> {
        frames
            .iter()
            .map(|&(slot, pc)| Return { slot, pc })
            .collect()
    }

    fn pending(address: usize, bytes: usize, frames: &[(u64, u64)]) -> Pending {
        let serial = address as u64;
        Pending::new(
            address,
            Slot::default(),
            bytes,
            3,
            1,
            serial,
            0,
            &stack(frames),
        )
    }

    /// A growth function, called again and again from one place of a loop, allocates at pc 10
    /// and frees at pc 11.
    #[test]
    fn a_table_and_its_successor_from_one_loop_are_a_resize() {
        let mut stack_of_pending = PendingStack::new();
        let (allocates, frees) = ([(GROW, 10), (CALLER, 20)], [(GROW, 11), (CALLER, 20)]);
        stack_of_pending.push(pending(0x1000, 2056, &allocates));
        stack_of_pending.push(pending(0x2000, 4328, &allocates));
        let outcome = stack_of_pending.resolve(0x1000, 2056, 3, &stack(&frees));
        assert!(matches!(outcome, Outcome::Replaced(new, join)
            if new.address == 0x2000 && join.frame == 0 && join.free_pc == 11));
    }

    /// The new table is given up after a hasher, called by the growth function, allocated a
    /// larger block.
    #[test]
    fn a_table_that_is_given_up_is_not_replaced_by_what_a_hasher_allocated() {
        let mut stack_of_pending = PendingStack::new();
        stack_of_pending.push(pending(0x1000, 2056, &[(GROW, 10), (CALLER, 20)]));
        let hasher = [(0x7f00, 30), (GROW, 12), (CALLER, 20)];
        stack_of_pending.push(pending(0x2000, 4096, &hasher));
        let frees = stack(&[(GROW, 11), (CALLER, 20)]);
        let outcome = stack_of_pending.resolve(0x1000, 2056, 3, &frees);
        assert!(matches!(outcome, Outcome::Abandoned(own, _) if own.address == 0x1000));
    }
}
