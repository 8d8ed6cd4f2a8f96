//! The layout of a recording: what lies where, in which unit.
//!
//! A recording is one flat run of 64-bit little-endian words. It starts with the header
//! ([`header`]), which holds counters, settings and a table of regions; everything else lies in
//! the regions, each an array of records of a fixed number of words. The same layout serves the
//! mapping that a live process writes, the file that this mapping is backed by, and a dump: a
//! dump only packs the committed part of each region closer together and says so in its region
//! table, so a reader never assumes an offset.
//!
//! Every field is a word index into its record. A word that packs several values is documented
//! with their bit ranges; `lo32`/`hi32` mean bits 0..32 and 32..64. Times are *ticks*: the
//! reader converts them with the calibration pair in the header ([`header::START_TICKS`] and
//! [`header::NOW_TICKS`] against their `MONO_NS` twins). A weight is a fixed-point number in
//! 1/256 ([`WEIGHT_ONE`]).

pub mod edge;
pub mod header;
pub mod occupancy;
pub mod packed;
mod pauses;
pub mod site;

pub use pauses::{PAUSE_BUCKETS, pause_bucket, pause_bucket_bounds};

/// First word of every recording: the bytes `MAPGROW\x1a`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MAPGROW\x1a");
/// Layout version. A reader refuses a newer one.
pub const VERSION: u64 = 5;
/// Weight of a block that was recorded with certainty: 1.0 in fixed point.
pub const WEIGHT_ONE: u64 = 256;
/// The site that everything is folded into once the site table is full.
pub const SITE_OVERFLOW: u32 = 0;

/// Kinds of region; also their row in the region table.
pub mod region {
    /// [`super::module`] records.
    pub const MODULES: usize = 0;
    /// [`super::thread`] records.
    pub const THREADS: usize = 1;
    /// Open-addressed index of sites: `lo32` site + 1, `hi32` hash tag.
    pub const SITE_INDEX: usize = 2;
    /// [`super::site`] records.
    pub const SITES: usize = 3;
    /// Return addresses, innermost first; sites point into it.
    pub const STACKS: usize = 4;
    /// Open-addressed index of edges, as the one of sites.
    pub const EDGE_INDEX: usize = 5;
    /// [`super::edge`] records.
    pub const EDGES: usize = 6;
    /// Addresses of live blocks, 0 when empty; slot i belongs to live record i.
    pub const LIVE_KEYS: usize = 7;
    /// [`super::live`] records.
    pub const LIVE: usize = 8;
    /// [`super::history`] records.
    pub const HISTORY: usize = 9;
    /// [`super::event`] records: what replaced what.
    pub const RESIZES: usize = 10;
    /// [`super::event`] records: tables allocated afresh, abandoned, and dropped.
    pub const BIRTHS: usize = 11;
    /// [`super::mark`] records.
    pub const MARKS: usize = 12;
    /// Open-addressed index of the first site of each group, by [`super::site::GROUP`]; words as
    /// in the index of sites.
    pub const GROUP_INDEX: usize = 13;
    /// [`super::occupancy`] records.
    pub const OCCUPANCY: usize = 14;
    /// [`super::script`] records.
    pub const SCRIPTS: usize = 15;
    /// Open-addressed index of script frames, by [`super::script::KEY`]; words as in the index of
    /// sites.
    pub const SCRIPT_INDEX: usize = 16;
    /// [`super::untold`] records.
    pub const UNTOLD: usize = 17;
    /// Open-addressed index of them, by number; words as in the index of sites.
    pub const UNTOLD_INDEX: usize = 18;
    /// Number of regions.
    pub const COUNT: usize = 19;
}

/// A loaded object. Entries are only ever appended; a later one overrides an earlier one whose
/// addresses it covers (the earlier was unloaded).
pub mod module {
    /// Words per record.
    pub const WORDS: usize = 64;
    /// First mapped address.
    pub const START: usize = 0;
    /// End of the mapped addresses, exclusive.
    pub const END: usize = 1;
    /// Load bias: mapped address minus the address in the file's own tables.
    pub const BIAS: usize = 2;
    /// Bytes of build id, 0 when the object has none (bits 0..8); bit 63 set once complete.
    pub const BUILD_ID_LEN: usize = 3;
    /// Build id, at most 32 bytes.
    pub const BUILD_ID: usize = 4;
    /// Words of build id.
    pub const BUILD_ID_WORDS: usize = 4;
    /// Path, zero-padded; cut at the bound.
    pub const PATH: usize = 8;
    /// Words of path.
    pub const PATH_WORDS: usize = 56;
}

