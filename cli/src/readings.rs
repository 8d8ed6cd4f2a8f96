//! Reads the tables of a running process from outside, into a copy of its recording.
//!
//! The process is neither stopped nor asked. A reading counts only if the recording said before
//! and says afterwards that the block is the same.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use mapgrow_containers::occupancy::memory::{self, Place};
use mapgrow_containers::occupancy::{Limits, Reading};
use mapgrow_format::layout::packed::{LiveOwner, RegionRow};
use mapgrow_format::layout::{header, live, occupancy, region};
use mapgrow_format::reader::{LiveBlock, Recording};
use mapgrow_system::clock;
use mapgrow_system::memory::ProcessMemory;

use crate::load::set_words;
use crate::now::Now;
use crate::quantity;
use crate::recordings::RecordingFile;

/// Processor time that reading may take, unless `MAPGROW_READ_TIME` says otherwise.
const CPU_TIME: Duration = Duration::from_secs(2);
/// Nobody waits longer.
const MOST_CPU_TIME: Duration = Duration::from_secs(24 * 3600);
/// What it may take by the clock, to its processor time: a busy machine lets it wait for its turn.
const MOST_WAITING: u32 = 5;
/// Tables of this size and more come first, since each of them matters.
const LARGE: u64 = 1 << 20;
/// Then come so many of each site and size, which stand for the others.
const SAMPLE: usize = 256;
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
    let Some(pid) = file.pid else {
        return false;
    };
    let group = recording.header(header::GROUP_WIDTH);
    let mut blocks: Vec<LiveBlock> = recording.live().flatten().collect();
    let foreign = recording.header(header::BACKEND) == header::BACKEND_PROGRAM;
    blocks.retain(|block| block.align_log2 < 63 && (foreign || 1 << block.align_log2 >= group));
    blocks.sort_unstable_by_key(|block| std::cmp::Reverse((block.bytes, block.serial)));
    if let Some(first) = blocks.first()
        && !ProcessMemory::of(pid).readable(first.address)
        && lives(file, first)
    {
        return false;
    }
    let reader = Reader { file, pid, group };
    // Twice, with some time between: what was added tells the present rate of growth.
    let mut records = reader.before(&blocks);
    let most = cpu_time();
    let until_cpu = clock::thread_cpu_ns() + most.as_nanos() as u64;
    let begun = Instant::now();
    let over = || clock::thread_cpu_ns() > until_cpu || begun.elapsed() > most * MOST_WAITING;
    let mut skipped = 0;
    let mut first_tables = Vec::new();
    for block in in_order(&blocks) {
        if over() || records.len() == MOST_TABLES {
            skipped += 1;
            continue;
        }
        let Some(reading) = reader.read(block) else {
            continue;
        };
        records.push(reading.encode());
        if block.history.is_none() {
            first_tables.push(block);
        }
    }
    // What was being filled while it was read holds a part of its map. The full table beside it
    // gives it away, unless that was freed before its turn to be read came.
    let filled: HashSet<u64> = first_tables
        .into_iter()
        .filter(|block| filled_since(file, block))
        .map(|block| block.serial)
        .collect();
    records.retain(|record| !filled.contains(&record[occupancy::SERIAL]));
    append(packed, &records, skipped);
    true
}

/// Processor time that reading may take.
fn cpu_time() -> Duration {
    let told = std::env::var("MAPGROW_READ_TIME").ok();
    let told = told.and_then(|told| quantity::ns(&told).ok());
    told.map_or(CPU_TIME, |ns| Duration::from_nanos(ns).min(MOST_CPU_TIME))
}

