//! A slot for each thread that records.

use core::sync::atomic::Ordering;

use super::Recording;
use mapgrow_format::layout::{header, region, thread};
use mapgrow_system::clock;

impl Recording {
    /// A slot for a thread that starts to record; 0 when there is none.
    pub(crate) fn thread_slot(&self, tid: u32) -> u16 {
        self.note_clocks();
        let Some(count) = self.word(header::THREAD_COUNT) else {
            return 0;
        };
        let slots = self.arena.region(region::THREADS);
        let claimed = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let upto = (used as usize + 1) * thread::WORDS;
            (upto <= slots.len() && self.arena.commit(region::THREADS, upto)).then_some(used + 1)
        });
        let slot = match claimed {
            Ok(slot) => slot as usize,
            Err(_) => match self.retire_slot(tid) {
                Some(slot) => slot,
                None => {
                    self.count(header::THREADS_FOLDED, 1);
                    return 0;
                }
            },
        };
        let Some(words) = slots.get(slot * thread::WORDS..(slot + 1) * thread::WORDS) else {
            return 0;
        };
        let name = crate::task::own_name();
        for (word, value) in words.iter().skip(thread::NAME).zip(name) {
            word.store(value, Ordering::Relaxed);
        }
        if let Some(word) = words.get(thread::START_TICKS) {
            word.store(clock::ticks(), Ordering::Relaxed);
        }
        if let Some(word) = words.get(thread::TID) {
            word.store(u64::from(tid) | 1 << 63, Ordering::Release);
        }
        slot as u16
    }

    /// Takes the slot of a thread that has ended; its totals go to the retired ones.
    #[cold]
    fn retire_slot(&self, tid: u32) -> Option<usize> {
        // To another process (a child of `vfork`) all threads of this one look gone.
        if !self.is_of_this_process() {
            return None;
        }
        let slots = self.arena.region(region::THREADS);
        let taken = |owner: u64| u64::from(owner as u32) | 1 << 63;
        for (slot, words) in slots.chunks_exact(thread::WORDS).enumerate().skip(1) {
            let owner = words.get(thread::TID)?;
            let before = owner.load(Ordering::Acquire);
            if before >> 63 == 0 || !crate::task::is_gone(before as u32 as i32) {
                continue;
            }
            let claim = owner.compare_exchange(
                before,
                taken(u64::from(tid)),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if claim.is_err() {
                continue;
            }
            let take = |at: usize| {
                words
                    .get(at)
                    .map_or(0, |word| word.swap(0, Ordering::Relaxed))
            };
            self.count(header::THREADS_RETIRED, 1);
            self.count(header::RETIRED_ALLOCATED, take(thread::ALLOCATED));
            self.count(header::RETIRED_FREED, take(thread::FREED));
            return Some(slot);
        }
        None
    }

    /// Stores one word of a thread's slot. Threads without a slot store nothing.
    pub(crate) fn store_thread(&self, slot: u16, at: usize, value: u64) {
        if slot == 0 {
            return;
        }
        let slots = self.arena.region(region::THREADS);
        if let Some(word) = slots.get(usize::from(slot) * thread::WORDS + at) {
            word.store(value, Ordering::Relaxed);
        }
    }
}
