//! Crates and modules by where their sources lie, for functions that debug information names
//! only by their last segment.

/// Crate and path below its `src` for the standard library and for crates of a registry.
#[must_use]
pub fn library_source(file: &str) -> Option<(String, &str)> {
    if let Some((_, inside)) = file.rsplit_once("/library/")
        && let Some((krate, modules)) = inside.split_once("/src/")
        && !krate.contains('/')
    {
        return Some((krate.to_owned(), modules));
    }
    // The last `/src/` that follows a `name-1.2.3` directory.
    file.rmatch_indices("/src/").find_map(|(at, separator)| {
        let directory = file[..at].rsplit('/').next()?;
        let name = without_version(directory)?;
        Some((name.replace('-', "_"), &file[at + separator.len()..]))
    })
}

/// `hashbrown-0.16.1` without its version; nothing when there is none.
fn without_version(directory: &str) -> Option<&str> {
    directory.match_indices('-').find_map(|(at, _)| {
        let version = &directory[at + 1..];
        let is_version = version.starts_with(|c: char| c.is_ascii_digit())
            && version.split('.').take(3).count() == 3;
        is_version.then_some(&directory[..at])
    })
}

/// The module that a source file below a crate's `src` holds: `raw_vec/mod.rs` of `alloc` is
/// `alloc::raw_vec`.
#[must_use]
pub fn join_modules(krate: &str, path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut modules = vec![krate];
    modules.extend(path.split('/').filter(|part| !part.is_empty()));
    if let Some(last) = modules.last()
        && modules.len() > 1
        && ["mod", "lib", "main"].contains(last)
    {
        modules.pop();
    }
    modules.join("::")
}

/// The module of a library's source file: of the standard library or of a crate from a registry.
#[must_use]
pub fn library_module(file: &str) -> Option<String> {
    let (krate, modules) = library_source(file)?;
    Some(join_modules(&krate, modules))
}

#[cfg(test)]
mod tests {
    use super::library_module;

    #[test]
    fn libraries_are_known_by_their_place() {
        for (file, expected) in [
            (
                "/rustc/59807616/library/alloc/src/raw_vec/mod.rs",
                Some("alloc::raw_vec"),
            ),
            (
                "/rust/deps/hashbrown-0.16.1/src/raw.rs",
                Some("hashbrown::raw"),
            ),
            ("/home/x/project/src/main.rs", None),
        ] {
            assert_eq!(library_module(file).as_deref(), expected, "{file}");
        }
    }
}
