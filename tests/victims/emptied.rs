//! Fills a map with ten million entries and deletes ninety-nine in a hundred.

use std::collections::HashMap;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

#[inline(never)]
fn fill_sessions(sessions: &mut HashMap<u64, u64>) {
    for number in 0..10_000_000 {
        sessions.insert(number, number);
    }
}

fn main() {
    let mut sessions = HashMap::new();
    fill_sessions(&mut sessions);
    sessions.retain(|number, _| number % 100 == 0);
    assert_eq!(sessions.len(), 100_000);
    // Alive at the end.
    std::mem::forget(sessions);
}
