//! What changes between one look and the next: what grows, how fast, and when it resizes next.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use serde::Serialize;

use super::Wanted;
use super::model::{Look, Map};
use super::running::Running;
use crate::failure::Failure;

/// Looks that a rate is taken from, the latest.
const RECENT: usize = 8;
/// All memory is searched for new maps so seldom that it takes no more than this part of the time.
const SEARCH_SHARE: u32 = 50;

/// How to watch.
#[derive(Debug, Clone, Copy)]
pub struct Watching {
    /// Time between two looks.
    pub every: Duration,
    /// When to stop; without it, when the process ends.
    pub length: Option<Duration>,
    /// So many maps are followed, the largest.
    pub most: usize,
    /// Whether a line on standard input ends it.
    pub until_line: bool,
}

/// A map as it was at one look.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Duration,
    entries: u64,
}

/// What is known of a map that is watched.
#[derive(Debug)]
struct Followed {
    name: String,
    first: Moment,
    /// Since its entries last became fewer.
    recent: Vec<Moment>,
    buckets: Option<u64>,
    bytes: Option<u64>,
    resizes: u64,
    fell: bool,
    /// The look that saw it last.
    seen: u64,
}

/// What changed at a look.
#[derive(Debug, Clone, Serialize)]
pub struct Changes {
    /// Which look it is: the first is 1.
    pub look: u64,
    /// Since the first.
    pub elapsed_ns: u64,
    /// Whether all memory was searched, or the known maps were looked at alone.
    pub searched: bool,
    /// Entries that all maps gained since the last look; fewer than 0 if they lost some.
    pub entries_gained: i64,
    /// The same for one second.
    pub entries_per_s: Option<f64>,
    /// Maps that were not there at the last look, of those that are followed.
    pub maps_new: u64,
    /// Maps that are not there any more.
    pub maps_gone: u64,
    /// Tables that were replaced by larger or smaller ones.
    pub resizes: Vec<Resize>,
}

/// A table that was replaced between two looks.
#[derive(Debug, Clone, Serialize)]
pub struct Resize {
    /// Whose.
    pub map: String,
    /// Where its header lies.
    pub header_address: u64,
    /// Before and now.
    pub old_buckets: u64,
    pub new_buckets: u64,
    pub old_bytes: Option<u64>,
    pub new_bytes: Option<u64>,
}

/// A map at the end of a watch.
#[derive(Debug, Clone, Serialize)]
pub struct Grown {
    pub map: String,
    pub entries_first: u64,
    pub entries_last: u64,
    pub entries_per_s: f64,
    pub resizes: u64,
}

/// What a watch came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub looks: u64,
    pub elapsed_ns: u64,
    /// Why it ended: `process`, `time` or `key`.
    pub ended_by: &'static str,
    pub resizes: u64,
    /// Maps whose entries never became fewer and did become more, those that gained most first.
    pub only_grew: Vec<Grown>,
}

/// A watch in progress.
#[derive(Debug, Default)]
struct Watch {
    maps: HashMap<u64, Followed>,
    looks: u64,
    entries: Option<(Duration, u64)>,
    resizes: u64,
}

/// Looks again and again, and shows each look with what changed.
pub fn watch(
    pid: u32,
    how: Watching,
    mut show: impl FnMut(&Look, &Changes) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let mut process = Running::of(pid)?;
    let mut watch = Watch::default();
    let begun = Instant::now();
    let line = how.until_line.then(line_on_input);
    let (mut searched, mut cost) = (begun, Duration::ZERO);
    let ended_by = loop {
        let now = Instant::now();
        let search = watch.looks == 0 || now.duration_since(searched) >= cost * SEARCH_SHARE;
        let look = if search {
            process.search(Wanted {
                most: how.most,
                deep: false,
            })
        } else {
            process.again(how.most)
        };
        if search {
            (searched, cost) = (Instant::now(), now.elapsed());
        }
        let mut look = match look {
            Ok(look) => look,
            Err(failure) if watch.looks == 0 => return Err(failure),
            Err(_) => break "process",
        };
        let changes = watch.take(&mut look, now.duration_since(begun), search);
        show(&look, &changes)?;
        let next = now + how.every;
        if how.length.is_some_and(|length| next > begun + length) {
            break "time";
        }
        if waited(
            line.as_ref(),
            next.saturating_duration_since(Instant::now()),
        ) {
            break "key";
        }
    };
    Ok(watch.outcome(begun.elapsed(), ended_by))
}

/// Receives something when a line was read.
fn line_on_input() -> Receiver<()> {
    let (send, receive) = channel();
    thread::spawn(move || {
        if io::stdin()
            .read_line(&mut String::new())
            .is_ok_and(|read| read > 0)
        {
            let _ = send.send(());
        } else {
            // The input has ended: nobody will press a key.
            loop {
                thread::park();
            }
        }
    });
    receive
}

/// Waits; true if a line came meanwhile.
fn waited(line: Option<&Receiver<()>>, rest: Duration) -> bool {
    match line {
        Some(line) => line.recv_timeout(rest) != Err(RecvTimeoutError::Timeout),
        None => {
            thread::sleep(rest);
            false
        }
    }
}

