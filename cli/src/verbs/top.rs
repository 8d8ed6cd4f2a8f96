//! `mapgrow top`: a live view of a process.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::failure::Failure;
use crate::quantity;
use crate::top;

const EXAMPLES: &str = "\
Examples:
  mapgrow top 4242
  mapgrow top 4242 --every 5s    for a process with very many places

Keys: arrows move, Enter shows a stack, s sorts, / filters, p pauses, ? helps, q leaves. The process
is read from outside: it is neither stopped nor asked. When it ends, its last figures stay.";

/// What to watch.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TopArgs {
    /// The id of a process, or its recording
    #[arg(value_name = "PID|FILE")]
    source: PathBuf,
    /// Time between readings: `5s`, or `5`
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = quantity::interval)]
    every: Duration,
}

/// Shows the view.
pub fn run(args: &TopArgs) -> Result<(), Failure> {
    top::top(&args.source, args.every)
}
