//! `mapgrow diff`: what grew between two reports, place by place.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mapgrow_report::diff::{Became, Diff, SiteChange, Tolerance, diff};
use mapgrow_report::measure::Measure;
use serde::Serialize;

use crate::binaries;
use crate::failure::Failure;
use crate::output::{self, Look};
use crate::render::{self, diff::Bound};
use crate::verbs::report;
use crate::{quantity, rules};

const EXAMPLES: &str = "\
Examples:
  mapgrow diff old.json new.mapgrow            what grew, what is new, what is gone
  mapgrow diff monday.mapgrow 4242 --by live   against the process as it is now
  mapgrow diff main.json pr.json --max-growth 10%    exit status 1 when a place grew by more

A dump has addresses, which its binary alone can name. To compare across builds, save
`mapgrow report --json` while the binary is there: saved reports keep their names.

Exit status: 0 compared, 1 --max-growth was exceeded, 2 it could not be done.";

/// What to compare.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// The older: a dump, a recording, a saved report, or the id of a process
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The newer
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The figure that places are compared by: peak, live, allocated, resizes, overlap, pause
    /// or retained. Without it: peak, or live where a heap profile is among the two, which knows
    /// no peaks
    #[arg(long, value_name = "FIGURE", value_parser = rules::measure)]
    by: Option<Measure>,
    /// Fail (exit status 1) when a place grew by more than this share, or a new one is larger
    /// than what counts as noise: up to 64 KiB, 1 ms or 1 resize
    #[arg(long, value_name = "SHARE", value_parser = quantity::share)]
    max_growth: Option<f64>,
    /// Print the whole comparison as JSON
    #[arg(long)]
    json: bool,
    /// How many places to show of each kind
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    look: Look,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

/// Prints the comparison.
pub fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let both = [&args.old, &args.new].map(|path| Some(path.as_path()));
    binaries::check(&args.binary, both.into_iter())?;
    let old = report::build(Some(&args.old), &args.binary)?;
    let new = report::build(Some(&args.new), &args.binary)?;
    let tolerance = Tolerance {
        share: args.max_growth.unwrap_or(Tolerance::default().share),
        ..Tolerance::default()
    };
    let usual = match old.profile.is_some() || new.profile.is_some() {
        true => Measure::Live,
        false => Measure::Peak,
    };
    let by = args.by.unwrap_or(usual);
    let diff = diff(&old, &new, by, &tolerance);
    let bound = args.max_growth.map(|_| bound(&diff, &tolerance));
    if args.json {
        let told = Told {
            diff: &diff,
            max_growth: bound,
        };
        output::write_with(|out| {
            serde_json::to_writer(&mut *out, &told).map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        })?;
    } else {
        let page = render::diff::Page {
            width: args.look.columns(),
            color: args.look.colors(),
            top: args.top,
        };
        let mut text = render::diff::render(&diff, &page);
        if let Some(bound) = &bound {
            text.push_str(&render::diff::bound(bound, by, &page));
        }
        output::print(&text)?;
    }
    let failed = bound.is_some_and(|bound| !bound.held);
    Ok(ExitCode::from(u8::from(failed)))
}

/// The comparison as JSON, with what `--max-growth` came to.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    diff: &'a Diff,
    max_growth: Option<Bound>,
}

fn bound(diff: &Diff, tolerance: &Tolerance) -> Bound {
    let noise = tolerance.of(diff.by, 0);
    let count =
        |of: &dyn Fn(&SiteChange) -> bool| diff.sites.iter().filter(|site| of(site)).count();
    let grew = count(&|site| site.became == Became::Grew);
    let new = count(&|site| {
        let figure = site.change(diff.by).and_then(|change| change.new);
        site.became == Became::New && figure > Some(noise)
    });
    Bound {
        share: tolerance.share,
        held: grew + new == 0,
        grew,
        new,
        noise,
    }
}
