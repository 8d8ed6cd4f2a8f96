//! What the verbs print, as text.

pub mod check;
pub mod diff;
pub mod heat;
pub mod paint;
pub mod verify;
