//! Two reports go in; what became of each site comes out.

use super::advice::cures;
use super::matching::{self, MatchedBy};
use super::measure::Measure;
use crate::model::{Caller, Process, Report, Sampled, Site, error_of_sum};
use crate::rows::summary::{Bound, Figure};
use std::cmp::Reverse;

/// Version of the comparison's format.
const VERSION: u32 = 1;

/// A figure that is an estimate has changed only if it did by this many standard errors.
const SURE_ERRORS: f64 = 2.0;

/// From which change on a site counts as changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Share of the old figure.
    pub share: f64,
    /// Bytes that make no difference, whatever share of the old figure they are.
    pub bytes: u64,
    /// Nanoseconds that make none.
    pub ns: u64,
    /// Resizes that make none.
    pub resizes: u64,
}

impl Default for Tolerance {
    /// 10 %; less than 64 KiB, 1 ms and a single resize are noise.
    fn default() -> Self {
        Self {
            share: 0.1,
            bytes: 64 << 10,
            ns: 1_000_000,
            resizes: 1,
        }
    }
}

impl Tolerance {
    /// How far a figure may move from `old` before it has changed.
    #[must_use]
    pub fn of(&self, measure: Measure, old: u64) -> u64 {
        let least = match measure {
            Measure::Resizes => self.resizes,
            Measure::Pause => self.ns,
            _ => self.bytes,
        };
        least.max((old as f64 * self.share) as u64)
    }
}

/// Two reports compared.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Diff {
    /// Always `mapgrow-diff`.
    pub format: &'static str,
    /// Version of this format.
    pub version: u32,
    /// The figure by which sites count as grown or shrunk.
    pub by: Measure,
    /// The process of the old report.
    pub old: Process,
    /// That of the new one.
    pub new: Process,
    /// Sums of the whole processes.
    pub totals: Vec<Change>,
    /// Sites by what became of them.
    pub counts: Counts,
    /// All sites of both, the largest growth first.
    pub sites: Vec<SiteChange>,
    /// What to know before relying on this.
    pub notes: Vec<String>,
}

/// How many sites there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Counts {
    /// In both reports.
    pub matched: usize,
    /// Of these, by now in another place of the source.
    pub moved: usize,
    /// Of the matched, grown.
    pub grew: usize,
    /// Of the matched, shrunk.
    pub shrank: usize,
    /// Only in the new report.
    pub new: usize,
    /// Only in the old report.
    pub gone: usize,
    /// In one report alone, and known there by too few samples to say that the other has none.
    pub unsure: usize,
}

/// What became of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Became {
    /// Larger by more than the tolerance.
    Grew,
    /// Smaller by more than the tolerance.
    Shrank,
    /// Much the same.
    Same,
    /// Not in the old report.
    New,
    /// Not in the new report.
    Gone,
    /// The figure is not known in both reports, or the site is in one alone and too few samples
    /// tell of it there.
    Unknown,
}

/// A site in one of the reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct SiteSide {
    /// Its number there.
    pub id: u32,
    /// Implementation of the container.
    pub family: Option<&'static str>,
    /// Type of the container.
    pub type_name: Option<String>,
    /// First frame in the program's own code.
    pub caller: Option<Caller>,
}

/// A figure, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Change {
    /// Which figure.
    pub measure: Measure,
    /// In the old report; `None` when it is not known or the site is not in it.
    pub old: Option<u64>,
    /// In the new report.
    pub new: Option<u64>,
    /// Standard error of the old figure, where that is an estimate from samples.
    pub old_error: Option<u64>,
    /// The same of the new one.
    pub new_error: Option<u64>,
    /// On which side of the old figure the true one may lie, where that is a bound.
    pub old_bound: Option<Bound>,
    /// The same of the new one.
    pub new_bound: Option<Bound>,
}

impl Change {
    fn between(measure: Measure, old: Option<Figure>, new: Option<Figure>) -> Self {
        let value = |figure: Option<Figure>| figure.map(|figure| figure.value);
        let error = |figure: Option<Figure>| figure.and_then(|figure| figure.error);
        let bound = |figure: Option<Figure>| figure.and_then(|figure| figure.bound);
        Self {
            measure,
            old: value(old),
            new: value(new),
            old_error: error(old),
            new_error: error(new),
            old_bound: bound(old),
            new_bound: bound(new),
        }
    }

