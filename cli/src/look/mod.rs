//! Looks at every map of a process that nobody prepared.

mod memory;
mod model;
mod refusal;
mod table;
mod text;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use mapgrow_containers::finder::find;
use mapgrow_report::text::units::bytes;
use mapgrow_system::headroom;

use crate::failure::Failure;
pub use memory::ProcessRegions;
pub use model::Look;
pub use table::table;
pub use text::{Layout, text};

/// Width of hashbrown's control groups in programs for this processor.
const GROUP: u64 = if cfg!(target_arch = "x86_64") { 16 } else { 8 };

/// Everything that is found in process `pid`. `most`: so many maps are listed one by one.
pub fn look(pid: u32, most: usize) -> Result<Look, Failure> {
    let identity = refusal::check(pid)?;
    let memory = ProcessRegions::of(pid).map_err(|error| refusal::unreadable(pid, &error))?;
    refusal::readable(pid, &memory)?;
    let mut bar = Bar::new(memory.bytes());
    let finding = find(&memory, memory.regions(), GROUP, &mut |behind| {
        bar.at(behind);
    });
    drop(bar);
    refusal::still(pid, &identity)?;
    let left = headroom::of(Some(pid));
    Ok(Look::new(pid, &finding, &memory, &left, most))
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
