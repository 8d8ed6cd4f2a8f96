//! What the control bytes of a live block said when they were read: before a dump at exit or for
//! the API, or by whoever copied the recording from outside. Belongs to the live block with the
//! same serial; no such block, no meaning. A block whose size allows several tables is kept with
//! all that its bytes allow, for the reader knows more of it (see `mapgrow_containers::occupancy`).

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
/// How full each part of the table is, a byte each: see `mapgrow_containers::occupancy::Heat`.
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
