//! The timeline: events of both rings and marks go in, a row for each comes out, in the order in which
//! they happened.

use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::facts::resize_or_rebuild::Relation;
use crate::facts::serials::Serials;
use crate::facts::succession::{Move, Successions};
use crate::model::{Event, EventKind};
use foldhash::HashSet;
use mapgrow_format::layout::event;
use mapgrow_format::reader::{BlockEvent, Mark};

pub(crate) fn timeline(
    context: &Context<'_>,
    blocks: &Blocks,
    successions: &Successions,
    marks: &[Mark],
    serials: &Serials,
) -> Vec<Event> {
    // Tables that a map moved into, or that a growth gave up, began no map.
    let no_births: HashSet<u64> = blocks
        .resizes
        .iter()
        .chain(&blocks.births)
        .filter(|event| {
            let relation = context.analysis.relation(event.what);
            match event.kind {
                event::KIND_REPLACE | event::KIND_REALLOC => relation == Relation::Resize,
                event::KIND_ABANDON => relation == Relation::Aborted,
                _ => false,
            }
        })
        .map(|event| event.new_serial)
        .filter(|&serial| serial != 0)
        .collect();
    // Blocks that no figure counts with certainty.
    let samples: HashSet<u64> = blocks
        .births
        .iter()
        .chain(&blocks.resizes)
        .filter(|event| event.flags & event::FLAG_SAMPLED != 0)
        .map(|event| event.new_serial)
        .chain([0])
        .collect();
    let moves = successions.all();
    let no_births: HashSet<u64> = moves
        .iter()
        .map(|moved| moved.new.serial)
        .chain(no_births)
        .collect();
    let mut events = Vec::new();
    let (births, replaced): (Vec<&BlockEvent>, Vec<&BlockEvent>) = blocks
        .births
        .iter()
        .partition(|event| event.kind != event::KIND_ABANDON);
    for event in births {
        let suppressed = ended_by(event, successions).is_some()
            || event.kind == event::KIND_CREATE && no_births.contains(&event.new_serial);
        let order = if event.kind == event::KIND_CREATE {
            0
        } else {
            2
        };
        if let Some(model) = birth(context, event, serials).filter(|_| !suppressed) {
            events.push((event.ticks, order, model));
        }
    }
    for event in blocks.resizes.iter().chain(replaced) {
        let suppressed = ended_by(event, successions).is_some();
        if let Some(model) = resize(context, event, serials).filter(|_| !suppressed) {
            let began = model.map.is_some() && model.old_bytes.is_some() && !model.sampled;
            let late = began && event.new_serial != 0 && samples.contains(&event.old_serial);
            events.push((event.ticks, 1, Event { late, ..model }));
        }
    }
    for event in blocks.births.iter().chain(&blocks.resizes) {
        if let Some(moved) = ended_by(event, successions) {
            events.push((event.ticks, 1, step_by_step(context, event, moved, serials)));
        }
    }
    for mark in marks {
        events.push((mark.ticks, 3, of_mark(context, mark)));
    }
    events.sort_by_key(|&(ticks, order, _)| (ticks, order));
    events.into_iter().map(|(_, _, event)| event).collect()
}

/// What all events have in common.
fn plain(context: &Context<'_>, event: &BlockEvent, kind: EventKind) -> Event {
    Event {
        t_ns: context.clock.moment(event.ticks),
        kind,
        number: matches!(event.kind, event::KIND_REPLACE | event::KIND_REALLOC)
            .then_some(event.number),
        map: None,
        old_map: None,
        site: None,
        thread: context.threads.label(event.thread, event.ticks),
        old_bytes: None,
        new_bytes: None,
        pause_ns: None,
        overlap_ns: None,
        in_place: event.flags & event::FLAG_IN_PLACE != 0,
        late: false,
        sampled: event.flags & event::FLAG_SAMPLED != 0,
        label: None,
    }
}

/// The move of which this event is the end.
fn ended_by<'a>(event: &BlockEvent, successions: &'a Successions) -> Option<&'a Move> {
    let ends = matches!(event.kind, event::KIND_DROP | event::KIND_REPLACE);
    let moved = successions.move_out_of(event.old_serial).filter(|_| ends)?;
    (moved.ended_ticks == event.ticks).then_some(moved)
}

