//! Containers, frames and places go in, what they are called comes out.

use super::fit::{fit, printable};
use crate::model::{Caller, Site, StackFrame};
use foldhash::HashMap;
use mapgrow_containers::classify::go;
use mapgrow_containers::classify::names::Name;
use mapgrow_containers::classify::whose::{Whose, is_library_file, whose_alone};

/// What the containers of a site are called: their type, else their kind.
#[must_use]
pub fn what(site: &Site) -> String {
    container(site.family, site.type_name.as_deref())
}

/// What a site is called: `HashMap<u64, Session> at src/cache.rs:58`.
#[must_use]
pub fn title(site: &Site) -> String {
    format!("{} at {}", what(site), place_of(site))
}

/// The same from the parts of it.
pub(crate) fn named(
    family: Option<&str>,
    type_name: Option<&str>,
    caller: Option<&Caller>,
) -> String {
    format!("{} at {}", container(family, type_name), place(caller))
}

/// Where a frame stands in the sources: `src/cache.rs:58`.
#[must_use]
pub fn frame_place(frame: &StackFrame) -> Option<String> {
    let file = source(frame.file.as_deref()?);
    Some(match frame.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    })
}

/// Whether a frame is the program's own, not of a library or of what starts programs.
#[must_use]
pub fn is_own(frame: &StackFrame) -> bool {
    whose_frame(frame) == Whose::Program
}

/// Whose code a frame is. Names of interpreted languages mean nothing in others (there every program
/// may have a function `main`): of their frames, which have no address, the file tells.
fn whose_frame(frame: &StackFrame) -> Whose {
    let file = frame.file.as_deref();
    match frame.address {
        Some(_) => whose_alone(&Name::parse(&frame.function), file),
        None if file.is_some_and(is_library_file) => Whose::Library,
        None => Whose::Program,
    }
}

/// Where a site's caller stands in its stack.
#[must_use]
pub fn caller_at(site: &Site, stack: &[StackFrame]) -> Option<usize> {
    let caller = site.caller.as_ref()?;
    stack
        .iter()
        .position(|frame| *frame.function == *caller.function && frame.line == caller.line)
}

/// What the container is called: its type, else its kind.
pub(crate) fn container(family: Option<&str>, type_name: Option<&str>) -> String {
    let kind = match family {
        Some("hashbrown") => "a hash map",
        Some("raw_vec") => "a vector",
        Some("btree") => "a B-tree",
        Some("arena") => "an arena",
        Some("go_map") => "a map",
        Some("go_slice") => "a slice",
        Some("unknown_container") => "a container",
        Some(other) => other,
        None => "something",
    };
    printable(type_name.unwrap_or(kind))
}

/// Where a call was made: `src/cache.rs:58`, or what else is known of it.
#[must_use]
pub fn place(caller: Option<&Caller>) -> String {
    match caller {
        Some(Caller {
            file: Some(file),
            line: Some(line),
            ..
        }) => {
            format!("{}:{line}", source(file))
        }
        // A function of a script.
        Some(Caller {
            file: Some(file),
            function,
            ..
        }) => format!("{} ({})", printable(function), source(file)),
        Some(Caller { function, .. }) => printable(function),
        None => "an unknown place".to_owned(),
    }
}

/// A source file without what every path on that machine begins with.
fn source(file: &str) -> String {
    let file = printable(file);
    if let Some((_, inside)) = file.split_once("/registry/src/") {
        // The first part names the registry.
        return inside
            .split_once('/')
            .map_or(inside, |(_, crate_path)| crate_path)
            .to_owned();
    }
    if let Some((_, inside)) = file
        .split_once("/library/")
        .filter(|_| file.starts_with("/rustc/"))
    {
        return format!("library/{inside}");
    }
    if !file.starts_with('/') {
        return file;
    }
    // `audit/src/log.rs`: the crate's directory and what follows, or the last three parts.
    let mut parts: Vec<&str> = file.rsplit('/').collect();
    let keep = parts
        .iter()
        .position(|&part| part == "src")
        .map_or(3, |src| src + 2);
    parts.truncate(keep);
    parts.reverse();
    parts.join("/").trim_start_matches('/').to_owned()
}

/// `demo::cache::Cache::put, src/cache.rs:58`, within `room` columns.
pub(crate) fn function_and_place(caller: &Caller, room: usize) -> String {
    let function = printable(&caller.function);
    match (&caller.file, caller.line) {
        (Some(file), Some(line)) => {
            let place = format!("{}:{line}", source(file));
            let left = room.saturating_sub(place.chars().count() + 2).max(room / 2);
            let function = fit(&function, left);
            let left = room
                .saturating_sub(function.chars().count() + 2)
                .max(room / 3);
            format!("{function}, {}", fit(&place, left))
        }
        _ => fit(&function, room),
    }
}

/// Whose code frames are, of those that were asked about before: many sites share their functions.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    /// By the places of the texts of function and file, which the frames of one report share; whether
    /// the frame is of machine code; whether the container is Go's.
    known: HashMap<(usize, usize, bool, bool), Whose>,
}

impl Callers {
    /// The program's own callers of a site, outwards, at most so many.
    pub fn of<'a>(&mut self, site: &'a Site, most: usize) -> Vec<&'a StackFrame> {
        let outwards = caller_at(site, &site.stack).map_or(site.stack.len(), |at| at + 1);
        let go = site.family.is_some_and(|family| family.starts_with("go_"));
        // What every program of a compiled language begins with, where no line tells a call in it from
        // another.
        let begins = |frame: &StackFrame| {
            frame.address.is_some() && frame.line.is_none() && *frame.function == *"main"
        };
        let mut callers = Vec::new();
        for frame in &site.stack[outwards..] {
            if callers.len() == most {
                break;
            }
            match self.whose(frame, go) {
                Whose::Entry => break,
                Whose::Program if !begins(frame) => callers.push(frame),
                _ => {}
            }
        }
        callers
    }

    fn whose(&mut self, frame: &StackFrame, go: bool) -> Whose {
        let place = |text: &str| text.as_ptr().addr();
        let file = frame.file.as_deref().map_or(0, place);
        let key = (place(&frame.function), file, frame.address.is_some(), go);
        *self.known.entry(key).or_insert_with(|| match go {
            true => go::whose(&go::name(&frame.function)),
            false => whose_frame(frame),
        })
    }
}

/// `demo::serve (src/main.rs:20)`.
pub(crate) fn called_by(caller: &Caller) -> String {
    match (&caller.file, caller.line) {
        (Some(file), Some(line)) => {
            format!("{} ({}:{line})", printable(&caller.function), source(file))
        }
        _ => printable(&caller.function),
    }
}

/// Where the maps of a site grow: `src/cache.rs:58`, and from where that was called if another block
/// has the same.
#[must_use]
pub fn place_of(site: &Site) -> String {
    let place = place(site.caller.as_ref());
    match &site.called_from {
        Some(from) => format!("{place} from {}", self::place(Some(from))),
        None => place,
    }
}

/// The text as the beginning of a sentence.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        // Types keep the case that the program gives them.
        Some(first) if text.starts_with("a ") || text.starts_with("an ") => {
            first.to_uppercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
