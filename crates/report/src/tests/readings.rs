//! What live maps hold, by tables that were read.

use super::counts::{grow, grower};
use super::{Names, program, report};
use crate::Map;
use mapgrow_containers::occupancy::Reading;
use mapgrow_fixture::hashbrown_reading;

const CALLER: &str = "demo::cache::Cache::put@src/cache.rs:58";
const ELEMENT: u64 = 40;

/// A table of `buckets` of which the first `full` are full, as it was read at `ticks`.
fn read(serial: u64, ticks: u64, buckets: u64, full: usize) -> Reading {
    hashbrown_reading(serial, ticks, (buckets, ELEMENT), full)
}

/// A map that grew to 1,024 buckets, whose last resize took until `ended`; read at `moments`,
/// when there were so many entries in its present table.
fn grown(moments: impl Fn(u64) -> Vec<(u64, usize)>) -> Map {
    let (mut names, mut program) = (Names::default(), program());
    let at = grower(&mut program, &mut names, CALLER);
    let map = grow(&mut program, &at, 10);
    let ended = program.now;
    program.now += 1_000_000_000;
    for (ticks, entries) in moments(ended) {
        let reading = read(map.serial, ticks, 1024, entries);
        program.recording.reading(&reading);
    }
    program.keep(map, 0x7000_0000_1000);
    let mut report = report(&mut program, &mut names);
    assert_eq!(report.maps.len(), 1);
    report.maps.remove(0)
}

#[test]
fn a_table_holds_what_was_read_last() {
    let map = grown(|ended| vec![(ended + 10, 449), (ended + 20, 460)]);
    assert_eq!((map.buckets, map.entries), (Some(1024), Some(460)));
}

/// The recording knew by the time it was copied that the resize had ended, the reading did not.
#[test]
fn what_was_read_before_the_resize_had_ended_is_no_figure() {
    let map = grown(|ended| vec![(ended - 1, 100)]);
    assert_eq!((map.entries, map.entries_per_s), (None, None));
    // Of two readings the one that counts.
    let map = grown(|ended| vec![(ended - 1, 100), (ended + 200_000_000, 460)]);
    assert_eq!(map.entries, Some(460));
}
