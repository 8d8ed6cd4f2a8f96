//! The recording: what lies where in it ([`layout`]), and its [`reader`].
#![forbid(unsafe_code)]

pub mod headroom;
pub mod layout;
mod module;
pub mod reader;

pub use module::Module;
