//! The blocks of jemalloc, from 5.2 on.
//!
//! jemalloc describes each piece of its memory, an *extent*, in a record that begins with some
//! bits, an address and a size. A record proves itself: the bits name a size class, and the size
//! is the one that jemalloc gives to this class. An extent is one large block, or a *slab* of
//! small blocks of equal size. So where a block begins is known exactly.

use mapgrow_system::memory::Memory;

use super::block::{InBlock, Verdict};

const PAGE: u64 = 4096;
/// Records have this alignment.
const ALIGNMENT: u64 = 64;
/// Extents remembered at most.
const MOST: usize = 1 << 20;
/// Extents that are passed in search of one that reaches so far. Real ones do not lie on top of each
/// other, but for a few that are no more.
const MOST_PASSED: usize = 1 << 14;
/// Extents in use without which there is no jemalloc.
const LEAST: usize = 8;
/// Size classes whose blocks come in slabs.
const SMALL: u64 = 36;
/// All size classes, and the number beyond them that a free extent has.
const CLASSES: u64 = 232;
/// Where the bits of a slab's blocks lie behind its record, in all versions from 5.2 to 5.3.
const SLAB_BITS: usize = 64;
/// Blocks of a slab at most.
const MOST_IN_SLAB: u64 = 512;

/// A piece of jemalloc's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Extent {
    start: u64,
    end: u64,
    /// Where its only block begins; of a slab, where it begins itself.
    first: u64,
    /// Bytes of each block: 0 of a free extent.
    each: u64,
    /// Of a slab: where its record lies, and its blocks that are free.
    slab: Option<(u64, u64)>,
}

impl Extent {
    /// Whether block `index` of a slab is free. A bit for each block follows the record, 1 for those
    /// that are free; `None` if these are not as many as the record says.
    fn is_free(&self, memory: &dyn Memory, index: u64) -> Option<bool> {
        let (record, _) = self.slab?;
        let mut bytes = [0; SLAB_BITS + MOST_IN_SLAB as usize / 8];
        if !memory.read(record, &mut bytes) {
            return None;
        }
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        // As it is now: the program goes on.
        let now = (NEW.extent(word(0), word(1), word(2)))
            .or_else(|| OLD.extent(word(0), word(1), word(2)))?;
        let (_, free) = now.slab?;
        let blocks = (self.end - self.start) / self.each;
        let bit = |block: u64| word(SLAB_BITS / 8 + (block / 64) as usize) >> (block % 64) & 1;
        let counted: u64 = (0..blocks.min(MOST_IN_SLAB)).map(bit).sum();
        let same = (now.start, now.each) == (self.start, self.each);
        (same && counted == free && index < blocks).then(|| bit(index) == 1)
    }
}

/// All pieces of its memory that it describes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Extents {
    list: Vec<Extent>,
    /// How far those up to each reach.
    furthest: Vec<u64>,
    /// How many are in use.
    live: usize,
}

impl Extents {
    /// Takes the record that may begin at `place`.
    #[inline]
    pub(super) fn look(&mut self, place: u64, bits: u64, address: u64, size: u64) {
        if !place.is_multiple_of(ALIGNMENT) || bits >= 1 << 45 || bits & COMMITTED == 0 {
            return;
        }
        if let Some(extent) = NEW
            .extent(bits, address, size)
            .or_else(|| OLD.extent(bits, address, size))
            && self.list.len() < MOST
        {
            let slab = extent.slab.map(|(_, free)| (place, free));
            self.list.push(Extent { slab, ..extent });
        }
    }

    pub(super) fn take(&mut self, other: Extents) {
        self.list.extend(other.list);
    }

    /// Makes it ready to be asked.
    pub(super) fn sort(&mut self) {
        self.list.sort_unstable();
        self.list
            .dedup_by_key(|extent| (extent.start, extent.end, extent.first, extent.each));
        self.live = self.list.iter().filter(|extent| extent.each > 0).count();
        let mut furthest = 0;
        let ends = self.list.iter().map(|extent| {
            furthest = extent.end.max(furthest);
            furthest
        });
        self.furthest = ends.collect();
    }

