//! A stack goes in; functions in it that only have the name of a container's come out as the
//! program's own.
//!
//! Containers written in C have functions with names like `rehash` and `list_resize`, and any
//! program may have its own of that name. The container's have others of it, or of its interpreter,
//! around them, in the same object, by names that nobody else uses: `luaH_resize`,
//! `PyDict_SetItem`. The catalogue has those ([`Family::callers`]).
//!
//! [`Family::callers`]: mapgrow_containers::classify::catalogue::Family::callers

use super::callers::Position;
use super::resolve::{Function, PhysicalFrame};
use mapgrow_containers::classify::catalogue::{self, Around};
use mapgrow_containers::classify::whose::{self, Whose};
use std::rc::Rc;

/// The functions of a stack as one of them sees them: itself, those outwards, and those that it
/// called.
pub(crate) fn around(
    stack: &[PhysicalFrame],
    (at, within): Position,
) -> impl Iterator<Item = Around<'_>> {
    let module = stack.get(at).and_then(|frame| frame.module);
    let functions = || {
        let frames = stack.iter().enumerate();
        frames.flat_map(|(at, frame)| {
            let functions = frame.functions.iter().enumerate();
            functions.map(move |(within, function)| ((at, within), frame, function))
        })
    };
    let outwards = functions().filter(move |(of, ..)| *of >= (at, within));
    let inwards = functions().take_while(move |(of, ..)| *of < (at, within));
    outwards
        .chain(inwards)
        .filter_map(move |(_, frame, function)| {
            let name = function.name.as_deref()?;
            let here = frame.module == module;
            Some(Around { name, here })
        })
}

/// Leaves to the program what only has the name of a container's function.
pub(crate) fn disbelieve(stack: &mut [PhysicalFrame]) {
    let claims = |function: &Function| {
        let name = function.name.as_deref();
        function.whose == Some(Whose::Internal) && name.is_some_and(whose::is_claimed)
    };
    let is_false = |(at, within): Position, function: &Function| {
        let name = function.name.as_deref().filter(|_| claims(function));
        name.is_some_and(|name| !catalogue::is_containers(name, || around(stack, (at, within))))
    };
    let mut found: Vec<Position> = Vec::new();
    for (at, frame) in stack.iter().enumerate() {
        let functions = frame.functions.iter().enumerate();
        let false_ones = functions.filter(|(within, function)| is_false((at, *within), function));
        found.extend(false_ones.map(|(within, _)| (at, within)));
    }
    for (at, within) in found {
        // Other stacks share these functions, and may have the container's.
        let mut own: Vec<Function> = stack[at].functions.to_vec();
        own[within].whose = Some(whose::program_or_library(own[within].file.as_deref()));
        stack[at].functions = Rc::from(own);
    }
}
