//! Captured stacks against those of the system's unwinder, and against programs that know what
//! their stack is.

#[cfg(target_arch = "x86_64")]
mod frames;
mod referee;
#[cfg(target_arch = "x86_64")]
mod stress;
#[cfg(target_arch = "x86_64")]
mod tables;

use super::{CHECK_INTERVAL, EntryFrames, MAX_RETURNS, Outcome, Registers, Return, ThreadStacks};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::hint::black_box;
use std::ops::{Deref, DerefMut};

/// A thread's stacks, in memory of their own.
pub(super) struct Owned(*mut u8);

impl Owned {
    pub(super) fn new() -> Owned {
        let layout = Layout::from_size_align(super::SIZE, super::ALIGN).expect("a layout");
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc_zeroed(layout) };
        assert!(!memory.is_null());
        Owned(memory)
    }
}

impl Deref for Owned {
    type Target = ThreadStacks;
    fn deref(&self) -> &ThreadStacks {
        // SAFETY: zeroed when it was allocated, of that size, and ours.
        unsafe { &*self.0.cast() }
    }
}

impl DerefMut for Owned {
    fn deref_mut(&mut self) -> &mut ThreadStacks {
        // SAFETY: zeroed when it was allocated, of that size, and ours.
        unsafe { ThreadStacks::from_zeroed(self.0) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let layout = Layout::from_size_align(super::SIZE, super::ALIGN).expect("a layout");
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.0, layout) }
    }
}

/// Calls `leaf` from `depth` frames further in.
#[inline(never)]
fn recurse(depth: usize, leaf: &mut dyn FnMut()) {
    if depth == 0 {
        leaf();
    } else {
        recurse(black_box(depth) - 1, leaf);
    }
    black_box(());
}

/// Calls `body` with 0, 1... from one call site: another one would be another stack.
#[inline(never)]
fn repeat(times: usize, body: &mut dyn FnMut(usize)) {
    for round in 0..times {
        body(round);
    }
}

/// Captures, compares with the system's unwinder, and returns the outcome.
#[inline(never)]
fn check(stacks: &mut ThreadStacks, entry: &EntryFrames) -> Outcome {
    let here = Registers::here();
    let mut expected = referee::returns(&here);
    // SAFETY: the registers are those of this function.
    let got = unsafe { stacks.capture(&here, entry) };
    assert_eq!(
        got.truncated,
        expected.len() > MAX_RETURNS,
        "{:?}",
        got.outcome
    );
    expected.truncate(MAX_RETURNS);
    referee::assert_same(got.returns(), &expected);
    got.outcome
}

#[test]
fn every_depth_agrees_with_the_system() {
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    for round in 0..black_box(3) {
        for depth in (0..200).step_by(7) {
            recurse(depth, &mut || {
                let outcome = check(&mut stacks, &entry);
                let known = matches!(outcome, Outcome::Hit | Outcome::Checked);
                assert_eq!(
                    known,
                    round > 0,
                    "round {round}, depth {depth}: {outcome:?}"
                );
            });
        }
    }
}

/// The site of this stack as the recorder asks for it: noted at the first capture, known from then on.
#[inline(never)]
fn site_by(stacks: &mut ThreadStacks, entry: &EntryFrames) -> Result<u32, Outcome> {
    let here = Registers::here();
    // SAFETY: the registers are those of this function.
    if let Some(site) = unsafe { stacks.known_site(&here, entry) } {
        return Ok(site);
    }
    // SAFETY: as above.
    let capture = unsafe { stacks.capture_for_site(&here, entry) };
    *capture.site = 7 + 1;
    Err(capture.outcome)
}

#[test]
fn a_site_is_known_without_a_capture_until_it_is_checked() {
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    let mut captured = Vec::new();
    for round in 0..2 * CHECK_INTERVAL {
        match site_by(&mut stacks, &entry) {
            Ok(site) => assert_eq!(site, 7),
            Err(outcome) => captured.push((round, outcome)),
        }
    }
    assert_eq!(captured[0], (0, Outcome::Miss));
    let checked = captured[1..].iter();
    assert!(
        checked
            .clone()
            .all(|(_, outcome)| *outcome == Outcome::Checked)
    );
    assert_eq!(checked.count(), 2, "{captured:?}");
}

