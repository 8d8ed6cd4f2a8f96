//! The recording: its layout, the arena that a process writes, and the reader.

#[doc(hidden)]
pub mod fixture;
pub mod layout;
pub mod reader;
