//! What it costs to capture a stack: known, not known, and by the system's unwinder.

use mapgrow::bench_support::Stacks;
use std::hint::black_box;
use std::time::Instant;

/// Calls `leaf` from `depth` frames further in, of several sizes.
#[inline(never)]
fn recurse(depth: usize, leaf: &mut dyn FnMut()) {
    let mut local = [0_u64; 6];
    black_box(&mut local);
    if depth == 0 {
        leaf();
    } else {
        recurse_other(depth - 1, leaf);
    }
    black_box(&mut local);
}

#[inline(never)]
fn recurse_other(depth: usize, leaf: &mut dyn FnMut()) {
    if depth == 0 {
        leaf();
    } else {
        recurse(depth - 1, leaf);
    }
    black_box(());
}

/// Nanoseconds of one call: the fastest of some batches.
fn fastest(batches: usize, calls: usize, work: &mut dyn FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..batches {
        let start = Instant::now();
        for _ in 0..calls {
            work();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / calls as f64);
    }
    best
}

fn main() {
    println!("frames   known ns   new ns (ns/frame)   new, no rules ns   system ns");
    for wanted in [16, 36, 66, 120] {
        let mut stacks = Stacks::new();
        let mut base = 0;
        recurse(0, &mut || base = stacks.capture().0);
        recurse(wanted - base.min(wanted), &mut || {
            let mut frames = 0;
            let known = fastest(2000, 200, &mut || frames = black_box(stacks.capture()).0);
            let new = fastest(500, 20, &mut || {
                stacks.forget(false);
                black_box(stacks.capture());
            });
            let clear = fastest(500, 20, &mut || {
                stacks.forget(false);
            });
            let no_rules = fastest(50, 2, &mut || {
                stacks.forget(true);
                black_box(stacks.capture());
            });
            let system = fastest(50, 10, &mut || {
                // SAFETY: the platform's unwinder keeps no global state.
                unsafe {
                    backtrace::trace_unsynchronized(|frame| {
                        black_box((frame.ip(), frame.sp()));
                        true
                    });
                }
            });
            let new = new - clear;
            println!(
                "{frames:6} {known:10.1} {new:8.0} ({:.1}) {no_rules:26.0} {system:11.0}",
                new / frames as f64
            );
        });
    }
    alternate();
}

/// Captures from `sites` call sites in turn, all at one stack pointer.
fn alternate() {
    println!("\nstacks in turn   ns each   known");
    for sites in [1_u32, 2, 4, 16, 64, 100, 120, 200] {
        let mut stacks = Stacks::new();
        let (mut calls, mut known) = (0_u64, 0_u64);
        let mut index = 0;
        recurse(20, &mut || {
            let per_call = fastest(500, 200, &mut || {
                index = (index + 1) % sites;
                fork(4, index, &mut || {
                    calls += 1;
                    known += u64::from(stacks.capture().1);
                });
            });
            println!(
                "{sites:14} {per_call:9.1} {:6.1} %",
                known as f64 * 100.0 / calls as f64
            );
        });
    }
}

/// Calls `leaf` from one of 4^levels stacks that differ in their return addresses only.
#[inline(never)]
fn fork(levels: u32, path: u32, leaf: &mut dyn FnMut()) {
    if levels == 0 {
        leaf();
        black_box(());
        return;
    }
    let (next, rest) = (levels - 1, path >> 2);
    // SAFETY: no effect; the different code keeps the calls apart.
    unsafe {
        match path & 3 {
            0 => {
                std::arch::asm!("nop");
                fork(next, rest, leaf);
                std::arch::asm!("nop");
            }
            1 => {
                std::arch::asm!("nop", "nop");
                fork(next, rest, leaf);
                std::arch::asm!("nop", "nop");
            }
            2 => {
                std::arch::asm!("nop", "nop", "nop");
                fork(next, rest, leaf);
                std::arch::asm!("nop", "nop", "nop");
            }
            _ => {
                std::arch::asm!("nop", "nop", "nop", "nop");
                fork(next, rest, leaf);
                std::arch::asm!("nop", "nop", "nop", "nop");
            }
        }
    }
}
