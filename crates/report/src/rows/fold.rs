//! The figures of two rows go in, those of both together come out.

use crate::model::{Coverage, Pauses, Sampled, Site, SizeCount, Untold, error_of_sum};

/// Sentences of advice kept for a site.
pub(crate) const MOST_ADVICE: usize = 4;

/// Adds the figures of a site to those of another.
pub(crate) fn fold(sum: &mut Site, more: &Site, shift: u64) {
    for (sum, more) in [
        (&mut sum.allocs, more.allocs),
        (&mut sum.frees, more.frees),
        (&mut sum.allocated_bytes, more.allocated_bytes),
        (&mut sum.freed_bytes, more.freed_bytes),
    ] {
        *sum = sum.saturating_add(more);
    }
    let unread = |site: &Site| site.live_bytes == 0;
    // A process in which the site holds nothing takes nothing away from what is known of others.
    if unread(sum) {
        (sum.entries, sum.tombstones) = (more.entries, more.tombstones);
        (sum.capacity, sum.retained_bytes) = (more.capacity, more.retained_bytes);
        sum.entries_error = more.entries_error;
        sum.retained_error_bytes = more.retained_error_bytes;
    } else if !unread(more) {
        add(&mut sum.entries, more.entries);
        add(&mut sum.tombstones, more.tombstones);
        add(&mut sum.capacity, more.capacity);
        add(&mut sum.retained_bytes, more.retained_bytes);
        sum.entries_error = together(sum.entries_error, more.entries_error);
        sum.retained_error_bytes = together(sum.retained_error_bytes, more.retained_error_bytes);
    }
    sum.live_bytes = sum.live_bytes.saturating_add(more.live_bytes);
    for (sum, more) in [
        (&mut sum.maps_created, more.maps_created),
        (&mut sum.maps_late, more.maps_late),
        (&mut sum.maps_dropped, more.maps_dropped),
        (&mut sum.maps_live, more.maps_live),
        (&mut sum.maps_moved_on, more.maps_moved_on),
        (&mut sum.resizes, more.resizes),
        (&mut sum.grows, more.grows),
        (&mut sum.shrinks, more.shrinks),
        (&mut sum.rehashes, more.rehashes),
        (&mut sum.aborted, more.aborted),
        (&mut sum.rebuilds, more.rebuilds),
        (&mut sum.replaces, more.replaces),
        (&mut sum.in_place, more.in_place),
        (&mut sum.copied_bytes, more.copied_bytes),
    ] {
        add(sum, more);
    }
    sum.tables_of_each = sum
        .tables_of_each
        .filter(|_| sum.tables_of_each == more.tables_of_each);
    if more.overlap_peak_bytes > sum.overlap_peak_bytes {
        sum.overlap_peak_bytes = more.overlap_peak_bytes;
        sum.overlap_peak_at_ns = more.overlap_peak_at_ns.map(|at| at.saturating_add(shift));
    }
    let more_first = more.first_at_ns.map(|at| at.saturating_add(shift));
    sum.first_at_ns = sum.first_at_ns.zip(more_first).map(|(a, b)| a.min(b));
    sum.peak_at_ns = None;
    sum.series = None;
    sum.exact &= more.exact;
    sum.stack_truncated |= more.stack_truncated;
    sum.known_by = sum.known_by.max(more.known_by);
    sum.coverage = match (sum.coverage, more.coverage) {
        (Coverage::Sampled, _) | (_, Coverage::Sampled) => Coverage::Sampled,
        (Coverage::All, Coverage::All) => Coverage::All,
        _ => Coverage::AboveFloor,
    };
    smallest(&mut sum.smallest_table_bytes, more.smallest_table_bytes);
    sum.largest_table_bytes = sum.largest_table_bytes.max(more.largest_table_bytes);
    if more.example_tables.last() > sum.example_tables.last() {
        sum.example_tables.clone_from(&more.example_tables);
        sum.example_tables_cut = more.example_tables_cut;
    }
    sum.pause_ns = pauses(sum.pause_ns.take(), more.pause_ns.as_ref());
    sizes(&mut sum.freed_sizes, &more.freed_sizes);
    sum.sampled = sampled(sum.sampled.take(), more.sampled.as_ref());
    sum.untold = match (sum.untold.take(), &more.untold) {
        (Some(sum), Some(more)) => Some(Untold {
            blocks: sum.blocks.saturating_add(more.blocks),
            live_bytes: sum.live_bytes.saturating_add(more.live_bytes),
            max_live_bytes: Vec::new(),
        }),
        (sum, more) => sum.or_else(|| more.clone()),
    };
    for advice in &more.suggestions {
        if !sum.suggestions.contains(advice) && sum.suggestions.len() < MOST_ADVICE {
            sum.suggestions.push(advice.clone());
        }
    }
}

