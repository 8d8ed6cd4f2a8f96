//! The clocks that a recording counts in, read from outside: all of them belong to the machine,
//! not to the process.

use mapgrow_format::layout::header;
use mapgrow_system::clock;

use crate::load::Header;

/// One moment on the monotonic clock and on the tick counter of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// `CLOCK_MONOTONIC`, ns.
    pub mono_ns: u64,
    /// Ticks.
    pub ticks: u64,
}

impl Now {
    /// Now, in the ticks of this recording; `None` when this machine has no such counter, or
    /// the recording began later than now: it is from another machine or another boot.
    pub fn read(recorded: &Header) -> Option<Now> {
        let moment = match recorded.word(header::TICK_KIND) {
            0 => {
                let ns = clock::monotonic_ns();
                Now {
                    mono_ns: ns,
                    ticks: ns,
                }
            }
            _ => counter_with_clock()?,
        };
        let after_start = moment.ticks > recorded.word(header::START_TICKS)
            && moment.mono_ns > recorded.word(header::START_MONO_NS);
        after_start.then_some(moment)
    }

    /// The calibration words of the header, as of this moment.
    pub fn calibration(self) -> [(usize, u64); 2] {
        [
            (header::NOW_MONO_NS, self.mono_ns),
            (header::NOW_TICKS, self.ticks),
        ]
    }

    /// Calibration words for a recording whose process ended before its first calibration: the
    /// same rate, but no time passed that the process did not live.
    pub fn rate_only(self, recorded: &Header) -> [(usize, u64); 2] {
        /// Long enough for a rate of six digits, too short to show.
        const NS: u64 = 1_000_000;
        let start_ns = recorded.word(header::START_MONO_NS);
        let start_ticks = recorded.word(header::START_TICKS);
        let ns = u128::from((self.mono_ns - start_ns).max(1));
        let ticks = u128::from(self.ticks - start_ticks) * u128::from(NS) / ns;
        let ticks = u64::try_from(ticks).unwrap_or(NS).max(1);
        [
            (header::NOW_MONO_NS, start_ns.saturating_add(NS)),
            (header::NOW_TICKS, start_ticks.saturating_add(ticks)),
        ]
    }
}

/// The counter between two readings of the clock that lie closest together.
#[cfg(target_arch = "x86_64")]
fn counter_with_clock() -> Option<Now> {
    if !clock::counter_allowed() {
        return None;
    }
    (0..8)
        .map(|_| {
            let before = clock::monotonic_ns();
            // SAFETY: the processor has the instruction, and `PR_GET_TSC` says that this process may
            // use it.
            let ticks = unsafe { core::arch::x86_64::_rdtsc() };
            let after = clock::monotonic_ns();
            let mono_ns = before + (after - before) / 2;
            (after - before, Now { mono_ns, ticks })
        })
        .min_by_key(|(apart, _)| *apart)
        .map(|(_, moment)| moment)
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_with_clock() -> Option<Now> {
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_may_not_be_read_is_not() {
        let forbidden = std::thread::spawn(|| {
            let set = |how: libc::c_int| {
                // SAFETY: takes a number, and is of this thread alone.
                unsafe { libc::prctl(libc::PR_SET_TSC, how, 0, 0, 0) }
            };
            let forbidden = set(libc::PR_TSC_SIGSEGV) == 0;
            let found = counter_with_clock();
            set(libc::PR_TSC_ENABLE);
            (forbidden, found.is_none())
        });
        let (forbidden, none) = forbidden.join().unwrap();
        assert!(none || !forbidden);
    }
}
