//! Which advice makes a figure smaller.

use crate::judgement::measure::Measure;
use crate::model::{AdviceKind, Site};
use crate::words::methods;
use crate::words::phrases;

/// Kinds of advice that make a figure smaller, those that do most first.
fn kinds(measure: Measure) -> &'static [AdviceKind] {
    use AdviceKind::{Bound, Hasher, Presize, Rebuild, Reuse, Shrink, Split};
    match measure {
        Measure::Resizes => &[Presize, Reuse, Rebuild],
        Measure::Pause => &[Presize, Split, Hasher],
        Measure::Overlap => &[Presize, Split, Bound],
        Measure::Allocated => &[Reuse, Presize],
        Measure::Retained => &[Shrink],
        Measure::Live => &[Shrink, Bound, Rebuild],
        Measure::Peak => &[Shrink, Bound, Presize, Split],
    }
}

/// What was advised for a site that makes this figure smaller, in words.
pub(crate) fn of(measure: Measure, site: &Site) -> Vec<String> {
    given(site, kinds(measure))
}

/// What was advised for a site so that it needs no larger table.
pub(crate) fn of_growth(site: &Site) -> Vec<String> {
    use AdviceKind::{Bound, Rebuild, Shrink};
    given(site, &[Bound, Rebuild, Shrink])
}

fn given(site: &Site, kinds: &[AdviceKind]) -> Vec<String> {
    let of_kind = |kind| {
        let suggested = site.suggestions.iter();
        suggested
            .filter(move |one| one.kind == kind)
            .map(|one| one.text.clone())
    };
    kinds.iter().flat_map(|&kind| of_kind(kind)).collect()
}

/// What makes this figure smaller in general, for a container of this family.
pub(crate) fn in_general(measure: Measure, site: &Site) -> String {
    let methods = methods::of(site.family);
    match measure {
        Measure::Resizes | Measure::Pause | Measure::Overlap => {
            let sizes = match site.example_tables.len() {
                0 | 1 => String::new(),
                _ => format!(": its tables went {}", phrases::tables(site)),
            };
            match methods.create {
                // Of Rust's the call goes with the making, of others it comes right after.
                Some(create) if create.starts_with("with_capacity") => {
                    format!("create it {create} for the N that it will have{sizes}")
                }
                Some(create) => format!("begin with {create} for the N that it will have{sizes}"),
                None => format!("keep it smaller, or divide it{sizes}"),
            }
        }
        Measure::Retained => match methods.shrink {
            Some(shrink) => format!("call {shrink} after the deletes, or build it anew"),
            None => format!("after the deletes {}", methods.rebuild),
        },
        Measure::Live | Measure::Peak | Measure::Allocated => {
            "bound its entries, or raise the gate if the growth is wanted".to_owned()
        }
    }
}
