//! The books of the counting allocator: which blocks live, whose they are, what became of them.
//!
//! All of it is static; nothing here allocates.

use std::alloc::Layout;
use std::sync::Mutex;

/// Blocks of one kind that a shape allocates; everything else it allocates is no table.
#[derive(Clone, Copy)]
pub enum Rule {
    /// Tables of hashbrown with elements of this size and alignment.
    Hash { size: usize, align: usize },
    /// Buffers of a vector with elements of this size and alignment.
    Vec { size: usize, align: usize },
    /// All other blocks: the nodes of a tree.
    Nodes,
}

impl Rule {
    pub const fn hash<T>() -> Rule {
        Rule::Hash {
            size: size_of::<T>(),
            align: align_of::<T>(),
        }
    }

    pub const fn vec<T>() -> Rule {
        Rule::Vec {
            size: size_of::<T>(),
            align: align_of::<T>(),
        }
    }

    pub fn family(self) -> usize {
        match self {
            Rule::Hash { .. } => 0,
            Rule::Vec { .. } => 1,
            Rule::Nodes => 2,
        }
    }

    pub fn matches(self, layout: Layout) -> bool {
        match self {
            Rule::Hash { size, align } => {
                let align = align.max(GROUP);
                layout.align() == align
                    && (2..40).any(|log2| {
                        let buckets = 1usize << log2;
                        let slots = (buckets * size).next_multiple_of(align);
                        layout.size() == slots + buckets + GROUP
                    })
            }
            Rule::Vec { size, align } => {
                layout.align() == align && layout.size().is_multiple_of(size)
            }
            Rule::Nodes => true,
        }
    }
}

/// Width of hashbrown's control group.
const GROUP: usize = if cfg!(target_arch = "x86_64") { 16 } else { 8 };
/// Names of the families, as the report has them.
pub const FAMILIES: [&str; 3] = ["hashbrown", "raw_vec", "btree"];
/// Tables at or above this are exact in default mode.
pub const FLOOR: u64 = 1024;
const SHAPES: usize = 40;
const SLOTS: usize = 1 << 21;
const CHAINS: usize = 1 << 16;
const CHAIN_TABLES: usize = 47;
const PAUSES: usize = 4096;

/// What one shape did with one family of blocks.
#[derive(Clone, Copy)]
pub struct Figures {
    pub creates: u64,
    pub grows: u64,
    pub shrinks: u64,
    pub aborted: u64,
    pub drops: u64,
    pub in_place: u64,
    pub allocated_bytes: u64,
    pub copied_bytes: u64,
    pub live_bytes: u64,
    pub peak_bytes: u64,
    pub overlap_peak_bytes: u64,
    /// The same, of blocks at or above [`FLOOR`] alone.
    pub floor_allocs: u64,
    pub floor_bytes: u64,
    pub floor_live_bytes: u64,
    pub floor_live: u64,
    /// Resizes whose new block is at or above the floor.
    pub floor_resizes: u64,
    /// Maps whose chain found no room here.
    pub chains_missing: u64,
}

impl Figures {
    const NONE: Figures = Figures {
        creates: 0,
        grows: 0,
        shrinks: 0,
        aborted: 0,
        drops: 0,
        in_place: 0,
        allocated_bytes: 0,
        copied_bytes: 0,
        live_bytes: 0,
        peak_bytes: 0,
        overlap_peak_bytes: 0,
        floor_allocs: 0,
        floor_bytes: 0,
        floor_live_bytes: 0,
        floor_live: 0,
        floor_resizes: 0,
        chains_missing: 0,
    };

    fn gain(&mut self, bytes: u64) {
        self.allocated_bytes += bytes;
        self.live_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        if bytes >= FLOOR {
            self.floor_allocs += 1;
            self.floor_bytes += bytes;
            self.floor_live_bytes += bytes;
            self.floor_live += 1;
        }
    }

    fn lose(&mut self, bytes: u64) {
        self.live_bytes -= bytes;
        if bytes >= FLOOR {
            self.floor_live_bytes -= bytes;
            self.floor_live -= 1;
        }
    }

