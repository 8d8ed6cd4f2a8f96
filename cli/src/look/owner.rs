//! Whose a map is: the static, or the thread's stack, that holds it or leads to it.

use std::collections::HashMap;

use mapgrow_containers::finder::{Finding, Found, FoundFamily, Reach, Region, Searched, reach};
use mapgrow_report::text::units::bytes;
use serde::Serialize;

use super::mapped::Mapped;
use super::places::{Places, Start};
use super::process::Process;
use super::statics::Statics;

/// Whose a map is.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Owner {
    /// The way to it: `static SESSIONS -> block of 24 KiB -> map`.
    pub path: String,
    /// What it begins at: `static` or `stack`.
    pub kind: &'static str,
    /// The static's name, where the program has names.
    pub symbol: Option<String>,
    /// Nobody reads types yet.
    pub type_name: Option<String>,
}

/// Statics that keep what nobody uses any more, for the next one who needs such a thing.
const KEEPERS: [&str; 2] = ["_PyRuntime", "_PyInterpreterState_Main"];

/// Whose the tables found in a process are, one for each.
pub fn owners(
    process: &Process,
    mapped: &dyn Mapped,
    (memory, regions): (&dyn Searched, &[Region]),
    finding: &Finding,
    places: &Places,
) -> Vec<Option<Owner>> {
    let reached = reach(memory, regions, finding, &places.roots);
    let mut names = HashMap::new();
    (reached.into_iter().zip(&finding.tables))
        .map(|(reached, found)| owner(process, mapped, &reached?, found, places, &mut names))
        .collect()
}

fn owner(
    process: &Process,
    mapped: &dyn Mapped,
    reached: &Reach,
    found: &Found,
    places: &Places,
    names: &mut HashMap<String, Option<Statics>>,
) -> Option<Owner> {
    // What its interpreter has a word for may be kept for the next who needs such an object, and not
    // every interpreter has names by which that is told.
    if matches!(
        found.family,
        FoundFamily::CpythonDict | FoundFamily::CpythonSet
    ) {
        return None;
    }
    let (mut path, kind, symbol) = match places.starts.get(reached.root)? {
        Start::Stack { thread } => (format!("stack of thread {thread}"), "stack", None),
        Start::Statics { path, base } => {
            let statics = names
                .entry(path.clone())
                .or_insert_with(|| mapped.statics(path));
            let symbol = (statics.as_ref()).and_then(|statics| statics.name(reached.at, *base));
            if symbol
                .as_deref()
                .is_some_and(|name| KEEPERS.contains(&name))
            {
                return None;
            }
            let file = match process.exe.as_ref() == Some(path) {
                true => process.name(),
                false => path.rsplit('/').next().unwrap_or(path),
            };
            let text = match &symbol {
                Some(symbol) => format!("static {symbol}"),
                None => format!("static data of {file}"),
            };
            (text, "static", symbol)
        }
    };
    for &size in &reached.blocks {
        path += &format!(" -> block of {}", bytes(size));
    }
    Some(Owner {
        path: path + " -> map",
        kind,
        symbol,
        type_name: None,
    })
}
