//! Whose code a function is: the allocator's plumbing, a container's, the run-time library's or
//! the program's own. Patterns are those of the [catalogue](super::catalogue).

use super::catalogue::{any, is_common_name, is_container_code, matches, plumbing};
use super::names::Name;

/// What only hands a request on to the allocator; the function behind it tells the family.
const PLUMBING: &[&str] = &[
    "alloc::alloc::",
    "std::alloc::",
    "__rust_alloc",
    "__rust_alloc_zeroed",
    "__rust_realloc",
    "__rust_dealloc",
    "__rdl_alloc",
    "__rg_alloc",
    "__rg_alloc_zeroed",
    "__rg_realloc",
    "__rg_dealloc",
    "__rustc::",
    "hashbrown::raw::alloc::",
    "hashbrown::alloc::",
    "allocator_api2::",
    "alloc::boxed::Box::new",
    "alloc::boxed::Box::new_in",
    "alloc::boxed::Box::new_uninit",
    "alloc::boxed::Box::new_uninit_in",
    "alloc::boxed::Box::try_new_in",
    "alloc::boxed::Box::try_new_uninit_in",
    "alloc::boxed::new",
    "alloc::boxed::new_in",
    "alloc::boxed::new_uninit",
    "alloc::boxed::new_uninit_in",
    "alloc::boxed::try_new_uninit_in",
    "alloc::boxed::box_new",
    "alloc::boxed::box_new_uninit",
];

/// Whether this is the function through which every allocation of a Rust program enters the
/// allocator that it chose.
#[must_use]
pub fn enters_allocator(name: &Name) -> bool {
    ["__rust_alloc", "__rust_alloc_zeroed", "__rust_realloc"].contains(&name.last())
}

/// Traits whose methods only hand a request on.
const PLUMBING_TRAITS: &[&str] = &[
    "core::alloc::Allocator",
    "core::alloc::global::GlobalAlloc",
    "allocator_api2::stable::alloc::Allocator",
    "hashbrown::raw::alloc::inner::Allocator",
];

/// Code that is never the program's own: containers and the languages' run-time libraries.
const INTERNAL: &[&str] = &[
    "core::",
    "alloc::",
    "std::",
    "proc_macro::",
    "__rustc::",
    "hashbrown::",
    "indexmap::",
    "dashmap::",
    "smallvec::",
    "allocator_api2::",
    "equivalent::",
    "foldhash::",
    "ahash::",
    "rustc_hash::",
    "parking_lot::",
    "lock_api::",
    "once_cell::",
    "rayon::",
    "rayon_core::",
    "__gnu_cxx::",
    "__cxxabiv1::",
    "boost::unordered::",
    "absl::container_internal::",
];

/// Source files of Rust's own libraries; when the file is known it decides before names do.
const RUST_LIBRARY_FILES: &[&str] = &[
    "/rustc/",
    "/lib/rustlib/src/rust/library/",
    "/rust/deps/",
    "library/core/src/",
    "library/alloc/src/",
    "library/std/src/",
];

/// Where package managers, toolchains and systems keep the sources of libraries: what lies there is
/// not the program's own.
const LIBRARY_FILES: &[&str] = &[
    // Cargo: a registry's crates, also where they were vendored, and those of git.
    "/registry/src/",
    "/index.crates.io-",
    "/.cargo/git/",
    "/cargo/git/",
    "/cargo/registry/",
    "/rust/deps/",
    // Headers of the system and of compilers.
    "/usr/include/",
    "/usr/local/include/",
    "/include/c++/",
    "/usr/lib/gcc/",
    "/usr/lib/llvm",
    "/.rustup/toolchains/",
    // Interpreted languages. (Python's own modules that it carries have no file.)
    "<frozen ",
    "/site-packages/",
    "/dist-packages/",
    "/lib/python3",
    "/node_modules/",
];

/// Whether a source file lies where those of libraries do.
#[must_use]
pub fn is_library_file(file: &str) -> bool {
    LIBRARY_FILES.iter().any(|known| file.contains(known))
}

/// Methods through which containers ask an allocator of the program's own for memory: of C++'s
/// named requirement, of `std::pmr` and of what follows their example.
const ALLOCATOR_METHODS: &[&str] = &[
    "allocate",
    "allocate_at_least",
    "allocate_bytes",
    "allocate_object",
    "do_allocate",
    "reallocate",
];

/// What the names of C functions that only hand memory on end in: `xmalloc`, `my_realloc`.
const C_ALLOCATORS: &[&str] = &["malloc", "calloc", "realloc"];

/// Whether a function is by its name an allocator's, whoever wrote it. That it is none after all
/// shows when a container's code lies between it and the block.
#[must_use]
pub fn allocates_for_others(name: &Name) -> bool {
    let last = name.last();
    match name.path.contains("::") {
        true => ALLOCATOR_METHODS.contains(&last),
        false => C_ALLOCATORS.iter().any(|end| last.ends_with(end)),
    }
}

