//! The preload library that the command carries, as a file that the loader can open.
//!
//! It lies in the user's cache directory under a name that tells its contents, and stays there:
//! a process that outlives the command may start others that still name it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::process::own_uid;

static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libmapgrow.so"));

/// The library's path, written if it is not there yet.
pub fn path() -> Result<PathBuf, Failure> {
    if LIBRARY.is_empty() {
        return Err(Failure::new(
            "this mapgrow was built without its preload library: install it with `cargo install \
             --git` or `--path`, which build both",
        ));
    }
    let name = format!(
        "libmapgrow-{:08x}-{}.so",
        crc32fast::hash(LIBRARY),
        LIBRARY.len()
    );
    let mut refused = Vec::new();
    for directory in directories() {
        match install(&directory, &name) {
            Ok(path) => return Ok(path),
            Err(error) => refused.push(format!("{}: {error}", directory.display())),
        }
    }
    Err(Failure::new(format!(
        "the preload library finds no place to be loaded from ({}): set TMPDIR to a directory \
         that programs may be run from",
        refused.join("; ")
    )))
}

fn directories() -> Vec<PathBuf> {
    let uid = own_uid();
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    [
        variable("XDG_CACHE_HOME").map(|path| path.join("mapgrow")),
        variable("HOME").map(|path| path.join(".cache/mapgrow")),
        Some(std::env::temp_dir().join(format!("mapgrow-lib-{uid}"))),
        Some(PathBuf::from(format!("/var/tmp/mapgrow-lib-{uid}"))),
    ]
    .into_iter()
    .flatten()
    // The loader takes these for separators.
    .filter(|path| !path.to_string_lossy().contains([' ', ':', '$', '\t', '\n']))
    .collect()
}

fn install(directory: &Path, name: &str) -> io::Result<PathBuf> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)?;
    let meta = directory.symlink_metadata()?;
    if !meta.is_dir() || meta.uid() != own_uid() || meta.mode() & 0o022 != 0 {
        return Err(io::Error::other("others could write into it"));
    }
    let path = directory.join(name);
    if fs::read(&path).is_ok_and(|present| present == LIBRARY) {
        return can_be_loaded(&path).map(|()| path);
    }
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&temporary)
        .and_then(|mut file| file.write_all(LIBRARY))
        .and_then(|()| can_be_loaded(&temporary))
        .and_then(|()| fs::rename(&temporary, &path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(path)
}

/// Whether code may be mapped from there, which `noexec` forbids.
fn can_be_loaded(path: &Path) -> io::Result<()> {
    let file = fs::File::open(path)?;
    // SAFETY: nobody changes the file: it is written under another name first. The mapping is
    // dropped unread.
    unsafe { memmap2::MmapOptions::new().map_exec(&file) }.map(drop)
}
