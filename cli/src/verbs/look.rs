//! `mapgrow look`: every map of a process that nobody prepared, or of a core file.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::look::{self, Layout, Target, Wanted, Watching};
use crate::output::{self, Look};
use crate::quantity;
use crate::target::Target as Destination;

const EXAMPLES: &str = "\
Examples:
  mapgrow look 4242                  which maps hold most, how full they are, what they need next
  mapgrow look 4242 --table          every map, one a line
  mapgrow look 4242 --deep           what their values hold elsewhere, too
  mapgrow look 4242 --watch 10s      what grows, how fast, and when it resizes next
  mapgrow look core.4242             what a process held when it died
  mapgrow look 4242 --html maps.html what holds most as a page that needs no network
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
    /// Write a page to look at, one file that needs no network; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "table", "watch"])]
    html: Option<PathBuf>,
    /// Say, too, what the values of maps hold elsewhere: blocks that words of their elements lead to, as
    /// far as the allocator knows them (glibc, jemalloc, musl); of large maps estimated from a part
    #[arg(long, conflicts_with = "watch")]
    deep: bool,
    /// Look again and again, with so much time between, until the process ends; on a terminal Enter
    /// ends it too
    #[arg(long, value_name = "TIME", value_parser = quantity::interval, conflicts_with = "table")]
    watch: Option<Duration>,
    /// Stop watching after this time
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::interval, requires = "watch")]
    length: Option<Duration>,
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
    if let Some(every) = args.watch {
        return watch(args, every);
    }
    // A name that cannot be written to is told before the work.
    let page = match args.html.as_deref() {
        Some(path) if path == Path::new("-") => Some(Destination::of(None, "maps.html")?),
        Some(path) => Some(Destination::of(Some(path), "maps.html")?),
        None => None,
    };
    let found = look::look(&args.target, wanted(args))?;
    if let Some(page) = page {
        return page.write(look::page(&found).as_bytes());
    }
    if args.json {
        return output::write_with(|out| {
            serde_json::to_writer_pretty(&mut *out, &found)?;
            writeln!(out)
        });
    }
    if args.table {
        return output::print(&look::table(&found));
    }
    output::print(&look::text(&found, layout(args)))
}

fn wanted(args: &LookArgs) -> Wanted {
    Wanted {
        most: args.most,
        deep: args.deep,
    }
}

fn layout(args: &LookArgs) -> Layout {
    Layout {
        width: args.look.columns(),
        color: args.look.colors(),
        top: args.top,
    }
}

/// Looks again and again. JSON is a line for each look and one for the end.
fn watch(args: &LookArgs, every: Duration) -> Result<(), Failure> {
    let Target::Process(pid) = args.target else {
        return Err(Failure::new(
            "a core does not change: --watch wants the id of a process that runs",
        ));
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let how = Watching {
        every,
        length: args.length,
        most: args.most,
        until_line: terminal,
    };
    if terminal && !args.json {
        output::print("Enter ends it.\n")?;
    }
    let line = |value: &serde_json::Value| output::print(&format!("{value}\n"));
    let outcome = look::watch(pid, how, |found, changes| {
        if args.json {
            return line(&json!({"look": found, "changes": changes}));
        }
        output::print(&look::reading(found, changes, layout(args)))
    })?;
    if args.json {
        return line(&json!({ "ended": outcome }));
    }
    output::print(&look::ended(&outcome, layout(args)))
}
