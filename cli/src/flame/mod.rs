//! Flame graphs: stacks of sites, weighed by a figure, as folded lines and as SVG.

use std::collections::BTreeMap;
use std::fmt;

use mapgrow_report::summary::resizes_at;
use mapgrow_report::{Report, Site, StackFrame, text};

use crate::frames;

mod svg;

pub use svg::svg;

/// What the width of a frame stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Bytes of live tables.
    Live,
    /// Bytes of all tables ever allocated.
    Allocated,
    /// Resizes.
    Resizes,
    /// Bytes of each site's largest overlap.
    Overlap,
    /// Nanoseconds in resizes.
    Pause,
}

impl Weight {
    /// The figure of a site, with what samples stand for; unknown counts nothing.
    fn of(self, site: &Site) -> u64 {
        match self {
            Weight::Live => site.live().0,
            Weight::Allocated => site.allocated().0,
            Weight::Resizes => resizes_at(site),
            Weight::Overlap => site.overlap_peak_bytes.unwrap_or(0),
            Weight::Pause => {
                let pauses = site.pause_ns.as_ref();
                pauses.and_then(|pauses| pauses.total).unwrap_or(0)
            }
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Weight::Live => "live bytes",
            Weight::Allocated => "allocated bytes",
            Weight::Resizes => "resizes",
            Weight::Overlap => "overlap",
            Weight::Pause => "pauses",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Weight::Live => "Live table bytes",
            Weight::Allocated => "Table bytes allocated",
            Weight::Resizes => "Resizes",
            Weight::Overlap => "Overlap",
            Weight::Pause => "Time in resizes",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Weight::Live => "bytes of live tables, by who allocated them",
            Weight::Allocated => "bytes of all tables ever allocated, by who allocated them",
            Weight::Resizes => "how often containers were resized, by who made them grow",
            Weight::Overlap => {
                "the largest old and new table side by side at each site; they need not have \
                 come at the same moment"
            }
            Weight::Pause => "time that threads were stopped in resizes, by who made them grow",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Weight::Resizes => "resizes",
            Weight::Pause => "ns",
            Weight::Live | Weight::Allocated | Weight::Overlap => "bytes",
        }
    }
}

/// What becomes of the functions of libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Libraries {
    /// They are shown, and so is the code of the container and of the allocator.
    All,
    /// What is called in the container is left out, and those that called the program's own functions
    /// are one frame, whatever library it is.
    Folded,
    /// They are left out.
    LeftOut,
}

/// Whose a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A function of the program's own.
    Own,
    /// A function of a library, or of what starts programs.
    Library,
    /// Not a function: the container at the end of a stack.
    Container,
}

/// A stack, outermost function first, and its figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    frames: Vec<(String, Kind)>,
    weight: u64,
}

impl Folded {
    /// The line, with another character for the semicolons of names.
    fn line(&self, semicolon: char) -> String {
        let mut line = String::new();
        for (at, (name, _)) in self.frames.iter().enumerate() {
            if at > 0 {
                line.push(';');
            }
            line.extend(name.chars().map(|char| match char {
                ';' => semicolon,
                other => other,
            }));
        }
        format!("{line} {}", self.weight)
    }
}

/// As other tools read it: `;` in names, as in `[u32; 3]`, becomes `,`.
impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(','))
    }
}

/// The stacks of all sites that have the figure, each ending in the container, which is called as the
/// block of the report is, sorted. Equal stacks are one, so that no figure is counted twice or lost.
pub fn folded(report: &Report, weight: Weight, libraries: Libraries) -> Vec<Folded> {
    let mut sums: BTreeMap<Vec<(String, Kind)>, u64> = BTreeMap::new();
    let titles = frames::titles(report);
    for site in &report.sites {
        let figure = weight.of(site);
        if figure == 0 {
            continue;
        }
        let (within, stack) = site.stack.split_at(frames::begin(site));
        let functions = stack.iter().rev().map(|frame| function(frame, true));
        let mut frames: Vec<_> = match libraries {
            Libraries::All => {
                let within = within.iter().rev().map(|frame| function(frame, false));
                functions.chain(within).collect()
            }
            Libraries::Folded => folding_plumbing(functions.collect()),
            Libraries::LeftOut => functions.filter(|(_, kind)| *kind == Kind::Own).collect(),
        };
        let title = titles.get(&site.id);
        let title = title.map_or_else(|| text::title(site), String::clone);
        frames.push((plain(&title), Kind::Container));
        let sum = sums.entry(frames);
        let sum = sum.or_insert(0);
        *sum = sum.saturating_add(figure);
    }
    let mut stacks: Vec<Folded> = (sums.into_iter())
        .map(|(frames, weight)| Folded { frames, weight })
        .collect();
    within_a_number(&mut stacks);
    stacks.retain(|stack| stack.weight > 0);
    stacks
}

/// Whoever draws or reads the stacks adds their figures: where a saved report says more than a number
/// holds, the last of them are cut.
fn within_a_number(stacks: &mut [Folded]) {
    let mut left = u64::MAX;
    for stack in stacks {
        stack.weight = stack.weight.min(left);
        left -= stack.weight;
    }
}

/// A stack, outermost function first, with `...` for plumbing.
fn folding_plumbing(frames: Vec<(String, Kind)>) -> Vec<(String, Kind)> {
    /// A single function says as much as the dots.
    const FEW: usize = 1;
    let own: Vec<bool> = frames
        .iter()
        .rev()
        .map(|(_, kind)| *kind == Kind::Own)
        .collect();
    let plumbing = frames::plumbing(&own).into_iter().rev();
    let (mut kept, mut run) = (Vec::new(), Vec::new());
    for (frame, plumbing) in frames.into_iter().zip(plumbing) {
        if plumbing {
            run.push(frame);
            continue;
        }
        if run.len() > FEW {
            run = vec![("...".to_owned(), Kind::Library)];
        }
        kept.append(&mut run);
        kept.push(frame);
    }
    kept
}

fn function(frame: &StackFrame, outside: bool) -> (String, Kind) {
    let own = outside && text::is_own(frame);
    let kind = if own { Kind::Own } else { Kind::Library };
    (plain(&frame.function), kind)
}

/// Without line ends and other control characters, which a line of text cannot hold.
fn plain(name: &str) -> String {
    name.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stack: &str) -> String {
        let frame = |name: &str| {
            let own = name.starts_with("svc::");
            (name.to_owned(), if own { Kind::Own } else { Kind::Library })
        };
        let frames = folding_plumbing(stack.split(' ').map(frame).collect());
        let names: Vec<String> = frames.into_iter().map(|(name, _)| name).collect();
        names.join(" ")
    }

    #[test]
    fn figures_have_a_sum() {
        let stack = |name: &str, weight| Folded {
            frames: vec![(name.to_owned(), Kind::Own)],
            weight,
        };
        let mut stacks = [stack("a", 7), stack("b", u64::MAX), stack("c", 7)];
        within_a_number(&mut stacks);
        let weights = stacks.map(|stack| stack.weight);
        assert_eq!(weights, [7, u64::MAX - 7, 0]);
    }

    #[test]
    fn what_calls_the_programs_functions_is_folded() {
        assert_eq!(
            shown(
                "start_thread run poll svc::handle layer::call layer::poll svc::login insert grow"
            ),
            "... svc::handle ... svc::login insert grow"
        );
        assert_eq!(
            shown("main svc::main one svc::f"),
            "main svc::main one svc::f"
        );
        assert_eq!(shown("a b c"), "a b c");
    }
}
