//! A curve of live bytes in 64 words, whatever time it spans.
//!
//! Each bucket holds the largest value seen in an interval of 2^shift ticks. When time runs past
//! the last bucket, pairs of buckets are merged and the intervals get twice as long.
//!
//! Nobody waits and nothing can be left half done in a way that matters: each bucket says in its
//! top byte which shift it has been brought to, `SERIES_SHIFT` says which one they shall all have,
//! and any thread that meets a bucket that lags brings all of them up, in order of their numbers.
//! Bucket i becomes the maximum of 2i and 2i + 1, so a bucket is overwritten only after those that
//! need it have theirs, and everybody who finds it overwritten knows that they do. A reader takes
//! each bucket at its own shift: bucket i at shift t covers the ticks from `i << t` to
//! `(i + 1) << t`, and what it sees twice it saw with the same truth.

use crate::sync::{AtomicU64, Ordering, load_after_own_write};

/// Shift of a fresh series: about a millisecond for ticks of a nanosecond.
const FIRST_SHIFT: u64 = 20;
/// Position of a bucket's shift in its word.
const SHIFT_AT: u32 = 56;
/// The value in a bucket's word.
const VALUE: u64 = (1 << SHIFT_AT) - 1;
/// Rounds after which an update is given up. It takes one for each doubling of the intervals and
/// one for each update of the same bucket by another thread meanwhile.
const ROUNDS: usize = 128;
/// Tries to bring up one bucket.
const TRIES: usize = 16;

/// Sets a series up so that `elapsed` ticks since the start fit. Not shared yet.
pub(crate) fn start(shift: &AtomicU64, buckets: &[AtomicU64], elapsed: u64) {
    let mut first = FIRST_SHIFT;
    while elapsed >> first >= buckets.len().max(1) as u64 {
        first += 1;
    }
    shift.store(first, Ordering::Relaxed);
    for bucket in buckets {
        bucket.store(first << SHIFT_AT, Ordering::Relaxed);
    }
}

/// Notes that `live` bytes were live, `elapsed` ticks after the start. When that is no news it
/// costs two loads.
#[inline]
pub(crate) fn note(shift: &AtomicU64, buckets: &[AtomicU64], elapsed: u64, live: u64) {
    let value = live.saturating_add(1).min(VALUE);
    let now = shift.load(Ordering::Relaxed);
    if let Some(bucket) = bucket_at(buckets, now, elapsed) {
        let seen = bucket.load(Ordering::Relaxed);
        if seen >> SHIFT_AT == now && seen & VALUE >= value {
            return;
        }
    }
    note_news(shift, buckets, elapsed, value);
}

#[cold]
#[inline(never)]
fn note_news(shift: &AtomicU64, buckets: &[AtomicU64], elapsed: u64, value: u64) {
    for _ in 0..ROUNDS {
        let now = shift.load(Ordering::SeqCst);
        let Some(bucket) = bucket_at(buckets, now, elapsed) else {
            // The shift moves on only after every bucket has caught up with it: so a bucket
            // never lags by more than one.
            if now + 1 >= u64::from(u64::BITS) || !bring_up(buckets, now) {
                return;
            }
            let _ = shift.compare_exchange(now, now + 1, Ordering::SeqCst, Ordering::Relaxed);
            continue;
        };
        let seen = bucket.load(Ordering::Acquire);
        if seen >> SHIFT_AT < now {
            if !bring_up(buckets, now) {
                return;
            }
            continue;
        }
        if seen >> SHIFT_AT > now {
            continue;
        }
        if seen & VALUE >= value {
            return;
        }
        // The swap fails if the bucket has been brought up meanwhile: a value never lands in an
        // interval that it does not belong to. If a merge read the bucket before and has yet to
        // overwrite it, the value would be lost; but then the shift has moved, and another round
        // puts it where it belongs.
        let noted = bucket.compare_exchange(
            seen,
            now << SHIFT_AT | value,
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        if noted.is_ok() && load_after_own_write(shift) == now {
            return;
        }
    }
}

/// The bucket that `elapsed` falls into.
fn bucket_at(buckets: &[AtomicU64], shift: u64, elapsed: u64) -> Option<&AtomicU64> {
    let index = elapsed.checked_shr(shift as u32).unwrap_or(0);
    buckets.get(usize::try_from(index).ok()?)
}

/// Brings all buckets from the shift before to `shift`. True when all of them have it, or a later
/// one.
fn bring_up(buckets: &[AtomicU64], shift: u64) -> bool {
    for (index, bucket) in buckets.iter().enumerate() {
        let mut done = false;
        for _ in 0..TRIES {
            let seen = bucket.load(Ordering::SeqCst);
            if seen >> SHIFT_AT >= shift {
                done = true;
                break;
            }
            // A source that has moved on gives a wrong value, but then so has this bucket, and the
            // swap fails.
            let source = |index: usize| {
                let source = buckets.get(index);
                source.map_or(0, |source| source.load(Ordering::SeqCst) & VALUE)
            };
            let larger = source(2 * index).max(source(2 * index + 1));
            let merged = shift << SHIFT_AT | larger;
            if bucket
                .compare_exchange(seen, merged, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
            {
                done = true;
                break;
            }
        }
        if !done {
            return false;
        }
    }
    true
}
