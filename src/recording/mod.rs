//! The recording: its layout, the arena that a process writes, and the reader.

mod arena;
#[doc(hidden)]
pub mod fixture;
pub mod layout;
mod live;
pub mod reader;

pub(crate) use arena::private_pages;
pub(crate) use live::{Origin, Recording};
