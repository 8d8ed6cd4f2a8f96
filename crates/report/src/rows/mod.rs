//! Rows.

pub(crate) mod cost;
pub mod curve;
pub(crate) mod maps;
pub mod series;
pub(crate) mod sites;
pub mod summary;
pub(crate) mod timeline;
