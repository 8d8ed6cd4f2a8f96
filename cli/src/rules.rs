//! Rules of `mapgrow check`, from the command line and from a TOML file.

use std::io::Read;
use std::path::{Path, PathBuf};

use mapgrow_report::gates::Rule;
use mapgrow_report::measure::Measure;
use serde::Deserialize;

use crate::failure::Failure;
use crate::load;
use crate::quantity;

/// Most bytes of a rules file.
const MOST_BYTES: u64 = 1 << 20;

/// A rules file, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesFile {
    /// Bounds on the process, and on sites.
    #[serde(default)]
    pub rule: Vec<RuleEntry>,
    /// What to compare with.
    #[serde(default)]
    pub baseline: Option<BaselineEntry>,
    /// Whether a rule that names a place which the report does not have fails the check.
    #[serde(default, rename = "require-sites")]
    pub require_sites: bool,
}

/// One `[[rule]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleEntry {
    site: Option<String>,
    max_resizes: Option<Figure>,
    max_pause: Option<Figure>,
    max_overlap: Option<Figure>,
    max_retained: Option<Figure>,
    max_live: Option<Figure>,
    max_peak: Option<Figure>,
    max_allocated: Option<Figure>,
}

/// The `[baseline]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BaselineEntry {
    /// The older report, beside the rules file.
    pub file: PathBuf,
    /// Growth that is fine: `"10%"`.
    pub max_growth: Option<Figure>,
    /// The figures that are compared.
    pub by: Option<Vec<String>>,
}

/// `5`, or `"5ms"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    /// A bare number.
    Number(u64),
    /// A number with its unit.
    Text(String),
}

impl Figure {
    /// As the command line has it.
    pub fn text(&self) -> String {
        match self {
            Figure::Number(number) => number.to_string(),
            Figure::Text(text) => text.clone(),
        }
    }
}

impl RuleEntry {
    fn rules(&self) -> Result<Vec<Rule>, String> {
        let figures = [
            (Measure::Resizes, &self.max_resizes),
            (Measure::Pause, &self.max_pause),
            (Measure::Overlap, &self.max_overlap),
            (Measure::Retained, &self.max_retained),
            (Measure::Live, &self.max_live),
            (Measure::Peak, &self.max_peak),
            (Measure::Allocated, &self.max_allocated),
        ];
        let mut rules = Vec::new();
        for (measure, figure) in figures {
            if let Some(figure) = figure {
                rules.push(Rule {
                    measure,
                    site: self.site.clone(),
                    most: figure_of(measure, &figure.text())
                        .map_err(|why| format!("max-{}: {why}", measure.name()))?,
                });
            }
        }
        if rules.is_empty() {
            return Err("a rule without a bound: add max-resizes = 0 or the like".to_owned());
        }
        Ok(rules)
    }
}

/// Reads a rules file.
pub fn read(path: &Path) -> Result<(RulesFile, Vec<Rule>), Failure> {
    let mut text = String::new();
    load::open(path, false, true)
        .and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
        .map_err(|error| Failure::file("read", path, &error))?;
    let cannot = |why: String| {
        Failure::new(format!(
            "cannot use the rules in {}: {}",
            path.display(),
            why.trim_end()
        ))
    };
    let mut file: RulesFile = toml::from_str(&text).map_err(|error| {
        let line = error
            .span()
            .map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map_or(String::new(), |line| format!("line {line}: "));
        cannot(format!("{place}{}", error.message()))
    })?;
    let mut rules = Vec::new();
    for (at, entry) in file.rule.iter().enumerate() {
        let of = entry
            .rules()
            .map_err(|why| cannot(format!("rule {}: {why}", at + 1)))?;
        rules.extend(of);
    }
    if let (Some(baseline), Some(beside)) = (&mut file.baseline, path.parent()) {
        baseline.file = beside.join(&baseline.file);
    }
    Ok((file, rules))
}

/// `N`, or `SITE=N`, as the options have it.
pub fn rule(measure: Measure, text: &str) -> Result<Rule, Failure> {
    // Types have `=` in them only before `>`; the figure never has one.
    let (site, figure) = match text.rsplit_once('=') {
        Some((site, figure)) => (Some(site.to_owned()), figure),
        None => (None, text),
    };
    if site.as_deref() == Some("") {
        return Err(Failure::new(format!(
            "--max-{} {text} names no place before the `=`: write part of a function, a \
             file:line or a type, or `*` for each",
            measure.name()
        )));
    }
    let most = figure_of(measure, figure)
        .map_err(|why| Failure::new(format!("--max-{} {text}: {why}", measure.name())))?;
    Ok(Rule {
        measure,
        site,
        most,
    })
}

fn figure_of(measure: Measure, text: &str) -> Result<u64, String> {
    match measure {
        Measure::Resizes => quantity::count(text),
        Measure::Pause => quantity::ns(text),
        _ => quantity::bytes(text),
    }
}

/// A figure by its name.
pub fn measure(name: &str) -> Result<Measure, String> {
    Measure::ALL
        .into_iter()
        .find(|measure| measure.name() == name)
        .ok_or_else(|| {
            let names = Measure::ALL.map(Measure::name).join(", ");
            format!("{name:?} is no figure: there are {names}")
        })
}
