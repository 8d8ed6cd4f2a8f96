//! The workloads on jemalloc with MapGrow in front.

#[path = "workloads.rs"]
mod workloads;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

fn main() {
    workloads::main();
}
