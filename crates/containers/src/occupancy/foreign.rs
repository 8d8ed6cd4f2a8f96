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
const MOST_FOLLOWED: u64 = 1 << 16;
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
    let (mut used, mut followed) = (0_u64, 0_u64);
    let mut container = None;
    let mut heads = [0; MANY];
    let mut waiting = 0;
    let mut buffer = [0; CHUNK];
    // Backwards: the one that leads into the container is that of the entry which came last to an
    // empty bucket, and where numbers that count up are the keys, that is the last bucket in use.
    let mut at = bytes;
    while at > 0 {
        let length = usize::try_from(at).unwrap_or(usize::MAX).min(CHUNK);
        at -= length as u64;
        let read = buffer.get_mut(..length)?;
        if !reader.read(at, read) {
            return None;
        }
        let backwards = read.chunks_exact(8).rev();
        for head in backwards.filter_map(|bytes| word(bytes, 0)) {
            if head == 0 {
                continue;
            }
            if head % 8 != 0 || !(4096..HIGHEST).contains(&head) {
                return None;
            }
            used += 1;
            if container.is_some() || followed == MOST_FOLLOWED {
                continue;
            }
            followed += 1;
            *heads.get_mut(waiting)? = head;
            waiting += 1;
            if waiting == MANY {
                container = libstdcxx(memory, &heads, address, buckets);
                waiting = 0;
            }
        }
    }
    container = container
        .or_else(|| libstdcxx(memory, heads.get(..waiting)?, address, buckets))
        .or_else(|| from_front(memory, (address, bytes), used - followed, reader));
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

/// What [`libstdcxx`] finds by the first buckets in use of a block, of which `left` were not
/// followed yet.
fn from_front(
    memory: &impl Memory,
    (address, bytes): (u64, u64),
    left: u64,
    reader: &mut impl BlockReader,
) -> Option<(u64, u64)> {
    let mut left = left.min(MOST_FOLLOWED);
    let mut heads = [0; MANY];
    let mut waiting = 0;
    let mut buffer = [0; CHUNK];
    let mut at = 0;
    while at < bytes && left > 0 {
        let length = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(CHUNK);
        let read = buffer.get_mut(..length)?;
        if !reader.read(at, read) {
            return None;
        }
        at += length as u64;
        let used = read.chunks_exact(8).filter_map(|bytes| word(bytes, 0));
        for head in used.filter(|&head| head != 0) {
            *heads.get_mut(waiting)? = head;
            waiting += 1;
            left = left.saturating_sub(1);
            if waiting == MANY || left == 0 {
                let container = libstdcxx(memory, heads.get(..waiting)?, address, bytes / 8);
                if container.is_some() || left == 0 {
                    return container;
                }
                waiting = 0;
            }
        }
    }
    None
}

/// Entries of the `_Hashtable` that one of `heads` leads into, and how many it takes before it
/// grows; if one leads into such, and its buckets are these.
fn libstdcxx(
    memory: &impl Memory,
    heads: &[u64],
    address: u64,
    buckets: u64,
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
