//! A cache of sessions: filled in a burst, then nearly all expire. Kept: the table.

use std::collections::HashMap;
use std::io::{Read, Write};

struct Cache {
    by_id: HashMap<u64, [u64; 6]>,
}

impl Cache {
    #[inline(never)]
    fn open(&mut self, id: u64) {
        self.by_id.insert(id, [id; 6]); // HERE
    }
}

fn main() {
    let cured = std::env::args().nth(1).as_deref() == Some("cured");
    let mut cache = Cache { by_id: HashMap::new() };
    for number in 0..700_000_u64 {
        cache.open(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }
    cache.by_id.retain(|_, session| session[0] % 35 == 0);
    if cured {
        cache.by_id.shrink_to_fit();
    }
    let map = &cache.by_id;
    let buckets = (map.capacity() as u64 * 8).div_ceil(7).next_power_of_two();
    println!("entries {}", map.len());
    println!("bytes {}", buckets * size_of::<(u64, [u64; 6])>() as u64 + buckets + 16);
    println!("ready {}", std::process::id());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    drop(cache);
}
