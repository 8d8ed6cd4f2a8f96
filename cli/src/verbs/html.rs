//! `mapgrow html`: the report as a page to look at.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::binaries;
use crate::failure::Failure;
use crate::html;
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
  mapgrow html -o report.html                the newest dump
  mapgrow html app.mapgrow -o report.html
  mapgrow html --open                        ... in a browser, at once
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
    /// Open the page in a browser; without `--output` it is written to a new temporary file
    #[arg(long)]
    open: bool,
    /// Leave out the lines of source around each place, which are shown where the files are on
    /// this machine and everybody may read them
    #[arg(long)]
    no_source: bool,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

/// Writes the page.
pub fn run(args: &HtmlArgs) -> Result<(), Failure> {
    let target = match &args.output {
        None if args.open => None,
        named => Some(Target::of(named.as_deref(), "report.html")?),
    };
    binaries::check(&args.binary, [args.source.as_deref()].into_iter())?;
    let report = super::report::build(args.source.as_deref(), &args.binary)?;
    let source = match args.no_source {
        true => html::Source::LeftOut,
        false => html::Source::Shown,
    };
    let page = html::page(report, source);
    if let Some(target) = target {
        target.write(page.as_bytes())?;
    }
    match &args.output {
        Some(path) if args.open => open(path),
        None if args.open => open(&temporary(page.as_bytes())?),
        _ => Ok(()),
    }
}

/// Writes the page to a file that was not there before and that nobody else may read.
fn temporary(page: &[u8]) -> Result<PathBuf, Failure> {
    let directory = std::env::temp_dir();
    for number in 0..1000 {
        let name = format!("mapgrow-{}-{number}.html", std::process::id());
        let path = directory.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match file {
            Ok(mut file) => {
                let written = file.write_all(page);
                written.map_err(|error| Failure::file("write", &path, &error))?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::file("write", &path, &error)),
        }
    }
    Err(Failure::new(format!(
        "{} is full of pages: name a file with `-o`",
        directory.display()
    )))
}

/// Hands the page to the program that the user has for pages, and waits until it has taken it.
fn open(path: &Path) -> Result<(), Failure> {
    let browser = std::env::var_os("BROWSER").filter(|name| !name.is_empty());
    let browser = browser.unwrap_or_else(|| "xdg-open".into());
    let status = Command::new(&browser).arg(path).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::new(format!(
            "{} did not open the page: open {} yourself, or name a browser in BROWSER",
            browser.display(),
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gets_a_file_of_its_own() {
        let (first, second) = (
            temporary(b"1").expect("a file"),
            temporary(b"2").expect("a file"),
        );
        assert_ne!(first, second);
        assert_eq!(std::fs::read(&second).expect("the page"), b"2");
        for path in [first, second] {
            std::fs::remove_file(path).expect("removed");
        }
    }
}
