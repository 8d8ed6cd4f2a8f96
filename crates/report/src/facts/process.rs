//! The header and the thread slots go in; process, settings and threads come out.

use super::tick_scale::TickScale;
use crate::Options;
use crate::model::{Memory, Process, ProcessState, Settings, Thread};
use mapgrow_format::headroom::Headroom;
use mapgrow_format::layout::header;
use mapgrow_format::layout::packed::{Pids, Untold};
use mapgrow_format::reader::{self, Recording};

pub(crate) fn process(recording: &Recording, clock: &TickScale, options: &Options) -> Process {
    let pids = Pids::unpack(recording.header(header::PID));
    let reason = recording.header(header::DUMP_REASON);
    let id = |word| match recording.header(word) {
        0 => None,
        id => Some(format!("{id:016x}")),
    };
    Process {
        pid: pids.own,
        parent_pid: pids.parent,
        exe: recording.exe(),
        command: recording.command(),
        start_unix_ns: recording.header(header::START_UNIX_NS),
        duration_ns: clock.moment_if_set(last_ticks(recording)),
        state: state(recording, options),
        dump_reason: match reason {
            header::REASON_EXIT => Some("exit"),
            header::REASON_SIGNAL => Some("signal"),
            header::REASON_API => Some("api"),
            header::REASON_OUTSIDE => Some("outside"),
            _ => None,
        },
        recording_id: format!("{:016x}", recording.header(header::RECORDING_ID)),
        parent_recording_id: id(header::PARENT_ID),
    }
}

/// Whether the process ran on after what was recorded.
pub(crate) fn state(recording: &Recording, options: &Options) -> ProcessState {
    let state = recording.header(header::STATE);
    let reason = recording.header(header::DUMP_REASON);
    let finished = state & header::STATE_FINISHED != 0 || reason == header::REASON_EXIT;
    match (finished, reason, options.alive) {
        (true, _, _) => ProcessState::Ended,
        (_, 1.., _) => ProcessState::Snapshot,
        (_, 0, Some(true)) => ProcessState::Live,
        (_, 0, Some(false)) => ProcessState::Killed,
        (_, 0, None) => ProcessState::Unfinished,
    }
}

/// The latest moment that the recording knows of.
fn last_ticks(recording: &Recording) -> u64 {
    let dump = recording.header(header::DUMP_TICKS);
    if dump != 0 {
        return dump;
    }
    let newest = recording.newest_event().map_or(0, |event| event.ticks);
    newest.max(recording.header(header::NOW_TICKS))
}

pub(crate) fn memory(recording: &Recording) -> Option<Memory> {
    Memory::of(&Headroom::decode(|word| recording.header(word)))
}

pub(crate) fn settings(recording: &Recording) -> Settings {
    let not_zero = |word| Some(recording.header(word)).filter(|&value| value != 0);
    Settings {
        mode: if recording.header(header::MODE) == 1 {
            "exact"
        } else {
            "default"
        },
        floor_bytes: recording.header(header::FLOOR),
        sample_tables_bytes: recording.header(header::SAMPLE_TABLES),
        sample_heap_bytes: recording.header(header::SAMPLE_HEAP),
        budget_ppm: not_zero(header::BUDGET_PPM),
        max_memory_bytes: recording.header(header::MAX_MEMORY),
        backend: match recording.header(header::BACKEND) {
            header::BACKEND_JEMALLOC => Some("jemalloc"),
            header::BACKEND_CUSTOM => Some("custom"),
            header::BACKEND_PROGRAM => Some("program"),
            _ => None,
        },
        signal: not_zero(header::SIGNAL),
    }
}

/// Thread slots by number, with the labels that the report uses for them.
pub(crate) struct Threads {
    slots: Vec<reader::Thread>,
    start_ticks: u64,
}

impl Threads {
    pub(crate) fn of(recording: &Recording) -> Self {
        Self {
            slots: recording.threads().collect(),
            start_ticks: recording.header(header::START_TICKS),
        }
    }

    /// Label of the thread that used `slot` at `ticks`; `None` when nobody knows: the slot
    /// stands for several threads, or was handed on since.
    pub(crate) fn label(&self, slot: u16, ticks: u64) -> Option<String> {
        let thread = self
            .slots
            .get(slot as usize)
            .filter(|thread| thread.slot != 0)?;
        // The time of a block may be rounded down.
        let latest = Untold {
            elapsed: ticks.saturating_sub(self.start_ticks),
            ..Untold::default()
        }
        .latest();
        let used = thread.start_ticks.saturating_sub(self.start_ticks) <= latest;
        (thread.tid != 0 && used).then(|| label(thread))
    }

    pub(crate) fn model(&self, clock: &TickScale) -> Vec<Thread> {
        self.known()
            .map(|thread| Thread {
                label: label(thread),
                tid: thread.tid,
                running: thread.running,
                allocated_bytes: thread.allocated,
                freed_bytes: thread.freed,
                recorder_ns: clock.span(thread.recorder_ticks),
            })
            .collect()
    }

    fn known(&self) -> impl Iterator<Item = &reader::Thread> {
        self.slots.iter().filter(|thread| thread.tid != 0)
    }

    pub(crate) fn all(&self) -> &[reader::Thread] {
        &self.slots
    }
}

fn label(thread: &reader::Thread) -> String {
    if thread.name.is_empty() {
        format!("thread ({})", thread.tid)
    } else {
        format!("{} ({})", thread.name, thread.tid)
    }
}
