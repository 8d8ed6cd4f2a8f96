//! `libmapgrow.so`: the recorder behind the malloc family of any dynamically linked program.
//!
//! Loaded by `LD_PRELOAD`. Every request is forwarded to the allocator that the program would
//! have used without it; the recorder looks at addresses and sizes only.

mod bootstrap;
mod control;
mod interpose;
mod leave;
mod next;
#[cfg(target_arch = "x86_64")]
mod operators;
mod python;
#[cfg(target_arch = "x86_64")]
mod sandbox;
