//! Function names, brought into one form.
//!
//! The same function comes as `hashbrown::raw::RawTable<T,A>::reserve_rehash` (legacy mangling),
//! `<hashbrown::raw::RawTable<(u64, u64)>>::reserve_rehash::<..>` (v0) or
//! `hashbrown::raw::{impl#5}::reserve_rehash<..>` (debug information), with hashes, clone
//! suffixes or, in C++, return types and parameters around it. [`Name`] keeps the path alone.

/// The path of a function without generic arguments, and the trait that it implements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name {
    /// `alloc::vec::Vec::extend` for `<alloc::vec::Vec<T,A> as ..::Extend<T>>::extend`.
    pub path: String,
    /// `core::iter::traits::collect::Extend` for the same.
    pub of_trait: Option<String>,
    /// Whether the type before the method is a generic parameter, a reference to one or a
    /// built-in type, so that the path does not tell whose code this is.
    pub anonymous_self: bool,
}

/// Types that begin with another's angle bracket, one within the other: no compiler writes more, and
/// who makes a name up could write more than a stack has room for.
const DEEPEST: usize = 32;

impl Name {
    /// Reads a demangled name.
    #[must_use]
    pub fn parse(demangled: &str) -> Self {
        Self::parse_within(demangled, 0)
    }

    fn parse_within(demangled: &str, depth: usize) -> Self {
        let text = demangled.trim();
        let inside = leading_angle(text).filter(|_| depth < DEEPEST);
        if let Some((inner, rest)) = inside {
            let (subject, of_trait) = match split_as(inner) {
                Some((subject, of_trait)) => (subject, Some(plain_path(of_trait))),
                None => (inner, None),
            };
            let subject = plain_type(subject, depth);
            let method = plain_path(rest.strip_prefix("::").unwrap_or(rest));
            let anonymous_self = !subject.contains("::");
            let path = if method.is_empty() {
                subject
            } else {
                format!("{subject}::{method}")
            };
            return Self {
                path,
                of_trait,
                anonymous_self,
            };
        }
        Self {
            path: plain_path(text),
            of_trait: None,
            anonymous_self: false,
        }
    }

    /// The last part of the path that is not a closure or a shim.
    #[must_use]
    pub fn last(&self) -> &str {
        self.path
            .rsplit("::")
            .find(|part| !part.starts_with('{'))
            .unwrap_or("")
    }

    /// Whether the name stands for a closure.
    #[must_use]
    pub fn is_closure(&self) -> bool {
        self.path.contains("{{closure}}") || self.path.contains("{closure")
    }
}

/// Splits `<inner>rest`.
fn leading_angle(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('<')?;
    let end = closing(inside)?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// Position of the `>` that closes an angle bracket opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            // `->` in the type of a function closes nothing.
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' if depth == 0 => return Some(at),
            b'>' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Splits `subject as trait` at the outermost level.
fn split_as(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 && text[at..].starts_with(" as ") => {
                return Some((&text[..at], &text[at + 4..]));
            }
            _ => {}
        }
    }
    None
}

/// A type without references, pointers and generic arguments.
fn plain_type(text: &str, depth: usize) -> String {
    let mut text = text.trim();
    loop {
        let before = text;
        for prefix in ["&", "mut ", "*const ", "*mut ", "dyn "] {
            text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
        }
        if text == before {
            break;
        }
    }
    match text.as_bytes().first() {
        Some(b'[') => "[]".to_owned(),
        Some(b'(') => "()".to_owned(),
        Some(b'<') => Name::parse_within(text, depth + 1).path,
        _ => plain_path(text),
    }
}

