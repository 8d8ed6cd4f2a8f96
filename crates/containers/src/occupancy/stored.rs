//! What was read of a table as a record of the recording, and back.

use super::foreign::{Foreign, ForeignKind};
use super::heat::Heat;
use super::quality::HashQuality;
use super::shape::Block;
use super::survey::{Count, Hypothesis, Survey};
use mapgrow_format::layout::header;
use mapgrow_format::layout::occupancy::{
    BYTES, CHECK, CLASS_WORDS, CLASSES, HEAT, HEAT_WORDS, KIND, MOST_CLASSES, POSSIBLE, QUALITY,
    SERIAL, TICKS, WORDS, check,
};
use mapgrow_format::reader::Recording;

/// Bits of `POSSIBLE` that stand for tables.
const TABLES: u64 = (1 << 48) - 1;

/// What was read of a live block, and when.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Serial of the block.
    pub serial: u64,
    /// When it was read, ticks.
    pub ticks: u64,
    /// What the block can be, if it is hashbrown's.
    pub survey: Survey,
    /// What it is, if it is another container's.
    pub foreign: Option<Foreign>,
}

impl Reading {
    /// What a recording says was read of live tables, as far as its records are whole.
    pub fn of(recording: &Recording) -> impl Iterator<Item = Self> + '_ {
        let group = match recording.header(header::GROUP_WIDTH) {
            8 => 8,
            _ => 16,
        };
        recording
            .occupancy()
            .filter_map(move |record| Self::decode(&record, group))
    }

    /// The record of this reading.
    #[must_use]
    pub fn encode(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        let mut set = |at: usize, value: u64| {
            if let Some(word) = words.get_mut(at) {
                *word = value;
            }
        };
        let block = self.survey.block();
        set(SERIAL, self.serial);
        set(TICKS, self.ticks);
        set(BYTES, block.bytes());
        set(QUALITY, self.survey.quality().map_or(0, |q| q.encode()));
        let mut possible = self.survey.unsaid();
        let mut classes = 0;
        let mut left = 0_u64;
        for hypothesis in self.survey.hypotheses() {
            possible |= hypothesis.shape.buckets;
            left |= hypothesis.shape.buckets;
        }
        possible &= TABLES;
        // Most buckets first: what does not fit is then the least.
        for hypothesis in self.survey.hypotheses().iter().rev() {
            if left & hypothesis.shape.buckets == 0 || classes == MOST_CLASSES {
                continue;
            }
            let same = self.survey.hypotheses().iter().filter(|other| {
                (other.entries, other.tombstones) == (hypothesis.entries, hypothesis.tombstones)
            });
            let mask = same.fold(0, |mask, other| mask | other.shape.buckets) & TABLES;
            left &= !mask;
            let at = CLASSES + classes * CLASS_WORDS;
            let error = |count: Count| count.error.min(u64::from(u32::MAX));
            set(at, mask);
            set(at + 1, hypothesis.entries.value);
            set(at + 2, hypothesis.tombstones.value);
            set(
                at + 3,
                error(hypothesis.entries) | error(hypothesis.tombstones) << 32,
            );
            classes += 1;
        }
        let align = u64::from(block.align().trailing_zeros());
        if let Some(heat) = self.survey.heat() {
            set(KIND, u64::from(heat.buckets().trailing_zeros()));
            for (index, cells) in heat.raw().as_chunks::<8>().0.iter().enumerate() {
                set(HEAT + index, u64::from_le_bytes(*cells));
            }
        }
        if let Some(foreign) = &self.foreign {
            set(KIND, encode_kind(foreign.kind) << 8);
            let known = |figure: Option<u64>| figure.map_or(0, |figure| figure.saturating_add(1));
            set(CLASSES, foreign.buckets);
            let figures = [
                foreign.buckets_used,
                foreign.entries,
                foreign.tombstones,
                foreign.capacity,
                foreign.growth_left,
            ];
            for (index, figure) in figures.into_iter().enumerate() {
                set(CLASSES + 1 + index, known(figure));
            }
        }
        set(POSSIBLE, possible | (classes as u64) << 48 | align << 56);
        let sum = check(&words);
        if let Some(word) = words.get_mut(CHECK) {
            *word = sum;
        }
        words
    }

    /// Reads a record; `None` when it is not whole, or makes no sense. `group` is the width of
    /// the control groups of the recording.
    #[must_use]
    pub fn decode(words: &[u64; WORDS], group: u64) -> Option<Self> {
        let word = |at: usize| words.get(at).copied().unwrap_or(0);
        if word(CHECK) != check(words) {
            return None;
        }
        let header = word(POSSIBLE);
        let foreign = decode_kind(word(KIND) >> 8 & 0xFF).map(|kind| {
            let figure = |index: usize| word(CLASSES + index).checked_sub(1);
            Foreign {
                kind,
                buckets: word(CLASSES),
                buckets_used: figure(1),
                entries: figure(2),
                tombstones: figure(3),
                capacity: figure(4),
                growth_left: figure(5),
            }
        });
        let align = 1_u64.checked_shl((header >> 56) as u32)?;
        let block = Block::new(word(BYTES), Some(align), group)?;
        let mut survey = Survey::new(block);
        let mut unsaid = header & TABLES;
        let classes = ((header >> 48 & 0xFF) as usize).min(MOST_CLASSES);
        let classes = if foreign.is_some() { 0 } else { classes };
        for log2 in 0..48 {
            let class = (0..classes).map(|class| CLASSES + class * CLASS_WORDS);
            let Some(at) = class
                .into_iter()
                .find(|&at| unsaid >> log2 & word(at) >> log2 & 1 != 0)
            else {
                continue;
            };
            unsaid &= !(1 << log2);
            let errors = word(at + 3);
            survey.push(Hypothesis {
                shape: block.shape(log2)?,
                entries: Count {
                    value: word(at + 1),
                    error: errors & u64::from(u32::MAX),
                },
                tombstones: Count {
                    value: word(at + 2),
                    error: errors >> 32,
                },
            });
        }
        survey.set_unsaid(unsaid);
        survey.set_quality(HashQuality::decode(word(QUALITY)));
        let heat_log2 = word(KIND) & 0xFF;
        if (1..48).contains(&heat_log2) {
            let mut cells = [0; HEAT_WORDS * 8];
            for (index, bytes) in cells.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                *bytes = word(HEAT + index).to_le_bytes();
            }
            survey.set_heat(Some(Heat::new(1 << heat_log2, cells)));
        }
        Some(Self {
            serial: word(SERIAL),
            ticks: word(TICKS),
            survey,
            foreign,
        })
    }
}

fn encode_kind(kind: ForeignKind) -> u64 {
    match kind {
        ForeignKind::CpythonKeys => 1,
        ForeignKind::Chains => 2,
        ForeignKind::CpythonSet => 3,
        ForeignKind::Abseil => 4,
    }
}

fn decode_kind(code: u64) -> Option<ForeignKind> {
    match code {
        1 => Some(ForeignKind::CpythonKeys),
        2 => Some(ForeignKind::Chains),
        3 => Some(ForeignKind::CpythonSet),
        4 => Some(ForeignKind::Abseil),
        _ => None,
    }
}
