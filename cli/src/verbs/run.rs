//! `mapgrow run`: a command under the preload library, and its report at the end.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use mapgrow_report::Report;
use mapgrow_report::text::{SCREEN_LINES, TextOptions, peak_of_all, render, units};

use crate::failure::Failure;
use crate::preload::nothing::{Facts, signal};
use crate::preload::program::{self, Blind};
use crate::preload::session::{Ended, Session};
use crate::preload::unseen::{Unseen, UnseenProcess};
use crate::preload::{child, kept, library};
use crate::render::paint::wrap;
use crate::target::Target;
use crate::{html, output};

const EXAMPLES: &str = "\
Examples:
  mapgrow run -- python3 script.py
  mapgrow run --exact -- ./server --port 8080
  mapgrow run --html report.html -- redis-server
  mapgrow run -o before.mapgrow --quiet -- make test

The report goes to standard error; the command's own output and status are what they are without
mapgrow. Not seen: what ends before main, and programs that load no libraries (static ones, Go's):
they are named at the end.";

/// How often processes and their leftovers are looked through while the command runs.
const COLLECT_EVERY: Duration = Duration::from_millis(200);
/// Processes that get a line of their own.
const MOST_LINES: usize = 8;
/// One that held less than one part in so many of what another did gets none.
const MATTERS: u64 = 100;
/// Programs that cannot be seen and are explained.
const MOST_EXPLAINED: usize = 5;

/// What to run, and what to say about it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Where to keep the recording [default: the directory for dumps]; nothing is overwritten
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the report there instead of to standard error
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write a page to look at, as `mapgrow html` does
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
    /// Print no report
    #[arg(short, long)]
    quiet: bool,
    /// Print every place, not just what fits a screen, and a line for each process
    #[arg(long)]
    all: bool,
    /// Print the report of every process, not just of the command itself
    #[arg(long)]
    children: bool,
    /// Record every block, whatever it costs
    #[arg(long)]
    exact: bool,
    /// The command and its arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

/// Runs the command; the status to end with.
pub fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    // Hours later it would be too late to say so.
    for path in [&args.output, &args.report, &args.html]
        .into_iter()
        .flatten()
    {
        kept::can_write(path)?;
    }
    if let Some(path) = args.output.as_ref().filter(|path| path.exists()) {
        return Err(Failure::new(kept::taken(path)));
    }
    let library = library::path()?;
    let named = args.command.first().cloned().unwrap_or_default();
    let blind = program::find(&named).and_then(|path| program::inspect(&path));
    let session = Session::new()?;
    let mut variables = session.variables(&library, args.exact);
    let preloads = !blind.is_some_and(Blind::must_not_preload);
    if !preloads {
        variables.retain(|(name, _)| !matches!(*name, "LD_PRELOAD" | "ASAN_OPTIONS"));
    }
    let mut child = match child::start(&args.command, &variables) {
        Ok(child) => child,
        Err(error) => {
            session.remove();
            return Ok(cannot_start(&named.to_string_lossy(), &error));
        }
    };
    let main = child.id();
    let unseen = Unseen::new(preloads.then_some(library));
    let done = AtomicBool::new(false);
    let status = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                std::thread::park_timeout(COLLECT_EVERY);
                unseen.look(main);
                session.collect(main, &unseen.users());
            }
        });
        let status = child::wait(&mut child);
        done.store(true, Ordering::Release);
        collector.thread().unpark();
        status
    })
    .map_err(|error| Failure::new(format!("cannot wait for the command: {error}")))?;
    session.collect(main, &unseen.users());
    let command = Ran {
        pid: main,
        name: named.to_string_lossy().into_owned(),
        blind,
        status,
    };
    let told = conclude(args, &session, &command, &unseen.processes());
    session.remove();
    if let Err(failure) = told {
        // The command's status matters more than the report.
        let _ = writeln!(io::stderr(), "mapgrow: {failure}");
    }
    Ok(child::end_as(status))
}

