//! The verbs, one file each: arguments and what they do.

pub mod completions;
pub mod control;
pub mod dump;
pub mod flame;
pub mod html;
pub mod list;
pub mod report;
pub mod run;
