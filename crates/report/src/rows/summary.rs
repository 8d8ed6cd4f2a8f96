//! What every list of blocks shows of one: the same figures, by the same rules, in text, tables and
//! pages.

use super::cost::{allocated, held, only_samples, peak};
use crate::model::Site;

/// On which side of a figure the true one may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Bound {
    /// It may be smaller.
    AtMost,
    /// It may be larger.
    AtLeast,
}

/// A figure, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Figure {
    /// The figure itself.
    pub value: u64,
    /// Standard error of an estimate; `None` where there is none.
    pub error: Option<u64>,
    /// Of a figure that is a bound: which.
    pub bound: Option<Bound>,
}

impl Figure {
    /// A count.
    pub(crate) fn counted(value: u64) -> Self {
        Self {
            value,
            error: None,
            bound: None,
        }
    }

    /// An estimate.
    fn estimate(value: f64, error: f64) -> Self {
        let whole = |figure: f64| figure.max(0.0).round() as u64;
        Self {
            value: whole(value),
            error: Some(whole(error)).filter(|&error| error > 0),
            bound: None,
        }
    }

    /// Whether it is an estimate whose error can be seen.
    #[must_use]
    pub fn is_estimate(&self) -> bool {
        const SEEN: u64 = 200;
        self.error.is_some_and(|error| error > self.value / SEEN)
    }

    /// The figure in few letters: `~203 MiB` of an estimate, `<=33 MiB` and `>=33 MiB` of bounds.
    #[must_use]
    pub fn brief(&self, show: impl Fn(u64) -> String) -> String {
        let sign = match self.bound {
            Some(Bound::AtMost) => "<=",
            Some(Bound::AtLeast) => ">=",
            None if self.is_estimate() => "~",
            None => "",
        };
        format!("{sign}{}", show(self.value))
    }

    /// A figure with an error of 0, or none, where it was counted.
    pub(crate) fn known((value, error): (u64, Option<u64>)) -> Self {
        Self {
            error: error.filter(|&error| error > 0),
            ..Self::counted(value)
        }
    }

    /// The sum of figures that do not hang together: their errors add up as squares do.
    pub(crate) fn sum(figures: impl Iterator<Item = Self>) -> Self {
        let (mut sum, mut variance) = (0u64, 0.0f64);
        for figure in figures {
            sum = sum.saturating_add(figure.value);
            variance += (figure.error.unwrap_or(0) as f64).powi(2);
        }
        Self::known((sum, Some(variance.sqrt() as u64)))
    }
}

/// The figures of a block or a site. `None`: nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Summary {
    /// Bytes of live tables.
    pub live_bytes: Figure,
    /// The most there were at one moment. Nobody knows it where samples stand for much of what is
    /// live.
    pub peak_bytes: Option<Figure>,
    /// Bytes of these beyond what their entries need.
    pub retained_bytes: Option<Figure>,
    /// Entries in the live maps.
    pub entries: Option<Figure>,
    /// Live maps.
    pub maps_live: Option<Figure>,
    /// Resizes.
    pub resizes: Option<Figure>,
    /// Time that threads spent in resizes.
    pub pause_ns: Option<Figure>,
    /// Bytes that they moved from old tables to new ones.
    pub copied_bytes: Option<Figure>,
    /// Bytes of all tables ever allocated.
    pub allocated_bytes: Figure,
}

impl Summary {
    /// That of a block or a site.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let live_bytes = live_bytes(site);
        let estimated = only_samples(site) || live_bytes.error.is_some();
        let peak = peak(site).filter(|_| !estimated);
        let resizes = resizes(site, estimated);
        // Resizes that samples stand for were not timed, and what they copied was not summed.
        let counted = |value: u64| Figure {
            bound: resizes
                .and_then(|resizes| resizes.error)
                .map(|_| Bound::AtLeast),
            ..Figure::counted(value)
        };
        let with = |value: Option<u64>, error| Some(Figure::known((value?, error)));
        let pauses = site.pause_ns.as_ref();
        Self {
            live_bytes,
            peak_bytes: peak.map(|peak| of_peak(site, peak)),
            retained_bytes: with(site.retained_bytes, site.retained_error_bytes),
            entries: with(site.entries, site.entries_error),
            maps_live: maps_live(site, estimated),
            resizes,
            pause_ns: pauses.and_then(|pauses| pauses.total).map(counted),
            copied_bytes: site.copied_bytes.map(counted),
            allocated_bytes: Figure::known(allocated(site)),
        }
    }
}

/// An upper bound is told as one, but where samples could have been in it nobody knows one.
fn of_peak(site: &Site, (least, most): (u64, u64)) -> Figure {
    let counted = site.peak_live_bytes.unwrap_or(0);
    let (value, bound) = match () {
        () if most > counted => (least, Some(Bound::AtLeast)),
        () if least < most => (most, Some(Bound::AtMost)),
        () => (most, None),
    };
    Figure {
        bound,
        ..Figure::counted(value)
    }
}

/// Resizes at a site as its block has them, 0 where there are none or nobody knows.
#[must_use]
pub fn resizes_at(site: &Site) -> u64 {
    Summary::of(site).resizes.map_or(0, |resizes| resizes.value)
}

fn live_bytes(site: &Site) -> Figure {
    match (&site.sampled, held(site)) {
        (Some(sampled), _) if only_samples(site) => {
            Figure::estimate(sampled.est_live_bytes, sampled.est_live_bytes_error)
        }
        (_, held) => Figure::known(held),
    }
}

/// A count that samples add to is told only where they add much to the bytes as well.
fn maps_live(site: &Site, estimated: bool) -> Option<Figure> {
    let counted = site.maps_live?;
    let sampled = site.sampled.as_ref().filter(|_| estimated);
    let more = sampled.filter(|sampled| sampled.est_maps_live > counted as f64);
    Some(match more {
        Some(sampled) => Figure::estimate(sampled.est_maps_live, sampled.est_maps_live_error),
        None => Figure::counted(counted),
    })
}

fn resizes(site: &Site, estimated: bool) -> Option<Figure> {
    let counted = site.resizes.map(Figure::counted);
    let sampled = site.sampled.as_ref().filter(|_| estimated);
    let told = sampled.and_then(|sampled| sampled.est_resizes.zip(sampled.est_resizes_error));
    match told {
        // Where only nodes were sampled, each resize was counted.
        Some((all, error)) if all >= 1.0 && all > site.resizes.unwrap_or(0) as f64 => {
            Some(Figure::estimate(all, error))
        }
        _ => counted,
    }
}