fn step_by_step(
    context: &Context<'_>,
    event: &BlockEvent,
    moved: &Move,
    serials: &Serials,
) -> Event {
    let kind = EventKind::of_sizes(moved.old.bytes, moved.new.bytes);
    Event {
        map: serials.map_of(moved.new.serial),
        site: context.groups.id(moved.new.site),
        old_bytes: Some(moved.old.bytes),
        new_bytes: Some(moved.new.bytes),
        overlap_ns: context.clock.span(moved.both_lived()),
        ..plain(context, event, kind)
    }
}

fn birth(context: &Context<'_>, event: &BlockEvent, serials: &Serials) -> Option<Event> {
    let site = Some(context.groups.id(event.what)?);
    match event.kind {
        event::KIND_CREATE => Some(Event {
            map: serials.map_of(event.new_serial),
            site,
            new_bytes: Some(event.new_bytes),
            ..plain(context, event, EventKind::Create)
        }),
        event::KIND_DROP => Some(Event {
            map: serials.map_of(event.old_serial),
            site,
            old_bytes: Some(event.old_bytes),
            ..plain(context, event, EventKind::Drop)
        }),
        _ => None,
    }
}

fn resize(context: &Context<'_>, event: &BlockEvent, serials: &Serials) -> Option<Event> {
    if event.kind == event::KIND_MARK {
        return None;
    }
    let edge = context.recording.edge(event.what)?;
    let new_site = context.groups.id(edge.new_site()).filter(|_| edge.id != 0);
    let old_site = edge
        .old_site()
        .and_then(|old| context.groups.id(old))
        .filter(|_| edge.id != 0);
    let by_bytes = EventKind::of_sizes(event.old_bytes, event.new_bytes);
    let (kind, site) = match (context.analysis.relation(event.what), event.kind) {
        (_, event::KIND_REALLOC) | (Relation::Resize, _) => (by_bytes, new_site?),
        (Relation::Rebuild, _) => (EventKind::Rebuild, new_site?),
        (Relation::Replace, _) => (EventKind::Replace, new_site?),
        (Relation::Aborted, _) => (EventKind::Aborted, new_site?),
        (Relation::Unrelated, event::KIND_ABANDON) => (EventKind::Drop, new_site?),
        (Relation::Unrelated, _) => (EventKind::Drop, old_site?),
        (Relation::Unknown, _) => return None,
    };
    let model = Event {
        site: Some(site),
        ..plain(context, event, kind)
    };
    let took = context.clock.span(event.pause);
    let (pause_ns, overlap_ns) = match context.analysis.moves_little_by_little(event.what) {
        true => (None, took),
        false => (took, None),
    };
    Some(match (kind, event.kind) {
        // The block that was freed is the new one.
        (EventKind::Drop, event::KIND_ABANDON) => Event {
            map: serials.map_of(event.new_serial),
            old_bytes: Some(event.new_bytes),
            ..model
        },
        (EventKind::Drop, _) => Event {
            map: serials.map_of(event.old_serial),
            old_bytes: Some(event.old_bytes),
            ..model
        },
        (EventKind::Aborted, _) => Event {
            new_bytes: Some(event.new_bytes),
            pause_ns,
            ..model
        },
        _ => {
            let old_map = matches!(kind, EventKind::Rebuild | EventKind::Replace);
            Event {
                map: serials.map_of(event.new_serial),
                old_map: serials.map_of(event.old_serial).filter(|_| old_map),
                old_bytes: Some(event.old_bytes),
                new_bytes: Some(event.new_bytes),
                pause_ns,
                overlap_ns,
                ..model
            }
        }
    })
}

fn of_mark(context: &Context<'_>, mark: &Mark) -> Event {
    Event {
        t_ns: context.clock.moment(mark.ticks),
        kind: EventKind::Mark,
        map: None,
        old_map: None,
        site: None,
        thread: context.threads.label(mark.thread, mark.ticks),
        old_bytes: None,
        new_bytes: None,
        pause_ns: None,
        overlap_ns: None,
        in_place: false,
        late: false,
        sampled: false,
        number: None,
        label: Some(mark.label.clone()),
    }
}
