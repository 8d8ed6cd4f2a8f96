//! The command line: which verb, and how the process ends.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::Failure;
use crate::verbs::{
    check::{self, CheckArgs},
    completions::{self, CompletionsArgs},
    control::{self, Control, ControlArgs},
    diff::{self, DiffArgs},
    dump::{self, DumpArgs},
    families,
    flame::{self, FlameArgs},
    html::{self, HtmlArgs},
    list::{self, ListArgs},
    look::{self, LookArgs},
    man::{self, ManArgs},
    merge::{self, MergeArgs},
    pprof::{self, PprofArgs},
    report::{self, ReportArgs},
    run::{self, RunArgs},
    serve::{self, ServeArgs},
    top::{self, TopArgs},
    verify::{self, VerifyArgs},
};

#[cfg(feature = "parquet")]
use crate::verbs::export::{self, ExportArgs};

const AFTER_HELP: &str = "\
Examples:
  mapgrow run -- ./server            run a program and report on it at its end
  mapgrow report                     the newest dump
  mapgrow report 4242                process 4242 as it is now, without stopping it
  mapgrow look 4242                  every map of a process that runs without mapgrow
  mapgrow list                       what is being recorded, and what was left behind

Exit status: 0 fine, 1 a gate failed (check, diff) or a law is broken (verify), 2 it could not be
done; of `run`, that of the command.";

/// Which map grew, where, when, and what it cost
#[derive(Debug, Parser)]
#[command(name = "mapgrow", version, after_help = AFTER_HELP)]
#[command(max_term_width = 100, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a program that was built without mapgrow, and report on it at its end
    Run(RunArgs),
    /// Show what grew, where, when, and what it cost
    Report(ReportArgs),
    /// Write the report as a page to look at: one HTML file that needs no network
    Html(HtmlArgs),
    /// Draw the call stacks that grow containers as a flame graph
    Flame(FlameArgs),
    /// Compare two reports place by place, across builds
    Diff(DiffArgs),
    /// Fail a build when bounds on growth are exceeded
    Check(Box<CheckArgs>),
    /// Check that a recording adds up: allocated - freed = live, and the other laws
    Verify(VerifyArgs),
    /// Write a profile that pprof opens
    Pprof(PprofArgs),
    /// Look at every map of a running process that was never prepared for it
    Look(LookArgs),
    /// Watch a process live
    Top(TopArgs),
    /// Put the reports of many processes together
    Merge(MergeArgs),
    /// Write columnar files (Parquet) for DuckDB, Spark, ClickHouse
    #[cfg(feature = "parquet")]
    Export(ExportArgs),
    /// Serve metrics for Prometheus and profiles over HTTP, on loopback
    Serve(ServeArgs),
    /// Copy the recording of a live process into a file, without stopping it
    Dump(DumpArgs),
    /// List recordings of running processes, and what others left behind
    List(ListArgs),
    /// Resume recording in a live process
    #[command(after_help = control::EXAMPLES)]
    On(ControlArgs),
    /// Pause recording in a live process
    #[command(after_help = control::EXAMPLES)]
    Off(ControlArgs),
    /// Print the table of containers that reports know by their functions
    #[command(after_help = families::HELP)]
    Families,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write man pages
    Man(ManArgs),
}

impl Verb {
    fn run(&self) -> Result<ExitCode, Failure> {
        let done = match self {
            Verb::Run(args) => return run::run(args),
            Verb::Diff(args) => return diff::run(args),
            Verb::Check(args) => return check::run(args),
            Verb::Verify(args) => return verify::run(args),
            Verb::Report(args) => report::run(args),
            Verb::Html(args) => html::run(args),
            Verb::Flame(args) => flame::run(args),
            Verb::Pprof(args) => pprof::run(args),
            Verb::Look(args) => look::run(args),
            Verb::Top(args) => top::run(args),
            Verb::Merge(args) => merge::run(args),
            #[cfg(feature = "parquet")]
            Verb::Export(args) => export::run(args),
            Verb::Man(args) => man::run(args, CommandLine::command()),
            Verb::Serve(args) => serve::run(args),
            Verb::Dump(args) => dump::run(args),
            Verb::List(args) => list::run(args),
            Verb::On(args) => control::run(args, Control::On),
            Verb::Off(args) => control::run(args, Control::Off),
            Verb::Families => families::run(),
            Verb::Completions(args) => completions::run(args, &mut CommandLine::command()),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    let command = CommandLine::parse();
    match families::extend().and_then(|()| command.verb.run()) {
        Ok(code) => code,
        Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(Failure::Told(sentence)) => {
            use std::io::Write;
            // Nothing is left to do when nobody listens on standard error either.
            let _ = writeln!(std::io::stderr(), "mapgrow: {sentence}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
