//! Which function a line of Rust lies in, from the source itself.
//!
//! Line tables call a closure or the body of an async function that was inlined `{closure#0}` or
//! `{async_fn#0}`, and nothing in them says whose. Where the source is there, and was not changed
//! since the program was built, it does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;
use std::time::SystemTime;

use super::tokens::{Token, Tokens};

/// Most bytes read of a source file: debug information may name anything.
const MOST_BYTES: u64 = 8 << 20;
/// Items within each other, at most.
const MOST_DEPTH: usize = 64;

/// A function in a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Modules, type and functions around it in the file, and its name: `Cache::put`.
    pub path: String,
    /// Whether it is `async`.
    pub is_async: bool,
    first_line: u32,
    last_line: u32,
    /// Where it begins and ends in the file.
    span: (usize, usize),
}

/// Functions of source files, each file read once.
#[derive(Debug, Default)]
pub struct Sources {
    files: RefCell<HashMap<String, Rc<[Function]>>>,
}

impl Sources {
    /// The innermost function around a line, unless the file is younger than the program or the
    /// line belongs to several.
    pub fn function(&self, file: &str, line: u32, built: SystemTime) -> Option<Function> {
        if !file.ends_with(".rs") {
            return None;
        }
        let known = self.files.borrow().get(file).cloned();
        let functions = known.unwrap_or_else(|| {
            let text = read(file, built).unwrap_or_default();
            let functions: Rc<[Function]> = functions(&text).into();
            let mut files = self.files.borrow_mut();
            files.insert(file.to_owned(), Rc::clone(&functions));
            functions
        });
        around(&functions, line).cloned()
    }
}

