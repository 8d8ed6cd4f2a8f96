//! The workloads on jemalloc alone.

#[path = "workloads.rs"]
mod workloads;

#[global_allocator]
static ALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    workloads::main();
}
