//! The whole command, and its symbolizer, from outside.

mod builds;
mod files;
mod pages;
mod place;
mod processes;
mod recorded;
mod symbols;
