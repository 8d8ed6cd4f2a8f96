//! Advice for a site: what would help, and what it would save.
//!
//! Each kind is a function of what is known of the site, and silent where it does not pay. What
//! a kind says it would save is arithmetic on bytes and counts; how much faster a program gets
//! nobody has measured, and so nobody promises it.

mod contents;
pub(crate) mod cures;
mod presize;
mod resizing;

use crate::figures::holdings::Holdings;
use crate::model::{Advice, AdviceKind, Site};

/// Advice is for what is worth somebody's time.
const WORTHWHILE_BYTES: u64 = 1 << 20;

/// Entries from which on it is harm that they pile up.
pub(crate) const PILED_ENTRIES: u64 = 1000;

/// Fills in the advice for a site. `buckets`: of a table of so many bytes, where that is known.
pub(crate) fn advise(site: &mut Site, holdings: &Holdings, buckets: &dyn Fn(u64) -> Option<u64>) {
    let reuse = resizing::reuse(site);
    let shrink =
        contents::shrink(site, holdings).or_else(|| contents::shrink_foreign(site, holdings));
    let presize = if reuse.is_none() {
        presize::presize(site, holdings, buckets)
    } else {
        None
    };
    let bound = contents::bound(site, holdings);
    // What is too large now needs no larger start, what is kept for the next needs none, and how
    // large one gets that goes on growing nobody knows. To those who ask for fewer resizes it is
    // an answer all the same.
    let unasked = shrink.is_none() && bound.is_none();
    let all = [
        shrink,
        presize,
        reuse,
        contents::rebuild(site, holdings),
        bound,
        contents::hasher(site, holdings),
        resizing::split(site),
    ];
    site.suggestions = all.into_iter().flatten().collect();
    let first = site.suggestions.iter();
    site.advice = first
        .filter(|one| unasked || one.kind != AdviceKind::Presize)
        .map(|one| one.text.clone())
        .collect();
}

/// A map whose entries lie in a vector beside its table: what shrinking both would give back takes
/// the place of what the table alone would.
pub(crate) fn indexed_shrink(site: &mut Site) {
    let holdings = Holdings::with_capacity(site.capacity);
    let Some(shrink) = contents::shrink(site, &holdings) else {
        return;
    };
    site.suggestions
        .retain(|one| !matches!(one.kind, AdviceKind::Shrink | AdviceKind::Presize));
    site.advice = vec![shrink.text.clone()];
    site.suggestions.insert(0, shrink);
}

fn advice(kind: AdviceKind, text: String) -> Advice {
    Advice {
        kind,
        text,
        saves: crate::model::Saving::default(),
        risks_bytes: None,
    }
}