/// As a shell has it: 127 when there is no such command, 126 when it cannot be run.
fn cannot_start(command: &str, error: &io::Error) -> ExitCode {
    let _ = writeln!(
        io::stderr(),
        "mapgrow: cannot run {command}: {}",
        crate::failure::plain(error)
    );
    match error.kind() {
        io::ErrorKind::NotFound => ExitCode::from(127),
        _ => ExitCode::from(126),
    }
}

/// The command, after its end.
struct Ran {
    pid: u32,
    /// Its first word.
    name: String,
    /// Why the program of that name cannot be seen.
    blind: Option<Blind>,
    status: ExitStatus,
}

/// Keeps the recording and prints what there is to say.
fn conclude(
    args: &RunArgs,
    session: &Session,
    command: &Ran,
    unseen: &[UnseenProcess],
) -> Result<(), Failure> {
    let blind = command.blind;
    let mut ended = session.ended();
    // The last program that the command's process turned into.
    let own = ended
        .iter()
        .rposition(|one| one.pid == command.pid && one.dump.is_some())
        .map(|at| ended.remove(at));
    if let Some(own) = own.as_ref().filter(|_| command.status.code().is_some()) {
        own.ended_by_itself()?;
    }
    let mut out = Output::new(args)?;
    let mut resizes = 0;
    if let Some(dump) = own.as_ref().and_then(|own| own.dump.as_ref()) {
        let kept = kept::keep(args.output.as_deref(), own.as_ref(), dump)?;
        if !args.quiet || args.html.is_some() {
            let report = super::report::build(Some(dump), &[])?;
            // An empty report on a program that cannot be seen says nothing.
            let empty = blind.is_some() && report.sites.is_empty();
            if !args.quiet && (args.json || !empty) {
                if let Some(killed) = command.status.signal() {
                    let killed = signal(killed);
                    let name = &command.name;
                    out.sentences(&format!(
                        "{name} was killed by {killed}. This is what it had recorded until then:"
                    ))?;
                }
                out.report(&report, args.json)?;
                out.line(&format!("recording: {}", kept.display()))?;
            }
            resizes = report.totals.resizes;
            if let Some(path) = &args.html {
                let page = html::page(report, html::Source::Shown);
                Target::of(Some(path), "report.html")?.write(page.as_bytes())?;
                if !args.quiet {
                    out.line(&format!("page: {}", path.display()))?;
                }
            }
        }
    }
    if args.quiet {
        return Ok(());
    }
    match blind {
        Some(Blind::OwnAllocator(_)) if resizes > 0 => {}
        Some(blind) => out.sentences(&blind.explanation(&command.name))?,
        None if own.is_none() => {
            out.sentences(&Facts::of(session, command.status).reason(&command.name))?;
        }
        None => {}
    }
    let grew = others(args, own.as_ref(), &ended, &mut out)?;
    let unseen: Vec<&UnseenProcess> = unseen
        .iter()
        .filter(|one| !(one.pid == command.pid && blind == Some(one.blind)))
        .filter(|one| !(matches!(one.blind, Blind::OwnAllocator(_)) && grew.contains(&one.pid)))
        .collect();
    explain(&unseen, &mut out)?;
    let running = session.running();
    if !running.is_empty() {
        let pids: Vec<String> = running.iter().map(u32::to_string).collect();
        out.line(&format!(
            "still running: {}; `mapgrow report PID` shows what they have recorded",
            pids.join(", ")
        ))?;
    }
    out.finish()
}

