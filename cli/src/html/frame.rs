//! What all pages have in common: the frame, the style, the policy, and sections that more than one
//! kind of page has.
//!
//! The page allows itself nothing but its own style and script: its content policy names them by
//! their hashes and forbids every request. What a page tells is data, never markup: `<` does not
//! occur in the JSON, and the scripts set text, not HTML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::markup::escaped;

const FRAME: &str = include_str!("frame.html");
const STYLE: &str = include_str!("style.css");
const SUMMARY: &str = include_str!("parts/summary.html");
const SITES: &str = include_str!("parts/sites.html");
const CONTENTS: &str = include_str!("parts/contents.html");
const HONESTY: &str = include_str!("parts/honesty.html");

/// A kind of page.
pub struct Kind {
    /// Links to its sections.
    pub nav: &'static str,
    /// Its sections; where it names one that others have too, that is put in.
    pub main: &'static str,
    /// What the sections that others have too are called here.
    pub words: &'static [(&'static str, &'static str)],
    /// The scripts, each of which uses those before it. They run as one, in a scope of their own.
    pub scripts: &'static [&'static str],
}

impl Kind {
    /// The page called `title`, which tells `data`.
    pub fn page(&self, title: &str, data: &impl Serialize) -> String {
        let script = format!(
            "(() => {{\n\"use strict\";\n{}\n}})();\n",
            self.scripts.concat()
        );
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
                ("title", &escaped(title)),
                ("style", STYLE),
                ("nav", self.nav),
                ("main", &self.sections()),
                ("data", &json(data)),
                ("script", &script),
            ],
        )
    }

    fn sections(&self) -> String {
        let [summary, sites, contents, honesty] =
            [SUMMARY, SITES, CONTENTS, HONESTY].map(|part| fill(part, self.words));
        fill(
            self.main,
            &[
                ("summary", &summary),
                ("sites", &sites),
                ("contents", &contents),
                ("honesty", &honesty),
            ],
        )
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

/// JSON that is safe within a `script` element: nothing in it can end the element or begin a
/// comment. Strings read back as they were.
fn json(data: &impl Serialize) -> String {
    // What pages tell holds strings, numbers and no maps with keys that are neither.
    let json = serde_json::to_string(data).unwrap_or_default();
    let mut safe = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            _ => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::{LOOK, REPORT};
    use super::*;

    #[test]
    fn parts_are_put_in_once() {
        let page = fill("<{{a}}|{{b}}>", &[("a", "{{b}}"), ("b", "two")]);
        assert_eq!(page, "<{{b}}|two>");
    }

    #[test]
    fn the_frame_names_every_part_once() {
        for part in ["policy", "title", "style", "nav", "main", "data", "script"] {
            let name = format!("{{{{{part}}}}}");
            assert_eq!(FRAME.matches(&name).count(), 1, "{part}");
        }
        for kind in [&REPORT, &LOOK] {
            for part in ["summary", "sites", "contents", "honesty"] {
                assert!(kind.main.contains(&format!("{{{{{part}}}}}")), "{part}");
            }
            // Every word that a section leaves open is one that the page has.
            for section in [SUMMARY, SITES, CONTENTS, HONESTY] {
                let open = section.split("{{").skip(1);
                let mut names = open.filter_map(|open| open.split_once("}}"));
                let known = |name| kind.words.iter().any(|(word, _)| *word == name);
                assert!(names.all(|(name, _)| known(name)));
            }
            // An end tag in a script or style would end its element.
            assert!(!kind.scripts.concat().contains("</"), "in a script");
        }
        assert!(!STYLE.contains("</"), "in the style");
    }
}
