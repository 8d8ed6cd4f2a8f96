//! Time as the recorder reads it: ticks.
//!
//! Where the CPU says that its time-stamp counter runs at a constant rate through all power
//! states, a tick is one of its counts (8 ns to read instead of 25 for the vDSO clock, and no
//! system call on machines whose clock source has no vDSO). Elsewhere a tick is a nanosecond of
//! `CLOCK_MONOTONIC`. Readers convert with the calibration pairs in the recording's header.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const UNKNOWN: u8 = 0;
const NANOSECONDS: u8 = 1;
const TIME_STAMP_COUNTER: u8 = 2;
/// The program was started where the counter may not be read (`PR_SET_TSC`): nanoseconds, by a
/// system call, for the vDSO reads the counter too.
const SYSTEM_CALL: u8 = 3;
/// It was forbidden later: counts that are worked out from such nanoseconds.
const CONVERTED: u8 = 4;
/// Neither may be asked any more: the time stands still.
const STOPPED: u8 = 5;

static KIND: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Monotonic clock, ns.
pub fn monotonic_ns() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// Wall clock, ns since the Unix epoch.
pub fn unix_ns() -> u64 {
    read_clock(libc::CLOCK_REALTIME)
}

/// Processor time of this thread, ns.
pub fn thread_cpu_ns() -> u64 {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// One moment on all clocks that a recording tells the time by.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Tick counter.
    pub ticks: u64,
    /// Monotonic clock, ns.
    pub monotonic_ns: u64,
    /// Wall clock, ns since the Unix epoch.
    pub unix_ns: u64,
}

impl Moment {
    /// All of them now.
    pub fn now() -> Self {
        Self {
            ticks: ticks(),
            monotonic_ns: monotonic_ns(),
            unix_ns: unix_ns(),
        }
    }
}

fn read_clock(clock: libc::clockid_t) -> u64 {
    if KIND.load(Ordering::Relaxed) == STOPPED {
        return later::stopped_ns(clock);
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let counter_forbidden = KIND.load(Ordering::Relaxed) >= SYSTEM_CALL;
    // SAFETY: `time` is a place for the result; these clocks exist on every Linux.
    unsafe {
        if counter_forbidden {
            libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time);
        } else {
            libc::clock_gettime(clock, &raw mut time);
        }
    }
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

/// The tick counter.
#[inline]
pub fn ticks() -> u64 {
    match KIND.load(Ordering::Relaxed) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `rdtsc` is part of the x86_64 baseline; `KIND` says that it is usable.
        TIME_STAMP_COUNTER => unsafe { core::arch::x86_64::_rdtsc() },
        NANOSECONDS => monotonic_ns(),
        UNKNOWN => first_ticks(),
        _ => rare_ticks(),
    }
}

#[cold]
fn rare_ticks() -> u64 {
    match KIND.load(Ordering::Relaxed) {
        CONVERTED => return later::converted_ticks(),
        STOPPED => return later::stopped_ticks(),
        _ => {}
    }
    monotonic_ns()
}

#[cold]
fn first_ticks() -> u64 {
    let kind = match (counter_allowed(), invariant_counter()) {
        (false, _) => SYSTEM_CALL,
        (true, true) => TIME_STAMP_COUNTER,
        (true, false) => NANOSECONDS,
    };
    KIND.store(kind, Ordering::Relaxed);
    ticks()
}

/// The value for `header::TICK_KIND`.
pub fn kind() -> u64 {
    ticks();
    let nanoseconds = [NANOSECONDS, SYSTEM_CALL].contains(&KIND.load(Ordering::Relaxed));
    u64::from(!nanoseconds)
}

/// Whether this process may read the counter: the right is inherited, and can be taken away.
#[cfg(target_arch = "x86_64")]
pub fn counter_allowed() -> bool {
    let mut how: libc::c_int = libc::PR_TSC_ENABLE;
    // SAFETY: `how` is a place for the result.
    unsafe { libc::prctl(libc::PR_GET_TSC, &raw mut how) };
    how == libc::PR_TSC_ENABLE
}

/// Whether this process may read the counter.
#[cfg(not(target_arch = "x86_64"))]
pub fn counter_allowed() -> bool {
    true
}

/// What is left of the clocks once the program has given up the counter.
mod later {
    use super::{
        AtomicU64, CONVERTED, KIND, Moment, NANOSECONDS, Ordering, STOPPED, SYSTEM_CALL,
        TIME_STAMP_COUNTER, monotonic_ns,
    };