/// One line for each other process that matters, or its report. Gives the ids of those that have
/// resizes.
fn others(
    args: &RunArgs,
    own: Option<&Ended>,
    ended: &[Ended],
    out: &mut Output,
) -> Result<Vec<u32>, Failure> {
    let mut grew = Vec::new();
    let mut largest: Vec<&Ended> = ended.iter().filter(|one| one.dump.is_some()).collect();
    largest.sort_by_key(|one| std::cmp::Reverse(one.peak_bytes));
    if !args.children && !args.all {
        let most = largest.iter().map(|one| one.peak_bytes).max().unwrap_or(0);
        let most = most.max(own.map_or(0, |own| own.peak_bytes));
        largest.retain(|one| one.peak_bytes >= most / MATTERS);
        largest.truncate(MOST_LINES);
    }
    largest.sort_by_key(|one| one.began_ns);
    if !largest.is_empty() && !args.json {
        out.line("other processes:")?;
    }
    for one in &largest {
        let Some(dump) = &one.dump else { continue };
        let Ok(report) = super::report::build(Some(dump), &[]) else {
            continue;
        };
        if report.totals.resizes > 0 {
            grew.push(one.pid);
        }
        if args.children {
            if !args.json {
                out.line(&format!("process {} ({})", one.pid, one.program))?;
            }
            out.report(&report, args.json)?;
        } else if !args.json {
            out.line(&summary(one, &report))?;
        }
    }
    let rest = ended.len() - largest.len();
    if rest > 0 && !args.json {
        out.line(&match (args.children, largest.is_empty(), rest) {
            (true, ..) => format!("  and {rest} more whose recordings were not kept"),
            (false, false, _) => format!("  and {rest} more that held less (--all names them)"),
            (false, true, 1) => {
                "1 other process held less than a hundredth of what the command did".to_owned()
            }
            (false, true, _) => format!(
                "{rest} other processes held less than a hundredth of what the command did, each \
                 (--all names them)"
            ),
        })?;
    }
    Ok(grew)
}

/// Why programs that the command started are missing.
fn explain(unseen: &[&UnseenProcess], out: &mut Output) -> Result<(), Failure> {
    for one in unseen.iter().take(MOST_EXPLAINED) {
        let who = format!("{} (process {})", one.program, one.pid);
        out.sentences(&one.blind.explanation(&who))?;
    }
    let rest: Vec<&str> = unseen
        .iter()
        .skip(MOST_EXPLAINED)
        .map(|one| one.program.as_str())
        .collect();
    if !rest.is_empty() {
        out.sentences(&format!("Nor could these be seen: {}.", rest.join(", ")))?;
    }
    Ok(())
}

fn summary(one: &Ended, report: &Report) -> String {
    let totals = &report.totals;
    format!(
        "  {:>7} {:<16} {}, {} in containers at the peak",
        one.pid,
        one.program,
        units::count(totals.resizes, "resize"),
        peak_of_all(totals)
    )
}

/// Where the report goes.
struct Output {
    to: Box<dyn Write>,
    options: TextOptions,
    json: bool,
}

impl Output {
    fn new(args: &RunArgs) -> Result<Output, Failure> {
        let mut options = TextOptions::default();
        if args.all {
            options.top = usize::MAX;
        } else {
            options.lines = Some(SCREEN_LINES);
        }
        let to: Box<dyn Write> = match &args.report {
            Some(path) => Box::new(
                fs::File::create(path).map_err(|error| Failure::file("write", path, &error))?,
            ),
            None => {
                options.width = output::stderr_width();
                options.color = output::stderr_color();
                Box::new(io::stderr())
            }
        };
        Ok(Output {
            to: Box::new(io::BufWriter::new(to)),
            options,
            json: args.json,
        })
    }

    fn report(&mut self, report: &Report, json: bool) -> Result<(), Failure> {
        let written = if json {
            serde_json::to_writer(&mut self.to, report)
                .map_err(io::Error::from)
                .and_then(|()| self.to.write_all(b"\n"))
        } else {
            self.to.write_all(render(report, &self.options).as_bytes())
        };
        told(written)
    }

    /// Sentences for people, as wide as the report.
    fn sentences(&mut self, text: &str) -> Result<(), Failure> {
        self.line(&wrap(text, self.options.width, 0))
    }

    /// A line for people; where the report is JSON, they find it on standard error.
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            // The JSON may go there too, and is to stay in one piece.
            return told(
                self.to
                    .flush()
                    .and_then(|()| writeln!(io::stderr(), "mapgrow: {text}")),
            );
        }
        told(writeln!(self.to, "{text}"))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        told(self.to.flush())
    }
}

fn told(written: io::Result<()>) -> Result<(), Failure> {
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::new(format!(
            "cannot write the report: {}",
            crate::failure::plain(&error)
        )),
    })
}
