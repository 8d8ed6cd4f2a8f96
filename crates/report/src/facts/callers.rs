//! A stack goes in; what in it serves an allocator, and where the program's own code begins, comes out.

use super::resolve::{Function, PhysicalFrame};
use mapgrow_containers::classify::whose::{Whose, allocates_for_others, is_library_file};
use std::rc::Rc;

/// Where in a stack a function stands: physical frame, and function within it.
pub(crate) type Position = (usize, usize);

/// Marks as the allocator's plumbing what an allocator of the program's own, or of a library, does
/// for a container: an arena that a vector asks, say. The container is whoever asked it.
///
/// While a function that hands memory on is on the stack, all that it called serves it; unless
/// another container lies between: that one asked for the block.
pub(crate) fn look_through_allocators(stack: &mut [PhysicalFrame]) {
    let Some((outermost, functions)) = allocator_ends(stack) else {
        return;
    };
    for (at, frame) in stack[..=outermost].iter_mut().enumerate() {
        let count = if at == outermost {
            functions
        } else {
            frame.functions.len()
        };
        let serves = |function: &Function| function.whose == Some(Whose::Plumbing);
        if frame.functions[..count].iter().all(serves) {
            continue;
        }
        // Other stacks share these functions and may mean something else by them.
        let mut own: Vec<Function> = frame.functions.to_vec();
        for function in &mut own[..count] {
            function.whose = Some(Whose::Plumbing);
        }
        frame.functions = Rc::from(own);
    }
}

/// The outermost frame of an allocator of the program's own, and how many of the functions there
/// are part of it.
fn allocator_ends(stack: &[PhysicalFrame]) -> Option<(usize, usize)> {
    let mut outermost = None;
    // Whether code that is no plumbing by its name was met.
    let mut others = false;
    let mut functions = stack
        .iter()
        .enumerate()
        .flat_map(|(at, frame)| (1..).zip(frame.functions.iter()).map(move |f| (at, f)))
        .peekable();
    while let Some((at, (count, function))) = functions.next() {
        let Some(whose) = function.whose else {
            // Without a name: what serves an allocator is called by one, in whatever object.
            let mut outwards = functions.clone();
            let named = outwards.find_map(|(_, (_, function))| function.whose);
            if named != Some(Whose::Plumbing) {
                break;
            }
            others = true;
            continue;
        };
        match whose {
            Whose::Plumbing if others => outermost = Some((at, count)),
            Whose::Plumbing => {}
            Whose::Program | Whose::Library => {
                let by_name = function.name.as_deref().is_some_and(allocates_for_others);
                let next = functions.peek().and_then(|(_, (_, next))| next.whose);
                let for_container =
                    next.is_some_and(|next| !matches!(next, Whose::Program | Whose::Entry));
                // It asks for the block itself, or through what was already looked through.
                let itself = !others || outermost.is_some_and(|end| follows(stack, end, at, count));
                others = true;
                if by_name && (for_container || itself) {
                    outermost = Some((at, count));
                }
            }
            Whose::Internal | Whose::Entry => break,
        }
    }
    outermost
}

/// Whether the function before `count` functions of frame `at` is where an allocator ended.
fn follows(stack: &[PhysicalFrame], end: (usize, usize), at: usize, count: usize) -> bool {
    match count {
        1 => at
            .checked_sub(1)
            .is_some_and(|inner| end == (inner, stack[inner].functions.len())),
        _ => end == (at, count - 1),
    }
}

/// The first function that uses containers, the program's own or a library's.
pub(crate) fn first_user(stack: &[PhysicalFrame]) -> Option<Position> {
    stack.iter().enumerate().find_map(|(at, frame)| {
        let mut functions = frame.functions.iter();
        let within =
            functions.position(|function| function.whose.is_some_and(Whose::uses_containers))?;
        Some((at, within))
    })
}

