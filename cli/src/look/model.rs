//! What `look` found, as JSON has it: the model of a report, without what only a recording knows.

use std::collections::HashMap;

use mapgrow_containers::finder::{Finding, Found, NodeBytes};
use mapgrow_format::headroom::Headroom;
use mapgrow_report::{Memory, VERSION};
use serde::Serialize;

use super::deep::{Deep, DeepSum};
use super::owner::Owner;
use super::process::Process;
use super::resident::Resident;

/// Owners that are counted of a group: those met first.
const MOST_OWNERS: usize = 16;

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Look {
    pub format: &'static str,
    pub version: u32,
    pub process: Process,
    pub memory: Option<Memory>,
    /// Where its memory went, where the kernel tells.
    pub resident: Option<Resident>,
    pub totals: Totals,
    /// Nobody recorded where maps were made, and what happened to them.
    pub sites: Option<()>,
    pub timeline: Option<()>,
    pub marks: Option<()>,
    /// The largest maps, largest first.
    pub maps: Vec<Map>,
    /// All maps, those of one family with as many buckets of the same size together.
    pub groups: Vec<Group>,
    pub honesty: Honesty,
}

/// What is known of tables beside them: one of each for each, in their order, or none at all.
#[derive(Default)]
pub struct Known {
    pub owners: Vec<Option<Owner>>,
    pub deep: Vec<Option<Deep>>,
    pub nodes: Vec<Option<NodeBytes>>,
}

/// Sums over all maps.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    pub maps_live: u64,
    /// Bytes of the tables whose bytes are known.
    pub live_bytes: u64,
    /// Tables whose bytes are not known.
    pub maps_of_unknown_bytes: u64,
    pub entries: u64,
    /// Sum over the maps for which it is known; `None` where it is of none of them.
    pub retained_bytes: Option<u64>,
    /// The same of the bytes of nodes, which are not among `live_bytes`.
    pub node_bytes: Option<u64>,
    /// The same of what their values hold elsewhere.
    pub deep: Option<DeepSum>,
}

/// A map.
#[derive(Debug, Clone, Serialize)]
pub struct Map {
    pub id: u64,
    pub site: Option<u32>,
    /// Where its table begins.
    pub address: Option<u64>,
    /// Where its header lies.
    pub header_address: u64,
    /// Where others lie that lead to the same table: copies that moves left behind.
    pub header_copies: Vec<u64>,
    pub born_at_ns: Option<u64>,
    pub thread: Option<String>,
    pub family: &'static str,
    pub type_name: Option<String>,
    pub buckets: Option<u64>,
    pub element_bytes: Option<u64>,
    pub bytes: Option<u64>,
    pub capacity: Option<u64>,
    pub entries: u64,
    pub entries_error: u64,
    pub tombstones: Option<u64>,
    pub growth_left: Option<u64>,
    pub load: Option<f64>,
    pub retained_bytes: Option<u64>,
    pub tables: Option<()>,
    pub hash_quality: Option<f64>,
    pub hash_verdict: Option<&'static str>,
    pub next_resize: Option<NextResize>,
    /// Entries that it gained in a second, over the last looks of a watch.
    pub entries_per_s: Option<f64>,
    /// How often a watch saw it with another table than before.
    pub resizes_seen: Option<u64>,
    /// Bytes of its nodes, if each entry has a block of its own.
    pub node_bytes: Option<u64>,
    /// Whether all of these were followed.
    pub node_bytes_exact: Option<bool>,
    /// What its values hold elsewhere, where that was asked for and is known.
    pub deep: Option<Deep>,
    pub owner: Option<Owner>,
}

/// A resize to come.
#[derive(Debug, Clone, Serialize)]
pub struct NextResize {
    pub at_entries: u64,
    pub needs_bytes: Option<u64>,
    pub eta_ns: Option<u64>,
    pub fits: Option<bool>,
    pub short_bytes: Option<u64>,
}

/// Maps of one family with as many buckets of the same size.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub family: &'static str,
    pub buckets: Option<u64>,
    pub element_bytes: Option<u64>,
    pub count: u64,
    pub bytes: Option<u64>,
    pub entries: u64,
    pub entries_least: u64,
    pub entries_most: u64,
    pub capacity: Option<u64>,
    pub tombstones: Option<u64>,
    pub retained_bytes: Option<u64>,
    /// Bytes of their nodes, which are not among `bytes`, and whether all of these were followed.
    pub node_bytes: Option<u64>,
    pub node_bytes_exact: Option<bool>,
    /// What the values of all of them hold elsewhere.
    pub deep: Option<DeepSum>,
    /// Whose they all are, if they are of one.
    pub owner: Option<Owner>,
    /// Whose most of them are, as far as it is known, and of how many.
    pub owners: Vec<OwnedMaps>,
}

