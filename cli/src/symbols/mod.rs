//! Names for the addresses of a recording, from the object files that they lie in.
//!
//! Nothing is read before an address asks for it: a module's file is mapped at its first
//! address, its debug information is indexed by unit, and a unit is read when an address falls
//! into it. A file that is not the one that ran gives no names at all, and a sentence instead.

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

use object_file::ObjectFile;

/// Resolves addresses with the object files of this machine.
pub struct ObjectSymbolizer<'a> {
    files: &'a Files,
    places: Places,
    /// What each module's file turned out to be, by path and build id.
    modules: HashMap<(String, Vec<u8>), Option<ObjectFile<'a>>>,
    generated: GeneratedCode,
    warnings: Vec<String>,
}

impl<'a> ObjectSymbolizer<'a> {
    /// A symbolizer that looks in the given places and keeps what it maps in `files`.
    pub fn new(files: &'a Files, places: Places) -> ObjectSymbolizer<'a> {
        ObjectSymbolizer {
            files,
            places,
            modules: HashMap::new(),
            generated: GeneratedCode::default(),
            warnings: Vec::new(),
        }
    }

    /// The same, with names for code that the process generated.
    pub fn with_generated(self, generated: GeneratedCode) -> ObjectSymbolizer<'a> {
        ObjectSymbolizer { generated, ..self }
    }

    fn object(&mut self, module: &Module) -> Option<&ObjectFile<'a>> {
        let key = (module.path.clone(), module.build_id.clone());
        if !self.modules.contains_key(&key) {
            let object = self.open(module);
            self.modules.insert(key.clone(), object);
        }
        self.modules.get(&key)?.as_ref()
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
    fn frames(&mut self, module: &Module, address: u64) -> Vec<Frame> {
        let in_file = address.wrapping_sub(module.bias);
        self.object(module)
            .map(|object| object.frames(in_file))
            .unwrap_or_default()
    }

    fn generated(&mut self, address: u64) -> Option<Frame> {
        self.generated.function(address)
    }

    fn element_type(&mut self, module: &Module, address: u64) -> Option<String> {
        let in_file = address.wrapping_sub(module.bias);
        self.object(module)?.element_type(in_file)
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn done(&mut self) {
        self.modules.clear();
        self.files.rest();
    }
}