    /// Whether jemalloc is there at all. One record may be made by chance, many are not.
    pub(super) fn known(&self) -> bool {
        self.live >= LEAST
    }

    /// The extents that `address` lies in, the last to begin first.
    fn around(&self, address: u64) -> impl Iterator<Item = &Extent> {
        let after = self.list.partition_point(|extent| extent.start <= address);
        let before = self.list.iter().zip(&self.furthest).take(after).rev();
        before
            .take(MOST_PASSED)
            .take_while(move |(_, furthest)| address < **furthest)
            .map(|(extent, _)| extent)
            .filter(move |extent| address < extent.end)
    }

    /// The only extent in use that `address` lies in.
    fn only_around(&self, address: u64) -> Option<&Extent> {
        let used = |extent: &&Extent| extent.each > 0 && address >= extent.first;
        let mut around = self.around(address).filter(used);
        let one = around.next()?;
        around.next().is_none().then_some(one)
    }

    /// Whether the block that `address` lies in was freed; `None` where that is not certain.
    pub(super) fn is_freed(&self, memory: &dyn Memory, address: u64) -> Option<bool> {
        if !self.known() || self.list.len() >= MOST {
            return None;
        }
        if let Some(extent) = self.only_around(address) {
            let index = (address - extent.first) / extent.each;
            return match extent.slab {
                Some(_) => extent.is_free(memory, index),
                None => Some(false),
            };
        }
        let mut around = self.around(address);
        let free = around.next()?.each == 0 && around.all(|extent| extent.each == 0);
        free.then_some(true)
    }

    /// Where the block in use ends that begins at `start`, if one does.
    pub(super) fn block_at(&self, start: u64) -> Option<u64> {
        let mut ends = (self.around(start))
            .filter(|extent| extent.each > 0)
            .filter(|extent| start >= extent.first)
            .filter(|extent| (start - extent.first).is_multiple_of(extent.each))
            .map(|extent| start + extent.each);
        let end = ends.next()?;
        ends.next().is_none().then_some(end)
    }

    /// What is said of the table with `buckets` buckets whose control bytes begin at `control`.
    pub(super) fn of(&self, control: u64, buckets: u64, group: u64) -> Verdict {
        let (mut live, mut free) = (None, false);
        for extent in self.around(control) {
            if extent.each == 0 {
                free = true;
                continue;
            }
            let index = control.saturating_sub(extent.first) / extent.each;
            let Some(block) =
                InBlock::new(extent.first + index * extent.each, control, buckets, group)
            else {
                continue;
            };
            let bytes = block.bytes();
            let given = [class_of(bytes), bytes.next_multiple_of(PAGE)];
            if given.contains(&extent.each) && live.replace(block).is_some() {
                return Verdict::Unknown;
            }
        }
        match live {
            Some(block) => Verdict::Live(block),
            None if free && self.known() => Verdict::Free,
            None => Verdict::Unknown,
        }
    }
}

const SLAB: u64 = 1 << 12;
const COMMITTED: u64 = 1 << 13;

/// Bits that say how many blocks of a slab are free.
const FREE_BLOCKS: u64 = 0x3FF;

/// Where a version has what in its bits.
struct Layout {
    state: u32,
    states: u64,
    class: u32,
}

/// 5.3.
const NEW: Layout = Layout {
    state: 17,
    states: 7,
    class: 20,
};
/// 5.2.
const OLD: Layout = Layout {
    state: 16,
    states: 3,
    class: 18,
};