/// Large tables, then a random sample of each site's, size by size, then the others. Those of one
/// size come in random order: however far reading gets, those that were read are a sample.
fn in_order(blocks: &[LiveBlock]) -> Vec<&LiveBlock> {
    let mixed = |block: &LiveBlock| {
        block
            .serial
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(32)
    };
    let size = |block: &LiveBlock| block.bytes.checked_ilog2().unwrap_or(0);
    let mut order: Vec<&LiveBlock> = blocks.iter().collect();
    order.sort_by_key(|block| (std::cmp::Reverse(size(block)), mixed(block)));
    let mut met: HashMap<(u32, u32), usize> = HashMap::new();
    order.sort_by_cached_key(|block| {
        let before = met.entry((block.site, size(block))).or_default();
        *before += 1;
        match *before {
            _ if block.bytes >= LARGE => 0,
            // One of each at a time.
            ..=SAMPLE => *before,
            _ => SAMPLE + 1,
        }
    });
    order
}

/// Reads tables of one process.
struct Reader<'a> {
    file: &'a RecordingFile,
    pid: u32,
    /// Width of a control group.
    group: u64,
}

impl Reader<'_> {
    fn read(&self, block: &LiveBlock) -> Option<Reading> {
        let limits = Limits {
            seed: block.serial,
            ..Limits::default()
        };
        let memory = ProcessMemory::of(self.pid);
        let place = Place {
            address: block.address,
            bytes: block.bytes,
            align: 1 << block.align_log2,
            group: self.group,
            foreign: self.file.header.word(header::BACKEND) == header::BACKEND_PROGRAM,
        };
        // The time is taken before the bytes are read, so that whatever was done to the map until
        // then is in them.
        let now = Now::read(&self.file.header).filter(|_| lives(self.file, block))?;
        let (survey, foreign) = memory::read(&memory, &place, &limits)?;
        lives(self.file, block).then_some(Reading {
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

/// Whether the recording says now of the block what it said when it was copied. It does not
/// once a resize has ended whose new table the block is: the copy knows nothing of the map that
/// was moved there.
fn lives(file: &RecordingFile, block: &LiveBlock) -> bool {
    let record = |field: usize| record_word(file, block, field);
    // The key first and the generation last: see the recorder's live table.
    key(file, block) == Some(block.address)
        && record(live::SERIAL) == Some(block.serial)
        && record(live::BYTES) == Some(block.bytes)
        && record(live::SITE) == Some(owner(block))
}

/// Whether the block is known by now for the new table of a resize, which the copy did not know.
fn filled_since(file: &RecordingFile, block: &LiveBlock) -> bool {
    let record = |field: usize| record_word(file, block, field);
    key(file, block) == Some(block.address)
        && record(live::SERIAL) == Some(block.serial)
        && record(live::SITE) != Some(owner(block))
}

/// The first word of the block's record, as it was copied.
fn owner(block: &LiveBlock) -> u64 {
    let owner = LiveOwner {
        site: block.site,
        generation: block.generation,
    };
    owner.pack()
}

fn key(file: &RecordingFile, block: &LiveBlock) -> Option<u64> {
    word(file, region::LIVE_KEYS, block.slot)
}

fn record_word(file: &RecordingFile, block: &LiveBlock, field: usize) -> Option<u64> {
    word(file, region::LIVE, block.slot * live::WORDS + field)
}

/// A word of a region as it is now.
fn word(file: &RecordingFile, kind: usize, index: usize) -> Option<u64> {
    let at = (index as u64).checked_mul(8)?;
    let at = at.checked_add(file.header.word(RegionRow::offset_word(kind)))?;
    let mut bytes = [0; 8];
    file.file.read_exact_at(&mut bytes, at).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// Puts the records behind all that `packed` holds, as its occupancy region.
fn append(packed: &mut Vec<u8>, records: &[[u64; occupancy::WORDS]], skipped: u64) {
    let offset = packed.len() as u64;
    for word in records.iter().flatten() {
        packed.extend_from_slice(&word.to_le_bytes());
    }
    let bytes = packed.len() as u64 - offset;
    set_words(
        packed,
        &[
            (RegionRow::offset_word(region::OCCUPANCY), offset),
            (RegionRow::capacity_word(region::OCCUPANCY), bytes),
            (RegionRow::committed_word(region::OCCUPANCY), bytes),
            (header::OCCUPANCY_COUNT, records.len() as u64),
            (header::OCCUPANCY_SKIPPED, skipped),
        ],
    );
}
