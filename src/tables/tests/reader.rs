//! What the tables write, read back by the reader: both go by the layout alone.

use super::super::edges::{EdgeKey, ReplaceFigures};
use super::super::history::Earlier;
use super::super::live::LiveRecord;
use super::super::sites::{BlockFigures, SiteKey, SiteOrigin};
use super::super::untold::KnownRecords;
use super::{Capacity, Memory};
use crate::sync::Ordering;
use crate::timeline::Event;
use mapgrow_format::layout::packed::{RegionRow, Untold};
use mapgrow_format::layout::{self, edge, event, header, live, region, site, untold};
use mapgrow_format::reader::{BlockEvent, EdgeKind, Recording};

/// The memory as a recording in a file has it: committed bytes only count.
fn file(memory: &Memory) -> Recording {
    let load = |words: &[crate::sync::AtomicU64]| -> Vec<u64> {
        words.iter().map(|w| w.load(Ordering::Relaxed)).collect()
    };
    let mut words = load(&memory.header);
    words[header::MAGIC] = layout::MAGIC;
    words[header::VERSION] = layout::VERSION;
    for kind in 0..region::COUNT {
        let data = load(memory.region(kind));
        let offset = words.len() * 8;
        let committed = memory.commit.committed(kind) * 8;
        let row = RegionRow {
            offset: offset as u64,
            capacity: (data.len() * 8) as u64,
            committed: committed as u64,
        };
        row.write(kind, |word, value| words[word] = value);
        words.extend(data);
    }
    Recording::parse(words.iter().flat_map(|word| word.to_le_bytes()).collect()).unwrap()
}

const ORIGIN: SiteOrigin = SiteOrigin {
    ticks: 3,
    module_epoch: 2,
    group: Some(9),
};

#[test]
fn reader_understands_sites_and_their_series() {
    let memory = Capacity::default().memory();
    let sites = memory.tables().sites;
    let key = SiteKey {
        hash: 1,
        entry: site::ENTRY_REALLOC as u8,
        truncated: true,
    };
    let id = sites.find_or_create(&key, [10, 20, 30].into_iter(), || ORIGIN);
    let block = BlockFigures {
        bytes: 1000,
        weight: 256,
        align_log2: 4,
        late: false,
        untold: false,
    };
    let unit = 1 << memory.site(id, site::SERIES_SHIFT);
    sites.allocated(id, &block, 1);
    sites.allocated(id, &block, 3 * unit);
    sites.freed(id, 1000, 256, 70 * unit);
    let recording = file(&memory);
    assert_eq!(recording.site_count(), 2);
    let read = recording.site(id).unwrap();
    assert_eq!(
        recording.stack(&read).iter().collect::<Vec<_>>(),
        [10, 20, 30]
    );
    assert_eq!(read.entry(), site::ENTRY_REALLOC);
    assert!(read.truncated());
    assert_eq!((read.root(), read.module_epoch()), (id, 2));
    assert_eq!(read.align_log2(), Some((4, 4)));
    assert_eq!(read.freed_sizes().nth(9), Some(1));
    assert_eq!(1 << read.series_shift(), 2 * unit);
    let series: Vec<Option<u64>> = read.series().collect();
    let mut expected = vec![None; site::SERIES_WORDS];
    (expected[0], expected[1], expected[35]) = (Some(1000), Some(2000), Some(2000));
    assert_eq!(series, expected);
}

