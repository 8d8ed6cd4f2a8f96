//! What `look` found, for a person who has little time.

use std::collections::HashSet;

use mapgrow_report::LeftUnder;
use mapgrow_report::text::units::{bytes, count, thousands};

use super::model::{Group, Look, Map, NextResize, Totals};
use super::owner::Owner;
use super::resident::Resident;
use crate::render::paint::{Tone, paint, wrap};

/// So many equal maps are one block of the text.
const MANY: u64 = 3;
/// One that holds so much has a block of its own, however many equal ones there are.
const LARGE_BYTES: u64 = 1 << 20;
/// What is kept is worth a word from so many bytes on.
const WORTHWHILE_BYTES: u64 = 64 << 10;
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

/// What a block of the text is about.
enum Block<'a> {
    One(&'a Map),
    Many(&'a Group),
}

impl Block<'_> {
    /// What it is sorted by: bytes, or buckets where these are not known.
    fn weight(&self) -> u64 {
        let (bytes, buckets) = match self {
            Block::One(map) => (map.bytes, map.buckets),
            Block::Many(group) => (
                group.bytes,
                group.buckets.map(|buckets| buckets * group.count),
            ),
        };
        bytes.or(buckets).unwrap_or(0)
    }
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
    page.paragraph(&honesty(look), Tone::Faint);
    page.text
}

/// `Of 165 MiB in memory tables take 120 MiB, other blocks and what the allocator keeps free ...`
fn went(resident: &Resident, totals: &Totals) -> String {
    let mut text = format!(
        "Of {} in memory tables take ",
        bytes(resident.resident_bytes)
    );
    if totals.maps_of_unknown_bytes > 0 {
        text += "at least ";
    }
    text += &bytes(resident.tables_bytes);
    let parts = [
        (
            resident.other_heap_bytes,
            "other blocks and what the allocator keeps free",
        ),
        (resident.stacks_bytes, "stacks"),
        (resident.statics_bytes, "statics"),
        (resident.files_bytes, "code and files"),
        (resident.shared_bytes, "what is shared"),
        (resident.other_bytes, "anything else"),
    ];
    let parts = parts
        .into_iter()
        .filter(|&(size, _)| size >= WORTHWHILE_BYTES);
    for (size, what) in parts {
        text += &format!(", {what} {}", bytes(size));
    }
    text + "."
}

fn blocks(look: &Look) -> Vec<Block<'_>> {
    let each = |group: &Group| group.bytes.unwrap_or(0) / group.count.max(1);
    let together = |group: &&Group| group.count >= MANY && each(group) < LARGE_BYTES;
    let (many, few): (Vec<&Group>, Vec<&Group>) = look.groups.iter().partition(together);
    // A core may have been made to have ever so many groups.
    let few: HashSet<_> = (few.into_iter())
        .map(|group| (group.family, group.buckets, group.element_bytes))
        .collect();
    let alone = |map: &&Map| few.contains(&(map.family, map.buckets, map.element_bytes));
    let mut blocks: Vec<Block<'_>> = many.into_iter().map(Block::Many).collect();
    blocks.extend(look.maps.iter().filter(alone).map(Block::One));
    blocks.sort_by_key(|block| std::cmp::Reverse(block.weight()));
    blocks
}

