//! `mapgrow off` and `mapgrow on`: pauses and resumes recording in a live process.

use std::os::unix::fs::FileExt;

use clap::Args;
use mapgrow_format::layout::header;

use crate::failure::Failure;
use crate::holder::Life;
use crate::{output, recordings};

/// For both verbs.
pub const EXAMPLES: &str = "\
Examples:
  mapgrow off 4242                   process 4242 records nothing new; frees are still counted
  mapgrow on 4242                    and goes on

What was allocated meanwhile is in no figure, and reports say so.";

/// Whose recording to control.
#[derive(Debug, Args)]
pub struct ControlArgs {
    /// The process
    #[arg(value_name = "PID")]
    pid: u32,
}

/// What to tell the process.
#[derive(Debug, Clone, Copy)]
pub enum Control {
    /// Record.
    On,
    /// Pause recording.
    Off,
}

/// Writes the control word of the process' recording.
pub fn run(args: &ControlArgs, control: Control) -> Result<(), Failure> {
    let pid = args.pid;
    let live = recordings::of_process(pid, true)?;
    if live.life != Life::Running {
        return Err(Failure::new(format!(
            "process {pid} has ended and its recording {} cannot be switched: `mapgrow report \
             {pid}` shows it",
            live.path.display()
        )));
    }
    let (word, done) = match control {
        Control::On => (0u64, "records again"),
        Control::Off => (1u64, "has paused recording"),
    };
    let mut words = vec![(header::CONTROL, word)];
    if word == 1 && live.header.word(header::CONTROL) == 0 {
        words.push((
            header::PAUSES,
            live.header.word(header::PAUSES).saturating_add(1),
        ));
    }
    for (index, word) in words {
        live.file
            .write_all_at(&word.to_le_bytes(), (index * 8) as u64)
            .map_err(|error| Failure::file("write to", &live.path, &error))?;
    }
    output::print(&format!(
        "process {pid} ({}) {done}\n",
        live.header.program()
    ))?;
    Ok(())
}