/// The first function of the program's own. A function without a name counts as one once the
/// functions that it called have names; of a stack without any name, the frame that called the
/// one that asked for memory. Where all is of libraries, their innermost function.
pub(crate) fn caller(stack: &[PhysicalFrame]) -> Option<Position> {
    if !stack.iter().any(PhysicalFrame::named) {
        return (!stack.is_empty()).then(|| (1.min(stack.len() - 1), 0));
    }
    let mut library = None;
    let mut internal = None;
    for (at, frame) in stack.iter().enumerate() {
        for (within, function) in frame.functions.iter().enumerate() {
            match function.whose {
                Some(Whose::Program) => return Some((at, within)),
                None if at > 0 => return library.or(Some((at, within))),
                Some(Whose::Entry) => return library.or(internal),
                Some(Whose::Library) => library = library.or(Some((at, within))),
                Some(Whose::Internal) if internal.is_none() => {
                    let name = function.name.as_deref();
                    let containers = ["alloc::", "core::", "hashbrown::", "std::collections::"];
                    let other = name.is_some_and(|name| {
                        !containers
                            .iter()
                            .any(|prefix| name.path.starts_with(prefix))
                            && !name.anonymous_self
                    });
                    internal = other.then_some((at, within));
                }
                _ => {}
            }
        }
    }
    library.or(internal)
}

