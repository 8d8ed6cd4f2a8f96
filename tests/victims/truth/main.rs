//! The truth program: fills containers of many shapes on two threads and writes down what that
//! did, seen from underneath the recorder and by its own clock.
//!
//! `truth TRUTH.json [ENTRIES]`. The figures that MapGrow reports for the same process have to
//! equal these; `tests/truth.rs` compares them. Each shape lives in a function of its own, which
//! is how the two are joined.

mod counting;
mod ledger;
mod maps;
mod sequences;
mod threads;

use counting::Counting;
use ledger::{FAMILIES, Rule};
use std::fmt::Write as _;
use std::thread;

#[global_allocator]
static ALLOC: mapgrow::MapGrow<Counting> = mapgrow::MapGrow::with_backend(Counting);

/// One call into a container: what it allocates and frees belongs together.
#[macro_export]
macro_rules! op {
    ($call:expr) => {{
        $crate::counting::begin();
        let result = $call;
        $crate::counting::end();
        result
    }};
}

struct Shape {
    name: &'static str,
    run: fn(u64) -> u64,
    rules: &'static [Rule],
    /// Times the program itself replaced a map by a new one.
    rebuilds: u64,
}

macro_rules! shape {
    ($module:ident :: $name:ident, $($rule:expr),+ $(; rebuilds $n:expr)?) => {
        Shape {
            name: stringify!($name),
            run: $module::$name,
            rules: &[$($rule),+],
            rebuilds: 0 $(+ $n)?,
        }
    };
}

type U64Pair = (u64, u64);

/// Shapes of the first thread.
static LEFT: &[Shape] = &[
    shape!(maps::shape_hashmap_u64, Rule::hash::<U64Pair>()),
    shape!(
        maps::shape_indexmap,
        Rule::hash::<usize>(),
        Rule::vec::<[u64; 3]>()
    ),
    shape!(
        maps::shape_overaligned_values,
        Rule::hash::<(u32, maps::Line)>()
    ),
    shape!(maps::shape_with_capacity, Rule::hash::<U64Pair>()),
    shape!(maps::shape_clone, Rule::hash::<U64Pair>()),
    shape!(maps::shape_shrink_to_fit, Rule::hash::<U64Pair>()),
    shape!(maps::shape_rebuild, Rule::hash::<U64Pair>(); rebuilds maps::REBUILDS),
    shape!(maps::shape_panicking_hasher, Rule::hash::<U64Pair>()),
    shape!(maps::shape_allocating_hasher, Rule::hash::<U64Pair>()),
    shape!(
        threads::shape_moved_to_other_thread,
        Rule::hash::<U64Pair>()
    ),
    shape!(sequences::shape_vec_of_everything, Rule::vec::<u16>()),
];

/// Shapes of the second.
static RIGHT: &[Shape] = &[
    shape!(sequences::shape_vec_u32_push, Rule::vec::<u32>()),
    shape!(sequences::shape_string_push, Rule::vec::<u8>()),
    shape!(sequences::shape_vecdeque, Rule::vec::<[u64; 3]>()),
    shape!(sequences::shape_binaryheap, Rule::vec::<u64>()),
    shape!(sequences::shape_btreemap, Rule::Nodes),
    shape!(sequences::shape_btreeset_dropped, Rule::Nodes),
    shape!(maps::shape_hashset_string, Rule::hash::<String>()),
    shape!(maps::shape_hashbrown_crate, Rule::hash::<(u32, [u64; 3])>()),
    shape!(maps::shape_dashmap, Rule::hash::<U64Pair>()),
    shape!(
        maps::shape_zst_values,
        Rule::hash::<u32>(),
        Rule::hash::<u8>()
    ),
    shape!(
        maps::shape_reserve_extend_collect,
        Rule::hash::<U64Pair>(),
        Rule::hash::<u64>()
    ),
    shape!(maps::shape_retain_drain, Rule::hash::<U64Pair>()),
    shape!(
        maps::shape_maps_of_maps,
        Rule::hash::<(u64, std::collections::HashMap<u32, u32>)>(),
        Rule::hash::<(u32, u32)>()
    ),
    shape!(threads::shape_tls_destructor, Rule::hash::<U64Pair>()),
];

