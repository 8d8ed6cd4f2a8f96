//! A profile, folded to its growers: maps and slices by the line that grew them.

use super::beside::Beside;
use super::sampling::{Sum, block_bytes};
use super::sizes;
use super::{HeapProfile, HeapSample, Innermost, MapType, ProfileFunction, ProfilePlace};
use crate::model::{Caller, KnownBy, LoadedModule, StackFrame};
use mapgrow_containers::classify::catalogue::{Container, Family};
use mapgrow_containers::classify::go::{self, Grower, MapRuntime};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Bytes of stacks that are kept: a forged profile could have as many and as long ones as it
/// likes.
const MOST_STACK_BYTES: usize = 128 << 20;

/// What a profile says of maps and slices.
#[derive(Debug)]
pub(super) struct Folded {
    pub program: Option<String>,
    pub taken_unix_ns: Option<u64>,
    pub period_bytes: Option<u64>,
    pub modules: Vec<LoadedModule>,
    /// Everything in the profile.
    pub all: Sum,
    pub growers: BTreeMap<Key, Growing>,
    pub map_runtime: Option<MapRuntime>,
    /// Whether the program is written in Go.
    pub go: bool,
    /// Bytes allocated by calls of which it is not known what they called.
    pub unknown_bytes: u64,
    pub warnings: Vec<String>,
}

/// What makes a site the same one in the next profile: the line that grew it and its callers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub family: &'static str,
    pub caller: Option<Caller>,
    pub outwards: Vec<Caller>,
}

/// Something that grows at one line.
#[derive(Debug)]
pub(super) struct Growing {
    pub family: &'static Family,
    pub known_by: KnownBy,
    pub stack: Vec<StackFrame>,
    pub map_type: Option<MapType>,
    pub sum: Sum,
    /// Of `sum.allocated`, those that replaced a smaller one.
    pub grown: u64,
    /// By size of a block: allocated and in use.
    pub sizes: BTreeMap<u64, (u64, u64)>,
    /// What was allocated beside the growth, if anything.
    pub beside: Option<Sum>,
}

impl Folded {
    pub fn of(profile: &HeapProfile, innermost: &mut dyn Innermost) -> Self {
        let mut folding = Folding {
            profile,
            innermost,
            called: HashMap::new(),
            room: MOST_STACK_BYTES,
            runtime: None,
            unknown_bytes: 0,
        };
        let mut all = Sum::default();
        let mut growers: BTreeMap<Key, Growing> = BTreeMap::new();
        let mut others = Vec::new();
        for sample in &profile.samples {
            all.add(sample, profile.period_bytes);
            match folding.grower(sample) {
                Some((grower, known_by)) => folding.take(&mut growers, sample, grower, known_by),
                None => others.push(sample),
            }
        }
        others = folding.by_shape(&mut growers, others);
        let beside = Beside::of(profile, &others);
        for (key, growing) in &mut growers {
            growing.beside = beside.sum(key);
        }
        let (map_runtime, unknown_bytes) = (folding.runtime, folding.unknown_bytes);
        Self {
            program: profile.program.clone(),
            taken_unix_ns: profile.taken_unix_ns,
            period_bytes: profile.period_bytes,
            modules: profile.modules.clone(),
            all,
            growers,
            map_runtime,
            go: profile.functions.iter().any(is_go),
            unknown_bytes,
            warnings: innermost.warnings(),
        }
    }
}

fn is_go(function: &ProfileFunction) -> bool {
    let file = function.file.as_deref();
    file.is_some_and(|file| file.ends_with(".go"))
}

struct Folding<'a> {
    profile: &'a HeapProfile,
    innermost: &'a mut dyn Innermost,
    /// What the call at a place led to.
    called: HashMap<u32, Vec<String>>,
    /// Bytes of stacks that may still be kept.
    room: usize,
    runtime: Option<MapRuntime>,
    unknown_bytes: u64,
}