/// Where the run-time library called the program: whatever lies outwards is not the program's.
const ENTRIES: &[&str] = &[
    "std::sys::backtrace::__rust_begin_short_backtrace",
    "std::sys_common::backtrace::__rust_begin_short_backtrace",
    "std::rt::",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "_start",
    "start_thread",
    "clone",
    "clone3",
    "__clone3",
];

/// Methods that Rust's libraries give to the types of other crates: `(trait, method)`, with an
/// empty method for all. The type before them says nothing about whose code they are.
const PROVIDED: &[(&str, &str)] = &[
    ("alloc::vec::", ""),
    ("alloc::slice::", ""),
    ("alloc::string::", ""),
    ("alloc::borrow::ToOwned", "to_owned"),
    ("core::convert::Into", "into"),
    ("core::convert::TryInto", "try_into"),
    ("core::ops::function::", ""),
    ("core::iter::adapters::", ""),
    ("core::iter::traits::iterator::Iterator", "collect"),
    ("core::iter::traits::iterator::Iterator", "for_each"),
    ("core::iter::traits::iterator::Iterator", "fold"),
    ("core::iter::traits::iterator::Iterator", "try_fold"),
    ("core::iter::traits::iterator::Iterator", "map"),
    ("core::iter::traits::iterator::Iterator", "partition"),
    ("core::iter::traits::iterator::Iterator", "unzip"),
    ("core::iter::traits::iterator::Iterator", "sum"),
    ("core::iter::traits::collect::IntoIterator", "into_iter"),
];

/// Whose code a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Hands requests on to the allocator.
    Plumbing,
    /// A container's or a run-time library's.
    Internal,
    /// The run-time library where it called the program.
    Entry,
    /// A library's that the program uses, by where its source lies.
    Library,
    /// The program's own; also that of a library whose source nobody can tell from it.
    Program,
}

impl Whose {
    /// Whether this code uses containers as a program does: the program's own and that of
    /// libraries.
    #[must_use]
    pub fn uses_containers(self) -> bool {
        matches!(self, Whose::Program | Whose::Library)
    }
}

/// Whose code a function is where nothing but its name and file is known: one whose name a
/// container of C has, but any program may have too, is the program's.
#[must_use]
pub fn whose_alone(name: &Name, file: Option<&str>) -> Whose {
    match whose(name, file) {
        Whose::Internal if is_common_name(&name.path) => program_or_library(file),
        known => known,
    }
}

/// Whether the name claims a container's code, but any program may have a function of that name.
#[must_use]
pub fn is_claimed(name: &Name) -> bool {
    is_common_name(&name.path)
}

/// Whose a function is that is no container's and of no run-time library.
#[must_use]
pub fn program_or_library(file: Option<&str>) -> Whose {
    match file.is_some_and(is_library_file) {
        true => Whose::Library,
        false => Whose::Program,
    }
}

/// Whose code a function claims to be, by its name and, where known, its source file.
#[must_use]
pub fn whose(name: &Name, file: Option<&str>) -> Whose {
    let of_trait = name.of_trait.as_deref();
    if any(PLUMBING, &name.path)
        || plumbing().any(|pattern| matches(pattern, &name.path))
        || of_trait.is_some_and(|of| PLUMBING_TRAITS.contains(&of))
    {
        return Whose::Plumbing;
    }
    if ENTRIES
        .iter()
        .any(|entry| name.path.starts_with(entry) && matches_entry(entry, &name.path))
    {
        return Whose::Entry;
    }
    let internal = match (file, of_trait) {
        (Some(file), _) if RUST_LIBRARY_FILES.iter().any(|known| file.contains(known)) => true,
        (_, Some(of_trait)) if name.anonymous_self => any(INTERNAL, of_trait),
        (None, Some(of_trait)) if !any(INTERNAL, &name.path) => provided(of_trait, name.last()),
        _ => any(INTERNAL, &name.path) || is_container_code(&name.path),
    };
    match internal {
        true => Whose::Internal,
        false => program_or_library(file),
    }
}

fn matches_entry(entry: &str, path: &str) -> bool {
    entry.contains("::") || entry == path
}

