//! `mapgrow check`: a gate for continuous integration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mapgrow_report::diff::Tolerance;
use mapgrow_report::gates::{self, Outcome, Rule};
use mapgrow_report::measure::Measure;
use mapgrow_report::outlook;

use crate::binaries;
use crate::failure::Failure;
use crate::output::{self, Look};
use crate::render;
use crate::verbs::report;
use crate::{quantity, rules};

const EXAMPLES: &str = "\
Examples:
  mapgrow check app.mapgrow --max-pause 5ms --max-overlap 64MiB
  mapgrow check app.mapgrow --max-resizes 'cache::put=0' --max-retained '*=16MiB'
  mapgrow check app.mapgrow --baseline main.json --max-growth 10%
  mapgrow check 4242 --forecast=1h
  mapgrow check app.mapgrow --rules mapgrow.toml --json

A bound is for the whole process, or after SITE= for each place that SITE is part of the
function, file:line or type of; `*` is every place. Rules files:
  [[rule]]
  site = \"cache::put\"        # without it: the whole process
  max-resizes = 0
  max-pause = \"5ms\"
  [baseline]
  file = \"main.json\"         # saved with `mapgrow report --json`
  max-growth = \"10%\"

Exit status: 0 all held, 1 a gate failed, 2 it could not be done or a figure is not known.";

/// What to check, and against what.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// A dump, a recording, a saved report, or the id of a process; without it, the newest dump
    #[arg(value_name = "FILE|PID")]
    source: Option<PathBuf>,
    /// Resizes at most; can be repeated, as the other bounds can
    #[arg(long, value_name = "[SITE=]N")]
    max_resizes: Vec<String>,
    /// Longest stall of a thread in a resize: 5ms
    #[arg(long, value_name = "[SITE=]TIME")]
    max_pause: Vec<String>,
    /// Largest old and new table side by side: 64MiB
    #[arg(long, value_name = "[SITE=]SIZE")]
    max_overlap: Vec<String>,
    /// Bytes of live tables beyond what their entries need
    #[arg(long, value_name = "[SITE=]SIZE")]
    max_retained: Vec<String>,
    /// Bytes of live tables at the end
    #[arg(long, value_name = "[SITE=]SIZE")]
    max_live: Vec<String>,
    /// Bytes of live tables at their peak
    #[arg(long, value_name = "[SITE=]SIZE")]
    max_peak: Vec<String>,
    /// Bytes of all tables ever allocated
    #[arg(long, value_name = "[SITE=]SIZE")]
    max_allocated: Vec<String>,
    /// Room for the resizes that are foretold: the next three of each live map, or those within
    /// TIME
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    forecast: Option<String>,
    /// An older report that no place may have outgrown
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Growth against the baseline that is fine [default: 10%]
    #[arg(long, value_name = "SHARE", value_parser = quantity::share)]
    max_growth: Option<f64>,
    /// Figures compared with the baseline [default: peak, resizes, overlap]
    #[arg(long, value_name = "FIGURE,...", value_delimiter = ',', value_parser = rules::measure)]
    by: Vec<Measure>,
    /// A TOML file of rules; can be repeated
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Fail when a rule names a place that the report does not have
    #[arg(long)]
    require_sites: bool,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: Look,
    /// A binary to take names from, when its build id is the recorded one; can be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

/// What is asked for, from options and rules files.
#[derive(Debug, Default)]
struct Asked {
    rules: Vec<Rule>,
    baselines: Vec<Baseline>,
    require_sites: bool,
    /// Whether forecasts are judged, and up to when.
    forecast: Option<Option<u64>>,
}

#[derive(Debug)]
struct Baseline {
    file: PathBuf,
    tolerance: Tolerance,
    measures: Vec<Measure>,
}

