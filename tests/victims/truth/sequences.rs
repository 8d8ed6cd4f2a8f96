//! Shapes that stand on vectors and trees.

use crate::op;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::mem::forget;

#[inline(never)]
pub fn shape_vec_u32_push(n: u64) -> u64 {
    let mut vec: Vec<u32> = Vec::new();
    for i in 0..n as u32 {
        op!(vec.push(i));
    }
    let len = vec.len() as u64;
    forget(vec);
    len
}

#[inline(never)]
pub fn shape_string_push(n: u64) -> u64 {
    let mut text = String::new();
    for i in 0..n {
        op!(text.push((b'a' + (i % 26) as u8) as char));
    }
    text.len() as u64
}

#[inline(never)]
pub fn shape_vecdeque(n: u64) -> u64 {
    let mut queue: VecDeque<[u64; 3]> = VecDeque::new();
    let mut sum = 0;
    for i in 0..n / 4 {
        op!(queue.push_back([i; 3]));
        if i % 4 == 0 {
            sum += queue.pop_front().map_or(0, |item| item[0]);
        }
    }
    forget(queue);
    sum
}

#[inline(never)]
pub fn shape_binaryheap(n: u64) -> u64 {
    let mut heap: BinaryHeap<u64> = BinaryHeap::new();
    for i in 0..n / 4 {
        op!(heap.push(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    }
    let top = heap.peek().copied().unwrap_or(0);
    forget(heap);
    top
}

#[inline(never)]
pub fn shape_vec_of_everything(n: u64) -> u64 {
    let n = n as usize / 8;
    let mut sized: Vec<u16> = op!(Vec::with_capacity(n));
    op!(sized.extend((0..n).map(|i| i as u16)));
    op!(sized.reserve(2 * n));
    op!(sized.shrink_to_fit());
    let zeroed = op!(vec![0u16; n]);
    let collected: Vec<u16> = op!((0..n).filter(|i| i % 3 != 0).map(|i| i as u16).collect());
    let sum = sized.len() + zeroed.len() + collected.len();
    forget(sized);
    forget(collected);
    sum as u64
}

#[inline(never)]
pub fn shape_btreemap(n: u64) -> u64 {
    let mut map: BTreeMap<u64, u64> = BTreeMap::new();
    for i in 0..n / 4 {
        map.insert(i.wrapping_mul(0x9E37_79B9_7F4A_7C15), i);
    }
    for i in 0..n / 8 {
        map.remove(&i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }
    let len = map.len() as u64;
    forget(map);
    len
}

#[inline(never)]
pub fn shape_btreeset_dropped(n: u64) -> u64 {
    let mut set: BTreeSet<u32> = BTreeSet::new();
    for i in 0..n as u32 / 16 {
        set.insert(i);
    }
    set.len() as u64
}
