//! `mapgrow pprof`: a report in the format of pprof.

use std::path::{Path, PathBuf};

use clap::Args;
use mapgrow_report::{Heap, Options};

use crate::binaries;
use crate::failure::Failure;
use crate::output;
use crate::pprof::{self, Functions};
use crate::source::Source;
use crate::symbols::Files;
use crate::verbs::report;

const EXAMPLES: &str = "\
Examples:
  mapgrow pprof app.mapgrow -o maps.pb.gz
  mapgrow pprof 4242 --heap -o heap.pb.gz
  go tool pprof -top -sample_index=overlap_bytes maps.pb.gz
  go tool pprof -http=localhost:8080 maps.pb.gz";

/// What to write, and where.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PprofArgs {
    /// A dump, a recording, or the id of a process; without it, the newest dump
    #[arg(value_name = "FILE|PID")]
    source: Option<PathBuf>,
    /// The file to write (gzip), usually named *.pb.gz; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write the whole heap instead of the containers: alloc and inuse, objects and space, as
    /// Go's heap profiles have them
    #[arg(long)]
    heap: bool,
    /// Have every function in the stacks, also those of the container, and of libraries that called
    /// the program's own, as executors, frameworks and what starts threads do
    #[arg(long, conflicts_with = "heap")]
    all: bool,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

/// Writes the profile.
pub fn run(args: &PprofArgs) -> Result<(), Failure> {
    binaries::check(&args.binary, [args.source.as_deref()].into_iter())?;
    let (profile, notes) = if args.heap {
        let heap = heap(args.source.as_deref(), &args.binary)?;
        (pprof::of_heap(&heap), heap.notes)
    } else {
        let functions = match args.all {
            true => Functions::All,
            false => Functions::Own,
        };
        let report = report::build(args.source.as_deref(), &args.binary)?;
        (pprof::of_report(&report, functions), report.honesty.notes)
    };
    let bytes = pprof::encode(&profile)
        .map_err(|error| Failure::new(format!("cannot compress the profile: {error}")))?;
    if args.output.as_os_str() == "-" {
        return output::write_with(|out| out.write_all(&bytes));
    }
    std::fs::write(&args.output, &bytes)
        .map_err(|error| Failure::file("write", &args.output, &error))?;
    for note in notes.iter().filter(|_| args.heap) {
        eprintln!("mapgrow: note: {note}");
    }
    Ok(())
}

/// Reads every block of a recording, with names from the binaries of this machine.
pub fn heap(source: Option<&Path>, binaries: &[PathBuf]) -> Result<Heap, Failure> {
    let source = Source::open(source)?;
    let files = Files::new();
    let mut symbolizer = source.symbolizer(&files, binaries);
    let options = Options {
        alive: source.alive,
        ..Options::default()
    };
    Ok(Heap::of(&source.recording, &mut symbolizer, &options))
}