    /// Counts and nanoseconds at one moment, and how many of each passed before it.
    static TICKS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    static NS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    static UNIX_NS: AtomicU64 = AtomicU64::new(0);

    /// The counter is about to be forbidden: how fast it counted is known from `began` on.
    pub fn prepare(began: Moment) {
        let now = Moment::now();
        TICKS[0].store(now.ticks, Ordering::Relaxed);
        NS[0].store(now.monotonic_ns, Ordering::Relaxed);
        UNIX_NS.store(now.unix_ns, Ordering::Relaxed);
        TICKS[1].store(now.ticks.saturating_sub(began.ticks), Ordering::Relaxed);
        let passed = now.monotonic_ns.saturating_sub(began.monotonic_ns);
        NS[1].store(passed.max(1), Ordering::Release);
    }

    /// What the time was told by before: see [`put_back`].
    #[derive(Debug, Clone, Copy)]
    pub struct Before {
        was: u8,
        is: u8,
    }

    /// The counter is not read from here on.
    pub fn forbid_counter() -> Before {
        let mut was = KIND.load(Ordering::Acquire);
        loop {
            let is = match was {
                TIME_STAMP_COUNTER => CONVERTED,
                NANOSECONDS => SYSTEM_CALL,
                other => other,
            };
            match KIND.compare_exchange(was, is, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Before { was, is },
                Err(now) => was = now,
            }
        }
    }

    /// Nothing is asked from here on.
    pub fn stop() -> Before {
        let was = KIND.swap(STOPPED, Ordering::AcqRel);
        Before { was, is: STOPPED }
    }

    /// It may go on as before, unless something else has come about meanwhile.
    pub fn put_back(before: Before) {
        let Before { was, is } = before;
        let _ = KIND.compare_exchange(is, was, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(super) fn converted_ticks() -> u64 {
        let since = monotonic_ns().saturating_sub(NS[0].load(Ordering::Relaxed));
        let (ticks, ns) = (
            TICKS[1].load(Ordering::Relaxed),
            NS[1].load(Ordering::Relaxed),
        );
        let counted = u128::from(since) * u128::from(ticks) / u128::from(ns.max(1));
        TICKS[0]
            .load(Ordering::Relaxed)
            .wrapping_add(counted as u64)
    }

    pub(super) fn stopped_ticks() -> u64 {
        TICKS[0].load(Ordering::Relaxed)
    }

    pub(super) fn stopped_ns(clock: libc::clockid_t) -> u64 {
        let stopped = if clock == libc::CLOCK_REALTIME {
            &UNIX_NS
        } else {
            &NS[0]
        };
        stopped.load(Ordering::Relaxed)
    }
}

pub use later::{Before, forbid_counter, prepare, put_back, stop};

/// CPUID leaf 0x8000_0007, EDX bit 8: "invariant TSC" (Intel SDM vol. 3, 18.17.1).
#[cfg(target_arch = "x86_64")]
fn invariant_counter() -> bool {
    // Compilers up to the stated minimum have the instruction as an unsafe function.
    #[allow(unused_unsafe)]
    // SAFETY: every x86_64 processor has `cpuid`.
    let cpuid = |leaf| unsafe { core::arch::x86_64::__cpuid(leaf) };
    let highest = cpuid(0x8000_0000).eax;
    highest >= 0x8000_0007 && cpuid(0x8000_0007).edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn invariant_counter() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_given_up_before_it_is_forbidden_and_taken_up_if_it_was_not() {
        let began = Moment::now();
        let kind = KIND.load(Ordering::Relaxed);
        prepare(began);
        let before = forbid_counter();
        assert!(KIND.load(Ordering::Relaxed) >= SYSTEM_CALL);
        assert!(ticks() >= began.ticks);
        put_back(before);
        assert_eq!(KIND.load(Ordering::Relaxed), kind);
        let before = stop();
        assert_eq!(ticks(), ticks());
        put_back(before);
        assert_eq!(KIND.load(Ordering::Relaxed), kind);
        // What came about meanwhile stays.
        let before = forbid_counter();
        let stopped = stop();
        put_back(before);
        assert_eq!(KIND.load(Ordering::Relaxed), STOPPED);
        put_back(stopped);
        put_back(before);
        assert_eq!(KIND.load(Ordering::Relaxed), kind);
    }
}
