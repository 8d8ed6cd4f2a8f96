//! Advice: a row goes in; what would help and what it would save come out with it.
//!
//! Each kind is a function of what is known of the site, and silent where it does not pay. What
//! a kind says it would save is arithmetic on bytes and counts; how much faster a program gets
//! nobody has measured, and so nobody promises it.

pub(crate) mod cures;
pub(super) mod presize;
mod resizing;
mod retained;
pub(crate) mod shared;

use crate::figures::holdings::Holdings;
use crate::model::{Advice, AdviceKind, Site};
use crate::rows::sites::Row;

/// Advice is for what is worth somebody's time.
const WORTHWHILE_BYTES: u64 = 1 << 20;

/// Entries from which on it is harm that they pile up.
pub(crate) const PILED_ENTRIES: u64 = 1000;

/// A row with the advice for it.
pub(crate) fn advised(row: Row) -> Site {
    let suggestions = suggestions(&row.site, &row.holdings, row.largest_buckets);
    // A map that is too large now needs no larger start, and how large a map gets that only grows
    // nobody knows: neither is told to presize. It stays among the suggestions, as an answer to
    // those who ask for fewer resizes.
    let asked = |one: &Advice| matches!(one.kind, AdviceKind::Shrink | AdviceKind::Bound);
    let unasked = !suggestions.iter().any(asked);
    let told = suggestions.iter();
    let told = told.filter(|one| unasked || one.kind != AdviceKind::Presize);
    // Nor is one that is nearly empty to be divided.
    let emptied = suggestions.iter().any(|one| one.kind == AdviceKind::Shrink);
    let told = told.filter(|one| !emptied || one.kind != AdviceKind::Split);
    Site {
        advice: told.map(|one| one.text.clone()).collect(),
        suggestions,
        ..row.site
    }
}

/// All that would help a site. `largest_buckets`: of its largest table, where that is known.
fn suggestions(site: &Site, holdings: &Holdings, largest_buckets: Option<u64>) -> Vec<Advice> {
    let reuse = resizing::reuse(site);
    let presize = if reuse.is_none() {
        presize::presize(site, holdings, largest_buckets)
    } else {
        None
    };
    let all = [
        retained::shrink(site, holdings.capacity())
            .or_else(|| retained::shrink_foreign(site, holdings)),
        presize,
        reuse,
        retained::rebuild(site, holdings),
        retained::bound(site, holdings),
        retained::hasher(site, holdings),
        resizing::split(site),
    ];
    all.into_iter().flatten().collect()
}

/// A map whose entries lie in a vector beside its table, with what shrinking both would give back in
/// the place of what the table alone would.
pub(crate) fn advised_as_one(map: Site) -> Site {
    let Some(shrink) = retained::shrink(&map, map.capacity) else {
        return map;
    };
    let others = map.suggestions.into_iter();
    let others = others.filter(|one| !matches!(one.kind, AdviceKind::Shrink | AdviceKind::Presize));
    Site {
        advice: vec![shrink.text.clone()],
        suggestions: [shrink].into_iter().chain(others).collect(),
        ..map
    }
}

fn advice(kind: AdviceKind, text: String) -> Advice {
    Advice {
        kind,
        text,
        saves: crate::model::Saving::default(),
        call: None,
        risks_bytes: None,
    }
}
