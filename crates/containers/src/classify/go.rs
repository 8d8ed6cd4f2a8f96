//! Go: names of its functions in the form of the [catalogue](super::catalogue), the functions of
//! its run-time library that grow maps and slices, and whose code a function is.
//!
//! Go's own heap profiles leave out the functions of the run-time library at the innermost end
//! of a stack. What they were is then told by the call instruction in the binary or by the
//! process itself; the rules are the same for a whole stack and for its last call alone.

use super::catalogue::Container::{Map, Vector};
use super::catalogue::{Family, any};
use super::names::Name;
use super::whose::Whose;

/// Go's built-in map, whichever way it is implemented.
pub static GO_MAP: Family = Family {
    name: "go_map",
    container: Map,
    tables: &[
        "internal/runtime/maps::",
        "runtime::mapassign*",
        "runtime::makemap*",
        "runtime::mapclone*",
        "runtime::hashGrow",
        "runtime::growWork*",
        "runtime::evacuate*",
        "runtime::makeBucketArray",
        "runtime::hmap::newoverflow",
        "runtime::hmap::createOverflow",
        "reflect::mapassign*",
        "reflect::makemap",
        "maps::clone",
    ],
    resizes: MAP_GROWTH,
    own: &[],
    callers: &[],
    hosts: &[],
    rehashes_unseen: true,
    step_by_step: false,
};

/// Functions within which a map's table is replaced by more room: as last part of the path, any
/// suffix after the stem (`mapassign_faststr`, `growWork_fast64`).
const MAP_GROWTH: &[&str] = &[
    "mapassign",
    "PutSlot",
    "hashGrow",
    "growWork",
    "evacuate",
    "grow",
    "split",
    "rehash",
    "growToTable",
    "growToSmall",
    "newoverflow",
];

/// Go's slices where they grow by themselves.
pub static GO_SLICE: Family = Family {
    name: "go_slice",
    container: Vector,
    tables: &["runtime::growslice*", "reflect::growslice"],
    resizes: &["growslice"],
    own: &[],
    callers: &[],
    hosts: &[],
    rehashes_unseen: false,
    step_by_step: false,
};

/// Functions that only the implementation with groups of slots has (Go 1.24 and later).
const SWISS: &[&str] = &["internal/runtime/maps::"];

/// Functions that only the implementation with buckets has.
const BUCKETS: &[&str] = &[
    "runtime::hashGrow",
    "runtime::growWork*",
    "runtime::evacuate*",
    "runtime::makeBucketArray",
    "runtime::hmap::newoverflow",
    "runtime::hmap::createOverflow",
];

/// How the maps of a Go program are implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapRuntime {
    /// Tables of at most 1024 slots, each of which grows and splits on its own (from Go 1.24).
    Swiss,
    /// One array of buckets, doubled as a whole and emptied into its successor step by step.
    Buckets,
}

/// What a stack says about the block that was allocated there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grower {
    /// Whose block it is.
    pub family: &'static Family,
    /// Whether something grew; otherwise the block was made in its size at once.
    pub grew: bool,
}

/// A Go function's name in the catalogue's form: `internal/runtime/maps.(*table).grow` is
/// `internal/runtime/maps::table::grow`, `main.(*Cache[...]).Put.func1` is
/// `main::Cache::Put::func1`.
#[must_use]
pub fn name(function: &str) -> Name {
    // The path of the package ends at the first dot behind its last slash, which is not one
    // within type arguments.
    let plain = function.split('[').next().unwrap_or(function);
    let package = plain.rfind('/').map_or(0, |slash| slash + 1);
    let package = function[package..]
        .find('.')
        .map_or(function.len(), |dot| package + dot);
    let mut path = function[..package].to_owned();
    let mut depth = 0usize;
    let mut fresh = true;
    for next in function[package..].chars() {
        match next {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '.' => fresh = true,
            '(' | ')' | '*' => {}
            other => {
                if std::mem::take(&mut fresh) {
                    path.push_str("::");
                }
                path.push(other);
            }
        }
    }
    Name {
        path,
        of_trait: None,
        anonymous_self: false,
    }
}

/// What the functions of a stack, innermost first, say about the block that was allocated: those
/// of the run-time library before the first other one decide.
pub fn grower<'a>(functions: impl Iterator<Item = &'a str>) -> Option<Grower> {
    let mut found: Option<Grower> = None;
    for function in functions {
        let name = name(function);
        let family = [&GO_MAP, &GO_SLICE]
            .into_iter()
            .find(|family| any(family.tables, &name.path));
        match (&mut found, family) {
            (None, Some(family)) => {
                let grew = grows(family, &name);
                found = Some(Grower { family, grew });
            }
            (Some(known), Some(family)) if known.family == family => {
                known.grew |= grows(family, &name);
            }
            _ if !is_runtime(&name) => return found,
            _ => {}
        }
    }
    found
}

fn grows(family: &Family, name: &Name) -> bool {
    let last = name.last();
    family.resizes.iter().any(|stem| last.starts_with(stem))
}

/// How maps are implemented, if one of these functions tells.
pub fn map_runtime<'a>(mut functions: impl Iterator<Item = &'a str>) -> Option<MapRuntime> {
    functions.find_map(|function| {
        let path = name(function).path;
        if any(SWISS, &path) {
            Some(MapRuntime::Swiss)
        } else {
            any(BUCKETS, &path).then_some(MapRuntime::Buckets)
        }
    })
}

