//! What `look` found as a page to look at.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::model::{Group, Look, Map};
use super::sentences::{Block, blocks, called, honesty, kept, lead, parts_of, shortage, went};
use crate::html;

/// Resizes that will not succeed and are told of before everything else.
const MOST_WARNINGS: usize = 3;

/// What the page knows.
#[derive(Serialize)]
struct Data<'a> {
    /// All that was found, as `mapgrow look --json` has it.
    report: &'a Look,
    program: &'a str,
    /// The sentences that the page begins with.
    headlines: Headlines,
    /// What the text has a block for, in its order.
    blocks: Vec<Row>,
    /// What programs call the families.
    names: BTreeMap<&'static str, String>,
    /// What resident memory is divided into; nothing where that is not known.
    went: Vec<(&'static str, u64)>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Headlines {
    findings: Vec<String>,
    sums: Vec<String>,
}

/// A map, or several that are alike: which of those found.
#[derive(Serialize)]
struct Row {
    map: Option<usize>,
    group: Option<usize>,
    what: String,
    place: String,
    /// What to do about it.
    advice: Vec<String>,
}

/// The page.
pub fn page(look: &Look) -> String {
    let process = &look.process;
    let program = process.name();
    let title = match process.pid {
        Some(pid) => format!("{program} ({pid}), mapgrow"),
        None => format!("{program}, mapgrow"),
    };
    let names = look.groups.iter().map(|group| group.family);
    let resident = look.resident.as_ref();
    let data = Data {
        report: look,
        program,
        headlines: Headlines {
            findings: findings(look),
            sums: (resident.into_iter())
                .map(|resident| went(resident, &look.totals))
                .collect(),
        },
        blocks: rows(look),
        names: names.map(|family| (family, called(family))).collect(),
        went: resident.map_or_else(Vec::new, |resident| parts_of(resident).to_vec()),
        notes: notes(look),
    };
    html::look_page(&title, &data)
}

/// What was found, and which maps are about to ask for more than there is.
fn findings(look: &Look) -> Vec<String> {
    let short = |map: &Map| {
        let next = map.next_resize.as_ref()?;
        let owner = map.owner.as_ref().map(|owner| owner.path.as_str());
        Some(format!(
            "{}: its next table, due at {} entries, needs {}.",
            owner.unwrap_or("A map that nobody is known to own"),
            next.at_entries,
            shortage(next, look)?
        ))
    };
    let warnings = look.maps.iter().filter_map(short).take(MOST_WARNINGS);
    std::iter::once(lead(look)).chain(warnings).collect()
}

fn notes(look: &Look) -> Vec<String> {
    let recording = "where and when maps were made, and how often they were resized, only a recording \
         knows: mapgrow run";
    let mut notes = honesty(look);
    notes.push(recording.to_owned());
    notes
}

fn rows(look: &Look) -> Vec<Row> {
    let maps = numbers(&look.maps);
    let groups = numbers(&look.groups);
    (blocks(look).iter())
        .map(|block| match block {
            Block::One(map) => Row {
                map: maps.get(&std::ptr::from_ref(*map)).copied(),
                group: None,
                what: called(map.family),
                place: map
                    .owner
                    .as_ref()
                    .map(|owner| owner.path.clone())
                    .unwrap_or_default(),
                advice: advice(map, look),
            },
            Block::Many(group) => Row {
                map: None,
                group: groups.get(&std::ptr::from_ref(*group)).copied(),
                what: called(group.family),
                place: whose(group),
                advice: kept(group.retained_bytes).into_iter().collect(),
            },
        })
        .collect()
}

/// Which one of a list each is.
fn numbers<T>(list: &[T]) -> HashMap<*const T, usize> {
    list.iter().map(std::ptr::from_ref).zip(0..).collect()
}

fn whose(group: &Group) -> String {
    let most = group.owners.first();
    match (&group.owner, most) {
        (Some(owner), _) => owner.path.clone(),
        (None, Some(most)) => format!("of {} of them: {}", most.count, most.path),
        (None, None) => String::new(),
    }
}

fn advice(map: &Map, look: &Look) -> Vec<String> {
    let hash = (map.hash_verdict.filter(|&verdict| verdict != "good"))
        .map(|verdict| format!("its hash is {verdict}: choose another"));
    let next = map.next_resize.as_ref();
    let short = next.and_then(|next| shortage(next, look));
    kept(map.retained_bytes)
        .into_iter()
        .chain(hash)
        .chain(short)
        .collect()
}
