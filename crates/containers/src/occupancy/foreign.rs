//! Tables of containers other than hashbrown's, of programs in C, C++ and Python: what can be
//! told of them from their memory.
//!
//! # Chained tables
//!
//! An array of pointers, null where nothing hangs. In libstdc++'s `_Hashtable` one of them
//! leads into the container itself, where the words before it are the address of the array and
//! its length: a check that nothing else passes, and the word behind it is the number of entries.
//! Of the others (libc++, Redis) only the buckets in use are known.

use mapgrow_system::memory::{MANY, Memory};

use super::memory::BlockAt;
use super::{BlockReader, abseil, cpython};

/// Bytes read at once.
pub(super) const CHUNK: usize = 4096;
/// More than what a table has besides its slots: a header, a mirror, padding.
const HEADERS: u64 = 64;
/// Buckets followed at most from either end in search of the container they belong to.
const MOST_FOLLOWED: u64 = 1 << 15;
/// Pointers into user space lie below.
pub(super) const HIGHEST: u64 = 1 << 47;

/// Which kind of table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// Keys of a CPython dict.
    CpythonKeys,
    /// Pointers to chains.
    Chains,
    /// Slots of a CPython set.
    CpythonSet,
    /// Control bytes and slots of an Abseil flat or node map.
    Abseil,
}

/// What was read of such a table; `None` is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// What it is.
    pub kind: ForeignKind,
    /// Buckets.
    pub buckets: u64,
    /// Buckets that are not empty.
    pub buckets_used: Option<u64>,
    /// Entries.
    pub entries: Option<u64>,
    /// Entries that were deleted and still take room.
    pub tombstones: Option<u64>,
    /// Entries that fit.
    pub capacity: Option<u64>,
    /// Entries that can be added before it grows.
    pub growth_left: Option<u64>,
}

/// Reads a block of `bytes` bytes at `address`; `None` when it is no table that is known here.
#[must_use]
pub fn read_foreign(memory: &impl Memory, address: u64, bytes: u64) -> Option<Foreign> {
    let mut block = BlockAt::new(memory, address);
    cpython::dict(&mut block, bytes)
        .or_else(|| abseil::table(&mut block, bytes))
        .or_else(|| cpython::set(&mut block, bytes))
        .or_else(|| chains(memory, address, bytes, &mut block))
}

