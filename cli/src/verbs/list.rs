//! `mapgrow list`: recordings of processes that run, and of those that ended without a word.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use mapgrow_format::layout::header;
use mapgrow_report::text::units::bytes;

use crate::failure::{Failure, plain};
use crate::preload::runs;
use crate::process::{self, Life, own_uid};
use crate::recordings::{self, RecordingFile};
use crate::{load, output};

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
            header.pid().to_string(),
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

fn state(recording: &RecordingFile) -> &'static str {
    let finished = recording.header.word(header::STATE) & header::STATE_FINISHED != 0;
    let paused = recording.header.word(header::CONTROL) == 1;
    match (recording.life, finished, paused) {
        (Life::Running, _, true) => "paused",
        (Life::Running, _, false) => "running",
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
    let (used, left): (Vec<_>, Vec<_>) =
        runs::directories().into_iter().partition(|run| run.in_use);
    // A run that goes on sees to its own.
    let is_used = |path: &Path| used.iter().any(|run| path.starts_with(&run.path));
    let orphans: Vec<RecordingFile> = found
        .into_iter()
        .filter(|recording| recording.life == Life::Gone && !is_used(&recording.path))
        .collect();
    if orphans.is_empty() && left.is_empty() {
        output::print("nothing to remove: no recording was left behind\n")?;
        return Ok(());
    }
    let mapped = mapped_inodes();
    let mut text = String::new();
    let mut kept = None;
    for orphan in orphans {
        let path = orphan.path.display().to_string();
        match remove(&orphan, &mapped) {
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
        let path = printable(&run.path.display().to_string());
        if recordings::in_directory(&run.path).is_empty() {
            match fs::remove_dir_all(&run.path) {
                Ok(()) => text += &format!("removed {path} (of a run that was killed)\n"),
                Err(error) => kept = Some(format!("{path} was not removed: {}", plain(&error))),
            }
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
fn remove(orphan: &RecordingFile, mapped: &HashSet<u64>) -> Result<(), String> {
    let refused = |error: std::io::Error| plain(&error);
    let listed = orphan.file.metadata().map_err(refused)?;
    if listed.uid() != own_uid() {
        return Err("it belongs to another user, who can remove it".to_owned());
    }
    // A process in a container has another id there than here.
    if mapped.contains(&listed.ino()) {
        return Err("a process still writes to it".to_owned());
    }
    let file = load::open(&orphan.path, false, false).map_err(refused)?;
    let header = load::Header::read(&file).map_err(refused)?;
    let now = file.metadata().map_err(refused)?;
    let same = (now.dev(), now.ino()) == (listed.dev(), listed.ino());
    match header {
        Some(header) if same && process::life(&header) == Life::Gone => {
            fs::remove_file(&orphan.path).map_err(refused)
        }
        _ => Err("it changed meanwhile; look at `mapgrow list` again".to_owned()),
    }
}

/// Inodes of all recordings that some process has mapped.
fn mapped_inodes() -> HashSet<u64> {
    let mut inodes = HashSet::new();
    for pid in process::all() {
        let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) else {
            continue;
        };
        for line in maps.lines().filter(|line| line.contains("/mapgrow-")) {
            let inode = line.split_ascii_whitespace().nth(4);
            inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
        }
    }
    inodes.remove(&0);
    inodes
}
