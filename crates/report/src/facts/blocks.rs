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
        // Exact mode may have millions: no more memory than they need.
        let alone = recording.untold().count();
        let mut live = Vec::with_capacity(alone + recording.live().count());
        live.extend(recording.live().filter_map(|block| {
            unreadable += u64::from(block.is_none());
            block
        }));
        live.extend(recording.untold());
        Self {
            live,
            unreadable,
            resizes: recording.resize_events(),
            births: recording.birth_events(),
        }
    }
}
