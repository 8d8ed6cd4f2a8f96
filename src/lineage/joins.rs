//! Where stacks meet that were compared before.
//!
//! A program allocates and frees from few stacks, again and again, and where two of them meet
//! depends on nothing but the two. A stack that the memo knows has a number that no other stack in
//! these pages ever has, not even when a later thread adopts them: so nothing is ever forgotten.

use super::{Join, join};
use crate::stack::Stack;

/// Pairs of stacks that are remembered.
const PAIRS: usize = 64;

/// A pair of stacks, and where they meet. All-zero is none.
#[derive(Clone, Copy)]
struct Pair {
    allocation: u64,
    free: u64,
    meet: bool,
    join: Join,
}

const NONE: Pair = Pair {
    allocation: 0,
    free: 0,
    meet: false,
    join: Join {
        frame: 0,
        free_pc: 0,
        free_callee_pc: 0,
        slot: 0,
    },
};

/// Pairs of a thread's stacks.
pub(super) struct Joins([Pair; PAIRS]);

impl Joins {
    #[cfg(test)]
    pub(super) const fn new() -> Self {
        Self([NONE; PAIRS])
    }

    /// [`join`], of stacks that may be known.
    #[inline]
    pub(super) fn of(&mut self, allocation: &Stack<'_>, free: &Stack<'_>) -> Option<Join> {
        if allocation.number == 0 || free.number == 0 {
            return join(allocation.returns, free.returns);
        }
        let place = allocation.number.wrapping_mul(5).wrapping_add(free.number) as usize % PAIRS;
        match self.0.get(place) {
            Some(pair) if (pair.allocation, pair.free) == (allocation.number, free.number) => {
                pair.meet.then_some(pair.join)
            }
            _ => self.compare(place, allocation, free),
        }
    }

    #[cold]
    #[inline(never)]
    fn compare(&mut self, place: usize, allocation: &Stack<'_>, free: &Stack<'_>) -> Option<Join> {
        let join = join(allocation.returns, free.returns);
        if let Some(pair) = self.0.get_mut(place) {
            *pair = Pair {
                allocation: allocation.number,
                free: free.number,
                meet: join.is_some(),
                join: join.unwrap_or(NONE.join),
            };
        }
        join
    }
}
