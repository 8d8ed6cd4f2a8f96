//! Running a program under the preload library.

pub mod child;
pub mod kept;
pub mod library;
pub mod nothing;
pub mod program;
pub mod runs;
pub mod session;
pub mod unseen;
