//! What was allocated and not freed is what is live.

use super::facts::{Count, Facts};
use super::{Scope, Spot, Trial};
use mapgrow_format::layout::{header, site};
use std::collections::BTreeMap;

pub(super) fn bytes(facts: &Facts<'_>, trial: &mut Trial) {
    balance(facts, trial, |count| Sides {
        plus: count.allocated_bytes,
        minus: count.freed_bytes,
        live: count.live_bytes,
        words: ["bytes allocated", "freed", "live"],
    });
}

pub(super) fn blocks(facts: &Facts<'_>, trial: &mut Trial) {
    balance(facts, trial, |count| Sides {
        plus: count.allocated,
        minus: count.freed,
        live: count.live,
        words: ["blocks allocated", "freed", "live"],
    });
    balance(facts, trial, |count| Sides {
        plus: count.began_untold,
        minus: count.ended_untold,
        live: count.untold_live,
        words: ["blocks begun off the timeline", "ended off it", "live"],
    });
}

pub(super) fn samples(facts: &Facts<'_>, trial: &mut Trial) {
    if facts.samples() == 0 {
        return trial.cannot("nothing was sampled: every block that is recorded is counted".into());
    }
    balance(facts, trial, |count| Sides {
        plus: count.samples,
        minus: count.samples_freed,
        live: count.samples_live,
        words: ["samples taken", "freed", "live"],
    });
    balance(facts, trial, |count| Sides {
        plus: count.weighted_bytes,
        minus: count.weighted_freed,
        live: count.weighted_live,
        words: ["weighted bytes of samples taken", "freed", "live"],
    });
}

/// The two sides of a balance.
struct Sides {
    plus: i128,
    minus: i128,
    live: i128,
    words: [&'static str; 3],
}

impl Sides {
    fn off_by(&self) -> u64 {
        let difference = (self.plus - self.minus - self.live).unsigned_abs();
        u64::try_from(difference).unwrap_or(u64::MAX)
    }

    fn figures(&self) -> String {
        let [plus, minus, live] = self.words;
        format!(
            "{} {plus} - {} {minus} = {}, but {} {live}",
            self.plus,
            self.minus,
            self.plus - self.minus,
            self.live
        )
    }
}

/// Judges each site, each family and the total.
fn balance(facts: &Facts<'_>, trial: &mut Trial, sides: impl Fn(&Count) -> Sides) {
    let mut families: BTreeMap<Option<&'static str>, Count> = BTreeMap::new();
    let mut total = Count::default();
    for (&site, count) in &facts.counts {
        let sides = sides(count);
        trial.judge(sides.off_by(), || {
            facts.at(Scope::Site, site, sides.figures())
        });
        families.entry(facts.family(site)).or_default().add(count);
        total.add(count);
    }
    for (family, count) in &families {
        let sides = sides(count);
        trial.judge(sides.off_by(), || {
            Spot::sum(*family, Scope::Family, sides.figures())
        });
    }
    let sides = sides(&total);
    trial.judge(sides.off_by(), || {
        Spot::sum(None, Scope::Total, sides.figures())
    });
}

/// Live bytes are kept as sums too, at the sites that several share and for the whole.
pub(super) fn live_sums(facts: &Facts<'_>, trial: &mut Trial) {
    let mut roots: BTreeMap<u32, i128> = BTreeMap::new();
    let mut total = 0;
    for site in facts.recording.sites() {
        let live = facts
            .counts
            .get(&site.id)
            .map_or(0, |count| count.live_bytes);
        *roots.entry(site.root()).or_default() += live;
        total += live;
    }
    for (root, live) in roots {
        let Some(words) = facts.recording.site(root) else {
            continue;
        };
        let (kept, peak) = (words.word(site::LIVE_BYTES), words.word(site::PEAK_BYTES));
        trial.judge(off_by(kept, peak, live), || {
            facts.at(Scope::Site, root, figures(kept, peak, live))
        });
    }
    let kept = facts.recording.header(header::LIVE_BYTES);
    let peak = facts.recording.header(header::PEAK_BYTES);
    trial.judge(off_by(kept, peak, total), || {
        Spot::sum(None, Scope::Total, figures(kept, peak, total))
    });
}

fn off_by(kept: u64, peak: u64, live: i128) -> u64 {
    let difference = (i128::from(kept) - live).unsigned_abs();
    let below = live - i128::from(peak);
    let missing = difference.max(below.max(0).unsigned_abs());
    u64::try_from(missing).unwrap_or(u64::MAX)
}

fn figures(kept: u64, peak: u64, live: i128) -> String {
    format!("{kept} bytes are kept as live and {peak} as the peak, but {live} bytes are live")
}
