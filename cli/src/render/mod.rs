//! What the verbs print, as text.

pub mod check;
pub mod diff;
pub mod paint;
