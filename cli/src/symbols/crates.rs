//! The crates of registries that a program was built of, when it has no line tables: messages of
//! panics name the source files that they come from.

use std::collections::HashMap;

use mapgrow_containers::classify::sources::library_source;
use object::{Object, ObjectSection};

/// What the path of every registry's source has in it.
const REGISTRY: &[u8] = b"/registry/src/";
/// Longer paths are none.
const MOST_BYTES: usize = 512;

/// Where the sources of crates lay, by the name that their functions begin with.
#[derive(Debug, Default)]
pub struct LibraryCrates {
    directories: HashMap<String, String>,
}

impl LibraryCrates {
    /// Reads an object's constant data.
    pub fn of(object: &object::File<'_>) -> LibraryCrates {
        let constants = object.section_by_name(".rodata");
        let bytes = constants.and_then(|section| section.data().ok());
        LibraryCrates::read(bytes.unwrap_or_default())
    }

    fn read(bytes: &[u8]) -> LibraryCrates {
        let mut directories = HashMap::new();
        for at in memchr::memmem::find_iter(bytes, REGISTRY) {
            let found = &bytes[at..];
            let of_path = |byte: &&u8| byte.is_ascii_graphic();
            let length = found.iter().take(MOST_BYTES).take_while(of_path).count();
            // `/registry/src/NAME/CRATE-VERSION/...`
            let Ok(path) = std::str::from_utf8(&found[..length]) else {
                continue;
            };
            let Some((end, _)) = path.match_indices('/').nth(4) else {
                continue;
            };
            let directory = &path[..end];
            if let Some((krate, _)) = library_source(&format!("{directory}/src/lib.rs")) {
                directories.insert(krate, directory.to_owned());
            }
        }
        LibraryCrates { directories }
    }

    /// Where the source of a function lay, if it is of such a crate.
    pub fn directory(&self, function: &str) -> Option<&str> {
        // An implementation's function belongs to either of two crates.
        let (krate, _) = function
            .split_once("::")
            .filter(|_| !function.starts_with('<'))?;
        self.directories.get(krate).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_tell_the_crates() {
        let text = b"index out of bounds/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/lru-0.16.1/src/lib.rs\
            /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-util-0.7.1/src/x.rs\0/registry/src/\xff/registry/src/a/b";
        let crates = LibraryCrates::read(text);
        let directory = "/registry/src/index.crates.io-1949cf8c6b5b557f/lru-0.16.1";
        assert_eq!(crates.directory("lru::LruCache<K,V>::put"), Some(directory));
        assert!(crates.directory("tokio_util::x::f").is_some());
        for own in ["demo::main", "lru", "<lru::A as demo::B>::f", ""] {
            assert_eq!(crates.directory(own), None, "{own}");
        }
    }
}
