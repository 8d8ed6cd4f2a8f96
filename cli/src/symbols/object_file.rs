//! One object file's functions and lines: debug information first, symbol table beside it.

use std::cell::OnceCell;

use mapgrow_containers::classify::closures;
use mapgrow_report::symbols::Frame;

use super::crates::LibraryCrates;
use super::debug_info::DebugInfo;
use super::files::{Files, OpenObject};
use super::jumps::Jumps;
use super::table::SymbolTable;
use super::types;

/// An object file, read as far as the questions asked so far need.
pub struct ObjectFile<'a> {
    object: OpenObject<'a>,
    debug_file: Option<OpenObject<'a>>,
    files: &'a Files,
    /// Loaded at the first address.
    debug: OnceCell<Option<DebugInfo<'a>>>,
    symbols: OnceCell<SymbolTable<'a>>,
    /// Read when a function has a name and no line.
    crates: OnceCell<LibraryCrates>,
}

impl<'a> ObjectFile<'a> {
    /// Takes an open object and its debug information, which may lie in another file.
    pub fn new(files: &'a Files, object: OpenObject<'a>) -> ObjectFile<'a> {
        let debug_file = if object.has_dwarf() {
            None
        } else {
            object.debug_file(files)
        };
        ObjectFile {
            object,
            debug_file,
            files,
            debug: OnceCell::new(),
            symbols: OnceCell::new(),
            crates: OnceCell::new(),
        }
    }

    /// Whether functions have lines and inlined callees.
    pub fn has_lines(&self) -> bool {
        self.with_dwarf().has_dwarf()
    }

    /// The file itself, without its debug information.
    pub fn opened(&self) -> &OpenObject<'a> {
        &self.object
    }

    /// The object that has the debug information, if any has.
    fn with_dwarf(&self) -> &OpenObject<'a> {
        self.debug_file.as_ref().unwrap_or(&self.object)
    }

    fn debug(&self) -> Option<&DebugInfo<'a>> {
        let load = || DebugInfo::load(self.files, self.with_dwarf());
        self.debug.get_or_init(load).as_ref()
    }

    /// Whether any function has a name.
    pub fn has_names(&self) -> bool {
        self.has_lines() || !self.symbols().is_empty()
    }

    /// Whether its functions are Rust's, as far as their names tell.
    pub fn is_rust(&self) -> bool {
        self.symbols().is_rust()
    }

    fn symbols(&self) -> &SymbolTable<'a> {
        self.symbols.get_or_init(|| {
            let debug_file = self.debug_file.as_ref().map(|file| &file.object);
            let objects: Vec<_> = debug_file
                .into_iter()
                .chain([&self.object.object])
                .collect();
            SymbolTable::read(&objects)
        })
    }

    /// Functions at an address of the file, innermost first.
    pub fn frames(&self, address: u64) -> Vec<Frame> {
        let mut frames = self
            .debug()
            .and_then(|debug| debug.frames(address, self.symbols()).ok())
            .unwrap_or_default();
        let physical = match frames.last_mut() {
            Some(last) => last,
            None => {
                let function = self.symbols().name_at(address);
                return function
                    .map(|function| vec![self.frame_by_symbol(function)])
                    .unwrap_or_default();
            }
        };
        // Line tables name a function without its path; and whatever debug information says,
        // a body that several functions share belongs to none of them.
        if (!physical.full_name || self.symbols().is_shared(address))
            && let Some(name) = self.symbols().name_at(address)
        {
            physical.frame.function = Some(name);
        }
        let shown = frames.into_iter().map(|mut named| {
            let body = named.frame.function.take_if(|_| named.async_body);
            if let Some(name) = body {
                named.frame.function = Some(closures::without_body(&name).to_owned());
            }
            named.frame
        });
        shown.collect()
    }

    /// Functions that left by a jump between the call at `outer` and the function at `inner`, innermost
    /// first.
    pub fn left_by_jump(&self, outer: u64, inner: u64) -> Vec<Frame> {
        let jumps = Jumps {
            object: &self.object.object,
            symbols: self.symbols(),
        };
        let between = jumps.between(outer, inner).into_iter();
        between.flat_map(|at| self.frames(at)).collect()
    }

    /// A function that only its symbol tells: of a library's, at least where its source lay.
    fn frame_by_symbol(&self, function: String) -> Frame {
        let crates = self.crates.get_or_init(|| match self.is_rust() {
            true => LibraryCrates::of(&self.object.object),
            false => LibraryCrates::default(),
        });
        Frame {
            file: crates.directory(&function).map(str::to_owned),
            function: Some(function),
            line: None,
        }
    }

    /// Element type of the container whose function is at an address: that of the innermost
    /// function that tells, as long as only containers' own code was passed on the way.
    pub fn element_type(&self, address: u64) -> Option<String> {
        let shared = self.symbols().is_shared(address);
        if let Some(debug) = self.debug()
            && let Ok(named) = debug.debug_names(address)
        {
            let physical = named.len().saturating_sub(1);
            // An allocator that was inlined here is the program's code, and the innermost.
            let allocator = named
                .iter()
                .rposition(|(name, _)| types::enters_allocator(name));
            let told = named
                .iter()
                .enumerate()
                .skip(allocator.map_or(0, |at| at + 1))
                .take_while(|(_, (_, file))| types::is_container_code(file))
                .filter(|(at, _)| !(shared && *at == physical))
                .find_map(|(_, (name, file))| types::from_debug_name(name, file));
            // Of C++ the whole name tells, which says whose method it is.
            let told = told.or_else(|| {
                let frames = self.frames(address);
                let own = frames.len() - usize::from(shared && !frames.is_empty());
                frames[..own]
                    .iter()
                    .filter_map(|frame| frame.function.as_deref())
                    .filter(|name| name.starts_with("std::"))
                    .find_map(types::from_symbol)
            });
            if told.is_some() {
                return told;
            }
        }
        if shared {
            return None;
        }
        self.symbols()
            .names_at(address)
            .first()
            .and_then(|name| types::from_symbol(&self.symbols().readable(name)))
    }
}
