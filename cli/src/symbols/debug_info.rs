//! Debug information: functions, lines, and the names that only it has.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::SystemTime;

use addr2line::Context;
use gimli::{AttributeValue, DebugInfoOffset, EndianSlice, RunTimeEndian, UnitOffset};
use mapgrow_containers::classify::closures::{self, Part};
use mapgrow_report::symbols::Frame;
use object::{Object, ObjectSection};

use super::enclosing::Sources;
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
    /// Read when a closure's function is not known.
    sources: Sources,
    /// When the object was written.
    built: Option<SystemTime>,
}

/// A frame, and whether its name has the function's whole path.
pub struct NamedFrame {
    /// The frame.
    pub frame: Frame,
    /// Whether the name has the whole path.
    pub full_name: bool,
    /// Whether this is what the program wrote as an async function.
    pub async_body: bool,
}

/// What debug information says of a function at an address.
struct Entry<'c> {
    raw: Option<String>,
    file: Option<&'c str>,
    line: Option<u32>,
    is_rust: bool,
    is_cpp: bool,
    offset: Option<UnitOffset>,
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
            sources: Sources::default(),
            built: source.path.metadata().and_then(|meta| meta.modified()).ok(),
        })
    }

    /// The functions at an address, innermost first.
    pub fn frames(
        &self,
        address: u64,
        symbols: &SymbolTable<'_>,
    ) -> Result<Vec<NamedFrame>, gimli::Error> {
        let mut found = self.context.find_frames(address).skip_all_loads()?;
        let mut entries = Vec::new();
        while let Some(frame) = found.next()? {
            let function = frame.function.as_ref();
            let language = function.and_then(|function| function.language);
            let location = frame.location.as_ref();
            let line = location.and_then(|location| location.line);
            entries.push(Entry {
                raw: function.and_then(|function| Some(function.raw_name().ok()?.into_owned())),
                file: location.and_then(|location| location.file),
                // Line 0: code that no line of the source stands for.
                line: line.filter(|line| *line != 0),
                is_rust: language == Some(gimli::DW_LANG_Rust),
                is_cpp: language.is_some_and(is_cpp),
                offset: frame.dw_die_offset,
            });
        }
        let frames = (0..entries.len()).map(|at| self.named_frame(&entries, at, address, symbols));
        Ok(frames.collect())
    }

    fn named_frame(
        &self,
        entries: &[Entry<'_>],
        at: usize,
        address: u64,
        symbols: &SymbolTable<'_>,
    ) -> NamedFrame {
        let entry = &entries[at];
        let full_name = entry.raw.as_deref().is_some_and(names::is_mangled);
        let mut async_body = false;
        let function = entry.raw.as_deref().map(|raw| {
            if full_name || !entry.is_rust {
                let scope = entry
                    .offset
                    .filter(|_| entry.is_cpp && !full_name)
                    .and_then(|offset| self.scope(address, offset));
                let name = symbols.readable(raw);
                async_body = entry.is_rust && self.is_async_body(&name, entry.offset, address);
                return match scope {
                    Some(scope) => format!("{scope}::{name}"),
                    None => name.to_string(),
                };
            }
            // The allocator's entry points belong to no module.
            let in_module = entry.file.filter(|_| !types::enters_allocator(raw));
            let module = in_module.and_then(|file| self.module_of(file, address));
            if let Some(part) = Part::parse(raw) {
                async_body = part.is_async_function();
                return self.closure(part, &entries[at..], module.as_deref());
            }
            match module {
                Some(module) => format!("{module}::{raw}"),
                None => raw.to_owned(),
            }
        });
        NamedFrame {
            frame: Frame {
                function,
                file: entry.file.map(str::to_owned),
                line: entry.line,
            },
            full_name,
            async_body,
        }
    }

    /// Whether a function that is called a closure is what the program wrote as an async
    /// function.
    fn is_async_body(&self, name: &str, offset: Option<UnitOffset>, address: u64) -> bool {
        let told = || {
            let unit = self.context.find_dwarf_and_unit(address).skip_all_loads()?;
            let name = self.debug_name(unit, offset?).ok()??;
            Some(Part::parse(&name)?.is_async_function())
        };
        closures::without_body(name) != name && told().unwrap_or(false)
    }

    /// What to call a closure or an async body. `entries` begins with its own, those of its
    /// callers follow.
    fn closure(&self, part: Part<'_>, entries: &[Entry<'_>], module: Option<&str>) -> String {
        let callers = entries[1..].iter().filter_map(|entry| entry.raw.as_deref());
        let krate = module.and_then(|module| module.split("::").next());
        let by_callers = part.parent_by_callers(callers, krate);
        // They leave the type of a method out, which the source has.
        if let Some(path) = by_callers.filter(|path| !path.contains("{impl#")) {
            return part.within(&closures::readable_path(path));
        }
        let in_module = |path: &str| match module {
            Some(module) => format!("{module}::{path}"),
            None => path.to_owned(),
        };
        let place = entries[0].file.zip(entries[0].line);
        let by_source = place.zip(self.built).and_then(|((file, line), built)| {
            let function = self.sources.function(file, line, built)?;
            (function.is_async || !part.is_async_function()).then_some(function.path)
        });
        match (by_source, by_callers, place) {
            (Some(path), ..) => part.within(&in_module(&path)),
            (None, Some(path), _) => part.within(&closures::readable_path(path)),
            (None, None, Some((_, line))) => in_module(&part.at_line(line)),
            (None, None, None) => in_module(entries[0].raw.as_deref().unwrap_or_default()),
        }
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