#[test]
fn a_hit_is_checked_now_and_then() {
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    let mut outcomes = Vec::new();
    for _ in 0..2 * CHECK_INTERVAL + 2 {
        outcomes.push(capture_outcome(&mut stacks, &entry));
    }
    assert_eq!(outcomes[0], Outcome::Miss);
    let checked: Vec<_> = (0..outcomes.len())
        .filter(|&i| outcomes[i] == Outcome::Checked)
        .collect();
    assert_eq!(
        checked,
        [
            1,
            1 + CHECK_INTERVAL as usize,
            1 + 2 * CHECK_INTERVAL as usize
        ]
    );
    assert!(
        outcomes[2..]
            .iter()
            .all(|o| matches!(o, Outcome::Hit | Outcome::Checked))
    );
}

#[inline(never)]
fn capture_outcome(stacks: &mut ThreadStacks, entry: &EntryFrames) -> Outcome {
    let here = Registers::here();
    // SAFETY: the registers are those of this function.
    unsafe { stacks.capture(&here, entry) }.outcome
}

#[test]
fn payloads_stay_with_their_stack() {
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    for round in 0..black_box(3_u64) {
        for depth in 0..20 {
            recurse(depth, &mut || {
                let here = Registers::here();
                // SAFETY: the registers are those of this closure, which is running.
                let capture = unsafe { stacks.capture(&here, &entry) };
                let expected = if round == 0 { 0 } else { depth as u32 + 100 };
                assert_eq!(*capture.site, expected);
                *capture.site = depth as u32 + 100;
            });
        }
    }
}

#[inline(never)]
fn entry_inner(stacks: &mut ThreadStacks, entry: &EntryFrames) -> (Vec<Return>, u64) {
    let here = Registers::here();
    // SAFETY: the registers are those of this function.
    let capture = unsafe { stacks.capture(&here, entry) };
    (capture.returns().to_vec(), capture.caller_function_start)
}

#[inline(never)]
fn entry_outer(stacks: &mut ThreadStacks, entry: &EntryFrames) -> (Vec<Return>, u64) {
    let result = entry_inner(stacks, entry);
    black_box(());
    result
}

#[test]
fn entry_functions_are_trimmed_at_the_front_only() {
    let mut stacks = Owned::new();
    let none = EntryFrames::new();
    let mut entry = EntryFrames::new();
    let outer = entry_outer as *const () as u64;
    assert!(entry.insert(outer));
    assert!(!entry.insert(0));

    let mut run = |entry: &EntryFrames| entry_outer(&mut stacks, black_box(entry));
    let mut pairs = Vec::new();
    for _ in 0..black_box(3) {
        pairs = [&none, &entry].map(&mut run).to_vec();
    }
    let [(full, first), (trimmed, caller)] = &pairs[..] else {
        unreachable!()
    };
    assert_eq!(*first, outer);
    assert_eq!(full.len(), trimmed.len() + 1);
    assert_eq!(full[1].pc & !0xFFF, trimmed[0].pc & !0xFFF);
    assert_eq!(full[2..], trimmed[1..]);
    assert_ne!(*caller, 0);
    assert_ne!(*caller, outer);
}

