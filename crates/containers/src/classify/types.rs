//! What type names tell: how a container is written, and how large its elements are.

/// Splits `a, b<c, d>, (e, f)` at the outermost commas.
fn split_top(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    let bytes = list.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = list[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// The element types in a list: `(u64, Session)`, `u64, Session` and `["u64", "Session"]` all
/// give two.
#[must_use]
pub fn elements(list: &str) -> Vec<String> {
    let list = list.trim();
    let whole = |open: char, close: char| {
        let inside = list.strip_prefix(open)?.strip_suffix(close)?;
        // `(a), (b)` starts and ends with brackets that do not belong together.
        let mut depth = 0i64;
        let closed_early = inside.chars().any(|next| {
            depth += i64::from(next == open) - i64::from(next == close);
            depth < 0
        });
        (!closed_early).then_some(inside)
    };
    let is_array = list.starts_with('[') && list.contains(';');
    let inside = whole('(', ')').or_else(|| whole('[', ']').filter(|_| !is_array));
    let parts = split_top(inside.unwrap_or(list));
    parts
        .into_iter()
        .map(|part| part.trim_matches('"').to_owned())
        .collect()
}

/// A name as a program writes it: `core::option::Option<demo::Session>` becomes
/// `Option<Session>`.
#[must_use]
pub fn short(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut part_start = 0;
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next = name[at..].chars().next().unwrap_or(' ');
        if name[at..].starts_with("::") {
            short.truncate(part_start);
            at += 2;
        } else {
            short.push(next);
            if !(next.is_alphanumeric() || matches!(next, '_' | '{' | '}' | '#')) {
                part_start = short.len();
            }
            at += next.len_utf8();
        }
    }
    short
}

/// The class and the method of a function's name: `ns::Map<int>` and `grow` of
/// `void ns::Map<int>::grow(unsigned long)`. The class may be a namespace.
#[must_use]
pub fn method(function: &str) -> Option<(&str, &str)> {
    let (mut depth, mut start, mut end, mut last) = (0usize, 0, function.len(), None);
    let bytes = function.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'(' if depth == 0 && !function[at..].starts_with("(anonymous") => {
                end = at;
                break;
            }
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            // What came before was the type that is returned.
            b' ' if depth == 0 => (start, last) = (at + 1, None),
            b':' if depth == 0 && function[at..].starts_with("::") => last = Some(at),
            _ => {}
        }
    }
    let (last, text) = (last?, &function[..end]);
    Some((text.get(start..last)?, text.get(last + 2..)?))
}

/// Arguments that templates of C++ have where a program says nothing of them.
const DEFAULTS: &[&str] = &[
    "hash",
    "equalto",
    "less",
    "allocator",
    "chartraits",
    "defaultdelete",
];

/// A template's name as a program writes it: without namespaces, and without what follows from the
/// other arguments.
#[must_use]
pub fn template(name: &str) -> String {
    template_within(name.trim(), 8)
}

fn template_within(name: &str, depth: u32) -> String {
    let opened = name.split_once('<').zip(depth.checked_sub(1));
    let Some(((outer, rest), depth)) = opened else {
        return short(name);
    };
    let Some(end) = closing(rest) else {
        return short(name);
    };
    let (inside, after) = (&rest[..end], &rest[end + 1..]);
    // A type within a template is called by its own name.
    if let Some(inner) = after.strip_prefix("::") {
        return template_within(inner, depth);
    }
    let outer = short(outer);
    let kept: Vec<String> = split_top(inside)
        .into_iter()
        .map(|argument| template_within(argument, depth))
        .take_while(|argument| {
            let of = argument.split('<').next().unwrap_or("");
            let of = of.replace('_', "").to_lowercase();
            !DEFAULTS.contains(&of.as_str())
        })
        .collect();
    // What Abseil's maps, and those made after them, inherit their methods from is named by a policy.
    let policy = kept.first().and_then(|policy| policy.split_once('<'));
    if let Some((policy, of)) = policy.filter(|_| outer.starts_with("raw_hash_"))
        && let Some(name) = by_policy(policy)
    {
        let of = of.strip_suffix('>').unwrap_or(of);
        return format!("{name}<{of}>{after}");
    }
    let list = match outer.as_str() {
        "basic_string" if kept == ["char"] => "string".to_owned(),
        _ if kept.is_empty() => outer,
        _ => format!("{outer}<{}>", kept.join(", ")),
    };
    list + after
}

