//! Growth as it happens: the ring's events go in, what a program is told of each comes out.
//!
//! No report is built for it. What an event is, and of which container, follows from its edge (the
//! places of old and new table, and where their stacks meet), so that is found out when an edge is
//! met first ([`Growth::learn`]), and an event then costs a look at what is known.

use crate::Options;
use crate::facts::Facts;
use crate::facts::elements::narrowed;
use crate::facts::evidence::group_width;
use crate::facts::process::Threads;
use crate::facts::resize_or_rebuild::Relation;
use crate::facts::tick_scale::TickScale;
use crate::figures::contents::Contents;
use crate::figures::forecast::{Moment, Point, Table};
use crate::model::{Caller, EventKind, NextResize};
use crate::rows::sites::caller;
use crate::symbols::Symbolizer;
use foldhash::{HashMap, HashSet};
use mapgrow_containers::classify::catalogue::Family;
use mapgrow_containers::classify::elements::Elements;
use mapgrow_format::headroom::Headroom;
use mapgrow_format::layout::{event, header};
use mapgrow_format::reader::{BlockEvent, Recording};
use std::rc::Rc;
use std::time::Duration;

/// Maps whose growth is remembered, to foretell how they go on: the largest.
const FOLLOWED_MAPS: usize = 256;

/// A resize, as a program is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrowthEvent {
    /// When it was over, since recording began.
    pub at: Duration,
    /// `Grow`, `Shrink` or `Rehash`; `Replace` where the program's symbols cannot tell a resize
    /// from a rebuild.
    pub kind: EventKind,
    /// Bytes of the old table; `None` when it is not known.
    pub old_bytes: Option<u64>,
    /// Bytes of the new table.
    pub new_bytes: u64,
    /// How long the thread was at it.
    pub pause: Option<Duration>,
    /// Thread that did it: name and id.
    pub thread: Option<String>,
    /// Family of the container: `hashbrown`, `raw_vec`...
    pub family: Option<&'static str>,
    /// First frame of the program's own code.
    pub caller: Option<Caller>,
    /// Type of the container, where debug information names it.
    pub type_name: Option<String>,
    /// The resize that the same map comes to next, as far as it can be foretold: of one of the
    /// largest, if it doubled. It is worth an alarm when [`NextResize::fits`] is false: the process
    /// will then be killed, or the allocation fail.
    pub next_resize: Option<NextResize>,
}

/// What a recording says of the present.
pub struct Present {
    clock: TickScale,
    threads: Threads,
    now: u64,
    left: Option<u64>,
}

impl Present {
    /// From the header and the threads' slots; nothing else of the recording is read.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let headroom = Headroom::decode(|word| recording.header(word));
        Self {
            clock: TickScale::of(recording),
            threads: Threads::of(recording),
            now: recording.header(header::NOW_TICKS),
            left: headroom.left().map(|(_, left)| left),
        }
    }
}

/// Containers that are resized, by the edges that their resizes are counted at.
#[derive(Default)]
pub struct Growth {
    edges: HashMap<u32, Edge>,
    /// By the number of the present table.
    trails: HashMap<u64, Trail>,
    group: u64,
}

/// What the events of an edge are.
#[derive(Default)]
struct Edge {
    meaning: Option<Meaning>,
    /// Events met that were none of a container, as far as was known.
    unknown: u64,
    /// Whether more is known by so many that it is worth asking again.
    ask_at: u64,
}

struct Meaning {
    kind: EdgeKind,
    place: Rc<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EdgeKind {
    /// A resize.
    Resize,
    /// A resize or a rebuild.
    Replace,
    /// Neither, unless it is by `realloc`.
    Other,
}

/// Where containers grow.
struct Place {
    family: &'static Family,
    caller: Option<Caller>,
    type_name: Option<String>,
    align: Option<u64>,
    elements: Option<Elements>,
}

/// How a map has grown.
#[derive(Default)]
struct Trail {
    bytes: u64,
    /// When its last tables had been filled, at most two.
    points: Vec<Point>,
}

impl Growth {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether [`learn`](Self::learn) may say more of an event than is known.
    #[must_use]
    pub fn is_new(&self, event: &BlockEvent) -> bool {
        let edge = self.edges.get(&event.what);
        is_replacement(event)
            && edge.is_none_or(|edge| edge.meaning.is_none() && edge.unknown >= edge.ask_at)
    }

