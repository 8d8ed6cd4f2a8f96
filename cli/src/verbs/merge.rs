//! `mapgrow merge`: one report from many processes.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use mapgrow_report::merge::{distinct, merge};

use crate::failure::Failure;
use crate::many;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mapgrow merge /var/dumps/*.mapgrow -o fleet.json
  mapgrow merge web-1=a.mapgrow web-2=b.mapgrow -o web.json
  mapgrow report web.json --sort live

The outcome is a report as `mapgrow report --json` writes it, which report, diff, check, export and
serve open. Places are the same when their functions, lines and types are; figures are added, and
peaks become upper bounds.";

/// What to merge, and where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// Dumps, recordings, saved reports or process ids; LABEL= says what a process is called
    #[arg(value_name = "[LABEL=]FILE|PID", required = true)]
    sources: Vec<PathBuf>,
    /// The report to write; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
    /// Go on without what cannot be read, and say so
    #[arg(long)]
    skip_unreadable: bool,
}

/// Writes the merged report.
pub fn run(args: &MergeArgs) -> Result<(), Failure> {
    let parts = many::read(&args.sources, &args.binary, args.skip_unreadable)?;
    let (parts, left_out) = distinct(parts).map_err(Failure::new)?;
    for label in left_out {
        let _ = writeln!(
            std::io::stderr(),
            "mapgrow: {label} is left out: a later dump of the same process has its figures too"
        );
    }
    let merged = merge(parts).ok_or_else(|| Failure::new("there is nothing to merge"))?;
    if args.output.as_os_str() == "-" {
        return output::write_with(|out| {
            serde_json::to_writer(&mut *out, &merged).map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        });
    }
    let bytes = serde_json::to_vec(&merged)
        .map_err(|error| Failure::new(format!("cannot write the report as JSON: {error}")))?;
    std::fs::write(&args.output, bytes)
        .map_err(|error| Failure::file("write", &args.output, &error))
}