impl<'a> Folding<'a> {
    fn place(&self, index: u32) -> Option<&'a ProfilePlace> {
        self.profile.places.get(index as usize)
    }

    /// Names of the functions of a stack, innermost first.
    fn names(&self, sample: &HeapSample) -> impl Iterator<Item = &'a str> {
        let profile = self.profile;
        let places = sample.stack.clone().into_iter();
        places
            .filter_map(|place| profile.places.get(place as usize))
            .flat_map(|place| place.lines.iter())
            .filter_map(|&(function, _)| profile.functions.get(function as usize))
            .map(|function| &*function.name)
    }

    fn grower(&mut self, sample: &HeapSample) -> Option<(Grower, KnownBy)> {
        if self.runtime.is_none() {
            self.runtime = go::map_runtime(self.names(sample));
        }
        if let Some(grower) = go::grower(self.names(sample)) {
            return Some((grower, KnownBy::Symbol));
        }
        // Some function of the run-time library allocated, but it may have been left out.
        let first = self.names(sample).next()?;
        if go::is_runtime(&go::name(first)) {
            return None;
        }
        let &leaf = sample.stack.first()?;
        if !self.called.contains_key(&leaf) {
            let called = match self.place(leaf) {
                Some(place) => self.innermost.called(self.profile, place),
                None => Vec::new(),
            };
            self.called.insert(leaf, called);
        }
        let called = &self.called[&leaf];
        if called.is_empty() {
            self.unknown_bytes = self.unknown_bytes.saturating_add(sample.allocated_bytes);
        }
        let names = || called.iter().map(String::as_str);
        if self.runtime.is_none() {
            self.runtime = go::map_runtime(names());
        }
        go::grower(names()).map(|grower| (grower, KnownBy::Symbol))
    }

    fn take(
        &mut self,
        growers: &mut BTreeMap<Key, Growing>,
        sample: &HeapSample,
        grower: Grower,
        known_by: KnownBy,
    ) {
        let mut stack = self.stack(sample);
        let mut key = key(grower.family, &stack);
        if !growers.contains_key(&key) {
            let bytes = stack.iter().map(stored_bytes).sum::<usize>();
            if bytes > self.room {
                // Without their places, all others are one.
                (key.caller, key.outwards, stack) = (None, Vec::new(), Vec::new());
            } else {
                self.room -= bytes;
            }
        }
        let growing = growers.entry(key).or_insert_with(|| Growing {
            family: grower.family,
            known_by,
            map_type: None,
            stack,
            sum: Sum::default(),
            grown: 0,
            sizes: BTreeMap::new(),
            beside: None,
        });
        if growing.map_type.is_none() && grower.family.container == Container::Map {
            let place = sample.stack.first().and_then(|&leaf| self.place(leaf));
            growing.map_type = place.and_then(|p| self.innermost.map_type(self.profile, p));
        }
        growing.sum.add(sample, self.profile.period_bytes);
        if grower.grew {
            growing.grown = growing.grown.saturating_add(sample.allocated);
        }
        if let Some(size) = block_bytes(sample) {
            let counts = growing.sizes.entry(size).or_default();
            counts.0 = counts.0.saturating_add(sample.allocated);
            counts.1 = counts.1.saturating_add(sample.live);
        }
    }

    fn stack(&self, sample: &HeapSample) -> Vec<StackFrame> {
        let mut stack = Vec::new();
        for place in sample.stack.iter().filter_map(|&place| self.place(place)) {
            let module = place
                .module
                .and_then(|index| self.profile.modules.get(index as usize));
            for (at, &(function, line)) in place.lines.iter().enumerate() {
                let function = self.profile.functions.get(function as usize);
                stack.push(StackFrame {
                    function: function
                        .map_or_else(Arc::default, |function| Arc::clone(&function.name)),
                    file: function.and_then(|function| function.file.clone()),
                    line,
                    inlined: at + 1 < place.lines.len(),
                    // Reports have return addresses.
                    address: Some(place.address.saturating_add(1)),
                    module: module.map(|module| module.path.as_str().into()),
                });
            }
        }
        stack
    }

    /// Where nothing tells what a call was: by the line of source and by the sizes of the blocks
    /// that it allocated. Gives back the other samples.
    fn by_shape<'s>(
        &mut self,
        growers: &mut BTreeMap<Key, Growing>,
        samples: Vec<&'s HeapSample>,
    ) -> Vec<&'s HeapSample> {
        let mut calls: BTreeMap<u32, Vec<&HeapSample>> = BTreeMap::new();
        let mut others = Vec::new();
        for sample in samples {
            let leaf = sample.stack.first();
            let unknown = leaf.filter(|leaf| self.called.get(leaf).is_some_and(Vec::is_empty));
            match unknown {
                Some(&leaf) => calls.entry(leaf).or_default().push(sample),
                None => others.push(sample),
            }
        }
        for (leaf, samples) in calls {
            let place = self.place(leaf);
            let hint = place.and_then(|place| self.innermost.source(self.profile, place));
            match sizes::told(&samples, hint) {
                Some((family, known_by)) => {
                    let grower = Grower { family, grew: true };
                    for sample in samples {
                        self.take(growers, sample, grower, known_by);
                    }
                }
                None => others.extend(samples),
            }
        }
        others
    }
}

/// What a frame takes in a report and in its key.
fn stored_bytes(frame: &StackFrame) -> usize {
    let text = [&frame.file, &frame.module].into_iter().flatten();
    2 * (size_of::<StackFrame>()
        + frame.function.len()
        + text.map(|text| text.len()).sum::<usize>())
}

fn key(family: &'static Family, stack: &[StackFrame]) -> Key {
    let at = caller(stack);
    Key {
        family: family.name,
        caller: at.map(|at| stack[at].caller()),
        outwards: stack[at.map_or(0, |at| at + 1)..]
            .iter()
            .map(StackFrame::caller)
            .collect(),
    }
}

/// The first function of the program's own, else the first that is not the run-time library's.
fn caller(stack: &[StackFrame]) -> Option<usize> {
    let names: Vec<_> = stack
        .iter()
        .map(|frame| go::name(&frame.function))
        .collect();
    let program = names.iter().position(go::is_program);
    program
        .or_else(|| names.iter().position(|name| !go::is_runtime(name)))
        .or_else(|| (!stack.is_empty()).then_some(0))
}
