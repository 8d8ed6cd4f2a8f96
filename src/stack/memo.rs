//! A thread's memory of the stacks it has seen, with what is needed to prove that one of them is
//! the present one. The proof is in the [module above](super).
//!
//! **Finding the candidate.** Stacks that start from the same pc and stack pointer form a tree.
//! Its root is found by hash. Where the present stack differs from an entry at word k, it is
//! known that both agree up to there, and what the present word k is: (entry, k, that value)
//! leads, by hash again, to the entry that was made the last time the stack turned off there.
//! The comparison goes on behind word k. So no word is compared twice, and alternating between
//! any number of stacks costs a lookup for each place where they part, not a miss.
//!
//! **Making room.** Entries lie in a ring, each with as many words as it needs, and the oldest
//! goes first; its place in the tree goes to the branch that parts from it last, which the other
//! branches fit onto as they did before. When the ring is full only one new stack in
//! `KEEP_ONE_IN` is kept, so that a program that goes through more stacks than there is room for
//! still finds most of those that fit, instead of pushing out each just before it comes again. One
//! that comes again soon after it was not kept is.

use super::walk::{MAX_WORDS, Scratch, Word, read};
use super::{MAX_RETURNS, Registers, Return};

/// Entries kept.
pub(super) const ENTRIES: usize = 128;
/// Words and returns that all entries together have room for.
const POOL: usize = 8192;
/// Sets of the index, each of `WAYS` entries.
const SETS: usize = 256;
const WAYS: usize = 4;
/// When there is no room, one new stack in so many is kept.
const KEEP_ONE_IN: u64 = 4;
/// How many of the others are remembered, to be kept when they come again.
const TURNED_AWAY: usize = 4;
/// Marks the key of a branch, where a root has a stack pointer.
const BRANCH: u64 = 1 << 63;
/// Bits of a branch's key that hold the word's number.
const WORD_BITS: u32 = 10;

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
    serial: u64,
    /// Where it lies in the pool, counted from the first entry ever.
    position: u64,
    /// Words to compare.
    words: u16,
    /// Returns behind them.
    returns: u16,
    /// Branches that part from this entry.
    branches: u16,
    pub(super) truncated: bool,
    pub(super) caller_function_start: u64,
    /// The recorder's.
    pub(super) site: u32,
    /// The recorder's.
    pub(super) extra: u64,
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
            let words = self.words(entry);
            let mut differing = None;
            for word in words.get(compared..).unwrap_or(&[]) {
                // SAFETY: a walk from the present registers would read this word, because it
                // would have read the same values so far (see the proof).
                let value = unsafe { read(word.address) };
                if value != word.value {
                    differing = Some((word, value));
                    break;
                }
            }
            let Some((word, value)) = differing else {
                return Probe::Hit(number);
            };
            let at = (&raw const *word as usize - words.as_ptr() as usize) / size_of::<Word>();
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

    /// Keeps a stack that was just walked and that a probe had missed, or leaves it.
    ///
    /// # Safety
    /// As for [`Memo::probe`], with the registers that the walk started from.
    pub(super) unsafe fn insert(&mut self, fresh: &Scratch, miss: Probe) -> Option<usize> {
        let (words, returns) = (fresh.words(), fresh.returns());
        let size = words.len() + returns.len();
        let mut position = self.head;
        if position as usize % POOL + size > POOL {
            position = position.next_multiple_of(POOL as u64);
        }
        let end = position + size as u64;
        let serial = self.newest + 1;
        self.oldest = self.oldest.max(1);
        let mut full = false;
        while self.oldest < serial {
            let oldest = self.entries.get(number(self.oldest))?;
            let overwritten = oldest.position + (POOL as u64) < end;
            if !overwritten && serial - self.oldest < ENTRIES as u64 {
                break;
            }
            if !full && !self.keep(miss.key(&fresh.start)) {
                return None;
            }
            full = true;
            self.evict_oldest();
        }
        let miss = match miss {
            // The parent had to go: look again for the place.
            // SAFETY: passed on to the caller.
            Probe::Miss { .. } if full => unsafe { self.probe(&fresh.start) },
            miss => miss,
        };
        let key = miss.key(&fresh.start);
        if let Some((parent, _)) = key.parent() {
            self.entries.get_mut(number(parent))?.branches += 1;
        }

        let first = position as usize % POOL;
        let (to_words, to_returns) = self
            .pool
            .get_mut(first..first + size)?
            .split_at_mut(words.len());
        to_words.copy_from_slice(words);
        for (to, from) in to_returns.iter_mut().zip(returns) {
            *to = Word {
                address: from.slot,
                value: from.pc,
            };
        }
        *self.entries.get_mut(number(serial))? = Entry {
            key,
            serial,
            position,
            words: words.len() as u16,
            returns: returns.len() as u16,
            branches: 0,
            truncated: fresh.truncated(),
            caller_function_start: fresh.caller_function_start,
            site: 0,
            extra: 0,
        };
        self.newest = serial;
        self.head = end;
        self.refer(key, number(serial));
        Some(number(serial))
    }

    /// Whether to keep a new stack although an old one has to go.
    fn keep(&mut self, key: Key) -> bool {
        if self.turned_away.contains(&key) {
            return true;
        }
        self.random = self
            .random
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(1);
        let chosen = (self.random >> 33).is_multiple_of(KEEP_ONE_IN);
        if !chosen {
            self.turned_away[(self.random >> 40) as usize % TURNED_AWAY] = key;
        }
        chosen
    }

    /// Removes the oldest entry.
    fn evict_oldest(&mut self) {
        let serial = self.oldest;
        self.oldest += 1;
        let Some(entry) = self.entries.get_mut(number(serial)) else {
            return;
        };
        let (key, branches) = (entry.key, entry.branches);
        entry.key = Key {
            first: 0,
            second: 0,
        };
        entry.serial = 0;
        if branches != 0 && self.bequeath(serial, key) {
            return;
        }
        if let Some((parent, _)) = key.parent()
            && let Some(parent_entry) = self.entries.get_mut(number(parent))
            && parent_entry.serial == parent
        {
            parent_entry.branches = parent_entry.branches.saturating_sub(1);
        }
    }

    /// Gives the place of the entry that had this serial and key to one of its branches. False
    /// when none is left.
    ///
    /// The heir is the branch that parts from it last, at word k. Another one parts at some word
    /// j <= k. Up to j all three agree; at j the heir has what the old entry had if j < k, and
    /// another value than this one if j = k. So it parts from the heir just where it parted from
    /// the old entry. And the heir has the word that the old entry's own key is about.
    #[inline(never)]
    fn bequeath(&mut self, serial: u64, key: Key) -> bool {
        let word_of = |entry: &Entry| match entry.key.parent() {
            Some((parent, word)) if parent == serial => Some(word),
            _ => None,
        };
        let last = (0..ENTRIES)
            .filter_map(|at| Some((word_of(self.entries.get(at)?)?, at)))
            .max();
        let Some((_, heir)) = last else {
            return false;
        };
        let Some(heir_serial) = self.entries.get(heir).map(|entry| entry.serial) else {
            return false;
        };
        let mut branches = 0;
        for at in 0..ENTRIES {
            let Some(entry) = self.entries.get_mut(at) else {
                continue;
            };
            let Some(word) = word_of(entry) else {
                continue;
            };
            let new = if at == heir {
                key
            } else {
                branches += 1;
                Key::branch(heir_serial, word, entry.key.first)
            };
            entry.key = new;
            self.refer(new, at);
        }
        if let Some(entry) = self.entries.get_mut(heir) {
            entry.branches += branches;
        }
        true
    }

    /// Puts an entry into the index, in the place of one that is no longer there if possible.
    fn refer(&mut self, key: Key, number: usize) {
        let set = key.set();
        let entries = &self.entries;
        let free = |way: &u8| {
            let there = usize::from(*way).wrapping_sub(1);
            there == number
                || entries
                    .get(there)
                    .is_none_or(|entry| entry.serial == 0 || entry.key.set() != set)
        };
        let ways = &mut self.index[set];
        let place = ways.iter().position(free).unwrap_or(number % WAYS);
        ways[place % WAYS] = number as u8 + 1;
    }

    /// Forgets every stack. Serials go on, so that nothing old is taken for new.
    pub(super) fn clear(&mut self) {
        for entry in &mut self.entries {
            entry.key = Key {
                first: 0,
                second: 0,
            };
            entry.serial = 0;
        }
        self.index = [[0; WAYS]; SETS];
        self.oldest = self.newest + 1;
    }

    /// Whether every branch agrees with its parent up to the word where it parts, and differs
    /// there as its key says.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        self.entries
            .iter()
            .filter(|entry| entry.serial != 0)
            .all(|entry| {
                let Some((serial, at)) = entry.key.parent() else {
                    return true;
                };
                let parent = &self.entries[number(serial)];
                let (own, other) = (self.words(entry), self.words(parent));
                parent.serial == serial
                    && own[..at] == other[..at]
                    && own[at].address == other[at].address
                    && own[at].value == entry.key.first
            })
    }
}