    fn resized(&mut self, old: u64, new: u64) {
        if new > old {
            self.grows += 1;
        } else {
            self.shrinks += 1;
        }
        if new >= FLOOR {
            self.floor_resizes += 1;
        }
    }
}

/// A live block. Address 0: empty.
#[derive(Clone, Copy)]
struct Slot {
    address: usize,
    bytes: u64,
    shape: u16,
    family: u16,
    /// Chain + 1; 0 when there was no room.
    chain: u32,
}

#[derive(Clone, Copy)]
pub struct Chain {
    pub len: usize,
    pub tables: [u64; CHAIN_TABLES],
}

/// A table replaced another.
#[derive(Clone, Copy)]
pub struct Resize {
    pub family: usize,
    pub old_bytes: u64,
    pub new_bytes: u64,
}

/// A stall that the program measured around the call that resized.
#[derive(Clone, Copy)]
pub struct Pause {
    pub shape: usize,
    pub resize: Resize,
    pub ns: u64,
    /// Part of it that lay between the calls to the allocator.
    pub inside_ns: u64,
}

pub struct State {
    pub figures: [[Figures; 3]; SHAPES],
    slots: [Slot; SLOTS],
    chains: [Chain; CHAINS],
    /// Stack of chains given back, and the number of chains ever used.
    free: [u32; CHAINS],
    free_len: usize,
    chains_used: usize,
    pauses: [Pause; PAUSES],
    pause_count: usize,
}

pub static STATE: Mutex<State> = Mutex::new(State {
    figures: [[Figures::NONE; 3]; SHAPES],
    slots: [Slot {
        address: 0,
        bytes: 0,
        shape: 0,
        family: 0,
        chain: 0,
    }; SLOTS],
    chains: [Chain {
        len: 0,
        tables: [0; CHAIN_TABLES],
    }; CHAINS],
    free: [0; CHAINS],
    free_len: 0,
    chains_used: 0,
    pauses: [Pause {
        shape: 0,
        resize: Resize {
            family: 0,
            old_bytes: 0,
            new_bytes: 0,
        },
        ns: 0,
        inside_ns: 0,
    }; PAUSES],
    pause_count: 0,
});

