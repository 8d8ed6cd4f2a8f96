//! A thread's memory of the stacks it has seen, with what is needed to prove that one of them is
//! the present one. The proof is in the [module above](super).
//!
//! **Finding the candidate.** Stacks that start from the same pc and stack pointer form a tree.
//! Its root is found by hash. Where the present stack differs from an entry at word k, it is
//! known that both agree up to there, and what the present word k is: (entry, k, that value)
//! leads, by hash again, to the entry that was made the last time the stack turned off there.
//! The comparison goes on behind word k. So no word is compared twice, and alternating between
//! any number of stacks costs a lookup for each place where they part, not a miss.

mod room;

use super::walk::{MAX_WORDS, Scratch, Word, read};
use super::{MAX_RETURNS, Registers, Return};

/// Entries kept.
pub(super) const ENTRIES: usize = 128;
/// Words and returns that all entries together have room for.
const POOL: usize = 8192;
/// Sets of the index, each of `WAYS` entries.
const SETS: usize = 256;
const WAYS: usize = 4;
/// Keys remembered of stacks that were not kept: such a stack is kept when it comes again.
const TURNED_AWAY: usize = 4;
/// Marks the key of a branch, where a root has a stack pointer.
const BRANCH: u64 = 1 << 63;
/// Bits of a branch's key that hold the word's number.
const WORD_BITS: u32 = 11;

const _: () = assert!(MAX_WORDS < 1 << WORD_BITS);
const _: () = assert!(ENTRIES <= u8::MAX as usize);
const _: () = assert!((MAX_WORDS + MAX_RETURNS) * 4 <= POOL);
const _: () = assert!(size_of::<Word>() == size_of::<Return>());

/// By what an entry is found.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    /// Root: pc. Branch: the value of the word where it parts from its parent.
    first: u64,
    /// Root: stack pointer. Branch: `BRANCH`, the parent's serial, the word's number.
    second: u64,
}

impl Key {
    fn root(start: &Registers) -> Key {
        Key {
            first: start.pc,
            second: start.sp,
        }
    }

    fn branch(parent: u64, word: usize, value: u64) -> Key {
        Key {
            first: value,
            second: BRANCH | (parent << WORD_BITS) | word as u64,
        }
    }

    /// The parent's serial and the word's number, of a branch.
    fn parent(self) -> Option<(u64, usize)> {
        let (parent, word) = (self.second & !BRANCH, self.second & ((1 << WORD_BITS) - 1));
        (self.second & BRANCH != 0).then_some((parent >> WORD_BITS, word as usize))
    }

    #[inline]
    fn set(self) -> usize {
        let mixed = (self.first ^ self.second.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 56) as usize % SETS
    }
}

/// An entry: a stack that was seen. Its words lie in the pool, and behind them its returns.
pub(super) struct Entry {
    key: Key,
    /// Number of the entry, never used again; 0: empty.
    pub(super) serial: u64,
    /// Where it lies in the pool, counted from the first entry ever.
    position: u64,
    /// Words to compare.
    words: u16,
    /// Returns behind them.
    returns: u16,
    /// Branches that part from this entry.
    branches: u16,
    pub(super) truncated: bool,
    /// It leads through functions of a script.
    scripted: bool,
    pub(super) caller_function_start: u64,
    /// Site that the recorder has noted for this stack; 0: none yet.
    pub(super) site: u32,
}

/// What a lookup found.
pub(super) enum Probe {
    /// This entry is the present stack.
    Hit(usize),
    /// None is. The nearest one is the entry with this serial (0: no root), which the present
    /// stack parts from at this word, where it has this value.
    Miss {
        parent: u64,
        word: usize,
        value: u64,
    },
}

impl Probe {
    /// Nothing like it was ever seen.
    pub(super) const NOTHING: Probe = Probe::Miss {
        parent: 0,
        word: 0,
        value: 0,
    };

    /// The key under which the stack that was looked for belongs.
    fn key(&self, start: &Registers) -> Key {
        match *self {
            Probe::Miss {
                parent,
                word,
                value,
            } if parent != 0 => Key::branch(parent, word, value),
            _ => Key::root(start),
        }
    }
}

