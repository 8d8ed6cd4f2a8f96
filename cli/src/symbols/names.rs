//! From the names that compilers write to the ones that people read.

use std::borrow::Cow;

use cpp_demangle::DemangleOptions;

/// Whether a name is a mangled one: it carries its own path, and needs no help from the unit
/// that it was found in.
pub fn is_mangled(name: &str) -> bool {
    name.starts_with("_R") || name.starts_with("_Z") || name.starts_with("__ZN")
}

/// Demangled name without hash, disambiguators and compiler suffixes; the name itself when it
/// is not mangled.
pub fn demangle(name: &str) -> String {
    let name = without_suffix(name);
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        let demangled = format!("{rust:#}");
        // `_ZNE` is a path of no parts.
        if !demangled.is_empty() {
            return unwrap_inherent(&demangled).into_owned();
        }
    }
    let cpp = Some(name).filter(|name| name.starts_with("_Z"));
    cpp.and_then(|name| demangle_cpp(name).or_else(|| path(name)))
        .unwrap_or_else(|| name.to_owned())
}

fn demangle_cpp(name: &str) -> Option<String> {
    let symbol = cpp_demangle::Symbol::new(name).ok()?;
    let options = DemangleOptions::new().no_params().no_return_type();
    symbol.demangle_with_options(&options).ok()
}

/// The path of a name with something behind it that the demangler does not understand, in what is
/// returned for the most part: a name ends with its path, and is one without the rest.
fn path(name: &str) -> Option<String> {
    /// A path has an `E` for each list of arguments, and for itself.
    const ENDS: usize = 64;
    let nested = Some(name).filter(|name| name.starts_with("_ZN") && name.len() < 4096)?;
    let mut ends = nested.match_indices('E').take(ENDS);
    ends.find_map(|(at, _)| demangle_cpp(&nested[..=at]))
}

/// Cuts what optimisers append when they split or clone a function (`.llvm.123`, `.cold`,
/// `.part.0`), and symbol versions (`@@GLIBC_2.34`).
pub fn without_suffix(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(plain, _)| plain);
    if !name.contains('.') {
        return name;
    }
    // A leading dot belongs to the name; legacy Rust names spell `.` as an escape or `..`.
    for suffix in [
        ".llvm.",
        ".cold",
        ".part.",
        ".isra.",
        ".constprop.",
        ".lto_priv.",
    ] {
        if let Some(at) = name.find(suffix)
            && at > 0
        {
            return &name[..at];
        }
    }
    name
}

/// v0 mangling prints an inherent method as `<path::Type<T>>::method`, the legacy one as
/// `path::Type<T>::method`. Use the latter for both, so that whoever looks for a function needs
/// to know one spelling.
fn unwrap_inherent(name: &str) -> Cow<'_, str> {
    let Some(inside) = name.strip_prefix('<') else {
        return Cow::Borrowed(name);
    };
    let Some(close) = matching_close(inside) else {
        return Cow::Borrowed(name);
    };
    let (inner, rest) = (&inside[..close], &inside[close + 1..]);
    let is_path = inner
        .chars()
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && !inner.starts_with("dyn ")
        && !has_top_level_as(inner);
    if is_path && rest.starts_with("::") {
        Cow::Owned(format!("{inner}{rest}"))
    } else {
        Cow::Borrowed(name)
    }
}

/// Position of the `>` that closes a bracket opened just before `text`.
fn matching_close(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut previous = b' ';
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if previous == b'-' => {}
            b'>' if depth == 0 => return Some(at),
            b'>' => depth -= 1,
            _ => {}
        }
        previous = byte;
    }
    None
}

fn has_top_level_as(text: &str) -> bool {
    text.match_indices(" as ").any(|(at, _)| {
        let before = &text[..at];
        before.matches('<').count() == before.matches('>').count() - before.matches("->").count()
    })
}

/// The name with every generic argument list taken out: what functions that share one body
/// have in common.
pub fn without_generics(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut depth = 0usize;
    let mut previous = '\0';
    for c in name.chars() {
        match c {
            // `<T as Trait>::f` starts with a bracket that is no argument list.
            '<' if depth == 0 && out.is_empty() => out.push(c),
            '<' => {
                if depth == 0 && out.ends_with("::") {
                    out.truncate(out.len() - 2);
                }
                depth += 1;
            }
            '>' if previous != '-' && depth > 0 => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
        previous = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_manglings_of_a_growth_function_read_the_same() {
        let legacy = "_ZN9hashbrown3raw21RawTable$LT$T$C$A$GT$14reserve_rehash17h23e8481d17a24954E.llvm.7251999169982716549";
        assert_eq!(
            demangle(legacy),
            "hashbrown::raw::RawTable<T,A>::reserve_rehash"
        );
        let v0 = "_RNvMs3_NtCslNYArtu3iFV_5alloc7raw_vecINtB5_6RawVecNtCs2ndz2m94zur_4demo7SessionE8grow_oneBO_";
        assert_eq!(
            demangle(v0),
            "alloc::raw_vec::RawVec<demo::Session>::grow_one"
        );
    }

    #[test]
    fn trait_methods_keep_their_bracket() {
        let name = "_RNvXs_NtCslNYArtu3iFV_5alloc5allocNtB4_6GlobalNtNtCsgEmfK2I1SDS_4core5alloc9Allocator10deallocate";
        assert_eq!(
            demangle(name),
            "<alloc::alloc::Global as core::alloc::Allocator>::deallocate"
        );
    }

    #[test]
    fn cpp_names_lose_their_parameters() {
        assert_eq!(
            demangle(
                "_ZNSt6vectorIiSaIiEE17_M_realloc_insertIJRKiEEEvN9__gnu_cxx17__normal_iteratorIPiS1_EEDpOT_"
            ),
            "std::vector<int, std::allocator<int> >::_M_realloc_insert<int const&>"
        );
        assert_eq!(demangle("malloc@@GLIBC_2.2.5"), "malloc");
        // What the demangler does not understand keeps its path at least.
        let of_any = "_ZN2rh6detail5TableILb1EmN3app5OrderEEixIiEENSt9enable_ifIXntsrSt7is_voidIT_E5valueERS3_E4typeERKm";
        assert_eq!(
            demangle(of_any),
            "rh::detail::Table<true, unsigned long, app::Order>::operator[]<int>"
        );
        // Whatever is no name stays what it is.
        for odd in ["_ZN", "_ZNE", "_ZN99aE", "_ZN1\u{e4}E", "_ZN3appIL"] {
            assert_eq!(demangle(odd), odd);
        }
    }

    #[test]
    fn bodies_that_are_shared_lose_their_arguments() {
        assert_eq!(
            without_generics("alloc::raw_vec::RawVec<alloc::vec::Vec<u8>>::grow_one"),
            "alloc::raw_vec::RawVec::grow_one"
        );
        assert_eq!(without_generics("demo::run::<fn(u8) -> u8>"), "demo::run");
    }
}
