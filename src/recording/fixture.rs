//! Recordings composed by hand, for tests of whatever reads them. Not part of the API.
//!
//! [`RecordingBuilder`] writes records word by word as [`layout`] defines them and keeps no
//! counts of its own; [`Program`] goes one step further and books allocations, resizes and
//! frees as a recorder would.
#![forbid(unsafe_code)]

mod program;

pub use program::{Block, Program};

use crate::occupancy::Reading;
use crate::recording::layout::{
    self, WEIGHT_ONE, edge, event, header, history, live, mark, module, occupancy, region, site,
    thread,
};

/// Start of recording in ticks of a built recording.
pub const START_TICKS: u64 = 1_000_000;

/// Composes a recording.
#[derive(Debug, Clone)]
pub struct RecordingBuilder {
    header: Vec<u64>,
    regions: Vec<Vec<u64>>,
    /// Capacity of a region in words where it differs from what is used.
    capacity: [Option<usize>; region::COUNT],
    /// Regions of a live file have room beyond what is committed.
    slack_words: usize,
}

impl Default for RecordingBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordingBuilder {
    /// An empty recording: the overflow site and edge, thread slot 0, ticks of 1 ns.
    #[must_use]
    pub fn new() -> Self {
        let mut builder = Self {
            header: vec![0; header::WORDS],
            regions: vec![Vec::new(); region::COUNT],
            capacity: [None; region::COUNT],
            slack_words: 0,
        };
        for (word, value) in [
            (header::MAGIC, layout::MAGIC),
            (header::VERSION, layout::VERSION),
            (header::RECORDING_ID, 0x1234_5678_9ABC_DEF0),
            (header::PID, 7 << 32 | 4242),
            (header::START_UNIX_NS, 1_760_000_000_000_000_000),
            (header::START_MONO_NS, START_TICKS),
            (header::START_TICKS, START_TICKS),
            (header::NOW_MONO_NS, START_TICKS),
            (header::NOW_TICKS, START_TICKS),
            (header::FLOOR, 1024),
            (header::SAMPLE_TABLES, 64 * 1024),
            (header::SAMPLE_HEAP, 512 * 1024),
            (header::BUDGET_PPM, 10_000),
            (header::MAX_MEMORY, 64 << 20),
            (header::BACKEND, header::BACKEND_JEMALLOC),
            (header::GROUP_WIDTH, 16),
            (header::COMMITTED_BYTES, 2 << 20),
        ] {
            builder.set(word, value);
        }
        builder.push(region::SITES, site::WORDS);
        builder.push(region::EDGES, edge::WORDS);
        builder.push(region::THREADS, thread::WORDS);
        builder.exe("/usr/bin/demo", &["demo"]);
        builder
    }

    /// Sets a word of the header.
    pub fn set(&mut self, word: usize, value: u64) -> &mut Self {
        self.header[word] = value;
        self
    }

    /// Adds to a word of the header.
    pub fn add(&mut self, word: usize, value: u64) -> &mut Self {
        self.header[word] += value;
        self
    }

    /// Leaves room after each region, as a live recording does.
    pub fn slack(&mut self, words: usize) -> &mut Self {
        self.slack_words = words;
        self
    }

    /// Gives the ring `kind` (a region of events or marks) room for `records`.
    pub fn ring(&mut self, kind: usize, records: usize) -> &mut Self {
        let words = if kind == region::MARKS {
            mark::WORDS
        } else {
            event::WORDS
        };
        self.capacity[kind] = Some(records * words);
        self
    }

    /// Executable and command line.
    pub fn exe(&mut self, path: &str, command: &[&str]) -> &mut Self {
        write_text(&mut self.header, header::EXE, header::EXE_WORDS, path);
        write_text(
            &mut self.header,
            header::COMMAND,
            header::COMMAND_WORDS,
            &command.join("\0"),
        );
        self
    }

    /// A loaded object; returns its number.
    pub fn module(&mut self, start: u64, end: u64, path: &str) -> usize {
        let index = self.push(region::MODULES, module::WORDS);
        let record = self.record(region::MODULES, module::WORDS, index);
        record[module::START] = start;
        record[module::END] = end;
        record[module::BIAS] = start;
        record[module::BUILD_ID_LEN] = 1 << 63;
        write_text(record, module::PATH, module::PATH_WORDS, path);
        index
    }

