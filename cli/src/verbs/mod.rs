//! The verbs, one file each: arguments and what they do.

pub mod check;
pub mod completions;
pub mod control;
pub mod diff;
pub mod dump;
#[cfg(feature = "parquet")]
pub mod export;
pub mod families;
pub mod flame;
pub mod html;
pub mod list;
pub mod look;
pub mod man;
pub mod merge;
pub mod pprof;
pub mod report;
pub mod run;
pub mod serve;
pub mod top;
pub mod verify;
