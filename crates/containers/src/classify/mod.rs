//! Which container a table belongs to: by the functions on its call stack, or by its shape.
#![forbid(unsafe_code)]

mod c_families;
mod c_plumbing;
pub mod catalogue;
pub mod closures;
pub mod cpython;
pub mod elements;
pub mod go;
mod header_families;
pub mod names;
pub mod sources;
mod std_cxx_families;
pub mod table;
pub mod types;
pub mod whose;
