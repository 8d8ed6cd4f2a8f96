//! What kind of program a command names, and whether the preload library can see into it.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use object::elf;
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, ReadCache, ReadRef};

use crate::load;
use crate::proc::own_uid;

/// Interpreters of scripts that lead to one another, at most: as the kernel has it.
const MOST_INTERPRETERS: usize = 4;
/// Larger programs are not searched.
const MOST_BYTES: u64 = 2 << 30;

/// Why a program cannot be seen, or not as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blind {
    /// There is no loader that would load the library.
    Static,
    /// A Go program without a loader.
    Go,
    /// A Go program with one: only its C code is seen.
    GoDynamic,
    /// The loader is musl's.
    Musl,
    /// For another kind of machine.
    OtherMachine,
    /// Runs with the rights of its owner.
    SetUserId,
    /// Has an allocator of its own linked in.
    OwnAllocator(&'static str),
    /// Is checked by a run-time library whose allocator has to come before all others.
    Sanitizer(&'static str),
    /// Keeps what its own language allocates in a heap of its own.
    OtherHeap(Runtime),
    /// Was started without `LD_PRELOAD`.
    Cleared,
    /// Was started with another `LD_PRELOAD`.
    Overridden,
    /// Was started with an allocator before the library in `LD_PRELOAD`.
    Behind,
}

/// What runs a language whose objects lie in no block of `malloc`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// JavaScript's: Node and its like.
    V8,
    /// Java's.
    Jvm,
}

impl Blind {
    /// A sentence that says so, and one that says what to do.
    pub fn explanation(self, program: &str) -> String {
        let profile = "If it serves net/http/pprof, `mapgrow report \
                       http://HOST:PORT/debug/pprof/heap` shows its maps while it runs; a heap \
                       profile in a file (runtime/pprof) is read by `mapgrow report FILE`.";
        match self {
            Blind::Static => format!(
                "{program} is statically linked: no library can be loaded into it. Link it \
                 dynamically, or, if it is written in Rust, make mapgrow::MapGrow its global \
                 allocator."
            ),
            Blind::Go => format!(
                "{program} is a Go program: it allocates without malloc, and no library can be \
                 loaded into it. {profile}"
            ),
            Blind::GoDynamic => format!(
                "{program} is a Go program: only its C code uses malloc, and only that was seen. \
                 {profile}"
            ),
            Blind::Musl => format!(
                "{program} is linked against musl, and the library against glibc: it was not \
                 loaded. Build the program for glibc, or, if it is written in Rust, make \
                 mapgrow::MapGrow its global allocator."
            ),
            Blind::OtherMachine => format!(
                "{program} is built for another kind of machine than this mapgrow: the library \
                 cannot be loaded into it. Use a mapgrow built for that machine."
            ),
            Blind::SetUserId => format!(
                "{program} runs with the rights of its owner (set-user-id): the loader takes no \
                 library from the user for it. Run it as that owner: `sudo mapgrow run -- ...`."
            ),
            Blind::OwnAllocator(which) => format!(
                "{program} has an allocator of its own linked in ({which}), which the library \
                 does not stand in front of. Build it with the system's malloc, or, if it is \
                 written in Rust, make mapgrow::MapGrow its global allocator."
            ),
            Blind::Sanitizer(which) => format!(
                "{program} is built with {which}, whose own allocator has to be the first: it was \
                 run without mapgrow. Build it without -fsanitize to see its containers."
            ),
            Blind::OtherHeap(runtime) => {
                let (language, heap, instead) = match runtime {
                    Runtime::V8 => (
                        "JavaScript",
                        "V8",
                        "its heap snapshots (`node --heapsnapshot-signal=SIGUSR2`)",
                    ),
                    Runtime::Jvm => (
                        "Java",
                        "the JVM",
                        "its histogram of classes (`jcmd PID GC.class_histogram`)",
                    ),
                };
                format!(
                    "{program} runs {language}, whose maps lie in a heap of {heap}'s own: only \
                     its native code uses malloc, and only that was seen. For the others take \
                     {instead}."
                )
            }
            Blind::Cleared => format!(
                "{program} was started with an environment of its own, without LD_PRELOAD: the \
                 library was not loaded. Have what starts it (sudo, env -i, a service manager) \
                 pass LD_PRELOAD and the variables of MAPGROW on, or start it with `mapgrow run` \
                 there."
            ),
            Blind::Overridden => format!(
                "{program} was started with an LD_PRELOAD of its own: the library was not loaded. \
                 Have what starts it keep what was there, and in front: \
                 LD_PRELOAD=\"$LD_PRELOAD:...\"."
            ),
            Blind::Behind => format!(
                "{program} was started with an allocator in front of the library in LD_PRELOAD: \
                 the library sees nothing of it. Have what starts it put the allocator behind: \
                 LD_PRELOAD=\"$LD_PRELOAD:...\"."
            ),
        }
    }

