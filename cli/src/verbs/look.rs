//! `mapgrow look`: every map of a process that nobody prepared, or of a core file.

use clap::Args;

use crate::failure::Failure;
use crate::look::{self, Layout, Target};
use crate::output::{self, Look};

const EXAMPLES: &str = "\
Examples:
  mapgrow look 4242                  which maps hold most, how full they are, what they need next
  mapgrow look 4242 --table          every map, one a line
  mapgrow look core.4242             what a process held when it died
  mapgrow look 4242 --json | jq '.maps[0]'

The process is neither stopped nor changed, and need not have been started with mapgrow. Its memory
is read from outside, which needs the right to trace it.";

/// What to look at.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LookArgs {
    /// The id of a process, or a core file (zstd is unpacked)
    #[arg(value_name = "PID|CORE")]
    target: Target,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Print every map on a line of its own
    #[arg(long, conflicts_with = "json")]
    table: bool,
    /// How many lines to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// How many maps to list in JSON and in the table, the largest first
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    most: usize,
    #[command(flatten)]
    look: Look,
}

/// Looks, and prints what was found.
pub fn run(args: &LookArgs) -> Result<(), Failure> {
    let found = look::look(&args.target, args.most)?;
    if args.json {
        return output::write_with(|out| {
            serde_json::to_writer_pretty(&mut *out, &found)?;
            writeln!(out)
        });
    }
    if args.table {
        return output::print(&look::table(&found));
    }
    let layout = Layout {
        width: args.look.columns(),
        color: args.look.colors(),
        top: args.top,
    };
    output::print(&look::text(&found, layout))
}
