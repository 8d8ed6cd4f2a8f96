//! Two maps of one type: the limits are made with their size, the keys seen are never deleted.

use std::collections::HashMap;
use std::io::{Read, Write};

#[inline(never)]
fn limits(count: u64) -> HashMap<u64, u64> {
    let mut limits = HashMap::with_capacity(count as usize);
    limits.extend((0..count).map(|user| (user, 0)));
    limits
}

#[inline(never)]
fn is_new(seen: &mut HashMap<u64, u64>, key: u64) -> bool {
    seen.insert(key, 1).is_none() // HERE
}

fn main() {
    let cured = std::env::args().nth(1).as_deref() == Some("cured");
    let limits = limits(200_000);
    let mut seen = HashMap::with_capacity(if cured { 1_500_000 } else { 0 });
    let new = (0..1_500_000).filter(|&key| is_new(&mut seen, key)).count();
    let buckets = (seen.capacity() as u64 * 8).div_ceil(7).next_power_of_two();
    println!("entries {new}");
    println!("bytes {}", buckets * 17 + 16);
    println!("ready {}", std::process::id());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    drop((limits, seen));
}
