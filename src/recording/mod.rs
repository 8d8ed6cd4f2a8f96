//! The recording: its layout, the arena that a process writes, and the reader.

pub mod layout;
