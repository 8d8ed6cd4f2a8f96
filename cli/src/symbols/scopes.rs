//! The namespaces and classes of functions whose name does not tell them.
//!
//! A function that no other object can call (one of an unnamed namespace, or of a type that is
//! local to a function) has no mangled name in the debug information of GCC, and an inlined one has
//! no symbol either. Its entry lies within those of its namespaces and classes, but entries lead
//! inwards only: so the whole unit is gone through, once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use gimli::{DebugInfoOffset, UnitOffset};

use super::debug_info::Slice;

/// Scopes within each other, and bytes of a path, at most: a forged file must not make us grow.
const MOST_DEPTH: usize = 64;
const MOST_BYTES: usize = 4096;

/// As compilers write it.
const UNNAMED: &str = "(anonymous namespace)";

/// Functions by their place in a unit, and what they lie in.
type OfUnit = HashMap<UnitOffset, Rc<str>>;

/// What is known of the units that were gone through.
#[derive(Debug, Default)]
pub struct Scopes {
    units: RefCell<HashMap<DebugInfoOffset, Rc<OfUnit>>>,
}

impl Scopes {
    /// The scope of the function that is declared at this place, such as `std::vector<int>`;
    /// `None` for a function that lies in none.
    pub fn of(&self, unit: gimli::UnitRef<'_, Slice<'_>>, function: UnitOffset) -> Option<String> {
        let key = unit.header.debug_info_offset()?;
        let known = self.units.borrow().get(&key).cloned();
        let scopes = known.unwrap_or_else(|| {
            // What cannot be read has no scopes.
            let read = Rc::new(read(unit).unwrap_or_default());
            self.units.borrow_mut().insert(key, Rc::clone(&read));
            read
        });
        scopes.get(&function).map(|scope| scope.to_string())
    }
}

fn read(unit: gimli::UnitRef<'_, Slice<'_>>) -> Result<OfUnit, gimli::Error> {
    let mut functions = OfUnit::new();
    // Scopes around the entry at hand: how deep each lies, and its whole path.
    let mut around: Vec<(isize, Rc<str>)> = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        let depth = entry.depth();
        while around.last().is_some_and(|(outer, _)| *outer >= depth) {
            around.pop();
        }
        let name = || -> Result<Option<String>, gimli::Error> {
            let name = entry.attr_value(gimli::DW_AT_name);
            name.map(|name| Ok(unit.attr_string(name)?.to_string_lossy().into_owned()))
                .transpose()
        };
        let own = match entry.tag() {
            gimli::DW_TAG_namespace => Some(name()?.unwrap_or_else(|| UNNAMED.to_owned())),
            gimli::DW_TAG_class_type | gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                name()?
            }
            gimli::DW_TAG_subprogram => {
                if let Some((_, path)) = around.last() {
                    functions.insert(entry.offset(), Rc::clone(path));
                }
                name()?
            }
            _ => None,
        };
        if let Some(own) = own {
            let path = match around.last() {
                Some((_, outer)) => format!("{outer}::{own}"),
                None => own,
            };
            if around.len() < MOST_DEPTH && path.len() <= MOST_BYTES {
                around.push((depth, path.into()));
            }
        }
    }
    Ok(functions)
}
