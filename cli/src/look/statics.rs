//! The names of a program's statics, from its symbol table.

use std::fs::File;

use memmap2::Mmap;
use object::{Object, ObjectSegment, ObjectSymbol, SymbolKind};

/// The statics of a file, by address.
pub struct Statics {
    /// First address, bytes, and name as the file has it.
    list: Vec<(u64, u64, String)>,
    /// The address that the file gives to its first byte.
    first: u64,
}

impl Statics {
    /// Those of `file`, whose build id is to be `build_id`. `None` when it cannot be read or has
    /// another.
    pub fn of(file: &File, build_id: Option<&[u8]>) -> Option<Statics> {
        // SAFETY: whoever cuts the file off meanwhile ends this command with a signal, as with every
        // file that it maps; nothing is written. One that is changed in place shows other bytes; nothing
        // here relies on them staying.
        let bytes = unsafe { Mmap::map(file) }.ok()?;
        let file = object::File::parse(&*bytes).ok()?;
        if build_id.is_some_and(|id| file.build_id() != Ok(Some(id))) {
            return None;
        }
        let first = (file.segments())
            .find(|segment| segment.file_range().0 == 0)
            .map_or(0, |segment| segment.address() / 4096 * 4096);
        let mut list: Vec<(u64, u64, String)> = (file.symbols())
            .filter(|symbol| symbol.kind() == SymbolKind::Data && symbol.size() > 0)
            .filter_map(|symbol| {
                let name = symbol.name().ok()?;
                Some((symbol.address(), symbol.size(), name.to_owned()))
            })
            .collect();
        list.sort_unstable();
        Some(Statics { list, first })
    }

    /// The name of what lies at `address`, if the file's first byte was mapped at `base`.
    pub fn name(&self, address: u64, base: u64) -> Option<String> {
        let address = address.checked_sub(base)?.checked_add(self.first)?;
        let after = self.list.partition_point(|&(start, _, _)| start <= address);
        let (start, size, name) = self.list.get(after.checked_sub(1)?)?;
        (address - start < *size).then(|| readable(name))
    }
}

/// A name as it was written: of Rust, of C++, or of C.
fn readable(name: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        return format!("{name:#}");
    }
    let demangled = cpp_demangle::Symbol::new(name)
        .ok()
        .and_then(|name| name.demangle().ok());
    demangled.unwrap_or_else(|| name.to_owned())
}
