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

pub use http::{Limits, serve};
pub use targets::Targets;
