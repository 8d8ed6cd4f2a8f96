//! What the recorder knows, in words of the recording: sites, edges, live blocks, histories.
//!
//! Everything here runs inside allocator calls and in any number of threads at once: it
//! allocates nothing, waits for nobody and cannot panic. What does not fit is refused, and
//! somebody counts that. The words may be read from outside at any moment, and writing may end at
//! any instruction, so whatever consists of several words is written first and made known by one
//! word last.

mod counting;
pub(crate) mod edges;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod live;
#[cfg(feature = "preload")]
pub(crate) mod scripts;
pub(crate) mod sites;
pub(crate) mod untold;

use crate::pool::Commit;
use crate::sync::AtomicU64;
use crate::timeline::{EventRing, MarkRing};
use mapgrow_format::layout::region;

/// All tables of one recording. Borrowing it proves that there is one to write to.
pub(crate) struct Tables<'a, C> {
    pub(crate) sites: sites::SiteTable<'a, C>,
    #[cfg(feature = "preload")]
    pub(crate) scripts: scripts::ScriptTable<'a, C>,
    pub(crate) edges: edges::EdgeTable<'a, C>,
    pub(crate) live: live::LiveTable<'a, C>,
    pub(crate) untold: untold::UntoldTable<'a, C>,
    pub(crate) history: history::HistoryPool<'a, C>,
    pub(crate) resizes: EventRing<'a, C>,
    pub(crate) births: EventRing<'a, C>,
    pub(crate) marks: MarkRing<'a, C>,
}

impl<'a, C: Commit> Tables<'a, C> {
    /// Tables over the header's words and the regions, each over its whole capacity and in the
    /// order of their kinds. `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        regions: &[&'a [AtomicU64]; region::COUNT],
        commit: &'a C,
    ) -> Option<Self> {
        let site_regions = sites::SiteRegions {
            records: regions[region::SITES],
            stacks: regions[region::STACKS],
            index: regions[region::SITE_INDEX],
            groups: regions[region::GROUP_INDEX],
        };
        Some(Self {
            sites: sites::SiteTable::new(header, &site_regions, commit)?,
            #[cfg(feature = "preload")]
            scripts: scripts::ScriptTable::new(
                header,
                regions[region::SCRIPTS],
                regions[region::SCRIPT_INDEX],
                commit,
            )?,
            edges: edges::EdgeTable::new(
                header,
                regions[region::EDGES],
                regions[region::EDGE_INDEX],
                commit,
            )?,
            live: live::LiveTable::new(
                header,
                regions[region::LIVE_KEYS],
                regions[region::LIVE],
                commit,
            )?,
            untold: untold::UntoldTable::new(
                header,
                regions[region::UNTOLD],
                regions[region::UNTOLD_INDEX],
                commit,
            )?,
            history: history::HistoryPool::new(header, regions[region::HISTORY], commit)?,
            resizes: EventRing::resizes(header, regions[region::RESIZES], commit)?,
            births: EventRing::births(header, regions[region::BIRTHS], commit)?,
            marks: MarkRing::new(header, regions[region::MARKS], commit)?,
        })
    }

    /// Makes what exists from the start: overflow site and overflow edge. To be called once,
    /// before the tables are shared. False when there is no room even for that.
    pub(crate) fn start(&self, ticks: u64) -> bool {
        self.sites.start(ticks) && self.edges.start()
    }
}

#[cfg(all(test, loom))]
pub(crate) mod loom_models;
#[cfg(all(test, not(loom)))]
pub(crate) mod tests;
