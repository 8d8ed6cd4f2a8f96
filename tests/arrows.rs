//! Imports run the way that docs/design.md draws them, between crates and inside each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules in the order in which they may import: only what stands further to the left. Those in
/// one pair of braces know one another.
struct Order {
    /// Folder of the sources, from the top of the repository.
    folder: String,
    /// Layers, lowest first, and whether those in it know one another.
    layers: Vec<(Vec<String>, bool)>,
}

impl Order {
    /// One line of the drawing: `src: sync config < pool < { process thread } < record`.
    fn parse(line: &str) -> Self {
        let (folder, layers) = line.split_once(": ").expect("a folder, a colon, layers");
        let layer = |text: &str| {
            let text = text.trim();
            let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
            let modules = inner.unwrap_or(text).split_whitespace();
            (modules.map(str::to_owned).collect(), inner.is_some())
        };
        Self {
            folder: folder.to_owned(),
            layers: layers.split(" < ").map(layer).collect(),
        }
    }

    fn place(&self, module: &str) -> Option<usize> {
        let holds = |(modules, _): &(Vec<String>, bool)| modules.iter().any(|own| own == module);
        self.layers.iter().position(holds)
    }

    /// What is wrong with an import, if anything is.
    fn fault(&self, from: &str, to: &str) -> Option<String> {
        let (own, other) = match (self.place(from), self.place(to)) {
            (Some(own), Some(other)) => (own, other),
            (None, _) => return Some(format!("{}: `{from}` is not drawn", self.folder)),
            (_, None) => return Some(format!("{}: `{to}` is not drawn", self.folder)),
        };
        let together = own == other && self.layers[own].1;
        (other >= own && !together).then(|| {
            format!(
                "{}: `{from}` imports `{to}`, which is not below it",
                self.folder
            )
        })
    }
}

/// The drawing in docs/design.md.
fn drawn() -> Vec<Order> {
    let page = fs::read_to_string(top().join("docs/design.md")).expect("docs/design.md");
    let block = page.split("```arrows\n").nth(1).expect("a block ```arrows");
    let lines = block.split("```").next().unwrap_or("").lines();
    lines.map(Order::parse).collect()
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules that lie directly in a folder.
fn modules(folder: &Path) -> BTreeSet<String> {
    let names = sources(folder)
        .into_iter()
        .map(|file| module_of(folder, &file));
    names.filter(|name| !is_head(name)).collect()
}

/// Whether a file is the head of its folder, which knows all that is in it.
fn is_head(name: &str) -> bool {
    matches!(name, "lib" | "main" | "mod")
}

/// The module, of those that lie directly in a folder, that a file belongs to.
fn module_of(folder: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(folder).expect("a file of the folder");
    let first = inside.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The folder that a crate's sources begin in.
fn top_of_crate(folder: &Path) -> &Path {
    let mut above = folder.ancestors();
    above
        .find(|above| above.ends_with("src"))
        .expect("a folder of a crate's sources")
}

/// A module as its path from the top of the crate.
type Module = Vec<String>;

/// The module of a file or a folder.
fn path_of(top: &Path, file: &Path) -> Module {
    let inside = file.strip_prefix(top).expect("a file of the crate");
    let names = inside.iter().map(|name| name.to_string_lossy());
    let mut path: Module = names
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    if path.last().is_some_and(|last| is_head(last)) {
        path.pop();
    }
    path
}

/// What of a source file is compiled outside tests.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Reads the path that a text begins with, with all that its braces hold; what is left of the text.
fn read_path<'a>(mut text: &'a str, above: &[String], found: &mut Vec<Module>) -> &'a str {
    let mut path = above.to_vec();
    loop {
        text = text.trim_start();
        if let Some(mut list) = text.strip_prefix('{') {
            loop {
                list = list.trim_start_matches([',', ' ', '\n']);
                if list.is_empty() || list.starts_with('}') {
                    return list.strip_prefix('}').unwrap_or(list);
                }
                list = read_path(list, &path, found);
            }
        }
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        match name {
            "super" => drop(path.pop()),
            "self" | "" => {}
            name => path.push(name.to_owned()),
        }
        let Some(inside) = rest.strip_prefix("::") else {
            found.push(path);
            // A new name, or the sign for all names, tells nothing.
            let next = rest.find([',', '}', ';']).unwrap_or(rest.len());
            return &rest[next..];
        };
        text = inside;
    }
}

/// Everything that code names by a path that begins with one of these words.
fn named(code: &str, from: &str, above: &[String]) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(from) {
        let before = code[..at].chars().next_back();
        let inner = before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
        if !inner {
            read_path(&code[at + from.len()..], above, &mut found);
        }
    }
    found
}