    /// Gives a loaded object its build id, of which at most 32 bytes are kept.
    pub fn build_id(&mut self, module: usize, id: &[u8]) -> &mut Self {
        let kept = &id[..id.len().min(module::BUILD_ID_WORDS * 8)];
        let record = self.record(region::MODULES, module::WORDS, module);
        record[module::BUILD_ID_LEN] = 1 << 63 | kept.len() as u64;
        for (index, &byte) in kept.iter().enumerate() {
            record[module::BUILD_ID + index / 8] |= u64::from(byte) << (index % 8 * 8);
        }
        self
    }

    /// A thread; returns its slot.
    pub fn thread(&mut self, tid: u32, name: &str, allocated: u64, freed: u64) -> u16 {
        let slot = self.push(region::THREADS, thread::WORDS);
        let record = self.record(region::THREADS, thread::WORDS, slot);
        record[thread::TID] = 1 << 63 | u64::from(tid);
        record[thread::START_TICKS] = START_TICKS;
        write_text(record, thread::NAME, thread::NAME_WORDS, name);
        record[thread::ALLOCATED] = allocated;
        record[thread::FREED] = freed;
        slot as u16
    }

    /// A site with these return addresses, innermost first; returns its number.
    pub fn site(&mut self, entry: u64, frames: &[u64]) -> u32 {
        let first = self.regions[region::STACKS].len() as u64;
        self.regions[region::STACKS].extend_from_slice(frames);
        let id = self.push(region::SITES, site::WORDS);
        let modules = self.records(region::MODULES, module::WORDS) as u64;
        let record = self.record(region::SITES, site::WORDS, id);
        record[site::STACK] = 1 << 63 | entry << 48 | (frames.len() as u64) << 32 | first;
        record[site::FIRST_TICKS] = START_TICKS;
        record[site::ROOT] = id as u64;
        record[site::MODULE_EPOCH] = modules;
        record[site::ALIGN] = 0xFF;
        record[site::MIN_BYTES] = u64::MAX;
        record[site::SERIES_SHIFT] = 20;
        id as u32
    }

    /// An edge; returns its number.
    pub fn edge(&mut self, kind: u64, old: Option<u32>, new: u32, join: u16, free_pc: u64) -> u32 {
        let id = self.push(region::EDGES, edge::WORDS);
        let record = self.record(region::EDGES, edge::WORDS, id);
        record[edge::SITES] = u64::from(old.unwrap_or(edge::NO_SITE)) << 32 | u64::from(new);
        record[edge::JOIN] = 1 << 63 | kind << 16 | u64::from(join);
        record[edge::FREE_PC] = free_pc;
        id as u32
    }

    /// The words of a site.
    pub fn site_words(&mut self, id: u32) -> &mut [u64] {
        self.record(region::SITES, site::WORDS, id as usize)
    }

    /// The words of an edge.
    pub fn edge_words(&mut self, id: u32) -> &mut [u64] {
        self.record(region::EDGES, edge::WORDS, id as usize)
    }

    /// The words of a thread slot.
    pub fn thread_words(&mut self, slot: u16) -> &mut [u64] {
        self.record(region::THREADS, thread::WORDS, slot as usize)
    }

    /// A live record at `address`; returns its words, filled as those of a block of weight 1
    /// without a past.
    pub fn live(&mut self, address: u64, site: u32, bytes: u64, serial: u64) -> &mut [u64] {
        self.regions[region::LIVE_KEYS].push(address);
        let slot = self.push(region::LIVE, live::WORDS);
        let record = self.record(region::LIVE, live::WORDS, slot);
        record[live::SITE] = u64::from(site);
        record[live::BYTES] = bytes;
        record[live::TICKS] = START_TICKS;
        record[live::SERIAL] = serial;
        record[live::LINKS] = 4 << 48;
        record[live::WEIGHT] = WEIGHT_ONE;
        record[live::BORN_TICKS] = START_TICKS;
        record[live::FIRST_SERIAL] = serial;
        record
    }

    /// What was read of a live table.
    pub fn reading(&mut self, reading: &Reading) {
        let record = self.push(region::OCCUPANCY, occupancy::WORDS);
        self.record(region::OCCUPANCY, occupancy::WORDS, record)
            .copy_from_slice(&reading.encode());
        self.add(header::OCCUPANCY_COUNT, 1);
    }