#[test]
fn reader_understands_a_series_that_is_being_brought_up() {
    let memory = Capacity::default().memory();
    let sites = memory.tables().sites;
    let key = SiteKey {
        hash: 1,
        entry: 1,
        truncated: false,
    };
    let id = sites.find_or_create(&key, [10].into_iter(), || ORIGIN);
    let words = &memory.region(region::SITES)[id as usize * site::WORDS..][..site::WORDS];
    let shift = words[site::SERIES_SHIFT].load(Ordering::Relaxed);
    // Bucket 0 is the maximum of 0 and 1 already, 1 and 4 lag behind; the shift may lead or lag.
    for (bucket, own, live) in [(0, shift + 1, 8), (1, shift, 7), (4, shift, 5)] {
        words[site::SERIES + bucket].store(own << 56 | (live + 1), Ordering::Relaxed);
    }
    for leads in [shift, shift + 1] {
        words[site::SERIES_SHIFT].store(leads, Ordering::Relaxed);
        let recording = file(&memory);
        let read = recording.site(id).unwrap();
        assert_eq!(u64::from(read.series_shift()), shift + 1);
        let series: Vec<Option<u64>> = read.series().take(4).collect();
        assert_eq!(series, [Some(8), None, Some(5), None]);
    }
    // Nonsense from a damaged file neither panics nor hangs.
    words[site::SERIES + 63].store(u64::MAX, Ordering::Relaxed);
    let recording = file(&memory);
    assert_eq!(recording.site(id).unwrap().series().flatten().count(), 2);
}

#[test]
fn reader_understands_edges() {
    let memory = Capacity::default().memory();
    let edges = memory.tables().edges;
    let key = EdgeKey {
        new_site: 5,
        old_site: edge::NO_SITE,
        join: 3,
        kind: edge::KIND_REALLOC as u8,
        free_pc: 7,
    };
    let id = edges.find_or_create(&key, 0);
    let figures = ReplaceFigures {
        old_bytes: 1,
        new_bytes: 2,
        copied: 1,
        overlap: 3,
        in_place: false,
        pause_ticks: 500,
        end_ticks: 9,
        weight: 256,
    };
    edges.count(id, &figures);
    let recording = file(&memory);
    assert_eq!(recording.edge_count(), 2);
    let read = recording.edge(id).unwrap();
    assert_eq!(read.kind(), Some(EdgeKind::Realloc));
    assert_eq!(
        (read.new_site(), read.old_site(), read.join()),
        (5, None, 3)
    );
    assert_eq!(read.pauses().nth(layout::pause_bucket(500)), Some(1));
    assert_eq!(read.pauses().map(u64::from).sum::<u64>(), 1);
}

#[test]
fn reader_understands_live_blocks_and_their_history() {
    let memory = Capacity::default().memory();
    let tables = memory.tables();
    let earlier = Earlier {
        previous: 0,
        edge: 4,
        bytes: 100,
        serial: 8,
        ticks: 50,
    };
    let first = tables.history.push(&earlier).unwrap();
    let chain = tables
        .history
        .push(&Earlier {
            previous: first,
            bytes: 200,
            ..earlier
        })
        .unwrap();
    let record = LiveRecord {
        site: 6,
        bytes: 400,
        ticks: 60,
        serial: 10,
        history: chain,
        thread: 11,
        align_log2: 4,
        flags: 5,
        weight: 256,
        resizes: 2,
        born_ticks: 40,
        first_serial: 7,
    };
    let gone = tables.live.insert(0x9000, &record).unwrap();
    assert!(tables.live.remove(gone, 0x9000).is_some());
    tables.live.insert(0xA000, &record).unwrap();
    // A block whose thread was killed while it wrote the record.
    let keys = memory.region(region::LIVE_KEYS);
    let empty = keys.iter().find(|key| key.load(Ordering::Relaxed) == 0);
    empty.unwrap().store(1, Ordering::Relaxed);
    let recording = file(&memory);
    let blocks: Vec<_> = recording.live().collect();
    let [Some(block)] = &blocks[..] else {
        panic!("one block: {blocks:?}");
    };
    assert_eq!((block.address, block.site, block.bytes), (0xA000, 6, 400));
    assert_eq!((block.ticks, block.serial, block.thread), (60, 10, 11));
    assert_eq!((block.align_log2, block.flags, block.weight), (4, 5, 256));
    assert_eq!(block.blocks_before, 2);
    assert_eq!((block.born_ticks, block.first_serial), (40, 7));
    let node = recording.history(block.history.unwrap()).unwrap();
    assert_eq!(
        (node.bytes, node.edge, node.serial, node.ticks),
        (200, 4, 8, 50)
    );
    let node = recording.history(node.before.unwrap()).unwrap();
    assert_eq!((node.bytes, node.before), (100, None));
}

