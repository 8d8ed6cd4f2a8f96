//! Where the elements of a table that was found are: in its slots, or in nodes of their own.

use mapgrow_system::memory::Memory;

use super::blocks::Blocks;
use super::view::View;
use super::{Finding, Found, FoundFamily};

/// Bytes read at once.
const CHUNK: u64 = 32 << 10;
/// Where a container of nodes names the first one.
const FIRST: u64 = 16;
/// Buckets read at once.
const BUCKETS: usize = 1024;

/// The slots of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    control: u64,
    count: u64,
    /// Where slot 0 is.
    first: u64,
    /// Whether the next slot lies before it.
    backwards: bool,
    element: u64,
}

impl Slots {
    /// Those of a table whose elements are in slots of a known size.
    pub(super) fn of(found: &Found) -> Option<Self> {
        let (count, element) = (found.occupancy.buckets?, found.occupancy.element_bytes?);
        let (control, block) = (found.table, found.block?);
        let data = count.checked_mul(element)?;
        let (first, backwards) = match found.family {
            FoundFamily::Hashbrown => (control.checked_sub(element)?, true),
            FoundFamily::AbseilFlat => {
                let end = block.checked_add(found.bytes?)?;
                (end.checked_sub(data)?, false)
            }
            _ => return None,
        };
        (element <= CHUNK).then_some(Self {
            control,
            count,
            first,
            backwards,
            element,
        })
    }

    /// Words that an element has, if any of them can be an address: what holds one is aligned for it.
    pub(super) fn words(&self) -> u64 {
        match self.element.is_multiple_of(8) {
            true => self.element / 8,
            false => 0,
        }
    }

    /// Calls `each` with the place of every word of every element, and with the word. `None` where
    /// something cannot be read.
    pub(super) fn each_word(&self, view: &View<'_>, each: &mut dyn FnMut(u64, u64)) -> Option<()> {
        if self.words() == 0 {
            return Some(());
        }
        let at_once = (CHUNK / self.element).max(1);
        let (mut control, mut data) = (Vec::new(), Vec::new());
        for from in (0..self.count).step_by(usize::try_from(at_once).ok()?) {
            let count = at_once.min(self.count - from);
            control.resize(usize::try_from(count).ok()?, 0);
            if !view.read(self.control.checked_add(from)?, &mut control) {
                return None;
            }
            let full = |byte: &u8| byte & 0x80 == 0;
            if !control.iter().any(full) {
                continue;
            }
            data.resize(usize::try_from(count * self.element).ok()?, 0);
            let start = match self.backwards {
                true => self.first.checked_sub((from + count - 1) * self.element)?,
                false => self.first.checked_add(from * self.element)?,
            };
            if !view.read(start, &mut data) {
                return None;
            }
            for index in (0..count).filter(|&index| control.get(index as usize).is_some_and(full)) {
                let index = match self.backwards {
                    true => count - 1 - index,
                    false => index,
                };
                let (at, end) = (index * self.element, (index + 1) * self.element);
                let element = data.get(at as usize..end as usize)?;
                for (word, at) in element
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .zip((start + at..).step_by(8))
                {
                    each(at, u64::from_le_bytes(*word));
                }
            }
        }
        Some(())
    }
}

/// Nodes that were followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Nodes {
    pub(super) followed: u64,
    /// Bytes of their blocks, as their allocator gave them.
    pub(super) bytes: u64,
    /// Whether they are all that there are.
    pub(super) all: bool,
}

impl Nodes {
    /// Follows the nodes of a container, all of them where there are no more than `most`, else the
    /// first ones of some of its buckets, and calls `each` with where their blocks begin and end.
    /// `None` where that does not lead to as many as it should, or to what is no block.
    pub(super) fn follow(
        blocks: &Blocks<'_>,
        found: &Found,
        most: u64,
        each: &mut dyn FnMut(u64, u64),
    ) -> Option<Self> {
        let (entries, buckets) = (found.occupancy.entries.value, found.occupancy.buckets?);
        if !found.family.has_nodes() {
            return None;
        }
        let mut nodes = Self {
            all: entries <= most,
            ..Self::default()
        };
        if !nodes.all {
            nodes.of_some_buckets(blocks, found.table, buckets, most, each)?;
            return (nodes.followed > 0).then_some(nodes);
        }
        let mut node = blocks.view.word(found.header.checked_add(FIRST)?)?;
        while node != 0 {
            if nodes.followed == entries {
                return None;
            }
            nodes.take(blocks, node, each)?;
            node = blocks.view.word(node)?;
        }
        (nodes.followed == entries).then_some(nodes)
    }

    fn take(
        &mut self,
        blocks: &Blocks<'_>,
        node: u64,
        each: &mut dyn FnMut(u64, u64),
    ) -> Option<()> {
        let end = blocks.end_of(node)?;
        self.followed += 1;
        self.bytes = self.bytes.checked_add(end.checked_sub(node)?)?;
        each(node, end);
        Some(())
    }

    /// Of each bucket in use that chance picks, the first node: what the bucket holds leads to it.
    fn of_some_buckets(
        &mut self,
        blocks: &Blocks<'_>,
        table: u64,
        buckets: u64,
        most: u64,
        each: &mut dyn FnMut(u64, u64),
    ) -> Option<()> {
        let mut bytes = [0; BUCKETS * 8];
        for from in (0..buckets).step_by(BUCKETS) {
            let count = (buckets - from).min(BUCKETS as u64);
            let bytes = bytes.get_mut(..count as usize * 8)?;
            if !blocks.view.read(table.checked_add(from * 8)?, bytes) {
                return None;
            }
            for (index, before) in (from..).zip(bytes.as_chunks::<8>().0) {
                let before = u64::from_le_bytes(*before);
                if before != 0 && picked(index, most as f64 / buckets as f64) {
                    let node = blocks.view.word(before).filter(|&node| node != 0)?;
                    self.take(blocks, node, each)?;
                }
            }
        }
        Some(())
    }
}

/// Where headers of containers lie, from and to: what they lead to is theirs.
pub(super) fn headers(finding: &Finding) -> Vec<(u64, u64)> {
    const LONGEST: u64 = 64;
    let bytes = |found: &Found| match found.family {
        FoundFamily::Hashbrown => 32,
        FoundFamily::LibstdcxxHashtable => 56,
        FoundFamily::LibcxxHashtable => 40,
        _ => LONGEST,
    };
    let mut headers: Vec<(u64, u64)> = (finding.tables.iter())
        .flat_map(|found| {
            let all = found.copies.iter().chain([&found.header]);
            all.map(|&header| (header, header.saturating_add(bytes(found))))
        })
        .collect();
    headers.sort_unstable();
    headers
}

/// Whether chance picks a number, the same at all times, and so that a share of all is picked.
pub(super) fn picked(number: u64, share: f64) -> bool {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    share >= 1.0 || ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64 <= share
}