/// Where an interpreter runs a function of its language, that function is the program's own, and
/// the interpreter is not; a library that the function called is. Of several, the first that is
/// not of a library in that language. (Where the stack itself leads through the script's code, what
/// lies further in is the interpreter's and its modules', whoever wrote those.)
pub(crate) fn scripts_function(stack: &[PhysicalFrame], caller: Position) -> Position {
    if let Some(script) = stack.iter().position(PhysicalFrame::scripted) {
        let own = |frame: &PhysicalFrame| {
            frame.scripted() && frame.functions[0].whose == Some(Whose::Program)
        };
        return (stack.iter().position(own).unwrap_or(script), 0);
    }
    let Some(script) = stack.iter().position(PhysicalFrame::generated) else {
        return caller;
    };
    let interpreter = script.checked_sub(1).and_then(|at| stack[at].module);
    let (at, _) = caller;
    let of_interpreter = at < script && interpreter.is_some() && stack[at].module == interpreter;
    if !of_interpreter && at != script {
        return caller;
    }
    let own = |frame: &PhysicalFrame| {
        let file = frame.functions[0].file.as_deref();
        frame.generated() && !file.is_some_and(is_library_file)
    };
    let first_own = stack.iter().position(own);
    (first_own.unwrap_or(script), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapgrow_containers::classify::names::Name;
    use mapgrow_containers::classify::whose;

    /// One physical frame for each list of functions, `name` or `name @ file`.
    fn stack(frames: &[&[&str]]) -> Vec<PhysicalFrame> {
        let function = |text: &&str| {
            let (name, file) = match text.split_once(" @ ") {
                Some((name, file)) => (name, Some(file)),
                None => (*text, None),
            };
            let parsed = Some(Name::parse(name)).filter(|_| !name.is_empty());
            let whose = parsed.as_ref().map(|name| whose::whose(name, file));
            Function {
                shown: name.into(),
                file: file.map(Into::into),
                line: file.map(|_| 7),
                name: parsed.map(Rc::new),
                whose,
            }
        };
        let frame = |(at, names): (usize, &&[&str])| PhysicalFrame {
            address: at as u64 + 1,
            module: Some(0),
            functions: names.iter().map(function).collect(),
        };
        frames.iter().enumerate().map(frame).collect()
    }

    fn called_by(frames: &[&[&str]]) -> String {
        let mut stack = stack(frames);
        look_through_allocators(&mut stack);
        let (at, within) = caller(&stack).unwrap();
        stack[at].functions[within].shown.to_string()
    }

    #[test]
    fn the_place_is_outside_of_libraries() {
        const LRU: &str = "lru::LruCache::put @ /root/.cargo/registry/src/index.crates.io-19/lru-0.16.1/src/lib.rs";
        let table: &[&str] = &["malloc", "hashbrown::raw::RawTable<T>::reserve_rehash"];
        let main: &[&str] = &["demo::main @ src/main.rs"];
        let put: &[&str] = &["demo::Cache::put @ src/cache.rs"];
        assert_eq!(called_by(&[table, &[LRU], put, main]), "demo::Cache::put");
        assert_eq!(
            called_by(&[table, &[LRU, "demo::Cache::put @ src/cache.rs"], main]),
            "demo::Cache::put"
        );
        // A library's own thread.
        assert_eq!(
            called_by(&[table, &[LRU], &["start_thread"]]),
            "lru::LruCache::put"
        );
        let google = "google::sparse_thing::grow @ /usr/include/sparsehash/internal/x.h";
        assert_eq!(
            called_by(&[&["malloc", google], &["Index::add @ index.cpp"]]),
            "Index::add"
        );
    }

    #[test]
    fn allocators_of_the_programs_own_are_looked_through() {
        let grow = "std::vector<unsigned long, Counted<unsigned long> >::_M_realloc_insert";
        // Everything inlined, and as symbols alone tell it.
        for frames in [
            &[
                &["malloc"] as &[&str],
                &[
                    "Counted<unsigned long>::allocate",
                    "std::allocator_traits<Counted<unsigned long> >::allocate",
                    grow,
                    "log",
                ],
            ] as &[&[&str]],
            &[
                &["malloc"],
                &["Counted<unsigned long>::allocate"],
                &[grow],
                &["log"],
                &["main"],
            ],
            // An arena with parts, behind the allocator.
            &[
                &["malloc"],
                &["Arena::chunk"],
                &["Arena::take"],
                &["ArenaAllocator<int>::allocate"],
                &[grow],
                &["log"],
            ],
            &[
                &["malloc"],
                &["Arena::chunk"],
                &["Resource::do_allocate"],
                &["std::pmr::memory_resource::allocate"],
                &[grow],
                &["log"],
            ],
            // Its code has no name.
            &[
                &["malloc"],
                &[""],
                &[""],
                &["std::pmr::memory_resource::allocate", grow, "log"],
            ],
            // A library's, which a container of the program's own asks.
            &[&["malloc"], &["xmalloc"], &["log"], &["main"]],
            &[
                &["malloc"],
                &["xmalloc"],
                &["my_malloc"],
                &["log"],
                &["main"],
            ],
        ] {
            assert_eq!(called_by(frames), "log", "{frames:?}");
        }
        let bump = "bumpalo::Bump::alloc_layout_slow";
        let asks = "<&bumpalo::Bump as core::alloc::Allocator>::allocate";
        let frames: &[&[&str]] = &[
            &["malloc"],
            &[bump],
            &[asks],
            &["alloc::raw_vec::finish_grow"],
            &["demo::fill"],
        ];
        assert_eq!(called_by(frames), "demo::fill");
    }

    #[test]
    fn what_an_allocator_keeps_for_itself_is_its_own() {
        let tracks = "std::vector<Chunk>::_M_realloc_insert";
        let frames: &[&[&str]] = &[
            &["malloc"],
            &[tracks],
            &["Arena::track"],
            &["ArenaAllocator<int>::allocate"],
            &["std::vector<int>::_M_realloc_insert"],
            &["log"],
        ];
        assert_eq!(called_by(frames), "Arena::track");
        // Nor is what the program calls, if that has no name.
        let frames: &[&[&str]] = &[&["malloc"], &[""], &["load"], &["xmalloc"], &["main"]];
        assert_eq!(called_by(frames), "");
        // It makes jobs, not room for others.
        let frames: &[&[&str]] = &[
            &["malloc"],
            &["Job::make"],
            &["Scheduler::allocate"],
            &["main"],
        ];
        assert_eq!(called_by(frames), "Job::make");
    }
}