/// A place in the code of an interpreted language that stacks lead through. Stacks have its key
/// where those of machine code have a return address.
pub mod script {
    /// Words per record.
    pub const WORDS: usize = 64;
    /// What stacks have for it: a hash of the code and the place in it, with [`MARK`].
    pub const KEY: usize = 0;
    /// `lo32` line, counted from 1, 0 when it has none; bit 63 set once complete.
    pub const LINE: usize = 1;
    /// Source file, UTF-8, zero-padded. Where it is longer than the bound, its end.
    pub const FILE: usize = 2;
    /// Words of the file.
    pub const FILE_WORDS: usize = 40;
    /// Function, as the file.
    pub const FUNCTION: usize = FILE + FILE_WORDS;
    /// Words of the function.
    pub const FUNCTION_WORDS: usize = WORDS - FUNCTION;

    /// Set in every key, and in no address of a program.
    pub const MARK: u64 = 1 << 63;
}

/// What is known of one thread. Slot 0 stands for threads that found no slot.
pub mod thread {
    /// Words per record.
    pub const WORDS: usize = 32;
    /// `lo32` thread id, bit 63 set while the slot is taken.
    pub const TID: usize = 0;
    /// When its first block was seen, ticks.
    pub const START_TICKS: usize = 1;
    /// Name of the thread, 16 bytes, zero-padded.
    pub const NAME: usize = 2;
    /// Words of the name.
    pub const NAME_WORDS: usize = 2;
    /// Heap bytes allocated by the thread, recorded or not; up to `FLUSH_BYTES` behind.
    pub const ALLOCATED: usize = 4;
    /// Heap bytes freed by the thread; up to `FLUSH_BYTES` behind.
    pub const FREED: usize = 5;
    /// Stack captures.
    pub const CAPTURES: usize = 6;
    /// Captures that the memo verified without unwinding.
    pub const MEMO_HITS: usize = 7;
    /// Memo hits that were unwound all the same, as a check.
    pub const MEMO_CHECKS: usize = 8;
    /// Checks that disagreed.
    pub const MEMO_MISMATCHES: usize = 9;
    /// Ticks spent in the recorder's cold path.
    pub const RECORDER_TICKS: usize = 10;
    /// Blocks recorded.
    pub const RECORDED: usize = 11;
    /// `ALLOCATED` and `FREED` lag by at most this many bytes each.
    pub const FLUSH_BYTES: u64 = 64 * 1024;
}

/// A live block.
pub mod live {
    /// Words per record.
    pub const WORDS: usize = 8;
    /// `lo32` site, `hi32` generation: odd while the record is being written.
    pub const SITE: usize = 0;
    /// Bytes asked for.
    pub const BYTES: usize = 1;
    /// When the block was allocated, ticks.
    pub const TICKS: usize = 2;
    /// Number of this block, unique in the recording.
    pub const SERIAL: usize = 3;
    /// Bits 0..32 newest history node + 1 (0: none), 32..48 thread slot, 48..56 log2 of the
    /// alignment asked for, 56..64 flags (`FLAG_*`).
    pub const LINKS: usize = 4;
    /// `lo32` weight (fixed point), `hi32` blocks that this map had before.
    pub const WEIGHT: usize = 5;
    /// When the map's first recorded block was allocated, ticks.
    pub const BORN_TICKS: usize = 6;
    /// Serial of the map's first recorded block.
    pub const FIRST_SERIAL: usize = 7;

    /// [`LINKS`] flag: the map existed before, unrecorded.
    pub const FLAG_LATE: u64 = 1;
    /// [`LINKS`] flag: the map's history was cut (no room for a node).
    pub const FLAG_HISTORY_CUT: u64 = 2;
    /// [`LINKS`] flag: the block was asked for zeroed.
    pub const FLAG_ZEROED: u64 = 4;
    /// [`LINKS`] flag: recorded only because an earlier, sampled block of the same map was. Such
    /// a block is counted in none of the sums, which would no longer be unbiased.
    pub const FLAG_FOLLOWED: u64 = 8;
    /// [`LINKS`] flag: the block is counted, but its beginning is not on the timeline, and neither
    /// will its end be, unless a `realloc` or a larger table takes its place.
    pub const FLAG_UNTOLD: u64 = 16;

    /// Slots of level 0 of the live table; level k has `LEVEL0_SLOTS << k`, and starts at
    /// slot `LEVEL0_SLOTS * (2^k - 1)`.
    pub const LEVEL0_SLOTS: usize = 4096;
}

/// Blocks of a stretch of the heap that are counted and no more: a word for each place where one may
/// begin. Where such a block has no place here, it is in the live table.
pub mod untold {
    /// Words per record.
    pub const WORDS: usize = BLOCKS + BLOCKS_WORDS;
    /// Number of the stretch + 1: where it begins, in units of [`HEAP_BYTES`].
    pub const NUMBER: usize = 0;
    /// The blocks: word i is 0, or [`super::packed::Untold`] of the block that begins i times
    /// [`STEP`] behind where the stretch does.
    pub const BLOCKS: usize = 8;
    /// Words for blocks.
    pub const BLOCKS_WORDS: usize = HEAP_BYTES / STEP;
    /// Bytes of heap that a record stands for.
    pub const HEAP_BYTES: usize = 64 << 10;
    /// Blocks begin at multiples of this.
    pub const STEP: usize = 16;
    /// Largest block that a word can tell of.
    pub const BYTES_MOST: usize = 1023;
}