    /// The old figure as it may be shown.
    #[must_use]
    pub fn old_figure(&self) -> Option<Figure> {
        let (error, bound) = (self.old_error, self.old_bound);
        self.old.map(|value| Figure {
            value,
            error,
            bound,
        })
    }

    /// The new figure as it may be shown.
    #[must_use]
    pub fn new_figure(&self) -> Option<Figure> {
        let (error, bound) = (self.new_error, self.new_bound);
        self.new.map(|value| Figure {
            value,
            error,
            bound,
        })
    }

    /// What was added; negative when the figure fell. A site that one of the reports does not
    /// have counts as 0 there.
    #[must_use]
    pub fn added(&self) -> i128 {
        i128::from(self.new.unwrap_or(0)) - i128::from(self.old.unwrap_or(0))
    }
}

/// A site of both reports or of one.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct SiteChange {
    /// What became of it.
    pub became: Became,
    /// How the two were found to be the same.
    pub matched_by: Option<MatchedBy>,
    /// The site in the old report.
    pub old: Option<SiteSide>,
    /// The site in the new report.
    pub new: Option<SiteSide>,
    /// All figures of [`Measure::ALL`].
    pub changes: Vec<Change>,
    /// What would make the figure that is compared smaller, from the new report.
    pub advice: Vec<String>,
}

impl SiteChange {
    /// The site as it is, or was.
    #[must_use]
    pub fn side(&self) -> Option<&SiteSide> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// One of its figures.
    #[must_use]
    pub fn change(&self, measure: Measure) -> Option<&Change> {
        self.changes.iter().find(|change| change.measure == measure)
    }

    /// Whether the caller's file or line are others by now.
    #[must_use]
    pub fn moved(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => old.caller != new.caller,
            _ => false,
        }
    }
}

/// Compares two reports by one figure.
#[must_use]
pub fn diff(old: &Report, new: &Report, by: Measure, tolerance: &Tolerance) -> Diff {
    let pairing = matching::pair(old.blocks(), new.blocks());
    let mut sites: Vec<SiteChange> = pairing
        .pairs
        .iter()
        .map(|pair| {
            let (a, b) = (&old.blocks()[pair.old], &new.blocks()[pair.new]);
            change(Some(a), Some(b), Some(pair.by), by, tolerance)
        })
        .collect();
    let alone = |at: &usize, sites: &[Site]| sites[*at].clone();
    for site in pairing.new.iter().map(|at| alone(at, new.blocks())) {
        sites.push(change(None, Some(&site), None, by, tolerance));
    }
    for site in pairing.gone.iter().map(|at| alone(at, old.blocks())) {
        sites.push(change(Some(&site), None, None, by, tolerance));
    }
    sites.sort_by_key(|site| Reverse(site.change(by).map_or(0, Change::added)));
    let count = |became| sites.iter().filter(|site| site.became == became).count();
    Diff {
        format: "mapgrow-diff",
        version: VERSION,
        by,
        old: old.process.clone(),
        new: new.process.clone(),
        totals: Measure::ALL
            .into_iter()
            .map(|measure| {
                let of_all = |report| measure.of_all(report).0;
                Change::between(measure, of_all(old), of_all(new))
            })
            .collect(),
        counts: Counts {
            matched: pairing.pairs.len(),
            moved: sites.iter().filter(|site| site.moved()).count(),
            grew: count(Became::Grew),
            shrank: count(Became::Shrank),
            new: count(Became::New),
            gone: count(Became::Gone),
            unsure: sites
                .iter()
                .filter(|site| site.became == Became::Unknown && site.matched_by.is_none())
                .count(),
        },
        notes: notes(old, new, &sites),
        sites,
    }
}

