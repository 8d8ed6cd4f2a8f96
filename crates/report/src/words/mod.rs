//! Words: how figures, places and containers are told.

pub(crate) mod contents;
pub(crate) mod estimates;
pub(crate) mod fit;
pub(crate) mod methods;
pub(crate) mod names;
pub(crate) mod phrases;
pub mod units;
