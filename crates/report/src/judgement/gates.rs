//! Gates: bounds that a report has to keep, and the reasons when it does not.
//!
//! A [`Rule`] is judged on a report alone; [`against`] judges a report by an older one. Either
//! gives [`Finding`]s. A gate of another kind needs a function that gives findings, no more.

use super::advice::cures;
use super::diff::{Became, Diff, SiteChange, Tolerance, diff};
use super::measure::Measure;
use crate::model::{Caller, Report, Site};
use crate::rows::summary::Figure;
use crate::words::names::{named, place, title};
use crate::words::units::count;

/// A bound on a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which figure.
    pub measure: Measure,
    /// Which sites: part of the function, of `file:line` or of the type; `*` is each site on
    /// its own. Without it the whole process.
    pub site: Option<String>,
    /// The largest value that is fine.
    pub most: u64,
}

impl Rule {
    /// A bound on the whole process.
    #[must_use]
    pub fn all(measure: Measure, most: u64) -> Self {
        Self {
            measure,
            site: None,
            most,
        }
    }

    /// A bound on each site that `site` is part of the function, `file:line` or type of.
    #[must_use]
    pub fn site(measure: Measure, site: &str, most: u64) -> Self {
        Self {
            measure,
            site: Some(site.to_owned()),
            most,
        }
    }

    /// The rule as it is written on the command line.
    #[must_use]
    pub fn written(&self) -> String {
        let most = match self.measure {
            Measure::Resizes => self.most.to_string(),
            _ => self.measure.show(self.most).replace(' ', ""),
        };
        match &self.site {
            Some(site) => format!("--max-{} {site}={most}", self.measure.name()),
            None => format!("--max-{} {most}", self.measure.name()),
        }
    }

    fn is_about(&self, site: &Site) -> bool {
        let Some(pattern) = &self.site else {
            return false;
        };
        let holds = |text: &str| text.contains(pattern.as_str());
        let caller = site.caller.as_ref();
        pattern == "*"
            || site.type_name.as_deref().is_some_and(holds)
            || caller.is_some_and(|caller| {
                let line = caller.line.map(|line| format!(":{line}"));
                let file = caller.file.as_deref().unwrap_or_default();
                holds(&caller.function) || holds(&format!("{file}{}", line.unwrap_or_default()))
            })
    }
}

/// How a gate came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Outcome {
    /// The bound is kept.
    Held,
    /// The rule names a site that the report does not have.
    NoSuchSite,
    /// The figure is not known, so nobody can tell.
    Unknown,
    /// The bound is exceeded.
    Broken,
}

/// What became of one gate, at one site where it is about sites.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Finding {
    /// How it came out.
    pub outcome: Outcome,
    /// The gate as it is written on the command line.
    pub rule: String,
    /// Which figure.
    pub measure: Option<Measure>,
    /// The figure.
    pub found: Option<u64>,
    /// Its standard error, where it is an estimate.
    pub found_error: Option<u64>,
    /// The largest value that is fine.
    pub most: Option<u64>,
    /// The figure in the baseline.
    pub baseline: Option<u64>,
    /// Number of the site, where it is about one.
    pub site: Option<u32>,
    /// Where that is.
    pub caller: Option<Caller>,
    /// What is the case, in a sentence.
    pub reason: String,
    /// What would help.
    pub advice: Vec<String>,
}

/// Judges a report by rules.
#[must_use]
pub fn judge(report: &Report, rules: &[Rule]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules {
        if rule.site.is_none() {
            findings.push(judge_all(report, rule));
            continue;
        }
        let about: Vec<&Site> = report
            .blocks()
            .iter()
            .filter(|site| rule.is_about(site))
            .collect();
        if about.is_empty() {
            findings.push(no_such_site(report, rule));
        }
        findings.extend(about.into_iter().map(|site| judge_site(report, rule, site)));
    }
    findings
}

