//! Time as the recorder reads it: ticks.
//!
//! Where the CPU says that its time-stamp counter runs at a constant rate through all power
//! states, a tick is one of its counts (8 ns to read instead of 25 for the vDSO clock, and no
//! system call on machines whose clock source has no vDSO). Elsewhere a tick is a nanosecond of
//! `CLOCK_MONOTONIC`. Readers convert with the calibration pairs in the recording's header.

use core::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const NANOSECONDS: u8 = 1;
const TIME_STAMP_COUNTER: u8 = 2;

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
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a place for the result; these clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
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
        _ => first_ticks(),
    }
}

#[cold]
fn first_ticks() -> u64 {
    let kind = if invariant_counter() {
        TIME_STAMP_COUNTER
    } else {
        NANOSECONDS
    };
    KIND.store(kind, Ordering::Relaxed);
    ticks()
}

/// The value for `header::TICK_KIND`.
pub fn kind() -> u64 {
    ticks();
    u64::from(KIND.load(Ordering::Relaxed) == TIME_STAMP_COUNTER)
}

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
