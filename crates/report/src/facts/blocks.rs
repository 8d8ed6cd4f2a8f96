//! A recording goes in; its live blocks and the events of its rings come out, read once.

use mapgrow_format::reader::{BlockEvent, LiveBlock, Recording};

/// The parts of a recording that several steps need, read once.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub live: Vec<LiveBlock>,
    /// Live records that were being written.
    pub unreadable: u64,
    pub resizes: Vec<BlockEvent>,
    pub births: Vec<BlockEvent>,
}

impl Blocks {
    pub fn read(recording: &Recording) -> Self {
        let mut unreadable = 0;
        let live = recording.live().filter_map(|block| {
            unreadable += u64::from(block.is_none());
            block
        });
        Self {
            live: live.chain(recording.untold()).collect(),
            unreadable,
            resizes: recording.resize_events(),
            births: recording.birth_events(),
        }
    }
}
