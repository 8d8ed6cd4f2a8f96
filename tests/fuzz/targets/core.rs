//! Whatever bytes are given as a core file: a sentence, or what was found in it.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use mapgrow_cli::fuzzing;

/// Packed inputs that are longer could stand for more memory than is looked through in seconds:
/// zstd makes 128 KiB of four bytes.
const MOST_PACKED: usize = 2048;
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(ZSTD) && bytes.len() > MOST_PACKED {
        return;
    }
    match fuzzing::looked(bytes) {
        Ok(said) => assert!(!said.is_empty()),
        Err(sentence) => assert!(sentence.contains(' '), "{sentence}"),
    }
});

// Maps are words that agree with each other: every other time a word is replaced by one that could
// be meant, a copy of another (addresses lead to what is there), a neighbour of it, or the mask of a
// table.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let words = size / 8;
    if seed % 2 == 0 || words < 16 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut random = u64::from(seed);
    let mut next = |below: usize| {
        // Xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    next(1);
    for _ in 0..=next(3) {
        let (to, from) = (next(words) * 8, next(words) * 8);
        let word = u64::from_le_bytes(data[from..from + 8].try_into().expect("8 bytes"));
        let new = match next(6) {
            0 | 1 => word,
            2 => word.wrapping_add((next(33) as u64).wrapping_sub(16).wrapping_mul(8)),
            3 => (1_u64 << next(64)) - 1,
            4 => 1 << next(64),
            _ => next(4096) as u64,
        };
        data[to..to + 8].copy_from_slice(&new.to_le_bytes());
    }
    size
});
