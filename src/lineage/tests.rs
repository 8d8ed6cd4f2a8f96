use super::*;

/// Stacks as (slot, pc) pairs, innermost frame first.
fn stack(frames: &[(u64, u64)]) -> Vec<Return> {
    let entry = |&(slot, pc)| Return { slot, pc };
    frames.iter().map(entry).collect()
}

/// A stack that the thread does not know.
fn unknown(returns: &[Return]) -> Stack<'_> {
    Stack { returns, number: 0 }
}

impl PendingStack {
    fn allocated(&mut self, address: usize, bytes: usize, frames: &[(u64, u64)]) {
        self.allocated_at(0, address, bytes, frames);
    }

    fn allocated_at(&mut self, site: u32, address: usize, bytes: usize, frames: &[(u64, u64)]) {
        let block = Block {
            address,
            bytes,
            site,
            align_log2: 4,
            start_ticks: self.latest.iter().max().map_or(1, |latest| latest + 1),
            weight: WEIGHT_ONE as u32,
            ..Block::default()
        };
        self.push(&block, &unknown(&stack(frames)));
    }

    /// The outcome of a free of `address`, allocated at `since`.
    fn freed(&mut self, address: usize, bytes: usize, since: u64, stack: &[Return]) -> Outcome {
        self.freed_from(None, address, bytes, since, stack)
    }

