//! The report from inside the program: for the API, the test assertions and the report at exit.
//!
//! All of it runs with the recorder held off on the calling thread, so what it allocates is not
//! taken for the program's.

use std::ffi::c_void;
use std::io::IsTerminal;
use std::sync::atomic::Ordering;

use crate::life::existing_recording;
use crate::recording::Recording;
use crate::thread::Busy;
use mapgrow_containers::classify::closures::{self, Part};
use mapgrow_containers::classify::sources;
use mapgrow_format::layout::packed::RegionRow;
use mapgrow_format::layout::{header, region};
use mapgrow_format::reader;
use mapgrow_report::symbols::{Frame, Module, Symbolizer};
use mapgrow_report::{Options, Report, text};
use mapgrow_system::headroom;

/// Names from the running program itself, through the `backtrace` crate.
#[derive(Debug, Default)]
pub(crate) struct OwnSymbols;

impl Symbolizer for OwnSymbols {
    fn frames(&mut self, _: &Module, address: u64) -> Vec<Frame> {
        let mut frames = Vec::new();
        backtrace::resolve(address as *mut c_void, |symbol| {
            frames.push(Frame {
                function: symbol.name().map(|name| format!("{name:#}")),
                file: symbol.filename().map(|file| file.display().to_string()),
                line: symbol.lineno(),
            });
        });
        let names: Vec<Option<String>> = frames.iter().map(|f| f.function.clone()).collect();
        for (at, frame) in frames.iter_mut().enumerate() {
            let callers = names[at + 1..].iter().filter_map(Option::as_deref);
            frame.function = frame
                .function
                .take()
                .map(|name| with_module(name, frame.file.as_deref(), frame.line, callers));
        }
        frames
    }
}

/// Line tables name functions without their module, and closures without their function: where the
/// source lies tells the one of libraries, and the functions that run a closure the other.
fn with_module<'n>(
    name: String,
    file: Option<&str>,
    line: Option<u32>,
    callers: impl Iterator<Item = &'n str>,
) -> String {
    let bare = !name.split('<').next().unwrap_or("").contains("::");
    let module = file
        .and_then(sources::library_module)
        .filter(|_| bare && !name.starts_with('<'));
    let Some(part) = Part::parse(&name) else {
        return match module {
            Some(module) => format!("{module}::{name}"),
            None => name,
        };
    };
    let krate = module
        .as_deref()
        .and_then(|module| module.split("::").next());
    if let Some(path) = part.parent_by_callers(callers, krate) {
        return part.within(&closures::readable_path(path));
    }
    let shown = line.map_or_else(|| name.clone(), |line| part.at_line(line));
    match module {
        Some(module) => format!("{module}::{shown}"),
        None => shown,
    }
}

/// A copy of parts of the recording in the form of a dump, taken word by word while others write.
fn copy(recording: &Recording, regions: impl Fn(usize) -> bool) -> Option<reader::Recording> {
    recording.note_clocks();
    let mut words: Vec<u64> = recording
        .header()
        .iter()
        .map(|word| word.load(Ordering::Acquire))
        .collect();
    words[header::DUMP_REASON] = header::REASON_API;
    words[header::DUMP_TICKS] = mapgrow_system::clock::ticks();
    for (word, value) in headroom::of(None).encode() {
        words[word] = value;
    }
    for kind in 0..region::COUNT {
        let committed = Some(kind).filter(|&kind| regions(kind));
        let committed = committed.map_or(&[][..], |kind| recording.committed_words(kind));
        words[RegionRow::offset_word(kind)] = words.len() as u64 * 8;
        words[RegionRow::committed_word(kind)] = committed.len() as u64 * 8;
        words.extend(committed.iter().map(|word| word.load(Ordering::Acquire)));
    }
    let mut bytes = Vec::with_capacity(words.len() * 8);
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    reader::Recording::parse(bytes).ok()
}

/// The header, with the memory that is left, and the threads of the recording.
pub(crate) fn header_and_threads(recording: &Recording) -> Option<reader::Recording> {
    copy(recording, |kind| kind == region::THREADS)
}

/// The recording, with its live tables read.
pub(crate) fn parsed(recording: &Recording) -> Option<reader::Recording> {
    crate::readings::read_tables(recording, crate::readings::Patience::Waits);
    copy(recording, |_| true)
}

/// Reads and classifies the running recording. `None` when nothing is recorded.
pub(crate) fn report(options: &Options) -> Option<Report> {
    let _busy = Busy::report();
    build(existing_recording()?, options)
}

/// As [`report`], for a caller that holds the recorder off already.
pub(crate) fn build(recording: &Recording, options: &Options) -> Option<Report> {
    let parsed = parsed(recording)?;
    Some(Report::build(&parsed, &mut OwnSymbols, options))
}

/// Number of the next event in the resize ring, and how many the ring holds.
pub(crate) fn resize_ring() -> (u64, u64) {
    existing_recording().map_or((0, 0), |recording| {
        (recording.resizes.head(), recording.resizes.capacity())
    })
}

/// Nanoseconds since recording began.
pub(crate) fn to_ns(ticks: u64) -> u64 {
    existing_recording().map_or(0, |recording| {
        let since = ticks.saturating_sub(recording.load(header::START_TICKS));
        let span = recording.load(header::NOW_TICKS) - recording.load(header::START_TICKS);
        let ns = recording.load(header::NOW_MONO_NS) - recording.load(header::START_MONO_NS);
        (u128::from(since) * u128::from(ns) / u128::from(span.max(1))) as u64
    })
}

/// Prints the report to stderr.
pub(crate) fn print_report(recording: &Recording) {
    let options = Options {
        timeline: false,
        alive: Some(true),
        ..Options::default()
    };
    let Some(report) = build(recording, &options) else {
        return;
    };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = text::render(
        &report,
        &text::TextOptions {
            color: colours,
            lines: Some(text::SCREEN_LINES),
            ..Default::default()
        },
    );
    mapgrow_system::sys::write_stderr(text.as_bytes(), true);
}
