//! `mapgrow verify`: does a recording add up?

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mapgrow_report::laws::{self, Outcome};

use crate::failure::Failure;
use crate::output::{self, Look};
use crate::render;
use crate::source::{self, Source};
use crate::symbols::Files;
use crate::{profile, saved};

const EXAMPLES: &str = "\
Examples:
  mapgrow verify app.mapgrow         a dump
  mapgrow verify 4242                process 4242 as it is now, without stopping it
  mapgrow verify app.mapgrow --json

Counts are kept at the place of each block, in the table of live blocks and on the timeline; each
law sets two of these against each other, for every place, every family and in total. What a
recording cannot tell, as while threads are at work, is said to be not applicable, with the reason.

Exit status: 0 no law is broken, 1 one is, 2 it could not be done.";

/// What to verify.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// A dump, a recording, or the id of a process; without it, the newest dump
    #[arg(value_name = "FILE|PID")]
    source: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

/// Judges all laws, prints the findings, and tells by the exit status.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    if let Some(path) = args
        .source
        .as_ref()
        .filter(|path| !source::is_process(path))
        && (profile::report(path, &args.binary)?.is_some() || saved::open(path)?.is_some())
    {
        return Err(Failure::new(format!(
            "{} holds sums, not the blocks that they were taken of, so there is nothing to \
             compare them with: name a dump or a recording",
            path.display()
        )));
    }
    let source = Source::open(args.source.as_deref())?;
    let files = Files::new();
    let mut symbolizer = source.symbolizer(&files, &args.binary);
    let findings = laws::verify(&source.recording, &mut symbolizer, source.alive);
    if args.json {
        output::write_with(|out| {
            let document = render::verify::document(&findings);
            serde_json::to_writer(&mut *out, &document).map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        })?;
    } else {
        let (width, color) = (args.look.columns(), args.look.colors());
        output::print(&render::verify::render(&findings, width, color))?;
    }
    let broken = findings
        .iter()
        .any(|finding| finding.outcome == Outcome::Broken);
    Ok(ExitCode::from(u8::from(broken)))
}
