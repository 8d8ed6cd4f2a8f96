//! Threads that hand containers to each other, and an account of every block beneath the
//! recorder. At the end the report must say the same, to the byte.
//!
//!   conserve SEED OPERATIONS THREADS
//!
//! Each block carries in front of it which kind of container asked for it, so it is counted right
//! whoever frees it. A container is often passed on before the one that it took the place of is
//! dropped: what the recorder then does for the new block meets what its next owner does with it.

mod account;

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use account::{ACCOUNTS, Accountant, COUNTING, KIND, KINDS};
use mapgrow::report::{Report, Site};

/// Functions that use a container, by kind: the report names them. The first stands for none.
const FUNCTIONS: [&str; KINDS] = [
    "",
    "keep_numbers",
    "keep_names",
    "append",
    "enqueue",
    "sort_in",
    "put_in_order",
    "fill_rows",
];
/// The kind whose blocks are nodes, not maps.
const NODES: usize = 6;
const SHELVES: usize = 256;
/// Threads are born and end so many times.
const GENERATIONS: u64 = 16;

#[global_allocator]
static ALLOC: mapgrow::MapGrow<Accountant> = mapgrow::MapGrow::with_backend(Accountant).exact();

/// Small, and the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % bound
    }

    /// Mostly few, sometimes many.
    fn some(&mut self) -> u64 {
        let most = 1 << self.below(9);
        1 + self.below(most)
    }
}

/// What lies on a shelf.
#[derive(Default)]
enum Thing {
    #[default]
    None,
    Numbers(HashMap<u64, u64>),
    Names(HashSet<String>),
    List(Vec<u64>),
    Queue(VecDeque<u32>),
    Heap(BinaryHeap<u64>),
    Tree(BTreeMap<u16, u64>),
    Rows(Vec<Vec<u16>>),
}

impl Thing {
    /// Its kind, and how many of its containers have a block.
    fn maps(&self) -> (usize, u64) {
        match self {
            Self::None => (0, 0),
            Self::Numbers(map) => (1, u64::from(map.capacity() > 0)),
            Self::Names(set) => (2, u64::from(set.capacity() > 0) + set.len() as u64),
            Self::List(list) => (3, u64::from(list.capacity() > 0)),
            Self::Queue(queue) => (4, u64::from(queue.capacity() > 0)),
            Self::Heap(heap) => (5, u64::from(heap.capacity() > 0)),
            Self::Tree(_) => (NODES, 0),
            Self::Rows(rows) => {
                let rows_with = rows.iter().filter(|row| row.capacity() > 0).count();
                (7, u64::from(rows.capacity() > 0) + rows_with as u64)
            }
        }
    }
}

/// What happens to a container, whatever it is.
#[derive(Clone, Copy)]
enum Deed {
    Fill(u64),
    Empty(u64),
    Shrink,
    Reserve(u64),
    /// A copy is passed on, and only then the old one dropped.
    Rebuild,
    Drop,
}

impl Deed {
    fn any(random: &mut Random) -> Self {
        match random.below(100) {
            0..55 => Self::Fill(random.some()),
            55..72 => Self::Empty(random.some()),
            72..78 => Self::Shrink,
            78..82 => Self::Reserve(random.below(2000)),
            82..96 => Self::Rebuild,
            _ => Self::Drop,
        }
    }

    fn operations(self) -> u64 {
        match self {
            Self::Fill(many) | Self::Empty(many) => many,
            _ => 1,
        }
    }
}

/// The shelves, and who works at them.
struct Worker<'a> {
    shelves: &'a [Mutex<Thing>],
    random: Random,
}