impl Baseline {
    fn new(file: PathBuf, growth: Option<f64>, by: Vec<Measure>) -> Baseline {
        let usual = Tolerance::default();
        Baseline {
            file,
            tolerance: Tolerance {
                share: growth.unwrap_or(usual.share),
                ..usual
            },
            measures: if by.is_empty() {
                vec![Measure::Peak, Measure::Resizes, Measure::Overlap]
            } else {
                by
            },
        }
    }
}

impl CheckArgs {
    fn asked(&self) -> Result<Asked, Failure> {
        let mut asked = Asked {
            require_sites: self.require_sites,
            ..Asked::default()
        };
        for (measure, texts) in [
            (Measure::Resizes, &self.max_resizes),
            (Measure::Pause, &self.max_pause),
            (Measure::Overlap, &self.max_overlap),
            (Measure::Retained, &self.max_retained),
            (Measure::Live, &self.max_live),
            (Measure::Peak, &self.max_peak),
            (Measure::Allocated, &self.max_allocated),
        ] {
            for text in texts {
                asked.rules.push(rules::rule(measure, text)?);
            }
        }
        for path in &self.rules {
            let (file, rules) = rules::read(path)?;
            asked.rules.extend(rules);
            asked.require_sites |= file.require_sites;
            if let Some(entry) = file.baseline {
                let wrong = |why: String| {
                    Failure::new(format!(
                        "cannot use the rules in {}: baseline: {why}",
                        path.display()
                    ))
                };
                let growth = entry
                    .max_growth
                    .map(|growth| quantity::share(&growth.text()));
                let by = entry.by.unwrap_or_default();
                let by = by
                    .iter()
                    .map(|name| rules::measure(name))
                    .collect::<Result<_, _>>();
                asked.baselines.push(Baseline::new(
                    entry.file,
                    growth.transpose().map_err(wrong)?,
                    by.map_err(wrong)?,
                ));
            }
        }
        if let Some(file) = &self.baseline {
            let baseline = Baseline::new(file.clone(), self.max_growth, self.by.clone());
            asked.baselines.push(baseline);
        }
        asked.forecast = match self.forecast.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(text) => {
                Some(Some(quantity::ns(text).map_err(|why| {
                    Failure::new(format!("--forecast={text}: {why}"))
                })?))
            }
        };
        if asked.rules.is_empty() && asked.baselines.is_empty() && asked.forecast.is_none() {
            return Err(Failure::new(
                "there is nothing to check: give a bound such as --max-pause 5ms, a --baseline or \
                 a --rules file; `mapgrow check --help` has examples",
            ));
        }
        Ok(asked)
    }
}

/// Checks, prints the findings, and tells by the exit status.
pub fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let asked = args.asked()?;
    let baselines = asked.baselines.iter().map(|baseline| Some(&*baseline.file));
    let sources = std::iter::once(args.source.as_deref()).chain(baselines);
    binaries::check(&args.binary, sources)?;
    let report = report::build(args.source.as_deref(), &args.binary)?;
    let mut findings = gates::judge(&report, &asked.rules);
    findings.extend(asked.forecast.map(|within| outlook::judge(&report, within)));
    for baseline in &asked.baselines {
        let old = report::build(Some(&baseline.file), &args.binary)?;
        findings.extend(gates::against(
            &old,
            &report,
            &baseline.measures,
            &baseline.tolerance,
        ));
    }
    let worst = findings.iter().map(|finding| match finding.outcome {
        Outcome::NoSuchSite if asked.require_sites => Outcome::Broken,
        outcome => outcome,
    });
    let worst = worst.max().unwrap_or(Outcome::Held);
    if args.json {
        output::write_with(|out| {
            let document = render::check::document(&findings, worst);
            serde_json::to_writer(&mut *out, &document).map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        })?;
    } else {
        let (width, color) = (args.look.columns(), args.look.colors());
        output::print(&render::check::render(
            &findings,
            asked.require_sites,
            width,
            color,
        ))?;
    }
    Ok(ExitCode::from(match worst {
        Outcome::Held | Outcome::NoSuchSite => 0,
        Outcome::Broken => 1,
        Outcome::Unknown => 2,
    }))
}
