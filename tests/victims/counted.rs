//! Boxes and short vectors that come and go, on two threads, beside containers that grow: in exact mode
//! the ones are counted, the others followed. Prints what the program itself knows.

use std::collections::HashMap;
use std::hint::black_box;
use std::mem::forget;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

const BOXES: usize = 10_000;
const KEPT: usize = 1_000;
const VECTORS: usize = 5_000;

#[inline(never)]
fn boxed(number: usize) -> Box<[usize; 5]> {
    Box::new([number; 5])
}

#[inline(never)]
fn short_vector(number: usize) -> Vec<u16> {
    let mut vector = Vec::with_capacity(12);
    vector.push(number as u16);
    vector
}

/// A table of one's own, which moves into a larger one by hand.
struct Table(Box<[u64]>);

impl Table {
    #[inline(never)]
    fn grow(&mut self) {
        let mut larger = vec![0; self.0.len() * 2].into_boxed_slice();
        larger[..self.0.len()].copy_from_slice(&self.0);
        self.0 = black_box(larger);
    }
}

#[inline(never)]
fn grown_vector() -> Vec<u64> {
    let mut vector = Vec::new();
    for number in 0..100_000 {
        vector.push(number);
    }
    vector
}

fn main() {
    let mut boxes: Vec<Box<[usize; 5]>> = Vec::with_capacity(BOXES);
    boxes.extend((0..BOXES).map(boxed));
    let kept = boxes.split_off(BOXES - KEPT);
    let others = boxes.split_off(BOXES / 2);
    // Half of the rest is freed by a thread that did not make it.
    let freeing = std::thread::spawn(move || drop(black_box(others)));
    drop(black_box(boxes));
    freeing.join().expect("it only frees");
    for number in 0..VECTORS {
        black_box(short_vector(number));
    }
    let vector = grown_vector();
    let mut table = Table(vec![1; 8].into_boxed_slice());
    for _ in 0..9 {
        table.grow();
    }
    let map: HashMap<u64, u64> = (0..20).map(|n| (n, n)).collect();
    println!("{} {}", vector.capacity(), table.0.len());
    forget((kept, vector, table, map));
}
