//! How a header that counts its entries is proved: its table is counted, and where the two do not agree
//! both are read anew, as long as they change.

use mapgrow_system::memory::Memory;

use super::{Found, Search};

/// Bytes read at once: as many as divide into what tables are made of.
const CHUNK: u64 = 12 << 10;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;

/// What a header says.
pub(super) trait Header: Copy + PartialEq {
    /// What is counted in its table.
    type Counted;

    /// What the header at a place says now, if it can be one.
    fn read(search: &Search<'_>, header: u64) -> Option<Self>;

    /// Where its table is.
    fn table(&self) -> u64;

    /// What its table holds; `None` where there is none.
    fn count(&self, search: &Search<'_>) -> Option<Self::Counted>;

    /// Whether that is what the header says.
    fn agrees(&self, counted: &Self::Counted) -> bool;

    /// The table that was proved.
    fn found(&self, search: &Search<'_>, header: u64, counted: &Self::Counted) -> Found;
}

/// Finds out whether there is a table at what the header at `header` says, and adds it if so.
pub(super) fn prove<H: Header>(search: &mut Search<'_>, header: u64, candidate: H) {
    if search.seen.contains_key(&candidate.table()) {
        return;
    }
    let Some(counted) = candidate.count(search) else {
        return;
    };
    if candidate.agrees(&counted) {
        let found = candidate.found(search, header, &counted);
        return search.add(found);
    }
    search.anew(|search| {
        let mut now = candidate;
        let mut changed = false;
        for _ in 0..ATTEMPTS {
            let counted = now.count(search);
            let Some(after) = H::read(search, header) else {
                break;
            };
            if after == now {
                if let Some(counted) = counted.filter(|counted| now.agrees(counted)) {
                    let found = now.found(search, header, &counted);
                    search.add(found);
                }
                return;
            }
            changed = true;
            now = after;
        }
        search.finding.changed_while_read += u64::from(changed);
    });
}

/// Calls `each` with pieces of what lies from `from` to `to`. All but the last have as many bytes as 24, 16
/// and the smaller powers of two divide. `None` where it cannot be read.
pub(super) fn pieces(
    search: &Search<'_>,
    from: u64,
    to: u64,
    each: &mut dyn FnMut(&[u8]),
) -> Option<()> {
    let mut buffer = [0; CHUNK as usize];
    for at in (from..to).step_by(CHUNK as usize) {
        let read = buffer.get_mut(..(to - at).min(CHUNK) as usize)?;
        if !search.view.read(at, read) {
            return None;
        }
        each(read);
    }
    Some(())
}
