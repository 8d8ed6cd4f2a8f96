//! What to call closures and the bodies of async functions: debug information names them
//! `{closure#0}` and `{async_fn#0}`, and people by the function that they stand in.

/// What the compiler makes of a closure or an async body, as debug information names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// `async_fn`, `async_block`, `closure`...
    kind: &'a str,
    number: &'a str,
}

impl<'a> Part<'a> {
    /// Reads `{async_fn#0}`, also where generic arguments follow.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        let inside = name.strip_prefix('{')?;
        let (inside, rest) = inside.split_once('}')?;
        let (kind, number) = inside.split_once('#')?;
        let plain = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let ends = rest.is_empty() || rest.starts_with('<');
        let known = plain && ends && kind != "impl" && number.bytes().all(|b| b.is_ascii_digit());
        known.then_some(Self { kind, number })
    }

    /// Whether it is what the program wrote as an async function.
    #[must_use]
    pub fn is_async_function(self) -> bool {
        self.kind == "async_fn"
    }

    /// What it is called within the function `parent`: the body of an async function is that
    /// function.
    #[must_use]
    pub fn within(self, parent: &str) -> String {
        match self.is_async_function() {
            true => parent.to_owned(),
            false => format!("{parent}::{{{}#{}}}", self.kind, self.number),
        }
    }

    /// What it is called when nobody knows its function: at least those of different lines are
    /// not the same.
    #[must_use]
    pub fn at_line(self, line: u32) -> String {
        format!("{{{}#{}, line {line}}}", self.kind, self.number)
    }

    /// Path of its function, from the generic arguments of the functions that call it: the one
    /// that runs a closure has its type for an argument (`poll<demo::login::{async_fn_env#0}>`).
    /// `callers` are their names, innermost first; `krate` the crate that it is of.
    #[must_use]
    pub fn parent_by_callers<'n>(
        self,
        callers: impl Iterator<Item = &'n str>,
        krate: Option<&str>,
    ) -> Option<&'n str> {
        let mark = format!("::{{{}_env#{}}}", self.kind, self.number);
        for name in callers {
            // Another body of the program's own: what called that one is beyond.
            if Part::parse(name).is_some_and(|_| !name.contains('<')) {
                return None;
            }
            if !name.contains("_env#") {
                continue;
            }
            let mut parents = name
                .match_indices(&mark)
                .map(|(at, _)| path_before(&name[..at]))
                .filter(|path| krate.is_none_or(|krate| path.split("::").next() == Some(krate)));
            let parent = parents.next()?;
            let only = parents.all(|other| other == parent) && !parent.is_empty();
            return only.then_some(parent);
        }
        None
    }
}

/// The path that a text ends in.
fn path_before(text: &str) -> &str {
    let of_path = |c: char| c.is_alphanumeric() || "_:{}#".contains(c);
    let start = text.rfind(|c| !of_path(c)).map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    text[start..].trim_start_matches(':')
}

/// A path as people write it: without the parts that stand for `impl`s and async bodies.
#[must_use]
pub fn readable_path(path: &str) -> String {
    let parts = path.split("::");
    let shown = parts.filter(|part| !part.starts_with("{impl#") && !part.starts_with("{async_fn#"));
    shown.collect::<Vec<_>>().join("::")
}

/// A demangled name of an async function's body without what only says that it is one.
#[must_use]
pub fn without_body(name: &str) -> &str {
    let closure = name.strip_suffix("::{{closure}}").or_else(|| {
        let (outer, last) = name.rsplit_once("::")?;
        (last.starts_with("{closure#") && last.ends_with('}')).then_some(outer)
    });
    closure.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_called_by_their_functions() {
        let body = Part::parse("{async_fn#0}").unwrap();
        assert_eq!(body.within("svc::login"), "svc::login");
        let closure = Part::parse("{closure#3}<u64, u8>").unwrap();
        assert_eq!(closure.within("svc::f"), "svc::f::{closure#3}");
        for name in [
            "login",
            "{impl#3}",
            "{closure",
            "{closure#x}",
            "{vtable.shim}",
            "{a#1}x",
        ] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
        assert_eq!(without_body("svc::login::{{closure}}"), "svc::login");
        assert_eq!(without_body("svc::login::{closure#0}"), "svc::login");
        assert_eq!(without_body("svc::login"), "svc::login");
    }

    #[test]
    fn callers_name_the_function() {
        let body = Part::parse("{async_fn#0}").unwrap();
        let poll = "poll<svc::login::{async_fn_env#0}, alloc::sync::Arc<tokio::x::{impl#1}::y>>";
        let parent =
            |names: &[&'static str]| body.parent_by_callers(names.iter().copied(), Some("svc"));
        assert_eq!(
            parent(&["{closure#0}<u8>", "with_mut", poll]),
            Some("svc::login")
        );
        // That is the function of the body that called this one.
        assert_eq!(parent(&["{async_fn#0}", poll]), None);
        // Two, and another crate's.
        assert_eq!(
            parent(&["join<svc::a::{async_fn_env#0}, svc::b::{async_fn_env#0}>"]),
            None
        );
        assert_eq!(parent(&["poll<tokio::f::{async_fn_env#0}>", poll]), None);
        assert_eq!(parent(&["poll<svc::login::{async_fn_env#1}>"]), None);
        assert_eq!(
            readable_path("svc::{impl#0}::get::{async_fn#0}"),
            "svc::get"
        );
    }
}