fn provided(of_trait: &str, method: &str) -> bool {
    PROVIDED.iter().any(|&(known, known_method)| {
        let same_trait = if known.ends_with("::") {
            of_trait.starts_with(known)
        } else {
            of_trait == known
        };
        same_trait && (known_method.is_empty() || known_method == method)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose_name(name: &str) -> Whose {
        whose(&Name::parse(name), None)
    }

    #[test]
    fn internal_code_is_told_from_the_programs() {
        for name in [
            "<alloc::vec::Vec<T> as core::iter::traits::collect::Extend<T>>::extend",
            "core::ops::function::FnOnce::call_once{{vtable.shim}}",
            "<T as alloc::slice::hack::ConvertVec>::to_vec",
            "<&mut F as core::ops::function::FnMut<A>>::call_mut",
            "<demo::Thing as alloc::vec::spec_from_elem::SpecFromElem>::from_elem",
            "<demo::Walk as core::iter::traits::iterator::Iterator>::collect::<alloc::vec::Vec<u8>>",
            "std::collections::hash::map::HashMap<K,V,S>::insert",
            "indexmap::map::IndexMap<K,V,S>::insert_full",
            "core::iter::traits::iterator::Iterator::for_each",
            "hashbrown::map::HashMap<demo::Key,demo::Value>::insert",
        ] {
            assert_eq!(whose_name(name), Whose::Internal, "{name}");
        }
        for name in [
            "demo::main",
            "demo::main::{{closure}}",
            "<demo::Walk as core::iter::traits::iterator::Iterator>::next",
            "<demo::Key as core::hash::Hash>::hash",
            "main",
            "stdlike::run",
            "tokio::runtime::park",
            "clone_session",
            "<demo::Session as core::clone::Clone>::clone",
            "demo::alloc::grow",
        ] {
            assert_eq!(whose_name(name), Whose::Program, "{name}");
        }
        for name in [
            "std::rt::lang_start::{{closure}}",
            "std::sys::backtrace::__rust_begin_short_backtrace",
            "__libc_start_call_main",
            "clone",
        ] {
            assert_eq!(whose_name(name), Whose::Entry, "{name}");
        }
        for name in [
            "<alloc::alloc::Global as core::alloc::Allocator>::allocate",
            "__rustc::__rust_alloc",
            "operator new(unsigned long)",
            "<mapgrow::MapGrow as core::alloc::global::GlobalAlloc>::alloc",
        ] {
            assert_eq!(whose_name(name), Whose::Plumbing, "{name}");
        }
    }

    #[test]
    fn the_source_file_decides_where_names_cannot() {
        let name = Name::parse("<demo::Walk as core::iter::traits::iterator::Iterator>::next");
        let library = "/rustc/59807616e1fa/library/core/src/iter/traits/iterator.rs";
        assert_eq!(whose(&name, Some(library)), Whose::Internal);
        assert_eq!(whose(&name, Some("src/walk.rs")), Whose::Program);
        let collect =
            Name::parse("<demo::Walk as core::iter::traits::iterator::Iterator>::collect");
        assert_eq!(whose(&collect, Some("src/walk.rs")), Whose::Program);
    }

    #[test]
    fn libraries_are_known_by_where_their_sources_lie() {
        let of = |name: &str, file: &str| whose(&Name::parse(name), Some(file));
        for (name, file) in [
            (
                "lru::LruCache::put",
                "/home/x/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/lru-0.16.1/src/lib.rs",
            ),
            (
                "lru::LruCache::put",
                "/ws/third/index.crates.io-6f17d22bba15001f/lru-0.16.1/src/lib.rs",
            ),
            (
                "axum::routing::Router::call",
                "/root/.cargo/git/checkouts/axum-1f/9a1/axum/src/routing/mod.rs",
            ),
            ("other::Table::grow", "/usr/include/other/table.h"),
            (
                "read_csv",
                "/home/x/venv/lib/python3.11/site-packages/pandas/io/parsers.py",
            ),
        ] {
            assert_eq!(of(name, file), Whose::Library, "{file}");
        }
        assert_eq!(of("lru::put", "/home/x/lru/src/lib.rs"), Whose::Program);
        assert_eq!(of("include::run", "src/usr/include.rs"), Whose::Program);
        assert_eq!(
            of(
                "hashbrown::map::X::y",
                "/x/registry/src/y/hashbrown-0.16.1/src/map.rs"
            ),
            Whose::Internal
        );
    }

    #[test]
    fn allocators_are_known_by_their_interface() {
        for name in [
            "Counted<unsigned long>::allocate",
            "demo::Pool<int>::do_allocate(unsigned long, unsigned long)",
            "xmalloc",
            "my_realloc",
        ] {
            assert!(allocates_for_others(&Name::parse(name)), "{name}");
        }
        for name in [
            "allocate",
            "demo::Table::grow",
            "malloc_stats",
            "demo::xmalloc",
        ] {
            assert!(!allocates_for_others(&Name::parse(name)), "{name}");
        }
        assert_eq!(
            whose_name("std::pmr::memory_resource::allocate"),
            Whose::Plumbing
        );
        assert_eq!(
            whose_name("std::pmr::monotonic_buffer_resource::do_allocate"),
            Whose::Plumbing
        );
    }
}
