//! A global allocator that accounts every map resize to its call site.

pub mod classify;
pub mod recording;
pub mod report;
