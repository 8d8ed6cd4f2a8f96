//! A global allocator that accounts every map resize to its call site.

mod allocator;
mod clock;
mod config;
mod hook;
mod lineage;
pub mod occupancy;
mod process;
mod record;
pub mod recording;
pub mod report;
mod sampler;
mod snapshot;
mod stack;
mod sync;
mod sys;
mod tables;
mod thread;
mod timeline;

pub use allocator::MapGrow;
#[doc(hidden)]
pub use stack::bench_support;
