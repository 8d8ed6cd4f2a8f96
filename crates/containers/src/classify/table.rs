//! The catalogue as a text that people read and extend.
//!
//! ```text
//! family my_map              # the name in reports
//!     container map          # map, vector or tree
//!     table my_map_grow      # asks for the memory of a table
//!     resize my_map_grow     # a whole resize happens within it
//!     own my_map_insert      # other code of the container
//!     caller my_map_insert   # one must be on the stack: the names above are common words
//!     host my_map_add        # has those of `table` inlined into it
//!     rehashes unseen        # growth within one size allocates nothing
//!     moves step by step     # a resize goes on over many calls
//! plumbing my_alloc          # only hands requests on to the allocator
//! ```
//!
//! One pattern to a line, matched as [`catalogue`](super::catalogue) says; `#` begins a comment.

use super::catalogue::{Container, Family};
use std::fmt::{self, Write};

/// Families and functions that a user adds.
#[derive(Debug, Default)]
pub struct Table {
    /// Containers.
    pub families: Vec<Family>,
    /// Functions that only hand requests on to the allocator.
    pub plumbing: Vec<&'static str>,
}

/// Why a text is no table: the line, counted from 1, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableError {
    /// Where.
    pub line: usize,
    /// What is wrong, as the end of a sentence.
    pub reason: String,
}

impl fmt::Display for TableError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for TableError {}

/// A family while its lines are read.
#[derive(Default)]
struct Draft<'a> {
    line: usize,
    name: &'a str,
    container: Option<Container>,
    patterns: [Vec<&'a str>; FIELDS.len()],
    rehashes_unseen: bool,
    step_by_step: bool,
}

/// What a text says, while it still belongs to the text.
#[derive(Default)]
struct Said<'a> {
    families: Vec<(Container, Draft<'a>)>,
    plumbing: Vec<&'a str>,
}

/// The words that begin a line with a pattern, and the field that each belongs to.
const FIELDS: [&str; 5] = ["table", "resize", "own", "caller", "host"];

const CONTAINERS: [(&str, Container); 4] = [
    ("map", Container::Map),
    ("vector", Container::Vector),
    ("tree", Container::Tree),
    ("unknown", Container::Unknown),
];

impl<'a> Draft<'a> {
    fn finish(self) -> Result<(Container, Draft<'a>), TableError> {
        let line = self.line;
        let fail = |reason: String| Err(TableError { line, reason });
        let Some(container) = self.container else {
            return fail(format!("{} does not say what `container` it is", self.name));
        };
        if self.patterns[0].is_empty() {
            return fail(format!("{} names no `table` function", self.name));
        }
        Ok((container, self))
    }

    fn kept(self, container: Container) -> Family {
        let [tables, resizes, own, callers, hosts] = self.patterns.map(|patterns| {
            let patterns: Vec<&'static str> = patterns.into_iter().map(kept).collect();
            &*patterns.leak()
        });
        Family {
            name: kept(self.name),
            container,
            tables,
            resizes,
            own,
            callers,
            hosts,
            rehashes_unseen: self.rehashes_unseen,
            step_by_step: self.step_by_step,
        }
    }
}