fn change(
    old: Option<&Site>,
    new: Option<&Site>,
    matched_by: Option<MatchedBy>,
    by: Measure,
    tolerance: &Tolerance,
) -> SiteChange {
    let changes: Vec<Change> = Measure::ALL
        .into_iter()
        .map(|measure| {
            let of = |site: Option<&Site>| site.and_then(|site| of(measure, site));
            Change::between(measure, of(old), of(new))
        })
        .collect();
    let became = match (old, new) {
        // Of a place with a sample or two, the other run may have seen none by chance.
        (Some(only), None) | (None, Some(only)) if !is_sure(only, tolerance) => Became::Unknown,
        (None, _) => Became::New,
        (_, None) => Became::Gone,
        (Some(old), Some(new)) => became(old, new, by, tolerance),
    };
    SiteChange {
        became,
        matched_by,
        old: old.map(side),
        new: new.map(side),
        changes,
        advice: new.map(|site| cures::of(by, site)).unwrap_or_default(),
    }
}

/// A figure of a site. The peak of a site that is known by samples alone is unknown.
fn of(measure: Measure, site: &Site) -> Option<Figure> {
    let unknown = measure == Measure::Peak && samples_alone(site).is_some();
    measure.figure(site).filter(|_| !unknown)
}

/// The samples of a site of which nothing else is known.
fn samples_alone(site: &Site) -> Option<&Sampled> {
    let sampled = site.sampled.as_ref();
    sampled.filter(|_| crate::rows::cost::only_samples(site))
}

/// Whether a site is more than noise, also if it is known by samples alone.
fn is_sure(site: &Site, tolerance: &Tolerance) -> bool {
    samples_alone(site).is_none_or(|sampled| {
        let error = sampled.est_allocated_bytes_error * SURE_ERRORS;
        sampled.est_allocated_bytes - error > tolerance.bytes as f64
    })
}

/// What became of a site that is in both reports, by one figure.
#[must_use]
pub fn became(old: &Site, new: &Site, by: Measure, tolerance: &Tolerance) -> Became {
    let (Some(before), Some(after)) = (of(by, old), of(by, new)) else {
        return Became::Unknown;
    };
    let (before, after) = (before.value, after.value);
    let error = error_of_sum(by.error(old), by.error(new)) * SURE_ERRORS;
    let room = tolerance.of(by, before).max(error as u64);
    // Bounds may differ where the true figures do not: what is sure of the one must be beyond the
    // other.
    let sure = |figure: u64, site: &Site| figure.saturating_sub(by.doubt(site));
    if sure(after, new) > before.saturating_add(room) {
        Became::Grew
    } else if sure(before, old) > after.saturating_add(room) {
        Became::Shrank
    } else {
        Became::Same
    }
}

fn side(site: &Site) -> SiteSide {
    SiteSide {
        id: site.id,
        family: site.family,
        type_name: site.type_name.clone(),
        caller: site.caller.clone(),
    }
}

fn notes(old: &Report, new: &Report, sites: &[SiteChange]) -> Vec<String> {
    let mut notes = Vec::new();
    for (report, which) in [(old, "old"), (new, "new")] {
        let nameless = |site: &&Site| {
            let caller = site.caller.as_ref();
            caller.is_none_or(|caller| caller.function.contains("+0x"))
        };
        let count = report.blocks().iter().filter(nameless).count();
        if count > 0 && count * 2 > report.blocks().len() {
            notes.push(format!(
                "{count} of the {} places of the {which} report have no function name, and offsets \
                 into a binary say nothing about another build: name the binary that ran with \
                 --binary, or save `report --json` while the binary is still there and compare \
                 that",
                report.blocks().len()
            ));
        }
        if report.honesty.sites_folded > 0 {
            notes.push(format!(
                "the {which} recording had no room for {} more blocks' places: raise \
                 MAPGROW_MAX_MEMORY",
                report.honesty.sites_folded
            ));
        }
    }
    if old.settings.mode != new.settings.mode
        || old.settings.floor_bytes != new.settings.floor_bytes
    {
        notes.push(format!(
            "the two were recorded differently (mode {} with a floor of {} B, mode {} with a floor \
             of {} B): counts of small tables cannot be compared",
            old.settings.mode,
            old.settings.floor_bytes,
            new.settings.mode,
            new.settings.floor_bytes
        ));
    }
    let guessed = sites
        .iter()
        .filter(|site| site.matched_by >= Some(MatchedBy::OtherModule))
        .count();
    if guessed > 0 {
        notes.push(format!(
            "{guessed} of the matches are by likeness: their function has another name or module \
             now (`matched_by` in --json tells which)"
        ));
    }
    notes
}
