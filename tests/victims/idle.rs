//! Holds no table at all and says so with its status.

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

fn main() {
    std::process::exit(7);
}