/// A path without generic arguments, parameters, hashes, return type and clone suffixes.
fn plain_path(text: &str) -> String {
    let text = without_hash(text);
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let width = next.len_utf8();
        match next {
            '<' if matches!(operator_symbol(&path), Some(b"" | b"<")) => path.push('<'),
            // `operator< <int>`: demanglers keep the arguments apart.
            ' ' if rest.starts_with(" <") && ends_with_operator(&path) => {
                let Some(end) = closing(&rest[2..]) else {
                    break;
                };
                rest = &rest[end + 3..];
                continue;
            }
            '<' => {
                let Some(end) = closing(&rest[1..]) else {
                    break;
                };
                rest = &rest[end + 2..];
                // `Vec::<T>::new` leaves one separator too many.
                if path.ends_with("::") && (rest.is_empty() || rest.starts_with("::")) {
                    path.truncate(path.len() - 2);
                }
                continue;
            }
            '{' => {
                let end = rest.find('}').map_or(rest.len(), |at| {
                    let doubled = rest.starts_with("{{") && rest[at + 1..].starts_with('}');
                    at + 1 + usize::from(doubled)
                });
                push_braced(&mut path, &rest[..end]);
                rest = &rest[end..];
                continue;
            }
            '[' if rest.starts_with("[]") && path.ends_with("operator") => {
                path.push_str("[]");
                rest = &rest[2..];
                continue;
            }
            // `core[0123abcd]::fmt`: the disambiguator of a crate.
            '[' if path.ends_with(|last: char| last.is_alphanumeric() || last == '_') => {
                let Some(end) = rest.find(']') else { break };
                rest = &rest[end + 1..];
                continue;
            }
            '(' if rest.starts_with("(anonymous namespace)") => {
                path.push_str("(anonymous)");
                rest = &rest["(anonymous namespace)".len()..];
                continue;
            }
            // Parameters, symbol versions, `.cold`, `.llvm.123`: the path is over.
            '(' if rest.starts_with("()") && path.ends_with("operator") => {
                path.push_str("()");
                rest = &rest[2..];
                continue;
            }
            '(' | '@' => break,
            '.' if !path.is_empty() => break,
            // What came before was a return type.
            ' ' if !ends_with_operator(&path) => path.clear(),
            other => path.push(other),
        }
        rest = &rest[width..];
    }
    path
}

/// Keeps closures and shims; leaves out `{impl#3}`, which stands where the type's name would.
fn push_braced(path: &mut String, braced: &str) {
    if braced.starts_with("{impl#") {
        if path.ends_with("::") {
            path.truncate(path.len() - 2);
        }
    } else {
        path.push_str(braced);
    }
}

fn ends_with_operator(path: &str) -> bool {
    operator_symbol(path).is_some_and(|symbol| {
        let letter = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
        !symbol.iter().any(letter)
    })
}

/// What follows `operator`, where the last part of a path begins so: as far back as there may be a
/// symbol, for this is asked time and again of a path that may be long.
fn operator_symbol(path: &str) -> Option<&[u8]> {
    const WORD: &[u8] = b"operator";
    const LONGEST_SYMBOL: usize = 8;
    let bytes = path.as_bytes();
    let least = bytes.len().saturating_sub(WORD.len() + LONGEST_SYMBOL);
    let symbols = (least..=bytes.len()).rev();
    symbols
        .filter_map(|at| bytes[at..].strip_prefix(WORD))
        .next()
        .filter(|symbol| {
            let scope = &bytes[..bytes.len() - symbol.len() - WORD.len()];
            (scope.is_empty() || scope.ends_with(b"::"))
                && !symbol.windows(2).any(|two| two == b"::")
        })
}

