//! What was allocated beside a map's growth: by the function that grew it, or on the same line.
//!
//! A profile does not say what a map holds. But entries that refer to other blocks are mostly
//! made where they are inserted: when what was allocated there is gone and the tables are still
//! in use, the map was probably emptied and kept.

use super::folded::Key;
use super::sampling::Sum;
use super::{HeapProfile, HeapSample};
use mapgrow_containers::classify::go;
use std::collections::HashMap;

type Place<'a> = (&'a str, Option<u32>);

/// All samples that are no table's, by the program's functions and lines on their stacks.
pub(super) struct Beside<'a> {
    period: Option<u64>,
    samples: &'a [&'a HeapSample],
    /// By the innermost function of the program's own.
    functions: HashMap<&'a str, Vec<u32>>,
    /// By every function and line of the program's own.
    lines: HashMap<Place<'a>, Vec<u32>>,
}

impl<'a> Beside<'a> {
    pub fn of(profile: &'a HeapProfile, samples: &'a [&'a HeapSample]) -> Self {
        let own: Vec<bool> = profile
            .functions
            .iter()
            .map(|function| go::is_program(&go::name(&function.name)))
            .collect();
        let mut beside = Self {
            period: profile.period_bytes,
            samples,
            functions: HashMap::new(),
            lines: HashMap::new(),
        };
        for (index, sample) in (0u32..).zip(samples) {
            let places = sample.stack.iter();
            let mut frames = places
                .filter_map(|&place| profile.places.get(place as usize))
                .flat_map(|place| place.lines.iter())
                .filter(|&&(function, _)| own.get(function as usize) == Some(&true))
                .filter_map(|&(function, line)| {
                    let function = profile.functions.get(function as usize)?;
                    Some((&*function.name, line))
                })
                .peekable();
            if let Some(&(function, _)) = frames.peek() {
                beside.functions.entry(function).or_default().push(index);
            }
            for place in frames {
                beside.lines.entry(place).or_default().push(index);
            }
        }
        beside
    }

    /// The sum of what was allocated beside a site: in its function or under its line; where
    /// that is nothing, under the line that called the function.
    pub fn sum(&self, key: &Key) -> Option<Sum> {
        let caller = key.caller.as_ref()?;
        let mut near: Vec<u32> = Vec::new();
        let function = self.functions.get(caller.function.as_str());
        let line = self.lines.get(&(caller.function.as_str(), caller.line));
        near.extend(function.into_iter().chain(line).flatten());
        if near.is_empty() {
            let outer = key.outwards.first()?;
            near.extend(self.lines.get(&(outer.function.as_str(), outer.line))?);
        }
        near.sort_unstable();
        near.dedup();
        let mut sum = Sum::default();
        for index in near {
            sum.add(self.samples.get(index as usize)?, self.period);
        }
        Some(sum)
    }
}
