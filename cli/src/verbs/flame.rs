//! `mapgrow flame`: call stacks as a flame graph, or as lines for tools that draw one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::binaries;
use crate::failure::Failure;
use crate::flame::{self, Libraries, Weight};
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
  mapgrow flame -o allocated.svg                 the newest dump, by bytes of all tables
  mapgrow flame --by overlap -o overlap.svg      by old and new table side by side
  mapgrow flame app.mapgrow --by pause -o pause.svg
  mapgrow flame 4242 --by live --folded          lines for other tools: a;b;c 4096

The figures are those of `mapgrow report --json`. An SVG opens in any browser: click a frame to
zoom, Ctrl-F to search.";

/// What the flame graph is about.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FlameArgs {
    /// A dump, a recording, or the id of a process; without it, the newest dump
    #[arg(value_name = "FILE|PID")]
    source: Option<PathBuf>,
    /// What the width of a frame stands for
    #[arg(long, value_enum, default_value_t = ByArg::Allocated)]
    by: ByArg,
    /// Leave out the functions of libraries
    #[arg(long)]
    own: bool,
    /// Show every function, also those of the container, and what stands as `...`: libraries that
    /// called the program's own functions, as executors, frameworks and what starts threads do
    #[arg(long, conflicts_with = "own")]
    all: bool,
    /// Write folded stacks, one line each, instead of an SVG
    #[arg(long)]
    folded: bool,
    /// Where to write it [default: standard output; an SVG not to a terminal]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByArg {
    /// Bytes of live tables
    Live,
    /// Bytes of all tables ever allocated
    Allocated,
    /// Number of resizes
    Resizes,
    /// Bytes of each site's largest overlap of old and new table
    Overlap,
    /// Nanoseconds that threads spent in resizes
    Pause,
}

/// Writes the flame graph.
pub fn run(args: &FlameArgs) -> Result<(), Failure> {
    let named = args.output.as_deref();
    let target = if args.folded {
        Target::text(named)?
    } else {
        Target::of(named, "flame.svg")?
    };
    binaries::check(&args.binary, [args.source.as_deref()].into_iter())?;
    let report = super::report::build(args.source.as_deref(), &args.binary)?;
    let weight = Weight::from(args.by);
    let libraries = match (args.own, args.all) {
        (true, _) => Libraries::LeftOut,
        (_, true) => Libraries::All,
        _ => Libraries::Folded,
    };
    let stacks = flame::folded(&report, weight, libraries);
    if args.folded {
        let lines: String = stacks.iter().map(|stack| format!("{stack}\n")).collect();
        return target.write(lines.as_bytes());
    }
    if stacks.is_empty() {
        return Err(Failure::new(format!(
            "there is nothing to draw: no site has {}; `mapgrow report` shows what there is",
            weight.name()
        )));
    }
    target.write(&flame::svg(&report, &stacks, weight)?)
}

impl From<ByArg> for Weight {
    fn from(by: ByArg) -> Weight {
        match by {
            ByArg::Live => Weight::Live,
            ByArg::Allocated => Weight::Allocated,
            ByArg::Resizes => Weight::Resizes,
            ByArg::Overlap => Weight::Overlap,
            ByArg::Pause => Weight::Pause,
        }
    }
}