/// How many maps of a group have the same owner.
#[derive(Debug, Clone, Serialize)]
pub struct OwnedMaps {
    pub path: String,
    pub count: u64,
}

/// What is missing.
#[derive(Debug, Default, Serialize)]
pub struct Honesty {
    pub bytes_read: u64,
    pub bytes_unreadable: u64,
    pub bytes_swapped: u64,
    pub changed_while_read: u64,
    pub freed_tables_left_out: u64,
    /// Maps that are counted but not listed in `maps`.
    pub maps_omitted: u64,
    pub maps_untracked: u64,
    pub notes: Vec<String>,
}

impl Look {
    /// `known` is what is known of the tables found beside them.
    pub fn new(
        process: Process,
        finding: &Finding,
        known: Known,
        headroom: &Headroom,
        most: usize,
    ) -> Look {
        let left = headroom.left().map(|(_, left)| left);
        let owners = known.owners.into_iter().chain(std::iter::repeat(None));
        let deep = known.deep.into_iter().chain(std::iter::repeat(None));
        let nodes = known.nodes.into_iter().chain(std::iter::repeat(None));
        let beside = owners.zip(deep.zip(nodes));
        let mut largest_first: Vec<_> = finding.tables.iter().zip(beside).collect();
        // Tables of unknown size are sorted by their buckets.
        largest_first.sort_by_key(|(found, _)| {
            let bytes = found.bytes.or(found.occupancy.buckets);
            (std::cmp::Reverse(bytes), found.header)
        });
        let (mut totals, mut groups) = (Totals::default(), Groups::default());
        let mut maps = Vec::new();
        for (id, (found, (owner, (deep, nodes)))) in (1..).zip(largest_first) {
            let map = Map {
                owner,
                deep,
                node_bytes: nodes.map(|nodes| nodes.bytes),
                node_bytes_exact: nodes.map(|nodes| nodes.exact),
                ..Map::new(id, found, left)
            };
            totals.add(&map);
            groups.add(&map);
            if maps.len() < most {
                maps.push(map);
            }
        }
        let omitted = totals.maps_live - maps.len() as u64;
        let gave_up = "so much of its memory could be maps and is none that not all of it was looked \
                       at: there may be more maps than these";
        let notes = (finding.gave_up).then(|| gave_up.to_owned());
        Look {
            format: "mapgrow-report",
            version: VERSION,
            process,
            memory: Memory::of(headroom),
            resident: None,
            totals,
            sites: None,
            timeline: None,
            marks: None,
            maps,
            groups: groups.sorted(),
            honesty: Honesty {
                bytes_read: finding.bytes_read,
                bytes_unreadable: finding.bytes_unreadable,
                bytes_swapped: 0,
                changed_while_read: finding.changed_while_read,
                freed_tables_left_out: finding.freed,
                maps_omitted: omitted,
                maps_untracked: finding.omitted,
                notes: notes.into_iter().collect(),
            },
        }
    }
}

impl Map {
    fn new(id: u64, found: &Found, left: Option<u64>) -> Map {
        let occupancy = &found.occupancy;
        let entries = occupancy.entries;
        let needs = found.next_bytes;
        let next_resize = found.grows_at.map(|at_entries| NextResize {
            at_entries,
            needs_bytes: needs,
            eta_ns: None,
            fits: needs.zip(left).map(|(needs, left)| needs <= left),
            short_bytes: needs
                .zip(left)
                .and_then(|(needs, left)| needs.checked_sub(left).filter(|&short| short > 0)),
        });
        let load = |buckets: u64| (buckets > 0).then(|| entries.value as f64 / buckets as f64);
        Map {
            id,
            site: None,
            address: found.block,
            header_address: found.header,
            header_copies: found.copies.clone(),
            born_at_ns: None,
            thread: None,
            family: found.family.name(),
            type_name: None,
            buckets: occupancy.buckets,
            element_bytes: occupancy.element_bytes,
            bytes: found.bytes,
            capacity: occupancy.capacity,
            entries: entries.value,
            entries_error: entries.error,
            tombstones: (found.family.keeps_tombstones()).then_some(occupancy.tombstones.value),
            growth_left: occupancy.growth_left,
            load: occupancy.buckets.and_then(load),
            retained_bytes: occupancy.retained_bytes,
            tables: None,
            hash_quality: occupancy.quality.map(|quality| quality.score()),
            hash_verdict: occupancy.quality.map(|quality| quality.verdict.name()),
            next_resize,
            entries_per_s: None,
            resizes_seen: None,
            node_bytes: None,
            node_bytes_exact: None,
            deep: None,
            owner: None,
        }
    }
}

