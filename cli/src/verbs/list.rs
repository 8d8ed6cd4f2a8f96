//! `mapgrow list`: recordings of processes that run, and of those that ended without a word.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use mapgrow_format::layout::header;
use mapgrow_report::text::units::bytes;

use crate::directory::Directory;
use crate::failure::{Failure, plain};
use crate::holder::{self, Life};
use crate::output;
use crate::preload::runs;
use crate::recordings::{self, RecordingFile};

const EXAMPLES: &str = "\
Examples:
  mapgrow list                       what is being recorded, and what was left behind
  mapgrow list --prune               removes what was left behind, after `mapgrow report FILE`";

/// What to do with recordings that were left behind.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ListArgs {
    /// Remove recordings whose process is gone
    #[arg(long)]
    prune: bool,
}

/// Lists recordings, or removes orphaned ones.
pub fn run(args: &ListArgs) -> Result<(), Failure> {
    let found = recordings::all();
    if args.prune {
        return prune(found);
    }
    if found.is_empty() {
        let directories: Vec<String> = recordings::directories()
            .iter()
            .map(|directory| directory.display().to_string())
            .collect();
        output::print(&format!("no recordings in {}\n", directories.join(", ")))?;
        return Ok(());
    }
    output::print(&table(&found))?;
    Ok(())
}

/// The recordings as a table: numbers to the right, the path last so that it may be long.
fn table(found: &[RecordingFile]) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    let mut rows: Vec<[String; 7]> = vec![
        [
            "pid",
            "program",
            "state",
            "age",
            "live",
            "recording",
            "file",
        ]
        .map(str::to_owned),
    ];
    for recording in found {
        let header = &recording.header;
        let started = header.word(header::START_UNIX_NS);
        rows.push([
            pid(recording),
            printable(&header.program()),
            state(recording).to_owned(),
            output::age(now.saturating_sub(started) / 1_000_000_000),
            bytes(header.word(header::LIVE_BYTES)),
            bytes(recording.used_bytes()),
            printable(&recording.path.display().to_string()),
        ]);
    }
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row[..6].iter().enumerate() {
            let width = widths[column];
            let is_number = matches!(column, 0 | 3 | 4 | 5);
            text += &if is_number {
                format!("{cell:>width$}  ")
            } else {
                format!("{cell:<width$}  ")
            };
        }
        text += &row[6];
        text.push('\n');
    }
    text
}

/// Its process, by its id here: one that runs where it cannot be seen from here has none.
fn pid(recording: &RecordingFile) -> String {
    match (recording.pid, recording.life) {
        (Some(pid), _) => pid.to_string(),
        (None, Life::Running) => "-".to_owned(),
        (None, _) => recording.header.pid().to_string(),
    }
}

fn state(recording: &RecordingFile) -> &'static str {
    let finished = recording.header.word(header::STATE) & header::STATE_FINISHED != 0;
    let paused = recording.header.word(header::CONTROL) == 1;
    match (recording.life, finished, paused) {
        (Life::Running, _, true) => "paused",
        (Life::Running, _, false) => "running",
        (Life::Replaced, _, _) => "replaced",
        (Life::Gone, true, _) => "ended",
        (Life::Gone, false, _) => "killed",
    }
}

/// Text from a file that anybody may have written, for a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn prune(found: Vec<RecordingFile>) -> Result<(), Failure> {
    let (used, left): (Vec<_>, Vec<_>) = runs::directories()
        .into_iter()
        .partition(|run| run.in_use());
    // A run that goes on sees to its own.
    let is_used = |path: &Path| used.iter().any(|run| path.starts_with(run.path()));
    let orphans: Vec<RecordingFile> = found
        .into_iter()
        .filter(|recording| recording.life != Life::Running && !is_used(&recording.path))
        .collect();
    if orphans.is_empty() && left.is_empty() {
        output::print("nothing to remove: no recording was left behind\n")?;
        return Ok(());
    }
    let mut text = String::new();
    let mut kept = None;
    for orphan in orphans {
        let path = orphan.path.display().to_string();
        match remove(&orphan) {
            Ok(()) => {
                text += &format!(
                    "removed {} ({} of {})\n",
                    printable(&path),
                    bytes(orphan.used_bytes()),
                    printable(&orphan.header.program())
                );
            }
            Err(why) => kept = Some(format!("{} was not removed: {why}", printable(&path))),
        }
    }
    for run in left {
        let path = printable(&run.path().display().to_string());
        match run.clear() {
            Ok(true) => text += &format!("removed {path} (of a run that was killed)\n"),
            // A process that the run started still records there.
            Ok(false) => {}
            Err(error) => kept = Some(format!("{path} was not removed: {}", plain(&error))),
        }
    }
    output::print(&text)?;
    match kept {
        Some(sentence) => Err(Failure::new(sentence)),
        None => Ok(()),
    }
}

/// Removes an orphaned recording, once everything that was true when it was found has been
/// seen to be true still.
fn remove(orphan: &RecordingFile) -> Result<(), String> {
    let refused = |error: std::io::Error| plain(&error);
    let (parent, name) = (orphan.path.parent(), orphan.path.file_name());
    let (Some(parent), Some(name)) = (parent, name) else {
        return Err("it has no name".to_owned());
    };
    if holder::holder(&orphan.file, name, &orphan.header).life == Life::Running {
        return Err("a process writes to it by now".to_owned());
    }
    let directory = Directory::own(parent).map_err(refused)?;
    directory.remove_this(name, &orphan.file).map_err(refused)
}