fn home(address: usize) -> usize {
    (((address >> 4) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 43) as usize % SLOTS
}

impl State {
    fn find(&self, address: usize) -> Option<usize> {
        let mut i = home(address);
        while self.slots[i].address != 0 {
            if self.slots[i].address == address {
                return Some(i);
            }
            i = (i + 1) % SLOTS;
        }
        None
    }

    pub fn holds(&self, address: usize) -> bool {
        self.find(address).is_some()
    }

    fn insert(&mut self, slot: Slot) {
        let mut i = home(slot.address);
        while self.slots[i].address != 0 {
            i = (i + 1) % SLOTS;
        }
        self.slots[i] = slot;
    }

    /// Empties slot `i` and moves later ones of its run up, so that no search ends too soon.
    fn remove(&mut self, mut i: usize) -> Slot {
        let taken = self.slots[i];
        let mut next = (i + 1) % SLOTS;
        while self.slots[next].address != 0 {
            let distance = (next + SLOTS - home(self.slots[next].address)) % SLOTS;
            if distance >= (next + SLOTS - i) % SLOTS {
                self.slots[i] = self.slots[next];
                i = next;
            }
            next = (next + 1) % SLOTS;
        }
        self.slots[i].address = 0;
        taken
    }

    fn new_chain(&mut self, bytes: u64) -> u32 {
        let chain = if self.free_len > 0 {
            self.free_len -= 1;
            self.free[self.free_len] as usize
        } else if self.chains_used < CHAINS {
            self.chains_used += 1;
            self.chains_used - 1
        } else {
            return 0;
        };
        self.chains[chain].len = 1;
        self.chains[chain].tables[0] = bytes;
        chain as u32 + 1
    }

    fn free_chain(&mut self, chain: u32) {
        if chain != 0 {
            self.free[self.free_len] = chain - 1;
            self.free_len += 1;
        }
    }

    fn extend_chain(&mut self, chain: u32, bytes: u64) {
        if chain != 0 {
            let chain = &mut self.chains[chain as usize - 1];
            chain.tables[chain.len] = bytes;
            chain.len += 1;
        }
    }

    pub fn allocated(&mut self, address: usize, bytes: u64, shape: usize, family: usize) {
        let chain = if family == 2 {
            0
        } else {
            self.new_chain(bytes)
        };
        let figures = &mut self.figures[shape][family];
        figures.creates += 1;
        figures.gain(bytes);
        figures.chains_missing += u64::from(chain == 0);
        self.insert(Slot {
            address,
            bytes,
            shape: shape as u16,
            family: family as u16,
            chain,
        });
    }

    /// Takes the block out. `pending` is the table that the same call into a container has
    /// allocated before, if any: then this was a resize, which is given back.
    pub fn freed(&mut self, address: usize, pending: usize) -> Option<Resize> {
        let i = self.find(address)?;
        let old = self.remove(i);
        let family = old.family as usize;
        self.figures[old.shape as usize][family].lose(old.bytes);
        let replaced = self.replaced_by(pending, old);
        let figures = &mut self.figures[old.shape as usize][family];
        if pending == address {
            // The new table itself: its growth was given up.
            figures.creates -= 1;
            figures.aborted += 1;
            self.free_chain(old.chain);
        } else if let Some((n, new)) = replaced {
            figures.creates -= 1;
            figures.resized(old.bytes, new.bytes);
            figures.copied_bytes += old.bytes.min(new.bytes);
            figures.overlap_peak_bytes = figures.overlap_peak_bytes.max(old.bytes + new.bytes);
            self.free_chain(new.chain);
            self.slots[n].chain = old.chain;
            self.extend_chain(old.chain, new.bytes);
            return Some(Resize {
                family,
                old_bytes: old.bytes,
                new_bytes: new.bytes,
            });
        } else {
            figures.drops += 1;
            self.free_chain(old.chain);
        }
        None
    }

    /// The hash table that was allocated in the same call into the container, if any.
    fn replaced_by(&self, pending: usize, old: Slot) -> Option<(usize, Slot)> {
        let n = self.find(pending)?;
        let new = self.slots[n];
        (old.family == 0 && new.family == 0 && new.shape == old.shape).then_some((n, new))
    }

    pub fn reallocated(&mut self, old: usize, address: usize, bytes: u64) -> Option<Resize> {
        let i = self.find(old)?;
        let mut slot = self.remove(i);
        let old_bytes = slot.bytes;
        let figures = &mut self.figures[slot.shape as usize][slot.family as usize];
        figures.lose(old_bytes);
        figures.gain(bytes);
        figures.resized(old_bytes, bytes);
        if address == old {
            figures.in_place += 1;
        } else {
            figures.copied_bytes += old_bytes.min(bytes);
            figures.overlap_peak_bytes = figures.overlap_peak_bytes.max(old_bytes + bytes);
        }
        let (chain, family) = (slot.chain, slot.family as usize);
        slot.address = address;
        slot.bytes = bytes;
        self.insert(slot);
        self.extend_chain(chain, bytes);
        Some(Resize {
            family,
            old_bytes,
            new_bytes: bytes,
        })
    }

    pub fn add_pause(&mut self, pause: Pause) {
        if let Some(slot) = self.pauses.get_mut(self.pause_count) {
            *slot = pause;
            self.pause_count += 1;
        }
    }

    pub fn pauses(&self) -> &[Pause] {
        &self.pauses[..self.pause_count]
    }

    /// Shape, family and table sizes of the maps that live.
    pub fn live_chains(&self) -> impl Iterator<Item = (usize, usize, &[u64])> {
        self.slots
            .iter()
            .filter(|slot| slot.address != 0 && slot.chain != 0)
            .map(|slot| {
                let chain = &self.chains[slot.chain as usize - 1];
                let tables = &chain.tables[..chain.len];
                (slot.shape as usize, slot.family as usize, tables)
            })
    }
}
