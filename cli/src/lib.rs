//! The parts of the `mapgrow` command. A library so that its parts can be tested; programs use
//! the `mapgrow` crate instead.

mod binaries;
pub mod command;
mod directory;
mod dumps;
#[cfg(feature = "parquet")]
mod export;
pub mod failure;
mod flame;
mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod holder;
mod html;
mod load;
mod look;
mod many;
mod markup;
mod now;
mod output;
pub mod pprof;
mod preload;
mod proc;
mod profile;
mod progress;
mod quantity;
mod readings;
mod recordings;
mod render;
mod rules;
mod saved;
mod serve;
mod source;
pub mod symbols;
mod target;
pub mod top;
mod verbs;
