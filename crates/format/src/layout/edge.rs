//! A way in which one block followed another: from which site to which, joined where.
//!
//! For [`KIND_REPLACE`] a block was allocated and later another freed under
//! one activation of a function, the innermost that both calls have in common. Frame
//! `JOIN` of the new site's stack lies in that function; `FREE_PC` is where the same function
//! was when the old block was freed. If both addresses lie in a container's growth function this
//! is a resize; if the innermost function (inlined ones included) that both have in common is the
//! program's own, it is a rebuild.

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
