//! `mapgrow top`: a live view of a process.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::failure::Failure;
use crate::top;

const EXAMPLES: &str = "\
Examples:
  mapgrow top 4242
  mapgrow top 4242 --every 5     for a process with very many places

Keys: arrows move, Enter shows a stack, s sorts, / filters, p pauses, ? helps, q leaves. The process
is read from outside: it is neither stopped nor asked. When it ends, its last figures stay.";

/// What to watch.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TopArgs {
    /// The id of a process, or its recording
    #[arg(value_name = "PID|FILE")]
    source: PathBuf,
    /// Seconds between readings
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    every: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("from 0.1 to 3600 seconds".to_owned()),
    }
}

/// Shows the view.
pub fn run(args: &TopArgs) -> Result<(), Failure> {
    top::top(&args.source, Duration::from_secs_f64(args.every))
}
