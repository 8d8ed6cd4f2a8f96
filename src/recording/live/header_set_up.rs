//! The header of a recording: what is known of the process when recording begins.

use core::sync::atomic::Ordering;

use super::modules::store_text;
use super::{Origin, Recording};
use crate::config::{Mode, Settings};
use crate::stack;
use mapgrow_format::layout::packed::Pids;
use mapgrow_format::layout::{self, header, region, thread};
use mapgrow_system::clock;
use mapgrow_system::sys::Descriptor;

impl Recording {
    /// Writes the header; the magic word last, for a reader takes nothing without it for a recording.
    /// `None` when there is no room for the first records.
    pub(super) fn set_up(&self, settings: &Settings, origin: &Origin) -> Option<()> {
        let began = &origin.began;
        // SAFETY: `getppid` has no preconditions.
        let parent = unsafe { libc::getppid() } as u32;
        let pids = Pids {
            own: std::process::id(),
            parent,
        };
        for (word, value) in [
            (header::VERSION, layout::VERSION),
            (header::RECORDING_ID, self.id),
            (header::PID, pids.pack()),
            (header::START_UNIX_NS, began.unix_ns),
            (header::START_MONO_NS, began.monotonic_ns),
            (header::START_TICKS, began.ticks),
            // The same until the first calibration.
            (header::NOW_MONO_NS, began.monotonic_ns),
            (header::NOW_TICKS, began.ticks),
            (header::TICK_KIND, clock::kind()),
            (header::PROCESS_STARTTIME, process_starttime()),
            (header::MODE, u64::from(settings.mode == Mode::Exact)),
            (header::FLOOR, settings.floor as u64),
            (header::SAMPLE_TABLES, settings.sample_tables),
            (header::SAMPLE_HEAP, settings.sample_heap),
            (header::BUDGET_PPM, settings.budget_ppm),
            (header::BACKEND, origin.backend),
            (header::SIGNAL, origin.signal as u64),
            (header::PARENT_ID, origin.parent_id),
            (
                header::GROUP_WIDTH,
                if cfg!(target_feature = "sse2") { 16 } else { 8 },
            ),
        ] {
            self.store(word, value);
        }
        if !stack::available() {
            self.word(header::STATE)?
                .fetch_or(header::STATE_NO_STACKS, Ordering::Relaxed);
        }
        self.describe_program();
        // Slot 0 stands for threads that find none.
        if !self.arena.commit(region::THREADS, thread::WORDS) {
            return None;
        }
        self.store(header::THREAD_COUNT, 1);
        if !self.tables.start(clock::ticks()) {
            return None;
        }
        self.store(header::MAGIC, layout::MAGIC);
        Some(())
    }

    fn describe_program(&self) {
        let mut path = [0u8; header::EXE_WORDS * 8];
        // SAFETY: the kernel writes at most the given length into the buffer.
        let n = unsafe {
            libc::readlink(
                c"/proc/self/exe".as_ptr(),
                path.as_mut_ptr().cast(),
                path.len(),
            )
        };
        if n > 0 {
            self.store_bytes(header::EXE, path.get(..n as usize).unwrap_or(&[]));
        }
        let mut command = [0u8; header::COMMAND_WORDS * 8];
        if let Some(file) = Descriptor::open(c"/proc/self/cmdline", libc::O_RDONLY, 0) {
            let n = file.read_up_to(&mut command);
            self.store_bytes(header::COMMAND, command.get(..n).unwrap_or(&[]));
        }
    }

    fn store_bytes(&self, at: usize, bytes: &[u8]) {
        let words = self.arena.header().iter().skip(at);
        store_text(words, bytes);
    }
}

/// Field 22 of `/proc/self/stat`; 0 when it cannot be read. The second field, the program's
/// name, may hold anything, so fields are counted from the last parenthesis on.
fn process_starttime() -> u64 {
    let mut buffer = [0u8; 1024];
    let Some(file) = Descriptor::open(c"/proc/self/stat", libc::O_RDONLY, 0) else {
        return 0;
    };
    let n = file.read_up_to(&mut buffer);
    let text = buffer.get(..n).unwrap_or(&[]);
    let after = text.iter().rposition(|&b| b == b')').map_or(0, |at| at + 2);
    const FIELDS_AFTER_NAME: usize = 22 - 3;
    let field = text
        .get(after..)
        .unwrap_or(&[])
        .split(|&b| b == b' ')
        .nth(FIELDS_AFTER_NAME);
    field.and_then(crate::config::bytes).unwrap_or(0)
}