/// Cuts the `::h0123456789abcdef` that ends legacy names.
fn without_hash(text: &str) -> &str {
    match text.rfind("::h") {
        Some(at) => {
            let hash = &text[at + 3..];
            let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_hash { &text[..at] } else { text }
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> String {
        Name::parse(name).path
    }

    #[test]
    fn one_function_has_one_path_however_it_is_written() {
        for name in [
            "hashbrown::raw::RawTable<T,A>::reserve_rehash",
            "hashbrown::raw::RawTable<T,A>::reserve_rehash::h0123456789abcdef",
            "<hashbrown::raw::RawTable<(u64, demo::Session)>>::reserve_rehash::<demo::f::{closure#0}>",
            "<hashbrown[7a6b]::raw::RawTable<(u64, fn(u8) -> u8)>>::reserve_rehash",
            "hashbrown::raw::RawTable<(u64, u64)>::reserve_rehash.cold",
            "hashbrown::raw::RawTable<T,A>::reserve_rehash.llvm.123456",
        ] {
            assert_eq!(
                path(name),
                "hashbrown::raw::RawTable::reserve_rehash",
                "{name}"
            );
        }
        assert_eq!(
            path("hashbrown::raw::{impl#5}::reserve_rehash<(u64, u64), alloc::alloc::Global>"),
            "hashbrown::raw::reserve_rehash"
        );
    }

    #[test]
    fn trait_methods_name_type_and_trait() {
        let name =
            Name::parse("<alloc::vec::Vec<T,A> as core::iter::traits::collect::Extend<T>>::extend");
        assert_eq!(name.path, "alloc::vec::Vec::extend");
        assert_eq!(
            name.of_trait.as_deref(),
            Some("core::iter::traits::collect::Extend")
        );
        assert!(!name.anonymous_self);

        let name = Name::parse("<&mut F as core::ops::function::FnMut<A>>::call_mut");
        assert_eq!(name.path, "F::call_mut");
        assert!(name.anonymous_self);

        let name = Name::parse("<T as alloc::slice::hack::ConvertVec>::to_vec");
        assert!(name.anonymous_self);
        let name = Name::parse("<[T] as alloc::borrow::ToOwned>::to_owned");
        assert_eq!(
            (name.path.as_str(), name.anonymous_self),
            ("[]::to_owned", true)
        );
        let name = Name::parse("<<A as B>::C as D>::e");
        assert_eq!(name.of_trait.as_deref(), Some("D"));
    }

    #[test]
    fn impls_closures_and_shims_stay_readable() {
        assert_eq!(
            path(
                "core::ops::function::impls::<impl core::ops::function::FnOnce<A> for &mut F>::call_once"
            ),
            "core::ops::function::impls::call_once"
        );
        assert_eq!(path("demo::main::{{closure}}"), "demo::main::{{closure}}");
        assert_eq!(
            path("core::ops::function::FnOnce::call_once{{vtable.shim}}"),
            "core::ops::function::FnOnce::call_once{{vtable.shim}}"
        );
        assert_eq!(
            path("demo::run::<u8>::{closure#1}"),
            "demo::run::{closure#1}"
        );
        assert!(Name::parse("demo::run::<u8>::{closure#1}").is_closure());
        assert_eq!(Name::parse("demo::run::{{closure}}").last(), "run");
        assert_eq!(path("alloc::vec::Vec::<T>::new"), "alloc::vec::Vec::new");
    }

    #[test]
    fn cpp_names_lose_return_type_and_parameters() {
        assert_eq!(
            path(
                "void std::vector<int, std::allocator<int> >::_M_realloc_insert<int>(__gnu_cxx::__normal_iterator<int*, std::vector<int> >, int&&)"
            ),
            "std::vector::_M_realloc_insert"
        );
        assert_eq!(path("operator new(unsigned long)"), "operator new");
        assert_eq!(path("Foo::operator<<(int)"), "Foo::operator<<");
        let index =
            "absl::raw_hash_map<Policy<long, int>, Hash<long>>::operator[]<long const&, int>";
        assert_eq!(path(index), "absl::raw_hash_map::operator[]");
        let call = "std::_Rb_tree<int, int>::_Alloc_node::operator()<int const&>";
        assert_eq!(path(call), "std::_Rb_tree::_Alloc_node::operator()");
        assert_eq!(path("bool Foo::operator< <int>(int)"), "Foo::operator<");
        assert_eq!(
            path("(anonymous namespace)::grow(int)"),
            "(anonymous)::grow"
        );
        assert_eq!(path("malloc@@GLIBC_2.2.5"), "malloc");
    }

    #[test]
    fn nonsense_does_no_harm() {
        for name in [
            "",
            "<",
            ">",
            "<<",
            "<a as ",
            "{",
            "{{",
            "a<b",
            "::",
            "ä<ö>::ü",
            "[",
            "a[",
            "(",
            "<>::x",
        ] {
            let _ = Name::parse(name);
        }
        assert_eq!(path("ä<ö>::ü"), "ä::ü");
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads megabytes")]
    fn long_names_do_not_take_the_square_of_their_length() {
        let long = |part: &str| part.repeat((1 << 20) / part.len());
        for name in [
            long("{a}"),
            long("{{a}"),
            "operator".to_owned() + &long(" "),
            "operator".to_owned() + &long(" +"),
            long("a") + &long("<>"),
            long("operator<"),
            long("a::operator()"),
            long("a["),
            long("(anonymous namespace)"),
            long("<a as b>::c"),
        ] {
            let _ = Name::parse(&name);
        }
        assert_eq!(path("a::{{closure}}{{a}b"), "a::{{closure}}{{a}b");
    }

    #[test]
    fn types_within_types_without_end_do_no_harm() {
        let nested = |depth: usize| "<".repeat(depth) + "a::B" + &" as C>::D".repeat(depth);
        assert_eq!(path(&nested(3)), "a::B::D::D::D");
        let _ = path(&nested(100_000));
        let _ = path(&("<".repeat(100_000) + &">".repeat(100_000)));
    }
}