#[test]
fn function_starts_name_the_functions_on_the_way() {
    #[inline(never)]
    fn inner(stacks: &mut ThreadStacks, out: &mut [u64]) -> usize {
        let here = Registers::here();
        // SAFETY: the registers are those of this function.
        unsafe { stacks.function_starts(&here, out) }
    }
    #[inline(never)]
    fn outer(stacks: &mut ThreadStacks, out: &mut [u64]) -> usize {
        black_box(inner(stacks, out))
    }
    let mut stacks = Owned::new();
    let mut out = [0; 4];
    assert_eq!(outer(&mut stacks, &mut out), 4);
    assert_eq!(out[0], inner as *const () as u64);
    assert_eq!(out[1], outer as *const () as u64);
    let mut all = [0; 500];
    let count = outer(&mut stacks, &mut all);
    assert!(count > 5 && count < 500);
    assert_eq!(outer(&mut stacks, &mut []), 0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn many_alternating_stacks_are_all_kept() {
    // One stack pointer, and many return addresses at every level: 64 stacks.
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    let mut misses = Vec::new();
    for _ in 0..black_box(4) {
        let mut missed = 0;
        for path in 0..64 {
            frames::switchboard(3, path, &mut || {
                missed += u32::from(capture_outcome(&mut stacks, &entry) == Outcome::Miss);
            });
        }
        misses.push(missed);
    }
    assert_eq!(misses, [64, 0, 0, 0]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_wrong_entry_is_noticed_and_forgotten() {
    let mut stacks = Owned::new();
    stacks.check_all = true;
    let entry = EntryFrames::new();
    let expected = [
        Outcome::Miss,
        Outcome::Checked,
        Outcome::Mismatch,
        Outcome::Checked,
    ];
    repeat(black_box(4), &mut |round| {
        if round == 2 {
            stacks.memo.corrupt();
        }
        assert_eq!(check(&mut stacks, &entry), expected[round]);
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn entries_of_code_that_was_replaced_are_forgotten() {
    // As if other code in the same place had kept its return address elsewhere: the entry's
    // words still verify, but a walk of today reads others.
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    let mut elsewhere = 0;
    let expected = [
        Outcome::Miss,
        Outcome::Miss,
        Outcome::Miss,
        Outcome::Checked,
    ];
    let paths = [0, 1, 0, 1];
    repeat(black_box(4), &mut |round| {
        if round == 1 {
            elsewhere = stacks.memo.first_word();
            stacks.memo.displace(&elsewhere);
        }
        frames::switchboard(1, paths[round], &mut || {
            assert_eq!(check(&mut stacks, &entry), expected[round]);
        });
        assert!(stacks.memo.is_consistent());
    });
}

#[test]
fn capturing_allocates_nothing_and_uses_little_stack() {
    // The referee counts what this thread allocates.
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    let mut used = [0; 3];
    let mut outcome = Outcome::Unavailable;
    recurse(40, &mut || {
        let before = referee::allocations();
        repeat(black_box(3), &mut |round| {
            used[round] =
                referee::stack_use(&mut || outcome = capture_outcome(&mut stacks, &entry));
            assert_eq!(
                outcome,
                [Outcome::Miss, Outcome::Checked, Outcome::Hit][round]
            );
        });
        referee::system_walk();
        assert_eq!(referee::allocations(), before);
    });
    println!("stack used: {used:?} bytes by a first walk, a walk, a hit");
    // Unoptimised code uses far more; the bound is for what is shipped.
    if !cfg!(debug_assertions) {
        assert!(used[0] < 3 * 1024, "{used:?}");
    }
}

#[test]
fn build_ids_are_those_in_the_files() {
    let here = build_ids_are_those_in_the_files as *const () as u64;
    // SAFETY: this program is never unloaded.
    let object = unsafe { super::find_object(here) }.expect("the test is in an object");
    let mapping = super::mapping(here).expect("the same");
    assert_eq!(mapping, object.map_start..object.map_end);
    let mut id = [0; 32];
    // SAFETY: the object is the one that is running.
    let length = unsafe { super::build_id(&object, &mut id) };
    let inside = libc::abort as *const () as u64;
    // SAFETY: the C library is never unloaded.
    let libc = unsafe { super::find_object(inside) }.expect("the C library");
    // SAFETY: as above.
    let path = unsafe { libc.path() }.to_str().expect("a path").to_owned();
    assert!(path.contains("libc.so"), "{path}");
    // SAFETY: the C library is never unloaded.
    let libc_length = unsafe { super::build_id(&libc, &mut id) };
    assert_eq!(libc_length, 20);
    let file = std::fs::read(path).expect("the C library's file");
    let note: Vec<u8> = [4_u32, 20, 3]
        .iter()
        .flat_map(|w| w.to_ne_bytes())
        .chain(*b"GNU\0")
        .collect();
    let at = file
        .windows(note.len())
        .position(|w| w == note)
        .expect("a build id in the file");
    assert_eq!(id[..20], file[at + 16..at + 36]);
    assert!(length == 0 || length >= 8);
    assert!(super::mapping(8).is_none());
}
