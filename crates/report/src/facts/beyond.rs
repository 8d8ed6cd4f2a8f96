//! Where the code of a container ends that nobody catalogued, and what it is called: the frames of a
//! site and of a growth go in, a position in the stack and a class come out.
//!
//! The function that grows such a container is seldom the one that uses it: it is a method of a class,
//! or one of a header's functions, and the class or the header has others around it. To the person
//! who reads the report all of these are the container; the place is where they were called.

use super::callers::Position;
use super::evidence::SiteFacts;
use super::resolve::{Function, PhysicalFrame};
use mapgrow_containers::classify::types;
use mapgrow_containers::classify::whose::Whose;

/// The class whose method a function is, or the namespace that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class<'f> {
    /// Its path without arguments.
    path: &'f str,
    /// As the symbol has it, with the arguments of templates.
    written: &'f str,
    /// Whether the function has arguments of its own.
    generic: bool,
}

impl Class<'_> {
    /// Whether it has arguments: then it is a class, and no namespace.
    pub fn is_template(&self) -> bool {
        self.written.ends_with('>')
    }

    /// The outermost namespace of what is made for any type.
    fn namespace_of_templates(&self) -> Option<&str> {
        let (outermost, _) = self.path.split_once("::").unwrap_or((self.path, ""));
        let inside = self.generic || outermost != self.path;
        (inside && (self.generic || self.is_template())).then_some(outermost)
    }
}

/// The class or namespace of a function.
pub(crate) fn class_of(function: &Function) -> Option<Class<'_>> {
    let path = &function.name.as_deref()?.path;
    let (path, _) = path.rsplit_once("::")?;
    let (written, method) = types::method(&function.shown)?;
    Some(Class {
        path,
        written,
        generic: method.ends_with('>') && !method.starts_with("operator"),
    })
}

/// Whether two functions are methods of one class.
pub(crate) fn same_class(a: &Function, b: &Function) -> bool {
    let classes = class_of(a).zip(class_of(b));
    classes.is_some_and(|(a, b)| a.path == b.path)
}

/// Whether two functions are methods of one class, or of templates of one namespace.
pub(crate) fn akin(a: &Function, b: &Function) -> bool {
    let Some((a, b)) = class_of(a).zip(class_of(b)) else {
        return false;
    };
    let namespaces = a.namespace_of_templates().zip(b.namespace_of_templates());
    a.path == b.path || namespaces.is_some_and(|(a, b)| a == b)
}

/// What ends the names of files that other files include.
const HEADERS: &[&str] = &[
    ".h", ".hh", ".hpp", ".hxx", ".h++", ".inc", ".inl", ".ipp", ".tcc", ".txx",
];

fn of_header(function: &Function) -> bool {
    let file = function.file.as_deref();
    file.is_some_and(|file| HEADERS.iter().any(|end| file.ends_with(end)))
}

/// Whether this is a function of C, by its name.
fn is_plain(function: &Function) -> bool {
    let name = function.name.as_deref();
    name.is_some_and(|name| !name.path.contains("::"))
}

/// Whether two functions of C come from one header, or from one line: a macro wrote both.
fn included_together(a: &Function, b: &Function) -> bool {
    let one_line = || a.line.is_some() && a.line == b.line && a.name != b.name;
    let one_file = a.file.is_some() && a.file == b.file;
    one_file && is_plain(a) && is_plain(b) && (of_header(a) || one_line())
}

/// A function that fills a container of its own is often called from several places; one that is called
/// by another such function alone grows containers for others.
const LEAST_SHARED: usize = 2;

/// Where each of these stacks, which begin in one function, has its first function that not all
/// have. `None` where they do not part, or do so at once, or some end before.
pub(crate) fn part(facts: &[&SiteFacts]) -> Option<Vec<Position>> {
    let ways: Vec<Vec<(Position, &Function)>> = facts.iter().map(|fact| way(fact)).collect();
    let (first, others) = ways
        .split_first()
        .filter(|(_, others)| !others.is_empty())?;
    let at = (1..first.len()).find(|&at| {
        let (_, function) = first[at];
        let same =
            |of: &(Position, &Function)| of.1.shown == function.shown && of.1.file == function.file;
        !others.iter().all(|way| way.get(at).is_some_and(same))
    });
    let at = at.filter(|&at| at >= LEAST_SHARED)?;
    ways.iter()
        .map(|way| way.get(at).map(|(at, _)| *at))
        .collect()
}

