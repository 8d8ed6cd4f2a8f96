//! A call and the function that a stack has next go in; the functions between them come out, which left
//! by a jump as their last act.
//!
//! A compiler makes the last call of a function a jump where it can (`collect()` at the end of a Rust
//! function, `return put(...)` in C): the function that jumped has no frame any more, and the stack says
//! that its caller called what it jumped to. The instruction before the return address says which
//! function was called indeed. Where that one has a jump to the next on the stack, or to a third that has,
//! it was there, and nothing else can have been.

use object::{Architecture, Object, ObjectSection, SectionKind};

use super::names::without_suffix;
use super::table::SymbolTable;

/// Functions that jump one to the next, at most.
const MOST_JUMPS: usize = 3;
/// Functions that are looked through for one call, at most.
const MOST_FUNCTIONS: usize = 64;
/// Bytes of a function that are looked through.
const MOST_BYTES: u64 = 1 << 16;

/// A jump out of a function: where it lies, and where it goes.
type Jump = (u64, u64);

/// Machine code of an object file, as far as jumps go.
pub struct Jumps<'o, 'a> {
    pub object: &'o object::File<'a>,
    pub symbols: &'o SymbolTable<'a>,
}

impl Jumps<'_, '_> {
    /// Addresses of the jumps by which functions left between the call at `outer` and the function at
    /// `inner`, the last one first. Empty where none did, or several ways lead there.
    pub fn between(&self, outer: u64, inner: u64) -> Vec<u64> {
        self.find(outer, inner).unwrap_or_default()
    }

    fn find(&self, outer: u64, inner: u64) -> Option<Vec<u64>> {
        if self.object.architecture() != Architecture::X86_64 {
            return None;
        }
        let (to, _) = self.symbols.bounds_at(inner)?;
        let called = self.called(outer.checked_add(1)?)?;
        let (begins, _) = self.symbols.bounds_at(called)?;
        if begins != called || called == to || self.are_parts_of_one(called, to) {
            return None;
        }
        // By breadth: the shortest way, if there is only one.
        let mut ways: Vec<(u64, Vec<u64>)> = vec![(called, Vec::new())];
        let mut looked_through = 0;
        for _ in 0..MOST_JUMPS {
            let mut arrived: Vec<Vec<u64>> = Vec::new();
            let mut next: Vec<(u64, Vec<u64>)> = Vec::new();
            for (function, way) in ways {
                looked_through += 1;
                if looked_through > MOST_FUNCTIONS {
                    return None;
                }
                for (at, target) in self.out_of(function) {
                    let longer = [&[at][..], &way].concat();
                    match target == to {
                        true => arrived.push(longer),
                        false => next.push((target, longer)),
                    }
                }
            }
            match arrived.as_slice() {
                [] => ways = next,
                [way] => return Some(way.clone()),
                // Several jumps of one function are one way, of which the place is not known.
                _ => return None,
            }
        }
        None
    }

    /// Whether one is what an optimiser split off the other.
    fn are_parts_of_one(&self, a: u64, b: u64) -> bool {
        let names = |at| self.symbols.names_at(at).into_iter().map(without_suffix);
        names(a).any(|a| names(b).any(|b| a == b))
    }

    /// The function that the call before this return address calls, where the instruction has it.
    fn called(&self, back: u64) -> Option<u64> {
        const CALL: u8 = 0xe8;
        let at = back.checked_sub(5)?;
        let code = self.code(at, 5)?;
        (code[0] == CALL).then(|| back.wrapping_add_signed(distance(&code[1..])))
    }

    /// Jumps from a function to the beginnings of others.
    fn out_of(&self, function: u64) -> Vec<Jump> {
        const JUMP: u8 = 0xe9;
        const LONG: u8 = 0x0f;
        let Some((start, end)) = self.symbols.bounds_at(function) else {
            return Vec::new();
        };
        let code = self.code(start, (end - start).min(MOST_BYTES));
        let code = code.unwrap_or_default();
        let jumps = code.windows(5).enumerate().filter_map(|(at, bytes)| {
            let conditional = at > 0 && code[at - 1] == LONG && bytes[0] & 0xf0 == 0x80;
            if bytes[0] != JUMP && !conditional {
                return None;
            }
            let at = start + at as u64;
            let target = (at + 5).wrapping_add_signed(distance(&bytes[1..]));
            // Bytes that are no jump hardly ever lead to where a function begins.
            let begins = self.symbols.bounds_at(target)?.0 == target;
            (begins && target != start).then_some((at, target))
        });
        jumps.collect()
    }

    fn code(&self, at: u64, length: u64) -> Option<&[u8]> {
        let mut sections = self.object.sections();
        let section = sections.find(|section| {
            let holds = section.address()..section.address().saturating_add(section.size());
            section.kind() == SectionKind::Text && holds.contains(&at)
        })?;
        section.data_range(at, length).ok().flatten()
    }
}

/// What an instruction has of the way to its target.
fn distance(bytes: &[u8]) -> i64 {
    let bytes = bytes.first_chunk().copied().unwrap_or_default();
    i64::from(i32::from_le_bytes(bytes))
}
