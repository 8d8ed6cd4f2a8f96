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
    /// Return address in that frame on the way to the free; 0 if it jumped there.
    pub(crate) free_pc: u64,
    /// Return address in the next frame inwards, 0 if that is the allocator.
    pub(crate) free_callee_pc: u64,
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

    /// Whether an allocation that began after `ticks` is remembered.
    pub(crate) fn any_since(&self, ticks: u64) -> bool {
        self.entries
            .iter()
            .flatten()
            .any(|pending| pending.start_ticks > ticks)
    }

    /// Whether the allocation of the block at `address` is remembered.
    pub(crate) fn holds(&self, address: usize) -> bool {
        self.entries
            .iter()
            .flatten()
            .any(|pending| pending.address == address)
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
                && pending.bytes <= bytes.saturating_mul(2)
        })
    }

    /// Matches a free of `address` whose stack is `free` (innermost frame first).
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
        free: &[Return],
    ) -> Outcome {
        let mut best: Option<(u8, u16, usize, Join)> = None;
        let mut own = None;
        for age in 0..PENDING {
            let at = self.next.wrapping_sub(1 + age) % PENDING;
            let Some(Some(pending)) = self.entries.get(at) else {
                continue;
            };
            if pending.address == address {
                own = self.entries.get_mut(at).and_then(Option::take);
                break;
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
        if let Some(own) = own
            && let Some(own_join) = join(own.frames(), free)
            && best.is_none_or(|(_, frame, ..)| frame > own_join.frame)
        {
            return Outcome::Abandoned(own, own_join);
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

    /// Stacks as (slot, pc) pairs, innermost frame first.
    fn stack(frames: &[(u64, u64)]) -> Vec<Return> {
        let entry = |&(slot, pc)| Return { slot, pc };
        frames.iter().map(entry).collect()
    }

    fn allocated(address: usize, bytes: usize, frames: &[(u64, u64)]) -> Pending {
        let serial = address as u64;
        Pending::new(
            address,
            Slot::default(),
            bytes,
            4,
            1,
            serial,
            0,
            &stack(frames),
        )
    }

    /// The growth function, called from the program at 90, calls the allocator at 10 and the
    /// free at 20.
    const GROWS: [(u64, u64); 2] = [(100, 10), (200, 90)];
    const FREES: [(u64, u64); 2] = [(100, 20), (200, 90)];

    #[test]
    fn a_first_growth_right_after_creation_is_a_replacement() {
        let mut pending = PendingStack::new();
        pending.push(allocated(0x1000, 84, &GROWS));
        pending.push(allocated(0x2000, 152, &GROWS));
        let outcome = pending.resolve(0x1000, 84, 4, &stack(&FREES));
        let Outcome::Replaced(new, join) = outcome else {
            panic!("not replaced");
        };
        assert_eq!(new.address, 0x2000);
        assert_eq!((join.frame, join.free_pc), (0, 20));
        assert!(pending.is_empty());
    }

    #[test]
    fn a_growth_that_is_given_up_is_abandoned_though_the_hasher_filled_a_map() {
        let mut pending = PendingStack::new();
        pending.push(allocated(0x1000, 84, &GROWS));
        pending.push(allocated(0x2000, 152, &GROWS));
        let in_hasher = [(40, 11), (60, 30), (100, 15), (200, 90)];
        pending.push(allocated(0x3000, 152, &in_hasher));
        let outcome = pending.resolve(0x2000, 152, 4, &stack(&FREES));
        let Outcome::Abandoned(new, join) = outcome else {
            panic!("not abandoned");
        };
        assert_eq!(new.address, 0x2000);
        assert_eq!(join.frame, 0);
    }

    #[test]
    fn a_function_that_jumps_to_the_free_is_still_the_same() {
        let mut pending = PendingStack::new();
        pending.push(allocated(0x2000, 84, &GROWS));
        let outcome = pending.resolve(0x1000, 152, 4, &stack(&FREES[1..]));
        let Outcome::Replaced(_, join) = outcome else {
            panic!("not replaced");
        };
        assert_eq!((join.frame, join.free_pc, join.free_callee_pc), (0, 0, 0));
    }

    #[test]
    fn a_free_from_elsewhere_is_a_drop() {
        let mut pending = PendingStack::new();
        pending.push(allocated(0x2000, 152, &GROWS));
        let elsewhere = stack(&[(100, 20), (200, 91)]);
        let outcome = pending.resolve(0x1000, 84, 4, &elsewhere);
        assert!(outcome.kind().is_none());
    }
}
