//! Object files as they lie on disk: opened, mapped, checked against the build id that a
//! recording knows, with their separate debug information.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use object::read::elf::ProgramHeader;
use object::{Object, elf};
use typed_arena::Arena;

/// Where system packages put separate debug information.
const DEBUG_ROOT: &str = "/usr/lib/debug";

/// Keeps what a symbolizer has mapped or unpacked: everything else borrows from here.
#[derive(Default)]
pub struct Files {
    maps: Arena<Mmap>,
    /// Where they lie, and their lengths.
    mapped: RefCell<Vec<(usize, usize)>>,
    unpacked: Arena<Vec<u8>>,
}

impl Files {
    /// An empty set of files.
    pub fn new() -> Files {
        Files::default()
    }

    /// Keeps the bytes of a section that was compressed.
    pub(super) fn keep(&self, bytes: Vec<u8>) -> &[u8] {
        self.unpacked.alloc(bytes)
    }

    /// Gives the memory of all files back until somebody reads them again.
    pub(super) fn rest(&self) {
        for &(start, bytes) in self.mapped.borrow().iter() {
            // SAFETY: a private, read-only mapping that lives as long as `self`. If the file was
            // changed in place other bytes come back; the parser checks bounds, but borrows see the
            // change.
            unsafe { libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_DONTNEED) };
        }
    }

    fn map(&self, path: &Path) -> io::Result<&[u8]> {
        // A module's path comes from a recording, so it may name anything: a FIFO must not
        // block, a device must not be read.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let map = self.maps.alloc(map_regular(&file)?);
        self.mapped
            .borrow_mut()
            .push((map.as_ptr().expose_provenance(), map.len()));
        Ok(map)
    }
}

fn map_regular(file: &File) -> io::Result<Mmap> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // SAFETY: the mapping is private and read only. A file that shrinks meanwhile would end
    // this process with SIGBUS; compilers and package managers replace binaries by rename. One that
    // is changed in place shows other bytes; nothing here relies on them staying.
    unsafe { Mmap::map(file) }
}

/// An object file that is mapped and whose headers are read.
pub struct OpenObject<'a> {
    /// The path that it was opened at.
    pub path: PathBuf,
    /// Its bytes.
    pub data: &'a [u8],
    /// Its headers.
    pub object: object::File<'a>,
}

impl<'a> OpenObject<'a> {
    /// Opens an object file.
    pub fn open(files: &'a Files, path: &Path) -> io::Result<OpenObject<'a>> {
        OpenObject::parse(path, files.map(path)?)
    }

    /// The same file once more, for another thread.
    pub(super) fn again(&self) -> io::Result<OpenObject<'a>> {
        OpenObject::parse(&self.path, self.data)
    }

    fn parse(path: &Path, data: &'a [u8]) -> io::Result<OpenObject<'a>> {
        Ok(OpenObject {
            path: path.to_owned(),
            data,
            object: object::File::parse(data).map_err(io::Error::other)?,
        })
    }

    /// Its build id; empty when it has none.
    pub fn build_id(&self) -> &'a [u8] {
        self.object.build_id().ok().flatten().unwrap_or_default()
    }

    /// Whether its build id is where a process that runs it finds it. Go's linker may write one
    /// that no program header leads to.
    pub fn build_id_is_loaded(&self) -> bool {
        let object::File::Elf64(file) = &self.object else {
            return !self.build_id().is_empty();
        };
        let endian = file.endian();
        file.elf_program_headers()
            .iter()
            .filter_map(|header| header.notes(endian, self.data).ok().flatten())
            .any(|mut notes| {
                std::iter::from_fn(|| notes.next().ok().flatten()).any(|note| {
                    note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID
                })
            })
    }

    /// Whether it holds debug information about functions and lines.
    pub fn has_dwarf(&self) -> bool {
        let has = |name: &str| {
            self.object.section_by_name(name).is_some_and(|section| {
                use object::ObjectSection;
                // A debug file's counterpart keeps empty headers.
                section.size() > 0 && section.file_range().is_none_or(|(_, size)| size > 0)
            })
        };
        has(".debug_info") || has(".zdebug_info")
    }

    /// The separate debug file that belongs to this object: by build id, else by the link that
    /// the object names.
    pub fn debug_file(&self, files: &'a Files) -> Option<OpenObject<'a>> {
        let build_id = self.build_id();
        let by_id = build_id_path(build_id).and_then(|path| {
            let found = OpenObject::open(files, &path).ok()?;
            (found.build_id() == build_id).then_some(found)
        });
        by_id.or_else(|| self.linked_debug_file(files))
    }

    fn linked_debug_file(&self, files: &'a Files) -> Option<OpenObject<'a>> {
        let (name, crc) = self.object.gnu_debuglink().ok().flatten()?;
        let name = std::str::from_utf8(name).ok()?;
        if name.is_empty() || name.contains('/') {
            return None;
        }
        let directory = self.path.canonicalize().ok()?.parent()?.to_owned();
        let below_root = directory.strip_prefix("/").unwrap_or(&directory);
        let places = [
            directory.join(name),
            directory.join(".debug").join(name),
            Path::new(DEBUG_ROOT).join(below_root).join(name),
        ];
        places.into_iter().find_map(|path| {
            let found = OpenObject::open(files, &path).ok()?;
            // A build id settles it; the checksum reads the whole file.
            let own = self.build_id();
            let matches = if own.is_empty() || found.build_id().is_empty() {
                crc32fast::hash(found.data) == crc
            } else {
                found.build_id() == own
            };
            matches.then_some(found)
        })
    }

    /// The file with what several debug files share (`dwz`), when this debug file refers to
    /// one.
    pub fn shared_debug_file(&self, files: &'a Files) -> Option<OpenObject<'a>> {
        let (name, build_id) = self.object.gnu_debugaltlink().ok().flatten()?;
        let name = Path::new(std::str::from_utf8(name).ok()?);
        let beside = self.path.parent()?.join(name);
        [Some(beside), build_id_path(build_id)]
            .into_iter()
            .flatten()
            .find_map(|path| {
                let found = OpenObject::open(files, &path).ok()?;
                (found.build_id() == build_id).then_some(found)
            })
    }
}

fn build_id_path(build_id: &[u8]) -> Option<PathBuf> {
    if build_id.len() < 2 {
        return None;
    }
    let hex = hex(build_id);
    let (directory, name) = hex.split_at(2);
    Some(Path::new(DEBUG_ROOT).join(format!(".build-id/{directory}/{name}.debug")))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}