fn run(shapes: &'static [Shape], first: usize, entries: u64) -> u64 {
    let mut sum = 0u64;
    for (i, shape) in shapes.iter().enumerate() {
        counting::enter(first + i, shape.rules);
        let result = (shape.run)(entries);
        counting::leave();
        sum = sum.rotate_left(5).wrapping_add(result);
    }
    sum
}

fn truth() -> String {
    let state = counting::finish();
    let mut out = String::from("{\n");
    let shapes: Vec<&Shape> = LEFT.iter().chain(RIGHT).collect();
    let _ = writeln!(out, " \"floor\": {},\n \"shapes\": [", ledger::FLOOR);
    for (i, shape) in shapes.iter().enumerate() {
        for (f, family) in FAMILIES.iter().enumerate() {
            let t = &state.figures[i][f];
            if t.creates == 0 {
                continue;
            }
            let _ = writeln!(
                out,
                "  {{\"shape\": \"{}\", \"family\": \"{family}\", \"creates\": {}, \"grows\": {}, \
                 \"shrinks\": {}, \"aborted\": {}, \"drops\": {}, \"rebuilds\": {}, \
                 \"in_place\": {}, \"allocated_bytes\": {}, \"copied_bytes\": {}, \
                 \"live_bytes\": {}, \"peak_bytes\": {}, \"overlap_peak_bytes\": {}, \
                 \"floor_allocs\": {}, \"floor_bytes\": {}, \"floor_live_bytes\": {}, \
                 \"floor_live\": {}, \"floor_resizes\": {}, \"chains_missing\": {}}},",
                shape.name,
                t.creates,
                t.grows,
                t.shrinks,
                t.aborted,
                t.drops,
                if f == 0 { shape.rebuilds } else { 0 },
                t.in_place,
                t.allocated_bytes,
                t.copied_bytes,
                t.live_bytes,
                t.peak_bytes,
                t.overlap_peak_bytes,
                t.floor_allocs,
                t.floor_bytes,
                t.floor_live_bytes,
                t.floor_live,
                t.floor_resizes,
                t.chains_missing,
            );
        }
    }
    close(&mut out);
    let _ = writeln!(out, " ],\n \"pauses\": [");
    for p in state.pauses() {
        let _ = writeln!(
            out,
            "  {{\"shape\": \"{}\", \"family\": \"{}\", \"old_bytes\": {}, \"new_bytes\": {}, \
             \"ns\": {}, \"inside_ns\": {}}},",
            shapes[p.shape].name,
            FAMILIES[p.resize.family],
            p.resize.old_bytes,
            p.resize.new_bytes,
            p.ns,
            p.inside_ns
        );
    }
    close(&mut out);
    let _ = writeln!(out, " ],\n \"chains\": [");
    for (shape, family, tables) in state.live_chains() {
        let _ = writeln!(
            out,
            "  {{\"shape\": \"{}\", \"family\": \"{}\", \"tables\": {tables:?}}},",
            shapes[shape].name, FAMILIES[family]
        );
    }
    close(&mut out);
    let _ = writeln!(
        out,
        " ],\n \"heap_live_bytes\": {}\n}}",
        counting::heap_live_bytes()
    );
    out
}

/// Takes the comma after the last element of an array away again.
fn close(out: &mut String) {
    if out.ends_with(",\n") {
        out.truncate(out.len() - 2);
        out.push('\n');
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("usage: truth TRUTH.json [ENTRIES]");
    let entries: u64 = args
        .next()
        .map_or(1_000_000, |n| n.parse().expect("a number"));
    std::hint::black_box(maps::scramble(entries));
    let left = thread::spawn(move || run(LEFT, 0, entries));
    let right = thread::spawn(move || run(RIGHT, LEFT.len(), entries));
    let sums = [left, right].map(|t| t.join().expect("a thread of shapes ends well"));
    println!("result {:016x} {:016x}", sums[0], sums[1]);
    std::fs::write(path, truth()).expect("the truth can be written");
}
