//! A global allocator that accounts every map resize to its call site.

pub mod recording;
pub mod report;
pub(crate) mod sync;
#[allow(dead_code, reason = "the recorder does not use all of it yet")]
pub(crate) mod tables;
#[allow(dead_code, reason = "the recorder does not use all of it yet")]
pub(crate) mod timeline;
pub(crate) mod stack;
