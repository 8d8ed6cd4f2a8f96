//! Thousands of short threads, each with a map that the main thread drops after it has ended.

use std::collections::HashMap;
use std::thread;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

#[inline(never)]
fn map_of_a_short_thread(n: u64) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    for i in 0..200 {
        map.insert(i, n);
    }
    map
}

fn main() {
    let mut sum = 0;
    for batch in 0..500 {
        let threads: Vec<_> = (0..8)
            .map(|n| thread::spawn(move || map_of_a_short_thread(batch * 8 + n)))
            .collect();
        for thread in threads {
            let map = thread.join().expect("a short thread ends well");
            sum += map.values().sum::<u64>();
        }
    }
    println!("sum {sum}");
}