fn read(file: &str, built: SystemTime) -> Option<String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(file)
        .ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.modified().ok()? > built {
        return None;
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

fn around(functions: &[Function], line: u32) -> Option<&Function> {
    let holds = |function: &&Function| (function.first_line..=function.last_line).contains(&line);
    let holding = || functions.iter().filter(holds);
    let innermost = holding().min_by_key(|function| function.span.1 - function.span.0)?;
    let (start, end) = innermost.span;
    let all_around = |function: &Function| function.span.0 <= start && end <= function.span.1;
    holding().all(all_around).then_some(innermost)
}

/// What a brace that was not closed yet belongs to.
enum Open {
    Block,
    Scope,
    Function(Function),
}

/// An item whose brace has not come yet.
struct Pending {
    name: String,
    /// `None` for modules, traits and types.
    function: Option<bool>,
    line: u32,
    start: usize,
    /// Parentheses and brackets around it.
    depth: usize,
}

impl Pending {
    /// Its body begins.
    fn open(self, path: &mut Vec<String>) -> Open {
        path.push(self.name);
        self.function.map_or(Open::Scope, |is_async| {
            Open::Function(Function {
                path: path.join("::"),
                is_async,
                first_line: self.line,
                last_line: 0,
                span: (self.start, 0),
            })
        })
    }
}

/// All functions with a body.
fn functions(text: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut pending: Option<Pending> = None;
    let mut depth = 0usize;
    // What was read since the last item or statement began, of words that go before `fn`.
    let (mut is_async, mut begins) = (false, true);
    let mut tokens = Tokens::new(text);
    while let Some(token) = tokens.read() {
        let (line, start) = (tokens.line, tokens.start);
        let begun = |name, function| Pending {
            name,
            function,
            line,
            start,
            depth,
        };
        match token {
            Token::Word("async") => is_async = true,
            Token::Word("fn" | "mod" | "trait") if pending.is_none() => {
                if let Some(Token::Word(name)) = tokens.read() {
                    let function = (token == Token::Word("fn")).then_some(is_async);
                    pending = Some(begun(name.to_owned(), function));
                }
                is_async = false;
            }
            Token::Word("impl") if pending.is_none() && begins => {
                pending = Some(begun(implemented(tokens.ahead()), None));
            }
            Token::Word("unsafe" | "const" | "extern" | "pub" | "default") => {}
            Token::Word(_) => begins = false,
            Token::Mark(b'(' | b'[') => depth += 1,
            Token::Mark(b')' | b']') => {
                depth = depth.saturating_sub(1);
                begins |= text.as_bytes().get(start) == Some(&b']');
            }
            Token::Mark(b';') => {
                pending = pending.filter(|item| item.depth != depth);
                (is_async, begins) = (false, true);
            }
            Token::Mark(b'{') => {
                let item = pending.take_if(|item| item.depth == depth && path.len() < MOST_DEPTH);
                open.push(item.map_or(Open::Block, |item| item.open(&mut path)));
                (is_async, begins) = (false, true);
            }
            Token::Mark(b'}') => {
                match open.pop() {
                    Some(Open::Function(function)) => {
                        path.pop();
                        found.push(Function {
                            last_line: line,
                            span: (function.span.0, start),
                            ..function
                        });
                    }
                    Some(Open::Scope) => {
                        path.pop();
                    }
                    Some(Open::Block) | None => {}
                }
                (is_async, begins) = (false, true);
            }
            Token::Mark(_) => {}
        }
    }
    found
}

/// The type that an `impl` is of, from what follows the word.
fn implemented(ahead: &str) -> String {
    let head = ahead.split(['{', ';']).next().unwrap_or_default();
    let mut plain = String::new();
    let (mut nested, mut previous) = (0usize, ' ');
    for char in head.chars() {
        match char {
            '<' => nested += 1,
            '>' if previous != '-' => nested = nested.saturating_sub(1),
            _ if nested == 0 => plain.push(char),
            _ => {}
        }
        previous = char;
    }
    let words = plain.split_whitespace().take_while(|&word| word != "where");
    let words: Vec<&str> = words.collect();
    // `Trait for Type`, else the type alone.
    let subject = match words.iter().position(|&word| word == "for") {
        Some(at) => words.get(at + 1..).unwrap_or_default(),
        None => &words[..],
    };
    let subject = subject.last().copied().unwrap_or_default();
    let name = subject.rsplit("::").next().unwrap_or_default();
    let word = |char: char| char.is_alphanumeric() || char == '_';
    name.trim_matches(|char| !word(char)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, line: u32) -> Option<(String, bool)> {
        let functions = functions(text);
        around(&functions, line).map(|function| (function.path.clone(), function.is_async))
    }

    const SERVICE: &str = r##"use std::fmt; // fn not_this() {
/* fn nor_this() { /* } */ */
pub(crate) async fn login(user: [u8; 4]) -> usize
where
    F: Fn(u8) -> u8,
{
    let text = "} \" {"; let c = '{'; let l: &'static str = r#"}"#;
    users.iter().map(|user| {
        user
    })
}
mod inner {
    impl<T: Into<u8>> super::Trait<T> for Cache<T> where T: Copy {
        unsafe fn put(&self) {
            fn helper() {
                1
            }
            2
        }
        const fn empty(); fn one_line() { 3 }
    }
    trait Shape { fn area(&self) -> u8; async fn fill(&self) {
        4
    } }
}
fn a() { 1 } fn b() { 2 }
fn with(f: fn(u8) -> u8, g: impl Fn()) -> impl Fn() {
    move || { 5 }
}
async fn one(x: u8) { x } async fn two() {
    6
}
"##;

    #[test]
    fn lines_lie_in_functions() {
        let found = |path: &str, is_async| Some((path.to_owned(), is_async));
        for (line, expected) in [
            (1, None),
            (2, None),
            (3, found("login", true)),
            (9, found("login", true)),
            (13, None),
            (16, found("inner::Cache::put::helper", false)),
            (18, found("inner::Cache::put", false)),
            (20, found("inner::Cache::one_line", false)),
            (23, found("inner::Shape::fill", true)),
            // Either of them.
            (26, None),
            (28, found("with", false)),
            (31, found("two", true)),
            (40, None),
        ] {
            assert_eq!(at(SERVICE, line), expected, "line {line}");
        }
    }

    #[test]
    fn nonsense_does_no_harm() {
        for text in [
            "",
            "fn",
            "fn f",
            "fn f(",
            "}}}}",
            "fn f() {",
            "'",
            "'\\",
            "\"",
            "r#\"",
            "/*",
            "impl",
            "impl {",
            "fn ä() { 'ä' }",
        ] {
            let _ = functions(text);
        }
        assert_eq!(at("fn ä() { 'ä' }", 1), Some(("ä".to_owned(), false)));
        let mut cut = SERVICE.to_owned();
        while cut.pop().is_some() {
            let _ = functions(&cut);
        }
    }

    #[test]
    fn a_source_that_changed_since_is_not_believed() {
        let path = std::env::temp_dir().join(format!("mapgrow-source-{}.rs", std::process::id()));
        std::fs::write(&path, "fn f() { 1 }\n").unwrap();
        let file = path.to_str().unwrap();
        let written = path.metadata().unwrap().modified().unwrap();
        let before = written - std::time::Duration::from_secs(1);
        assert_eq!(Sources::default().function(file, 1, before), None);
        let found = Sources::default().function(file, 1, written).unwrap();
        assert_eq!(found.path, "f");
        std::fs::remove_file(&path).unwrap();
    }
}
