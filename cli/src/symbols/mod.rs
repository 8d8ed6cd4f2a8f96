//! Names for the addresses of a recording, from the object files that they lie in.
//!
//! Nothing is read before an address asks for it: a module's file is mapped at its first
//! address, its debug information is indexed by unit, and a unit is read when an address falls
//! into it. A file that is not the one that ran gives no names at all, and a sentence instead.

mod ahead;
mod files;
mod generated;
mod locate;
mod modules;
mod names;
mod object_file;
mod table;
mod types;

use std::collections::HashMap;

use mapgrow::report::symbols::{Frame, Module, Symbolizer};

pub use files::Files;
pub(crate) use files::OpenObject;
pub use generated::GeneratedCode;
pub use locate::Places;
pub(crate) use locate::{Located, locate};
pub(crate) use table::SymbolTable;

use ahead::Told;
use object_file::ObjectFile;

/// Resolves addresses with the object files of this machine.
pub struct ObjectSymbolizer<'a> {
    files: &'a Files,
    places: Places,
    modules: Vec<Known<'a>>,
    /// Positions in `modules` by path, with the build id of each.
    by_path: HashMap<String, Vec<(Vec<u8>, usize)>>,
    generated: GeneratedCode,
    warnings: Vec<String>,
}

/// What is known of a module.
struct Known<'a> {
    /// Its file, when it has one that can be used.
    object: Option<ObjectFile<'a>>,
    /// What was looked up ahead, by address in the file.
    ahead: HashMap<u64, Told>,
}

impl<'a> ObjectSymbolizer<'a> {
    /// A symbolizer that looks in the given places and keeps what it maps in `files`.
    pub fn new(files: &'a Files, places: Places) -> ObjectSymbolizer<'a> {
        ObjectSymbolizer {
            files,
            places,
            modules: Vec::new(),
            by_path: HashMap::new(),
            generated: GeneratedCode::default(),
            warnings: Vec::new(),
        }
    }

    /// The same, with names for code that the process generated.
    pub fn with_generated(self, generated: GeneratedCode) -> ObjectSymbolizer<'a> {
        ObjectSymbolizer { generated, ..self }
    }

    fn known(&mut self, module: &Module) -> &mut Known<'a> {
        let builds = self.by_path.get(&module.path);
        let met = builds.and_then(|builds| builds.iter().find(|(id, _)| *id == module.build_id));
        let at = match met {
            Some(&(_, at)) => at,
            None => {
                let object = self.open(module);
                let at = self.modules.len();
                self.modules.push(Known {
                    object,
                    ahead: HashMap::new(),
                });
                let builds = self.by_path.entry(module.path.clone()).or_default();
                builds.push((module.build_id.clone(), at));
                at
            }
        };
        &mut self.modules[at]
    }

    fn open(&mut self, module: &Module) -> Option<ObjectFile<'a>> {
        let path = &module.path;
        let opened = match locate(self.files, &self.places, module) {
            Located::Found(opened) => opened,
            Located::NoFile => return None,
            Located::Unusable(sentence) => {
                self.warn(sentence);
                return None;
            }
        };
        let object = ObjectFile::new(self.files, *opened);
        if !object.has_names() {
            self.warn(format!(
                "{path} is stripped: its functions are shown as addresses. Build it with \
                 `debug = \"line-tables-only\"` and without `strip` to see their names and lines."
            ));
        } else if !object.has_lines() && self.places.is_program(module) {
            self.warn(format!(
                "{path} has no line tables: lines and inlined functions are missing. Build it \
                 with `debug = \"line-tables-only\"` to see them."
            ));
        }
        Some(object)
    }

    fn warn(&mut self, sentence: String) {
        if !self.warnings.contains(&sentence) {
            self.warnings.push(sentence);
        }
    }
}

impl Symbolizer for ObjectSymbolizer<'_> {
    fn look_ahead(&mut self, addresses: &[(&Module, u64)]) {
        let mut by_module: HashMap<usize, (&Module, Vec<u64>)> = HashMap::new();
        for &(module, address) in addresses {
            let key = std::ptr::from_ref(module).addr();
            let (_, of_module) = by_module.entry(key).or_insert((module, Vec::new()));
            of_module.push(address.wrapping_sub(module.bias));
        }
        for (module, addresses) in by_module.into_values() {
            let known = self.known(module);
            if let Some(object) = &known.object {
                let told = ahead::look_up(object.opened(), addresses);
                known.ahead.extend(told);
            }
        }
    }

    fn frames(&mut self, module: &Module, address: u64) -> Vec<Frame> {
        let in_file = address.wrapping_sub(module.bias);
        let known = self.known(module);
        match (known.ahead.get(&in_file), &known.object) {
            (Some(told), _) => told.frames.clone(),
            (None, Some(object)) => object.frames(in_file),
            (None, None) => Vec::new(),
        }
    }

    fn generated(&mut self, address: u64) -> Option<Frame> {
        self.generated.function(address)
    }

    fn element_type(&mut self, module: &Module, address: u64) -> Option<String> {
        let in_file = address.wrapping_sub(module.bias);
        let known = self.known(module);
        match known.ahead.get(&in_file) {
            Some(told) => told.element_type.clone(),
            None => known.object.as_ref()?.element_type(in_file),
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn done(&mut self) {
        self.modules.clear();
        self.by_path.clear();
        self.files.rest();
    }
}
