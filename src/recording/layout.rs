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

/// First word of every recording: the bytes `MAPGROW\x1a`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MAPGROW\x1a");
/// Layout version. A reader refuses a newer one.
pub const VERSION: u64 = 2;
/// Weight of a block that was recorded with certainty: 1.0 in fixed point.
pub const WEIGHT_ONE: u64 = 256;
/// The site that everything is folded into once the site table is full.
pub const SITE_OVERFLOW: u32 = 0;

/// Words of the header, and of the two strings in it.
pub mod header {
    /// Length of the header.
    pub const WORDS: usize = 1024;

    /// [`super::MAGIC`]. Written last when a recording is set up.
    pub const MAGIC: usize = 0;
    /// [`super::VERSION`].
    pub const VERSION: usize = 1;
    /// Random identity of this recording; part of its file name.
    pub const RECORDING_ID: usize = 2;
    /// `lo32` pid, `hi32` parent pid.
    pub const PID: usize = 3;
    /// Wall clock when recording began, ns since the Unix epoch.
    pub const START_UNIX_NS: usize = 4;
    /// Monotonic clock when recording began, ns.
    pub const START_MONO_NS: usize = 5;
    /// Tick counter when recording began.
    pub const START_TICKS: usize = 6;
    /// Monotonic clock at the latest calibration, ns.
    pub const NOW_MONO_NS: usize = 7;
    /// Tick counter at the latest calibration. Equal to `START_TICKS` before the first one.
    pub const NOW_TICKS: usize = 8;
    /// 0: a tick is one nanosecond of `CLOCK_MONOTONIC`. 1: a tick is one of the CPU's
    /// time-stamp counter.
    pub const TICK_KIND: usize = 9;
    /// `starttime` of the process (field 22 of `/proc/PID/stat`, clock ticks since boot): with
    /// the pid it tells a live process from a later one of the same number. 0 when unknown.
    pub const PROCESS_STARTTIME: usize = 10;
    /// Written from outside: 0 record, 1 pause recording.
    pub const CONTROL: usize = 11;
    /// Bits: see `STATE_*`.
    pub const STATE: usize = 12;
    /// 0 default, 1 exact.
    pub const MODE: usize = 13;
    /// Smallest table, in bytes, that is recorded with certainty.
    pub const FLOOR: usize = 14;
    /// Mean bytes between samples of table-shaped blocks below the floor.
    pub const SAMPLE_TABLES: usize = 15;
    /// Mean bytes between samples of all other blocks below the floor.
    pub const SAMPLE_HEAP: usize = 16;
    /// CPU budget per thread in parts per million; 0 means no budget.
    pub const BUDGET_PPM: usize = 17;
    /// Bound of the whole recording in bytes.
    pub const MAX_MEMORY: usize = 18;
    /// Allocator behind the recorder: see `BACKEND_*`.
    pub const BACKEND: usize = 19;
    /// Signal number that asks for a dump; 0 when none was taken.
    pub const SIGNAL: usize = 20;
    /// Recording id of the process that this one was forked from; 0 when none.
    pub const PARENT_ID: usize = 21;
    /// Width in bytes of hashbrown's control group on the recording machine (16, 8).
    pub const GROUP_WIDTH: usize = 22;
    /// What asked for this copy: see `REASON_*`; 0 in a live recording.
    pub const DUMP_REASON: usize = 23;
    /// Tick counter when this copy was made; 0 in a live recording.
    pub const DUMP_TICKS: usize = 24;
    /// Sequence number of this dump within the process.
    pub const DUMP_SEQ: usize = 25;

