//! A global allocator that tells which hash map (or other container) grew, where, when, and what it
//! cost.
//!
//! ```
//! use mapgrow::MapGrow;
//! use std::collections::HashMap;
//!
//! #[global_allocator]
//! static ALLOC: MapGrow = MapGrow::new();
//!
//! fn remember(users: u64) -> HashMap<u64, [u64; 4]> {
//!     (0..users).map(|id| (id, [id; 4])).collect()
//! }
//!
//! # fn main() {
//! let sessions = remember(100_000);
//! let report = mapgrow::snapshot().expect("recording is on");
//! let map = report.blocks.iter().find(|block| {
//!     let place = block.caller.as_ref();
//!     place.is_some_and(|place| place.function.contains("remember"))
//! });
//! let map = map.expect("it is known by where it grew");
//! assert!(map.live_bytes > 100_000 * 40);
//! println!("{}", mapgrow::report::text::render(&report, &Default::default()));
//! # drop(sessions);
//! # }
//! ```
//!
//! Nothing else is needed. A dump is written at exit and on `SIGUSR1`, and the command `mapgrow report`
//! reads it, a running process, or what a killed one left. Settings are given by the methods of
//! [`MapGrow`] and, stronger, by the environment.
//!
//! ```text
//!  your program                                       the reader
//!  ------------                                       ----------
//!  alloc, realloc, dealloc
//!        |
//!        |   most blocks: a compare and a countdown, then on to jemalloc
//!        v
//!  a table, or a sample: its stack, verified or unwound
//!        |
//!        v
//!  recording: one mapping, a file in /dev/shm   --->  sites and edges get names
//!  sites, live blocks, what replaced what,            a replacement in a container's own
//!  rings of events                                    function is a resize
//!        |                                                  |
//!        +-- dump: at exit, SIGUSR1, dump()   --->          v
//!        +-- snapshot(), growth_events(), testing     text, JSON, HTML, metrics
//! ```
//!
//! Without the feature `report` (on by default) a program compiles the recorder alone, and leaves the
//! answers to the command.

mod allocator;
mod api;
mod calibration;
mod config;
mod dumps;
#[cfg(feature = "report")]
mod events;
mod hook;
#[cfg(feature = "report")]
mod inprocess;
mod life;
mod lineage;
mod own_stack;
mod pool;
#[cfg(feature = "preload")]
#[doc(hidden)]
pub mod preload_support;
mod readings;
mod record;
mod recording;
mod run;
mod sampler;
mod sandbox;
mod stack;
mod start;
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
pub use dumps::DumpError;
#[cfg(feature = "report")]
pub use events::{GrowthEvent, growth_events, growth_events_dropped};
#[cfg(feature = "report")]
/// What a report says, and its parts.
pub use mapgrow_report as report;
#[doc(hidden)]
pub use stack::bench_support;