/// The class that a program uses, by the policy that the code of all of them is made for.
fn by_policy(policy: &str) -> Option<&'static str> {
    Some(match policy {
        "FlatHashMapPolicy" => "flat_hash_map",
        "FlatHashSetPolicy" => "flat_hash_set",
        "NodeHashMapPolicy" => "node_hash_map",
        "NodeHashSetPolicy" => "node_hash_set",
        _ => return None,
    })
}

/// Where the bracket closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let bytes = text.as_bytes();
    bytes.iter().enumerate().position(|(at, byte)| match byte {
        b'<' | b'(' | b'[' => {
            depth += 1;
            false
        }
        b'>' if at > 0 && bytes[at - 1] == b'-' => false,
        b'>' if depth == 0 => true,
        b'>' | b')' | b']' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => false,
    })
}

/// Size and alignment on a 64-bit machine of a type whose name says it all.
#[must_use]
pub fn layout(name: &str) -> Option<(u64, u64)> {
    layout_within(name.trim(), 8)
}

/// What the alignment of a type is a multiple of: that of a tuple is at least that of each part
/// whose name tells.
#[must_use]
pub fn least_align(name: &str) -> u64 {
    let name = name.trim();
    let known = |name| layout(name).map_or(1, |(_, align)| align);
    match name
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(inside) => split_top(inside).into_iter().map(known).max().unwrap_or(1),
        None => known(name),
    }
}