    /// Modules registered.
    pub const MODULE_COUNT: usize = 32;
    /// Thread slots handed out.
    pub const THREAD_COUNT: usize = 33;
    /// Sites in use, the overflow site 0 included.
    pub const SITE_COUNT: usize = 34;
    /// Words of the stack pool in use.
    pub const STACK_WORDS: usize = 35;
    /// Edges in use; edge 0 is the overflow edge.
    pub const EDGE_COUNT: usize = 36;
    /// Levels of the live table in use.
    pub const LIVE_LEVELS: usize = 37;
    /// History nodes ever taken from the pool (the free list recycles them).
    pub const HISTORY_USED: usize = 38;
    /// Marks ever set; the mark ring keeps the newest.
    pub const MARK_HEAD: usize = 39;
    /// Records of the occupancy region in use: what was read last.
    pub const OCCUPANCY_COUNT: usize = 40;
    /// Tables that were not read for want of time or room when the region was last filled.
    pub const OCCUPANCY_SKIPPED: usize = 41;

    /// Blocks whose site did not fit: they were counted at the overflow site.
    pub const SITES_FOLDED: usize = 48;
    /// Captures whose stack was cut at the recording's frame bound, or that no unwind
    /// information led out of.
    pub const STACKS_TRUNCATED: usize = 49;
    /// Blocks that should have been recorded and found no room in the live table.
    pub const TABLES_UNTRACKED: usize = 50;
    /// Resizes whose history node found no room (their map's chain is cut there).
    pub const HISTORY_DROPPED: usize = 51;
    /// Resizes that found no room in the edge table: counted at edge 0.
    pub const EDGES_FOLDED: usize = 52;
    /// Blocks at or above the floor that the CPU budget left out.
    pub const BUDGET_SKIPPED: usize = 53;
    /// Bytes of those blocks.
    pub const BUDGET_SKIPPED_BYTES: usize = 54;
    /// Frees of blocks that were inherited from the parent of a fork or allocated before
    /// recording began.
    pub const FREES_UNKNOWN: usize = 55;
    /// Bytes of the recording that are backed by memory.
    pub const COMMITTED_BYTES: usize = 56;
    /// Bytes of private memory that the recorder uses outside the recording (stack memos).
    pub const PRIVATE_BYTES: usize = 57;
    /// Threads that found no slot: their blocks are recorded under slot 0.
    pub const THREADS_FOLDED: usize = 58;
    /// Threads whose slot was handed on after they had ended.
    pub const THREADS_RETIRED: usize = 59;
    /// Heap bytes allocated by retired threads.
    pub const RETIRED_ALLOCATED: usize = 60;
    /// Heap bytes freed by retired threads.
    pub const RETIRED_FREED: usize = 61;
    /// Modules that found no room.
    pub const MODULES_DROPPED: usize = 62;
    /// Unwinds that the built-in unwinder gave up and the fallback unwinder finished.
    pub const UNWIND_FALLBACKS: usize = 63;

    /// Bytes of all recorded live blocks (those with weight 1).
    pub const LIVE_BYTES: usize = 72;
    /// Largest value of `LIVE_BYTES`.
    pub const PEAK_BYTES: usize = 80;
    /// When it was reached, ticks.
    pub const PEAK_TICKS: usize = 81;
    /// Events ever written to the resize ring.
    pub const RESIZE_HEAD: usize = 88;
    /// Events ever written to the birth ring.
    pub const BIRTH_HEAD: usize = 96;
    /// Head of the free list of history nodes: `lo32` node + 1, `hi32` tag against reuse.
    pub const HISTORY_FREE: usize = 104;

    /// Limit of the control group that left the process least, bytes, when this copy was made; 0
    /// when there is none or it is not known, as for the four that follow.
    pub const CGROUP_LIMIT: usize = 112;
    /// Bytes of it in use.
    pub const CGROUP_USED: usize = 113;
    /// Limit of the process' address space, bytes.
    pub const ADDRESS_LIMIT: usize = 114;
    /// Bytes of it in use.
    pub const ADDRESS_USED: usize = 115;
    /// Bytes that the machine had available.
    pub const MACHINE_LEFT: usize = 116;

    /// Region table: [`REGION_WORDS`] words for each of [`super::region::COUNT`] regions.
    pub const REGIONS: usize = 128;
    /// Words per row of the region table: kind, byte offset of the region in this file or
    /// mapping, capacity in bytes, committed bytes (all that may be read).
    pub const REGION_WORDS: usize = 4;

