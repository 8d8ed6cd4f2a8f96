//! The recording of container growth: what lies where in it ([`layout`]), and its [`reader`].
//!
//! A recording is one flat run of 64-bit words. The process that is recorded writes it, with
//! atomics alone; a dump of it, the file behind it and a copy made from outside have the same
//! layout. This crate has no dependencies and no unsafe code.
//!
//! ```
//! use mapgrow_format::reader::{ReadError, Recording};
//!
//! // Whatever the bytes are, there is a sentence or a recording, never a panic.
//! let error = Recording::parse(b"no recording".to_vec()).unwrap_err();
//! assert!(matches!(error, ReadError::Foreign { .. }), "{error}");
//! ```
#![forbid(unsafe_code)]

pub mod headroom;
pub mod layout;
mod module;
mod program;
pub mod reader;

pub use module::Module;
pub use program::program_name;
