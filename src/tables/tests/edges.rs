use super::super::edges::{EDGE_OVERFLOW, EdgeKey, ReplaceFigures};
use super::Capacity;
use mapgrow_format::layout::{edge, header, pause_bucket};

const KEY: EdgeKey = EdgeKey {
    new_site: 3,
    old_site: 4,
    join: 2,
    kind: edge::KIND_REPLACE as u8,
    free_pc: 0x4000,
};

const GROWTH: ReplaceFigures = ReplaceFigures {
    old_bytes: 1000,
    new_bytes: 2000,
    copied: 1000,
    overlap: 3000,
    in_place: false,
    pause_ticks: 500,
    end_ticks: 77,
    weight: 256,
};

#[test]
fn every_part_of_the_key_tells_edges_apart() {
    let memory = Capacity::default().memory();
    let edges = memory.tables().edges;
    let keys = [
        KEY,
        EdgeKey {
            new_site: 4,
            old_site: 3,
            ..KEY
        },
        EdgeKey {
            old_site: edge::NO_SITE,
            ..KEY
        },
        EdgeKey { join: 1, ..KEY },
        EdgeKey {
            kind: edge::KIND_ABANDON as u8,
            ..KEY
        },
        EdgeKey {
            free_pc: 0x4001,
            ..KEY
        },
    ];
    let ids: Vec<u32> = keys
        .iter()
        .map(|key| edges.find_or_create(key, 9))
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    let again: Vec<u32> = keys
        .iter()
        .map(|key| edges.find_or_create(key, 8))
        .collect();
    assert_eq!(again, ids);
    assert_eq!(memory.edge(1, edge::SITES), 3 | 4 << 32);
    assert_eq!(memory.edge(1, edge::JOIN), 1 << 63 | 1 << 16 | 2);
    assert_eq!(memory.edge(1, edge::FREE_PC), 0x4000);
    assert_eq!(memory.edge(1, edge::FREE_CALLEE_PC), 9);
}

#[test]
fn passages_add_up() {
    let memory = Capacity::default().memory();
    let edges = memory.tables().edges;
    let id = edges.find_or_create(&KEY, 0);
    edges.count(id, &GROWTH);
    edges.count(
        id,
        &ReplaceFigures {
            old_bytes: 2000,
            new_bytes: 500,
            copied: 0,
            overlap: 2500,
            in_place: true,
            pause_ticks: 100,
            end_ticks: 99,
            ..GROWTH
        },
    );
    let expected = [
        (edge::COUNT, 2),
        (edge::GROWS, 1),
        (edge::SHRINKS, 1),
        (edge::OLD_BYTES, 3000),
        (edge::NEW_BYTES, 2500),
        (edge::COPIED_BYTES, 1000),
        (edge::IN_PLACE, 1),
        (edge::OVERLAP_PEAK, 3000),
        (edge::OVERLAP_TICKS, 77),
        (edge::PAUSE_TOTAL, 600),
        (edge::PAUSE_MAX, 500),
        (edge::SAMPLED, 0),
        (edge::W_COUNT, 0),
    ];
    for (word, value) in expected {
        assert_eq!(memory.edge(id, word), value, "word {word}");
    }
    for (bucket, count) in [(pause_bucket(500), 1), (pause_bucket(100), 1), (0, 0)] {
        let word = memory.edge(id, edge::PAUSES + bucket / 2);
        assert_eq!(word >> (bucket % 2 * 32) & 0xFFFF_FFFF, count);
    }
}

#[test]
fn sampled_passages_are_kept_apart() {
    let memory = Capacity::default().memory();
    let edges = memory.tables().edges;
    let id = edges.find_or_create(&KEY, 0);
    edges.count(
        id,
        &ReplaceFigures {
            weight: 640,
            ..GROWTH
        },
    );
    let expected = [
        (edge::COUNT, 0),
        (edge::OLD_BYTES, 0),
        (edge::PAUSE_TOTAL, 0),
        (edge::SAMPLED, 1),
        (edge::W_COUNT, 640),
        (edge::W_OLD_BYTES, 2500),
        (edge::W_NEW_BYTES, 5000),
        (edge::W_GROWS, 640),
        (edge::W_SHRINKS, 0),
    ];
    for (word, value) in expected {
        assert_eq!(memory.edge(id, word), value, "word {word}");
    }
}

#[test]
fn what_does_not_fit_is_folded_and_counted() {
    let memory = Capacity {
        edges: 3,
        ..Capacity::default()
    }
    .memory();
    let edges = memory.tables().edges;
    let ids: Vec<u32> = (0..4)
        .map(|free_pc| edges.find_or_create(&EdgeKey { free_pc, ..KEY }, 0))
        .collect();
    assert_eq!(ids, [1, 2, EDGE_OVERFLOW, EDGE_OVERFLOW]);
    for id in ids {
        edges.count(id, &GROWTH);
    }
    assert_eq!(memory.header(header::EDGES_FOLDED), 2);
    assert_eq!(memory.header(header::EDGE_COUNT), 3);
    assert_eq!(memory.edge(EDGE_OVERFLOW, edge::COUNT), 2);
    assert_eq!(memory.edge(EDGE_OVERFLOW, edge::JOIN), 1 << 63);
    edges.count(3, &GROWTH);
}