    /// Path of the executable, zero-padded bytes.
    pub const EXE: usize = 256;
    /// Length of [`EXE`].
    pub const EXE_WORDS: usize = 128;
    /// Command line with NUL between arguments, cut at the bound, zero-padded.
    pub const COMMAND: usize = 384;
    /// Length of [`COMMAND`].
    pub const COMMAND_WORDS: usize = 128;

    /// [`STATE`] bit: the process ended in an orderly way and dumped.
    pub const STATE_FINISHED: u64 = 1;
    /// [`STATE`] bit: the recording lies in private memory, no file backs it.
    pub const STATE_PRIVATE: u64 = 2;
    /// [`STATE`] bit: stacks cannot be unwound safely on this system; none are recorded.
    pub const STATE_NO_STACKS: u64 = 4;
    /// [`STATE`] bit: the private fallback was taken because the recording directory already
    /// held its bound of recordings.
    pub const STATE_DIR_FULL: u64 = 8;

    /// [`BACKEND`]: tikv-jemallocator.
    pub const BACKEND_JEMALLOC: u64 = 1;
    /// [`BACKEND`]: a `GlobalAlloc` given by the program.
    pub const BACKEND_CUSTOM: u64 = 2;
    /// [`BACKEND`]: the program's own malloc, behind the preload library.
    pub const BACKEND_PROGRAM: u64 = 3;

    /// [`DUMP_REASON`]: the process exited.
    pub const REASON_EXIT: u64 = 1;
    /// [`DUMP_REASON`]: a signal asked for it.
    pub const REASON_SIGNAL: u64 = 2;
    /// [`DUMP_REASON`]: the program asked for it.
    pub const REASON_API: u64 = 3;
    /// [`DUMP_REASON`]: a reader copied it from outside.
    pub const REASON_OUTSIDE: u64 = 4;
}

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
    /// Number of regions.
    pub const COUNT: usize = 15;
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

