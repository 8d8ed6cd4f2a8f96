//! What the values of maps hold elsewhere, as reports have it.

use mapgrow_containers::finder::{DEEP_STEPS, Deep as Found};
use mapgrow_report::text::units::bytes;
use serde::Serialize;

/// What the values of a map hold beyond its table, as far as it was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deep {
    /// Bytes that can be used of the blocks that no other map leads to.
    pub bytes: u64,
    /// Standard error of that: 0 where all elements were followed.
    pub error_bytes: u64,
    /// Bytes of blocks that other maps lead to as well.
    pub shared_bytes: u64,
    pub shared_error_bytes: u64,
    /// Whether all elements were followed.
    pub complete: bool,
    /// Blocks that were followed at most, one behind the other.
    pub steps: usize,
}

/// Of several maps, what no other map leads to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DeepSum {
    pub bytes: u64,
    pub error_bytes: u64,
    #[serde(skip)]
    squares: f64,
}

impl From<Found> for Deep {
    fn from(found: Found) -> Deep {
        Deep {
            bytes: found.bytes,
            error_bytes: found.error_bytes,
            shared_bytes: found.shared_bytes,
            shared_error_bytes: found.shared_error_bytes,
            complete: found.complete,
            steps: DEEP_STEPS,
        }
    }
}

impl DeepSum {
    /// Of none.
    pub const NOTHING: DeepSum = DeepSum {
        bytes: 0,
        error_bytes: 0,
        squares: 0.0,
    };

    /// With one more, whose samples are others.
    pub fn and(self, more: Deep) -> DeepSum {
        let squares = self.squares + (more.error_bytes as f64).powi(2);
        DeepSum {
            bytes: self.bytes.saturating_add(more.bytes),
            error_bytes: squares.sqrt().ceil() as u64,
            squares,
        }
    }
}

/// `12 MiB in blocks of their own (give or take 40 KiB)`
pub fn own(size: u64, error: u64) -> String {
    let mut text = format!("{} in blocks of their own", bytes(size));
    // A two-hundredth is less than what the digits show.
    if error > size / 200 {
        text += &format!(" (give or take {})", bytes(error));
    }
    text
}

/// What is said of a map.
pub fn told(deep: &Deep) -> String {
    let mut text = own(deep.bytes, deep.error_bytes);
    if deep.shared_bytes > 0 {
        text += &format!(", and {} shared with other maps", bytes(deep.shared_bytes));
    }
    text
}
