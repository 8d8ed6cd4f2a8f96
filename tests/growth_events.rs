//! What a program is told of its own growth while it runs, against what its maps say of themselves.

use crossbeam_channel::Receiver;
use mapgrow::GrowthEvent;
use mapgrow::report::EventKind;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new().exact().nothing_at_exit();

/// Bytes of a table of 16-byte entries that takes so many of them.
fn bytes_of(capacity: usize) -> u64 {
    let buckets = (capacity as u64 * 8 / 7).next_power_of_two();
    buckets * 16 + buckets + 16
}

/// Fills a map; the bytes of the tables that it gets.
#[inline(never)]
fn fill(map: &mut HashMap<u64, u64>, entries: u64) -> Vec<u64> {
    let (mut tables, mut capacity) = (Vec::new(), map.capacity());
    for key in 0..entries {
        map.insert(key, key);
        if map.capacity() != capacity {
            capacity = map.capacity();
            tables.push(bytes_of(capacity));
        }
    }
    tables
}

/// The next events of `fill`, so many. A place that is new may wait for some seconds, in a build
/// without optimisation.
fn heard(events: &Receiver<GrowthEvent>, count: usize) -> Vec<GrowthEvent> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let event = events.recv_timeout(Duration::from_secs(60));
        let event = event.expect("it comes");
        let by_fill = |name: &str| name.contains("fill");
        let caller = event.caller.as_ref();
        if event.family == Some("hashbrown") && caller.is_some_and(|c| by_fill(&c.function)) {
            heard.push(event);
        }
    }
    heard
}

fn of_maps(events: impl Iterator<Item = GrowthEvent>) -> usize {
    events
        .filter(|event| event.family == Some("hashbrown"))
        .count()
}

/// Seconds of processor time of the thread of that name.
fn cpu_of(name: &str) -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let of_task = |task: std::fs::DirEntry| {
        let read = |file| std::fs::read_to_string(task.path().join(file)).ok();
        (read("comm")?.trim() == name).then_some(())?;
        let first = read("schedstat")?;
        first.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.flatten().filter_map(of_task).sum::<f64>() / 1e9
}

#[test]
fn every_resize_is_told_once_with_what_comes_next() {
    let events = mapgrow::growth_events();
    let mut map = HashMap::new();
    let tables = fill(&mut map, 200_000);
    let told = heard(&events, tables.len() - 1);
    let grown: Vec<u64> = told.iter().map(|event| event.new_bytes).collect();
    // The first is no resize.
    assert_eq!(grown, tables[1..]);
    for pair in told.windows(2) {
        let [event, after] = pair else { continue };
        assert_eq!(event.kind, EventKind::Grow);
        assert_eq!(after.old_bytes, Some(event.new_bytes));
        assert!(event.pause.is_some() && event.at <= after.at);
        assert!(event.thread.is_some());
        if let Some(next) = &event.next_resize {
            assert_eq!(next.needs_bytes, after.new_bytes);
        }
    }
    let last = told.last().expect("it grew");
    let next = last.next_resize.as_ref().expect("foretold");
    let one_more = map.capacity() as u64 + 1;
    let larger = fill(&mut map, one_more);
    assert_eq!(next.at_entries, Some(map.len() as u64));
    assert_eq!(larger, [next.needs_bytes]);
    assert_eq!(heard(&events, 1).len(), 1);

    // A known place costs little: 10,000 resizes a second, taken as they come.
    let before = cpu_of("mapgrow-events");
    let (begun, mut resizes, mut taken) = (Instant::now(), 0, 0);
    while resizes < 30_000 {
        let due = begun.elapsed().as_millis() as usize * 10;
        while resizes < due {
            let mut map = HashMap::new();
            let tables = fill(black_box(&mut map), 400);
            resizes += tables.len() - 1;
        }
        taken += of_maps(events.try_iter());
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = cpu_of("mapgrow-events") - before;
    while let Ok(event) = events.recv_timeout(Duration::from_secs(7)) {
        taken += of_maps(std::iter::once(event));
        if taken == resizes {
            break;
        }
    }
    println!(
        "{resizes} resizes in {seconds:.2} s: {:.2} % of a processor",
        cpu / seconds * 100.0
    );
    // A machine that is busy with other things may let the channel run over.
    match mapgrow::growth_events_dropped() {
        0 => assert_eq!(taken, resizes),
        dropped => assert!(taken <= resizes && resizes - taken <= dropped as usize),
    }
}