/// A call stack from which blocks are allocated, with its exact counts.
///
/// `ALLOCS` to `FREE_BYTES` count blocks of weight 1. The `SAMPLED_*` and `W_*` words are the
/// sums over sampled blocks: `W_*` are unbiased (each block counted with its weight), and the
/// variance of a sum over blocks with sampling probability p is estimated by adding
/// `x^2 * (1 - p) / p^2` for each sampled block (Horvitz-Thompson).
pub mod site {
    /// Words per record.
    pub const WORDS: usize = 128;
    /// Bits 0..32 first word in the stack pool, 32..48 frames, 48..56 entry (`ENTRY_*`), bit 56
    /// stack truncated, bit 63 record complete.
    pub const STACK: usize = 0;
    /// Hash of the stack.
    pub const HASH: usize = 1;
    /// When it was first seen, ticks.
    pub const FIRST_TICKS: usize = 2;
    /// The site that keeps the live and peak figures for this one: itself, or the one that it
    /// shares a growth function with (a vector's first `alloc` and its later `realloc`). `lo32`
    /// the site, [`ROOT_PENDING`] while that is not settled (`lo32` is then the site itself, and
    /// nothing has been counted at it).
    pub const ROOT: usize = 3;
    /// Modules known when the site was created: its addresses belong to the newest of these.
    pub const MODULE_EPOCH: usize = 4;
    /// Bits 0..8 smallest, 8..16 largest log2 of the alignment asked for; 0xFF, 0 when none yet.
    pub const ALIGN: usize = 5;
    /// Smallest block, bytes.
    pub const MIN_BYTES: usize = 6;
    /// Largest block, bytes.
    pub const MAX_BYTES: usize = 7;
    /// Blocks allocated (a `realloc` allocates its new block).
    pub const ALLOCS: usize = 8;
    /// Their bytes.
    pub const ALLOC_BYTES: usize = 9;
    /// Blocks freed that had been allocated here (a `realloc` frees its old block).
    pub const FREES: usize = 10;
    /// Their bytes.
    pub const FREE_BYTES: usize = 11;
    /// Sampled blocks allocated.
    pub const SAMPLED_ALLOCS: usize = 12;
    /// Sum of their weights (fixed point).
    pub const W_ALLOCS: usize = 13;
    /// Sum of weight times bytes (whole bytes).
    pub const W_ALLOC_BYTES: usize = 14;
    /// Variance of `W_ALLOCS`, blocks squared.
    pub const VAR_ALLOCS: usize = 15;
    /// Variance of `W_ALLOC_BYTES`, in units of 2^20 bytes squared.
    pub const VAR_ALLOC_BYTES: usize = 16;
    /// Sampled blocks freed.
    pub const SAMPLED_FREES: usize = 17;
    /// Sum of their weights (fixed point).
    pub const W_FREES: usize = 18;
    /// Sum of weight times bytes.
    pub const W_FREE_BYTES: usize = 19;
    /// Recorded blocks whose map was found late: it existed before, below the floor.
    pub const LATE: usize = 20;
    /// Hash that all sites share which allocate from one function with the same callers; 0 when
    /// it is not known.
    pub const GROUP: usize = 21;
    /// Live bytes of weight 1, kept at the root site.
    pub const LIVE_BYTES: usize = 24;
    /// Largest value of `LIVE_BYTES`.
    pub const PEAK_BYTES: usize = 25;
    /// When it was reached, ticks.
    pub const PEAK_TICKS: usize = 26;
    /// Histogram of blocks by bytes when freed, one 32-bit counter for each power of two
    /// (counter i: 2^i <= bytes < 2^(i+1), the last has no upper bound), two to a word, low half
    /// first. A sampled block counts as many as its weight, rounded. A counter stands still from
    /// 0xF0000000 on.
    pub const FREED_SIZES: usize = 32;
    /// Words of that histogram: 40 counters.
    pub const FREED_SIZES_WORDS: usize = 20;
    /// log2 of ticks per bucket that the series has, or is just being brought to.
    pub const SERIES_SHIFT: usize = 60;
    /// The series, kept at the root. Bits 56..64 of each bucket: log2 of its ticks (t), which lags
    /// behind `SERIES_SHIFT` while the series is brought up; bits 0..56: the largest live bytes + 1
    /// that bucket i saw between `START_TICKS` + (i << t) and `START_TICKS` + ((i + 1) << t), 0
    /// when nothing happened in that time. Where buckets of different t overlap, each is true.
    pub const SERIES: usize = 64;
    /// Buckets of the series.
    pub const SERIES_WORDS: usize = 64;

    /// The block came from `alloc` (`malloc` and kin).
    pub const ENTRY_ALLOC: u64 = 1;
    /// From `alloc_zeroed` (`calloc`).
    pub const ENTRY_ZEROED: u64 = 2;
    /// From `realloc`.
    pub const ENTRY_REALLOC: u64 = 3;
    /// [`ROOT`]: not settled yet.
    pub const ROOT_PENDING: u64 = 1 << 63;
}

