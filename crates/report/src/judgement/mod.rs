//! Judgement.

pub(crate) mod advice;
pub mod diff;
pub mod gates;
pub(crate) mod honesty;
pub(crate) mod indexed;
pub mod laws;
pub mod matching;
pub mod measure;
pub mod outlook;
