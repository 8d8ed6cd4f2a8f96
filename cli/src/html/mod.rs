//! What was recorded or found as one page that opens without a network.
//!
//! `frame.html` is the frame of all pages; the style, the sections and scripts of the kind of page, and
//! what it tells as JSON go into it ([`frame`]).

mod data;
mod frame;
mod sources;

use mapgrow_report::Report;
use serde::Serialize;

use data::Data;
use frame::Kind;
use sources::Sources;

/// The page of a report.
const REPORT: Kind = Kind {
    nav: "<a href=\"#timeline\">Timeline</a>\n<a href=\"#sites\">Places</a>\n\
        <a href=\"#flame\">Flame graph</a>\n<a href=\"#contents\">Contents</a>\n\
        <a href=\"#honesty\">Honesty</a>\n",
    main: include_str!("parts/report.html"),
    words: &[
        ("sites-title", "Places"),
        ("filter", "type, function, file, family"),
        (
            "caption",
            "Containers by the place in the program where they grow, what costs most first.",
        ),
        ("rows", "places"),
        ("contents-title", "What live maps hold"),
    ],
    scripts: &[
        include_str!("js/format.js"),
        include_str!("js/elements.js"),
        include_str!("js/data.js"),
        include_str!("js/theme.js"),
        include_str!("js/view.js"),
        include_str!("js/paint.js"),
        include_str!("js/before.js"),
        include_str!("js/timeline.js"),
        include_str!("js/steering.js"),
        include_str!("js/lanes.js"),
        include_str!("js/details.js"),
        include_str!("js/sites.js"),
        include_str!("js/tree.js"),
        include_str!("js/flame.js"),
        include_str!("js/heat.js"),
        include_str!("js/contents.js"),
        include_str!("js/summary.js"),
        include_str!("js/main.js"),
    ],
};

/// The page of a look at maps that nobody recorded.
const LOOK: Kind = Kind {
    nav: "<a href=\"#sites\">Maps</a>\n<a href=\"#went\">Memory</a>\n\
        <a href=\"#contents\">Contents</a>\n<a href=\"#honesty\">Honesty</a>\n",
    main: include_str!("parts/look.html"),
    words: &[
        ("sites-title", "What holds most"),
        ("filter", "owner, family"),
        (
            "caption",
            "Maps, those that are alike together, what holds most first.",
        ),
        ("rows", "lines"),
        ("contents-title", "What each map holds"),
    ],
    scripts: &[
        include_str!("js/format.js"),
        include_str!("js/elements.js"),
        include_str!("js/theme.js"),
        include_str!("js/sites.js"),
        include_str!("js/contents.js"),
        include_str!("js/summary.js"),
        include_str!("js/look.js"),
    ],
};

/// Whether a page shows lines of the program's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Those around each place, where the files are there.
    Shown,
    /// None.
    LeftOut,
}

/// The page of a report.
pub fn page(report: Report, source: Source) -> String {
    let title = title(&report);
    let mut sources = (source == Source::Shown).then(Sources::new);
    REPORT.page(&title, &Data::of(report, sources.as_mut()))
}

/// The page of a look: `data` is what its script (`js/look.js`) reads.
pub fn look_page(title: &str, data: &impl Serialize) -> String {
    LOOK.page(title, data)
}

fn title(report: &Report) -> String {
    if report.members.len() > 1 {
        return format!("{} processes, mapgrow", report.members.len());
    }
    let process = &report.process;
    let program = process.name().unwrap_or("unknown program");
    match process.pid {
        0 => format!("{program}, mapgrow"),
        pid => format!("{program} ({pid}), mapgrow"),
    }
}
