//! Analysed sites go in, groups of those that are shown as one come out.
//!
//! A vector's first block comes from `alloc` and the next from `realloc`, a tree's nodes from
//! two functions: different stacks, but the same place in the program. Sites of one family are
//! shown as one when they agree on the caller and on everything outwards of it.

use super::analysis::Analysis;
use super::evidence::SiteFacts;
use crate::model::KnownBy;
use foldhash::HashMap;
use mapgrow_containers::classify::catalogue::Family;
use mapgrow_format::reader::Recording;
use std::sync::Arc;

/// Recorded sites that are shown as one.
#[derive(Debug)]
pub(crate) struct Group {
    pub family: &'static Family,
    pub known_by: KnownBy,
    pub type_name: Option<String>,
    /// Numbers of the sites, ascending.
    pub members: Vec<u32>,
    /// The site by whose number the report calls the group, and whose stack it shows.
    pub first: u32,
}

impl Group {
    /// The number by which the report calls the group.
    pub fn id(&self) -> u32 {
        self.first
    }
}

/// All groups, and the group of each site.
#[derive(Debug)]
pub(crate) struct Groups {
    pub all: Vec<Group>,
    pub(crate) of_site: Vec<Option<usize>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    family: &'static str,
    /// Function, file and line of the caller, where lines are known.
    line: Option<(Arc<str>, Option<Arc<str>>, u32)>,
    /// Function and line of those into which the caller was inlined: they share its return address.
    around: Vec<(Arc<str>, Option<u32>)>,
    /// Return addresses: from the caller's frame outwards, or from the next one where the line
    /// stands for the caller's own.
    outwards: Vec<u64>,
}

impl Groups {
    pub fn of(recording: &Recording, analysis: &Analysis) -> Self {
        let mut all: Vec<Group> = Vec::new();
        let mut of_site = vec![None; recording.site_count()];
        let mut known: HashMap<Key, Vec<usize>> = HashMap::default();
        for site in recording.sites() {
            let Some(fact) = analysis.fact(site.id).filter(|fact| fact.used) else {
                continue;
            };
            let (Some(family), Some(known_by)) = (fact.family, fact.known_by) else {
                continue;
            };
            let candidates = known.entry(key(fact, family)).or_default();
            let same_type = |&&group: &&usize| {
                let other = &all[group].type_name;
                other.is_none() || fact.type_name.is_none() || *other == fact.type_name
            };
            let group = candidates
                .iter()
                .find(same_type)
                .copied()
                .unwrap_or_else(|| {
                    let (type_name, members) = (fact.type_name.clone(), Vec::new());
                    all.push(Group {
                        family,
                        known_by,
                        type_name,
                        members,
                        first: site.id,
                    });
                    candidates.push(all.len() - 1);
                    all.len() - 1
                });
            let entry = &mut all[group];
            entry.members.push(site.id);
            entry.known_by = entry.known_by.min(known_by);
            if entry.type_name.is_none() {
                entry.type_name.clone_from(&fact.type_name);
            }
            of_site[site.id as usize] = Some(group);
        }
        Self { all, of_site }
    }

    /// The group of a site, if it is a container's.
    pub fn index(&self, site: u32) -> Option<usize> {
        self.of_site.get(site as usize).copied().flatten()
    }

    /// What the report calls the group of a site.
    pub fn id(&self, site: u32) -> Option<u32> {
        self.index(site).map(|group| self.all[group].id())
    }
}

fn key(fact: &SiteFacts, family: &'static Family) -> Key {
    let addresses = |from: usize| {
        fact.stack[from..]
            .iter()
            .map(|frame| frame.address)
            .collect()
    };
    let whole = || Key {
        family: family.name,
        line: None,
        around: Vec::new(),
        outwards: addresses(0),
    };
    // Without any name nobody knows where the container ends and the program begins.
    let Some((at, within)) = fact
        .caller
        .filter(|_| fact.stack.iter().any(|frame| frame.named()))
    else {
        return whole();
    };
    let (function, around) = match &fact.stack[at].functions[within..] {
        [function, around @ ..] => (function, around),
        [] => return whole(),
    };
    match (&function.name, function.line) {
        (Some(_), Some(line)) => Key {
            family: family.name,
            line: Some((Arc::clone(&function.shown), function.file.clone(), line)),
            around: around
                .iter()
                .map(|outer| (Arc::clone(&outer.shown), outer.line))
                .collect(),
            outwards: addresses(at + 1),
        },
        _ => Key {
            family: family.name,
            line: None,
            around: Vec::new(),
            outwards: addresses(at),
        },
    }
}
