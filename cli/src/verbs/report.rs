//! `mapgrow report`: what grew, where, when, and what it cost.

use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use mapgrow_report::text::{
    By, SCREEN_LINES, Sort, TextOptions, no_picture, render, render_map, table,
};
use mapgrow_report::{Options, Report};

use crate::binaries;
use crate::failure::Failure;
use crate::output::{self, Look};
use crate::profile::{self, watch::watch};
use crate::quantity;
use crate::render::heat;
use crate::saved;
use crate::source::{self, Source};
use crate::symbols::{Files, Opened};

const EXAMPLES: &str = "\
Examples:
  mapgrow report                     the newest dump
  mapgrow report 4242                process 4242 as it is now, without stopping it
  mapgrow report app.mapgrow --by map --sort live --top 20
  mapgrow report 4242 --map 17 --svg > table.svg
  mapgrow report --table --sort live           every block, one a line
  mapgrow report --json | jq '.sites[0].caller'
  mapgrow report heap.pb.gz --binary ./server        a heap profile of a Go program
  mapgrow report --watch http://localhost:6060/debug/pprof/heap --every 10s --for 5min";

/// What the report is about.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// A dump, a recording, the id of a process, or a Go heap profile as a file or an http URL;
    /// without it, the newest dump
    #[arg(value_name = "FILE|PID|URL")]
    source: Option<PathBuf>,
    /// Take heap profiles of a running Go service from this URL, time and again
    #[arg(long, value_name = "URL", conflicts_with = "source")]
    watch: Option<PathBuf>,
    /// Time between two profiles
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = quantity::interval, requires = "watch")]
    every: Duration,
    /// Stop watching after this time, and report once, at its end
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::interval, requires = "watch")]
    length: Option<Duration>,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
    /// Print every block on a line of its own
    #[arg(long, conflicts_with_all = ["json", "by", "map", "all"])]
    table: bool,
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
    /// How many blocks to show in full; without it, as many as fit a screen
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Show all blocks, each in full
    #[arg(long, conflicts_with = "top")]
    all: bool,
    #[command(flatten)]
    look: Look,
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
    let Some(url) = &args.watch else {
        binaries::check(&args.binary, [args.source.as_deref()].into_iter())?;
        // The timeline is the largest part of a report, and text needs it for threads alone.
        let options = Options {
            timeline: args.json || matches!(args.by, ByArg::Thread),
            ..Options::default()
        };
        // The command ends here, and with it the memory: to free a large report takes time.
        let report = build_with(args.source.as_deref(), &args.binary, &options)?;
        return print(args, &ManuallyDrop::new(report));
    };
    let terminal = std::io::stdout().is_terminal() && !args.json;
    let show = |report: &Report, last: bool| {
        if !last && args.length.is_some() {
            return Ok(());
        }
        if terminal && !last {
            // From the top of an empty screen.
            output::print("\x1b[H\x1b[2J")?;
        }
        print(args, report)
    };
    watch(url, args.every, args.length, &args.binary, show)
}

fn print(args: &ReportArgs, report: &Report) -> Result<(), Failure> {
    if let Some(id) = args.map {
        return show_map(args, report, id);
    }
    if args.json {
        output::write_with(|out| {
            serde_json::to_writer(&mut *out, report).map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        })?;
    } else if args.table {
        let most = args.top.unwrap_or(usize::MAX);
        output::print(&table(report, args.sort.into(), most))?;
    } else {
        let text = render(
            report,
            &TextOptions {
                width: args.look.columns(),
                color: args.look.colors(),
                top: match args.all {
                    true => usize::MAX,
                    false => args.top.unwrap_or(TextOptions::default().top),
                },
                by: args.by.into(),
                sort: args.sort.into(),
                lines: (!args.all && args.top.is_none()).then_some(SCREEN_LINES),
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
                "there is no picture of map {id}: {}",
                no_picture(map)
            ))
        })?
    } else {
        let options = TextOptions {
            width: args.look.columns(),
            color: args.look.colors(),
            ..TextOptions::default()
        };
        render_map(report, id, &options).ok_or_else(missing)?
    };
    output::print(&text)
}

/// Reads a recording and gives it names from the binaries of this machine.
pub fn build(source: Option<&Path>, binaries: &[PathBuf]) -> Result<Report, Failure> {
    build_with(source, binaries, &Options::default())
}

/// The same with less in it; whether the process runs is found out here.
fn build_with(
    source: Option<&Path>,
    binaries: &[PathBuf],
    options: &Options,
) -> Result<Report, Failure> {
    let files = Files::new();
    let (report, _) = build_among(source, binaries, options, Opened::new(&files))?;
    Ok(report)
}

/// The same for one of many recordings, which share the binaries that they opened.
pub fn build_among<'a>(
    source: Option<&Path>,
    binaries: &[PathBuf],
    options: &Options,
    opened: Opened<'a>,
) -> Result<(Report, Opened<'a>), Failure> {
    if let Some(path) = source.filter(|path| !source::is_process(path)) {
        if let Some(report) = profile::report(path, binaries)? {
            return Ok((report, opened));
        }
        if let Some(report) = saved::open(path)? {
            return Ok((report, opened));
        }
    }
    let source = Source::open(source)?;
    let symbolizer = source.symbolizer(opened.files(), binaries);
    let mut symbolizer = symbolizer.with_opened(opened);
    let options = Options {
        alive: source.alive,
        ..*options
    };
    let mut report = Report::build(&source.recording, &mut symbolizer, &options);
    if source.contents_refused {
        report.honesty.notes.push(
            "what the maps hold is not known: the memory of the process may not be read; run \
             mapgrow as its user, with ptrace rights, or as root"
                .to_owned(),
        );
    }
    Ok((report, symbolizer.into_opened()))
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