impl Layout {
    fn extent(&self, bits: u64, address: u64, size: u64) -> Option<Extent> {
        let state = bits >> self.state & self.states;
        let class = bits >> self.class & 0xFF;
        let (start, length) = (address / PAGE * PAGE, size / PAGE * PAGE);
        let end = start.checked_add(length)?;
        if start == 0 || length == 0 || end >= 1 << 47 || state > 3 {
            return None;
        }
        let first = address;
        if state != 0 {
            // Dirty, muzzy or retained: free. The record of one that was a slab still says so, and how
            // many of its blocks were free: all of them.
            let blocks = bits >> (self.class + 8) & FREE_BLOCKS;
            let sound = class == CLASSES && blocks <= MOST_IN_SLAB && address == start;
            return sound.then_some(Extent {
                start,
                end,
                first,
                each: 0,
                slab: None,
            });
        }
        let each = size_of(class)?;
        let free = bits >> (self.class + 8) & FREE_BLOCKS;
        let of_slab = (bits & SLAB != 0).then_some((0, free));
        let (sound, each) = if bits & SLAB != 0 {
            let sound = class < SMALL && address == start && length == slab(each);
            (sound, each)
        } else {
            // A large block begins anywhere in a page of its own, unless that was configured away.
            // It has the bytes of its class, or (from 5.3.1 on) whole pages.
            let of_class = |bytes: u64| bytes > 0 && class_of(bytes) == each;
            let padded = length - PAGE;
            if of_class(padded) {
                (class >= SMALL && address.is_multiple_of(64), padded)
            } else {
                let sound = class >= SMALL && address == start && of_class(length);
                (sound, length)
            }
        };
        sound.then_some(Extent {
            start,
            end,
            first,
            each,
            slab: of_slab,
        })
    }
}

/// Bytes of the size class `class`: multiples of 16 up to 128, but for the first, then four to
/// each doubling.
fn size_of(class: u64) -> Option<u64> {
    if class >= CLASSES {
        return None;
    }
    match class {
        0 => Some(8),
        1..=8 => Some(class * 16),
        _ => {
            let (doubling, step) = ((class - 9) / 4, (class - 9) % 4 + 1);
            let base = 128_u64.checked_shl(u32::try_from(doubling).ok()?)?;
            (base >> doubling == 128).then(|| base.checked_add(base / 4 * step))?
        }
    }
}

/// Bytes of the block that is given for `bytes`.
fn class_of(bytes: u64) -> u64 {
    match bytes {
        0..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => {
            let step = (1 << (bytes - 1).ilog2()) / 4;
            bytes.next_multiple_of(step)
        }
    }
}

/// Bytes of a slab of blocks of `each` bytes: as many pages as it takes for no rest.
fn slab(each: u64) -> u64 {
    let mut bytes = PAGE;
    while !bytes.is_multiple_of(each) && bytes / each < MOST_IN_SLAB {
        bytes += PAGE;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_jemallocs() {
        let sizes: Vec<u64> = (0..20).filter_map(size_of).collect();
        let expected = [
            8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
            896,
        ];
        assert_eq!(sizes, expected);
        assert_eq!(size_of(35), Some(14 << 10));
        assert_eq!(size_of(36), Some(16 << 10));
        for (bytes, class) in [(1, 8), (17, 32), (129, 160), (1024, 1024), (17424, 20480)] {
            assert_eq!(class_of(bytes), class, "{bytes}");
        }
        assert!(
            (0..CLASSES)
                .filter_map(size_of)
                .all(|size| class_of(size) == size)
        );
        assert_eq!(
            [8, 48, 160, 14 << 10].map(slab),
            [4096, 12288, 20480, 28672]
        );
    }

    #[test]
    fn a_table_has_the_block_that_its_extent_gives() {
        // A large block of 20 KiB that begins at some cache line of its first page.
        let bits = COMMITTED | 37 << NEW.class;
        let mut extents = Extents::default();
        extents.look(0x7000_0000_0080, bits, 0x7f00_0000_0340, (20480 + 4096) | 5);
        extents.sort();
        let control = 0x7f00_0000_0340 + 16 * 1024;
        let Verdict::Live(block) = extents.of(control, 1024, 16) else {
            panic!("it is there")
        };
        assert_eq!(block.bytes(), 17 * 1024 + 16);
        // A table with more buckets has a larger block.
        assert!(matches!(extents.of(control, 4096, 16), Verdict::Unknown));
    }
}
