//! Debug information: functions, lines, and the names that only it has.

use std::cell::OnceCell;
use std::sync::Arc;

use addr2line::Context;
use gimli::{AttributeValue, DebugInfoOffset, EndianSlice, RunTimeEndian, UnitOffset};
use mapgrow_report::symbols::Frame;
use object::{Object, ObjectSection};

use super::files::{Files, OpenObject};
use super::modules::Crates;
use super::names;
use super::scopes::Scopes;
use super::table::SymbolTable;
use super::types;

/// A section's bytes.
pub type Slice<'a> = EndianSlice<'a, RunTimeEndian>;
/// Debug information.
pub type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;

/// Most steps from a function to the entry that has its name.
const MOST_ORIGINS: usize = 16;

/// The debug information of an object file, read as far as it is asked for.
pub struct DebugInfo<'a> {
    context: Context<Slice<'a>>,
    dwarf: Arc<Dwarf<'a>>,
    /// Every unit's header, in order of offset: read when a name lies in another unit, as link
    /// time optimisation makes it.
    headers: OnceCell<Vec<gimli::UnitHeader<Slice<'a>>>>,
    /// Read when a function's name lacks its path: of Rust...
    crates: OnceCell<Crates>,
    /// ...and of C++.
    scopes: Scopes,
}

/// A frame, and whether its name has the function's whole path.
pub struct NamedFrame {
    /// The frame.
    pub frame: Frame,
    /// Whether the name has the whole path.
    pub full_name: bool,
}

impl<'a> DebugInfo<'a> {
    /// Reads what says where the rest lies.
    pub fn load(files: &'a Files, source: &OpenObject<'a>) -> Option<DebugInfo<'a>> {
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
            scopes: Scopes::default(),
        })
    }

    /// The functions at an address, innermost first.
    pub fn frames(
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
            let is_cpp = frame
                .function
                .as_ref()
                .and_then(|f| f.language)
                .is_some_and(is_cpp);
            let full_name = raw.as_deref().is_some_and(names::is_mangled);
            let function = raw.map(|raw| {
                if full_name || !is_rust {
                    let scope = frame
                        .dw_die_offset
                        .filter(|_| is_cpp && !full_name)
                        .and_then(|offset| self.scope(address, offset));
                    let name = symbols.readable(&raw);
                    return match scope {
                        Some(scope) => format!("{scope}::{name}"),
                        None => name.to_string(),
                    };
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
    pub fn debug_names(&self, address: u64) -> Result<Vec<(String, String)>, gimli::Error> {
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads();
        let Some(unit) = unit else {
            return Ok(Vec::new());
        };
        let mut found = self.context.find_frames(address).skip_all_loads()?;
        let mut names = Vec::new();
        while let Some(frame) = found.next()? {
            let file = frame.location.as_ref().and_then(|l| l.file);
            let name = match frame.dw_die_offset {
                Some(offset) => self.debug_name(unit, offset)?,
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
    ) -> Result<Option<String>, gimli::Error> {
        self.named(unit, offset, MOST_ORIGINS, &mut |unit, entry| {
            let name = entry.attr_value(gimli::DW_AT_name);
            name.map(|name| Ok(unit.attr_string(name)?.to_string_lossy().into_owned()))
                .transpose()
        })
    }

    /// The namespaces and classes that a function of C++ lies in: those of its declaration.
    fn scope(&self, address: u64, offset: UnitOffset) -> Option<String> {
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads()?;
        let found = self.named(unit, offset, MOST_ORIGINS, &mut |unit, entry| {
            let declared = origin(entry).is_none();
            Ok(declared.then(|| self.scopes.of(unit, entry.offset())))
        });
        found.ok()??
    }

    /// What `find` finds at a function's entry, or at the one that it comes from.
    fn named<T>(
        &self,
        unit: gimli::UnitRef<'_, Slice<'a>>,
        offset: UnitOffset,
        steps_left: usize,
        find: &mut impl FnMut(
            gimli::UnitRef<'_, Slice<'a>>,
            &gimli::DebuggingInformationEntry<Slice<'a>>,
        ) -> Result<Option<T>, gimli::Error>,
    ) -> Result<Option<T>, gimli::Error> {
        if steps_left == 0 {
            return Ok(None);
        }
        let entry = unit.entry(offset)?;
        if let Some(found) = find(unit, &entry)? {
            return Ok(Some(found));
        }
        match origin(&entry) {
            Some(AttributeValue::UnitRef(next)) => self.named(unit, next, steps_left - 1, find),
            Some(AttributeValue::DebugInfoRef(next)) => {
                let Some(header) = self.header_of(next) else {
                    return Ok(None);
                };
                let Some(within) = next.to_unit_offset(header) else {
                    return Ok(None);
                };
                let other = self.dwarf.unit(*header)?;
                self.named(other.unit_ref(&self.dwarf), within, steps_left - 1, find)
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

/// Where the rest of what is said of a function stands.
fn origin<'a>(
    entry: &gimli::DebuggingInformationEntry<Slice<'a>>,
) -> Option<AttributeValue<Slice<'a>>> {
    entry
        .attr_value(gimli::DW_AT_abstract_origin)
        .or_else(|| entry.attr_value(gimli::DW_AT_specification))
}

fn is_cpp(language: gimli::DwLang) -> bool {
    matches!(
        language,
        gimli::DW_LANG_C_plus_plus
            | gimli::DW_LANG_C_plus_plus_03
            | gimli::DW_LANG_C_plus_plus_11
            | gimli::DW_LANG_C_plus_plus_14
            | gimli::DW_LANG_C_plus_plus_17
            | gimli::DW_LANG_C_plus_plus_20
    )
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