impl Watch {
    /// Notes a look, says what changed, and adds to its maps what only several looks can tell.
    fn take(&mut self, look: &mut Look, at: Duration, searched: bool) -> Changes {
        self.looks += 1;
        let before = self.entries.replace((at, look.totals.entries));
        let gained = before.map_or(0, |(_, entries)| {
            look.totals
                .entries
                .cast_signed()
                .wrapping_sub(entries.cast_signed())
        });
        let mut changes = Changes {
            look: self.looks,
            elapsed_ns: nanoseconds(at),
            searched,
            entries_gained: gained,
            entries_per_s: before.and_then(|(then, _)| rate(gained as f64, at.checked_sub(then)?)),
            maps_new: 0,
            maps_gone: 0,
            resizes: Vec::new(),
        };
        for map in &mut look.maps {
            let now = Moment {
                at,
                entries: map.entries,
            };
            // A copy of its header may come to lie before it.
            let headers = std::iter::once(&map.header_address).chain(&map.header_copies);
            let known = headers
                .copied()
                .find(|header| self.maps.contains_key(header));
            let followed = match known.and_then(|header| self.maps.get_mut(&header)) {
                Some(followed) => {
                    changes.resizes.extend(followed.meet(map, now));
                    followed
                }
                None => {
                    changes.maps_new += u64::from(self.looks > 1);
                    let followed = Followed::new(map, now);
                    self.maps
                        .entry(map.header_address)
                        .insert_entry(followed)
                        .into_mut()
                }
            };
            followed.seen = self.looks;
            followed.tell(map);
        }
        let followed = self.maps.len();
        self.maps.retain(|_, followed| followed.seen == self.looks);
        changes.maps_gone = (followed - self.maps.len()) as u64;
        self.resizes += changes.resizes.len() as u64;
        changes
    }

    fn outcome(&self, elapsed: Duration, ended_by: &'static str) -> Outcome {
        let mut only_grew: Vec<Grown> = self.maps.values().filter_map(Followed::grown).collect();
        only_grew.sort_by(|a, b| {
            let gained = |grown: &Grown| grown.entries_last - grown.entries_first;
            gained(b).cmp(&gained(a)).then_with(|| a.map.cmp(&b.map))
        });
        Outcome {
            looks: self.looks,
            elapsed_ns: nanoseconds(elapsed),
            ended_by,
            resizes: self.resizes,
            only_grew,
        }
    }
}

impl Followed {
    fn new(map: &Map, now: Moment) -> Followed {
        Followed {
            name: name(map),
            first: now,
            recent: vec![now],
            buckets: map.buckets,
            bytes: map.bytes,
            resizes: 0,
            fell: false,
            seen: 0,
        }
    }

    /// Notes how the map is now; a resize if it has another table size than before.
    fn meet(&mut self, map: &Map, now: Moment) -> Option<Resize> {
        if map.owner.is_some() || map.element_bytes.is_some() {
            self.name = name(map);
        }
        let before = self.recent.last().map_or(0, |moment| moment.entries);
        if now.entries < before {
            self.fell = true;
            self.recent.clear();
        }
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(now);
        let (old, bytes) = (self.buckets, self.bytes);
        (self.buckets, self.bytes) = (map.buckets, map.bytes);
        let (old_buckets, new_buckets) = old.zip(map.buckets).filter(|(old, new)| old != new)?;
        self.resizes += 1;
        Some(Resize {
            map: self.name.clone(),
            header_address: map.header_address,
            old_buckets,
            new_buckets,
            old_bytes: bytes,
            new_bytes: map.bytes,
        })
    }

    /// Entries that it gains in a second, if it gained any lately.
    fn gains(&self) -> Option<f64> {
        let (first, last) = (self.recent.first()?, self.recent.last()?);
        let gained = last.entries.checked_sub(first.entries)?;
        rate(gained as f64, last.at.checked_sub(first.at)?).filter(|&rate| rate > 0.0)
    }

    /// Adds to the map what follows from having watched it.
    fn tell(&self, map: &mut Map) {
        let gains = self.gains();
        map.entries_per_s = (self.recent.len() > 1).then(|| gains.unwrap_or(0.0));
        map.resizes_seen = Some(self.resizes);
        if let (Some(next), Some(gains)) = (&mut map.next_resize, gains) {
            let left = next.at_entries.saturating_sub(map.entries);
            next.eta_ns = Some((left as f64 / gains * 1e9) as u64);
        }
    }

    fn grown(&self) -> Option<Grown> {
        let last = self.recent.last()?;
        let gained = last.entries.checked_sub(self.first.entries)?;
        (!self.fell && gained > 0).then(|| Grown {
            map: self.name.clone(),
            entries_first: self.first.entries,
            entries_last: last.entries,
            entries_per_s: rate(gained as f64, last.at.saturating_sub(self.first.at))
                .unwrap_or(0.0),
            resizes: self.resizes,
        })
    }
}

/// What a map is called: by its owner, else by what is known of it.
pub fn name(map: &Map) -> String {
    match (&map.owner, map.element_bytes) {
        (Some(owner), _) => owner.path.clone(),
        (None, Some(element)) => {
            format!(
                "{} of {element}-byte entries at {:#x}",
                map.family, map.header_address
            )
        }
        (None, None) => format!("{} at {:#x}", map.family, map.header_address),
    }
}

fn rate(gained: f64, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| gained / time.as_secs_f64())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
