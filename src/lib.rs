//! A global allocator that accounts every map resize to its call site.

mod allocator;
mod api;
mod calibration;
mod config;
#[cfg(feature = "report")]
mod events;
mod hook;
#[cfg(feature = "report")]
mod inprocess;
mod life;
mod lineage;
mod measure;
mod own_stack;
mod pool;
#[cfg(feature = "preload")]
#[doc(hidden)]
pub mod preload_support;
mod process;
mod record;
mod recording;
mod run;
mod sampler;
mod sandbox;
mod snapshot;
mod stack;
mod sync;
mod tables;
mod task;
#[cfg(feature = "report")]
pub mod testing;
mod thread;
mod timeline;

pub use allocator::MapGrow;
#[cfg(feature = "report")]
pub use api::snapshot;
pub use api::{dump, mark};
#[cfg(feature = "report")]
pub use events::{GrowthEvent, growth_events, growth_events_dropped};
#[cfg(feature = "report")]
/// What a report says, and its parts.
pub use mapgrow_report as report;
#[doc(hidden)]
pub use stack::bench_support;