fn judge_all(report: &Report, rule: &Rule) -> Finding {
    let (found, unknown) = rule.measure.of_all(report);
    let bound = rule.measure.show(rule.most);
    let outcome = outcome(found.map(|found| found.value), rule.most);
    let mut reason = match found {
        Some(found) => format!(
            "the process has {}, {}",
            rule.measure.tell(found),
            than(outcome, &bound)
        ),
        None => format!("{} is not known for this process", rule.measure.name()),
    };
    if unknown > 0 && found.is_some() {
        reason.push_str(&format!(
            " ({} could not be counted in)",
            count(unknown as u64, "place")
        ));
    }
    // The sites that have most of it are where something can be done.
    let mut worst: Vec<&Site> = report.blocks().iter().collect();
    worst.sort_by_key(|site| std::cmp::Reverse(rule.measure.of(site)));
    let worst = worst
        .into_iter()
        .filter(|site| rule.measure.of(site) > Some(0));
    let mut advice = Vec::new();
    if outcome == Outcome::Broken {
        for site in worst.take(3) {
            let figure = rule.measure.figure(site);
            let figure = figure.map_or_else(String::new, |figure| rule.measure.shown(figure));
            let mut line = format!("{}: {figure}", title(site));
            if let Some(first) = cures::of(rule.measure, site).first() {
                line.push_str(&format!("; {first}"));
            }
            advice.push(line);
        }
    }
    if outcome == Outcome::Unknown {
        advice.push(how_to_know(report, rule.measure, None));
    }
    finding(rule, None, found, reason, advice)
}

fn judge_site(report: &Report, rule: &Rule, site: &Site) -> Finding {
    let found = rule.measure.figure(site);
    let outcome = outcome(found.map(|found| found.value), rule.most);
    let bound = rule.measure.show(rule.most);
    let reason = match found {
        Some(found) => {
            let tells = rule.measure.tell(found);
            format!("{} has {tells}, {}", title(site), than(outcome, &bound))
        }
        None => format!("{} of {} is not known", rule.measure.name(), title(site)),
    };
    let advice = match outcome {
        Outcome::Broken => {
            let mut advice = cures::of(rule.measure, site);
            if advice.is_empty() {
                advice.push(cures::in_general(rule.measure, site));
            }
            advice
        }
        Outcome::Unknown => vec![how_to_know(report, rule.measure, Some(site))],
        Outcome::Held | Outcome::NoSuchSite => Vec::new(),
    };
    finding(rule, Some(site), found, reason, advice)
}

/// What a rule says of a figure of the process, or of a site.
fn finding(
    rule: &Rule,
    site: Option<&Site>,
    figure: Option<Figure>,
    reason: String,
    advice: Vec<String>,
) -> Finding {
    let found = figure.map(|figure| figure.value);
    Finding {
        outcome: outcome(found, rule.most),
        rule: rule.written(),
        measure: Some(rule.measure),
        found,
        found_error: figure.and_then(|figure| figure.error),
        most: Some(rule.most),
        baseline: None,
        site: site.map(|site| site.id),
        caller: site.and_then(|site| site.caller.clone()),
        reason,
        advice,
    }
}

fn no_such_site(report: &Report, rule: &Rule) -> Finding {
    let pattern = rule.site.as_deref().unwrap_or_default();
    let reason = format!(
        "no place of this report ({}) has {pattern:?} in its function, file:line or type",
        count(report.blocks().len() as u64, "place")
    );
    let advice = vec!["`mapgrow report` shows how the places are called".to_owned()];
    Finding {
        outcome: Outcome::NoSuchSite,
        ..finding(rule, None, None, reason, advice)
    }
}

fn outcome(found: Option<u64>, most: u64) -> Outcome {
    match found {
        None => Outcome::Unknown,
        Some(found) if found > most => Outcome::Broken,
        Some(_) => Outcome::Held,
    }
}

fn than(outcome: Outcome, bound: &str) -> String {
    match outcome {
        Outcome::Broken => format!("more than {bound}"),
        _ => format!("{bound} are fine"),
    }
}

