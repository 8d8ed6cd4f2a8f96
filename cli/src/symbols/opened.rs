//! The object files that the modules of recordings turned out to be.

use std::collections::HashMap;

use mapgrow_report::symbols::Module;

use super::ahead::Told;
use super::files::Files;
use super::locate::{Located, Places, locate};
use super::object_file::ObjectFile;

/// Object files that were opened, by module. Recordings of the same program can share them.
pub struct Opened<'a> {
    files: &'a Files,
    /// Whether they stay open when a recording is done.
    keep: bool,
    /// Number of the recording at hand.
    recording: usize,
    all: Vec<Known<'a>>,
    /// Positions in `all`, by the path of the module.
    by_path: HashMap<String, Vec<usize>>,
}

/// What is known of a module.
pub(super) struct Known<'a> {
    build_id: Vec<u8>,
    /// The recording that it was met in.
    recording: usize,
    /// Its file, when it has one that can be used.
    pub object: Option<ObjectFile<'a>>,
    /// What the reader of the report has to know about the file.
    pub warning: Option<String>,
    /// What was looked up ahead, by address in the file.
    pub ahead: HashMap<u64, Told>,
}

impl<'a> Opened<'a> {
    /// None yet; they will be closed when a recording is done.
    pub fn new(files: &'a Files) -> Opened<'a> {
        Opened {
            files,
            keep: false,
            recording: 0,
            all: Vec::new(),
            by_path: HashMap::new(),
        }
    }

    /// None yet; they will stay open for the next recording.
    pub fn for_many(files: &'a Files) -> Opened<'a> {
        Opened {
            keep: true,
            ..Opened::new(files)
        }
    }

    /// Where they are kept.
    pub fn files(&self) -> &'a Files {
        self.files
    }

    /// Another recording begins.
    pub(super) fn begin(&mut self) {
        self.recording += 1;
    }

    /// What there is of a module; its file is opened when it is met for the first time.
    pub(super) fn known(&mut self, module: &Module, places: &Places) -> &mut Known<'a> {
        let met = self.by_path.get(&module.path).and_then(|known| {
            let mut known = known.iter().copied();
            known.find(|&at| self.all[at].serves(module, self.recording))
        });
        let at = met.unwrap_or_else(|| {
            let known = self.open(module, places);
            self.all.push(known);
            let at = self.all.len() - 1;
            let same_path = self.by_path.entry(module.path.clone()).or_default();
            same_path.push(at);
            at
        });
        &mut self.all[at]
    }

    /// The recording at hand is done.
    pub(super) fn done(&mut self) {
        if self.keep {
            self.all.iter_mut().for_each(|known| known.ahead.clear());
        } else {
            self.all.clear();
            self.by_path.clear();
        }
        self.files.rest();
    }

    fn open(&self, module: &Module, places: &Places) -> Known<'a> {
        let (object, warning) = match locate(self.files, places, module) {
            Located::Found(opened) => {
                let object = ObjectFile::new(self.files, *opened);
                let warning = warning(&object, module, places);
                (Some(object), warning)
            }
            Located::NoFile => (None, None),
            Located::Unusable(sentence) => (None, Some(sentence)),
        };
        Known {
            build_id: module.build_id.clone(),
            recording: self.recording,
            object,
            warning,
            ahead: HashMap::new(),
        }
    }
}

impl Known<'_> {
    /// Whether this is the module as a recording has it. Where a file has no build id, or was
    /// not found, another process may still have another one.
    fn serves(&self, module: &Module, recording: usize) -> bool {
        let settled = self.object.is_some() && !self.build_id.is_empty();
        self.build_id == module.build_id && (settled || self.recording == recording)
    }
}

fn warning(object: &ObjectFile<'_>, module: &Module, places: &Places) -> Option<String> {
    let path = &module.path;
    if !object.has_names() {
        return Some(format!(
            // Nothing is left that tells the language.
            "{path} is stripped: its functions are shown as addresses. Build it with `-g` (Rust: \
             `debug = \"line-tables-only\"`) and without `strip` to see their names and lines."
        ));
    }
    let lacks_lines = !object.has_lines() && places.is_program(module);
    let debug = if lacks_lines && object.is_rust() {
        "`debug = \"line-tables-only\"`"
    } else {
        "`-g`"
    };
    lacks_lines.then(|| {
        format!(
            "{path} has no line tables: lines and inlined functions are missing. Build it with \
             {debug} to see them."
        )
    })
}
