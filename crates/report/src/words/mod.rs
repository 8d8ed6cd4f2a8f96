//! Words: rows and figures go in; how they are told comes out. They stand below judgement, whose
//! results are sentences, and below text, which sets sentences on a page.

pub(crate) mod estimates;
pub(crate) mod fit;
pub(crate) mod held;
pub(crate) mod methods;
pub(crate) mod names;
pub(crate) mod phrases;
pub mod units;
