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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::layout::{edge, site};
    use crate::report::tests::{Names, program, report, table};

    /// The row of a map that doubled from 2^10 to 2^16 buckets of 40 bytes, and was read or not.
    fn grown() -> Site {
        let (mut names, mut program) = (Names::default(), program());
        let growth = names.at(&["hashbrown::raw::RawTable<T,A>::reserve_rehash"]);
        let user = names.at(&["demo::run@src/run.rs:7"]);
        let at = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
        let grow = program
            .recording
            .edge(edge::KIND_REPLACE, Some(at), at, 0, growth);
        let mut map = program.alloc(at, table(1 << 10, 40), 16);
        for log2 in 11..=16 {
            map = program.replace(map, grow, table(1 << log2, 40), 100);
        }
        program.keep(map, 0x7000_0000_1000);
        let mut site = report(&mut program, &mut names).sites.remove(0);
        site.advice.clear();
        site
    }

    fn read(entries: u64, retained: u64) -> Holdings {
        Holdings {
            live: 1,
            measured: 1,
            entries,
            capacity: Some(57_344),
            retained: Some(retained),
            ..Holdings::default()
        }
    }

    #[test]
    fn a_full_map_should_have_been_made_large_at_once() {
        let mut site = grown();
        read(50_000, 0).complete(&mut site, |_| Some(1 << 16));
        assert_eq!((site.entries, site.retained_bytes), (Some(50_000), Some(0)));
        let copied = bytes((10..16).map(|log2| table(1 << log2, 40)).sum());
        let advice = format!(
            "create it with_capacity(50000) or more to save 6 resizes and {copied} of copying"
        );
        assert_eq!(site.advice, [advice]);
    }

    #[test]
    fn an_emptied_map_should_shrink_and_not_be_made_larger() {
        let mut site = grown();
        read(1, 2 << 20).complete(&mut site, |_| Some(1 << 16));
        assert_eq!(
            site.advice,
            ["shrink_to_fit() would give back 2.0 MiB: 1 entry left in tables for 57,344"]
        );
    }

    #[test]
    fn what_was_not_read_is_unknown_and_draws_no_advice() {
        let mut site = grown();
        let half_read = Holdings {
            live: 2,
            ..read(1, 2 << 20)
        };
        half_read.complete(&mut site, |_| None);
        assert_eq!((site.entries, site.retained_bytes), (None, None));
        assert!(site.advice.is_empty(), "{:?}", site.advice);
    }
}
