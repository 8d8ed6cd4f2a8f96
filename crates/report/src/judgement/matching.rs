//! Which sites of two reports are the same place of a program, though it was built anew.
//!
//! Addresses and site numbers mean nothing in another build, and lines move. What stays is the
//! chain of the program's own functions on the stack, the container's type and, within one
//! function, the order of lines. Sites are paired in passes, the surest evidence first; a site
//! that was paired is out of the later ones, and what no pass pairs is new or gone.

use crate::model::Site;
use mapgrow_containers::classify::names::Name;
use mapgrow_containers::classify::whose::{Whose, whose_alone};
use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

/// Groups with more pairs than this are paired in the order of their lines alone.
const MOST_COMPARED: usize = 1 << 20;
/// Share of functions that two chains must have in common.
const LEAST_ALIKE: f64 = 0.5;

/// How two sites were found to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum MatchedBy {
    /// Functions, files and lines agree.
    Line,
    /// The functions agree; lines or files moved.
    Functions,
    /// The functions agree, but the type of the container changed.
    OtherType,
    /// The same function, called from elsewhere or by way of others.
    OtherCallers,
    /// A function of the same name in another module or type.
    OtherModule,
    /// The only site of its type that the same callers lead to: the function was renamed.
    OnlyCandidate,
}

/// Two sites that are the same place, as positions in the slices that were paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Position of the old one.
    pub old: usize,
    /// Position of the new one.
    pub new: usize,
    /// How that is known.
    pub by: MatchedBy,
}

/// The outcome of pairing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    /// Sites that are in both.
    pub pairs: Vec<Pair>,
    /// Positions of sites that are only in the old report.
    pub gone: Vec<usize>,
    /// Positions of sites that are only in the new one.
    pub new: Vec<usize>,
}

/// What identifies a site across builds.
#[derive(Debug)]
struct Identity {
    family: &'static str,
    type_name: String,
    /// The program's own functions, innermost first, without generic arguments.
    chain: Vec<String>,
    /// Lines of those.
    lines: Vec<u32>,
    /// Source file of the innermost.
    file: String,
    /// Whether any function has a name: without, only equal offsets in one build are the same.
    named: bool,
}

impl Identity {
    fn of(site: &Site) -> Self {
        let mut this = Self {
            family: site.family.unwrap_or(""),
            type_name: site.type_name.clone().unwrap_or_default(),
            chain: Vec::new(),
            lines: Vec::new(),
            file: String::new(),
            named: false,
        };
        let at = site.caller.as_ref().and_then(|caller| {
            site.stack
                .iter()
                .position(|frame| *frame.function == *caller.function && frame.line == caller.line)
        });
        for frame in at.map_or(&[][..], |at| &site.stack[at..]) {
            let name = Name::parse(&frame.function);
            match whose_alone(&name, frame.file.as_deref()) {
                Whose::Entry => break,
                Whose::Program => {}
                Whose::Plumbing | Whose::Internal | Whose::Library => continue,
            }
            if this.chain.is_empty() {
                this.file = frame.file.as_deref().unwrap_or_default().to_owned();
            }
            // An offset into an object is no name.
            this.named |= !frame.function.contains("+0x");
            this.chain.push(without_hash(name.path));
            this.lines.push(frame.line.unwrap_or(0));
        }
        // No function of the program's own: what stands for it.
        if let Some(caller) = site.caller.as_ref().filter(|_| this.chain.is_empty()) {
            this.chain.push(caller.function.clone());
            this.lines.extend(caller.line);
            this.file = caller.file.clone().unwrap_or_default();
            this.named = !caller.function.contains("+0x");
        }
        this
    }

    /// Everything that is known.
    fn whole(&self) -> String {
        let (chain, lines) = (self.chain.join("\n"), format!("{:?}", self.lines));
        [self.family, &self.type_name, &self.file, &chain, &lines].join("\0")
    }

    fn line(&self) -> i64 {
        self.lines.first().copied().map_or(0, i64::from)
    }

    /// Last part of the innermost function's path.
    fn leaf(&self) -> Option<&str> {
        let path = self.chain.first()?;
        path.rsplit("::").find(|part| !part.starts_with('{'))
    }

    /// Share of the functions that both chains have, 0 to 1; type and file break ties.
    fn alike(&self, other: &Self) -> f64 {
        let leaf = |path: &String| path.rsplit("::").next().unwrap_or_default().to_owned();
        let mut left: HashMap<String, usize> = HashMap::new();
        for path in &self.chain {
            *left.entry(leaf(path)).or_default() += 1;
        }
        let mut common = 0;
        for path in &other.chain {
            if let Some(count) = left.get_mut(&leaf(path)).filter(|count| **count > 0) {
                *count -= 1;
                common += 1;
            }
        }
        let all = self.chain.len() + other.chain.len();
        let functions = 2.0 * f64::from(common) / (all.max(1) as f64);
        let bonus = |same: bool| if same { 0.01 } else { 0.0 };
        functions + bonus(self.type_name == other.type_name) + bonus(self.file == other.file)
    }
}