/// The program's own functions from the caller outwards.
fn way(fact: &SiteFacts) -> Vec<(Position, &Function)> {
    let Some(caller) = fact.caller else {
        return Vec::new();
    };
    let functions = fact.stack.iter().enumerate().flat_map(|(at, frame)| {
        let functions = frame.functions.iter().enumerate();
        functions.map(move |(within, function)| ((at, within), function))
    });
    let outwards = functions.skip_while(|(at, _)| *at < caller);
    let program =
        outwards.take_while(|(_, function)| !matches!(function.whose, None | Some(Whose::Entry)));
    program
        .filter(|(_, function)| function.whose == Some(Whose::Program))
        .collect()
}

/// The outermost class of a container's code, which ends at `until`.
pub(crate) fn class_within(stack: &[PhysicalFrame], until: Position) -> Option<String> {
    let functions = stack.iter().enumerate().flat_map(|(at, frame)| {
        let functions = frame.functions.iter().enumerate();
        functions.map(move |(within, function)| ((at, within), function))
    });
    let inner = functions.take_while(|(at, _)| *at < until);
    let own = inner.filter(|(_, function)| function.whose == Some(Whose::Internal));
    let classes = own.filter_map(|(_, function)| class_of(function).filter(Class::is_template));
    let outermost = classes.last()?;
    Some(types::template(outermost.written))
}

/// Where a container's code ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// The first function outside.
    pub user: Position,
    /// The outermost class within.
    pub class: Option<String>,
}

/// From a function of the container, outwards to the first that is none. `None` where all is the
/// container's, or nobody knows. `in_library` tells whether a frame is code of a shared library.
pub(crate) fn beyond(
    stack: &[PhysicalFrame],
    (at, within): Position,
    in_library: impl Fn(&PhysicalFrame) -> bool,
) -> Option<Beyond> {
    let first = stack.get(at)?;
    let grows = first.functions.get(within)?;
    // Without lines: a library's source would tell more than the object that it became.
    let in_library = grows.line.is_none() && in_library(first);
    let mut class = class_of(grows).filter(Class::is_template);
    // Nor is a function of a header's the program's, unless the header is all there is.
    let mut stepped = class.is_some() || is_plain(grows) && of_header(grows);
    // Whether a class may be a namespace after all.
    let mut vague = false;
    let outwards = stack.iter().enumerate().skip(at).flat_map(|(at, frame)| {
        let functions = frame.functions.iter().enumerate();
        functions.map(move |(within, function)| ((at, within), frame, function))
    });
    for (position, frame, function) in outwards.filter(|(of, ..)| *of > (at, within)) {
        match function.whose {
            None | Some(Whose::Entry) => return None,
            Some(Whose::Program) => {}
            Some(_) => continue,
        }
        let one_library = in_library && frame.module == first.module && function.line.is_none();
        match class_of(function).filter(|_| akin(grows, function)) {
            Some(same) if same.is_template() || grows.file == function.file => {
                vague |= !same.is_template() && !same.generic;
                class = if same.is_template() || !same.generic {
                    Some(same)
                } else {
                    class
                };
            }
            _ if one_library || included_together(grows, function) => {}
            _ => {
                // A library's caller may be another library, or an interpreter.
                let user = !in_library || function.line.is_some();
                let name = function.name.as_deref();
                let main = name.is_some_and(|name| name.last() == "main");
                let known = user && (stepped || in_library) && !(vague && main);
                return known.then(|| Beyond {
                    user: position,
                    class: class.map(|class| types::template(class.written)),
                });
            }
        }
        stepped = true;
    }
    None
}
