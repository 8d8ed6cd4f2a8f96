//! The `mapgrow` command.
fn main() {}
