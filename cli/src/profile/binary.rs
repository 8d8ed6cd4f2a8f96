//! What a Go program's binary tells: which function a call instruction calls, and with which
//! type of map.
//!
//! Go's compiler calls `runtime.mapassign*(type, map, key)` where a program assigns to a map. A
//! heap profile has the address of that call as its innermost place, so the instruction names
//! the function, and the one that loads the first argument the type.

use mapgrow_report::profile::{HeapProfile, MapType, ProfilePlace};
use object::{Architecture, Object, ObjectSection, ObjectSegment, ObjectSymbol};

use crate::symbols::{OpenObject, SymbolTable};

/// Bytes before a call in which its first argument is looked for.
const ARGUMENTS: usize = 48;

/// A Go program on disk.
pub struct GoBinary<'a> {
    open: OpenObject<'a>,
    functions: SymbolTable<'a>,
    /// Address that offsets of names and types are relative to.
    types: Option<u64>,
    /// A function that only the implementation of maps in this binary has.
    map_growth: Option<&'static str>,
}

impl<'a> GoBinary<'a> {
    /// Takes a binary that has a symbol table and is for an architecture that is known here.
    pub fn new(open: OpenObject<'a>) -> Result<GoBinary<'a>, String> {
        let path = open.path.display().to_string();
        if open.object.architecture() != Architecture::X86_64 {
            return Err(format!(
                "{path} is for another architecture than x86-64: its calls cannot be read; give \
                 the URL of the running service"
            ));
        }
        let functions = SymbolTable::read(&[&open.object]);
        if functions.is_empty() {
            return Err(format!(
                "{path} has no symbol table (built with -ldflags=-s): it cannot tell what grew; \
                 give the URL of the running service, or a binary that was built without -s"
            ));
        }
        let address = |name: &str| {
            let mut symbols = open.object.symbols();
            let symbol = symbols.find(|symbol| symbol.name() == Ok(name));
            symbol.map(|symbol| symbol.address())
        };
        Ok(GoBinary {
            types: address("runtime.types").or_else(|| address("type:*")),
            map_growth: ["internal/runtime/maps.(*table).grow", "runtime.hashGrow"]
                .into_iter()
                .find(|name| address(name).is_some()),
            functions,
            open,
        })
    }

    /// The functions that the call at a place leads to, and those that it leads to in turn where
    /// that tells how maps are implemented.
    pub fn called(&self, profile: &HeapProfile, place: &ProfilePlace) -> Option<Vec<String>> {
        let (_, target) = self.call(profile, place)?;
        let name = self.functions.name_at(target)?;
        let inner = self.map_growth.map(str::to_owned);
        let inner = inner.filter(|_| name.starts_with("runtime.mapassign"));
        Some(inner.into_iter().chain([name]).collect())
    }

    /// The type of the map that the call at a place assigns to.
    pub fn map_type(&self, profile: &HeapProfile, place: &ProfilePlace) -> Option<MapType> {
        let (at, target) = self.call(profile, place)?;
        let name = self.functions.name_at(target)?;
        let takes_type = ["runtime.mapassign", "runtime.makemap"]
            .iter()
            .any(|stem| name.starts_with(stem) && name != "runtime.makemap_small");
        let descriptor = self.first_argument(at).filter(|_| takes_type)?;
        self.type_at(descriptor)
    }

    /// Address of the call instruction at a place, in the file's own terms, and of the function
    /// that it calls.
    fn call(&self, profile: &HeapProfile, place: &ProfilePlace) -> Option<(u64, u64)> {
        /// `call rel32`.
        const CALL: u8 = 0xe8;
        const LENGTH: u64 = 5;
        let module = profile.modules.get(place.module? as usize)?;
        // Go's places are one byte before the return address.
        let after = place.address.checked_add(1)?;
        let after = after.wrapping_sub(self.bias(module.start_address)?);
        let at = after.checked_sub(LENGTH)?;
        let code = self.bytes(at, LENGTH)?;
        let (&opcode, displacement) = code.split_first()?;
        let displacement = i32::from_le_bytes(displacement.try_into().ok()?);
        let target = after.wrapping_add_signed(i64::from(displacement));
        (opcode == CALL).then_some((at, target))
    }

    /// What to take from an address of the process: where its code begins in memory, less where
    /// it begins in the file.
    fn bias(&self, mapped: u64) -> Option<u64> {
        let executable = self.open.object.segments().find(|segment| {
            matches!(segment.flags(), object::SegmentFlags::Elf { p_flags, .. } if p_flags.0 & 1 != 0)
        })?;
        // The mapping begins on the page of the segment's first byte.
        Some(mapped.wrapping_sub(executable.address() & !0xfff))
    }

    /// The address that is loaded into rax, the first argument, before a call: the last
    /// `lea rax, [rip + x]`.
    fn first_argument(&self, call: u64) -> Option<u64> {
        const LEA_RAX: [u8; 3] = [0x48, 0x8d, 0x05];
        const LENGTH: usize = 7;
        let start = call.checked_sub(ARGUMENTS as u64)?;
        let code = self.bytes(start, ARGUMENTS as u64)?;
        let at = code
            .windows(LENGTH)
            .rposition(|window| window.starts_with(&LEA_RAX))?;
        let displacement = i32::from_le_bytes(code[at + 3..at + LENGTH].try_into().ok()?);
        let next = start + (at + LENGTH) as u64;
        Some(next.wrapping_add_signed(i64::from(displacement)))
    }

    /// Reads `abi.MapType` (`internal/abi/type.go`, `map_swiss.go`): the common part, then the
    /// addresses of the types of key and value.
    fn type_at(&self, address: u64) -> Option<MapType> {
        /// `abi.Map`.
        const KIND_MAP: u8 = 21;
        /// Bytes of `abi.Type`.
        const COMMON: u64 = 48;
        let common = self.bytes(address, COMMON + 16)?;
        // Bits above the kind's are flags in older versions.
        if common[23] & 31 != KIND_MAP {
            return None;
        }
        let word = |at: usize| Some(u64::from_le_bytes(common.get(at..at + 8)?.try_into().ok()?));
        let part = |address: u64| {
            let bytes = self.bytes(address, 16)?;
            let word =
                |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| bytes[at + i]));
            Some((word(0), word(8)))
        };
        let (key, value) = (part(word(48)?), part(word(56)?));
        // In position-independent binaries the loader fills these in: then nothing is known of
        // the parts, and entries may refer to anything.
        let refers = match (key, value) {
            (Some((_, key_pointers)), Some((_, value_pointers))) => {
                key_pointers != 0 || value_pointers != 0
            }
            _ => true,
        };
        let slot_bytes = key.zip(value).and_then(|((k, _), (v, _))| k.checked_add(v));
        let name_offset = u32::from_le_bytes(common[40..44].try_into().ok()?);
        let extra_star = common[20] & 2 != 0;
        let name = self.name_at(self.types?.checked_add(u64::from(name_offset))?)?;
        let name = if extra_star {
            name.strip_prefix('*')?.to_owned()
        } else {
            name
        };
        name.starts_with("map[").then_some(MapType {
            name,
            refers,
            slot_bytes,
        })
    }

    /// Reads `abi.Name`: flags, the length as a varint, the text.
    fn name_at(&self, address: u64) -> Option<String> {
        let head = self.bytes(address, 3)?;
        let (length, taken) = match head[1] {
            short if short < 0x80 => (u64::from(short), 2),
            low if head[2] < 0x80 => (u64::from(low & 0x7f) | u64::from(head[2]) << 7, 3),
            _ => return None,
        };
        let text = self.bytes(address.checked_add(taken)?, length)?;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }

    fn bytes(&self, address: u64, length: u64) -> Option<&'a [u8]> {
        let sections = self.open.object.sections();
        let mut holding = sections.filter_map(|section| {
            let inside = address.checked_sub(section.address())?;
            let end = inside.checked_add(length)?;
            let (offset, size) = section.file_range()?;
            let start = usize::try_from(offset.checked_add(inside)?).ok()?;
            let length = usize::try_from(length).ok()?;
            (section.address() != 0 && end <= size)
                .then(|| self.open.data.get(start..start.checked_add(length)?))
                .flatten()
        });
        holding.next()
    }
}
