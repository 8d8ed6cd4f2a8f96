//! The tables of a profile while it is put together: every string, mapping, function and
//! location once.

use std::collections::HashMap;

use mapgrow_report::{LoadedModule, StackFrame};

use super::proto::{Function, Label, Line, Location, Mapping, Profile, ValueType};

/// A profile that is being put together.
pub struct Tables<'a> {
    profile: Profile,
    strings: HashMap<String, i64>,
    functions: HashMap<(i64, i64), u64>,
    locations: HashMap<(u64, u64, Vec<Line>), u64>,
    /// In the order of their mappings.
    modules: Vec<&'a LoadedModule>,
}

impl<'a> Tables<'a> {
    /// A profile whose samples have values of these kinds: name and unit. The mappings are the
    /// modules, that of the program first, which readers take for the main binary.
    pub fn new(kinds: &[(&str, &str)], modules: &'a [LoadedModule], program: Option<&str>) -> Self {
        let mut modules: Vec<&LoadedModule> = modules.iter().collect();
        modules.sort_by_key(|module| Some(module.path.as_str()) != program);
        let mut tables = Self {
            profile: Profile::default(),
            strings: HashMap::new(),
            functions: HashMap::new(),
            locations: HashMap::new(),
            modules: Vec::new(),
        };
        // The format wants the empty string first.
        tables.string("");
        for (name, unit) in kinds {
            let kind = ValueType {
                r#type: tables.string(name),
                unit: tables.string(unit),
            };
            tables.profile.sample_type.push(kind);
        }
        for (index, module) in modules.iter().enumerate() {
            let mapping = Mapping {
                id: index as u64 + 1,
                memory_start: module.start_address,
                memory_limit: module.end_address,
                file_offset: 0,
                filename: tables.string(&module.path),
                build_id: tables.string(module.build_id.as_deref().unwrap_or_default()),
                // What names there are were found: a reader need not look for more.
                has_functions: true,
                has_filenames: true,
                has_line_numbers: true,
                has_inline_frames: true,
            };
            tables.profile.mapping.push(mapping);
        }
        tables.modules = modules;
        tables
    }

    /// The index of a string.
    pub fn string(&mut self, text: &str) -> i64 {
        if let Some(&index) = self.strings.get(text) {
            return index;
        }
        let index = self.profile.string_table.len() as i64;
        self.profile.string_table.push(text.as_bytes().to_vec());
        self.strings.insert(text.to_owned(), index);
        index
    }

    /// A property of a sample.
    pub fn label(&mut self, key: &str, value: &str) -> Label {
        Label {
            key: self.string(key),
            str: self.string(value),
            ..Label::default()
        }
    }

    /// The locations of a call stack: functions inlined into one share its location.
    pub fn stack(&mut self, stack: &[StackFrame]) -> Vec<u64> {
        let mut ids = Vec::new();
        let mut lines = Vec::new();
        for (at, frame) in stack.iter().enumerate() {
            lines.push(self.line(frame));
            if !frame.inlined || at + 1 == stack.len() {
                ids.push(self.location(frame, std::mem::take(&mut lines)));
            }
        }
        ids
    }

    fn line(&mut self, frame: &StackFrame) -> Line {
        let name = self.string(&frame.function);
        let filename = self.string(frame.file.as_deref().unwrap_or_default());
        let next = self.functions.len() as u64 + 1;
        let id = *self.functions.entry((name, filename)).or_insert(next);
        if id == next {
            self.profile.function.push(Function {
                id,
                name,
                // pprof takes a name that is also the system's for one that it may shorten, and
                // cuts `<Cache as Store>::put` to `::put`.
                system_name: 0,
                filename,
                start_line: 0,
            });
        }
        Line {
            function_id: id,
            line: frame.line.map_or(0, i64::from),
        }
    }

    fn location(&mut self, frame: &StackFrame, lines: Vec<Line>) -> u64 {
        // A return address is behind the call; readers look the call itself up.
        let address = frame.address.map_or(0, |address| address.saturating_sub(1));
        let within = |module: &&LoadedModule| {
            (module.start_address..module.end_address).contains(&address)
                && frame.module.as_deref() == Some(module.path.as_str())
        };
        let mapping = self.modules.iter().rposition(within);
        let mapping_id = mapping.map_or(0, |index| index as u64 + 1);
        let next = self.locations.len() as u64 + 1;
        let key = (mapping_id, address, lines);
        if let Some(&id) = self.locations.get(&key) {
            return id;
        }
        self.profile.location.push(Location {
            id: next,
            mapping_id,
            address,
            line: key.2.clone(),
        });
        self.locations.insert(key, next);
        next
    }

    /// Adds a sentence for people.
    pub fn comment(&mut self, text: &str) {
        let index = self.string(text);
        self.profile.comment.push(index);
    }

    /// The profile, without samples.
    pub fn finish(self) -> Profile {
        self.profile
    }
}
