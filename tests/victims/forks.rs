//! Fills a map, forks, and fills another one on each side. The child also frees what it
//! inherited.

use std::collections::HashMap;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

#[inline(never)]
fn before_the_fork() -> HashMap<u64, u64> {
    (0..50_000).map(|i| (i, i)).collect()
}

#[inline(never)]
fn in_the_child() -> HashMap<u32, u32> {
    (0..20_000).map(|i| (i, i)).collect()
}

#[inline(never)]
fn in_the_parent() -> HashMap<u16, u16> {
    (0..10_000).map(|i| (i, i)).collect()
}

fn main() {
    let inherited = before_the_fork();
    // SAFETY: the program has one thread, so the child finds every lock free.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "the process can fork");
    if child == 0 {
        let own = in_the_child();
        drop(inherited);
        std::process::exit(i32::from(own.len() != 20_000));
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    unsafe { libc::waitpid(child, &mut status, 0) };
    let own = in_the_parent();
    println!("child {status}, maps {} {}", inherited.len(), own.len());
}
