//! Weights of samples: fixed-point numbers go in, numbers come out.

use mapgrow_format::layout::WEIGHT_ONE;

/// The weight that the recording keeps as a fixed-point number.
pub(crate) fn fixed(weight: u64) -> f64 {
    weight as f64 / WEIGHT_ONE as f64
}
