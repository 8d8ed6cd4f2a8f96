//! The recording: its layout, the arena that a process writes, and the reader.

mod arena;
mod live;

pub(crate) use arena::private_pages;
pub(crate) use live::{Origin, Recording};