    /// The same of a block that was allocated at this site.
    fn freed_from(
        &mut self,
        site: Option<u32>,
        address: usize,
        bytes: usize,
        since: u64,
        stack: &[Return],
    ) -> Outcome {
        let freed = FreedBlock {
            address,
            bytes,
            align_log2: 4,
            serial: 0,
            since,
            site,
            certain: true,
        };
        self.resolve(&freed, &unknown(stack), |_| true)
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
fn what_is_certain_is_not_replaced_by_chance() {
    let mut pending = PendingStack::new();
    let sampled = Block {
        address: 0x1000,
        bytes: 45,
        align_log2: 4,
        start_ticks: 1,
        ..Block::default()
    };
    pending.push(&sampled, &unknown(&stack(&GROWS)));
    let outcome = pending.freed(0x2000, 1 << 15, 0, &stack(&FREES));
    assert!(matches!(outcome, Outcome::Dropped));
    assert!(pending.holds(0x1000), "it may yet replace another");
}

#[test]
fn a_first_growth_right_after_creation_is_a_replacement() {
    let mut pending = PendingStack::new();
    pending.allocated(0x1000, 84, &GROWS);
    pending.allocated(0x2000, 152, &GROWS);
    let outcome = pending.freed(0x1000, 84, 0, &stack(&FREES));
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
    let outcome = pending.freed(0x1000, 16, 0, &frees);
    assert!(matches!(outcome, Outcome::Replaced(new, _) if new.address == 0x3000));
}

/// A deque's array of pointers doubles, and a block for elements comes right after it.
#[test]
fn what_doubles_fits_better_than_what_is_merely_larger() {
    let mut pending = PendingStack::new();
    pending.allocated(0x2000, 1024, &GROWS);
    pending.allocated(0x3000, 4080, &GROWS);
    let outcome = pending.freed(0x1000, 512, 0, &stack(&FREES));
    assert!(matches!(outcome, Outcome::Replaced(new, _) if new.address == 0x2000));
}

/// The array and the block for elements are of the same size now, and one function asks for both.
#[test]
fn of_two_that_fit_the_one_asked_for_as_before_is_the_successor() {
    let mut pending = PendingStack::new();
    pending.allocated_at(7, 0x2000, 4096, &[(80, 11), (100, 12), (200, 90)]);
    pending.allocated_at(8, 0x3000, 4080, &GROWS);
    let outcome = pending.freed_from(Some(7), 0x1000, 2048, 0, &stack(&FREES));
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
    let outcome = pending.freed(0x2000, 152, 2, &stack(&FREES));
    assert!(matches!(outcome, Outcome::Replaced(new, _) if new.address == 0x3000));
}

#[test]
fn a_growth_that_is_given_up_is_abandoned_though_the_hasher_filled_a_map() {
    let mut pending = PendingStack::new();
    pending.allocated(0x1000, 84, &GROWS);
    pending.allocated(0x2000, 152, &GROWS);
    let in_hasher = [(40, 11), (60, 30), (100, 15), (200, 90)];
    pending.allocated(0x3000, 152, &in_hasher);
    let outcome = pending.freed(0x2000, 152, 0, &stack(&FREES));
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
    let outcome = pending.freed(0x1000, 152, 0, &stack(&FREES[1..]));
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
    let outcome = pending.freed(0x1000, 84, 0, &elsewhere);
    assert!(matches!(outcome, Outcome::Dropped));
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
    let outcome = pending.freed(0x1000, 2056, 0, &stack(&frees));
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
    let outcome = pending.freed(0x1000, 2056, 0, &frees);
    assert!(matches!(outcome, Outcome::Abandoned(own, _) if own.address == 0x1000));
}

/// What was handed to another thread, and freed there, leaves its place to the next best.
#[test]
fn a_block_that_is_gone_takes_no_place() {
    let mut pending = PendingStack::new();
    pending.allocated(0x2000, 4080, &GROWS);
    pending.allocated(0x3000, 1024, &GROWS);
    let freed = FreedBlock {
        address: 0x1000,
        bytes: 512,
        align_log2: 4,
        serial: 0,
        since: 0,
        site: None,
        certain: true,
    };
    let frees = stack(&FREES);
    let outcome = pending.resolve(&freed, &unknown(&frees), |block| block.address != 0x3000);
    assert!(matches!(outcome, Outcome::Replaced(new, _) if new.address == 0x2000));
    assert!(pending.is_empty(), "and the one that is gone is forgotten");

    pending.allocated(0x2000, 4080, &GROWS);
    pending.allocated(0x3000, 1024, &GROWS);
    let outcome = pending.resolve(&freed, &unknown(&frees), |_| false);
    assert!(matches!(outcome, Outcome::Dropped));
    assert!(pending.is_empty());
}

/// Its address was given out again by another thread, and came here by a hand-over.
#[test]
fn a_block_at_the_address_of_one_that_is_gone_was_not_given_up() {
    let mut pending = PendingStack::new();
    pending.allocated(0x1000, 84, &GROWS);
    let freed = FreedBlock {
        address: 0x1000,
        bytes: 84,
        align_log2: 4,
        serial: 77,
        since: 1000,
        site: None,
        certain: true,
    };
    let outcome = pending.resolve(&freed, &unknown(&stack(&FREES)), |_| true);
    assert!(matches!(outcome, Outcome::Dropped));
    assert!(pending.is_empty());
}

/// What is remembered of two stacks is what comparing them would say, whatever pushes it out.
#[test]
fn known_stacks_meet_where_unknown_ones_do() {
    let mut seed = 12345_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    // Stacks that share frames from the outermost inwards, more of them than there is room for.
    let stacks: Vec<Vec<Return>> = (0..40)
        .map(|_| {
            let depth = 1 + next(6);
            let frames = (0..depth).rev().map(|at| Return {
                slot: 1000 - at * 10 - next(2),
                pc: 100 * at + next(3),
            });
            frames.collect()
        })
        .collect();
    let known = |at: usize| Stack {
        returns: &stacks[at],
        number: at as u64 + 1,
    };
    let (mut with, mut without) = (PendingStack::new(), PendingStack::new());
    let mut replaced = 0;
    let steps = if cfg!(miri) { 200 } else { 20_000_u64 };
    for step in 1..steps {
        let at = next(40) as usize;
        let (address, bytes) = (1 + next(30) as usize, 1 << next(8));
        if next(2) == 0 {
            let block = Block {
                address,
                bytes,
                start_ticks: step,
                serial: step,
                weight: WEIGHT_ONE as u32,
                ..Block::default()
            };
            with.forget(address);
            without.forget(address);
            with.push(&block, &known(at));
            without.push(&block, &unknown(&stacks[at]));
        } else {
            let freed = FreedBlock {
                address,
                bytes,
                align_log2: 0,
                serial: 0,
                since: step.saturating_sub(next(40)),
                site: None,
                certain: true,
            };
            let of = |outcome: Outcome| match outcome {
                Outcome::Replaced(block, join) => Some((block, join, true)),
                Outcome::Abandoned(block, join) => Some((block, join, false)),
                Outcome::Dropped => None,
            };
            let one = of(with.resolve(&freed, &known(at), |_| true));
            assert_eq!(
                one,
                of(without.resolve(&freed, &unknown(&stacks[at]), |_| true))
            );
            replaced += u32::from(one.is_some());
        }
        if step % 5000 == 0 {
            with.clear();
            without.clear();
        }
    }
    assert!(u64::from(replaced) > steps / 40, "{replaced}");
}
