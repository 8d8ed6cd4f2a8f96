//! The most that was live in all recorded blocks: events go in, read backwards, a moment and its bytes
//! come out.

use super::blocks::Blocks;
use super::rings::{complete_from, copies, counted};
use mapgrow_format::layout::{event, header};
use mapgrow_format::reader::{BlockEvent, Recording};

/// The most that was live in all recorded blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub bytes: u64,
    pub ticks: u64,
    /// Whether that was while a `realloc` copied.
    pub copying: bool,
    /// The largest block that a `realloc` copied from.
    pub copied_from: u64,
}

impl Most {
    /// What the recorder saw, or more where a `realloc` copied.
    pub fn of(recording: &Recording, blocks: &Blocks) -> Self {
        let (_, from) = complete_from(recording, blocks);
        let mut most = Self {
            bytes: recording.header(header::PEAK_BYTES),
            ticks: recording.header(header::PEAK_TICKS),
            copying: false,
            copied_from: 0,
        };
        let events = blocks.births.iter().chain(&blocks.resizes);
        let mut events: Vec<&BlockEvent> = events.filter(counted).collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.ticks));
        let mut live = i128::from(recording.header(header::LIVE_BYTES));
        for event in events.into_iter().take_while(|event| event.ticks >= from) {
            let (old, new) = (i128::from(event.old_bytes), i128::from(event.new_bytes));
            let old = if event.old_serial == 0 { 0 } else { old };
            if copies(event) {
                most.copied_from = most.copied_from.max(event.old_bytes);
                let both = u64::try_from(live + old).unwrap_or(0);
                if both > most.bytes {
                    (most.bytes, most.ticks, most.copying) = (both, event.ticks, true);
                }
            }
            live -= match event.kind {
                event::KIND_CREATE => new,
                event::KIND_DROP | event::KIND_REPLACE => -old,
                event::KIND_REALLOC => new - old,
                event::KIND_ABANDON => -new,
                _ => 0,
            };
        }
        most
    }
}
