//! The parts of the `mapgrow` command. A library so that its parts can be tested; programs use
//! the `mapgrow` crate instead.

mod clock;
pub mod command;
mod contents;
mod dumps;
mod failure;
mod flame;
mod html;
mod load;
mod output;
mod preload;
mod process;
mod recordings;
mod source;
pub mod symbols;
mod target;
mod verbs;