impl Worker<'_> {
    fn take(&mut self) -> Thing {
        let shelf = self.random.below(SHELVES as u64) as usize;
        std::mem::take(&mut *self.shelves[shelf].lock().expect("nobody panics"))
    }

    /// Lays a thing on any shelf; what lay there is dropped here.
    fn put(&mut self, thing: Thing) {
        let shelf = self.random.below(SHELVES as u64) as usize;
        let mut place = self.shelves[shelf].lock().expect("nobody panics");
        let before = std::mem::replace(&mut *place, thing);
        drop(place);
        drop(before);
    }

    fn work(&mut self) -> u64 {
        let thing = self.take();
        let deed = Deed::any(&mut self.random);
        let kind = match thing.maps().0 {
            0 => 1 + self.random.below(KINDS as u64 - 1) as usize,
            kind => kind,
        };
        KIND.set(kind);
        match kind {
            1 => keep_numbers(self, thing, deed),
            2 => keep_names(self, thing, deed),
            3 => append(self, thing, deed),
            4 => enqueue(self, thing, deed),
            5 => sort_in(self, thing, deed),
            6 => put_in_order(self, thing, deed),
            _ => fill_rows(self, thing, deed),
        }
        KIND.set(0);
        deed.operations()
    }
}

/// A function that does to a container what is asked; it is its blocks' caller in the report.
macro_rules! kind {
    ($name:ident, $variant:ident, $random:ident, $thing:ident,
     $fill:expr, $empty:expr, $shrink:expr, $reserve:expr) => {
        #[inline(never)]
        fn $name(worker: &mut Worker<'_>, thing: Thing, deed: Deed) {
            let mut $thing = match thing {
                Thing::$variant(inner) => inner,
                _ => Default::default(),
            };
            let $random = &mut worker.random;
            match deed {
                Deed::Fill(many) => {
                    for _ in 0..many {
                        let _ = $fill;
                    }
                }
                Deed::Empty(many) => {
                    for _ in 0..many {
                        let _ = $empty;
                    }
                }
                Deed::Shrink => $shrink,
                Deed::Reserve(more) => $reserve(&mut $thing, more as usize),
                Deed::Rebuild => {
                    let copy = $thing.clone();
                    worker.put(Thing::$variant(copy));
                    drop($thing);
                    return;
                }
                Deed::Drop => return drop($thing),
            }
            worker.put(Thing::$variant($thing));
        }
    };
}

kind!(
    keep_numbers,
    Numbers,
    random,
    map,
    map.insert(random.below(4096), 1),
    map.remove(&random.below(4096)),
    map.shrink_to_fit(),
    HashMap::reserve
);
kind!(
    keep_names,
    Names,
    random,
    set,
    set.insert(one_of_keep_names(random)),
    set.remove(&one_of_keep_names(random)),
    set.shrink_to_fit(),
    HashSet::reserve
);
kind!(
    append,
    List,
    random,
    list,
    list.push(random.below(9)),
    list.pop(),
    list.shrink_to_fit(),
    Vec::reserve
);
kind!(
    enqueue,
    Queue,
    random,
    queue,
    queue.push_back(random.below(9) as u32),
    queue.pop_front(),
    queue.shrink_to_fit(),
    VecDeque::reserve
);
kind!(
    sort_in,
    Heap,
    random,
    heap,
    heap.push(random.below(1 << 40)),
    heap.pop(),
    heap.shrink_to_fit(),
    BinaryHeap::reserve
);
kind!(
    put_in_order,
    Tree,
    random,
    tree,
    tree.insert(random.below(3000) as u16, 1),
    tree.remove(&(random.below(3000) as u16)),
    tree.retain(|key, _| key % 2 == 0),
    split_put_in_order
);
kind!(
    fill_rows,
    Rows,
    random,
    rows,
    match rows.len() {
        0 => rows.push(Vec::new()),
        length if length < 40 && random.below(8) == 0 => rows.push(Vec::new()),
        length => rows[random.below(length as u64) as usize].push(7),
    },
    match rows.len() {
        0 => None,
        length => rows[random.below(length as u64) as usize].pop(),
    },
    rows.shrink_to_fit(),
    Vec::reserve
);

/// Named so that its blocks count for `put_in_order`.
fn split_put_in_order(tree: &mut BTreeMap<u16, u64>, _: usize) {
    drop(tree.split_off(&1500));
}

/// The same for `keep_names`.
fn one_of_keep_names(random: &mut Random) -> String {
    let mut name = String::with_capacity(12);
    name.push((b'a' + random.below(26) as u8) as char);
    name.push((b'a' + random.below(26) as u8) as char);
    name
}

