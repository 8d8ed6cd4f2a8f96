//! The symbol table of an object file, for what debug information does not name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use object::{Object, ObjectSymbol, SymbolKind};

use super::names;

/// Functions by address.
pub struct SymbolTable<'a> {
    /// Sorted by start.
    functions: Vec<Function<'a>>,
    /// Names that were asked for: a function has many addresses.
    readable: RefCell<HashMap<String, Rc<str>>>,
}

struct Function<'a> {
    start: u64,
    end: u64,
    name: &'a [u8],
}

impl<'a> SymbolTable<'a> {
    /// Reads the functions of the first of these objects that has any: pass the debug file
    /// before the stripped one.
    pub fn read(objects: &[&object::File<'a>]) -> SymbolTable<'a> {
        let functions = objects
            .iter()
            .map(|object| collect(object))
            .find(|functions| !functions.is_empty())
            .unwrap_or_default();
        SymbolTable {
            functions,
            readable: RefCell::default(),
        }
    }

    /// Whether there is not a single function.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Whether it has functions that the Rust compiler adds to every program and library.
    pub fn is_rust(&self) -> bool {
        let mut names = self.functions.iter().map(|function| function.name);
        names.any(|name| name == b"rust_eh_personality" || name == b"rust_begin_unwind")
    }

    /// A name as people read it, whether it is in this table or not.
    pub fn readable(&self, name: &str) -> Rc<str> {
        let mut known = self.readable.borrow_mut();
        if let Some(readable) = known.get(name) {
            return Rc::clone(readable);
        }
        let readable: Rc<str> = names::demangle(name).into();
        known.insert(name.to_owned(), Rc::clone(&readable));
        readable
    }

    /// Where the function that covers an address begins and ends.
    pub fn bounds_at(&self, address: u64) -> Option<(u64, u64)> {
        /// Labels inside a function hide it by this many entries at most.
        const LABELS: usize = 8;
        let upto = self.functions.partition_point(|f| f.start <= address);
        let mut before = self.functions[..upto].iter().rev().take(LABELS);
        let function = before.find(|f| address < f.end)?;
        Some((function.start, function.end))
    }

    /// Mangled names of the function that covers an address: several when functions share one
    /// body.
    pub fn names_at(&self, address: u64) -> Vec<&'a str> {
        let Some((start, _)) = self.bounds_at(address) else {
            return Vec::new();
        };
        let upto = self.functions.partition_point(|f| f.start <= address);
        let first = self.functions.partition_point(|f| f.start < start);
        let mut found: Vec<&str> = self.functions[first..upto]
            .iter()
            .take_while(|f| f.start == start)
            .filter_map(|f| std::str::from_utf8(f.name).ok())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Readable name of the function that covers an address. Functions that differ in their
    /// generic arguments alone and share one body are named without these: any would be a
    /// guess.
    pub fn name_at(&self, address: u64) -> Option<String> {
        let names = self.names_at(address);
        let mut readable = names.iter().map(|name| self.readable(name));
        let first = readable.next()?;
        if readable.all(|other| other == first) {
            return Some(first.to_string());
        }
        let common = names::without_generics(&first);
        let same = names
            .iter()
            .all(|name| names::without_generics(&self.readable(name)) == common);
        // Aliases of C functions: the shortest is the public one (`malloc`, `__libc_malloc`).
        let shortest = || {
            names
                .iter()
                .min_by_key(|name| names::without_suffix(name).len())
        };
        Some(if same {
            common
        } else {
            self.readable(shortest()?).to_string()
        })
    }

    /// Whether several Rust or C++ functions share the body at an address, so that none of
    /// their type arguments can be trusted.
    pub fn is_shared(&self, address: u64) -> bool {
        let names = self.names_at(address);
        if names.len() < 2 {
            return false;
        }
        let mut distinct: Vec<&str> = names
            .into_iter()
            .filter(|name| names::is_mangled(name))
            .map(names::without_suffix)
            .collect();
        distinct.dedup();
        distinct.len() > 1
    }
}

fn collect<'a>(object: &object::File<'a>) -> Vec<Function<'a>> {
    let from = |symbols: object::SymbolIterator<'a, '_>| -> Vec<Function<'a>> {
        symbols
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
            .filter_map(|symbol| {
                Some(Function {
                    start: symbol.address(),
                    end: symbol.address().checked_add(symbol.size())?,
                    name: symbol.name_bytes().ok().filter(|name| !name.is_empty())?,
                })
            })
            .collect()
    };
    let mut functions = from(object.symbols());
    if functions.is_empty() {
        functions = from(object.dynamic_symbols());
    }
    functions.sort_unstable_by_key(|f| f.start);
    // Hand-written assembly often states no size: such a function ends where the next starts.
    let mut next_start = None;
    for at in (0..functions.len()).rev() {
        let start = functions[at].start;
        let following = functions.get(at + 1).map(|f| (f.start, f.end));
        if let Some((following_start, _)) = following
            && following_start > start
        {
            next_start = Some(following_start);
        }
        if functions[at].end == start {
            functions[at].end = next_start.unwrap_or(start);
        }
    }
    functions
}
