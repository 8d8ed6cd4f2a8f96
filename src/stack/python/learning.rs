//! Which functions of the interpreter run code, and where in their frames they keep what leads to
//! the functions in Python.
//!
//! It is one in most builds, and several where that one was inlined. Its frame has a fixed size, so
//! what it keeps there is always at the same distance from the frame's end.

use super::layout::Head;
use super::{MET, Reader, STATUS, TRUSTED, known};
use crate::stack::loader;
use crate::stack::walk::Stop;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use mapgrow_system::memory::{Memory, ProcessMemory};
use mapgrow_system::sys::ErrnoGuard;

/// Functions that are learnt, at most.
const FUNCTIONS: usize = 8;
/// Looks without a result after which nobody looks any more.
const FRUITLESS: u32 = 16;

/// Functions by where they start, each with the distance from where it keeps the place to the slot of
/// its return address: the start above the low 16 bits, the distance in these. 0: none yet.
static LEARNT: [AtomicU64; FUNCTIONS] = [const { AtomicU64::new(0) }; FUNCTIONS];
const DISTANCE_BITS: u32 = 16;
static LOOKS: AtomicU32 = AtomicU32::new(0);

/// How many functions were learnt.
#[inline]
pub(super) fn functions() -> u32 {
    learnt().count() as u32
}

#[inline]
fn learnt() -> impl Iterator<Item = u64> {
    let words = LEARNT.iter().map(|word| word.load(Ordering::Relaxed));
    words.take_while(|&word| word != 0)
}

/// The distance of the function that starts there.
pub(in crate::stack) fn distance(start: u64) -> Option<u64> {
    let word = learnt().find(|word| word >> DISTANCE_BITS == start)?;
    Some(word & ((1 << DISTANCE_BITS) - 1))
}

/// Whether a look may tell something new.
pub(in crate::stack) fn may_learn() -> bool {
    super::present()
        && LOOKS.load(Ordering::Relaxed) < FRUITLESS
        && !crate::sandbox::entered()
        && functions() < FUNCTIONS as u32
}

/// Adds a function. False when it is there, or there is no room.
fn add(start: u64, distance: u64) -> bool {
    let fits = distance >> DISTANCE_BITS == 0 && start << DISTANCE_BITS >> DISTANCE_BITS == start;
    if !fits || self::distance(start).is_some() {
        return false;
    }
    let word = start << DISTANCE_BITS | distance;
    let set =
        |place: &AtomicU64| place.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed);
    // Another thread may be adding the same: then it is there twice, and says the same.
    let added = LEARNT.iter().any(|place| set(place).is_ok());
    if added {
        let _ = STATUS.compare_exchange(MET, TRUSTED, Ordering::Relaxed, Ordering::Relaxed);
    }
    added
}

/// Looks where the functions in Python of this state are kept, in the part of the stack that was
/// walked. `frame_at` tells the frame of machine code that an address lies in: the start of its
/// function, and the slot of its return address.
#[cold]
#[inline(never)]
pub(in crate::stack) fn learn(
    state: u64,
    stack: Range<u64>,
    frame_at: impl FnOnce(u64) -> Option<(u64, u64)>,
) {
    let _errno = ErrnoGuard::save();
    let learnt = place(state, stack).and_then(|place| {
        let (start, outer) = frame_at(place)?;
        let (interpreter, _) = known()?;
        let home = loader::mapping(interpreter.running as usize as u64)?;
        home.contains(&start)
            .then(|| add(start, outer.wrapping_sub(place)))
    });
    if learnt == Some(true) {
        return;
    }
    let looks = LOOKS.fetch_add(1, Ordering::Relaxed) + 1;
    if looks == FRUITLESS && functions() == 0 {
        let _ = STATUS.compare_exchange(MET, super::REFUSED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Reads a word through the kernel.
fn careful(address: u64) -> Result<u64, Stop> {
    let mut word = [0; 8];
    let memory = ProcessMemory::of(std::process::id());
    let there = address.is_multiple_of(8) && memory.read(address, &mut word);
    there
        .then(|| u64::from_le_bytes(word))
        .ok_or(Stop::Unsupported)
}

/// Whether the frame at an address, if there is one, is a function's.
#[cold]
pub(in crate::stack) fn is_frame(address: u64) -> bool {
    let _errno = ErrnoGuard::save();
    let Some((interpreter, layout)) = known().filter(|_| !crate::sandbox::entered()) else {
        return false;
    };
    let code = careful(address.wrapping_add(layout.code));
    let kind = code.and_then(|code| careful((code & !super::TAG).wrapping_add(super::TYPE)));
    kind == Ok(interpreter.code_type as u64)
}

/// Where on the stack the innermost functions of this state are kept, if what is there is what
/// this version has there: read through the kernel.
fn place(state: u64, stack: Range<u64>) -> Option<u64> {
    /// Functions that are looked at.
    const ENOUGH: usize = 32;
    let (interpreter, layout) = known()?;
    let word = |object: u64, offset: u64| careful(object.wrapping_add(offset)).ok();
    let (mut frame, mut place) = match layout.head {
        Head::OnStack(holder, innermost) => {
            let place = word(state, holder)?;
            (word(place, innermost)?, Some(place))
        }
        Head::InState(innermost) => (word(state, innermost)?, None),
    };
    if place.is_some_and(|place| !stack.contains(&place)) {
        return None;
    }
    let mut reader = Reader::new(stack.clone(), careful, |_| true)?;
    let mut functions = 0;
    while functions < ENOUGH && frame != 0 {
        if stack.contains(&frame) {
            // It ends the part.
            place = place.or(Some(frame));
            break;
        }
        let code = word(frame, layout.code)? & !super::TAG;
        let of_type = |object: u64, kind: usize| word(object, super::TYPE) == Some(kind as u64);
        let found = reader.function(frame, code).ok()?;
        let fits = of_type(code, interpreter.code_type)
            && of_type(word(code, layout.file)?, interpreter.text_type)
            && of_type(word(code, layout.name)?, interpreter.text_type)
            && of_type(word(code, layout.lines)?, interpreter.bytes_type)
            // The instruction is in the code, or before it has begun. Code that was loaded is at
            // most this large.
            && (-2..=1 << 24).contains(&(found.place as i64));
        if !fits {
            return None;
        }
        functions += 1;
        if let Some((at, bit)) = layout.last
            && word(frame, at)? >> bit & 1 == 1
        {
            break;
        }
        frame = word(frame, layout.previous)?;
    }
    place.filter(|_| functions > 0)
}
