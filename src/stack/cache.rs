//! A thread's cache of unwind rules, and of the objects that they came from.

use super::loader::{self, Object};
use super::rules::{Kind, Rule, read_rule};
use crate::own_stack::on_stack;
use crate::sandbox;
use mapgrow_system::sys::SignalsBlocked;

/// Words of the stack that a rule is read on. Without optimisation it takes tens of kilobytes.
const STACK_WORDS: usize = if cfg!(debug_assertions) { 8192 } else { 1024 };
/// Sets of rules, and rules in each. A thread's working set is its distinct return addresses.
const SETS: usize = 256;
const WAYS: usize = 4;
/// Objects kept.
const OBJECTS: usize = 16;
/// An ELF header's page: always readable in a loaded object.
const FIRST_PAGE: u64 = 4096;

/// Rules whose addresses have the same hash.
#[derive(Clone, Copy)]
struct Set {
    /// What the rules are for; 0: empty.
    addresses: [u64; WAYS],
    /// The objects that the rules were read from ([`KnownObject::tag`]).
    tags: [u32; WAYS],
    rules: [Rule; WAYS],
    /// The way that was filled last.
    newest: u32,
}

const _: () = assert!(size_of::<Set>() <= 160);

/// An object seen before, with its identity worked out.
#[derive(Clone, Copy)]
struct KnownObject {
    map_start: u64,
    map_end: u64,
    eh_frame_hdr: u64,
    link_map: u64,
    /// Address of the first 8 bytes of the build id, if they lie in the first page; else 0.
    id_address: u64,
    /// Those bytes.
    id: u64,
    /// Hash of all the above.
    tag: u32,
}

/// A thread's cache. All-zero is the empty one.
pub(super) struct RuleCache {
    sets: [Set; SETS],
    objects: [KnownObject; OBJECTS],
    /// The object that the previous address of this walk lay in; an empty range when there is
    /// none.
    current: Object,
    /// Its [`KnownObject::tag`].
    current_tag: u32,
    /// What a rule is read on, which is seldom done: the program's own stack may have no room.
    stack: [u64; STACK_WORDS],
}

/// Spreads a word over all bits.
#[inline]
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    value ^ (value >> 32)
}

/// The first bytes of an id.
///
/// # Safety
/// Eight bytes at `address` must be readable.
unsafe fn read_id(address: u64) -> u64 {
    // SAFETY: eight bytes at `address` are readable (this contract); any alignment will do.
    unsafe { core::ptr::read_unaligned(address as usize as *const u64) }
}

/// [`read_rule`] on another stack. (To block signals may be forbidden in a sandbox.)
///
/// # Safety
/// As for `read_rule`.
#[cold]
#[inline(never)]
unsafe fn read_aside(object: &Object, address: u64, stack: &mut [u64]) -> Rule {
    // SAFETY: the object is loaded: this thread's stack leads into it until this returns.
    let read = || unsafe { read_rule(object, address) };
    if !sandbox::SEEN || sandbox::entered() {
        return read();
    }
    on_stack(&SignalsBlocked::new(), stack, read).unwrap_or(const { Rule::stop(Kind::NoInfo) })
}

impl RuleCache {
    /// Forgets which object the last walk ended in: the loader is asked afresh in each walk, so
    /// that an object loaded in the place of another is noticed.
    pub(super) fn begin_walk(&mut self) {
        self.current.map_end = 0;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        for set in &mut self.sets {
            set.addresses = [0; WAYS];
        }
        for object in &mut self.objects {
            object.map_end = 0;
        }
        self.current.map_end = 0;
    }

    /// The rule for `address`: a pc if exact, else the byte before a return address.
    ///
    /// # Safety
    /// `address` must come from the calling thread's stack or registers, so that the object it
    /// lies in, if any, stays loaded during the call.
    #[inline]
    pub(super) unsafe fn rule(&mut self, address: u64) -> Rule {
        // SAFETY: `address` is a pc of this thread's stack (this contract), so its object stays loaded.
        if !self.current.contains(address) && !unsafe { self.enter_object(address) } {
            return const { Rule::stop(Kind::NoInfo) };
        }
        let tag = self.current_tag;
        let set = &mut self.sets[mix(address) as usize % SETS];
        for way in 0..WAYS {
            if set.addresses[way] == address && set.tags[way] == tag {
                return set.rules[way];
            }
        }
        // SAFETY: the object was found by `address`, a pc of this thread's stack: it stays loaded.
        let rule = unsafe { read_aside(&self.current, address, &mut self.stack) };
        set.newest = set.newest.wrapping_add(1);
        let way = set.newest as usize % WAYS;
        set.addresses[way] = address;
        set.tags[way] = tag;
        set.rules[way] = rule;
        rule
    }

    /// Makes the object that `address` lies in the current one. False when it lies in none.
    ///
    /// # Safety
    /// As for [`RuleCache::rule`].
    #[inline(never)]
    unsafe fn enter_object(&mut self, address: u64) -> bool {
        self.current.map_end = 0;
        // SAFETY: `address` is a pc of this thread's stack (this contract), so its object stays loaded.
        let Some(object) = (unsafe { loader::find_object(address) }) else {
            return false;
        };
        let known = &mut self.objects[mix(object.map_start >> 12) as usize % OBJECTS];
        let same = known.map_start == object.map_start
            && known.map_end == object.map_end
            && known.eh_frame_hdr == object.eh_frame_hdr
            && known.link_map == object.link_map
            // SAFETY: the address lies in the first page of the mapping (see below), and the
            // loader has just said that an object is mapped there.
            && (known.id_address == 0 || unsafe { read_id(known.id_address) } == known.id);
        if !same {
            // SAFETY: the object was found by `address`, a pc of this thread's stack: it stays loaded.
            *known = unsafe { identify(&object) };
        }
        self.current_tag = known.tag;
        self.current = object;
        true
    }
}

/// Works out an object's identity.
///
/// # Safety
/// The object must be loaded.
#[cold]
#[inline(never)]
unsafe fn identify(object: &Object) -> KnownObject {
    // SAFETY: the object is loaded until this returns (this contract).
    let id_address = match unsafe { object.build_id_location() } {
        Some((address, length))
            if length >= 8
                && address >= object.map_start
                && address + 8 <= object.map_start + FIRST_PAGE =>
        {
            address
        }
        _ => 0,
    };
    let id = match id_address {
        0 => 0,
        // SAFETY: `build_id_location` found at least 8 bytes there.
        address => unsafe { read_id(address) },
    };
    let mut tag = mix(object.map_start);
    for word in [object.map_end, object.eh_frame_hdr, object.link_map, id] {
        tag = mix(tag ^ word);
    }
    KnownObject {
        map_start: object.map_start,
        map_end: object.map_end,
        eh_frame_hdr: object.eh_frame_hdr,
        link_map: object.link_map,
        id_address,
        id,
        tag: tag as u32,
    }
}