/// Compares one figure, and says where it is off.
fn same(off: &mut u64, of: &str, what: &str, truth: u64, said: u64) {
    if truth != said {
        *off += 1;
        println!("OFF {of}: {what} {truth}, the report says {said}");
    }
}

fn compare(report: &Report, live: &[u64; KINDS]) -> u64 {
    let mut off = 0;
    for (kind, function) in FUNCTIONS.iter().enumerate().skip(1) {
        let of_kind = |site: &&Site| {
            let caller = site.caller.as_ref();
            caller.is_some_and(|caller| caller.function.contains(function))
        };
        let sites: Vec<&Site> = report.sites.iter().filter(of_kind).collect();
        let sum = |of: fn(&Site) -> u64| sites.iter().map(|site| of(site)).sum::<u64>();
        let account = &ACCOUNTS[kind];
        let truth = |word: &AtomicU64| word.load(Relaxed);
        let (allocated, freed) = (truth(&account.allocated), truth(&account.freed));
        let (blocks, gone) = (truth(&account.blocks), truth(&account.blocks_freed));
        let rows = [
            (
                "bytes allocated",
                allocated,
                sum(|site| site.allocated_bytes),
            ),
            ("bytes freed", freed, sum(|site| site.freed_bytes)),
            ("bytes live", allocated - freed, sum(|site| site.live_bytes)),
            ("blocks allocated", blocks, sum(|site| site.allocs)),
            ("blocks freed", gone, sum(|site| site.frees)),
        ];
        for (what, truth, said) in rows {
            same(&mut off, function, what, truth, said);
        }
        if kind == NODES {
            continue;
        }
        let maps_live = sum(|site| site.maps_live.unwrap_or(0));
        same(&mut off, function, "maps live", live[kind], maps_live);
        let created = sum(|site| site.maps_created.unwrap_or(0));
        let dropped = sum(|site| site.maps_dropped.unwrap_or(0));
        same(
            &mut off,
            function,
            "maps created - dropped",
            live[kind],
            created.wrapping_sub(dropped),
        );
    }
    let honesty = &report.honesty;
    let difference = honesty.conservation_difference_bytes.unsigned_abs();
    same(&mut off, "honesty", "difference", 0, difference);
    same(
        &mut off,
        "honesty",
        "frees of blocks unknown",
        0,
        honesty.frees_unknown,
    );
    off
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut number = || match numbers.next() {
        Some(Ok(number)) => number,
        _ => panic!("usage: conserve SEED OPERATIONS THREADS"),
    };
    let (seed, operations, threads) = (number(), number(), number().max(1));
    let shelves: Vec<Mutex<Thing>> = (0..SHELVES).map(|_| Mutex::default()).collect();
    let done = AtomicU64::new(0);
    for generation in 0..GENERATIONS {
        std::thread::scope(|scope| {
            let work = |thread| {
                let (shelves, done) = (&shelves, &done);
                scope.spawn(move || {
                    let mut random = Random(seed << 32 ^ generation << 16 ^ thread);
                    random.below(2);
                    let mut worker = Worker { shelves, random };
                    let mut left = operations / GENERATIONS / threads;
                    let all = left;
                    while left > 0 {
                        left = left.saturating_sub(worker.work());
                    }
                    done.fetch_add(all, Relaxed);
                })
            };
            let workers: Vec<_> = (0..threads).map(work).collect();
            // The scope alone would not wait for what a thread frees at its very end.
            for worker in workers {
                worker.join().expect("nobody panics");
            }
        });
    }
    COUNTING.store(false, Relaxed);
    let mut live = [0; KINDS];
    for shelf in &shelves {
        let (kind, maps) = shelf.lock().expect("nobody panics").maps();
        live[kind] += maps;
    }
    let report = mapgrow::snapshot().expect("something was recorded");
    let off = compare(&report, &live);
    if off > 0 {
        // Where the rest is, if only the place is wrong.
        for site in &report.sites {
            println!("{:?}: {} blocks", site.caller, site.allocs);
        }
    }
    println!(
        "seed {seed}: {} operations, {threads} threads, {off} off",
        done.load(Relaxed)
    );
    // What is live stays so for the dump at exit.
    std::mem::forget(shelves);
    ExitCode::from(u8::from(off > 0))
}