/// `cache-server 4242: 1,024 maps hold 165 MiB for 2,000,000 entries, 40 MiB more than they need`
pub fn lead(look: &Look) -> String {
    let process = &look.process;
    let totals = &look.totals;
    let pid = process
        .pid
        .map_or_else(String::new, |pid| format!(" {pid}"));
    let core = if process.state == "core" {
        "core of "
    } else {
        ""
    };
    let program = format!("{core}{}{pid}", printable(process.name()));
    if totals.maps_live == 0 {
        return format!(
            "{program}: no map was found in {} of memory, of those that are known here: of Rust, C++'s \
             standard library, Abseil, Go, CPython from 3.11 on, and Redis.",
            bytes(look.honesty.bytes_read)
        );
    }
    let mut lead = format!("{program}: {}", count(totals.maps_live, "map"));
    let hold = if totals.maps_live == 1 {
        "holds"
    } else {
        "hold"
    };
    let known = totals.maps_live - totals.maps_of_unknown_bytes;
    if known > 0 {
        let at_least = if totals.maps_of_unknown_bytes > 0 {
            "at least "
        } else {
            ""
        };
        lead += &format!(" {hold} {at_least}{}", bytes(totals.live_bytes));
        // A table that was reserved and never filled takes little.
        let there = look.resident.as_ref().map(|resident| resident.tables_bytes);
        if let Some(there) = there.filter(|there| *there < totals.live_bytes / 10 * 9) {
            lead += &format!(" ({} of it in memory)", bytes(there));
        }
        lead += " for";
    } else {
        lead += &format!(" {hold}");
    }
    lead += &format!(" {} entries", thousands(totals.entries));
    let retained = totals.retained_bytes.unwrap_or(0);
    if retained >= WORTHWHILE_BYTES {
        lead += &format!(", {} more than these need", bytes(retained));
    }
    lead + "."
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

/// Why its next resize will not succeed, if it will not.
pub fn shortage(next: &NextResize, look: &Look) -> Option<String> {
    let (short, memory) = next.short_bytes.zip(look.memory.as_ref())?;
    let (short, left) = (bytes(short), bytes(memory.left_bytes));
    let end = match memory.left_under {
        LeftUnder::ControlGroup => "in its control group: it will be OOM-killed",
        LeftUnder::AddressSpace => "of its address space: the allocation will fail",
        LeftUnder::Machine => "on the machine: it will be OOM-killed",
    };
    Some(format!("{short} more than the {left} left {end}"))
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
    kept(page, group.retained_bytes);
}

fn owner(page: &mut Page, owner: Option<&Owner>) {
    if let Some(owner) = owner {
        page.row("owner", &printable(&owner.path));
    }
}

fn kept(page: &mut Page, retained: Option<u64>) {
    if let Some(retained) = retained.filter(|&retained| retained >= WORTHWHILE_BYTES) {
        let retained = bytes(retained);
        page.row(
            "keeps",
            &format!("{retained} more than its entries need: shrink it to get them back"),
        );
    }
}

/// A family with what programs call it.
fn called(family: &str) -> String {
    let name = match family {
        "hashbrown" => "HashMap or HashSet",
        "libstdcxx_hashtable" | "libcxx_hashtable" => "std::unordered_map or its like",
        "cpython_dict" | "redis_dict" => "dict",
        "cpython_set" => "set",
        "go_map" => "map",
        "abseil_flat" => "absl::flat_hash_map or its like",
        _ => return family.to_owned(),
    };
    format!("{family} ({name})")
}

/// Families whose entries lie in blocks of their own.
const OF_NODES: [&str; 3] = ["libstdcxx_hashtable", "libcxx_hashtable", "redis_dict"];

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

/// What was read, and what was not.
fn honesty(look: &Look) -> String {
    let honesty = &look.honesty;
    let mut text = format!("Searched {} of its memory", bytes(honesty.bytes_read));
    let parts = [
        (honesty.bytes_unreadable, "could not be read"),
        (honesty.bytes_swapped, "are swapped out and were left there"),
    ];
    for (size, what) in parts.into_iter().filter(|&(size, _)| size > 0) {
        text += &format!("; {} {what}", bytes(size));
    }
    let left_out = [
        (honesty.changed_while_read, "changed each time it was read"),
        (honesty.freed_tables_left_out, "was freed"),
        (honesty.maps_untracked, "had no room here"),
    ];
    for (number, what) in left_out.into_iter().filter(|&(number, _)| number > 0) {
        let what = if number == 1 {
            what.to_owned()
        } else {
            what.replacen("was ", "were ", 1)
                .replacen(" it ", " they ", 1)
        };
        text += &format!("; {} {what} and left out", count(number, "table"));
    }
    for note in &honesty.notes {
        text += &format!("; {note}");
    }
    if look
        .groups
        .iter()
        .any(|group| OF_NODES.contains(&group.family))
    {
        text += "; of tables with a block for each entry the buckets alone are counted";
    }
    text + ". Where and when maps were made only a recording knows: `mapgrow run`."
}

/// What a process is called may hold control characters; a terminal must not obey them.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|next| if next.is_control() { '?' } else { next })
        .collect()
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
