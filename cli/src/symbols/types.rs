//! Element types of containers, read from the names of the functions that grow them.
//!
//! rustc writes the generic arguments of a function into its `DW_AT_name`, those of the impl
//! first, in line tables too: `reserve_rehash<(u64, demo::Session), alloc::alloc::Global, ...>`.
//! The name alone does not say whose method it is; the file that it lies in does.

/// Element type of the container that a function with this debug name belongs to: a map's is
/// `(K, V)`, a set's `(K, ())`.
pub fn from_debug_name(name: &str, file: &str) -> Option<String> {
    let source = Source::of(file)?;
    let (function, arguments) = split_generics(name);
    let plain = |count: usize| (arguments.len() >= count).then(|| arguments[0].to_owned());
    let pair = |count: usize| {
        (arguments.len() >= count).then(|| format!("({}, {})", arguments[0], arguments[1]))
    };
    let set = || {
        let key = arguments.first()?;
        Some(format!("({key}, ())"))
    };
    let allocator_second = arguments.get(1).is_some_and(|a| *a == GLOBAL);
    let element = match source {
        // `RawTable<T, A>`; methods of `RawTableInner` have the allocator alone.
        Source::RawTable => plain(2),
        // `RawVec<T, A>`; methods of `RawVecInner` have the allocator alone.
        Source::RawVec if function != "finish_grow" => plain(2),
        Source::RawVec => None,
        Source::Sequence if allocator_second => plain(2),
        Source::Sequence => None,
        Source::String => Some("u8".to_owned()),
        // `SmallVec<[T; N]>`.
        Source::SmallVec => plain(1).filter(|array| array.starts_with('[')),
        Source::HashMap if ["make_hash", "make_hasher", "equivalent_key"].contains(&function) => {
            None
        }
        Source::HashMap if function.starts_with('{') => None,
        Source::HashMap | Source::BTreeMap => pair(2),
        Source::HashSet | Source::BTreeSet if function.starts_with('{') => None,
        Source::HashSet | Source::BTreeSet => set(),
        Source::BTreeNode if BTREE_NODE_FUNCTIONS.contains(&function) => pair(3),
        Source::BTreeNode => None,
    }?;
    (!is_parameter(&element)).then(|| short(&element))
}

const GLOBAL: &str = "alloc::alloc::Global";

/// Functions of the b-tree's node module whose first two arguments are key and value; those of
/// others start with a borrow type.
const BTREE_NODE_FUNCTIONS: [&str; 5] = [
    "new",
    "split",
    "insert_recursing",
    "insert",
    "push_internal_level",
];

/// Which container a source file of the standard library or of hashbrown implements.
enum Source {
    RawTable,
    RawVec,
    Sequence,
    String,
    SmallVec,
    HashMap,
    HashSet,
    BTreeMap,
    BTreeSet,
    BTreeNode,
}

impl Source {
    fn of(file: &str) -> Option<Source> {
        let ends = |tails: &[&str]| tails.iter().any(|tail| file.ends_with(tail));
        Some(match () {
            () if ends(&["alloc/src/raw_vec/mod.rs", "alloc/src/raw_vec.rs"]) => Source::RawVec,
            () if ends(&[
                "alloc/src/vec/mod.rs",
                "alloc/src/collections/vec_deque/mod.rs",
                "alloc/src/collections/binary_heap/mod.rs",
            ]) =>
            {
                Source::Sequence
            }
            () if ends(&["alloc/src/string.rs"]) => Source::String,
            () if ends(&["std/src/collections/hash/map.rs"]) => Source::HashMap,
            () if ends(&["std/src/collections/hash/set.rs"]) => Source::HashSet,
            () if ends(&["alloc/src/collections/btree/map.rs"]) => Source::BTreeMap,
            () if ends(&["alloc/src/collections/btree/set.rs"]) => Source::BTreeSet,
            () if ends(&["alloc/src/collections/btree/node.rs"]) => Source::BTreeNode,
            () if file.contains("/smallvec-") && ends(&["/src/lib.rs"]) => Source::SmallVec,
            () if ends(&["/src/raw/mod.rs", "/src/raw.rs"]) && is_hashbrown(file) => {
                Source::RawTable
            }
            () if ends(&["/src/map.rs", "/src/rustc_entry.rs"]) && is_hashbrown(file) => {
                Source::HashMap
            }
            () if ends(&["/src/set.rs"]) && is_hashbrown(file) => Source::HashSet,
            () => return None,
        })
    }
}

/// Whether a file holds code of a container or of what a container is made of, so that the
/// function that called into it from further out still belongs to the same container.
pub fn is_container_code(file: &str) -> bool {
    ["/library/alloc/", "/library/core/", "/library/std/"]
        .iter()
        .any(|library| file.contains(library))
        || is_hashbrown(file)
        || file.contains("/smallvec-")
}