fn how_to_know(report: &Report, measure: Measure, site: Option<&Site>) -> String {
    match measure {
        Measure::Pause | Measure::Peak if report.profile.is_some() => {
            "a heap profile has neither pauses nor peaks: bound `live` or `allocated` instead"
        }
        Measure::Retained if report.profile.is_some() => {
            "a heap profile does not tell what is in a map, only, of some, that most of what it \
             refers to is gone: bound `live` instead"
        }
        Measure::Retained if site.is_some_and(|site| site.family != Some("hashbrown")) => {
            "how much of a table is kept for nothing is known of hashbrown maps alone: bound `live` \
             instead"
        }
        Measure::Retained => {
            "what live tables hold is known for hashbrown maps that were live in a \
                              dump; take the dump while the program runs, or bound `live` instead"
        }
        Measure::Pause => {
            "the recording has no calibration of its clock: record for more than a \
                           second, or let the program end by itself"
        }
        Measure::Resizes | Measure::Overlap => {
            "nodes of trees are never resized; bound `live` or \
                                                `allocated` instead"
        }
        _ => "record the program anew",
    }
    .to_owned()
}

/// Judges a report by an older one: no site may have grown by more than the tolerance, and no
/// new site may be larger than that.
#[must_use]
pub fn against(
    baseline: &Report,
    report: &Report,
    measures: &[Measure],
    tolerance: &Tolerance,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &measure in measures {
        let diff = diff(baseline, report, measure, tolerance);
        let before = findings.len();
        for site in &diff.sites {
            findings.extend(grown(site, measure, tolerance));
        }
        if findings.len() == before {
            findings.push(nothing_grew(&diff, measure, tolerance));
        }
    }
    findings
}

fn grown(site: &SiteChange, measure: Measure, tolerance: &Tolerance) -> Option<Finding> {
    let change = site.change(measure)?;
    let room = tolerance.of(measure, change.old.unwrap_or(0));
    let place = site.new.as_ref()?;
    let (title, after) = (
        named(
            place.family,
            place.type_name.as_deref(),
            place.caller.as_ref(),
        ),
        change.new?,
    );
    let told = measure.tell(change.new_figure()?);
    let reason = match site.became {
        Became::Grew => format!(
            "{title} has {told}, in the baseline {}",
            measure.shown(change.old_figure()?)
        ),
        Became::New if after > room => format!("{title} is new and has {told}"),
        _ => return None,
    };
    Some(Finding {
        outcome: Outcome::Broken,
        rule: format!("--baseline ({})", measure.name()),
        measure: Some(measure),
        found: Some(after),
        found_error: change.new_error,
        most: Some(change.old.unwrap_or(0).saturating_add(room)),
        baseline: change.old,
        site: Some(place.id),
        caller: place.caller.clone(),
        reason,
        advice: match site.became {
            Became::New => site.advice.clone(),
            _ => [was_at(site), site.advice.clone()].concat(),
        },
    })
}

/// Where the baseline has the site, if that is elsewhere.
fn was_at(site: &SiteChange) -> Vec<String> {
    let before = site.old.as_ref().filter(|_| site.moved());
    let place = before.map(|old| place(old.caller.as_ref()));
    place
        .map(|place| format!("in the baseline it was at {place}"))
        .into_iter()
        .collect()
}

fn nothing_grew(diff: &Diff, measure: Measure, tolerance: &Tolerance) -> Finding {
    Finding {
        outcome: Outcome::Held,
        rule: format!("--baseline ({})", measure.name()),
        measure: Some(measure),
        found: None,
        found_error: None,
        most: None,
        baseline: None,
        site: None,
        caller: None,
        reason: format!(
            "none of {} grew in {} by more than {:.0} %",
            count(diff.counts.matched as u64, "place"),
            measure.name(),
            tolerance.share * 100.0
        ),
        advice: Vec::new(),
    }
}