impl Group {
    fn new(map: &Map) -> Group {
        Group {
            family: map.family,
            buckets: map.buckets,
            element_bytes: map.element_bytes,
            count: 0,
            bytes: Some(0),
            entries: 0,
            entries_least: map.entries,
            entries_most: map.entries,
            capacity: Some(0),
            tombstones: Some(0),
            retained_bytes: Some(0),
            node_bytes: Some(0),
            node_bytes_exact: Some(true),
            deep: Some(DeepSum::NOTHING),
            owner: map.owner.clone(),
            owners: Vec::new(),
        }
    }

    fn add(&mut self, map: &Map) {
        let sum = |into: &mut Option<u64>, more: Option<u64>| {
            *into = into.zip(more).map(|(sum, more)| sum.saturating_add(more));
        };
        if self.owner != map.owner {
            self.owner = None;
        }
        if let Some(owner) = &map.owner {
            let known = self
                .owners
                .iter()
                .position(|owned| owned.path == owner.path);
            if let Some(owned) = known.and_then(|at| self.owners.get_mut(at)) {
                owned.count += 1;
            } else if self.owners.len() < MOST_OWNERS {
                self.owners.push(OwnedMaps {
                    path: owner.path.clone(),
                    count: 1,
                });
            }
        }
        self.count += 1;
        self.entries = self.entries.saturating_add(map.entries);
        self.entries_least = self.entries_least.min(map.entries);
        self.entries_most = self.entries_most.max(map.entries);
        sum(&mut self.bytes, map.bytes);
        sum(&mut self.capacity, map.capacity);
        sum(&mut self.tombstones, map.tombstones);
        sum(&mut self.retained_bytes, map.retained_bytes);
        sum(&mut self.node_bytes, map.node_bytes);
        let exact = self.node_bytes_exact.zip(map.node_bytes_exact);
        self.node_bytes_exact = exact.map(|(all, this)| all && this);
        self.deep = self.deep.zip(map.deep).map(|(sum, more)| sum.and(more));
    }
}

/// All maps in groups.
#[derive(Default)]
struct Groups {
    places: HashMap<(&'static str, Option<u64>, Option<u64>), usize>,
    list: Vec<Group>,
}

impl Groups {
    fn add(&mut self, map: &Map) {
        let key = (map.family, map.buckets, map.element_bytes);
        let list = &mut self.list;
        let at = *self.places.entry(key).or_insert_with(|| {
            list.push(Group::new(map));
            list.len() - 1
        });
        list[at].add(map);
    }

    /// Those that hold most first.
    fn sorted(mut self) -> Vec<Group> {
        for group in &mut self.list {
            group
                .owners
                .sort_by_key(|owned| std::cmp::Reverse(owned.count));
        }
        self.list.sort_by_key(|group| {
            let buckets = group.buckets.map(|buckets| buckets * group.count);
            std::cmp::Reverse(group.bytes.or(buckets))
        });
        self.list
    }
}

impl Totals {
    fn add(&mut self, map: &Map) {
        self.maps_live += 1;
        self.live_bytes = self.live_bytes.saturating_add(map.bytes.unwrap_or(0));
        self.maps_of_unknown_bytes += u64::from(map.bytes.is_none());
        self.entries = self.entries.saturating_add(map.entries);
        for (into, more) in [
            (&mut self.retained_bytes, map.retained_bytes),
            (&mut self.node_bytes, map.node_bytes),
        ] {
            if let Some(more) = more {
                *into = Some(into.unwrap_or(0).saturating_add(more));
            }
        }
        if let Some(deep) = map.deep {
            self.deep = Some(self.deep.unwrap_or(DeepSum::NOTHING).and(deep));
        }
    }
}