/// Whether this is the function through which every allocation of a Rust program goes.
pub fn enters_allocator(name: &str) -> bool {
    ["__rust_alloc", "__rust_alloc_zeroed", "__rust_realloc"].contains(&name)
}

fn is_hashbrown(file: &str) -> bool {
    file.rsplit('/')
        .any(|part| part == "hashbrown" || part.starts_with("hashbrown-"))
}

/// Element type from a demangled symbol whose mangling keeps generic arguments (Rust's v0,
/// C++).
pub fn from_symbol(demangled: &str) -> Option<String> {
    /// The type that a container's methods belong to, and how many of its arguments make up an
    /// element.
    const HEADS: [(&str, usize); 13] = [
        ("hashbrown::raw::RawTable<", 1),
        ("alloc::raw_vec::RawVec<", 1),
        ("btree::node::LeafNode<", 2),
        ("btree::node::InternalNode<", 2),
        ("std::_Hashtable<", 2),
        ("std::vector<", 1),
        ("std::deque<", 1),
        ("std::_Deque_base<", 1),
        ("std::__cxx11::list<", 1),
        ("std::__cxx11::_List_base<", 1),
        ("std::list<", 1),
        ("std::_List_base<", 1),
        ("std::_Rb_tree<", 2),
    ];
    // Only at the start: further in it is an argument of something else.
    let start = demangled.strip_prefix('<').unwrap_or(demangled);
    let (head, count) = HEADS.into_iter().find(|(head, _)| {
        start.starts_with(head) || start.starts_with("alloc::collections::") && start.contains(head)
    })?;
    let at = start.find(head)?;
    let (_, arguments) = split_generics(&start[at..]);
    let element = match (count, arguments.as_slice()) {
        (1, [element, ..]) => (*element).to_owned(),
        // C++ containers of nodes have the key first and the whole element second.
        (2, [_, element, ..]) if head.starts_with("std::") => (*element).to_owned(),
        (2, [key, value, ..]) => format!("({key}, {value})"),
        _ => return None,
    };
    (!is_parameter(&element)).then(|| short(&element))
}

/// Whether this is the name of a type parameter: legacy mangling prints `RawTable<T,A>`.
fn is_parameter(element: &str) -> bool {
    element.is_empty() || matches!(element, "T" | "K" | "V" | "A" | "_" | "(K, V)")
}

/// Function name and the arguments of its first generic list.
pub fn split_generics(name: &str) -> (&str, Vec<&str>) {
    let Some(open) = name.find('<') else {
        return (name, Vec::new());
    };
    let mut arguments = Vec::new();
    let mut depth = 0usize;
    let mut start = open + 1;
    let mut previous = b' ';
    for (offset, byte) in name.as_bytes()[open..].iter().copied().enumerate() {
        let at = open + offset;
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if previous == b'-' => {}
            b'>' | b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    push_argument(&mut arguments, &name[start..at]);
                    break;
                }
            }
            b',' if depth == 1 => {
                push_argument(&mut arguments, &name[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        previous = byte;
    }
    (name[..open].trim_end_matches("::"), arguments)
}

fn push_argument<'a>(arguments: &mut Vec<&'a str>, argument: &'a str) {
    let argument = argument.trim();
    if !argument.is_empty() {
        arguments.push(argument);
    }
}

/// A type as a person would write it with everything imported: without module paths and
/// without arguments that are defaults.
pub fn short(full: &str) -> String {
    const DEFAULTS: [&str; 4] = [
        ", alloc::alloc::Global>",
        ", std::hash::random::RandomState>",
        ", std::collections::hash::map::RandomState>",
        ", hashbrown::hasher::DefaultHashBuilder>",
    ];
    /// How libstdc++ writes a string, under both of its ABIs and two demanglers.
    const STRINGS: [&str; 4] = [
        "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >",
        "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char>>",
        "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
        "std::basic_string<char, std::char_traits<char>, std::allocator<char>>",
    ];
    let mut text = full.replace("alloc::collections::btree::set_val::SetValZST", "()");
    for string in STRINGS {
        text = text.replace(string, "std::string");
    }
    text = without_allocators(&text);
    while let Some(default) = DEFAULTS.iter().find(|default| text.contains(**default)) {
        text = text.replace(default, ">");
    }
    let mut out = String::with_capacity(text.len());
    let mut path_start = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ':' && chars.peek() == Some(&':') {
            chars.next();
            // A type within a function, or in an unnamed namespace.
            if out.ends_with(')')
                && let Some(open) = out.rfind('(')
            {
                let before =
                    out[..open].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
                path_start = before.len();
            }
            out.truncate(path_start);
        } else {
            out.push(c);
            if !(c.is_alphanumeric() || c == '_') {
                path_start = out.len();
            }
        }
    }
    out.replace(" >", ">")
}

