//! Names for the addresses of a recording, from the object files that they lie in.
//!
//! Nothing is read before an address asks for it: a module's file is mapped at its first
//! address, its debug information is indexed by unit, and a unit is read when an address falls
//! into it. A file that is not the one that ran gives no names at all, and a sentence instead.

mod ahead;
mod crates;
mod debug_info;
mod enclosing;
mod files;
mod generated;
mod jumps;
mod locate;
mod modules;
mod names;
mod object_file;
mod opened;
mod scopes;
mod table;
mod tokens;
mod types;

use std::collections::HashMap;

use mapgrow_report::symbols::{Frame, Module, Symbolizer};

pub use files::Files;
pub(crate) use files::{OpenObject, hex};
pub use generated::GeneratedCode;
pub use locate::Places;
pub(crate) use locate::{Located, RECORDED_BUILD_ID_BYTES, locate};
pub use opened::Opened;
pub(crate) use table::SymbolTable;

use opened::Known;

/// Resolves addresses with the object files of this machine.
pub struct ObjectSymbolizer<'a> {
    opened: Opened<'a>,
    places: Places,
    generated: GeneratedCode,
    warnings: Vec<String>,
}

impl<'a> ObjectSymbolizer<'a> {
    /// A symbolizer that looks in the given places and keeps what it maps in `files`.
    pub fn new(files: &'a Files, places: Places) -> ObjectSymbolizer<'a> {
        ObjectSymbolizer {
            opened: Opened::new(files),
            places,
            generated: GeneratedCode::default(),
            warnings: Vec::new(),
        }
    }

    /// The same, with names for code that the process generated.
    pub fn with_generated(self, generated: GeneratedCode) -> ObjectSymbolizer<'a> {
        ObjectSymbolizer { generated, ..self }
    }

    /// The same, with files that were opened for other recordings.
    pub fn with_opened(self, mut opened: Opened<'a>) -> ObjectSymbolizer<'a> {
        opened.begin();
        ObjectSymbolizer { opened, ..self }
    }

    /// The files that were opened, for the next recording.
    pub fn into_opened(self) -> Opened<'a> {
        self.opened
    }

    fn known(&mut self, module: &Module) -> &mut Known<'a> {
        let known = self.opened.known(module, &self.places);
        if let Some(sentence) = &known.warning
            && !self.warnings.contains(sentence)
        {
            self.warnings.push(sentence.clone());
        }
        known
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

    fn left_by_jump(&mut self, module: &Module, outer: u64, inner: u64) -> Vec<Frame> {
        let in_file = |address: u64| address.wrapping_sub(module.bias);
        match &self.known(module).object {
            Some(object) => object.left_by_jump(in_file(outer), in_file(inner)),
            None => Vec::new(),
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
        self.opened.done();
    }
}
