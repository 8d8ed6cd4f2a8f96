//! Groups of sites go in; groups that hold the maps that the program's author takes for one come out.
//!
//! A map is known by its type and by the line of the program where it began to grow. Called from
//! several places, or filled by one function and then by another, it has as many sites as there
//! are stacks. Sites are one block when their container is known by name and they share type and
//! line; and when the maps of one went on at the other.

use super::analysis::Analysis;
use super::groups::{Group, Groups};
use super::resize_or_rebuild::Relation;
use super::sets::Sets;
use super::succession::Successions;
use super::weight::fixed;
use crate::model::KnownBy;
use foldhash::HashMap;
use mapgrow_containers::classify::catalogue::{BTREE, HASHBROWN, RAW_VEC, SMALLVEC, UNKNOWN};
use mapgrow_format::layout::{edge, site};
use mapgrow_format::reader::Recording;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A site belongs to those that gave it at least one in so many of its maps. One that many places
/// share, as a parser's is, belongs to none of them.
const LEAST_SHARE: f64 = 10.0;

/// The line of the program at which a container of a type is grown.
type Line = (
    &'static str,
    Option<String>,
    Arc<str>,
    Option<Arc<str>>,
    u32,
);

/// Groups of groups: containers as the program's author knows them.
pub(crate) fn owners(
    recording: &Recording,
    analysis: &Analysis,
    groups: &Groups,
    successions: &Successions,
) -> Groups {
    let mut sets = Sets((0..groups.all.len()).collect());
    let mut lines: HashMap<Line, usize> = HashMap::default();
    for (at, group) in groups.all.iter().enumerate() {
        if let Some(line) = line(analysis, group) {
            let first = *lines.entry(line).or_insert(at);
            sets.join(first, at);
        }
    }
    let given = given(recording, analysis, groups, successions);
    let began = |group: usize| {
        let into: f64 = given
            .range((group, 0)..(group + 1, 0))
            .map(|(_, n)| n)
            .sum();
        let all: f64 = groups.all[group]
            .members
            .iter()
            .filter_map(|&id| recording.site(id))
            .map(|site| site.word(site::ALLOCS) as f64 + fixed(site.word(site::W_ALLOCS)))
            .sum();
        (all, (all - into).max(0.0))
    };
    let began: Vec<(f64, f64)> = (0..groups.all.len()).map(began).collect();
    for (&(to, from), &maps) in given.iter().filter(|((to, from), _)| to != from) {
        let own = given.get(&(to, to)).copied().unwrap_or(0.0);
        let came = (began[to].0 - own).max(1.0);
        if maps * LEAST_SHARE >= came && alike(&groups.all[to], &groups.all[from]) {
            sets.join(to, from);
        }
    }
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..groups.all.len() {
        parts.entry(sets.find(at)).or_default().push(at);
    }
    let mut of_site = vec![None; groups.of_site.len()];
    let mut all = Vec::with_capacity(parts.len());
    for parts in parts.into_values() {
        let members = parts.iter().flat_map(|&part| &groups.all[part].members);
        for &member in members {
            of_site[member as usize] = Some(all.len());
        }
        let grown = |part: usize| given.range((part, 0)..(part + 1, 0)).map(|(_, n)| n).sum();
        let grown: Vec<f64> = parts.iter().map(|&part| grown(part)).collect();
        all.push(together(recording, groups, &parts, &began, &grown));
    }
    Groups { all, of_site }
}

/// How many maps each group, first, was given by each group, second, by a resize.
fn given(
    recording: &Recording,
    analysis: &Analysis,
    groups: &Groups,
    successions: &Successions,
) -> BTreeMap<(usize, usize), f64> {
    let mut given = BTreeMap::new();
    let resizes = recording
        .edges()
        .filter(|edge| edge.id != 0 && analysis.relation(edge.id) == Relation::Resize);
    for edge in resizes {
        let old = edge.old_site().and_then(|old| groups.index(old));
        if let Some((new, old)) = groups.index(edge.new_site()).zip(old) {
            let maps = edge.word(edge::COUNT) as f64 + fixed(edge.word(edge::W_COUNT));
            *given.entry((new, old)).or_default() += maps;
        }
    }
    for (old, new) in successions.sites() {
        if let Some(ends) = groups.index(new).zip(groups.index(old)) {
            *given.entry(ends).or_default() += 1.0;
        }
    }
    given
}

fn alike(a: &Group, b: &Group) -> bool {
    // Elsewhere the type is the class that was called, and one may inherit from another.
    let typed = [&HASHBROWN, &RAW_VEC, &BTREE, &SMALLVEC];
    let known = typed.contains(&a.family) || a.family.name.starts_with("libstdcxx_");
    let types = a.type_name.as_ref().zip(b.type_name.as_ref());
    a.family == b.family && types.filter(|_| known).is_none_or(|(a, b)| a == b)
}

/// Where no name tells what the container is and where its own code ends, that is taken for the
/// program's, and all maps of a kind grow at one line. The lines of an interpreter say nothing of its program.
fn line(analysis: &Analysis, group: &Group) -> Option<Line> {
    let fact = analysis.fact(group.first)?;
    let named = matches!(group.known_by, KnownBy::Symbol | KnownBy::Source) || fact.used_beyond;
    let interpreted = ["cpython", "perl", "lua", "ruby"];
    if !named
        || interpreted
            .iter()
            .any(|of| group.family.name.starts_with(of))
    {
        return None;
    }
    let (at, within) = fact.caller?;
    let function = &fact.stack.get(at)?.functions.get(within)?;
    Some((
        group.family.name,
        group.type_name.clone(),
        Arc::clone(&function.shown),
        function.file.clone(),
        function.line?,
    ))
}

/// One group of several. The first is that in which most maps began; of several, the oldest. Where no
/// name tells what they are, it is one in which they grew, which those that make a table at once did
/// not where they began.
fn together(
    recording: &Recording,
    groups: &Groups,
    parts: &[usize],
    began: &[(f64, f64)],
    grown: &[f64],
) -> Group {
    let age = |part: usize| {
        let sites = groups.all[part].members.iter();
        let ticks = sites.filter_map(|&id| Some(recording.site(id)?.word(site::FIRST_TICKS)));
        ticks.min().unwrap_or(u64::MAX)
    };
    let unknown = groups.all[parts[0]].family == &UNKNOWN;
    let some_grew = grown.iter().any(|&times| times > 0.0);
    let may_be_first = |times: f64| times > 0.0 || !unknown || !some_grew;
    let candidates = parts
        .iter()
        .zip(grown)
        .filter(|&(_, &times)| may_be_first(times));
    let first = candidates.map(|(&part, _)| part).max_by(|&a, &b| {
        let most = began[a].1.total_cmp(&began[b].1);
        most.then_with(|| age(b).cmp(&age(a)))
    });
    let first = &groups.all[first.unwrap_or(parts[0])];
    let mut members: Vec<u32> = parts
        .iter()
        .flat_map(|&part| groups.all[part].members.iter().copied())
        .collect();
    members.sort_unstable();
    let known_by = parts.iter().map(|&part| groups.all[part].known_by).min();
    let named = parts
        .iter()
        .find_map(|&part| groups.all[part].type_name.clone());
    Group {
        family: first.family,
        known_by: known_by.unwrap_or(first.known_by),
        type_name: first.type_name.clone().or(named),
        members,
        first: first.first,
    }
}