#[test]
fn reader_understands_blocks_that_are_only_counted() {
    let memory = Capacity::default().memory();
    memory.header[header::START_TICKS].store(1000, Ordering::Relaxed);
    let table = memory.tables().untold;
    let mut known = KnownRecords::new();
    let block = Untold {
        site: 6,
        bytes: 40,
        thread: 11,
        zeroed: true,
        elapsed: 0,
    };
    let heap = 0x7f00_0001_0000;
    for address in [heap + 32, heap + 0xFFF0] {
        assert!(table.put(&mut known, address, block, 1060));
    }
    assert!(table.put(&mut known, heap, block, 1060));
    table.find(&mut known, heap).expect("it is there").remove();
    let recording = file(&memory);
    assert_eq!(recording.live().count(), 0);
    let blocks: Vec<_> = recording.untold().collect();
    let addresses: Vec<u64> = blocks.iter().map(|block| block.address).collect();
    assert_eq!(addresses, [heap as u64 + 32, heap as u64 + 0xFFF0]);
    for block in &blocks {
        assert_eq!((block.site, block.bytes, block.thread), (6, 40, 11));
        assert_eq!((block.ticks, block.born_ticks), (1060, 1060));
        assert!(block.untold() && block.certain());
        assert_eq!(block.flags, live::FLAG_UNTOLD | live::FLAG_ZEROED);
    }
    assert_ne!(blocks[0].serial, blocks[1].serial);
    // A record that says nonsense of where it is leads nowhere, and harms nobody.
    let number = &memory.region(region::UNTOLD)[untold::NUMBER];
    for nonsense in [0, u64::MAX] {
        number.store(nonsense, Ordering::Relaxed);
        assert_eq!(file(&memory).untold().count(), 0);
    }
}

#[test]
fn reader_understands_rings_and_skips_what_is_being_written() {
    let memory = Capacity {
        events: 4,
        ..Capacity::default()
    }
    .memory();
    let tables = memory.tables();
    for number in 0..6 {
        let event = Event {
            ticks: number,
            old_serial: 1,
            new_serial: 2,
            old_bytes: 3,
            new_bytes: 4,
            subject: 5,
            thread: 6,
            kind: event::KIND_REPLACE as u8,
            flags: event::FLAG_IN_PLACE as u8,
            pause_ticks: 7,
        };
        tables.resizes.publish(&event);
        tables.marks.publish(number, 9, "half way");
    }
    // Slot 3 is being written; the power of two makes a careless reader take it for an event.
    let slot = &memory.region(region::RESIZES)[3 * event::WORDS + event::SEQ];
    slot.store(1 << 63 | 8, Ordering::Relaxed);
    let recording = file(&memory);
    let events = recording.resize_events();
    let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [2, 4, 5]);
    let expected = BlockEvent {
        number: 5,
        ticks: 5,
        old_serial: 1,
        new_serial: 2,
        old_bytes: 3,
        new_bytes: 4,
        what: 5,
        thread: 6,
        kind: event::KIND_REPLACE,
        flags: event::FLAG_IN_PLACE,
        pause: 7,
    };
    assert_eq!(events[2], expected);
    let marks = recording.marks();
    let numbers: Vec<u64> = marks.iter().map(|mark| mark.number).collect();
    assert_eq!(numbers, [2, 3, 4, 5]);
    assert_eq!((marks[0].thread, marks[0].label.as_str()), (9, "half way"));
}
