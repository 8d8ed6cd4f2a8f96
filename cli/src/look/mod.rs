//! Looks at every map of a process that nobody prepared, or of a core file.

mod corefile;
mod deep;
mod listing;
mod mapped;
mod memory;
mod model;
mod notes;
mod owner;
mod page;
mod places;
mod process;
mod refusal;
mod resident;
mod running;
mod sentences;
mod statics;
mod table;
mod text;
mod unpacked;
mod watch;
mod watch_text;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use mapgrow_containers::finder::{self, Finding, Region, Searched, find};
use mapgrow_format::headroom::Headroom;
use mapgrow_report::text::units::bytes;

use crate::failure::Failure;
use corefile::CoreFile;
use mapped::{Cored, Mapped};
use model::Known;
pub use model::Look;
pub use page::page;
use places::Places;
use process::Process;
use running::Running;
pub use table::table;
pub use text::{Layout, text};
pub use watch::{Watching, watch};
pub use watch_text::{ended, reading};

/// Memory that is searched, and where maps can lie in it.
type Within<'a> = (&'a dyn Searched, &'a [Region]);

/// Width of hashbrown's control groups in programs for this processor.
const GROUP: u64 = if cfg!(target_arch = "x86_64") { 16 } else { 8 };

/// What is looked at.
#[derive(Debug, Clone)]
pub enum Target {
    /// A process that runs.
    Process(u32),
    /// A core file.
    Core(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        if text.is_empty() {
            return Err("name the id of a process or the path of a core file".to_owned());
        }
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(pid) => Ok(Target::Process(pid)),
            Err(_) if number => Err("no process has such an id".to_owned()),
            Err(_) => Ok(Target::Core(PathBuf::from(text))),
        }
    }
}

/// What is wanted of a look.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// So many maps are listed one by one.
    pub most: usize,
    /// What their values hold elsewhere, too.
    pub deep: bool,
}

/// Everything that is found.
pub fn look(target: &Target, wanted: Wanted) -> Result<Look, Failure> {
    match target {
        Target::Process(pid) => Running::of(*pid)?.search(wanted),
        Target::Core(path) => core(path, wanted),
    }
}

fn core(path: &Path, wanted: Wanted) -> Result<Look, Failure> {
    let memory = CoreFile::open(path)?;
    let finding = searched(&memory, memory.regions(), memory.group);
    let process = Process::core(memory.notes());
    let mapped = Cored::of(&memory, process.name());
    let within: Within = (&memory, memory.regions());
    let known = known(&process, &mapped, within, &finding, wanted);
    // A core does not say how much memory the process could still have had.
    let mut look = Look::new(process, &finding, known, &Headroom::default(), wanted.most);
    let unreadable = &mut look.honesty.bytes_unreadable;
    *unreadable = unreadable.saturating_add(memory.missing());
    if memory.missing() > 0 {
        let missing = bytes(memory.missing());
        look.honesty
            .notes
            .push(format!("the core is cut off: {missing} are missing"));
    }
    Ok(look)
}

/// What is known of the tables found beside them.
fn known(
    process: &Process,
    mapped: &dyn Mapped,
    (memory, regions): Within,
    finding: &Finding,
    wanted: Wanted,
) -> Known {
    let places = Places::of(mapped, memory);
    let deep = match wanted.deep {
        true => finder::deep(memory, regions, finding, &places.roots),
        false => Vec::new(),
    };
    Known {
        owners: owner::owners(process, mapped, (memory, regions), finding, &places),
        deep: deep.into_iter().map(|deep| Some(deep?.into())).collect(),
        nodes: finder::nodes(memory, regions, finding, &places.roots),
    }
}

fn searched(memory: &dyn Searched, regions: &[Region], group: u64) -> Finding {
    let all = (regions.iter())
        .map(|region| region.end - region.start)
        .sum();
    let mut bar = Bar::new(all);
    find(memory, regions, group, &mut |behind| bar.at(behind))
}

/// How far the search is: on a terminal alone, and gone when it is done.
struct Bar {
    all: u64,
    begun: Instant,
    told: Instant,
    terminal: bool,
    shown: bool,
}

impl Bar {
    /// A search that is shorter says nothing, and between two lines some time passes.
    const PATIENCE: Duration = Duration::from_millis(500);

    fn new(all: u64) -> Bar {
        Bar {
            all,
            begun: Instant::now(),
            told: Instant::now(),
            terminal: io::stderr().is_terminal(),
            shown: false,
        }
    }

    fn at(&mut self, behind: u64) {
        if !self.terminal || self.told.elapsed() < Self::PATIENCE || behind == 0 {
            return;
        }
        self.told = Instant::now();
        self.shown = true;
        let per_byte = self.begun.elapsed().as_secs_f64() / behind as f64;
        let left = per_byte * self.all.saturating_sub(behind) as f64;
        let (behind, all) = (bytes(behind), bytes(self.all));
        // Whoever does not see it misses nothing.
        let _ = write!(
            io::stderr(),
            "\r\x1b[Klooked at {behind} of {all}, {left:.0} s left"
        );
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
