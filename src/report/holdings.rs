//! What the live maps of a site hold together, and what would help them.

use super::chains::Chain;
use super::contents::Contents;
use super::maps::Context;
use super::model::Site;
use super::text::units::{bytes, count, thousands};
use crate::classify::catalogue::HASHBROWN;
use crate::classify::shape;

/// Advice is for what is worth somebody's time.
const WORTHWHILE_BYTES: u64 = 1 << 20;

/// Sums over the live maps of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Holdings {
    live: u64,
    /// Maps whose table was read.
    measured: u64,
    entries: u64,
    tombstones: u64,
    capacity: Option<u64>,
    retained: Option<u64>,
    /// What is wrong with the hash of the largest map that has something wrong with it.
    hash: Option<(u64, &'static str)>,
    /// Buckets of the largest table.
    buckets: Option<(u64, u64)>,
}

impl Holdings {
    /// Of every group.
    pub fn of(context: &Context<'_>, chains: &[Chain], contents: &Contents) -> Vec<Self> {
        let empty = Self {
            capacity: Some(0),
            retained: Some(0),
            ..Self::default()
        };
        let mut all = vec![empty; context.groups.all.len()];
        let certain = chains.iter().filter(|chain| chain.block.certain());
        for chain in certain {
            if let Some(group) = context.groups.index(chain.block.site) {
                all[group].add(chain, contents);
            }
        }
        all
    }

    fn add(&mut self, chain: &Chain, contents: &Contents) {
        self.live += 1;
        let Some(content) = contents.of_table(chain.block.serial) else {
            return;
        };
        let told = &content.occupancy;
        let sum = |sum: Option<u64>, more: Option<u64>| Some(sum?.saturating_add(more?));
        self.measured += 1;
        self.entries = self.entries.saturating_add(told.entries.value);
        self.tombstones = self.tombstones.saturating_add(told.tombstones.value);
        self.capacity = sum(self.capacity, told.capacity);
        self.retained = sum(self.retained, told.retained_bytes);
        let size = chain.block.bytes;
        let verdict = told.quality.map(|quality| quality.verdict.name());
        if let Some(verdict) = verdict.filter(|&verdict| verdict != "good") {
            self.hash = self.hash.max(Some((size, verdict)));
        }
        if let Some(buckets) = told.buckets {
            self.buckets = self.buckets.max(Some((size, buckets)));
        }
    }

    /// Fills in the row of a site.
    pub fn complete(&self, site: &mut Site, buckets: impl Fn(u64) -> Option<u64>) {
        let all_read = self.live > 0 && self.measured == self.live;
        let known = |figure: Option<u64>| figure.filter(|_| all_read);
        site.entries = known(Some(self.entries));
        site.tombstones = known(Some(self.tombstones));
        site.capacity = known(self.capacity);
        site.retained_bytes = known(self.retained);
        let largest = site.example_tables.last().copied();
        let final_buckets = match self.buckets {
            Some((size, buckets)) if Some(size) == largest => Some(buckets),
            _ => largest.and_then(buckets),
        };
        // What is too large now needs no larger start.
        let size = self.shrink(site).or_else(|| presize(site, final_buckets));
        site.advice.extend(size);
        site.advice.extend(self.rehash(site));
    }

    fn shrink(&self, site: &Site) -> Option<String> {
        let retained = site.retained_bytes?;
        let worth = retained >= WORTHWHILE_BYTES && retained >= site.live_bytes / 2;
        worth.then(|| {
            format!(
                "shrink_to_fit() would give back {}: {} left in tables for {}",
                bytes(retained),
                entries(self.entries),
                thousands(self.capacity.unwrap_or(0)),
            )
        })
    }

    fn rehash(&self, site: &Site) -> Option<String> {
        let (size, verdict) = self.hash?;
        (size >= WORTHWHILE_BYTES && site.family == Some(HASHBROWN.name))
            .then(|| format!("look at the hash of the keys: it is {verdict}"))
    }
}

fn entries(number: u64) -> String {
    if number == 1 {
        "1 entry".to_owned()
    } else {
        format!("{} entries", thousands(number))
    }
}

/// A single map that grew to a known size could have been given that size at once.
fn presize(site: &Site, buckets: Option<u64>) -> Option<String> {
    let one = site.maps_created?.saturating_add(site.maps_late?) == 1;
    let grows = site.grows.filter(|&grows| grows > 1)?;
    let copied = site
        .copied_bytes
        .filter(|&copied| copied >= WORTHWHILE_BYTES)?;
    let kept = site.example_tables.last() == site.largest_table_bytes.as_ref();
    let buckets = buckets.filter(|_| one && kept && site.shrinks == Some(0))?;
    // The fewest entries for which a table of this size is made.
    let least = shape::capacity(buckets / 2).saturating_add(1);
    let least = least.max(site.entries.unwrap_or(0));
    Some(format!(
        "create it with_capacity({least}) or more to save {} and {} of copying",
        count(grows, "resize"),
        bytes(copied),
    ))
}