    /// A history node; returns its number.
    pub fn history(
        &mut self,
        before: Option<u32>,
        edge: u32,
        bytes: u64,
        serial: u64,
        ticks: u64,
    ) -> u32 {
        let node = self.push(region::HISTORY, history::WORDS);
        let record = self.record(region::HISTORY, history::WORDS, node);
        record[history::LINKS] =
            u64::from(edge) << 32 | before.map_or(0, |node| u64::from(node) + 1);
        record[history::BYTES] = bytes;
        record[history::SERIAL] = serial;
        record[history::TICKS] = ticks;
        node as u32
    }

    /// An event; `fields` are words 1 to 7 of its record. Overwrites the oldest in a full ring.
    pub fn event(&mut self, kind: usize, fields: [u64; 7]) -> &mut Self {
        let head = if kind == region::RESIZES {
            header::RESIZE_HEAD
        } else {
            header::BIRTH_HEAD
        };
        let number = self.header[head];
        self.header[head] += 1;
        let mut record = vec![number + 1];
        record.extend_from_slice(&fields);
        self.put_in_ring(kind, event::WORDS, number, &record);
        self
    }

    /// A mark.
    pub fn mark(&mut self, ticks: u64, thread: u16, label: &str) -> &mut Self {
        let number = self.header[header::MARK_HEAD];
        self.header[header::MARK_HEAD] += 1;
        let mut record = vec![0; mark::WORDS];
        record[mark::SEQ] = number + 1;
        record[mark::TICKS] = ticks;
        record[mark::THREAD] = u64::from(thread);
        write_text(&mut record, mark::LABEL, mark::LABEL_WORDS, label);
        self.put_in_ring(region::MARKS, mark::WORDS, number, &record);
        self
    }

    fn put_in_ring(&mut self, kind: usize, words: usize, number: u64, record: &[u64]) {
        let capacity = self.capacity[kind].map_or(u64::MAX, |all| (all / words) as u64);
        let start = (number % capacity) as usize * words;
        let ring = &mut self.regions[kind];
        if ring.len() < start + words {
            ring.resize(start + words, 0);
        }
        ring[start..start + words].copy_from_slice(record);
    }

    /// The bytes of the recording.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut words = self.header.clone();
        for (counter, kind, record) in [
            (header::MODULE_COUNT, region::MODULES, module::WORDS),
            (header::THREAD_COUNT, region::THREADS, thread::WORDS),
            (header::SITE_COUNT, region::SITES, site::WORDS),
            (header::STACK_WORDS, region::STACKS, 1),
            (header::EDGE_COUNT, region::EDGES, edge::WORDS),
            (header::HISTORY_USED, region::HISTORY, history::WORDS),
        ] {
            words[counter] = self.records(kind, record) as u64;
        }
        let slots = self.regions[region::LIVE_KEYS].len();
        let mut levels = 0;
        while live::LEVEL0_SLOTS * ((1 << levels) - 1) < slots {
            levels += 1;
        }
        words[header::LIVE_LEVELS] = levels as u64;
        for (kind, data) in self.regions.iter().enumerate() {
            let row = header::REGIONS + kind * header::REGION_WORDS;
            let capacity = self.capacity[kind].unwrap_or(data.len() + self.slack_words);
            let offset = words.len() * 8;
            words[row] = kind as u64;
            words[row + 1] = offset as u64;
            words[row + 2] = (capacity * 8) as u64;
            words[row + 3] = (data.len() * 8) as u64;
            words.extend_from_slice(data);
            words.resize(words.len() + self.slack_words, 0);
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn push(&mut self, kind: usize, words: usize) -> usize {
        let index = self.records(kind, words);
        let length = self.regions[kind].len() + words;
        self.regions[kind].resize(length, 0);
        index
    }

    fn records(&self, kind: usize, words: usize) -> usize {
        self.regions[kind].len() / words
    }

    fn record(&mut self, kind: usize, words: usize, index: usize) -> &mut [u64] {
        &mut self.regions[kind][index * words..(index + 1) * words]
    }
}

/// Writes text into words, cut at the bound.
fn write_text(words: &mut [u64], first: usize, length: usize, text: &str) {
    for word in &mut words[first..first + length] {
        *word = 0;
    }
    for (index, &byte) in text.as_bytes().iter().take(length * 8).enumerate() {
        words[first + index / 8] |= u64::from(byte) << (index % 8 * 8);
    }
}