    /// Finds out what all edges of a recording are. Takes as long as most of a report.
    pub fn learn(&mut self, recording: &Recording, symbolizer: &mut dyn Symbolizer) {
        let options = Options::default();
        let facts = Facts::of(recording, symbolizer, &options);
        let contents = Contents::of(recording, &facts.analysis, &facts.chains, &facts.clock);
        let place = |group: usize| {
            let group = &facts.places.all[group];
            let fact = facts.analysis.fact(group.first);
            Rc::new(Place {
                family: group.family,
                caller: fact.and_then(caller),
                type_name: group.type_name.clone(),
                align: fact.and_then(|fact| fact.align),
                elements: contents.elements(group.first).cloned(),
            })
        };
        let places: Vec<Rc<Place>> = (0..facts.places.all.len()).map(place).collect();
        self.group = group_width(recording);
        for edge in recording.edges() {
            let group = Some(edge.id).filter(|&id| id != 0);
            let group = group.and_then(|_| facts.places.index(edge.new_site()));
            let kind = match facts.analysis.relation(edge.id) {
                Relation::Resize => EdgeKind::Resize,
                Relation::Replace => EdgeKind::Replace,
                _ => EdgeKind::Other,
            };
            let known = self.edges.entry(edge.id).or_default();
            known.ask_at = known.unknown.saturating_mul(2).max(1);
            known.meaning = group.map(|group| Meaning {
                kind,
                place: Rc::clone(&places[group]),
            });
        }
    }

    /// What a program is told of events, the older first.
    pub fn tell(&mut self, events: &[BlockEvent], present: &Present) -> Vec<GrowthEvent> {
        // A table that has been replaced since tells nothing of the map's next.
        let replaced: HashSet<u64> = events.iter().map(|event| event.old_serial).collect();
        let told = events.iter().filter_map(|event| {
            let is_last = !replaced.contains(&event.new_serial);
            self.tell_one(event, present, is_last)
        });
        told.collect()
    }

    fn tell_one(
        &mut self,
        event: &BlockEvent,
        present: &Present,
        is_last: bool,
    ) -> Option<GrowthEvent> {
        if !is_replacement(event) {
            return None;
        }
        let edge = self.edges.get_mut(&event.what)?;
        let Some(meaning) = &edge.meaning else {
            edge.unknown += 1;
            return None;
        };
        let kind = match meaning.kind {
            EdgeKind::Replace if event.kind == event::KIND_REPLACE => EventKind::Replace,
            EdgeKind::Other if event.kind == event::KIND_REPLACE => return None,
            _ => EventKind::of_sizes(event.old_bytes, event.new_bytes),
        };
        let place = Rc::clone(&meaning.place);
        let points = self.follow(event, kind);
        let next = if is_last && kind == EventKind::Grow {
            self.next_resize(event, &place, &points, present)
        } else {
            None
        };
        let span = |ticks| present.clock.span(ticks).map(Duration::from_nanos);
        let at = present.clock.moment(event.ticks).unwrap_or(0);
        Some(GrowthEvent {
            at: Duration::from_nanos(at),
            kind,
            old_bytes: Some(event.old_bytes),
            new_bytes: event.new_bytes,
            pause: span(event.pause),
            thread: present.threads.label(event.thread, event.ticks),
            family: Some(place.family.name),
            caller: place.caller.clone(),
            type_name: place.type_name.clone(),
            next_resize: next,
        })
    }

    /// Notes a step of a map's growth; when its tables were filled, as far as that is remembered.
    fn follow(&mut self, event: &BlockEvent, kind: EventKind) -> Vec<Point> {
        let before = self.trails.remove(&event.old_serial).unwrap_or_default();
        let mut points = match kind {
            EventKind::Grow => before.points,
            _ => return Vec::new(),
        };
        points.push(Point {
            ticks: event.ticks,
            filled: event.old_bytes,
        });
        if points.len() > 2 {
            points.remove(0);
        }
        if event.new_serial != 0 {
            let trail = Trail {
                bytes: event.new_bytes,
                points: points.clone(),
            };
            self.trails.insert(event.new_serial, trail);
            self.forget_small_maps();
        }
        points
    }

    fn forget_small_maps(&mut self) {
        if self.trails.len() < 2 * FOLLOWED_MAPS {
            return;
        }
        let mut sizes: Vec<u64> = self.trails.values().map(|trail| trail.bytes).collect();
        let at = sizes.len() - FOLLOWED_MAPS;
        let (_, &mut least, _) = sizes.select_nth_unstable(at);
        self.trails.retain(|_, trail| trail.bytes > least);
    }

    fn next_resize(
        &self,
        event: &BlockEvent,
        place: &Place,
        points: &[Point],
        present: &Present,
    ) -> Option<NextResize> {
        let tables = [event.old_bytes, event.new_bytes];
        let elements = place.elements.as_ref();
        let elements = elements.map(|known| narrowed(known, &tables));
        let bytes = event.new_bytes;
        let (family, align) = (place.family, place.align);
        let table = Table::new(family, bytes, align, self.group, elements.as_ref())?;
        let moment = Moment {
            clock: &present.clock,
            now: present.now,
            left: present.left,
            ended: false,
        };
        table.ahead(points, &moment).into_iter().next()
    }
}

fn is_replacement(event: &BlockEvent) -> bool {
    matches!(event.kind, event::KIND_REPLACE | event::KIND_REALLOC)
}