/// A name without the `::h0123456789abcdef` that legacy mangling ends it with.
fn without_hash(path: String) -> String {
    match path.rsplit_once("::h") {
        Some((before, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            before.to_owned()
        }
        _ => path,
    }
}

/// What is equal for the same place of one build, in whichever process.
#[must_use]
pub fn key(site: &Site) -> String {
    Identity::of(site).whole()
}

/// Pairs the sites of two reports.
#[must_use]
pub fn pair<S: Borrow<Site>>(old: &[S], new: &[S]) -> Pairing {
    let identities = |sites: &[S]| {
        sites
            .iter()
            .map(|site| Identity::of(site.borrow()))
            .collect()
    };
    let mut state = State {
        old: identities(old),
        new: identities(new),
        old_free: vec![true; old.len()],
        new_free: vec![true; new.len()],
        pairs: Vec::new(),
    };
    let joined = |site: &Identity| site.chain.join("\n");
    state.pass(MatchedBy::Line, |site| Some(site.whole()));
    state.pass(MatchedBy::Functions, |site| {
        let key = [site.family, &site.type_name, &joined(site)].join("\0");
        site.named.then_some(key)
    });
    state.pass(MatchedBy::OtherType, |site| {
        site.named.then(|| [site.family, &joined(site)].join("\0"))
    });
    state.pass(MatchedBy::OtherCallers, |site| {
        let innermost = site.chain.first().filter(|_| site.named)?;
        Some([site.family, innermost].join("\0"))
    });
    state.pass(MatchedBy::OtherModule, |site| {
        let leaf = site.leaf().filter(|_| site.named)?;
        Some([site.family, leaf].join("\0"))
    });
    state.pass(MatchedBy::OnlyCandidate, |site| {
        let callers = site.chain.get(1..).filter(|_| site.named)?;
        let known = !site.type_name.is_empty() && !callers.is_empty();
        known.then(|| [site.family, &site.type_name, &callers.join("\n")].join("\0"))
    });
    state.finish()
}

struct State {
    old: Vec<Identity>,
    new: Vec<Identity>,
    old_free: Vec<bool>,
    new_free: Vec<bool>,
    pairs: Vec<Pair>,
}

impl State {
    /// Pairs what is left and agrees on a key.
    fn pass(&mut self, by: MatchedBy, key: impl Fn(&Identity) -> Option<String>) {
        let mut groups: HashMap<String, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for (at, site) in self
            .old
            .iter()
            .enumerate()
            .filter(|(at, _)| self.old_free[*at])
        {
            if let Some(key) = key(site) {
                groups.entry(key).or_default().0.push(at);
            }
        }
        for (at, site) in self
            .new
            .iter()
            .enumerate()
            .filter(|(at, _)| self.new_free[*at])
        {
            if let Some((_, new)) = key(site).and_then(|key| groups.get_mut(&key)) {
                new.push(at);
            }
        }
        for (old, new) in groups.into_values() {
            if by == MatchedBy::OnlyCandidate && (old.len() != 1 || new.len() != 1) {
                continue;
            }
            for (old, new) in self.align(by, old, new) {
                self.old_free[old] = false;
                self.new_free[new] = false;
                self.pairs.push(Pair { old, new, by });
            }
        }
    }

    /// Pairs the sites of one group: the most alike first, then those that moved by as many
    /// lines as most of the group did.
    fn align(&self, by: MatchedBy, old: Vec<usize>, new: Vec<usize>) -> Vec<(usize, usize)> {
        if old.is_empty() || new.is_empty() {
            return Vec::new();
        }
        if old.len().saturating_mul(new.len()) > MOST_COMPARED {
            return self.in_order(old, new);
        }
        let moved = |a: usize, b: usize| self.new[b].line() - self.old[a].line();
        let mut shifts: HashMap<i64, usize> = HashMap::new();
        for &a in &old {
            for &b in &new {
                *shifts.entry(moved(a, b)).or_default() += 1;
            }
        }
        let shift = shifts
            .into_iter()
            .max_by_key(|&(lines, agree)| (agree, std::cmp::Reverse((lines.abs(), lines))))
            .map_or(0, |(lines, _)| lines);
        let compares = by >= MatchedBy::OtherCallers;
        let mut candidates = Vec::new();
        for &a in &old {
            for &b in &new {
                let alike = if compares {
                    self.old[a].alike(&self.new[b])
                } else {
                    1.0
                };
                if alike >= LEAST_ALIKE || by == MatchedBy::OnlyCandidate {
                    candidates.push((alike, (moved(a, b) - shift).abs(), a, b));
                }
            }
        }
        candidates.sort_by(|a, b| {
            b.0.total_cmp(&a.0)
                .then((a.1, a.2, a.3).cmp(&(b.1, b.2, b.3)))
        });
        let (mut old_taken, mut new_taken) = (HashSet::new(), HashSet::new());
        let mut pairs = Vec::new();
        for (_, _, a, b) in candidates {
            if !old_taken.contains(&a) && !new_taken.contains(&b) {
                old_taken.insert(a);
                new_taken.insert(b);
                pairs.push((a, b));
            }
        }
        pairs
    }

    fn in_order(&self, mut old: Vec<usize>, mut new: Vec<usize>) -> Vec<(usize, usize)> {
        old.sort_by_key(|&at| &self.old[at].lines);
        new.sort_by_key(|&at| &self.new[at].lines);
        old.into_iter().zip(new).collect()
    }

    fn finish(mut self) -> Pairing {
        self.pairs.sort_by_key(|pair| pair.new);
        let free = |free: &[bool]| (0..free.len()).filter(|&at| free[at]).collect();
        Pairing {
            gone: free(&self.old_free),
            new: free(&self.new_free),
            pairs: self.pairs,
        }
    }
}
