//! One object file's functions and lines: debug information first, symbol table beside it.

use std::cell::OnceCell;
use std::sync::Arc;

use addr2line::Context;
use gimli::{AttributeValue, DebugInfoOffset, EndianSlice, RunTimeEndian, UnitOffset};
use mapgrow::report::symbols::Frame;
use object::{Object, ObjectSection};

use super::files::{Files, OpenObject};
use super::modules::Crates;
use super::names;
use super::table::SymbolTable;
use super::types;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;
type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;

/// Most steps from a function to the entry that has its name.
const MOST_ORIGINS: usize = 16;

/// An object file, read as far as the questions asked so far need.
pub struct ObjectFile<'a> {
    object: OpenObject<'a>,
    debug_file: Option<OpenObject<'a>>,
    files: &'a Files,
    /// Loaded at the first address.
    debug: OnceCell<Option<DebugInfo<'a>>>,
    symbols: OnceCell<SymbolTable<'a>>,
}

struct DebugInfo<'a> {
    context: Context<Slice<'a>>,
    dwarf: Arc<Dwarf<'a>>,
    /// Every unit's header, in order of offset: read when a name lies in another unit, as link
    /// time optimisation makes it.
    headers: OnceCell<Vec<gimli::UnitHeader<Slice<'a>>>>,
    /// Read when a function's name lacks its path.
    crates: OnceCell<Crates>,
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
                    .map(|function| {
                        vec![Frame {
                            function: Some(function),
                            ..Frame::default()
                        }]
                    })
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
        frames.into_iter().map(|named| named.frame).collect()
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

/// A frame, and whether its name has the function's whole path.
struct NamedFrame {
    frame: Frame,
    full_name: bool,
}

