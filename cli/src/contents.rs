//! Reads the tables of a running process from outside, into a copy of its recording.
//!
//! The process is neither stopped nor asked. A reading counts only if the recording said before
//! and says afterwards that the block is the same.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use mapgrow::occupancy::memory::{self, Place};
use mapgrow::occupancy::{Limits, Reading};
use mapgrow::recording::layout::{header, live, occupancy, region};
use mapgrow::recording::reader::{LiveBlock, Recording};

use crate::clock::Moment;
use crate::load::set_words;
use crate::recordings::RecordingFile;

/// Time that reading may take; the largest tables come first.
const MOST_TIME: Duration = Duration::from_secs(2);
/// Tables read at most.
const MOST_TABLES: usize = 200_000;
/// So many tables are read twice, the largest ones.
const READ_TWICE: usize = 32;
/// Smaller ones are not: what they take when they grow is no harm.
const READ_TWICE_BYTES: u64 = 1 << 20;
/// Time between the two.
const APART: Duration = Duration::from_millis(100);

/// Adds what the live tables hold to `packed`, a copy of the recording `file` of a process that
/// runs. False when the process may not be read.
pub fn read_into(packed: &mut Vec<u8>, file: &RecordingFile) -> bool {
    let Ok(recording) = Recording::parse(packed.clone()) else {
        return true;
    };
    let pid = file.header.pid();
    let group = recording.header(header::GROUP_WIDTH);
    let mut blocks: Vec<LiveBlock> = recording.live().flatten().collect();
    let foreign = recording.header(header::BACKEND) == header::BACKEND_PROGRAM;
    blocks.retain(|block| block.align_log2 < 63 && (foreign || 1 << block.align_log2 >= group));
    blocks.sort_unstable_by_key(|block| std::cmp::Reverse((block.bytes, block.serial)));
    if let Some(first) = blocks.first()
        && !memory::readable(pid, first.address)
        && lives(file, first)
    {
        return false;
    }
    let reader = Reader { file, group };
    // Twice, with some time between: what was added tells the present rate of growth.
    let mut records = reader.before(&blocks);
    let begun = Instant::now();
    let mut skipped = 0;
    for block in &blocks {
        if begun.elapsed() > MOST_TIME || records.len() == MOST_TABLES {
            skipped += 1;
            continue;
        }
        records.extend(reader.read(block).map(|reading| reading.encode()));
    }
    append(packed, &records, skipped);
    true
}

/// Reads tables of one process.
struct Reader<'a> {
    file: &'a RecordingFile,
    /// Width of a control group.
    group: u64,
}

impl Reader<'_> {
    fn read(&self, block: &LiveBlock) -> Option<Reading> {
        let limits = Limits {
            seed: block.serial,
            ..Limits::default()
        };
        let place = Place {
            pid: self.file.header.pid(),
            address: block.address,
            bytes: block.bytes,
            align: 1 << block.align_log2,
            group: self.group,
            foreign: self.file.header.word(header::BACKEND) == header::BACKEND_PROGRAM,
        };
        let read = lives(self.file, block).then(|| memory::read(&place, &limits));
        let (survey, foreign) = read.flatten()?;
        let now = Moment::now(&self.file.header).filter(|_| lives(self.file, block))?;
        Some(Reading {
            serial: block.serial,
            ticks: now.ticks,
            survey,
            foreign,
        })
    }

    /// The largest tables a first time, and then waits so that some time lies between this and
    /// the second time. At once where there is no table whose growth matters.
    fn before(&self, blocks: &[LiveBlock]) -> Vec<[u64; occupancy::WORDS]> {
        let begun = Instant::now();
        let mut records = Vec::new();
        let large = blocks.iter().take(READ_TWICE);
        for block in large.take_while(|block| block.bytes >= READ_TWICE_BYTES) {
            if begun.elapsed() > APART {
                break;
            }
            let maps = |reading: &Reading| !reading.survey.hypotheses().is_empty();
            let read = self.read(block).filter(maps);
            records.extend(read.map(|reading| reading.encode()));
        }
        if !records.is_empty() {
            std::thread::sleep(APART.saturating_sub(begun.elapsed()));
        }
        records
    }
}

/// Whether the recording says now that the block is live, and the same.
fn lives(file: &RecordingFile, block: &LiveBlock) -> bool {
    let word = |kind: usize, index: usize| {
        let region = file
            .header
            .word(header::REGIONS + kind * header::REGION_WORDS + 1);
        let at = (index as u64).checked_mul(8)?.checked_add(region)?;
        let mut bytes = [0; 8];
        file.file.read_exact_at(&mut bytes, at).ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    let record = |field: usize| word(region::LIVE, block.slot * live::WORDS + field);
    // The key first and the generation last: see the recorder's live table.
    word(region::LIVE_KEYS, block.slot) == Some(block.address)
        && record(live::SERIAL) == Some(block.serial)
        && record(live::BYTES) == Some(block.bytes)
        && record(live::SITE).is_some_and(|site| site >> 32 & 1 == 0)
}

/// Puts the records behind all that `packed` holds, as its occupancy region.
fn append(packed: &mut Vec<u8>, records: &[[u64; occupancy::WORDS]], skipped: u64) {
    let offset = packed.len() as u64;
    for word in records.iter().flatten() {
        packed.extend_from_slice(&word.to_le_bytes());
    }
    let bytes = packed.len() as u64 - offset;
    let row = header::REGIONS + region::OCCUPANCY * header::REGION_WORDS;
    set_words(
        packed,
        &[
            (row + 1, offset),
            (row + 2, bytes),
            (row + 3, bytes),
            (header::OCCUPANCY_COUNT, records.len() as u64),
            (header::OCCUPANCY_SKIPPED, skipped),
        ],
    );
}
