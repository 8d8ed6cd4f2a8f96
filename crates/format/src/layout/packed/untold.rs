//! A block that is counted and no more, in one word.

/// A word of [`untold::BLOCKS`](super::super::untold::BLOCKS).
///
/// Bits 0..18 site, 18..28 bytes, 28..39 thread slot, bit 39 whether it was asked for zeroed, 40..58
/// and 58..64 mantissa and exponent of its time: as a floating-point number has them, below 2^18 as it
/// is, from there on without the leading one. The word of a block is never 0, for no block has 0 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Untold {
    /// Site that allocated the block.
    pub site: u32,
    /// Bytes asked for.
    pub bytes: u16,
    /// Thread slot.
    pub thread: u16,
    /// Whether it was asked for zeroed.
    pub zeroed: bool,
    /// When it was allocated, ticks after the recording began; rounded down, by less than one part in
    /// 2^18 of it.
    pub elapsed: u64,
}

const SITE_BITS: u32 = 18;
const BYTES_AT: u32 = 18;
const BYTES_BITS: u32 = 10;
const THREAD_AT: u32 = 28;
const THREAD_BITS: u32 = 11;
const ZEROED_AT: u32 = 39;
const MANTISSA_AT: u32 = 40;
const MANTISSA_BITS: u32 = 18;
const EXPONENT_AT: u32 = 58;
/// What a mantissa leaves out.
const LEADING: u64 = 1 << MANTISSA_BITS;

/// The low `bits` of a word.
const fn low(word: u64, bits: u32) -> u64 {
    word & ((1 << bits) - 1)
}

impl Untold {
    /// The word; `None` when a field does not fit in.
    #[inline(always)]
    #[must_use]
    pub const fn pack(self) -> Option<u64> {
        // 0 where the time is what it is, else one more than the bits that are dropped.
        let exponent = (u64::BITS - self.elapsed.leading_zeros()).saturating_sub(MANTISSA_BITS);
        let mantissa = self.elapsed >> exponent.saturating_sub(1);
        let fits = self.site >> SITE_BITS == 0
            && self.bytes != 0
            && self.bytes >> BYTES_BITS == 0
            && self.thread >> THREAD_BITS == 0;
        if !fits {
            return None;
        }
        let word = self.site as u64
            | (self.bytes as u64) << BYTES_AT
            | (self.thread as u64) << THREAD_AT
            | (self.zeroed as u64) << ZEROED_AT
            | low(mantissa, MANTISSA_BITS) << MANTISSA_AT
            | (exponent as u64) << EXPONENT_AT;
        Some(word)
    }

    /// The latest time at which the block may have been allocated.
    #[inline(always)]
    #[must_use]
    pub const fn latest(&self) -> u64 {
        self.elapsed.saturating_add(self.elapsed >> MANTISSA_BITS)
    }

    /// The earliest time that a block may be said to be of that was allocated at this one.
    #[inline(always)]
    #[must_use]
    pub const fn earliest(elapsed: u64) -> u64 {
        elapsed - (elapsed >> MANTISSA_BITS)
    }

    /// What a word holds; `None` when it is 0.
    #[inline(always)]
    #[must_use]
    pub const fn unpack(word: u64) -> Option<Self> {
        if word == 0 {
            return None;
        }
        let mantissa = low(word >> MANTISSA_AT, MANTISSA_BITS);
        let elapsed = match word >> EXPONENT_AT {
            0 => mantissa,
            // As far as a packed word can have it; another has lost some of it.
            exponent => (LEADING | mantissa) << (exponent - 1),
        };
        Some(Self {
            site: low(word, SITE_BITS) as u32,
            bytes: low(word >> BYTES_AT, BYTES_BITS) as u16,
            thread: low(word >> THREAD_AT, THREAD_BITS) as u16,
            zeroed: word >> ZEROED_AT & 1 == 1,
            elapsed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Untold = Untold {
        site: 262_143,
        bytes: 1023,
        thread: 2047,
        zeroed: true,
        elapsed: 524_287,
    };

    #[test]
    fn what_is_packed_comes_out_again() {
        for block in [
            BLOCK,
            Untold {
                zeroed: false,
                ..BLOCK
            },
            Untold { site: 0, ..BLOCK },
            Untold { thread: 0, ..BLOCK },
            Untold {
                elapsed: 0,
                ..BLOCK
            },
        ] {
            assert_eq!(block.pack().and_then(Untold::unpack), Some(block));
        }
        assert_eq!(Untold::unpack(0), None);
    }

    #[test]
    fn times_are_rounded_down_by_little() {
        let powers = (0..62).map(|shift| 1_u64 << shift);
        let times = powers.flat_map(|power| [power - 1, power, power + power / 2 + 1]);
        for elapsed in times.chain([u64::MAX]) {
            let block = Untold { elapsed, ..BLOCK };
            let found = block.pack().and_then(Untold::unpack).expect("it fits");
            let off = elapsed - found.elapsed;
            assert!(off <= elapsed >> 18, "{elapsed}: off by {off}");
            assert!(elapsed <= found.latest(), "{elapsed}: {}", found.latest());
            // What was rounded once stays as it is.
            assert_eq!(found.pack().and_then(Untold::unpack), Some(found));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for block in [
            Untold {
                site: 1 << 18,
                ..BLOCK
            },
            Untold {
                bytes: 1 << 10,
                ..BLOCK
            },
            Untold { bytes: 0, ..BLOCK },
            Untold {
                thread: 1 << 11,
                ..BLOCK
            },
        ] {
            assert_eq!(block.pack(), None, "{block:?}");
        }
    }
}
