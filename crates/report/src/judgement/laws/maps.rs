//! What was created and not dropped is what lives, once resizes are told from both.

use super::facts::Facts;
use super::{Scope, Spot, Trial};
use mapgrow_format::layout::{edge, header};
use mapgrow_format::reader::EdgeKind;
use std::collections::BTreeMap;

/// Passages over edges, at one site.
#[derive(Debug, Clone, Copy, Default)]
struct Passages {
    /// Its blocks took the place of others.
    came: u64,
    /// Others took the place of its blocks, or they were given up.
    left: u64,
}

pub(super) fn moves(facts: &Facts<'_>, trial: &mut Trial) {
    let mut sites: BTreeMap<u32, Passages> = BTreeMap::new();
    for edge in facts.recording.edges().filter(|edge| edge.id != 0) {
        let count = edge.word(edge::COUNT);
        let came = &mut sites.entry(edge.new_site()).or_default().came;
        *came = came.saturating_add(count);
        let left = match edge.old_site() {
            Some(old) => Some(old),
            None if edge.kind() == Some(EdgeKind::Abandon) => Some(edge.new_site()),
            None => None,
        };
        if let Some(old) = left {
            let left = &mut sites.entry(old).or_default().left;
            *left = left.saturating_add(count);
        }
    }
    for (site, passages) in sites {
        let count = facts.counts.get(&site).copied().unwrap_or_default();
        let over = |passed: u64, all: i128| (i128::from(passed) - all).max(0).unsigned_abs();
        let over = over(passages.came, count.allocated).max(over(passages.left, count.freed));
        trial.judge(u64::try_from(over).unwrap_or(u64::MAX), || {
            let figures = format!(
                "{} of its blocks took a place and {} left theirs, but {} were allocated and {} \
                 freed",
                passages.came, passages.left, count.allocated, count.freed
            );
            facts.at(Scope::Site, site, figures)
        });
    }
}

/// What the report says of the maps of a place, a family, or all.
#[derive(Debug, Clone, Copy, Default)]
struct Maps {
    created: i128,
    dropped: i128,
    /// Maps that moved here from elsewhere, or were first seen when they did.
    came: i128,
    /// Maps that moved elsewhere.
    left: i128,
    live: i128,
}

impl Maps {
    fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.dropped += other.dropped;
        self.came += other.came;
        self.left += other.left;
        self.live += other.live;
    }

    fn off_by(&self) -> u64 {
        let difference = self.created - self.dropped + self.came - self.left - self.live;
        let negative = (-self.created).max(-self.dropped).max(0);
        let off_by = difference.unsigned_abs().max(negative.unsigned_abs());
        u64::try_from(off_by).unwrap_or(u64::MAX)
    }

    fn figures(&self) -> String {
        format!(
            "{} created - {} dropped + {} moved here - {} moved away, but {} live",
            self.created, self.dropped, self.came, self.left, self.live
        )
    }
}

pub(super) fn maps(facts: &Facts<'_>, trial: &mut Trial) {
    let folded = facts.recording.header(header::EDGES_FOLDED);
    if folded > 0 {
        return trial.cannot(format!(
            "{folded} resizes found no room in the recording, and nobody knows which maps they \
             were of"
        ));
    }
    let mut families: BTreeMap<&'static str, Maps> = BTreeMap::new();
    let mut total = Maps::default();
    for (group, flow) in facts.groups.all.iter().zip(&facts.flows) {
        if !group.family.has_resizes() {
            continue;
        }
        let mut count = super::facts::Count::default();
        for counted in group.members.iter().filter_map(|id| facts.counts.get(id)) {
            count.add(counted);
        }
        let [resizes, away, aborted] =
            [flow.resizes, flow.resized_away, flow.aborted].map(i128::from);
        let stayed = resizes.min(away);
        let maps = Maps {
            created: count.allocated - resizes - aborted,
            dropped: count.freed - away - aborted,
            came: resizes - stayed,
            left: away - stayed,
            live: count.live,
        };
        trial.judge(maps.off_by(), || {
            facts.at(Scope::Place, group.id(), maps.figures())
        });
        families.entry(group.family.name).or_default().add(&maps);
        total.add(&maps);
    }
    for (family, maps) in &families {
        trial.judge(maps.off_by(), || {
            Spot::sum(Some(family), Scope::Family, maps.figures())
        });
    }
    trial.judge(total.off_by(), || {
        Spot::sum(None, Scope::Total, total.figures())
    });
}
