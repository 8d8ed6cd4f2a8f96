//! A global allocator that accounts every map resize to its call site.

mod allocator;
mod api;
pub mod classify;
mod clock;
mod config;
mod events;
pub mod headroom;
mod hook;
mod inprocess;
mod lineage;
mod measure;
pub mod occupancy;
#[cfg(feature = "preload")]
#[doc(hidden)]
pub mod preload_support;
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
pub mod testing;
mod thread;
mod timeline;

pub use allocator::MapGrow;
pub use api::{dump, mark, snapshot};
pub use events::{GrowthEvent, growth_events, growth_events_dropped};
#[doc(hidden)]
pub use stack::bench_support;