/// An earlier table of a live map.
pub mod history {
    /// Words per record.
    pub const WORDS: usize = 4;
    /// `lo32` the node before + 1 (0: none), `hi32` edge by which this table was replaced.
    pub const LINKS: usize = 0;
    /// Bytes of the table.
    pub const BYTES: usize = 1;
    /// Its serial; 0 when it was not recorded.
    pub const SERIAL: usize = 2;
    /// When it was replaced, ticks.
    pub const TICKS: usize = 3;
}

/// An entry of an event ring. Event number n lies in slot n modulo the ring's capacity.
pub mod event {
    /// Words per record.
    pub const WORDS: usize = 8;
    /// Event number + 1, stored last; any other value: not complete, dropped, or overwritten.
    /// Bit 63 while the slot is written.
    pub const SEQ: usize = 0;
    /// When it ended, ticks.
    pub const TICKS: usize = 1;
    /// Serial of the old block; 0 when there is none or it was not recorded. For a mark: its
    /// number.
    pub const OLD_SERIAL: usize = 2;
    /// Serial of the new block; 0 when there is none.
    pub const NEW_SERIAL: usize = 3;
    /// Bytes of the old block.
    pub const OLD_BYTES: usize = 4;
    /// Bytes of the new block.
    pub const NEW_BYTES: usize = 5;
    /// `lo32` edge ([`KIND_REPLACE`], [`KIND_REALLOC`], [`KIND_ABANDON`]) or site
    /// ([`KIND_CREATE`], [`KIND_DROP`]), bits 32..48 thread slot, 48..56 kind, 56..64 flags
    /// (`FLAG_*`).
    pub const WHAT: usize = 6;
    /// Pause in ticks.
    pub const PAUSE: usize = 7;

    /// A block followed another.
    pub const KIND_REPLACE: u64 = 1;
    /// A `realloc`.
    pub const KIND_REALLOC: u64 = 2;
    /// A block was freed under the activation that allocated it.
    pub const KIND_ABANDON: u64 = 3;
    /// A block was allocated. If a [`KIND_REPLACE`] with the same new serial follows, the block
    /// was the new table of a map that existed.
    pub const KIND_CREATE: u64 = 4;
    /// A block was freed for good.
    pub const KIND_DROP: u64 = 5;
    /// The program set a mark.
    pub const KIND_MARK: u64 = 6;

    /// [`WHAT`] flag: a `realloc` that stayed in place.
    pub const FLAG_IN_PLACE: u64 = 1;
    /// [`WHAT`] flag: the map is a sampled one.
    pub const FLAG_SAMPLED: u64 = 2;
    /// [`WHAT`] flag: a [`KIND_CREATE`] that was told when the block's place was taken, long after it
    /// happened: its ticks are older than those of its neighbours in the ring.
    pub const FLAG_TOLD_LATE: u64 = 4;
}

/// A mark set by the program. Mark number n lies in slot n modulo the capacity.
pub mod mark {
    /// Words per record.
    pub const WORDS: usize = 16;
    /// Mark number + 1, stored last; bit 63 while the slot is written.
    pub const SEQ: usize = 0;
    /// When, ticks.
    pub const TICKS: usize = 1;
    /// Thread slot.
    pub const THREAD: usize = 2;
    /// Label, UTF-8, zero-padded; cut at the bound.
    pub const LABEL: usize = 3;
    /// Words of the label.
    pub const LABEL_WORDS: usize = 13;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_do_not_overlap_within_themselves() {
        const { assert!(site::FREED_SIZES + site::FREED_SIZES_WORDS <= site::SERIES_SHIFT) };
        const { assert!(site::SERIES + site::SERIES_WORDS <= site::WORDS) };
        const { assert!(edge::PAUSES + edge::PAUSES_WORDS <= edge::WORDS) };
        const { assert!(edge::PAUSES_WORDS * 2 == PAUSE_BUCKETS) };
        const { assert!(header::REGIONS + region::COUNT * header::REGION_WORDS <= header::EXE) };
        const { assert!(module::PATH + module::PATH_WORDS <= module::WORDS) };
        const { assert!(script::FUNCTION + script::FUNCTION_WORDS <= script::WORDS) };
        const { assert!(occupancy::HEAT + occupancy::HEAT_WORDS <= occupancy::WORDS) };
        const { assert!(mark::LABEL + mark::LABEL_WORDS <= mark::WORDS) };
        const {
            assert!(
                occupancy::CLASSES + occupancy::MOST_CLASSES * occupancy::CLASS_WORDS
                    <= occupancy::HEAT
            );
        };
    }
}