impl Foreign {
    /// Bytes of a table of `bytes` bytes beyond those of one made anew for its entries: at least
    /// and at most. `None` where the entries are not known.
    #[must_use]
    pub fn retained(&self, bytes: u64) -> Option<(u64, u64)> {
        let entries = self.entries?;
        let of_buckets = |buckets: u64| match self.buckets {
            0 => None,
            all => u64::try_from(u128::from(bytes) * u128::from(buckets) / u128::from(all)).ok(),
        };
        let (least, most) = match self.kind {
            ForeignKind::CpythonKeys => {
                let needed = of_buckets(cpython::dict_slots(entries))?;
                (needed.saturating_sub(HEADERS), needed + HEADERS)
            }
            ForeignKind::CpythonSet => {
                let needed = of_buckets(cpython::set_slots(entries))?;
                (needed, needed)
            }
            ForeignKind::Abseil if entries == 0 => (0, 0),
            ForeignKind::Abseil => {
                let needed = of_buckets(abseil::slots(entries))?;
                (needed, needed.saturating_add(HEADERS))
            }
            // The next prime of a list in which each is a sixth larger than the one before.
            ForeignKind::Chains => {
                let least = entries.max(1).saturating_mul(8);
                (
                    least,
                    least.saturating_add(least / 6).saturating_add(HEADERS),
                )
            }
        };
        Some((bytes.saturating_sub(most), bytes.saturating_sub(least)))
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn chains(
    memory: &impl Memory,
    address: u64,
    bytes: u64,
    reader: &mut impl BlockReader,
) -> Option<Foreign> {
    let buckets = bytes / 8;
    if !bytes.is_multiple_of(8) || buckets < 8 {
        return None;
    }
    let (mut used, mut lowest, mut highest) = (0_u64, u64::MAX, 0);
    let whole = each_head(bytes, false, reader, |head| {
        used += 1;
        (lowest, highest) = (lowest.min(head), highest.max(head));
        head % 8 == 0 && (4096..HIGHEST).contains(&head)
    });
    if whole != Some(true) {
        return None;
    }
    // A container is mostly older than its nodes and lies below them, or in a stack above them.
    // Else it is looked for. Backwards first: the bucket that leads into it is that of the entry
    // which came last to an empty one, and where numbers that count up are the keys, that is the
    // last in use.
    let outermost = [lowest, highest];
    let place = (address, buckets);
    let container = libstdcxx(memory, outermost.get(..2 * usize::from(used > 0))?, place)
        .or_else(|| follow(memory, place, true, reader))
        .or_else(|| follow(memory, place, false, reader));
    Some(Foreign {
        kind: ForeignKind::Chains,
        buckets,
        buckets_used: Some(used),
        entries: container.map(|(entries, _)| entries),
        tombstones: None,
        capacity: container.map(|(_, capacity)| capacity),
        growth_left: container.map(|(entries, capacity)| capacity.saturating_sub(entries)),
    })
}

/// Calls `visit` with each pointer of a block that is not null, from its end or its beginning,
/// until that gives false; whether it never did. `None`: it could not be read.
fn each_head(
    bytes: u64,
    backwards: bool,
    reader: &mut impl BlockReader,
    mut visit: impl FnMut(u64) -> bool,
) -> Option<bool> {
    let mut buffer = [0; CHUNK];
    let mut done = 0;
    while done < bytes {
        let length = usize::try_from(bytes - done)
            .unwrap_or(usize::MAX)
            .min(CHUNK);
        let read = buffer.get_mut(..length)?;
        let after = done + length as u64;
        if !reader.read(if backwards { bytes - after } else { done }, read) {
            return None;
        }
        done = after;
        let words = read.len() / 8;
        for at in 0..words {
            let at = if backwards { words - 1 - at } else { at };
            let head = word(read, at * 8)?;
            if head != 0 && !visit(head) {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// What [`libstdcxx`] finds by the buckets at one end of a table.
fn follow(
    memory: &impl Memory,
    (address, buckets): (u64, u64),
    backwards: bool,
    reader: &mut impl BlockReader,
) -> Option<(u64, u64)> {
    let mut left = MOST_FOLLOWED;
    let mut heads = [0; MANY];
    let mut waiting = 0;
    let mut container = None;
    each_head(buckets * 8, backwards, reader, |head| {
        if let Some(place) = heads.get_mut(waiting) {
            *place = head;
            waiting += 1;
        }
        left -= 1;
        if waiting == MANY {
            container = libstdcxx(memory, &heads, (address, buckets));
            waiting = 0;
        }
        container.is_none() && left > 0
    })?;
    container.or_else(|| libstdcxx(memory, heads.get(..waiting)?, (address, buckets)))
}

/// Entries of the `_Hashtable` that one of `heads` leads into, and how many it takes before it
/// grows; if one leads into such, and its buckets are these.
fn libstdcxx(
    memory: &impl Memory,
    heads: &[u64],
    (address, buckets): (u64, u64),
) -> Option<(u64, u64)> {
    // _M_buckets, _M_bucket_count, _M_before_begin, _M_element_count, then _M_rehash_policy:
    // a float (and padding), and _M_next_resize. A head leads to _M_before_begin.
    const BEFORE: u64 = 16;
    let mut places = [0; MANY];
    let mut words = [0; MANY * BEFORE as usize];
    let places = places.get_mut(..heads.len())?;
    for (place, head) in places.iter_mut().zip(heads) {
        *place = head.checked_sub(BEFORE)?;
    }
    let words = words.get_mut(..heads.len() * BEFORE as usize)?;
    if !memory.read_many(places, BEFORE as usize, words) {
        return None;
    }
    let object = |&(_, found): &(&u64, &[u8])| {
        word(found, 0) == Some(address) && word(found, 8) == Some(buckets)
    };
    let found = words.chunks_exact(BEFORE as usize);
    let (&place, _) = places.iter().zip(found).find(object)?;
    let mut object = [0; 48];
    if !memory.read(place, &mut object) {
        return None;
    }
    Some((word(&object, 24)?, word(&object, 40)?))
}
