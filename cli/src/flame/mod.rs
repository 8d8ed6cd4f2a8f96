//! Flame graphs: stacks of sites, weighed by a figure, as folded lines and as SVG.

use std::collections::BTreeMap;
use std::fmt;

use mapgrow_report::{Report, Site, StackFrame, text};

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
    /// The figure of a site; unknown counts nothing.
    fn of(self, site: &Site) -> u64 {
        match self {
            Weight::Live => site.live_bytes,
            Weight::Allocated => site.allocated_bytes,
            Weight::Resizes => site.resizes.unwrap_or(0),
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

/// The stacks of all sites that have the figure, each ending in the container, sorted; with the
/// program's own functions alone if that is wanted. Equal stacks are one, so that no figure is
/// counted twice or lost.
pub fn folded(report: &Report, weight: Weight, own_only: bool) -> Vec<Folded> {
    let mut sums: BTreeMap<Vec<(String, Kind)>, u64> = BTreeMap::new();
    for site in &report.sites {
        let figure = weight.of(site);
        if figure == 0 {
            continue;
        }
        // What lies within the caller is the container and the allocator.
        let caller = text::caller_at(site, &site.stack).unwrap_or(0);
        let functions = site.stack.iter().enumerate().rev();
        let functions = functions
            .map(|(at, frame)| function(frame, at >= caller))
            .filter(|(_, kind)| !own_only || *kind == Kind::Own);
        let container = (plain(&text::what(site)), Kind::Container);
        let sum = sums.entry(functions.chain([container]).collect());
        let sum = sum.or_insert(0);
        *sum = sum.saturating_add(figure);
    }
    sums.into_iter()
        .map(|(frames, weight)| Folded { frames, weight })
        .collect()
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
