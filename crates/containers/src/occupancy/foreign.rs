//! Tables of containers other than hashbrown's, of programs in C, C++ and Python: what can be
//! told of them from their memory.
//!
//! # CPython
//!
//! `PyDictKeysObject` (3.11 and later: `Include/internal/pycore_dict.h`) begins with a reference
//! count, log2 of the slots, log2 of the bytes of its index, a kind, and how many entries are
//! still usable and how many are used; the index and the entries follow. Size of the block and
//! sum of the two counts follow from the rest: a block for which they do not agree is none. An
//! entry without a value was deleted.
//!
//! # Chained tables
//!
//! An array of pointers, null where nothing hangs. In libstdc++'s `_Hashtable` one of them
//! leads into the container itself, where the words before it are the address of the array and
//! its length: a check that nothing else passes, and the word behind it is the number of entries.
//! Of the others (libc++, Redis) only the buckets in use are known.

use mapgrow_system::memory::{MANY, Memory};

use super::BlockReader;
use super::memory::BlockAt;

/// Bytes read at once.
const CHUNK: usize = 4096;
/// Buckets followed at most in search of the container they belong to.
const MOST_FOLLOWED: u64 = 1 << 16;
/// Pointers into user space lie below.
const HIGHEST: u64 = 1 << 47;

/// Which kind of table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// Keys of a CPython dict.
    CpythonKeys,
    /// Pointers to chains.
    Chains,
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
    cpython(&mut block, bytes).or_else(|| chains(memory, address, bytes, &mut block))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn cpython(reader: &mut impl BlockReader, bytes: u64) -> Option<Foreign> {
    const HEADER: u64 = 32;
    /// Bytes of an entry: with the hash, or of string keys, which know their own.
    const ENTRY: [u64; 2] = [24, 16];
    let mut header = [0; HEADER as usize];
    if bytes < HEADER || !reader.read(0, &mut header) {
        return None;
    }
    let (log2, index_log2, kind) = (*header.get(8)?, *header.get(9)?, *header.get(10)?);
    let (usable, used) = (word(&header, 16)?, word(&header, 24)?);
    let entry = *ENTRY.get(usize::from(kind))?;
    if !(3..48).contains(&log2) || !(log2..=log2 + 3).contains(&index_log2) {
        return None;
    }
    let slots = 1_u64 << log2;
    let capacity = slots * 2 / 3;
    let index = 1_u64 << index_log2;
    let whole = HEADER
        .checked_add(index)?
        .checked_add(capacity.checked_mul(entry)?)?;
    if whole != bytes || usable.checked_add(used) != Some(capacity) {
        return None;
    }
    let mut deleted = 0;
    let mut buffer = [0; CHUNK / 48 * 48];
    let mut done = 0;
    while done < used {
        let batch = (used - done).min(buffer.len() as u64 / entry);
        let read = buffer.get_mut(..(batch * entry) as usize)?;
        if !reader.read(HEADER + index + done * entry, read) {
            return None;
        }
        // The value is the last word of an entry.
        let entries = read.chunks_exact(entry as usize);
        deleted += entries
            .filter(|&entry| word(entry, entry.len() - 8) == Some(0))
            .count() as u64;
        done += batch;
    }
    Some(Foreign {
        kind: ForeignKind::CpythonKeys,
        buckets: slots,
        buckets_used: Some(used),
        entries: Some(used - deleted),
        tombstones: Some(deleted),
        capacity: Some(capacity),
        growth_left: Some(usable),
    })
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
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).ok()?.min(CHUNK);
        let read = buffer.get_mut(..length)?;
        if !reader.read(at, read) {
            return None;
        }
        for head in read.chunks_exact(8).filter_map(|bytes| word(bytes, 0)) {
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
        at += length as u64;
    }
    container = container.or_else(|| libstdcxx(memory, heads.get(..waiting)?, address, buckets));
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