    /// Whether the library must not even be named to the loader.
    pub fn must_not_preload(self) -> bool {
        let others = matches!(self, Blind::Musl | Blind::OtherMachine);
        others || matches!(self, Blind::Sanitizer(_))
    }
}

/// The file that a command's first word names, as the shell would find it.
pub fn find(command: &OsStr) -> Option<PathBuf> {
    if command.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(command));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(command))
        .find(|candidate| {
            candidate
                .metadata()
                .is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
        })
}

/// Looks at the program that runs when `path` is executed: for a script, its interpreter.
pub fn inspect(path: &Path) -> Option<Blind> {
    let mut path = path.to_owned();
    for _ in 0..MOST_INTERPRETERS {
        match interpreter(&path) {
            Some(next) => path = next,
            None => break,
        }
    }
    inspect_binary(&path)
}

/// The program that a script's first line names; behind `env`, the one that it finds.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    load::open(path, false, true)
        .ok()?
        .take(256)
        .read_to_end(&mut head)
        .ok()?;
    let line = head
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let mut words = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let named = words.next()?;
    if named.rsplit(|&byte| byte == b'/').next() == Some(b"env") {
        let word = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
        return find(OsStr::from_bytes(word));
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(named.to_vec())))
}

/// Looks at one file, which may be rewritten at the same time: it is read, not mapped.
pub fn inspect_binary(path: &Path) -> Option<Blind> {
    let file = load::open(path, false, true).ok()?;
    let meta = file.metadata().ok()?;
    if meta.len() > MOST_BYTES {
        return None;
    }
    let changes_user = meta.mode() & 0o4000 != 0 && meta.uid() != own_uid();
    if changes_user {
        return Some(Blind::SetUserId);
    }
    inspect_elf(&ReadCache::new(file))
}

fn inspect_elf<'data>(bytes: impl ReadRef<'data>) -> Option<Blind> {
    if bytes.read_bytes_at(0, elf::ELFMAG.len() as u64) != Ok(&elf::ELFMAG) {
        return None;
    }
    let Ok(file) = ElfFile64::<Endianness, _>::parse(bytes) else {
        return Some(Blind::OtherMachine);
    };
    let own_machine = if cfg!(target_arch = "x86_64") {
        elf::EM_X86_64
    } else {
        elf::EM_AARCH64
    };
    let endian = file.endian();
    if file.elf_header().e_machine(endian) != own_machine {
        return Some(Blind::OtherMachine);
    }
    let loader = file
        .elf_program_headers()
        .iter()
        .find_map(|header| header.interpreter(endian, bytes).ok().flatten());
    let go = file
        .sections()
        .any(|section| matches!(section.name(), Ok(".go.buildinfo" | ".gopclntab")));
    match loader {
        None if go => return Some(Blind::Go),
        None => return Some(Blind::Static),
        Some(loader) if contains(loader, b"ld-musl") => return Some(Blind::Musl),
        Some(_) if go => return Some(Blind::GoDynamic),
        Some(_) => {}
    }
    let needed = needed(&file, bytes);
    if let Some(which) = sanitizer(&file, &needed) {
        return Some(Blind::Sanitizer(which));
    }
    let runtime = || other_heap(&file, &needed).map(Blind::OtherHeap);
    own_allocator(&file)
        .map(Blind::OwnAllocator)
        .or_else(runtime)
}

/// The runtime that a program is, or that it is linked with.
fn other_heap<'data>(
    file: &ElfFile64<'data, Endianness, impl ReadRef<'data>>,
    needed: &[&'data [u8]],
) -> Option<Runtime> {
    const LIBRARIES: [(&[u8], Runtime); 4] = [
        (b"libnode.so", Runtime::V8),
        (b"libv8.so", Runtime::V8),
        (b"libjli.so", Runtime::Jvm),
        (b"libjvm.so", Runtime::Jvm),
    ];
    let is_v8 = |name: &[u8]| name.starts_with(b"_ZN2v8");
    if file
        .dynamic_symbols()
        .any(|symbol| symbol.is_definition() && symbol.name_bytes().is_ok_and(is_v8))
    {
        return Some(Runtime::V8);
    }
    needed.iter().find_map(|needed| {
        let known = LIBRARIES.iter().find(|(name, _)| needed.starts_with(name));
        known.map(|&(_, runtime)| runtime)
    })
}

