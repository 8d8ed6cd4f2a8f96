//! What the facts add up to.

pub(crate) mod columns;
pub(crate) mod contents;
pub(crate) mod ends;
pub(crate) mod flows;
pub(crate) mod forecast;
pub(crate) mod holdings;
pub(crate) mod moving;
pub(crate) mod pauses;
pub(crate) mod peak;
pub(crate) mod roots;
pub(crate) mod samples;
pub(crate) mod strata;
pub(crate) mod sums;
pub(crate) mod totals;
