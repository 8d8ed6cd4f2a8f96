//! A call stack from which blocks are allocated, with its exact counts.
//!
//! `ALLOCS` to `FREE_BYTES` count blocks of weight 1. The `SAMPLED_*` and `W_*` words are the
//! sums over sampled blocks: `W_*` are unbiased (each block counted with its weight), and the
//! variance of a sum over blocks with sampling probability p is estimated by adding
//! `x^2 * (1 - p) / p^2` for each sampled block (Horvitz-Thompson).

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
/// Of `ALLOCS`, those whose beginning is not on the timeline ([`super::live::FLAG_UNTOLD`]).
pub const UNTOLD_ALLOCS: usize = 22;
/// Of `FREES`, those whose end is not.
pub const UNTOLD_FREES: usize = 23;
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
