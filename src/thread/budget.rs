//! Which blocks a thread records, and what that may cost.

use super::{Cold, HOT, TABLE_ALIGN};
use crate::config::{Mode, Settings};
use crate::recording::Recording;
use mapgrow_format::layout::WEIGHT_ONE;
use mapgrow_system::clock;

/// How far beyond its share of the CPU the recorder may go before it records less: what it may
/// spend at once, as when a program starts and each stack is new, in nanoseconds.
const BUDGET_BURST_NS: u64 = 50_000_000;
/// The budget never raises the floor above this.
const FLOOR_MOST: usize = 1 << 20;
/// Reading the clock costs as much as a table access: one recorded block in so many is timed.
const TIMED_ONE_IN: u32 = 8;
/// The same where there is no budget to keep, and the time is only told. Odd, or of allocations and
/// frees that take turns one kind alone would be timed.
const TOLD_ONE_IN: u32 = 61;
/// A block that took longer waited for its turn on the processor: that is no work of ours, and
/// counted as such it would keep a thread on a busy machine over its budget for good.
const TIMED_MOST_NS: u64 = 200_000;
/// Timed blocks between two looks at the budget.
const BUDGET_CHECK: u32 = 8;

/// One recorded block in so many is timed.
pub(super) fn timed_one_in(settings: &Settings) -> u32 {
    match settings.mode {
        Mode::Exact => TOLD_ONE_IN,
        _ => TIMED_ONE_IN,
    }
}

impl Cold {
    /// Weight with which a block is to be recorded; `None`: not at all. `heap_sample` is what
    /// [`flush`](Self::flush) said. A table-shaped block has been counted by `tables_countdown`.
    pub(crate) fn weigh(&mut self, bytes: usize, align: usize, heap_sample: bool) -> Option<u32> {
        let table = align >= TABLE_ALIGN;
        let table_sample = table && HOT.with(|hot| self.tables.passed(&hot.tables_countdown));
        let weight = if bytes >= self.floor {
            WEIGHT_ONE
        } else if table {
            table_sample.then(|| self.tables.weight(bytes))?
        } else {
            heap_sample.then(|| self.heap.weight(bytes))?
        };
        Some(weight as u32)
    }

    /// Adds the time spent on one block in so many, which stands for the others, and now and
    /// then compares the sum with the budget: over it, the thread's floor doubles; well under
    /// it, the floor comes down again.
    #[inline]
    pub(crate) fn spent(&mut self, from: u64, recording: &Recording, settings: &Settings) {
        self.untimed += 1;
        if self.untimed >= self.timed_one_in {
            self.time_spent(from, recording, settings);
        }
    }

    #[inline(never)]
    fn time_spent(&mut self, from: u64, recording: &Recording, settings: &Settings) {
        self.untimed = 0;
        let now = clock::ticks();
        let share = now
            .saturating_sub(from)
            .min(self.ticks_per_ms * TIMED_MOST_NS / 1_000_000)
            .saturating_mul(u64::from(self.timed_one_in));
        self.counters.recorder_ticks = self.counters.recorder_ticks.wrapping_add(share);
        self.budget_checked += 1;
        if self.budget_checked < BUDGET_CHECK {
            return;
        }
        self.budget_checked = 0;
        self.publish_counters(recording);
        if settings.budget_ppm == 0 || settings.mode == Mode::Exact || self.watches > 0 {
            return;
        }
        let elapsed = now.saturating_sub(self.started);
        let allowed = (elapsed / 1_000_000).saturating_mul(settings.budget_ppm)
            + self.ticks_per_ms * (BUDGET_BURST_NS / 1_000_000);
        let spent = self.counters.recorder_ticks;
        if spent > allowed {
            self.floor = (self.floor * 2).clamp(settings.floor.max(1), FLOOR_MOST);
        } else if spent < allowed / 2 && self.floor > settings.floor {
            self.floor = (self.floor / 2).max(settings.floor);
        }
    }
}
