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

/// Top-level modules of a crate.
fn modules(folder: &Path) -> BTreeSet<String> {
    let names = sources(folder)
        .into_iter()
        .map(|file| module_of(folder, &file));
    names
        .filter(|name| name != "lib" && name != "main")
        .collect()
}

/// The top-level module that a file belongs to.
fn module_of(folder: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(folder).expect("a file of the folder");
    let first = inside.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Names that follow `start` in the text.
fn names_after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// Top-level modules that a file imports or names, other than its own.
fn imports(folder: &Path, file: &Path, all: &BTreeSet<String>) -> BTreeSet<String> {
    let text = fs::read_to_string(file).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut named: BTreeSet<&str> = names_after(&code, "crate::").collect();
    if file.parent() == Some(folder) {
        named.extend(names_after(&code, "super::"));
    }
    for list in code.split("crate::{").skip(1) {
        let list = list.split('}').next().unwrap_or("");
        named.extend(list.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    }
    let own = module_of(folder, file);
    let found = named
        .into_iter()
        .filter(|name| all.contains(*name) && *name != own);
    found.map(str::to_owned).collect()
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
            if is_test(&folder, &file) || own == "lib" || own == "main" {
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
