//! `mapgrow export`: columnar files for other engines.

use std::path::PathBuf;

use clap::Args;

use crate::export::export;
use crate::failure::Failure;
use crate::many;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mapgrow export /var/dumps/*.mapgrow -o fleet
  duckdb -c \"select process, place, retained_bytes from 'fleet/sites.parquet'
             order by retained_bytes desc nulls last limit 10\"

Writes processes.parquet, sites.parquet, maps.parquet and events.parquet. What is not known is null.
Export each host into a directory of its own and query 'fleet/*/sites.parquet'.";

/// What to export, and where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// Dumps, recordings, saved reports or process ids; LABEL= says what a process is called
    #[arg(value_name = "[LABEL=]FILE|PID", required = true)]
    sources: Vec<PathBuf>,
    /// The directory to write to; files of these names in it are replaced
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
    /// Go on without what cannot be read, and say so
    #[arg(long)]
    skip_unreadable: bool,
}

/// Writes the files, and tells which.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let parts = many::read(&args.sources, &args.binary, args.skip_unreadable)?;
    let mut text = String::new();
    for path in export(&parts, &args.output)? {
        text.push_str(&format!("{}\n", path.display()));
    }
    output::print(&text)
}