/// A thread's memo. All-zero is the empty one.
pub(super) struct Memo {
    entries: [Entry; ENTRIES],
    /// Entry number + 1, by key; 0: empty. May be out of date: the entry's key decides.
    index: [[u8; WAYS]; SETS],
    pool: [Word; POOL],
    /// Serial of the newest entry.
    newest: u64,
    /// Serial of the oldest entry that is still there, or of the next one.
    oldest: u64,
    /// Where the next entry will lie.
    head: u64,
    /// State of a generator of random numbers, for what to keep.
    random: u64,
    /// The keys that the last stacks would have had that were not kept.
    turned_away: [Key; TURNED_AWAY],
}

/// The entry number that a serial stands for.
fn number(serial: u64) -> usize {
    serial as usize % ENTRIES
}

impl Memo {
    /// The entry with this key.
    #[inline]
    fn find(&self, key: Key) -> Option<usize> {
        let set = self.index[key.set()];
        for way in set {
            let number = usize::from(way).wrapping_sub(1);
            if let Some(entry) = self.entries.get(number)
                && entry.key == key
            {
                return Some(number);
            }
        }
        None
    }

    /// The words of an entry.
    #[inline]
    fn words(&self, entry: &Entry) -> &[Word] {
        let first = entry.position as usize % POOL;
        self.pool
            .get(first..first + usize::from(entry.words))
            .unwrap_or(&[])
    }

    /// Looks for the stack that starts from these registers.
    ///
    /// # Safety
    /// They must have been captured in a frame of the calling thread that is still active, and
    /// lie where they lay when the entries were made (their frame pointer is a word).
    #[inline]
    pub(super) unsafe fn probe(&self, start: &Registers) -> Probe {
        let Some(mut number) = self.find(Key::root(start)) else {
            return Probe::NOTHING;
        };
        let mut compared = 0;
        loop {
            let Some(entry) = self.entries.get(number) else {
                return Probe::NOTHING;
            };
            let differs = |word: &Word| {
                // SAFETY: a walk from the present registers would read this word, because it
                // would have read the same values so far (see the proof).
                unsafe { read(word.address) != word.value }
            };
            let rest = self.words(entry).get(compared..).unwrap_or(&[]);
            let mut behind = rest.iter();
            let Some(word) = behind.find(|word| differs(word)) else {
                return Probe::Hit(number);
            };
            let at = compared + rest.len() - behind.len() - 1;
            // SAFETY: it was just read.
            let value = unsafe { read(word.address) };
            match self.find(Key::branch(entry.serial, at, value)) {
                Some(branch) => number = branch,
                None => {
                    return Probe::Miss {
                        parent: entry.serial,
                        word: at,
                        value,
                    };
                }
            }
            compared = at + 1;
        }
    }

    /// Whether the recorder has no site for an entry yet that leads through functions of a script: it
    /// will ask for these, which only a walk tells.
    #[inline]
    pub(super) fn is_untold(&self, number: usize) -> bool {
        let entry = self.entries.get(number);
        entry.is_some_and(|entry| entry.site == 0 && entry.scripted)
    }

    /// The site of an entry.
    #[inline(always)]
    pub(super) fn site(&self, number: usize) -> Option<u32> {
        self.entries.get(number)?.site.checked_sub(1)
    }

    /// An entry's stack, and the rest of it.
    pub(super) fn entry(&mut self, number: usize) -> Option<(&[Return], &mut Entry)> {
        let entry = self.entries.get_mut(number)?;
        let first = entry.position as usize % POOL + usize::from(entry.words);
        let returns = self.pool.get(first..first + usize::from(entry.returns))?;
        // SAFETY: both are two words without padding, valid for any bits, in this order.
        let returns = unsafe {
            core::slice::from_raw_parts(returns.as_ptr().cast::<Return>(), returns.len())
        };
        Some((returns, entry))
    }

    /// Whether an entry says what a fresh walk says.
    pub(super) fn agrees(&mut self, number: usize, fresh: &Scratch) -> bool {
        let same_words = match self.entries.get(number) {
            Some(entry) => self.words(entry) == fresh.words(),
            None => false,
        };
        same_words
            && self.entry(number).is_some_and(|(returns, entry)| {
                returns == fresh.returns()
                    && entry.truncated == fresh.truncated()
                    && entry.caller_function_start == fresh.caller_function_start
            })
    }
}
