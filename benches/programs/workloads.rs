//! What the compared programs do. Each workload returns a checksum, so that nothing of it is
//! optimised away and both programs can be seen to have done the same.

use std::collections::HashMap as StdMap;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

/// A map with a fast hash: the allocator's share of the time is then as large as it gets.
type Map<K, V> = hashbrown::HashMap<K, V>;

/// Small, fast, and the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Eight maps, filled in turn to four million entries each.
fn eight_maps(scale: u64) -> u64 {
    let mut maps: [Map<u64, u64>; 8] = Default::default();
    for i in 0..4_000_000 / scale {
        for map in &mut maps {
            map.insert(i, i);
        }
    }
    maps.iter().map(|map| map.len() as u64).sum()
}

/// Boxes, vectors and strings that live for a thousand steps; no map anywhere.
fn no_map(scale: u64) -> u64 {
    enum Thing {
        Box(Box<[u64; 4]>),
        Vec(Vec<u32>),
        String(String),
    }
    const TEXT: &str = "the quick brown fox jumps over the lazy dog and runs away from it";
    let mut random = Random(88_172_645_463_325_252);
    let mut things: Vec<Option<Thing>> = (0..1024).map(|_| None).collect();
    let mut sum = 0;
    for i in 0..20_000_000 / scale {
        let r = random.next();
        let thing = match r % 3 {
            0 => Thing::Box(Box::new([r; 4])),
            1 => Thing::Vec(Vec::with_capacity(1 + (r >> 8) as usize % 100)),
            _ => Thing::String(TEXT[..1 + (r >> 8) as usize % 64].to_owned()),
        };
        let old = things[i as usize % 1024].replace(thing);
        sum += match old {
            Some(Thing::Box(b)) => b[0] & 1,
            Some(Thing::Vec(v)) => v.capacity() as u64,
            Some(Thing::String(s)) => s.len() as u64,
            None => 0,
        };
    }
    sum
}

/// Maps of a handful of entries, made and dropped.
fn small_maps(scale: u64) -> u64 {
    let mut random = Random(88_172_645_463_325_252);
    let mut sum = 0;
    for _ in 0..2_000_000 / scale {
        let entries = 1 + random.next() % 12;
        let mut map: Map<u64, u64> = Map::new();
        for i in 0..entries {
            map.insert(i, i);
        }
        sum += black_box(&map).len() as u64;
    }
    sum
}

/// Calls `inner` below `depth` more frames.
#[inline(never)]
fn deep<T>(depth: u32, inner: &mut dyn FnMut() -> T) -> T {
    if depth == 0 {
        return inner();
    }
    let result = deep(depth - 1, inner);
    // Keeps the call from becoming a jump.
    black_box(depth);
    result
}

/// Requests that parse, look up and answer at the bottom of thirty frames, on four threads that
/// share a cache.
fn service(scale: u64) -> u64 {
    let shards: [Mutex<StdMap<u64, String>>; 16] = Default::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4u64)
            .map(|worker| {
                let shards = &shards;
                scope.spawn(move || {
                    let mut random = Random(worker * 1_000_003 + 1);
                    let mut sum = 0;
                    for _ in 0..300_000 / scale {
                        let r = random.next();
                        sum += deep(30, &mut || request(shards, r));
                    }
                    sum
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker ends well"))
            .fold(0, u64::wrapping_add)
    })
}

#[inline(never)]
fn request(shards: &[Mutex<StdMap<u64, String>>; 16], r: u64) -> u64 {
    let line = format!(
        "GET /item/{} HTTP/1.1 host=example id={}",
        r % 500_000,
        r >> 40
    );
    let mut fields: StdMap<&str, &str> = StdMap::new();
    let mut order = Vec::new();
    for part in line.split(' ') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        fields.insert(key, value);
        order.push(key);
    }
    let key = r % 500_000;
    let mut shard = shards[(key % 16) as usize]
        .lock()
        .expect("no worker panics");
    let answer = shard.entry(key).or_insert_with(|| line.clone());
    (answer.len() > 10) as u64 + (order.len() + fields.len()) as u64
}

/// A pair of `alloc` and `free` that a recorder has no interest in.
fn pairs(count: u64) -> u64 {
    for i in 0..count {
        black_box(Box::new([i; 8]));
    }
    count
}

/// A pair that is recorded: a block with the shape of a table, below `depth` frames.
fn tables(count: u64, depth: u32) -> u64 {
    deep(depth, &mut || {
        for _ in 0..count {
            black_box(Map::<u64, u64>::with_capacity(100));
        }
    });
    count
}

fn cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// `WORKLOAD [NUMBER...]`: prints wall time, CPU time (ns) and the checksum.
pub fn main() {
    let mut args = std::env::args().skip(1);
    let workload = args.next().expect("a workload");
    let mut number = || args.next().map(|n| n.parse::<u64>().expect("a number"));
    let first = number().unwrap_or(1);
    let second = number().unwrap_or(0);
    let (start, cpu) = (Instant::now(), cpu_ns());
    let sum = match workload.as_str() {
        "eight-maps" => eight_maps(first),
        "no-map" => no_map(first),
        "small-maps" => small_maps(first),
        "service" => service(first),
        "pairs" => pairs(first),
        "tables" => tables(first, second as u32),
        other => panic!("no workload {other:?}"),
    };
    println!("{} {} {sum}", start.elapsed().as_nanos(), cpu_ns() - cpu);
}