fn layout_within(name: &str, depth: u32) -> Option<(u64, u64)> {
    let depth = depth.checked_sub(1)?;
    let fixed = match name {
        "()" => (0, 1),
        "u8" | "i8" | "bool" => (1, 1),
        "u16" | "i16" => (2, 2),
        "u32" | "i32" | "f32" | "char" => (4, 4),
        "u64" | "i64" | "f64" | "usize" | "isize" => (8, 8),
        "u128" | "i128" => (16, 16),
        "&str" | "&'static str" => (16, 8),
        _ => (0, 0),
    };
    if fixed != (0, 0) {
        return Some(fixed);
    }
    if name.starts_with("&[") || name.starts_with("&mut [") {
        return if name.contains(';') {
            Some((8, 8))
        } else {
            Some((16, 8))
        };
    }
    if let Some(inside) = name
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let mut bytes = 0u64;
        let mut align = 1;
        for part in split_top(inside) {
            let (part_bytes, part_align) = layout_within(part, depth)?;
            bytes = bytes.checked_add(part_bytes)?;
            align = align.max(part_align);
        }
        return Some((bytes.checked_next_multiple_of(align)?, align));
    }
    if let Some(inside) = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let (element, count) = inside.rsplit_once(';')?;
        let (bytes, align) = layout_within(element.trim(), depth)?;
        let count = count.trim().trim_end_matches("usize").trim_end_matches('_');
        return Some((bytes.checked_mul(count.parse().ok()?)?, align));
    }
    let outer = name.split('<').next()?.rsplit("::").next()?;
    match outer {
        "String" | "Vec" | "PathBuf" | "OsString" => Some((24, 8)),
        "VecDeque" => Some((32, 8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_tell_their_class() {
        for (function, class, name) in [
            (
                "void ns::Map<int, a::B<c> >::grow(unsigned long)",
                "ns::Map<int, a::B<c> >",
                "grow",
            ),
            ("ns::Map<int>::put", "ns::Map<int>", "put"),
            ("ns::grow", "ns", "grow"),
            (
                "void* ns::Allocate<16ul>(unsigned long)",
                "ns",
                "Allocate<16ul>",
            ),
            (
                "(anonymous namespace)::Table<long>::put(long)",
                "(anonymous namespace)::Table<long>",
                "put",
            ),
        ] {
            assert_eq!(method(function), Some((class, name)), "{function}");
        }
        for function in ["main", "grow(int)", "", "<", "void f<a::b>(c::d)"] {
            assert_eq!(method(function), None, "{function}");
        }
    }

    #[test]
    fn templates_are_written_as_programs_do() {
        for (symbol, written) in [
            (
                "absl::lts_20220623::container_internal::raw_hash_map<absl::lts_20220623::container_internal::FlatHashMapPolicy<unsigned long, std::vector<int, std::allocator<int> > >, absl::lts_20220623::hash_internal::Hash<unsigned long>, std::equal_to<unsigned long>, std::allocator<std::pair<unsigned long const, std::vector<int, std::allocator<int> > > > >",
                "flat_hash_map<unsigned long, vector<int>>",
            ),
            (
                "phmap::priv::raw_hash_set<phmap::priv::NodeHashSetPolicy<int>, phmap::Hash<int>>",
                "node_hash_set<int>",
            ),
            (
                "ska::flat_hash_map<unsigned long, Session, std::hash<unsigned long>, std::equal_to<unsigned long>, std::allocator<x> >",
                "flat_hash_map<unsigned long, Session>",
            ),
            (
                "Table<std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >, int>",
                "Table<string, int>",
            ),
            ("a::Index", "Index"),
            ("a::Of<std::allocator<int> >", "Of"),
            (
                "Pool<std::pair<std::basic_string<char, x::traits<char> > const, int>, a::M<int, std::less<int> >::Key>",
                "Pool<pair<basic_string<char, traits<char>> const, int>, Key>",
            ),
            ("Odd<", "Odd<"),
        ] {
            assert_eq!(template(symbol), written);
        }
        let depth = if cfg!(miri) { 1_000 } else { 100_000 };
        let deep = "a<".repeat(depth) + &">".repeat(depth);
        assert!(template(&deep).starts_with("a<a<"));
    }

    #[test]
    fn lists_of_elements_are_split_at_the_outermost_level() {
        for list in [
            "(u64, Map<u8, u16>)",
            "u64, Map<u8, u16>",
            "[\"u64\", \"Map<u8, u16>\"]",
        ] {
            assert_eq!(elements(list), ["u64", "Map<u8, u16>"], "{list}");
        }
        assert_eq!(elements("(u8, u8), (u16, u16)"), ["(u8, u8)", "(u16, u16)"]);
        assert_eq!(elements("[u8; 4]"), ["[u8; 4]"]);
        assert_eq!(elements("demo::Session"), ["demo::Session"]);
        assert_eq!(elements("(u64, ())"), ["u64", "()"]);
        assert_eq!(elements("u64, fn(u8) -> u8"), ["u64", "fn(u8) -> u8"]);
    }

    #[test]
    fn names_become_short() {
        assert_eq!(
            short("core::option::Option<demo::Session>"),
            "Option<Session>"
        );
        assert_eq!(short("(u64, alloc::string::String)"), "(u64, String)");
        assert_eq!(short("&demo::a::B"), "&B");
        assert_eq!(short("u64"), "u64");
        assert_eq!(short("demo::f::{closure#0}"), "{closure#0}");
    }

    #[test]
    fn sizes_are_those_of_the_compiler() {
        fn check<T>(name: &str) {
            let real = (size_of::<T>() as u64, align_of::<T>() as u64);
            assert_eq!(layout(name), Some(real), "{name}");
        }
        check::<u64>("u64");
        check::<(u64, u8)>("(u64, u8)");
        check::<(u8, u64, u16)>("(u8, u64, u16)");
        check::<(u64, ())>("(u64, ())");
        check::<(String, u32)>("(alloc::string::String, u32)");
        check::<[u16; 5]>("[u16; 5]");
        check::<(&str, Vec<u8>)>("(&str, alloc::vec::Vec<u8>)");
        check::<&[u8]>("&[u8]");
        check::<u128>("u128");
        assert_eq!(
            least_align("(u64, demo::Session)"),
            align_of::<u64>() as u64
        );
        assert_eq!(least_align("(demo::Key, demo::Session)"), 1);
        assert_eq!(
            least_align("alloc::string::String"),
            align_of::<String>() as u64
        );
        assert_eq!(layout("demo::Session"), None);
        assert_eq!(layout("(u64, demo::Session)"), None);
        assert_eq!(layout(&"(".repeat(100_000)), None);
        assert_eq!(
            layout(&format!("{}u8{}", "(".repeat(50), ")".repeat(50))),
            None
        );
    }
}
