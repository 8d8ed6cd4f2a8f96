//! What a process has mapped, and its threads: as they are now, or as its core has them.

use std::fs::{self, File};
use std::io::Read;

use super::corefile::CoreFile;
use super::statics::Statics;
use mapgrow_system::memory::Memory;

/// Bytes of a file that its header is looked for in.
const HEADER: usize = 4096;

/// A thread that waits, or did when its core was written.
pub struct Thread {
    pub name: String,
    /// Its stack pointer.
    pub pointer: u64,
}

/// What a process has mapped, and its threads.
pub trait Mapped {
    /// Lines as `/proc/PID/maps` has them.
    fn maps(&self) -> &str;

    /// Its threads.
    fn threads(&self) -> Vec<Thread>;

    /// The first bytes of a file that is mapped, none of one that cannot be read. `None` where it
    /// is not there any more.
    fn header(&self, path: &str) -> Option<Vec<u8>>;

    /// The statics of a file that is mapped, if it still is what was mapped.
    fn statics(&self, path: &str) -> Option<Statics>;
}

/// Those of a process that runs.
pub struct Live {
    pid: u32,
    maps: String,
}

impl Live {
    /// Process `pid`.
    pub fn of(pid: u32) -> Live {
        Live {
            pid,
            maps: fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default(),
        }
    }

    fn file(&self, path: &str) -> String {
        format!("/proc/{}/root{path}", self.pid)
    }
}

impl Mapped for Live {
    fn maps(&self) -> &str {
        &self.maps
    }

    fn threads(&self) -> Vec<Thread> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid));
        let thread = |task: fs::DirEntry| {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).ok();
            let line = read("syscall")?;
            let pointer = line.split_ascii_whitespace().nth_back(1)?;
            Some(Thread {
                name: read("comm").unwrap_or_default().trim_end().to_owned(),
                pointer: u64::from_str_radix(pointer.strip_prefix("0x")?, 16).ok()?,
            })
        };
        (tasks.into_iter().flatten().flatten())
            .filter_map(thread)
            .collect()
    }

    fn header(&self, path: &str) -> Option<Vec<u8>> {
        let path = self.file(path);
        fs::metadata(&path).ok()?;
        let mut header = Vec::new();
        if let Ok(file) = File::open(path) {
            let _ = file.take(HEADER as u64).read_to_end(&mut header);
        }
        Some(header)
    }

    fn statics(&self, path: &str) -> Option<Statics> {
        let exe = format!("/proc/{}/exe", self.pid);
        let own = fs::read_link(&exe).is_ok_and(|exe| exe.as_os_str() == path);
        // The program's own file, even if another has its name by now.
        Statics::of(
            &File::open(if own { exe } else { self.file(path) }).ok()?,
            None,
        )
    }
}

/// Those of a process that has a core.
pub struct Cored<'a> {
    core: &'a CoreFile,
    program: &'a str,
}

impl<'a> Cored<'a> {
    /// `program` is what the process was called.
    pub fn of(core: &'a CoreFile, program: &'a str) -> Cored<'a> {
        Cored { core, program }
    }
}

impl Mapped for Cored<'_> {
    fn maps(&self) -> &str {
        self.core.maps()
    }

    fn threads(&self) -> Vec<Thread> {
        let notes = self.core.notes();
        let thread = |&(id, pointer): &(u32, u64)| Thread {
            // What the others were called no core says.
            name: match Some(id) == notes.pid {
                true => self.program.to_owned(),
                false => id.to_string(),
            },
            pointer,
        };
        notes.threads().iter().map(thread).collect()
    }

    /// The file's first page as it was mapped: the file itself may be another one by now.
    fn header(&self, path: &str) -> Option<Vec<u8>> {
        let mut header = vec![0; HEADER];
        let start = self.core.notes().file_start(path)?;
        self.core.read(start, &mut header).then_some(header)
    }

    fn statics(&self, path: &str) -> Option<Statics> {
        let id = build_id(self.core, self.core.notes().file_start(path)?)?;
        // A pipe of that name would never end.
        let is_file = fs::metadata(path).ok()?.is_file();
        Statics::of(&is_file.then(|| File::open(path).ok())??, Some(&id))
    }
}

/// The build id of the file whose first byte was mapped at `start`.
fn build_id(core: &CoreFile, start: u64) -> Option<Vec<u8>> {
    use object::read::elf::{FileHeader, ProgramHeader};
    use object::{LittleEndian, elf};
    const MOST: u64 = 4096;
    let mut header = vec![0; HEADER];
    if !core.read(start, &mut header) {
        return None;
    }
    let file = elf::FileHeader64::<LittleEndian>::parse(&*header).ok()?;
    let segments = file.program_headers(LittleEndian, &*header).ok()?;
    let loaded =
        |one: &&elf::ProgramHeader64<LittleEndian>| one.p_type(LittleEndian) == elf::PT_LOAD;
    let first = segments
        .iter()
        .filter(loaded)
        .map(|one| one.p_vaddr(LittleEndian))
        .min()?;
    let notes = segments
        .iter()
        .filter(|one| one.p_type(LittleEndian) == elf::PT_NOTE);
    notes.into_iter().find_map(|notes| {
        let place = notes
            .p_vaddr(LittleEndian)
            .checked_sub(first / 4096 * 4096)?;
        let mut bytes = vec![0; notes.p_memsz(LittleEndian).min(MOST) as usize];
        if !core.read(start.checked_add(place)?, &mut bytes) {
            return None;
        }
        let mut notes = object::read::elf::NoteIterator::<elf::FileHeader64<LittleEndian>>::new(
            LittleEndian,
            notes.p_align(LittleEndian),
            &bytes,
        )
        .ok()?;
        loop {
            let note = notes.next().ok()??;
            if note.name() == elf::ELF_NOTE_GNU && note.n_type(LittleEndian) == elf::NT_GNU_BUILD_ID
            {
                return Some(note.desc().to_vec());
            }
        }
    })
}
