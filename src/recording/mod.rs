//! The recording: its layout, the arena that a process writes, and the reader.

mod arena;
mod live;

pub(crate) use live::{Origin, Recording};
pub(crate) use mapgrow_system::sys::private_pages;
