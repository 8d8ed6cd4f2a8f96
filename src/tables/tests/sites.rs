use super::super::sites::{BlockFigures, SiteKey, SiteOrigin};
use super::{Capacity, Memory};
use crate::sync::Ordering;
use mapgrow_format::layout::{SITE_OVERFLOW, header, region, site};

const KEY: SiteKey = SiteKey {
    hash: 11,
    entry: site::ENTRY_ALLOC as u8,
    truncated: false,
};

const BLOCK: BlockFigures = BlockFigures {
    bytes: 1000,
    weight: 256,
    align_log2: 4,
    late: false,
    untold: false,
};

fn make(memory: &Memory, key: SiteKey, stack: &[u64], group: Option<u64>) -> u32 {
    let regions = std::array::from_fn(|region| memory.region(region));
    let tables = super::Tables::new(&memory.header, &regions, &memory.commit).unwrap();
    tables
        .sites
        .find_or_create(&key, stack.iter().copied(), || SiteOrigin {
            ticks: 5,
            module_epoch: 6,
            group,
        })
}

#[test]
fn stacks_are_told_apart_by_their_addresses_not_their_hash() {
    let memory = Capacity::default().memory();
    memory.tables();
    let truncated = SiteKey {
        truncated: true,
        ..KEY
    };
    let cases: [(SiteKey, &[u64]); 6] = [
        (KEY, &[1, 2, 3]),
        (KEY, &[1, 2, 4]),
        (KEY, &[1, 2]),
        (KEY, &[]),
        (truncated, &[1, 2]),
        (
            SiteKey {
                entry: site::ENTRY_REALLOC as u8,
                ..KEY
            },
            &[1, 2],
        ),
    ];
    for _ in 0..2 {
        for (at, (key, stack)) in cases.iter().enumerate() {
            assert_eq!(make(&memory, *key, stack, None), at as u32 + 1);
        }
    }
    assert_eq!(memory.header(header::SITE_COUNT), 7);
    assert_eq!(memory.header(header::STACK_WORDS), 12);
    let packed = memory.site(5, site::STACK);
    assert_eq!(
        packed >> 32,
        1 << 31 | 1 << 24 | site::ENTRY_ALLOC << 16 | 2
    );
    let first = packed as u32 as usize;
    let words = &memory.region(region::STACKS)[first..first + 2];
    let words: Vec<u64> = words
        .iter()
        .map(|word| word.load(Ordering::Relaxed))
        .collect();
    assert_eq!(words, [1, 2]);
    assert_eq!(memory.site(5, site::HASH), 11);
    assert_eq!(memory.site(5, site::FIRST_TICKS), 5);
    assert_eq!(memory.site(5, site::MODULE_EPOCH), 6);
}

#[test]
fn growing_sites_share_the_root_of_their_group() {
    let memory = Capacity::default().memory();
    let sites = memory.tables().sites;
    let of = |entry: u64, pc: u64, group: Option<u64>| {
        let key = SiteKey {
            hash: pc,
            entry: entry as u8,
            ..KEY
        };
        make(&memory, key, &[pc], group)
    };
    let first = of(site::ENTRY_ALLOC, 100, Some(7));
    let also_alloc = of(site::ENTRY_ALLOC, 101, Some(7));
    let grows = of(site::ENTRY_REALLOC, 102, Some(7));
    let elsewhere = of(site::ENTRY_REALLOC, 103, Some(8));
    let joins_grower = of(site::ENTRY_ZEROED, 104, Some(8));
    let unknown = of(site::ENTRY_REALLOC, 105, None);
    let unknown_too = of(site::ENTRY_REALLOC, 106, None);
    let roots = [
        first,
        also_alloc,
        grows,
        elsewhere,
        joins_grower,
        unknown,
        unknown_too,
    ]
    .map(|id| sites.root(id));
    assert_eq!(
        roots,
        [
            first,
            also_alloc,
            first,
            elsewhere,
            elsewhere,
            unknown,
            unknown_too
        ]
    );
    assert_eq!(memory.site(grows, site::ROOT), u64::from(first));
}

