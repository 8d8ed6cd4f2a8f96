//! A test that fails when a container resizes in a place where it should not.
//!
//! ```text
//! cargo run --example presize_in_ci
//! ```
//!
//! In a project these would be `#[test]` functions in a test target whose global allocator is
//! MapGrow. A watch sees what its own thread does, so tests may run side by side.

use mapgrow::testing::watch;
use std::collections::HashMap;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

/// The code under test: it knows how many rows there are and says so.
fn index_presized(rows: &[String]) -> HashMap<&str, usize> {
    let mut index = HashMap::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        index.insert(row.as_str(), number);
    }
    index
}

/// The same code before somebody presized it.
fn index_growing(rows: &[String]) -> HashMap<&str, usize> {
    let mut index = HashMap::new();
    for (number, row) in rows.iter().enumerate() {
        index.insert(row.as_str(), number);
    }
    index
}

fn the_index_never_resizes(rows: &[String]) {
    let watch = watch();
    let index = index_presized(rows);
    watch.assert_no_resizes();
    watch.assert_held_at_most(4 << 20);
    assert_eq!(index.len(), rows.len());
}

fn growth_is_bounded(rows: &[String]) {
    let watch = watch();
    let index = index_growing(rows);
    watch.assert_resizes_at_most(20);
    assert_eq!(index.len(), rows.len());
}

fn main() {
    let rows: Vec<String> = (0..50_000).map(|n| format!("row {n}")).collect();
    the_index_never_resizes(&rows);
    growth_is_bounded(&rows);
    println!("both hold; and this is how it looks when one does not:");
    let outcome = std::panic::catch_unwind(|| {
        let watch = watch();
        let index = index_growing(&rows);
        watch.assert_no_resizes();
        index.len()
    });
    assert!(outcome.is_err(), "the growing index has to be noticed");
}