/// Whether a function is the run-time library's: what Go leaves out of its heap profiles.
#[must_use]
pub fn is_runtime(name: &Name) -> bool {
    let package = package(name);
    package == "runtime"
        || package.starts_with("runtime/internal/")
        || package.starts_with("internal/runtime/")
}

/// Whether a function is the program's own or that of a module that it uses, rather than the
/// standard library's.
#[must_use]
pub fn is_program(name: &Name) -> bool {
    let package = package(name);
    let first = package.split('/').next().unwrap_or(package);
    // Packages from elsewhere begin with the name of a host.
    first.contains('.') || STANDARD.binary_search(&first).is_err()
}

/// Whose code a function is.
#[must_use]
pub fn whose(name: &Name) -> Whose {
    if is_program(name) {
        Whose::Program
    } else if name.path == "runtime::main" || name.path == "runtime::goexit" {
        Whose::Entry
    } else {
        Whose::Internal
    }
}

fn package(name: &Name) -> &str {
    name.path.split("::").next().unwrap_or_default()
}

/// First elements of the import paths of Go's standard library.
const STANDARD: [&str; 55] = [
    "archive",
    "arena",
    "bufio",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "simd",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "type:",
    "unicode",
    "unique",
    "unsafe",
    "uuid",
    "vendor",
    "weak",
    "x_cgo",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_names_take_the_form_of_the_catalogue() {
        for (function, path) in [
            (
                "internal/runtime/maps.(*table).grow",
                "internal/runtime/maps::table::grow",
            ),
            ("runtime.mapassign_fast64", "runtime::mapassign_fast64"),
            ("runtime.(*hmap).newoverflow", "runtime::hmap::newoverflow"),
            ("main.(*Cache[...]).Put.func1", "main::Cache::Put::func1"),
            ("main.Grow[go.shape.map[string]a/b.C]", "main::Grow"),
            (
                "gopkg.in/yaml%2ev3.(*decoder).mapping",
                "gopkg.in/yaml%2ev3::decoder::mapping",
            ),
            (
                "github.com/a/b.v2/cache.New",
                "github.com/a/b.v2/cache::New",
            ),
            ("main.main", "main::main"),
            ("nonsense", "nonsense"),
            ("", ""),
            ("a.[", "a"),
            ("ä/ö.ü", "ä/ö::ü"),
        ] {
            assert_eq!(name(function).path, path, "{function}");
        }
    }

    fn told(functions: &[&str]) -> Option<(&'static str, bool)> {
        grower(functions.iter().copied()).map(|grower| (grower.family.name, grower.grew))
    }

    #[test]
    fn stacks_tell_what_grew() {
        let map = Some(("go_map", true));
        for stack in [
            // Go 1.27, the whole stack.
            &[
                "runtime.mallocgc",
                "runtime.newarray",
                "internal/runtime/maps.newarray",
                "internal/runtime/maps.newGroups",
                "internal/runtime/maps.(*table).reset",
                "internal/runtime/maps.newTable",
                "internal/runtime/maps.(*table).grow",
                "internal/runtime/maps.(*table).rehash",
                "runtime.mapassign_fast64",
                "main.fill",
            ][..],
            // Go 1.23.
            &[
                "runtime.mallocgc",
                "runtime.newarray",
                "runtime.makeBucketArray",
                "runtime.hashGrow",
                "runtime.mapassign_faststr",
                "main.fill",
            ],
            &[
                "runtime.mallocgc",
                "runtime.(*hmap).newoverflow",
                "runtime.growWork_fast64",
                "main.f",
            ],
            &["runtime.evacuate", "main.fill"],
            // The last call alone.
            &["runtime.mapassign_fast32ptr"],
            &["reflect.mapassign_faststr0", "reflect.Value.SetMapIndex"],
        ] {
            assert_eq!(told(stack), map, "{stack:?}");
        }
        let made = Some(("go_map", false));
        assert_eq!(told(&["runtime.makemap", "main.main"]), made);
        assert_eq!(
            told(&["runtime.makeBucketArray", "runtime.makemap", "main.main"]),
            made
        );
        assert_eq!(
            told(&["runtime.mallocgc", "runtime.growslice", "main.push"]),
            Some(("go_slice", true))
        );
        for nothing in [
            &["runtime.mallocgc", "runtime.makeslice", "main.main"][..],
            &["runtime.newobject", "main.main", "runtime.mapassign"],
            &["main.mapassign"],
            &["example.com/runtime.growslice"],
            &[],
        ] {
            assert_eq!(told(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn both_implementations_are_told_apart() {
        let runtime = |functions: &[&str]| map_runtime(functions.iter().copied());
        assert_eq!(
            runtime(&["runtime.mallocgc", "internal/runtime/maps.NewMap"]),
            Some(MapRuntime::Swiss)
        );
        assert_eq!(
            runtime(&["runtime.hashGrow", "runtime.mapassign"]),
            Some(MapRuntime::Buckets)
        );
        assert_eq!(runtime(&["runtime.mapassign", "main.main"]), None);
    }

    #[test]
    fn the_standard_library_is_not_the_program() {
        assert!(STANDARD.is_sorted());
        let program = |function: &str| is_program(&name(function));
        for own in [
            "main.main",
            "github.com/a/b.F",
            "demo/internal/cache.Put",
            "maps2.Fill",
        ] {
            assert!(program(own), "{own}");
        }
        for standard in [
            "net/http.Header.Set",
            "encoding/json.(*decodeState).object",
            "runtime.main",
            "maps.Copy[...]",
            "internal/runtime/maps.NewMap",
            "vendor/golang.org/x/net/http2/hpack.f",
        ] {
            assert!(!program(standard), "{standard}");
        }
    }
}