#[test]
fn blocks_are_counted_at_the_site_and_live_at_the_root() {
    let memory = Capacity::default().memory();
    let sites = memory.tables().sites;
    let first = make(&memory, KEY, &[1], Some(7));
    let grows = make(
        &memory,
        SiteKey {
            hash: 12,
            entry: site::ENTRY_REALLOC as u8,
            truncated: false,
        },
        &[2],
        Some(7),
    );
    sites.allocated(first, &BLOCK, 10);
    sites.allocated(
        grows,
        &BlockFigures {
            bytes: 3000,
            align_log2: 6,
            late: true,
            ..BLOCK
        },
        20,
    );
    sites.freed(first, 1000, 256, 30);
    sites.allocated(
        grows,
        &BlockFigures {
            bytes: 500,
            ..BLOCK
        },
        40,
    );
    let expected = [
        (first, site::ALLOCS, 1),
        (first, site::ALLOC_BYTES, 1000),
        (first, site::FREES, 1),
        (first, site::FREE_BYTES, 1000),
        (first, site::LIVE_BYTES, 3500),
        (first, site::PEAK_BYTES, 4000),
        (first, site::PEAK_TICKS, 20),
        (first, site::MIN_BYTES, 1000),
        (first, site::ALIGN, 4 | 4 << 8),
        (first, site::FREED_SIZES + 4, 1 << 32),
        (grows, site::ALLOCS, 2),
        (grows, site::ALLOC_BYTES, 3500),
        (grows, site::FREES, 0),
        (grows, site::LIVE_BYTES, 0),
        (grows, site::MIN_BYTES, 500),
        (grows, site::MAX_BYTES, 3000),
        (grows, site::ALIGN, 4 | 6 << 8),
        (grows, site::LATE, 1),
        (SITE_OVERFLOW, site::ALIGN, 0xFF),
    ];
    for (id, word, value) in expected {
        assert_eq!(memory.site(id, word), value, "site {id} word {word}");
    }
    assert_eq!(memory.header(header::LIVE_BYTES), 3500);
    assert_eq!(memory.header(header::PEAK_BYTES), 4000);
    assert_eq!(memory.header(header::PEAK_TICKS), 20);
    let bucket = memory.site(first, site::SERIES);
    assert_eq!(bucket & ((1 << 56) - 1), 4001);
    assert_eq!(bucket >> 56, memory.site(first, site::SERIES_SHIFT));
}

#[test]
fn sampled_blocks_leave_the_exact_figures_alone() {
    let memory = Capacity::default().memory();
    let sites = memory.tables().sites;
    let id = make(&memory, KEY, &[1], None);
    let sampled = BlockFigures {
        weight: 64 * 256,
        ..BLOCK
    };
    sites.allocated(id, &sampled, 10);
    sites.allocated(id, &sampled, 10);
    sites.freed(id, 1000, 64 * 256, 20);
    let expected = [
        (site::ALLOCS, 0),
        (site::FREES, 0),
        (site::LIVE_BYTES, 0),
        (site::SAMPLED_ALLOCS, 2),
        (site::W_ALLOCS, 2 * 64 * 256),
        (site::W_ALLOC_BYTES, 128_000),
        (site::VAR_ALLOCS, 2 * 64 * 63),
        // 64 * 63 * 10^6 / 2^20 = 3845.2, rounded up.
        (site::VAR_ALLOC_BYTES, 2 * 3846),
        (site::SAMPLED_FREES, 1),
        (site::W_FREES, 64 * 256),
        (site::W_FREE_BYTES, 64_000),
        (site::FREED_SIZES + 4, 64 << 32),
        (site::MIN_BYTES, 1000),
    ];
    for (word, value) in expected {
        assert_eq!(memory.site(id, word), value, "word {word}");
    }
    assert_eq!(memory.header(header::LIVE_BYTES), 0);
}

