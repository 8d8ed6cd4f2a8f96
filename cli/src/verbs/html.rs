//! `mapgrow html`: the report as a page to look at.

use std::path::PathBuf;

use clap::Args;

use crate::binaries;
use crate::failure::Failure;
use crate::html;
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
  mapgrow html -o report.html                the newest dump
  mapgrow html app.mapgrow -o report.html
  mapgrow html 4242 > now.html               process 4242 as it is now, without stopping it

The page is one file that needs no network: mail it, attach it, open it in any browser.";

/// What the page is about.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct HtmlArgs {
    /// A dump, a recording, or the id of a process; without it, the newest dump
    #[arg(value_name = "FILE|PID")]
    source: Option<PathBuf>,
    /// Where to write the page [default: standard output, unless that is a terminal]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

/// Writes the page.
pub fn run(args: &HtmlArgs) -> Result<(), Failure> {
    let target = Target::of(args.output.as_deref(), "report.html")?;
    binaries::check(&args.binary, [args.source.as_deref()].into_iter())?;
    let report = super::report::build(args.source.as_deref(), &args.binary)?;
    target.write(html::page(report).as_bytes())
}