fn kept(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// Reads a table. What it holds is kept for as long as the program runs.
///
/// # Errors
/// The first line that is not understood.
pub fn parse(text: &str) -> Result<Table, TableError> {
    let said = read(text)?;
    let families = said.families.into_iter();
    Ok(Table {
        families: families
            .map(|(container, draft)| draft.kept(container))
            .collect(),
        plumbing: said.plumbing.into_iter().map(kept).collect(),
    })
}

/// How many families a text has, of which nothing is kept: fuzzing reads more of them than memory
/// takes.
#[cfg(fuzzing)]
pub fn count(text: &str) -> Result<usize, TableError> {
    read(text).map(|said| said.families.len())
}

fn read(text: &str) -> Result<Said<'_>, TableError> {
    let mut said = Said::default();
    let mut draft: Option<Draft<'_>> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let fail = |reason: &str| {
            let (line, reason) = (number + 1, reason.to_owned());
            Err(TableError { line, reason })
        };
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if rest.is_empty() {
            return fail("something must follow the first word");
        }
        match (word, &mut draft) {
            ("family", _) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
                if !rest.chars().all(plain) || rest.len() > 64 {
                    return fail("a family's name is made of letters, digits and `_`");
                }
                let next = Draft {
                    line: number + 1,
                    name: rest,
                    ..Draft::default()
                };
                if let Some(before) = draft.replace(next) {
                    said.families.push(before.finish()?);
                }
            }
            ("plumbing", _) => said.plumbing.push(rest),
            (_, None) => return fail("it belongs to no family: begin with `family NAME`"),
            ("container", Some(draft)) => {
                let known = CONTAINERS.iter().find(|(name, _)| *name == rest);
                let Some(&(_, container)) = known else {
                    return fail("a container is `map`, `vector`, `tree` or `unknown`");
                };
                draft.container = Some(container);
            }
            ("rehashes", Some(draft)) if rest == "unseen" => draft.rehashes_unseen = true,
            ("moves", Some(draft)) if rest == "step by step" => draft.step_by_step = true,
            (word, Some(draft)) => match FIELDS.iter().position(|field| *field == word) {
                Some(field) => draft.patterns[field].push(rest),
                None => {
                    return fail(
                        "it begins with none of family, container, table, resize, own, caller, \
                         host, rehashes unseen, moves step by step, plumbing",
                    );
                }
            },
        }
    }
    if let Some(last) = draft {
        said.families.push(last.finish()?);
    }
    Ok(said)
}

/// Writes families and functions as [`parse`] reads them.
#[must_use]
pub fn print<'a>(
    families: impl Iterator<Item = &'a Family>,
    plumbing: impl Iterator<Item = &'a str>,
) -> String {
    let mut out = String::new();
    for family in families {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "family {}", family.name);
        let container = CONTAINERS
            .iter()
            .find(|(_, known)| *known == family.container);
        let _ = writeln!(
            out,
            "    container {}",
            container.map_or("unknown", |(name, _)| name)
        );
        let fields = [
            family.tables,
            family.resizes,
            family.own,
            family.callers,
            family.hosts,
        ];
        for (word, patterns) in FIELDS.iter().zip(fields) {
            for pattern in patterns {
                let _ = writeln!(out, "    {word} {pattern}");
            }
        }
        if family.rehashes_unseen {
            out.push_str("    rehashes unseen\n");
        }
        if family.step_by_step {
            out.push_str("    moves step by step\n");
        }
        out.push('\n');
    }
    for pattern in plumbing {
        let _ = writeln!(out, "plumbing {pattern}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::families;
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let printed = print(families(), ["operator new", "my_alloc"].into_iter());
        let read = parse(&printed).expect("our own table");
        assert!(families().eq(read.families.iter()));
        assert_eq!(read.plumbing, ["operator new", "my_alloc"]);
    }

    #[test]
    fn comments_and_blank_lines_are_nothing() {
        let text = "# mine\n\nfamily my_map  # a map\n container map\n  table grow # grows\n";
        let table = parse(text).expect("a table");
        let [family] = table.families.as_slice() else {
            panic!("{table:?}");
        };
        assert_eq!((family.name, family.tables), ("my_map", &["grow"][..]));
        assert_eq!(family.container, Container::Map);
        assert!(parse("").expect("nothing").families.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line) in [
            ("table grow", 1),
            ("family", 1),
            ("family a b", 1),
            ("family a\n\ncontainer heap", 3),
            ("family a\ncontainer map", 1),
            ("family a\ntable grow\nfamily b", 1),
            ("family a\ncontainer map\ntable grow\ngrows", 4),
            ("family a\ncontainer map\ntable grow\nmoves slowly", 4),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text}: {error}");
        }
    }
}