/// A way in which one block followed another: from which site to which, joined where.
///
/// For [`KIND_REPLACE`](edge::KIND_REPLACE) a block was allocated and later another freed under
/// one activation of a function, the innermost that both calls have in common. Frame
/// `JOIN` of the new site's stack lies in that function; `FREE_PC` is where the same function
/// was when the old block was freed. If both addresses lie in a container's growth function this
/// is a resize; if the innermost function (inlined ones included) that both have in common is the
/// program's own, it is a rebuild.
pub mod edge {
    /// Words per record.
    pub const WORDS: usize = 96;
    /// Hash of the key (words 1 to 3).
    pub const HASH: usize = 0;
    /// `lo32` new site, `hi32` old site (`u32::MAX`: not recorded, the old block was below the
    /// floor).
    pub const SITES: usize = 1;
    /// Bits 0..16 frame of the new site's stack in which both meet, 16..24 kind (`KIND_*`),
    /// bit 63 record complete.
    pub const JOIN: usize = 2;
    /// Return address, in the function where both meet, of the call that led to the free; 0 when
    /// the function jumped there as its last act (or for `realloc`).
    pub const FREE_PC: usize = 3;
    /// Return address in the next frame inwards on the way to the free; 0 when the function
    /// itself called `dealloc`.
    pub const FREE_CALLEE_PC: usize = 4;
    /// Times seen with weight 1.
    pub const COUNT: usize = 8;
    /// Of these, the new block is larger.
    pub const GROWS: usize = 9;
    /// The new block is smaller.
    pub const SHRINKS: usize = 10;
    /// Sum of old block sizes, bytes.
    pub const OLD_BYTES: usize = 11;
    /// Sum of new block sizes, bytes.
    pub const NEW_BYTES: usize = 12;
    /// Bytes copied: the smaller of old and new, nothing when it stayed in place.
    pub const COPIED_BYTES: usize = 13;
    /// Of `COUNT`: `realloc` that stayed at its address.
    pub const IN_PLACE: usize = 14;
    /// Largest old + new that were live side by side, bytes.
    pub const OVERLAP_PEAK: usize = 15;
    /// When that was, ticks.
    pub const OVERLAP_TICKS: usize = 16;
    /// Sum of pauses, ticks.
    pub const PAUSE_TOTAL: usize = 17;
    /// Longest pause, ticks.
    pub const PAUSE_MAX: usize = 18;
    /// Times seen with a sampled map.
    pub const SAMPLED: usize = 19;
    /// Sum of their weights (fixed point).
    pub const W_COUNT: usize = 20;
    /// Weighted old bytes.
    pub const W_OLD_BYTES: usize = 21;
    /// Weighted new bytes.
    pub const W_NEW_BYTES: usize = 22;
    /// Of `W_COUNT`, growths.
    pub const W_GROWS: usize = 23;
    /// Of `W_COUNT`, shrinks.
    pub const W_SHRINKS: usize = 24;
    /// Estimated variance of `W_COUNT`, in squares of one passage.
    pub const VAR_COUNT: usize = 25;
    /// Histogram of pauses: 128 counters of 32 bits, two to a word, low half first; a counter
    /// stands still from 0xF0000000 on. Bucket bounds are those of [`pause_bucket`](super::pause_bucket).
    pub const PAUSES: usize = 32;
    /// Words of that histogram.
    pub const PAUSES_WORDS: usize = 64;

    /// [`JOIN`]: new block allocated, old one freed, under one activation.
    pub const KIND_REPLACE: u64 = 1;
    /// [`JOIN`]: `realloc`.
    pub const KIND_REALLOC: u64 = 2;
    /// [`JOIN`]: the new block itself was freed under the activation that allocated it: an
    /// aborted growth if that is a growth function, a short life otherwise.
    pub const KIND_ABANDON: u64 = 3;
    /// `old site` of an edge whose old block was not recorded.
    pub const NO_SITE: u32 = u32::MAX;
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

    /// Slots of level 0 of the live table; level k has `LEVEL0_SLOTS << k`, and starts at
    /// slot `LEVEL0_SLOTS * (2^k - 1)`.
    pub const LEVEL0_SLOTS: usize = 4096;
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
    /// (1: stayed in place, 2: sampled).
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

/// What the control bytes of a live block said when they were read: before a dump at exit or for
/// the API, or by whoever copied the recording from outside. Belongs to the live block with the
/// same serial; no such block, no meaning. A block whose size allows several tables is kept with
/// all that its bytes allow, for the reader knows more of it (see [`crate::occupancy`]).
pub mod occupancy {
    /// Words per record.
    pub const WORDS: usize = 40;
    /// Sum over the other words ([`check`]); anything else: being written.
    pub const CHECK: usize = 0;
    /// Serial of the block.
    pub const SERIAL: usize = 1;
    /// When it was read, ticks.
    pub const TICKS: usize = 2;
    /// Bytes of the block.
    pub const BYTES: usize = 3;
    /// Bit n: the block can be a table of `2^n` buckets (n < 48); bits 48..56 the classes that
    /// follow, 56..64 log2 of the alignment asked for.
    pub const POSSIBLE: usize = 4;
    /// Quality of the hash: bits 0..8 verdict (0: none), then three numbers of 16 bits.
    pub const QUALITY: usize = 5;
    /// log2 of the buckets that [`HEAT`] is of, 0 for none; of another container's table: which
    /// (1 CPython's keys, 2 chains) in bits 8..16. The classes are then six numbers: buckets, and
    /// plus one each, 0 for unknown, buckets in use, entries, tombstones, entries that fit, and
    /// entries that can be added.
    pub const KIND: usize = 6;
    /// Classes of possible tables that hold the same: the bits of [`POSSIBLE`] that it stands
    /// for, entries, tombstones, and the standard errors of both (`lo32`, `hi32`).
    pub const CLASSES: usize = 8;
    /// Words of a class.
    pub const CLASS_WORDS: usize = 4;
    /// Most classes kept; of more, those with the most buckets.
    pub const MOST_CLASSES: usize = 4;
    /// How full each part of the table is, a byte each: see [`crate::occupancy::Heat`].
    pub const HEAT: usize = 24;
    /// Words of that.
    pub const HEAT_WORDS: usize = 16;

