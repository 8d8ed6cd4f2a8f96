//! Reports over HTTP: metrics for Prometheus, profiles for continuous profilers.
//!
//! Nothing that a client sends can change anything: there are five pages, each is read with GET,
//! and what they show is read at most once in a given time however many ask.

mod http;
mod labels;
mod metrics;
mod page;
mod seats;
mod targets;

#[cfg(fuzzing)]
pub use http::alone;
pub use http::{Limits, serve};
#[cfg(fuzzing)]
pub use metrics::{Format, render as metrics};
#[cfg(fuzzing)]
pub use targets::Reading;
pub use targets::Targets;
