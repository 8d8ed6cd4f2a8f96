//! The recording that this process writes, and the arena that it lies in.

mod arena;
mod live;

pub(crate) use live::{Origin, Recording};
pub(crate) use mapgrow_system::sys::private_pages;