/// The error of the sum of two figures.
pub(crate) fn together(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    let (a, b) = a.zip(b)?;
    Some(error_of_sum(a as f64, b as f64).ceil() as u64)
}

fn smallest(sum: &mut Option<u64>, more: Option<u64>) {
    *sum = sum.iter().copied().chain(more).min();
}

fn pauses(sum: Option<Pauses>, more: Option<&Pauses>) -> Option<Pauses> {
    let Some(more) = more else { return sum };
    let Some(sum) = sum.filter(|sum| sum.count > 0) else {
        return Some(more.clone());
    };
    if more.count == 0 {
        return Some(sum);
    }
    // The ranks of the two cannot be put together.
    Some(Pauses {
        count: sum.count.saturating_add(more.count),
        total: sum.total.zip(more.total).map(|(a, b)| a.saturating_add(b)),
        p50: None,
        p50_error: None,
        p99: None,
        p99_error: None,
        max: sum.max.zip(more.max).map(|(a, b)| a.max(b)),
    })
}

fn sizes(sum: &mut Vec<SizeCount>, more: &[SizeCount]) {
    for one in more {
        match sum
            .iter_mut()
            .find(|known| known.from_bytes == one.from_bytes)
        {
            Some(known) => known.count = known.count.saturating_add(one.count),
            None => sum.push(one.clone()),
        }
    }
    sum.sort_by_key(|one| one.from_bytes);
}

fn sampled(sum: Option<Sampled>, more: Option<&Sampled>) -> Option<Sampled> {
    let (Some(sum), Some(more)) = (&sum, more) else {
        return sum.or_else(|| more.cloned());
    };
    Some(Sampled {
        samples: sum.samples.saturating_add(more.samples),
        est_allocs: sum.est_allocs + more.est_allocs,
        est_allocs_error: error_of_sum(sum.est_allocs_error, more.est_allocs_error),
        est_allocated_bytes: sum.est_allocated_bytes + more.est_allocated_bytes,
        est_allocated_bytes_error: error_of_sum(
            sum.est_allocated_bytes_error,
            more.est_allocated_bytes_error,
        ),
        est_live_bytes: sum.est_live_bytes + more.est_live_bytes,
        est_live_bytes_error: error_of_sum(sum.est_live_bytes_error, more.est_live_bytes_error),
        est_maps_live: sum.est_maps_live + more.est_maps_live,
        est_maps_live_error: error_of_sum(sum.est_maps_live_error, more.est_maps_live_error),
        est_resizes: sum.est_resizes.zip(more.est_resizes).map(|(a, b)| a + b),
        est_resizes_error: sum
            .est_resizes_error
            .zip(more.est_resizes_error)
            .map(|(a, b)| error_of_sum(a, b)),
    })
}

/// Adds where both are known.
pub(crate) fn add(sum: &mut Option<u64>, more: Option<u64>) {
    *sum = sum.zip(more).map(|(sum, more)| sum.saturating_add(more));
}
