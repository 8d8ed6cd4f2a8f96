//! Lines that make maps of several kinds: what suits one would be too much for another.

use crate::model::{AdviceKind, Site};
use crate::words::names;
use crate::words::units::bytes;
use std::collections::BTreeMap;

/// A map of less than one part in so many of another's size should not be given the other's.
const MUCH_SMALLER: u64 = 4;

/// A line of the program.
type Line = (String, u32);

fn line_of(site: &Site) -> Option<Line> {
    let caller = site.caller.as_ref()?;
    Some((caller.file.clone()?, caller.line?))
}

/// Adds to each piece of advice on a first size that the same line makes smaller maps, too, if it
/// does: generic code has one line for all of them.
pub(crate) fn warned(sites: &mut [Site]) {
    let mut smallest: BTreeMap<Line, (u64, String)> = BTreeMap::new();
    for site in sites.iter() {
        let Some((line, largest)) = line_of(site).zip(site.largest_table_bytes) else {
            continue;
        };
        let what = names::container(site.family, site.type_name.as_deref());
        let known = smallest.entry(line).or_insert((largest, what.clone()));
        if largest < known.0 {
            *known = (largest, what);
        }
    }
    for site in sites {
        let Some((line, own)) = line_of(site).zip(site.largest_table_bytes) else {
            continue;
        };
        let other = smallest.get(&line);
        let Some((largest, what)) = other.filter(|(least, _)| *least < own / MUCH_SMALLER) else {
            continue;
        };
        for one in &mut site.suggestions {
            if one.kind == AdviceKind::Presize {
                let warning = format!(
                    "; not for all that this line makes: {what} has tables of {} at most",
                    bytes(*largest)
                );
                for text in site.advice.iter_mut().filter(|text| **text == one.text) {
                    text.push_str(&warning);
                }
                one.text.push_str(&warning);
            }
        }
    }
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
                risks_bytes: None,
            }],
            ..Site::default()
        }
    }

    #[test]
    fn a_line_that_makes_smaller_maps_too_is_told_with_the_advice() {
        let mut sites = [site(9, 17 << 20), site(9, 1 << 20), site(12, 17 << 20)];
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