#[test]
fn stacks_that_do_not_fit_are_folded_and_their_blocks_counted() {
    for (sites, stack_words) in [(3, 1024), (64, 2)] {
        let memory = Capacity {
            sites,
            stack_words,
            ..Capacity::default()
        }
        .memory();
        let tables = memory.tables();
        let ids: Vec<u32> = (0..4)
            .map(|pc| make(&memory, SiteKey { hash: pc, ..KEY }, &[pc], None))
            .collect();
        assert_eq!(ids, [1, 2, SITE_OVERFLOW, SITE_OVERFLOW]);
        for &id in &ids {
            tables.sites.allocated(id, &BLOCK, 1);
            tables.sites.freed(id, 1000, 256, 2);
        }
        assert_eq!(memory.header(header::SITES_FOLDED), 2);
        assert_eq!(memory.header(header::STACK_WORDS), 2);
        assert_eq!(memory.site(SITE_OVERFLOW, site::ALLOCS), 2);
        assert_eq!(memory.site(SITE_OVERFLOW, site::PEAK_BYTES), 1000);
        assert_eq!(make(&memory, SiteKey { hash: 1, ..KEY }, &[1], None), 2);
        tables.sites.allocated(99, &BLOCK, 1);
    }
}

#[test]
fn memory_is_committed_before_it_is_counted() {
    let mut memory = Capacity::default().memory();
    memory.bound(region::SITES, 2 * site::WORDS);
    memory.tables();
    assert_eq!(make(&memory, KEY, &[1], None), 1);
    assert_eq!(make(&memory, KEY, &[2], None), SITE_OVERFLOW);
    assert_eq!(memory.header(header::SITE_COUNT), 2);
    assert_eq!(memory.commit.committed(region::SITES), 2 * site::WORDS);
}

#[test]
fn very_deep_stacks_are_cut_not_lost() {
    let memory = Capacity {
        stack_words: 70_000,
        ..Capacity::default()
    }
    .memory();
    let sites = memory.tables().sites;
    let origin = || SiteOrigin {
        ticks: 0,
        module_epoch: 0,
        group: None,
    };
    let id = sites.find_or_create(&KEY, 0..100_000, origin);
    assert_eq!(id, 1);
    assert_eq!(sites.find_or_create(&KEY, 0..100_000, origin), 1);
    assert_eq!(memory.header(header::STACK_WORDS), 0xFFFF);
}

/// The short way to count must not count anything else.
#[test]
fn a_block_that_is_only_counted_is_counted_like_any_other() {
    let (short, long) = (Capacity::default().memory(), Capacity::default().memory());
    let (alone, told) = (short.tables().sites, long.tables().sites);
    let id = make(&short, KEY, &[10], None);
    assert_eq!(make(&long, KEY, &[10], None), id);
    for (id, bytes, align_log2, now) in [
        (id, 40, 3, 1),
        (id, 17, 0, 2_000_000),
        (SITE_OVERFLOW, 1000, 3, 3_000_000),
        (id, 900, 3, 400_000_000),
    ] {
        alone.allocated_alone(id, bytes, align_log2, now);
        let block = BlockFigures {
            bytes,
            align_log2,
            untold: true,
            ..BLOCK
        };
        told.allocated(id, &block, now);
    }
    for (bytes, now) in [(17, 410_000_000), (40, 900_000_000)] {
        alone.freed_alone(id, bytes, now);
        told.freed(id, bytes, BLOCK.weight, now);
        told.went_untold(id);
    }
    let words = |memory: &Memory| -> Vec<u64> {
        let sites = memory.region(region::SITES)[..2 * site::WORDS].iter();
        let all = sites.chain(&memory.header);
        all.map(|word| word.load(Ordering::Relaxed)).collect()
    };
    assert_eq!(words(&short), words(&long));
    assert_eq!(short.site(id, site::UNTOLD_FREES), 2);
}
