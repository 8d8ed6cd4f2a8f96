//! A chain and what its table holds go in; when the map grows next, what that takes, and whether there
//! is room for it, come out.

use super::contents::{Content, Contents};
use crate::facts::chains::Chain;
use crate::facts::context::Context;
use crate::facts::evidence::group_width;
use crate::facts::process;
use crate::facts::tick_scale::TickScale;
use crate::model::{NextResize, Slowed};
use mapgrow_containers::classify::catalogue::{Container, Family};
use mapgrow_containers::classify::elements::Elements;
use mapgrow_containers::occupancy::{Block, capacity_of};
use mapgrow_format::headroom::Headroom;
use mapgrow_format::layout::header;

/// Resizes foretold.
const AHEAD: usize = 3;
/// A rate is taken from no shorter time than this.
const LEAST_NS: u64 = 1_000_000;
/// A map that should have grown so many times over by now, at its rate, has stopped growing.
const OVERDUE: f64 = 1.0;
/// A map that got less than this share of what it got in the same time before has slowed down.
const SLOWED: f64 = 0.5;
/// Two readings that lie closer together tell no rate.
const LEAST_APART_NS: u64 = 20_000_000;

/// What is foretold of a map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forecast {
    /// Entries per second by which it grows.
    pub entries_per_s: Option<f64>,
    /// That it slowed down or stopped, where nobody knows at what rate it goes on, if at all.
    pub slowed: Option<Slowed>,
    /// Whether it grows now as it did before its last resize, or faster.
    pub steady: bool,
    /// Its next resizes, soonest first.
    pub upcoming: Vec<NextResize>,
}

/// What forecasts are made from.
pub(crate) struct Forecaster<'a> {
    moment: Moment<'a>,
    contents: &'a Contents,
    /// Width of a control group.
    group: u64,
}

/// A moment at which it is known how far a map was filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub ticks: u64,
    /// Entries, or where those are not known bytes.
    pub filled: u64,
}

impl<'a> Forecaster<'a> {
    pub fn new(context: &Context<'a>, contents: &'a Contents) -> Self {
        let (recording, clock) = (context.recording, context.clock);
        let dump = recording.header(header::DUMP_TICKS);
        let left = Headroom::decode(|word| recording.header(word)).left();
        Self {
            moment: Moment {
                clock,
                now: if dump == 0 {
                    recording.header(header::NOW_TICKS)
                } else {
                    dump
                },
                left: left.map(|(_, left)| left),
                ended: process::state(recording, context.options).ended(),
            },
            contents,
            group: group_width(recording),
        }
    }

    /// The next resizes of a map, if it goes on growing as it did.
    pub fn of(
        &self,
        chain: &Chain,
        family: Option<&Family>,
        elements: Option<&Elements>,
    ) -> Forecast {
        let Some(family) = family else {
            return Forecast::default();
        };
        if let Some(content) = self.contents.of_table(chain.block.serial) {
            return self.by_entries(content, chain);
        }
        let align = 1_u64.checked_shl(u32::from(chain.block.align_log2));
        // `malloc` is not told an alignment.
        let align = align.map(|align| align.max(self.group));
        let table = Table::new(family, chain.block.bytes, align, self.group, elements);
        let points = self.points(chain, Some);
        match (table, points.as_slice()) {
            // Without a rate nobody knows whether it goes on.
            (Some(table), [.., _, _]) => Forecast {
                upcoming: table.ahead(&points, &self.moment),
                ..Forecast::default()
            },
            _ => Forecast::default(),
        }
    }

    /// Of a table that was read. One that was grown into had, at that moment, one entry more
    /// than the one before could take; what was added since, over the time since, is the rate.
    fn by_entries(&self, content: &Content, chain: &Chain) -> Forecast {
        let occupancy = &content.occupancy;
        let Some(mut buckets) = occupancy.buckets else {
            return Forecast::default();
        };
        let entries = occupancy.entries.value;
        let points = self.points(chain, |bytes| full_at(content, bytes));
        let now = Point {
            ticks: content.ticks,
            filled: entries,
        };
        let pace = self.pace(&points, &now, content);
        let per_ns = pace.per_ns;
        let Some(mut at) = occupancy.entries_at_growth() else {
            return Forecast::default();
        };
        let mut plan = self.moment.plan(chain.block.bytes);
        for _ in 0..AHEAD {
            let Some(next) = buckets.checked_mul(2) else {
                break;
            };
            // Padding hides the size of an element of a small table only: the next has none.
            let Some(bytes) = occupancy
                .element_bytes
                .and_then(|element| content.block.bytes_with(next, element))
            else {
                break;
            };
            let eta = per_ns.map(|per_ns| at.saturating_sub(entries) as f64 / per_ns);
            plan.add(Some(at), bytes, eta);
            buckets = next;
            at = capacity_of(next).saturating_add(1);
        }
        Forecast {
            entries_per_s: per_ns.map(per_second),
            steady: pace.slowed.is_none() && self.steady(&points, &now),
            slowed: pace.slowed,
            upcoming: plan.resizes,
        }
    }

