//! Lines that make maps of several kinds: what suits one would be too much for another.

use crate::model::{AdviceKind, Site};
use crate::words::names;
use crate::words::units::bytes;
use foldhash::HashMap;

/// A map of less than one part in so many of another's size should not be given the other's.
const MUCH_SMALLER: u64 = 4;

/// A family of containers, and the line of the program that makes them.
type Makes<'a> = (Option<&'static str>, &'a str, u32);

/// What makes the tables of a site, and the size of its largest one.
fn makes(site: &Site) -> Option<(Makes<'_>, u64)> {
    let caller = site.caller.as_ref()?;
    let makes = (site.family, caller.file.as_deref()?, caller.line?);
    Some((makes, site.largest_table_bytes?))
}

/// Adds to each piece of advice on a first size that the same line makes smaller maps, too, if it
/// does: generic code has one line for all of them.
pub(crate) fn warned(sites: &mut [Site]) {
    for (at, warning) in warnings(sites) {
        let site = &mut sites[at];
        for one in &mut site.suggestions {
            if one.kind == AdviceKind::Presize {
                let told = site.advice.iter_mut().filter(|text| **text == one.text);
                told.for_each(|text| text.push_str(&warning));
                one.text.push_str(&warning);
            }
        }
    }
}

/// The sites to be warned of, and the warning for each.
fn warnings(sites: &[Site]) -> Vec<(usize, String)> {
    let mut smallest: HashMap<Makes<'_>, (u64, &Site)> = HashMap::default();
    for site in sites {
        let Some((makes, largest)) = makes(site) else {
            continue;
        };
        let least = smallest.entry(makes).or_insert((largest, site));
        if largest < least.0 {
            *least = (largest, site);
        }
    }
    let warning = |site: &Site| {
        let presized = site.suggestions.iter();
        let mut presized = presized.filter(|one| one.kind == AdviceKind::Presize);
        let (makes, own) = makes(site).filter(|_| presized.next().is_some())?;
        let (largest, other) = smallest.get(&makes)?;
        (*largest < own / MUCH_SMALLER).then(|| {
            let what = names::container(other.family, other.type_name.as_deref());
            let tables = bytes(*largest);
            format!("; not for all that this line makes: {what} has tables of {tables} at most")
        })
    };
    let all = sites.iter().enumerate();
    all.filter_map(|(at, site)| Some((at, warning(site)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Advice, Caller, Saving};

    fn site(line: u32, largest: u64) -> Site {
        let text = "create it with_capacity(1000)".to_owned();
        Site {
            caller: Some(Caller {
                function: "demo::index_by".into(),
                file: Some("src/index.rs".into()),
                line: Some(line),
            }),
            type_name: Some(format!("HashMap<u32, [u8; {}]>", largest >> 20)),
            largest_table_bytes: Some(largest),
            advice: vec![text.clone()],
            suggestions: vec![Advice {
                kind: AdviceKind::Presize,
                text,
                saves: Saving::default(),
                call: None,
                risks_bytes: None,
            }],
            ..Site::default()
        }
    }

    #[test]
    fn a_line_that_makes_smaller_maps_too_is_told_with_the_advice() {
        let string = Site {
            family: Some("libstdcxx_string"),
            ..site(9, 1 << 10)
        };
        let mut sites = [
            site(9, 17 << 20),
            site(9, 1 << 20),
            site(12, 17 << 20),
            string,
        ];
        warned(&mut sites);
        let warning = "create it with_capacity(1000); not for all that this line makes: \
                       HashMap<u32, [u8; 1]> has tables of 1.0 MiB at most";
        assert_eq!(sites[0].advice, [warning]);
        assert_eq!(sites[0].suggestions[0].text, warning);
        for other in &sites[1..] {
            assert_eq!(other.advice, ["create it with_capacity(1000)"]);
        }
    }
}