/// The libraries that a program names to the loader.
fn needed<'data, R: ReadRef<'data>>(
    file: &ElfFile64<'data, Endianness, R>,
    bytes: R,
) -> Vec<&'data [u8]> {
    let endian = file.endian();
    let sections = file.elf_section_table();
    let read = || {
        let (entries, strings) = sections.dynamic(endian, bytes).ok().flatten()?;
        let strings = sections.strings(endian, bytes, strings).ok()?;
        let needed = entries
            .iter()
            .filter(|entry| entry.tag(endian) == elf::DT_NEEDED);
        let names = needed.filter_map(|entry| entry.string(endian, strings).ok());
        Some(names.collect())
    };
    read().unwrap_or_default()
}

/// The sanitizer that a program is built with: linked in, or as a library. Their run-time libraries
/// refuse to start behind another allocator, or are not meant to.
fn sanitizer<'data>(
    file: &ElfFile64<'data, Endianness, impl ReadRef<'data>>,
    needed: &[&'data [u8]],
) -> Option<&'static str> {
    const KNOWN: [(&str, &str, &str); 5] = [
        ("asan", "__asan_init", "AddressSanitizer"),
        ("hwasan", "__hwasan_init", "HWAddressSanitizer"),
        ("tsan", "__tsan_init", "ThreadSanitizer"),
        ("msan", "__msan_init", "MemorySanitizer"),
        ("lsan", "__lsan_init", "LeakSanitizer"),
    ];
    let is_library = |name: &[u8], short: &str| {
        let name = String::from_utf8_lossy(name);
        name.starts_with(&format!("lib{short}.so"))
            || name.starts_with(&format!("libclang_rt.{short}"))
    };
    let by_library = KNOWN
        .iter()
        .find(|(short, ..)| needed.iter().any(|name| is_library(name, short)));
    let mut symbols = file.dynamic_symbols().chain(file.symbols());
    let by_symbol = || {
        symbols.find_map(|symbol| {
            let name = symbol
                .name_bytes()
                .ok()
                .filter(|_| symbol.is_definition())?;
            KNOWN.iter().find(|(_, init, _)| init.as_bytes() == name)
        })
    };
    by_library.or_else(by_symbol).map(|&(.., named)| named)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether the library at `library` was left out of what the loader was told to load before all
/// else (`LD_PRELOAD`), or put behind an allocator.
pub fn inspect_preload(preload: Option<&OsStr>, library: &Path) -> Option<Blind> {
    let Some(preload) = preload.filter(|names| !names.is_empty()) else {
        return Some(Blind::Cleared);
    };
    let names: Vec<&Path> = preload
        .as_bytes()
        .split(|byte| matches!(byte, b':' | b' '))
        .map(|name| Path::new(OsStr::from_bytes(name)))
        .collect();
    let Some(at) = names.iter().position(|name| *name == library) else {
        return Some(Blind::Overridden);
    };
    let mut before = names.iter().take(at);
    before
        .any(|name| defines_malloc(name))
        .then_some(Blind::Behind)
}

/// Whether a library brings a `malloc`.
fn defines_malloc(path: &Path) -> bool {
    let Ok(file) = load::open(path, false, true) else {
        return false;
    };
    if !file.metadata().is_ok_and(|meta| meta.len() <= MOST_BYTES) {
        return false;
    }
    let file = ReadCache::new(file);
    ElfFile64::<Endianness, _>::parse(&file).is_ok_and(|library| {
        library
            .dynamic_symbols()
            .any(|symbol| symbol.is_definition() && symbol.name_bytes() == Ok(b"malloc"))
    })
}

/// An allocator that the program defines itself: under the names of the C library, or under
/// those that allocators are given when they are linked in beside it.
fn own_allocator<'data>(
    file: &ElfFile64<'data, Endianness, impl ReadRef<'data>>,
) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 7] = [
        ("malloc", "malloc"),
        ("je_malloc", "jemalloc"),
        ("_rjem_malloc", "jemalloc"),
        ("tc_malloc", "tcmalloc"),
        ("mi_malloc", "mimalloc"),
        ("rpmalloc", "rpmalloc"),
        ("sn_malloc", "snmalloc"),
    ];
    let defined = |name: &[u8]| {
        KNOWN
            .iter()
            .find(|(known, _)| known.as_bytes() == name)
            .map(|&(_, allocator)| allocator)
    };
    file.dynamic_symbols()
        .chain(file.symbols())
        .filter(|symbol| symbol.is_definition())
        .find_map(|symbol| defined(symbol.name_bytes().ok()?))
}