/// The name without the allocators of C++ containers: `std::vector<int, std::allocator<int> >`
/// is a `std::vector<int>`.
fn without_allocators(name: &str) -> String {
    const ALLOCATOR: &str = ", std::allocator<";
    let mut text = name.to_owned();
    while let Some(start) = text.find(ALLOCATOR) {
        let inside = start + ALLOCATOR.len();
        let mut depth = 1usize;
        let close = text[inside..].bytes().position(|byte| {
            match byte {
                b'<' => depth += 1,
                b'>' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let Some(close) = close else { break };
        text.replace_range(start..=inside + close, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW_TABLE: &str = "/rust/deps/hashbrown-0.16.1/src/raw/mod.rs";
    const RAW_VEC: &str = "/rustc/59807616/library/alloc/src/raw_vec/mod.rs";

    #[test]
    fn a_table_s_element_is_the_first_argument() {
        let name = "reserve_rehash<(u64, demo::Session), alloc::alloc::Global, hashbrown::map::make_hasher::{closure_env#0}<u64, demo::Session, std::hash::random::RandomState>>";
        assert_eq!(
            from_debug_name(name, RAW_TABLE).as_deref(),
            Some("(u64, Session)")
        );
    }

    #[test]
    fn a_small_vector_s_element_is_its_array() {
        let file = "/home/x/.cargo/registry/src/index/smallvec-1.13.2/src/lib.rs";
        assert_eq!(
            from_debug_name("try_grow<[demo::Edge; 4]>", file).as_deref(),
            Some("[Edge; 4]")
        );
        assert_eq!(from_debug_name("layout_array<demo::Edge>", file), None);
    }

    #[test]
    fn inner_functions_know_no_element() {
        for name in [
            "reserve_rehash_inner<alloc::alloc::Global>",
            "resize_inner<alloc::alloc::Global>",
            "rehash_in_place",
        ] {
            assert_eq!(from_debug_name(name, RAW_TABLE), None, "{name}");
        }
        assert_eq!(
            from_debug_name("grow_one<alloc::alloc::Global>", RAW_VEC),
            None
        );
    }

    #[test]
    fn defaults_and_paths_are_left_out() {
        assert_eq!(
            from_debug_name(
                "grow_one<alloc::vec::Vec<alloc::string::String, alloc::alloc::Global>, alloc::alloc::Global>",
                RAW_VEC
            )
            .as_deref(),
            Some("Vec<String>")
        );
        assert_eq!(
            short(
                "std::collections::hash::map::HashMap<&str, [u8; 32], std::hash::random::RandomState, alloc::alloc::Global>"
            ),
            "HashMap<&str, [u8; 32]>"
        );
        assert_eq!(
            short(
                "alloc::boxed::Box<dyn core::ops::function::Fn(u64) -> demo::Out, alloc::alloc::Global>"
            ),
            "Box<dyn Fn(u64) -> Out>"
        );
    }

    #[test]
    fn cpp_defaults_are_left_out() {
        for (full, expected) in [
            (
                "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >",
                "string",
            ),
            (
                "std::vector<std::vector<int, std::allocator<int> >, std::allocator<std::vector<int, std::allocator<int> > > >",
                "vector<vector<int>>",
            ),
            (
                "std::pair<int const, (anonymous namespace)::Row>",
                "pair<int const, Row>",
            ),
            ("std::vector<demo::count(int)::Entry>", "vector<Entry>"),
        ] {
            assert_eq!(short(full), expected);
        }
    }

    #[test]
    fn the_same_name_elsewhere_means_nothing() {
        assert_eq!(
            from_debug_name("grow_one<demo::A, demo::B>", "/home/x/demo/src/raw_vec.rs"),
            None
        );
        assert_eq!(
            from_debug_name("reserve<demo::A, demo::B>", "/home/x/demo/src/raw/mod.rs"),
            None
        );
    }

    #[test]
    fn symbols_with_arguments_name_their_element() {
        for (symbol, expected) in [
            (
                "hashbrown::raw::RawTable<(u64, demo::Session)>::reserve_rehash::<hashbrown::map::make_hasher<u64, demo::Session, std::hash::random::RandomState>::{closure#0}>",
                Some("(u64, Session)"),
            ),
            (
                "alloc::raw_vec::RawVec<demo::Session>::grow_one",
                Some("Session"),
            ),
            ("hashbrown::raw::RawTable<T,A>::reserve_rehash", None),
            ("demo::wrap::<alloc::raw_vec::RawVec<u8>>", None),
            (
                "std::_Hashtable<int, std::pair<int const, demo::Big>, std::allocator<std::pair<int const, demo::Big> > >::_M_rehash",
                Some("pair<int const, Big>"),
            ),
            (
                "std::vector<demo::Big, std::allocator<demo::Big> >::_M_realloc_insert<demo::Big const&>",
                Some("Big"),
            ),
        ] {
            assert_eq!(from_symbol(symbol).as_deref(), expected, "{symbol}");
        }
    }
}
