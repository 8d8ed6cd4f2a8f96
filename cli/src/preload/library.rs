//! The preload library that the command carries, as a file that the loader can open.
//!
//! It lies in the user's cache directory under a name that tells its contents, and stays there:
//! a process that outlives the command may start others that still name it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::directory::{Directory, is_safe};
use crate::failure::Failure;
use crate::proc::own_uid;

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

fn install(path: &Path, name: &str) -> io::Result<PathBuf> {
    let directory = Directory::make(path, 0o755)?;
    // What the loader takes from there runs with our rights.
    if !is_safe(path)? {
        return Err(io::Error::other("others could replace it"));
    }
    let path = path.join(name);
    let name = OsStr::new(name);
    let present = directory.open(name, false);
    if let Some(file) = present.ok().filter(is_library) {
        return can_be_loaded(&file).map(|()| path);
    }
    // One that was cut short, or changed.
    match directory.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match directory.write_new_for(name, LIBRARY, 0o755) {
        // Another process was faster.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let file = directory.open(name, false)?;
    can_be_loaded(&file).map(|()| path)
}

fn is_library(mut file: &File) -> bool {
    let mut bytes = Vec::new();
    let read = (&mut file)
        .take(LIBRARY.len() as u64 + 1)
        .read_to_end(&mut bytes);
    read.is_ok() && bytes == LIBRARY
}

/// Whether code may be mapped from there, which `noexec` forbids.
fn can_be_loaded(file: &File) -> io::Result<()> {
    // SAFETY: nobody changes the file: it is written under another name first. The mapping is
    // dropped unread.
    unsafe { memmap2::MmapOptions::new().map_exec(file) }.map(drop)
}
