//! What `look` found, for a person who has little time.

use mapgrow_report::text::units::{bytes, count, thousands};

use super::deep;
use super::model::{Group, Look, Map};
use super::owner::Owner;
use super::sentences::{self, Block, OF_NODES, blocks, called, lead, printable, shortage, went};
use crate::render::paint::{Tone, paint, wrap};

/// Where the text of a row begins.
const MARGIN: usize = 14;

/// How to lay it out.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Columns to fit into.
    pub width: usize,
    /// Whether to use colours.
    pub color: bool,
    /// How many blocks to show.
    pub top: usize,
}

/// The first screen.
pub fn text(look: &Look, layout: Layout) -> String {
    let mut page = Page {
        text: String::new(),
        layout,
    };
    page.paragraph(&lead(look), Tone::Strong);
    let blocks = blocks(look);
    for (number, block) in blocks.iter().take(layout.top).enumerate() {
        page.blank();
        match block {
            Block::One(map) => one(&mut page, number + 1, map, look),
            Block::Many(group) => many(&mut page, number + 1, group),
        }
    }
    let more = blocks.len().saturating_sub(layout.top) as u64;
    page.blank();
    if more > 0 {
        let more = format!(
            "{} more: `--top`, `--table` or `--json` shows them.",
            count(more, "line")
        );
        page.paragraph(&more, Tone::Faint);
    }
    if let Some(resident) = &look.resident {
        page.paragraph(&went(resident, &look.totals), Tone::Plain);
    }
    let honesty = sentences::honesty(look).join("; ");
    page.paragraph(
        &format!("{honesty}. Where and when maps were made only a recording knows: `mapgrow run`."),
        Tone::Faint,
    );
    page.text
}

fn one(page: &mut Page, number: usize, map: &Map, look: &Look) {
    let size = map
        .bytes
        .map_or_else(String::new, |size| format!(", {}", bytes(size)));
    page.title(number, &format!("{}{size}", called(map.family)));
    owner(page, map.owner.as_ref());
    page.row("table", &table(map.family, map.buckets, map.element_bytes));
    let of = map.capacity.map_or_else(String::new, |capacity| {
        format!(" of {}", thousands(capacity))
    });
    let full = map
        .capacity
        .filter(|&capacity| capacity > 0)
        .map_or_else(String::new, |capacity| {
            format!(
                ", {:.0} % full",
                map.entries as f64 * 100.0 / capacity as f64
            )
        });
    let tombstones = match map.tombstones {
        Some(tombstones) if tombstones > 0 => format!(", {}", count(tombstones, "tombstone")),
        _ => String::new(),
    };
    page.row(
        "holds",
        &format!("{}{of} entries{full}{tombstones}", thousands(map.entries)),
    );
    nodes(page, map.node_bytes, map.node_bytes_exact == Some(true));
    if let Some(deep) = &map.deep {
        page.row("values", &deep::told(deep));
    }
    kept(page, map.retained_bytes);
    if let Some(verdict) = map.hash_verdict.filter(|&verdict| verdict != "good") {
        page.row("hash", verdict);
    }
    if let Some(next) = &map.next_resize {
        let mut text = format!("at {} entries", thousands(next.at_entries));
        if let Some(needs) = next.needs_bytes {
            text += &format!(" it needs {} at once", bytes(needs));
        }
        if let Some(shortage) = shortage(next, look) {
            text += &format!(", {shortage}");
        }
        page.row("grows", &text);
    }
}

fn many(page: &mut Page, number: usize, group: &Group) {
    let size = group
        .bytes
        .map_or_else(String::new, |size| format!(", {} in all", bytes(size)));
    let maps = count(group.count, "map");
    page.title(number, &format!("{maps} of {}{size}", called(group.family)));
    owner(page, group.owner.as_ref());
    if let Some(most) = group.owners.first().filter(|_| group.owner.is_none()) {
        let of = count(most.count, "map");
        page.row("owner", &format!("of {of}: {}", printable(&most.path)));
    }
    let each = table(group.family, group.buckets, group.element_bytes);
    page.row("table", &format!("each {each}"));
    let spread = if group.entries_least == group.entries_most {
        format!("{} in each", thousands(group.entries_least))
    } else {
        let (least, most) = (group.entries_least, group.entries_most);
        format!("{} to {} in each", thousands(least), thousands(most))
    };
    let of = group.capacity.map_or_else(String::new, |capacity| {
        format!(" of {}", thousands(capacity))
    });
    page.row(
        "holds",
        &format!("{}{of} entries, {spread}", thousands(group.entries)),
    );
    nodes(page, group.node_bytes, group.node_bytes_exact == Some(true));
    if let Some(deep) = &group.deep {
        page.row("values", &deep::own(deep.bytes, deep.error_bytes));
    }
    kept(page, group.retained_bytes);
}

/// What its nodes hold beside its buckets.
fn nodes(page: &mut Page, size: Option<u64>, exact: bool) {
    if let Some(size) = size.filter(|&size| size > 0) {
        let about = if exact { "" } else { "about " };
        page.row(
            "nodes",
            &format!("{about}{}, a block for each entry", bytes(size)),
        );
    }
}

fn owner(page: &mut Page, owner: Option<&Owner>) {
    if let Some(owner) = owner {
        page.row("owner", &printable(&owner.path));
    }
}

fn kept(page: &mut Page, retained: Option<u64>) {
    if let Some(text) = sentences::kept(retained) {
        page.row("keeps", &text);
    }
}

/// `1,024 buckets of 24 bytes`
fn table(family: &str, buckets: Option<u64>, element: Option<u64>) -> String {
    let buckets = buckets.map_or_else(
        || "an unknown number of buckets".to_owned(),
        |buckets| count(buckets, "bucket"),
    );
    match element {
        Some(element) => format!("{buckets} of {}", count(element, "byte")),
        // A place in the index of a dict has no size of its own.
        None if OF_NODES.contains(&family) || family == "cpython_dict" => buckets,
        None => format!("{buckets} of unknown size"),
    }
}

struct Page {
    text: String,
    layout: Layout,
}

impl Page {
    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn paragraph(&mut self, text: &str, tone: Tone) {
        let lines = wrap(text, self.layout.width, 0);
        self.text += &paint(&lines, tone, self.layout.color);
        self.blank();
    }

    fn title(&mut self, number: usize, text: &str) {
        let title = format!("{number:>3}. {text}");
        self.text += &paint(&title, Tone::Strong, self.layout.color);
        self.blank();
    }

    fn row(&mut self, label: &str, text: &str) {
        let room = self.layout.width.saturating_sub(MARGIN);
        let label = format!("{label:<width$}", width = MARGIN - 4);
        self.text += "    ";
        self.text += &paint(&label, Tone::Faint, self.layout.color);
        let lines = wrap(text, room, 0);
        self.text += &lines.replace('\n', &format!("\n{}", " ".repeat(MARGIN)));
        self.blank();
    }
}
