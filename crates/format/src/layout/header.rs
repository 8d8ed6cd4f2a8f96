//! Words of the header, and of the two strings in it.

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
/// Wall clock when the process began (at its first allocation), ns since the Unix epoch.
pub const START_UNIX_NS: usize = 4;
/// Monotonic clock then, ns.
pub const START_MONO_NS: usize = 5;
/// Tick counter then.
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
/// Threads of the process when this copy was made; 0 when that is not known.
pub const DUMP_THREADS: usize = 27;
/// How often recording was paused; written by whoever writes [`CONTROL`].
pub const PAUSES: usize = 26;
/// What became of the frames of an interpreter in the process: `lo32` see `INTERPRETER_*`, `hi32`
/// the version as the interpreter has it (`PY_VERSION_HEX`); 0 when there is no interpreter that is
/// known.
pub const INTERPRETER: usize = 28;

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
/// Records of the script region in use.
pub const SCRIPT_COUNT: usize = 42;
/// Records of the untold region in use.
pub const UNTOLD_COUNT: usize = 43;

/// Blocks whose site did not fit: they were counted at the overflow site.
pub const SITES_FOLDED: usize = 48;
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
/// Frames of an interpreted language that found no room: their stacks have a key, and no record.
pub const SCRIPTS_DROPPED: usize = 64;

/// Bytes of all recorded live blocks (those with weight 1).
pub const LIVE_BYTES: usize = 72;
/// Largest value of `LIVE_BYTES`.
pub const PEAK_BYTES: usize = 80;
/// When it was reached, ticks.
pub const PEAK_TICKS: usize = 81;
/// Largest sum of `LIVE_BYTES` and the old block of a `realloc` that copied, when both were there.
pub const COPYING_PEAK_BYTES: usize = 82;
/// When that `realloc` ended, ticks.
pub const COPYING_PEAK_TICKS: usize = 83;
/// Largest block that a `realloc` copied from, bytes.
pub const COPIED_MOST: usize = 84;
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

/// What kept the recording smaller than its bound, or out of a file: bits, see `LIMIT_*`.
pub const LIMITED_BY: usize = 120;

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
/// [`STATE`] bit: the kernel does not tell children of `fork` that they are some; nothing is
/// recorded of them.
pub const STATE_FORKS_UNSEEN: u64 = 16;

/// [`STATE`] bit: nothing is to be left once the process has ended; whoever finds the file then
/// may remove it.
pub const STATE_UNWANTED: u64 = 32;

/// [`LIMITED_BY`] bit: the address space (`RLIMIT_AS`, or what lies in it).
pub const LIMIT_ADDRESS_SPACE: u64 = 1;
/// [`LIMITED_BY`] bit: the size that a file may have (`RLIMIT_FSIZE`).
pub const LIMIT_FILE_SIZE: u64 = 2;
/// [`LIMITED_BY`] bit: the memory that may be locked (`RLIMIT_MEMLOCK` after `mlockall`).
pub const LIMIT_LOCKED: u64 = 4;
/// [`LIMITED_BY`] bit: room in the file system of the recording's directory.
pub const LIMIT_FILE_SYSTEM: u64 = 8;
/// [`LIMITED_BY`] bit: the system refused to make the file or to map it (no rights, no
/// descriptor, an old kernel, a sandbox).
pub const LIMIT_REFUSED: u64 = 16;
/// [`LIMITED_BY`] bit: the timeline was left out of this copy, for want of room in the file.
pub const LIMIT_TIMELINE: u64 = 32;
/// [`LIMITED_BY`] bit: a sandbox that the program entered, where nothing can be asked of the
/// system.
pub const LIMIT_SANDBOX: u64 = 64;

/// [`INTERPRETER`]: its frames are read.
pub const INTERPRETER_READ: u64 = 1;
/// [`INTERPRETER`]: where this version keeps its frames is not known.
pub const INTERPRETER_UNKNOWN: u64 = 2;
/// [`INTERPRETER`]: the frames were not where this version keeps them, or could not be looked at.
pub const INTERPRETER_REFUSED: u64 = 3;

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
