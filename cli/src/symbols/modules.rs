//! Module paths for functions that debug information names only by their last segment, as line
//! tables do for inlined functions: from where crates keep their sources.

use mapgrow_containers::classify::sources::{join_modules, library_source};

/// Where the crates of a program keep their sources, as their compilation units tell: rustc
/// names a unit `src/main.rs/@/demo.1ba8-cgu.0`.
#[derive(Debug, Default)]
pub struct Crates {
    roots: Vec<Root>,
}

#[derive(Debug, PartialEq, Eq)]
struct Root {
    /// Absolute path of the crate's root file.
    file: String,
    name: String,
}

impl Root {
    fn directory(&self) -> &str {
        self.file.rsplit_once('/').map_or("", |(dir, _)| dir)
    }

    /// The file's path below the crate's root.
    fn below<'f>(&self, file: &'f str) -> Option<&'f str> {
        file.strip_prefix(self.directory())?.strip_prefix('/')
    }
}

impl Crates {
    /// Takes in a unit by its name and the directory that it was compiled in; units of other
    /// languages are none.
    pub fn see(&mut self, unit: &str, comp_dir: &str) {
        let Some(root) = root_of(unit, comp_dir) else {
            return;
        };
        // Units of one crate mostly follow each other.
        if !self.roots.iter().rev().any(|known| *known == root) {
            self.roots.push(root);
        }
    }

    /// Module path of a function by the file that it lies in. `comp_dir` is the directory of
    /// the unit that names the file.
    pub fn module_of(&self, file: &str, comp_dir: &str) -> Option<String> {
        if let Some((krate, modules)) = library_source(file) {
            return Some(join_modules(&krate, modules));
        }
        let file = absolute(file, comp_dir);
        // A crate's root may have any name (`src/bin/tool.rs`).
        if let Some(root) = self.roots.iter().find(|root| root.file == file) {
            return Some(root.name.clone());
        }
        let (root, below) = self
            .roots
            .iter()
            .filter_map(|root| Some((root, root.below(&file)?)))
            .max_by_key(|(root, _)| root.directory().len())?;
        // A library and a program that share a directory: either could own the file.
        let shared = self
            .roots
            .iter()
            .any(|other| other.name != root.name && other.directory() == root.directory());
        (!shared).then(|| join_modules(&root.name, below))
    }
}

fn root_of(unit: &str, comp_dir: &str) -> Option<Root> {
    let (file, object) = unit.split_once("/@/")?;
    let name = object.split(['.', '-']).next()?.to_owned();
    let file = absolute(file, comp_dir);
    Some(Root { file, name })
}

fn absolute(path: &str, directory: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{directory}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates(units: &[(&str, &str)]) -> Crates {
        let mut crates = Crates::default();
        for (unit, directory) in units {
            crates.see(unit, directory);
        }
        crates
    }

    #[test]
    fn modules_come_from_where_sources_lie() {
        let crates = crates(&[
            ("cli/src/main.rs/@/mapgrow.1ba8-cgu.0", "/home/x/ws"),
            ("cli/src/main.rs/@/mapgrow.1ba8-cgu.1", "/home/x/ws"),
            ("src/lib.rs/@/store.77aa-cgu.0", "/home/x/ws"),
            ("/usr/src/glibc/malloc.c", "/usr/src/glibc"),
        ]);
        for (file, expected) in [
            (
                "/rustc/59807616/library/alloc/src/raw_vec/mod.rs",
                Some("alloc::raw_vec"),
            ),
            (
                "/rust/deps/hashbrown-0.16.1/src/raw/mod.rs",
                Some("hashbrown::raw"),
            ),
            (
                "/home/x/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/rustc-hash-2.1.0/src/lib.rs",
                Some("rustc_hash"),
            ),
            ("/home/x/ws/cli/src/main.rs", Some("mapgrow")),
            ("cli/src/symbols/mod.rs", Some("mapgrow::symbols")),
            ("/home/x/ws/cli/src/a/b.rs", Some("mapgrow::a::b")),
            // Inlined from another crate of the workspace.
            ("/home/x/ws/src/disk.rs", Some("store::disk")),
            ("/home/x/other/src/lib.rs", None),
            ("/usr/include/c++/12/bits/hashtable.h", None),
        ] {
            let module = crates.module_of(file, "/home/x/ws");
            assert_eq!(module.as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn a_directory_of_two_crates_names_their_roots_only() {
        let crates = crates(&[
            ("src/lib.rs/@/store.77aa-cgu.0", "/ws"),
            ("src/main.rs/@/tool.77ab-cgu.0", "/ws"),
        ]);
        assert_eq!(
            crates.module_of("src/lib.rs", "/ws").as_deref(),
            Some("store")
        );
        assert_eq!(
            crates.module_of("src/main.rs", "/ws").as_deref(),
            Some("tool")
        );
        assert_eq!(crates.module_of("src/disk.rs", "/ws"), None);
    }
}