impl<'a> DebugInfo<'a> {
    fn load(files: &'a Files, source: &OpenObject<'a>) -> Option<DebugInfo<'a>> {
        if !source.has_dwarf() {
            return None;
        }
        let mut dwarf = load_sections(files, &source.object)?;
        if let Some(shared) = source.shared_debug_file(files) {
            dwarf.set_sup(load_sections(files, &shared.object)?);
        }
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        let dwarf = Arc::new(dwarf);
        let context = Context::from_arc_dwarf(Arc::clone(&dwarf)).ok()?;
        Some(DebugInfo {
            context,
            dwarf,
            headers: OnceCell::new(),
            crates: OnceCell::new(),
        })
    }

    fn frames(
        &self,
        address: u64,
        symbols: &SymbolTable<'_>,
    ) -> Result<Vec<NamedFrame>, gimli::Error> {
        let mut found = self.context.find_frames(address).skip_all_loads()?;
        let mut frames = Vec::new();
        while let Some(frame) = found.next()? {
            let file = frame.location.as_ref().and_then(|l| l.file);
            let line = frame.location.as_ref().and_then(|l| l.line);
            let raw = frame.function.as_ref().and_then(|f| f.raw_name().ok());
            let is_rust = frame
                .function
                .as_ref()
                .is_some_and(|f| f.language == Some(gimli::DW_LANG_Rust));
            let full_name = raw.as_deref().is_some_and(names::is_mangled);
            let function = raw.map(|raw| {
                if full_name || !is_rust {
                    return symbols.readable(&raw).to_string();
                }
                // The allocator's entry points belong to no module.
                let in_module = file.filter(|_| !types::enters_allocator(&raw));
                match in_module.and_then(|file| self.module_of(file, address)) {
                    Some(module) => format!("{module}::{raw}"),
                    None => raw.into_owned(),
                }
            });
            frames.push(NamedFrame {
                frame: Frame {
                    function,
                    file: file.map(str::to_owned),
                    // Line 0: code that no line of the source stands for.
                    line: line.filter(|line| *line != 0),
                },
                full_name,
            });
        }
        Ok(frames)
    }

    /// `DW_AT_name` and file of each function at an address, innermost first.
    fn debug_names(&self, address: u64) -> Result<Vec<(String, String)>, gimli::Error> {
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads();
        let Some(unit) = unit else {
            return Ok(Vec::new());
        };
        let mut found = self.context.find_frames(address).skip_all_loads()?;
        let mut names = Vec::new();
        while let Some(frame) = found.next()? {
            let file = frame.location.as_ref().and_then(|l| l.file);
            let name = match frame.dw_die_offset {
                Some(offset) => self.debug_name(unit, offset, MOST_ORIGINS)?,
                None => None,
            };
            names.push((
                name.unwrap_or_default(),
                file.unwrap_or_default().to_owned(),
            ));
        }
        Ok(names)
    }

    /// `DW_AT_name` of a function, through its abstract origin and its declaration.
    fn debug_name(
        &self,
        unit: gimli::UnitRef<'_, Slice<'a>>,
        offset: UnitOffset,
        steps_left: usize,
    ) -> Result<Option<String>, gimli::Error> {
        if steps_left == 0 {
            return Ok(None);
        }
        let entry = unit.entry(offset)?;
        if let Some(name) = entry.attr_value(gimli::DW_AT_name) {
            return Ok(Some(unit.attr_string(name)?.to_string_lossy().into_owned()));
        }
        let origin = entry
            .attr_value(gimli::DW_AT_abstract_origin)
            .or_else(|| entry.attr_value(gimli::DW_AT_specification));
        match origin {
            Some(AttributeValue::UnitRef(next)) => self.debug_name(unit, next, steps_left - 1),
            Some(AttributeValue::DebugInfoRef(next)) => {
                let Some(header) = self.header_of(next) else {
                    return Ok(None);
                };
                let Some(within) = next.to_unit_offset(header) else {
                    return Ok(None);
                };
                let other = self.dwarf.unit(*header)?;
                self.debug_name(other.unit_ref(&self.dwarf), within, steps_left - 1)
            }
            _ => Ok(None),
        }
    }

    fn headers(&self) -> &[gimli::UnitHeader<Slice<'a>>] {
        self.headers.get_or_init(|| {
            let mut headers = Vec::new();
            let mut units = self.dwarf.units();
            while let Ok(Some(header)) = units.next() {
                headers.push(header);
            }
            headers
        })
    }

    /// The header of the unit that an offset lies in.
    fn header_of(&self, offset: DebugInfoOffset) -> Option<&gimli::UnitHeader<Slice<'a>>> {
        let start = |header: &gimli::UnitHeader<Slice<'a>>| header.debug_info_offset();
        let headers = self.headers();
        let after = headers.partition_point(|header| start(header).is_some_and(|at| at <= offset));
        headers.get(after.checked_sub(1)?)
    }

    /// Module path of a function at an address, from the file that it lies in.
    fn module_of(&self, file: &str, address: u64) -> Option<String> {
        let crates = self.crates.get_or_init(|| {
            let mut crates = Crates::default();
            for header in self.headers() {
                if let Ok(unit) = self.dwarf.unit(*header) {
                    crates.see(&text(unit.name), &text(unit.comp_dir));
                }
            }
            crates
        });
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads()?;
        crates.module_of(file, &text(unit.comp_dir))
    }
}

fn text(slice: Option<Slice<'_>>) -> String {
    slice.map_or_else(String::new, |slice| slice.to_string_lossy().into_owned())
}

fn load_sections<'a>(files: &'a Files, object: &object::File<'a>) -> Option<Dwarf<'a>> {
    let endian = if object.is_little_endian() {
        RunTimeEndian::Little
    } else {
        RunTimeEndian::Big
    };
    gimli::Dwarf::load(|id| -> Result<Slice<'a>, gimli::Error> {
        let bytes = object
            .section_by_name(id.name())
            .and_then(|section| section.uncompressed_data().ok())
            .map_or(&[][..], |data| match data {
                std::borrow::Cow::Borrowed(bytes) => bytes,
                std::borrow::Cow::Owned(bytes) => files.keep(bytes),
            });
        Ok(EndianSlice::new(bytes, endian))
    })
    .ok()
}
