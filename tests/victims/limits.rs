//! What a program can do within its limits, with the recorder and (`MAPGROW=off`) without: says
//! so, and ends with 7.

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

/// The number behind `key` in `/proc/self/status`, KiB.
fn status(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = text.lines().find(|line| line.starts_with(key));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|n| n.parse().ok()).expect("such a line")
}

/// KiB of address space in which recordings lie.
fn mapped() -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").expect("proc is mounted");
    let address = |text: &str| u64::from_str_radix(text, 16).expect("an address");
    let recordings = maps.lines().filter(|line| line.contains(".rec"));
    recordings
        .filter_map(|line| line.split_whitespace().next()?.split_once('-'))
        .map(|(start, end)| (address(end) - address(start)) >> 10)
        .sum()
}

#[inline(never)]
fn table(entries: u64) -> HashMap<u64, u64> {
    (0..entries).map(|n| (n, n)).collect()
}

/// So many tables, and what the process takes then.
fn footprint(tables: usize) {
    let held: Vec<_> = (0..tables).map(|_| table(50)).collect();
    println!(
        "{} {} {} {}",
        mapped(),
        status("VmSize:"),
        status("VmRSS:"),
        held.iter().map(HashMap::len).sum::<usize>()
    );
}

/// Everything is locked from here on, and the program goes on growing.
fn locked() {
    black_box(table(10_000));
    // SAFETY: no preconditions.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
        println!("mlockall: {}", std::io::Error::last_os_error());
        std::process::exit(1);
    }
    let locked = status("VmLck:");
    let held: Vec<_> = (0..200).map(|n| table(200 + n)).collect();
    println!("{locked} {}", held.len());
}

/// So many bytes in one vector that grows, or as many as can be had.
fn hold(bytes: usize) {
    let mut held: Vec<u64> = Vec::new();
    while held.len() * 8 < bytes {
        let more = held.len().max(1024).min(bytes / 8 - held.len());
        if held.try_reserve_exact(more).is_err() {
            std::process::exit(1);
        }
        held.resize(held.len() + more, 1);
    }
    println!("{}", held.len());
}

fn main() {
    let argument = |n| std::env::args().nth(n).unwrap_or_default();
    let number = || argument(2).parse().expect("a number");
    match argument(1).as_str() {
        "footprint" => footprint(number()),
        "locked" => locked(),
        "hold" => hold(number()),
        other => panic!("no such thing to do: {other:?}"),
    }
    std::process::exit(7);
}