    /// What [`CHECK`] must be.
    #[must_use]
    pub fn check(words: &[u64]) -> u64 {
        let rest = words.iter().skip(SERIAL);
        rest.fold(0x6D61_7067_726F_7721, |sum, &word| {
            (sum ^ word)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(23)
        })
    }
}

/// Number of counters in a pause histogram.
pub const PAUSE_BUCKETS: usize = 128;
/// Pauses below this many ticks (2^6) share bucket 0.
const PAUSE_FIRST_LOG2: u32 = 6;

/// Bucket of a pause in a histogram: four buckets to each power of two from 2^6 ticks on, so a
/// bucket's bounds lie at most 25 % apart.
#[must_use]
pub fn pause_bucket(ticks: u64) -> usize {
    if ticks < 1 << PAUSE_FIRST_LOG2 {
        return 0;
    }
    let log2 = 63 - ticks.leading_zeros();
    let quarter = (ticks >> (log2 - 2)) & 3;
    let bucket = 1 + ((log2 - PAUSE_FIRST_LOG2) as usize) * 4 + quarter as usize;
    bucket.min(PAUSE_BUCKETS - 1)
}

/// Bounds `[low, high)` in ticks of a bucket of a pause histogram; the last has no upper bound
/// and gives `u64::MAX`.
#[must_use]
pub fn pause_bucket_bounds(bucket: usize) -> (u64, u64) {
    let low = |b: usize| -> u64 {
        let step = (b - 1) as u32;
        (4 + u64::from(step % 4)) << (PAUSE_FIRST_LOG2 - 2 + step / 4)
    };
    match bucket {
        0 => (0, 1 << PAUSE_FIRST_LOG2),
        b if b >= PAUSE_BUCKETS - 1 => (low(PAUSE_BUCKETS - 1), u64::MAX),
        b => (low(b), low(b + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_buckets_tile_the_line() {
        let mut expected_low = 0;
        for bucket in 0..PAUSE_BUCKETS {
            let (low, high) = pause_bucket_bounds(bucket);
            assert_eq!(low, expected_low, "bucket {bucket}");
            assert_eq!(pause_bucket(low), bucket);
            assert_eq!(pause_bucket(high - 1), bucket);
            expected_low = high;
        }
        assert_eq!(expected_low, u64::MAX);
    }

    #[test]
    fn records_do_not_overlap_within_themselves() {
        const { assert!(site::FREED_SIZES + site::FREED_SIZES_WORDS <= site::SERIES_SHIFT) };
        const { assert!(site::SERIES + site::SERIES_WORDS <= site::WORDS) };
        const { assert!(edge::PAUSES + edge::PAUSES_WORDS <= edge::WORDS) };
        const { assert!(edge::PAUSES_WORDS * 2 == PAUSE_BUCKETS) };
        const { assert!(header::REGIONS + region::COUNT * header::REGION_WORDS <= header::EXE) };
        const { assert!(module::PATH + module::PATH_WORDS <= module::WORDS) };
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
