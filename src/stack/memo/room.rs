//! Making room in the memo.
//!
//! Entries lie in a ring, each with as many words as it needs, and the oldest goes first; its place
//! in the tree goes to the branch that parts from it last, which the other branches fit onto as
//! they did before. When the ring is full only one new stack in [`KEEP_ONE_IN`] is kept, so that a
//! program that goes through more stacks than there is room for still finds most of those that fit,
//! instead of pushing out each just before it comes again. A stack that comes again soon after it
//! was turned away is kept.

use super::super::walk::{Scratch, Word};
use super::{ENTRIES, Entry, Key, Memo, POOL, Probe, SETS, TURNED_AWAY, WAYS, number};

/// When there is no room, one new stack in so many is kept.
const KEEP_ONE_IN: u64 = 4;

impl Memo {
    /// Keeps a stack that was just walked and that a probe had missed, or leaves it.
    ///
    /// # Safety
    /// As for [`Memo::probe`], with the registers that the walk started from.
    pub(in super::super) unsafe fn insert(
        &mut self,
        fresh: &Scratch,
        miss: Probe,
    ) -> Option<usize> {
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
            // SAFETY: the walk just made started from these registers, whose frame is still active.
            Probe::Miss { .. } if full => unsafe { self.probe(&fresh.start) },
            miss => miss,
        };
        let mut key = miss.key(&fresh.start);
        if let Some((parent, word)) = key.parent() {
            if self.parts_at(parent, word, words) {
                self.entries.get_mut(number(parent))?.branches += 1;
            } else {
                // The walk went another way than an earlier one from the same words: other code
                // lies in the place of what was unloaded, and the entries are not to be trusted.
                self.clear();
                key = Key::root(&fresh.start);
            }
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
            scripted: fresh.is_scripted(),
            caller_function_start: fresh.caller_function_start,
            site: 0,
        };
        self.newest = serial;
        self.head = end;
        self.refer(key, number(serial));
        Some(number(serial))
    }

    /// Whether a walk that read `words` went as the one of the entry with this serial, and read
    /// another value in the word of this number.
    fn parts_at(&self, serial: u64, word: usize, words: &[Word]) -> bool {
        let Some(entry) = self.entries.get(number(serial)) else {
            return false;
        };
        let (own, old) = (words.get(..=word), self.words(entry).get(..=word));
        match (
            own.and_then(<[_]>::split_last),
            old.and_then(<[_]>::split_last),
        ) {
            (Some((own_last, own)), Some((old_last, old))) => {
                entry.serial == serial
                    && own == old
                    && own_last.address == old_last.address
                    && own_last.value != old_last.value
            }
            _ => false,
        }
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
    pub(in super::super) fn clear(&mut self) {
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
    pub(in super::super) fn is_consistent(&self) -> bool {
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

    /// Makes every entry tell something untrue about its stack.
    #[cfg(test)]
    pub(in super::super) fn corrupt(&mut self) {
        for entry in &mut self.entries {
            entry.caller_function_start += 1;
        }
    }

    /// Makes every entry read its first word from `elsewhere`.
    #[cfg(test)]
    pub(in super::super) fn displace(&mut self, elsewhere: &u64) {
        for serial in self.oldest..=self.newest {
            let first = self.entries[number(serial)].position as usize % POOL;
            self.pool[first].address = std::ptr::from_ref(elsewhere) as u64;
            assert_eq!(self.pool[first].value, *elsewhere);
        }
    }

    /// The value of the newest entry's first word.
    #[cfg(test)]
    pub(in super::super) fn first_word(&self) -> u64 {
        self.words(&self.entries[number(self.newest)])[0].value
    }
}