    /// When each table of a map had been filled to the brim. `filled`: what a table of so many
    /// bytes holds then.
    fn points(&self, chain: &Chain, filled: impl Fn(u64) -> Option<u64>) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::new();
        if chain.complete {
            points.push(Point {
                ticks: chain.born_ticks,
                filled: 0,
            });
        }
        points.extend(chain.replaced().filter_map(|(bytes, ticks)| {
            Some(Point {
                ticks,
                filled: filled(bytes)?,
            })
        }));
        points
    }

    /// At what rate a map goes on.
    ///
    /// What it got since its last resize, by the time since, is an average. It says nothing of
    /// the present once it is far below what came before: the map was filled, and then slowed
    /// down or stopped. Then only what was seen at two moments close together counts.
    fn pace(&self, points: &[Point], now: &Point, content: &Content) -> Pace {
        let capacity = content.occupancy.capacity.unwrap_or(0);
        let average = self.moment.rate(points, now, capacity / 4);
        let present = self.present(content);
        let slowed = match self.slowed(points, now, capacity) {
            // Without a resize there is nothing to compare with but the present.
            None if points.len() < 2 && present == Some(0.0) => self.since(points, now),
            slowed => slowed,
        };
        match slowed {
            None => Pace {
                per_ns: average,
                slowed: None,
            },
            Some(slowed) => {
                let present = present.filter(|&present| present > 0.0);
                Pace {
                    per_ns: present,
                    slowed: present.is_none().then_some(slowed),
                }
            }
        }
    }

    /// Growth per nanosecond between two readings; `None` when there was but one, or nobody
    /// counted.
    fn present(&self, content: &Content) -> Option<f64> {
        let (ticks, entries) = content.earlier?;
        let time = self.moment.clock.span(content.ticks.checked_sub(ticks)?)?;
        let counted = entries.error == 0 && content.occupancy.entries.error == 0;
        let added = content
            .occupancy
            .entries
            .value
            .saturating_sub(entries.value);
        (counted && time >= LEAST_APART_NS).then(|| added as f64 / time as f64)
    }

    /// Whether a map got much less since its last resize than it did, in the same time, before.
    fn slowed(&self, points: &[Point], now: &Point, capacity: u64) -> Option<Slowed> {
        let [.., before, last] = points else {
            return None;
        };
        let filled = last.filled.checked_sub(before.filled)?;
        let time = self
            .moment
            .clock
            .span(last.ticks.checked_sub(before.ticks)?)?;
        let per_ns = filled as f64 / time.max(LEAST_NS) as f64;
        let since = self.since(points, now)?;
        let expected = per_ns * since.for_ns as f64;
        // A quarter of what fills the table: a pause right after a resize says nothing.
        let long = expected >= capacity as f64 / 8.0;
        let added = now.filled.saturating_sub(last.filled) as f64;
        (long && added < expected * SLOWED).then(|| Slowed {
            before_entries_per_s: Some(per_second(per_ns)),
            ..since
        })
    }

    /// What a map got on average since its last resize.
    fn since(&self, points: &[Point], now: &Point) -> Option<Slowed> {
        let last = points.last()?;
        let added = now.filled.checked_sub(last.filled)?;
        let for_ns = self.moment.clock.span(now.ticks.checked_sub(last.ticks)?)?;
        Some(Slowed {
            entries_per_s: per_second(added as f64 / for_ns.max(1) as f64),
            for_ns,
            before_entries_per_s: None,
        })
    }

    /// Whether what was added since the last resize came at least a quarter as fast as what came
    /// between that and the one before it.
    fn steady(&self, points: &[Point], now: &Point) -> bool {
        let [.., before, last] = points else {
            return false;
        };
        let rate = |from: &Point, to: &Point| self.moment.rate(std::slice::from_ref(from), to, 0);
        rate(last, now)
            .zip(rate(before, last))
            .is_some_and(|(now, before)| now * 4.0 >= before)
    }

    /// Entries that a map must have had when its present table was made: one more than the table
    /// before took. `None` when it is its first.
    pub fn had_entries(&self, content: &Content, chain: &Chain) -> Option<u64> {
        let (bytes, _) = chain.replaced().last()?;
        (bytes < chain.block.bytes)
            .then(|| full_at(content, bytes))
            .flatten()
    }
}

/// The moment from which all is foretold.
pub(crate) struct Moment<'a> {
    pub clock: &'a TickScale,
    /// Ticks.
    pub now: u64,
    /// Bytes that the process can still have.
    pub left: Option<u64>,
    /// Whether the process has ended: nothing then has a time to come.
    pub ended: bool,
}

