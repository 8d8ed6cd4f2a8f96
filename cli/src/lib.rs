//! The parts of the `mapgrow` command. A library so that its parts can be tested; programs use
//! the `mapgrow` crate instead.

pub mod symbols;
