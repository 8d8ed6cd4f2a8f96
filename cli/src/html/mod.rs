//! The report as one page that opens without a network.
//!
//! `page.html` is the frame; the style, the scripts and the report as JSON go into it. The page
//! allows itself nothing else: its content policy names the style and the script by their hashes
//! and forbids every request. Names from the recording are data, never markup: `<` does not
//! occur in the JSON, and the scripts set text, not HTML.

mod data;
mod sources;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mapgrow_report::Report;
use sha2::{Digest, Sha256};

use data::Data;
use sources::Sources;

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");

/// The scripts, each of which uses those before it. They run as one, in a scope of their own.
const SCRIPTS: [&str; 18] = [
    include_str!("js/format.js"),
    include_str!("js/data.js"),
    include_str!("js/theme.js"),
    include_str!("js/elements.js"),
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
];

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
    let title = escaped(&title(&report));
    let mut sources = (source == Source::Shown).then(Sources::new);
    let json = data::json(&Data::of(report, sources.as_mut()));
    let script = format!("(() => {{\n\"use strict\";\n{}\n}})();\n", SCRIPTS.concat());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(&script)
    );
    fill(
        FRAME,
        &[
            ("policy", &policy),
            ("title", &title),
            ("style", STYLE),
            ("data", &json),
            ("script", &script),
        ],
    )
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

/// As a content policy names inline text.
fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

/// Puts each part where the frame has its name in `{{}}`. What was put in is not looked at
/// again: data may hold any such name.
fn fill(frame: &str, parts: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(
        frame.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>(),
    );
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        if let Some((_, part)) = parts.iter().find(|(known, _)| *known == name) {
            page.push_str(part);
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_once() {
        let page = fill("<{{a}}|{{b}}>", &[("a", "{{b}}"), ("b", "two")]);
        assert_eq!(page, "<{{b}}|two>");
    }

    #[test]
    fn names_are_no_markup() {
        assert_eq!(
            escaped("</title><img src='x' onerror=\"&\">"),
            "&lt;/title&gt;&lt;img src=&#39;x&#39; onerror=&quot;&amp;&quot;&gt;"
        );
    }

    #[test]
    fn the_frame_names_every_part_once() {
        for part in ["policy", "title", "style", "data", "script"] {
            assert_eq!(
                FRAME.matches(&format!("{{{{{part}}}}}")).count(),
                1,
                "{part}"
            );
        }
        // An end tag in a script or style would end its element.
        assert!(!SCRIPTS.concat().contains("</"), "in a script");
        assert!(!STYLE.contains("</"), "in the style");
    }
}
