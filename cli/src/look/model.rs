//! What `look` found, as JSON has it: the model of a report, without what only a recording knows.

use std::collections::HashMap;
use std::fs;

use mapgrow_containers::finder::{Finding, Found};
use mapgrow_format::headroom::Headroom;
use mapgrow_report::{Memory, VERSION};
use serde::Serialize;

use super::notes::Notes;
use super::owner::Owner;
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

/// Whose maps they are.
#[derive(Debug, Serialize)]
pub struct Process {
    pub pid: Option<u32>,
    pub exe: Option<String>,
    pub command: Vec<String>,
    pub state: &'static str,
    /// What the kernel calls it.
    #[serde(skip)]
    comm: Option<String>,
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
    /// `owners` are those of the tables found, in their order.
    pub fn new(
        process: Process,
        finding: &Finding,
        owners: Vec<Option<Owner>>,
        headroom: &Headroom,
        most: usize,
    ) -> Look {
        let left = headroom.left().map(|(_, left)| left);
        let owners = owners.into_iter().chain(std::iter::repeat(None));
        let mut largest_first: Vec<(&Found, Option<Owner>)> =
            finding.tables.iter().zip(owners).collect();
        // Tables of unknown size are sorted by their buckets.
        largest_first.sort_by_key(|(found, _)| {
            let bytes = found.bytes.or(found.occupancy.buckets);
            (std::cmp::Reverse(bytes), found.header)
        });
        let (mut totals, mut groups) = (Totals::default(), Groups::default());
        let mut maps = Vec::new();
        for (id, (found, owner)) in (1..).zip(largest_first) {
            let map = Map {
                owner,
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
        if let Some(retained) = map.retained_bytes {
            let sum = self.retained_bytes.get_or_insert(0);
            *sum = sum.saturating_add(retained);
        }
    }
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Process {
    /// What it is called: by the name that it was started under, where that is a link to the program.
    pub fn name(&self) -> &str {
        let exe = file_name(self.exe.as_deref().unwrap_or("process"));
        let started = self.command.first().map_or("", String::as_str);
        // A service may write anything there: `redis-server *:6379`.
        let started = file_name(started.split_ascii_whitespace().next().unwrap_or(""));
        let renamed = |comm: &str| started.starts_with(comm) && !exe.starts_with(comm);
        match self.comm.as_deref().is_some_and(renamed) {
            true => started,
            false => exe,
        }
    }

    /// Process `pid`, which runs.
    pub fn live(pid: u32) -> Process {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = command.strip_suffix(b"\0").unwrap_or(&command);
        Process {
            pid: Some(pid),
            exe: exe.map(|path| path.to_string_lossy().into_owned()),
            command: (arguments.split(|&byte| byte == 0))
                .map(|argument| String::from_utf8_lossy(argument).into_owned())
                .collect(),
            state: "live",
            comm: fs::read_to_string(format!("/proc/{pid}/comm"))
                .ok()
                .map(|name| name.trim_end().to_owned())
                .filter(|name| !name.is_empty()),
        }
    }

    /// That of a core.
    pub fn core(notes: &Notes) -> Process {
        let name = notes.name.clone().filter(|name| !name.is_empty());
        // The path goes with the name; a library that lies below the program does not.
        let program = notes.program.clone().filter(|path| {
            name.as_ref()
                .is_none_or(|name| file_name(path).starts_with(name.as_str()))
        });
        let command = notes.command.clone().unwrap_or_default();
        Process {
            pid: notes.pid,
            exe: program.or(name),
            command: command.split_whitespace().map(str::to_owned).collect(),
            state: "core",
            comm: None,
        }
    }
}