/// Modules that the top of a crate calls by a name of its own, by that name.
fn renamed(top: &Path) -> Vec<(String, Module)> {
    let heads = ["lib.rs", "main.rs"].map(|name| top.join(name));
    let head = heads.iter().find(|head| head.exists());
    let code = head.map(|head| code_of(head)).unwrap_or_default();
    let exported = named(&code, "pub use ", &[]).into_iter();
    let is_module = |path: &Module| {
        let place = top.join(path.join("/"));
        place.is_dir() || place.with_extension("rs").exists()
    };
    exported
        .filter(is_module)
        .filter_map(|path| Some((path.last()?.clone(), path)))
        .collect()
}

/// Modules of a folder that a file of it imports or names, other than its own.
fn imports(folder: &Path, file: &Path, all: &BTreeSet<String>) -> BTreeSet<String> {
    let top = top_of_crate(folder);
    let code = code_of(file);
    let mut above = path_of(top, file);
    above.pop();
    let mut found = named(&code, "crate::", &[]);
    found.extend(named(&code, "super::", &above));
    let renamed = renamed(top);
    for path in &mut found {
        let first = path.first().cloned().unwrap_or_default();
        if let Some((_, whole)) = renamed.iter().find(|(name, _)| *name == first) {
            path.splice(..1, whole.iter().cloned());
        }
    }
    let (prefix, own) = (path_of(top, folder), module_of(folder, file));
    let inside = found
        .into_iter()
        .filter_map(|path| path.strip_prefix(prefix.as_slice())?.first().cloned());
    inside
        .filter(|name| all.contains(name) && *name != own)
        .collect()
}

/// Whether a file is there for tests alone.
fn is_test(folder: &Path, file: &Path) -> bool {
    let inside = file.strip_prefix(folder).expect("a file of the folder");
    let test = |name: &str| matches!(name, "tests" | "tests.rs" | "loom_models.rs");
    inside.iter().any(|part| test(&part.to_string_lossy()))
}

#[test]
fn modules_import_what_is_drawn_below_them() {
    let mut faults = Vec::new();
    for order in drawn().iter().filter(|order| order.folder != "crates") {
        let folder = top().join(&order.folder);
        let all = modules(&folder);
        for module in &all {
            if module != "tests" && order.place(module).is_none() {
                faults.push(format!("{}: `{module}` is not drawn", order.folder));
            }
        }
        for file in sources(&folder) {
            let own = module_of(&folder, &file);
            if is_test(&folder, &file) || is_head(&own) {
                continue;
            }
            let imported = imports(&folder, &file, &all);
            faults.extend(imported.iter().filter_map(|other| order.fault(&own, other)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn crates_depend_on_what_is_drawn_below_them() {
    let orders = drawn();
    let order = orders.iter().find(|order| order.folder == "crates");
    let order = order.expect("the line of the crates");
    let mut faults = Vec::new();
    for name in order.layers.iter().flat_map(|(names, _)| names) {
        let folder = match name.as_str() {
            "mapgrow" => top(),
            "ffi" | "cli" => top().join(name),
            _ => top().join("crates").join(name),
        };
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap_or("");
        let dependencies = dependencies.split("\n[").next().unwrap_or("");
        for line in dependencies.lines() {
            let other = match line.split([' ', '=']).next().unwrap_or("") {
                "recorder" | "mapgrow" => "mapgrow",
                other => match other.strip_prefix("mapgrow-") {
                    Some(other) => other,
                    None => continue,
                },
            };
            faults.extend(order.fault(name, other));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn names_are_found_in_lists_and_from_below() {
    let path = |text: &str| -> Module { text.split("::").map(str::to_owned).collect() };
    let code = "use crate::{a, b::{c, d::E as F}};\nuse crate::g::*;\nlet x = crate::h::i(j);\n";
    let found = ["a", "b::c", "b::d::E", "g", "h::i"].map(path);
    assert_eq!(named(code, "crate::", &[]), found);
    let code = "use super::{a, b::c};\nuse super::super::d;\npub(super) fn e() {}\n";
    let found = ["one::a", "one::b::c", "d"].map(path);
    assert_eq!(named(code, "super::", &path("one")), found);
}

#[test]
fn an_import_against_the_order_is_a_fault() {
    let order = Order::parse("src: sync config < pool < { process thread } < record");
    assert_eq!(order.fault("record", "sync"), None);
    assert_eq!(order.fault("process", "thread"), None);
    assert!(
        order
            .fault("pool", "record")
            .is_some_and(|fault| fault.contains("not below"))
    );
    assert!(order.fault("sync", "config").is_some());
    assert!(
        order
            .fault("record", "unheard_of")
            .is_some_and(|fault| fault.contains("not drawn"))
    );
}
