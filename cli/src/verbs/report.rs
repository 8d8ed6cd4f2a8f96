//! `mapgrow report`: what grew, where, when, and what it cost.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mapgrow::report::text::{By, Sort, TextOptions, render, render_map};
use mapgrow::report::{Options, Report};

use crate::failure::Failure;
use crate::output::{self, Color};
use crate::render::heat;
use crate::saved;
use crate::source::{self, Source};
use crate::symbols::{Files, ObjectSymbolizer, Places};

const EXAMPLES: &str = "\
Examples:
  mapgrow report                     the newest dump
  mapgrow report 4242                process 4242 as it is now, without stopping it
  mapgrow report app.mapgrow --by map --sort live --top 20
  mapgrow report 4242 --map 17 --svg > table.svg
  mapgrow report --json | jq '.sites[0].caller'";

/// What the report is about.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// A dump, a recording, or the id of a process; without it, the newest dump
    #[arg(value_name = "FILE|PID")]
    source: Option<PathBuf>,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
    /// What each block of the report stands for
    #[arg(long, value_enum, default_value_t = ByArg::Site)]
    by: ByArg,
    /// Show one live map and a picture of its table: the number that `--by map` gives it
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    map: Option<u64>,
    /// With --map: print the picture as SVG
    #[arg(long, requires = "map")]
    svg: bool,
    /// What comes first
    #[arg(long, value_enum, default_value_t = SortArg::Harm)]
    sort: SortArg,
    /// How many blocks to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Columns to fit into [default: those of the terminal, 100 in a pipe]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByArg {
    /// A place in the program
    Site,
    /// A live map
    Map,
    /// A type of container
    Type,
    /// A thread
    Thread,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SortArg {
    /// What hurt most: overlap, pauses, bytes copied
    Harm,
    /// What holds most now
    Live,
    /// What held most at its peak
    Peak,
    /// What resized most often
    Resizes,
    /// What stalled threads longest
    Pause,
    /// What allocated most
    Allocated,
}

/// Prints the report.
pub fn run(args: &ReportArgs) -> Result<(), Failure> {
    let report = build(args.source.as_deref(), &args.binary)?;
    if let Some(id) = args.map {
        return show_map(args, &report, id);
    }
    if args.json {
        output::write_with(|out| {
            serde_json::to_writer(&mut *out, &report).map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        })?;
    } else {
        let text = render(
            &report,
            &TextOptions {
                width: output::width(args.width),
                color: args.color.wanted(),
                top: args.top,
                by: args.by.into(),
                sort: args.sort.into(),
            },
        );
        output::print(&text)?;
    }
    Ok(())
}

fn show_map(args: &ReportArgs, report: &Report, id: u64) -> Result<(), Failure> {
    let missing = || {
        Failure::new(format!(
            "there is no live map {id} in this report: `mapgrow report --by map` lists them"
        ))
    };
    let text = if args.svg {
        let map = report.maps.iter().find(|map| map.id == id);
        let map = map.ok_or_else(missing)?;
        heat::svg(map).ok_or_else(|| {
            Failure::new(format!(
                "there is no picture of map {id}: its table is small, or was not read"
            ))
        })?
    } else {
        let options = TextOptions {
            width: output::width(args.width),
            color: args.color.wanted(),
            ..TextOptions::default()
        };
        render_map(report, id, &options).ok_or_else(missing)?
    };
    output::print(&text)
}

/// Reads a recording and gives it names from the binaries of this machine.
pub fn build(source: Option<&std::path::Path>, binaries: &[PathBuf]) -> Result<Report, Failure> {
    if let Some(path) = source.filter(|path| !source::is_process(path))
        && let Some(report) = saved::open(path)?
    {
        return Ok(report);
    }
    let source = Source::open(source)?;
    let files = Files::new();
    let places = Places {
        pid: source.running,
        program: source.recording.exe(),
        binaries: binaries.to_vec(),
    };
    let mut symbolizer = ObjectSymbolizer::new(&files, places);
    let options = Options {
        alive: source.alive,
        ..Options::default()
    };
    let mut report = Report::build(&source.recording, &mut symbolizer, &options);
    if source.contents_refused {
        report.honesty.notes.push(
            "what the maps hold is not known: the memory of the process may not be read; run \
             mapgrow as its user, with ptrace rights, or as root"
                .to_owned(),
        );
    }
    Ok(report)
}

impl From<ByArg> for By {
    fn from(by: ByArg) -> By {
        match by {
            ByArg::Site => By::Site,
            ByArg::Map => By::Map,
            ByArg::Type => By::Type,
            ByArg::Thread => By::Thread,
        }
    }
}

impl From<SortArg> for Sort {
    fn from(sort: SortArg) -> Sort {
        match sort {
            SortArg::Harm => Sort::Harm,
            SortArg::Live => Sort::Live,
            SortArg::Peak => Sort::Peak,
            SortArg::Resizes => Sort::Resizes,
            SortArg::Pause => Sort::Pause,
            SortArg::Allocated => Sort::Allocated,
        }
    }
}
