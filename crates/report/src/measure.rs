//! The figures of a site that reports are compared and judged by.

use super::model::{Report, Site};
use super::text::units::{bytes, count, time};

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

    /// The figure of a site; `None` when it is not known.
    #[must_use]
    pub fn of(self, site: &Site) -> Option<u64> {
        match self {
            Measure::Peak => site.peak_live_bytes,
            Measure::Live => Some(site.live_bytes),
            Measure::Allocated => Some(site.allocated_bytes),
            Measure::Resizes => site.resizes,
            Measure::Overlap => site.overlap_peak_bytes,
            Measure::Pause => {
                let pauses = site.pause_ns.as_ref()?;
                if pauses.count == 0 {
                    Some(0)
                } else {
                    pauses.max
                }
            }
            Measure::Retained if site.live_bytes == 0 => Some(0),
            Measure::Retained => site.retained_bytes,
        }
    }

    /// The figure of the whole process: the sum over all sites, for overlap and pause the
    /// largest. With it, how many sites could not be counted in.
    #[must_use]
    pub fn of_all(self, report: &Report) -> (Option<u64>, usize) {
        match self {
            // A heap profile has a bound alone.
            Measure::Peak if report.profile.is_some() => return (None, 0),
            Measure::Peak => return (Some(report.totals.peak_bytes), 0),
            Measure::Live => return (Some(report.totals.live_bytes), 0),
            Measure::Allocated => return (Some(report.totals.allocated_bytes), 0),
            Measure::Resizes => return (Some(report.totals.resizes), 0),
            Measure::Overlap => return (Some(report.totals.overlap_peak_bytes), 0),
            Measure::Pause if report.totals.resizes == 0 => return (Some(0), 0),
            Measure::Pause => return (report.totals.pause_max_ns, 0),
            Measure::Retained => {}
        }
        // Where nothing is live nothing is retained, which says nothing of the others.
        let live = report.sites.iter().filter(|site| site.live_bytes > 0);
        let (known, unknown): (Vec<_>, Vec<_>) =
            live.map(|site| self.of(site)).partition(Option::is_some);
        let sum = known
            .iter()
            .flatten()
            .fold(0u64, |sum, figure| sum.saturating_add(*figure));
        let any = !known.is_empty() || unknown.is_empty();
        (any.then_some(sum), unknown.len())
    }

    /// Standard error of the figure: 0 unless it is an estimate.
    #[must_use]
    pub fn error(self, site: &Site) -> f64 {
        let Some(sampled) = site.sampled.as_ref().filter(|_| !site.exact) else {
            return 0.0;
        };
        match self {
            Measure::Live | Measure::Peak => sampled.est_live_bytes_error,
            Measure::Allocated => sampled.est_allocated_bytes_error,
            Measure::Resizes | Measure::Overlap | Measure::Pause | Measure::Retained => 0.0,
        }
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

    /// The figure in words: `34 MiB at its peak`.
    #[must_use]
    pub fn tell(self, figure: u64) -> String {
        match self {
            Measure::Peak => format!("{} at its peak", bytes(figure)),
            Measure::Live => format!("{} live", bytes(figure)),
            Measure::Allocated => format!("{} allocated", bytes(figure)),
            Measure::Resizes => count(figure, "resize"),
            Measure::Overlap => format!("{} of old and new table at once", bytes(figure)),
            Measure::Pause => format!("a stall of {}", time(figure)),
            Measure::Retained => format!("{} more than the entries need", bytes(figure)),
        }
    }

    /// The bare figure with its unit.
    #[must_use]
    pub fn show(self, figure: u64) -> String {
        match self {
            Measure::Resizes => super::text::units::thousands(figure),
            Measure::Pause => time(figure),
            _ => bytes(figure),
        }
    }
}
