//! What the control bytes of real tables are taken for: 12,000 hashbrown tables of elements of
//! many sizes and all alignments, in every state that a program can bring them to, against what the
//! tables say of themselves. Their blocks are found by an allocator that fills fresh memory with
//! whatever could mislead, old control bytes included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;

use hashbrown::HashTable;
use mapgrow_containers::occupancy::{Block, Known, Limits, Occupancy, survey};

/// Notes the blocks that could be tables while a thread asks for it.
struct Noting;

thread_local! {
    static NOTING: Cell<bool> = const { Cell::new(false) };
    static BLOCKS: RefCell<Vec<(usize, Layout)>> = const { RefCell::new(Vec::new()) };
    static FILL: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything on to `System`; fresh memory may hold anything.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `layout` is not zero-sized: `GlobalAlloc`'s contract, which is `System`'s too.
        let block = unsafe { System.alloc(layout) };
        if NOTING.get() && layout.align() >= 16 && !block.is_null() {
            NOTING.set(false);
            // SAFETY: fresh memory of this size.
            unsafe { mislead(std::slice::from_raw_parts_mut(block, layout.size())) };
            BLOCKS.with_borrow_mut(|blocks| blocks.push((block as usize, layout)));
            NOTING.set(true);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this `layout`, and is freed once.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOC: Noting = Noting;

fn random() -> u64 {
    FILL.set(FILL.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
    let z = FILL.get();
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn below(bound: usize) -> usize {
    (random() % bound as u64) as usize
}

/// Fills fresh memory with zeros, ones, text, noise, or what a table left behind.
fn mislead(memory: &mut [u8]) {
    match below(6) {
        0 => memory.fill(0),
        1 => memory.fill(0xFF),
        2 => memory.fill(0x80),
        3 => memory.fill_with(|| b'a' + (random() % 26) as u8),
        4 => memory.fill_with(|| random() as u8),
        // Control bytes of a table with more buckets and smaller elements.
        _ => {
            let sparse = 2 + below(30) as u64;
            memory.fill_with(|| {
                if random().is_multiple_of(sparse) {
                    (random() & 0x7F) as u8
                } else {
                    0xFF
                }
            });
            let length = memory.len();
            for log2 in 4..20 {
                if let Some(first) = length.checked_sub((1 << log2) + 16) {
                    memory.copy_within(first..first + 16, length - 16);
                }
            }
        }
    }
}

/// An element of `N` bytes, aligned as `A`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Element<A: Copy, const N: usize> {
    align: [A; 0],
    bytes: [u8; N],
}

#[derive(Clone, Copy)]
#[repr(align(32))]
struct Align32;
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Align64;

impl<A: Copy, const N: usize> Element<A, N> {
    fn new() -> Self {
        let mut bytes = [0; N];
        fill(&mut bytes);
        Self { align: [], bytes }
    }

    fn hash(&self) -> u64 {
        hash(&self.bytes)
    }
}

// What does not depend on the element is compiled once, not for each of them.

fn hash(bytes: &[u8]) -> u64 {
    std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(bytes)
}

fn fill(bytes: &mut [u8]) {
    let kind = below(4);
    bytes.fill_with(|| match kind {
        0 => 0,
        1 => 0xFF,
        2 => (random() & 0x7F) as u8,
        _ => random() as u8,
    });
    let number = random().to_le_bytes();
    let key = bytes.len().min(8);
    bytes[..key].copy_from_slice(&number[..key]);
}

type Table<A, const N: usize> = HashTable<Element<A, N>>;

fn insert<A: Copy, const N: usize>(table: &mut Table<A, N>, count: usize) {
    for _ in 0..count {
        let element = Element::new();
        table.insert_unique(element.hash(), element, Element::hash);
    }
}

/// Removes `count` entries from anywhere.
fn remove<A: Copy, const N: usize>(table: &mut Table<A, N>, count: usize) {
    let buckets = table.num_buckets();
    let mut left = count.min(table.len());
    while left > 0 {
        if let Ok(entry) = table.get_bucket_entry(below(buckets)) {
            entry.remove();
            left -= 1;
        }
    }
}

const STATES: [&str; 9] = [
    "grown",
    "presized",
    "half deleted",
    "emptied one by one",
    "cleared",
    "churned",
    "cloned",
    "shrunk",
    "presized and cleared",
];

/// Brings a table to a state; the sizes that its blocks had, and the last block.
fn bring_about<A: Copy, const N: usize>(
    state: usize,
    count: usize,
) -> (Table<A, N>, Vec<(usize, Layout)>) {
    BLOCKS.with_borrow_mut(Vec::clear);
    BLOCKS.with_borrow_mut(|blocks| blocks.reserve(64));
    NOTING.set(true);
    let mut table = match state {
        1 | 8 => Table::with_capacity(count + below(count + 1)),
        _ => Table::new(),
    };
    insert(&mut table, count);
    match state {
        2 => remove(&mut table, count / 2),
        3 => remove(&mut table, count),
        4 | 8 => table.clear(),
        5 => {
            for _ in 0..count * 2 {
                remove(&mut table, 1);
                insert(&mut table, 1);
            }
        }
        6 => {
            remove(&mut table, below(count + 1));
            BLOCKS.with_borrow_mut(Vec::clear);
            table = table.clone();
        }
        7 => {
            remove(&mut table, below(count + 1));
            table.shrink_to_fit(Element::hash);
        }
        _ => {}
    }
    NOTING.set(false);
    let blocks = BLOCKS.with_borrow(Clone::clone);
    (table, blocks)
}

#[derive(Default, Clone, Copy)]
struct Tally {
    tables: u32,
    unknown: u32,
    entries_only: u32,
    wrong: u32,
}

#[derive(Default)]
struct Tallies {
    alone: [Tally; STATES.len()],
    with_lineage: [Tally; STATES.len()],
    with_siblings: [Tally; STATES.len()],
}

fn check<A: Copy, const N: usize>(state: usize, tallies: &mut Tallies) {
    let magnitude = below(12);
    let count = below(1 << magnitude);
    let (table, blocks) = bring_about::<A, N>(state, count);
    let says = Says {
        buckets: table.num_buckets() as u64,
        entries: table.len() as u64,
        room: table.capacity() as u64,
        element: size_of::<Element<A, N>>() as u64,
    };
    // Alive until here.
    compare(state, tallies, &says, &blocks);
    drop(table);
}

/// What a table says of itself.
struct Says {
    buckets: u64,
    entries: u64,
    /// Its `capacity()`: entries that it has and that it takes before it grows.
    room: u64,
    element: u64,
}

fn compare(state: usize, tallies: &mut Tallies, says: &Says, blocks: &[(usize, Layout)]) {
    let Some(&(address, layout)) = blocks.last().filter(|_| says.buckets > 1) else {
        return;
    };
    // SAFETY: the table's block, which lives as long as the table does in `check`; the bytes were
    // all written when it was allocated.
    let memory = unsafe { std::slice::from_raw_parts(address as *const u8, layout.size()) };
    let block = Block::new(layout.size() as u64, Some(layout.align() as u64), 16).unwrap();
    let surveyed = survey(&block, &mut &*memory, &Limits::default()).unwrap();
    let sizes: Vec<u64> = blocks
        .iter()
        .map(|(_, layout)| layout.size() as u64)
        .collect();
    let with_lineage = Known {
        element: None,
        sizes: &sizes,
    };
    let with_siblings = Known {
        element: Some(says.element),
        sizes: &sizes,
    };
    for (tally, known) in [
        (&mut tallies.alone[state], Known::default()),
        (&mut tallies.with_lineage[state], with_lineage),
        (&mut tallies.with_siblings[state], with_siblings),
    ] {
        judge(tally, says, surveyed.settle(&known), layout);
    }
}

fn judge(tally: &mut Tally, says: &Says, occupancy: Option<Occupancy>, layout: Layout) {
    tally.tables += 1;
    let Some(occupancy) = occupancy else {
        tally.unknown += 1;
        return;
    };
    let buckets = says.buckets;
    let full = if buckets <= 8 {
        buckets - 1
    } else {
        buckets / 8 * 7
    };
    let tombstones = full - says.room;
    let element = says.element;
    let agrees = occupancy.entries.value == says.entries
        && occupancy.entries.error == 0
        && occupancy.tombstones.value == tombstones
        && occupancy.buckets.is_none_or(|known| known == buckets)
        && occupancy.element_bytes.is_none_or(|known| known == element)
        && occupancy.capacity.is_none_or(|known| known == full)
        && occupancy
            .growth_left
            .is_none_or(|left| left == says.room - says.entries);
    if !agrees {
        tally.wrong += 1;
        eprintln!(
            "{buckets} buckets of {element} bytes, {} entries, {tombstones} tombstones, block of \
             {} bytes aligned to {}: taken for {occupancy:?}",
            says.entries,
            layout.size(),
            layout.align(),
        );
    }
    if occupancy.buckets.is_none() {
        tally.entries_only += 1;
    }
}

macro_rules! each_size {
    ($state:expr, $tallies:expr, $align:ty: $($size:literal)*) => {
        $(check::<$align, $size>($state, $tallies);)*
    };
}

fn all_sizes(state: usize, tallies: &mut Tallies) {
    each_size!(state, tallies, u8:
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 19 21 23 24 25 29 31 32 33 40 47 48 49 63 64 65
        71 80 95 97 113 127 128 129 143 161 191 193 223 240 255 257 300
    );
    each_size!(state, tallies, u16: 2 6 34);
    each_size!(state, tallies, u32: 4 12 20);
    each_size!(state, tallies, u64: 8 24 40 56 104 200);
    each_size!(state, tallies, u128: 16 48 80 256);
    each_size!(state, tallies, Align32: 0 32 96 288);
    each_size!(state, tallies, Align64: 0 64 192);
}

#[test]
fn tables_are_what_they_say() {
    let seed = std::env::var("MAPGROW_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    FILL.set(seed.unwrap_or(1));
    let mut tallies = Tallies::default();
    for _ in 0..20 {
        for state in 0..STATES.len() {
            all_sizes(state, &mut tallies);
        }
    }
    for (what, rows, most_unknown) in [
        ("alone", &tallies.alone, 3000),
        ("lineage", &tallies.with_lineage, 100),
        ("siblings", &tallies.with_siblings, 0),
    ] {
        let mut sum = Tally::default();
        for (state, row) in STATES.iter().zip(rows) {
            println!(
                "{what:>8} {state:>22}: {:6} tables, {:4} unknown, {:4} entries only, {} wrong",
                row.tables, row.unknown, row.entries_only, row.wrong
            );
            sum.tables += row.tables;
            sum.unknown += row.unknown;
            sum.entries_only += row.entries_only;
            sum.wrong += row.wrong;
        }
        println!(
            "{what:>8} {:>22}: {:6} tables, {:4} unknown, {:4} entries only, {} wrong",
            "all", sum.tables, sum.unknown, sum.entries_only, sum.wrong
        );
        assert_eq!(sum.wrong, 0);
        assert!(sum.tables > 9000);
        assert!(
            sum.unknown <= most_unknown,
            "{what}: {} unknown",
            sum.unknown
        );
    }
}