impl Moment<'_> {
    /// Growth per nanosecond up to `now`, from the latest point since which at least `enough`
    /// was added; `None` when nothing was.
    fn rate(&self, points: &[Point], now: &Point, enough: u64) -> Option<f64> {
        let since = |point: &Point| {
            let added = now.filled.checked_sub(point.filled)?;
            let time = self.clock.span(now.ticks.checked_sub(point.ticks)?)?;
            (added > 0 && time >= LEAST_NS).then_some((added, time))
        };
        let known = || points.iter().rev().map_while(since);
        let (added, time) = known()
            .find(|&(added, _)| added >= enough)
            .or_else(|| known().last())?;
        Some(added as f64 / time as f64)
    }

    fn plan(&self, bytes: u64) -> Plan {
        Plan {
            left: self.left.map(i128::from),
            present: bytes,
            ended: self.ended,
            resizes: Vec::new(),
        }
    }
}

/// A table that was not read.
pub(crate) struct Table<'a> {
    bytes: u64,
    /// Of a hash table; of a vector nothing more is known.
    hashed: Option<(Block, &'a Elements)>,
}

impl<'a> Table<'a> {
    /// `None` where nobody knows what comes after it.
    pub fn new(
        family: &Family,
        bytes: u64,
        align: Option<u64>,
        group: u64,
        elements: Option<&'a Elements>,
    ) -> Option<Self> {
        let hashed = match family.container {
            Container::Vector => None,
            _ => Some((Block::new(bytes, Some(align?), group)?, elements?)),
        };
        Some(Self { bytes, hashed })
    }

    /// The entries at which one of so many bytes is replaced, and the bytes of the next.
    fn next(&self, bytes: u64) -> (Option<u64>, Option<u64>) {
        let Some((block, elements)) = &self.hashed else {
            return (None, bytes.checked_mul(2));
        };
        let buckets = elements.buckets(bytes);
        let twice = buckets.and_then(|buckets| buckets.checked_mul(2));
        let next = twice.zip(elements.element());
        (
            buckets.map(|buckets| capacity_of(buckets).saturating_add(1)),
            next.and_then(|(buckets, element)| block.bytes_with(buckets, element)),
        )
    }

    /// The next resizes, by when those before it were filled, in bytes. Without two such points
    /// they have no time.
    pub fn ahead(&self, points: &[Point], moment: &Moment<'_>) -> Vec<NextResize> {
        let Some((last, before)) = points.split_last() else {
            return Vec::new();
        };
        let size = self.bytes;
        // One that did not double may have been given its size, and says nothing of the next.
        if size < last.filled || size / 3 > last.filled {
            return Vec::new();
        }
        let latest = &before[before.len().saturating_sub(1)..];
        let per_ns = moment.rate(latest, last, 0);
        let since = moment.clock.span(moment.now.saturating_sub(last.ticks));
        let mut plan = moment.plan(size);
        let mut full = size;
        for _ in 0..AHEAD {
            let (at_entries, Some(needs)) = self.next(full) else {
                break;
            };
            let eta = per_ns.zip(since).and_then(|(per_ns, since)| {
                let due = (full - last.filled) as f64 / per_ns;
                let overdue = since as f64 > due * (1.0 + OVERDUE);
                (!overdue).then(|| (due - since as f64).max(0.0))
            });
            plan.add(at_entries, needs, eta);
            full = needs.max(full);
        }
        plan.resizes
    }
}

/// Entries with which another table of the map, of so many bytes, was given up.
fn full_at(content: &Content, bytes: u64) -> Option<u64> {
    let element = content.occupancy.element_bytes?;
    let block = content.block.with_bytes(bytes);
    let shape = block.shapes().find(|shape| shape.takes(element))?;
    Some(capacity_of(shape.buckets).saturating_add(1))
}

/// How a map goes on.
struct Pace {
    /// Entries per nanosecond; `None` when it does not grow, or nobody knows.
    per_ns: Option<f64>,
    slowed: Option<Slowed>,
}

fn per_second(per_ns: f64) -> f64 {
    per_ns * 1e9
}

/// Resizes of one map, with what they leave of the memory there is.
struct Plan {
    left: Option<i128>,
    present: u64,
    ended: bool,
    resizes: Vec<NextResize>,
}

impl Plan {
    /// The old table stays until the new one is filled: so all of the new one must fit beside it.
    fn add(&mut self, at_entries: Option<u64>, needs_bytes: u64, eta: Option<f64>) {
        let short = self.left.map(|left| {
            let short = i128::from(needs_bytes) - left;
            u64::try_from(short).unwrap_or(0)
        });
        let eta = eta.filter(|_| !self.ended);
        self.resizes.push(NextResize {
            at_entries,
            needs_bytes,
            eta_ns: eta.filter(|eta| *eta < 1e19).map(|eta| eta as u64),
            fits: short.map(|short| short == 0),
            short_bytes: short.filter(|&short| short > 0),
        });
        let more = i128::from(needs_bytes) - i128::from(self.present);
        self.left = self.left.map(|left| left - more);
        self.present = needs_bytes;
    }
}
