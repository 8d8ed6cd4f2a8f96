//! A global allocator that accounts every map resize to its call site.

pub mod recording;
pub mod report;
#[allow(dead_code, unused_imports)]
pub(crate) mod stack;

#[doc(hidden)]
pub use stack::bench_support;
