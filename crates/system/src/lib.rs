//! What mapgrow asks of the operating system, in forms that may run anywhere: inside an
//! allocator, in a signal handler, after `fork`.

pub mod clock;
pub mod headroom;
pub mod memory;
pub mod sys;
