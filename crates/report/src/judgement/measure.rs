//! A site or a report goes in; the figures that reports are compared and judged by come out.

use crate::model::{Report, Site};
use crate::rows::summary::{Bound, Figure, Summary};
use crate::words::estimates::with_error;
use crate::words::units::{bytes, estimated_bytes, thousands, time};

/// A figure of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Measure {
    /// Largest number of live bytes.
    Peak,
    /// Bytes of live tables at the end.
    Live,
    /// Bytes of all tables ever allocated.
    Allocated,
    /// Resizes.
    Resizes,
    /// Largest old and new table side by side, bytes.
    Overlap,
    /// Longest single resize, ns.
    Pause,
    /// Bytes of live tables beyond what their entries need.
    Retained,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 7] = [
        Measure::Peak,
        Measure::Live,
        Measure::Allocated,
        Measure::Resizes,
        Measure::Overlap,
        Measure::Pause,
        Measure::Retained,
    ];

    /// The figure of a site, with what samples stand for; `None` when it is not known.
    #[must_use]
    pub fn figure(self, site: &Site) -> Option<Figure> {
        let summary = Summary::of(site);
        match self {
            // Where samples stand for much of what is live, this is at least that.
            Measure::Peak => site.peak_live_bytes.map(|peak| Figure {
                bound: Some(Bound::AtMost).filter(|_| site.peak_live_error_bytes > Some(0)),
                ..Figure::counted(peak)
            }),
            Measure::Live => Some(summary.live_bytes),
            Measure::Allocated => Some(summary.allocated_bytes),
            Measure::Resizes => summary.resizes,
            Measure::Overlap => site.overlap_peak_bytes.map(Figure::counted),
            Measure::Pause => {
                let pauses = site.pause_ns.as_ref()?;
                let longest = match pauses.count {
                    0 => Some(0),
                    _ => pauses.max,
                };
                longest.map(Figure::counted)
            }
            Measure::Retained if summary.live_bytes.value == 0 => Some(Figure::counted(0)),
            Measure::Retained => summary.retained_bytes,
        }
    }

    /// How much less than the figure of a site is sure: by so much a bound may be too high.
    #[must_use]
    pub fn doubt(self, site: &Site) -> u64 {
        match self {
            Measure::Peak => site.peak_live_error_bytes.unwrap_or(0),
            _ => 0,
        }
    }

    /// The same without its error.
    #[must_use]
    pub fn of(self, site: &Site) -> Option<u64> {
        self.figure(site).map(|figure| figure.value)
    }

    /// The figure of the whole process: the sum over all sites, for overlap and pause the
    /// largest. With it, how many sites could not be counted in.
    #[must_use]
    pub fn of_all(self, report: &Report) -> (Option<Figure>, usize) {
        let totals = &report.totals;
        let estimate = |estimate: u64, error: u64, counted: u64| match estimate > counted {
            true => Figure::known((estimate, Some(error))),
            false => Figure::counted(counted),
        };
        let known = match self {
            // A heap profile has a bound alone.
            Measure::Peak if report.profile.is_some() => None,
            Measure::Peak => Some(Figure::counted(totals.peak_bytes)),
            Measure::Live => Some(estimate(
                totals.est_live_bytes,
                totals.est_live_error_bytes,
                totals.live_bytes,
            )),
            Measure::Allocated => Some(estimate(
                totals.est_allocated_bytes,
                totals.est_allocated_error_bytes,
                totals.allocated_bytes,
            )),
            Measure::Resizes => {
                let each = report.blocks().iter().filter_map(|site| self.figure(site));
                let sum = Figure::sum(each);
                Some(match sum.error {
                    Some(_) => sum,
                    None => Figure::counted(totals.resizes),
                })
            }
            Measure::Overlap => Some(Figure::counted(totals.overlap_peak_bytes)),
            Measure::Pause if totals.resizes == 0 => Some(Figure::counted(0)),
            Measure::Pause => totals.pause_max_ns.map(Figure::counted),
            Measure::Retained => return retained(report),
        };
        (known, 0)
    }

    /// Standard error of the figure: 0 unless it is an estimate.
    #[must_use]
    pub fn error(self, site: &Site) -> f64 {
        let figure = match self {
            Measure::Peak => Some(Summary::of(site).live_bytes),
            _ => self.figure(site),
        };
        let error = figure.and_then(|figure| figure.error);
        error.unwrap_or(0) as f64
    }

    /// Its name on the command line, in rules and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Measure::Peak => "peak",
            Measure::Live => "live",
            Measure::Allocated => "allocated",
            Measure::Resizes => "resizes",
            Measure::Overlap => "overlap",
            Measure::Pause => "pause",
            Measure::Retained => "retained",
        }
    }

    /// The figure in words: `34 MiB at its peak`, `about 203 MiB +- 3.2 MiB live`.
    #[must_use]
    pub fn tell(self, figure: Figure) -> String {
        let shown = self.shown(figure);
        match self {
            Measure::Peak => format!("{shown} at its peak"),
            Measure::Live => format!("{shown} live"),
            Measure::Allocated => format!("{shown} allocated"),
            Measure::Resizes if figure.value == 1 => format!("{shown} resize"),
            Measure::Resizes => format!("{shown} resizes"),
            Measure::Overlap => format!("{shown} of old and new table at once"),
            Measure::Pause => format!("a stall of {shown}"),
            Measure::Retained => format!("{shown} more than the entries need"),
        }
    }

    /// The figure with its unit, and with its error where that can be seen.
    #[must_use]
    pub fn shown(self, figure: Figure) -> String {
        let bound = match figure.bound {
            Some(Bound::AtMost) => "at most ",
            Some(Bound::AtLeast) => "at least ",
            None => "",
        };
        let shown = match (self, figure.error.filter(|_| figure.is_estimate())) {
            (Measure::Resizes, Some(error)) => {
                let (value, error) = with_error(figure.value, error);
                format!("about {} +- {}", thousands(value), thousands(error))
            }
            (Measure::Resizes | Measure::Pause, _) => self.show(figure.value),
            (_, error) => estimated_bytes(figure.value, error),
        };
        format!("{bound}{shown}")
    }

    /// The bare figure with its unit.
    #[must_use]
    pub fn show(self, figure: u64) -> String {
        match self {
            Measure::Resizes => thousands(figure),
            Measure::Pause => time(figure),
            _ => bytes(figure),
        }
    }
}

/// What all blocks keep that they do not need, and of how many nobody knows.
fn retained(report: &Report) -> (Option<Figure>, usize) {
    // Where nothing is live nothing is retained, which says nothing of the others.
    let live = report.blocks().iter().filter(|site| site.live().0 > 0);
    let (known, unknown): (Vec<_>, Vec<_>) = live
        .map(|site| Measure::Retained.figure(site))
        .partition(Option::is_some);
    let any = !known.is_empty() || unknown.is_empty();
    let sum = Figure::sum(known.into_iter().flatten());
    (any.then_some(sum), unknown.len())
}
