//! Sentences about what `look` found, for the text and for the page.

use std::collections::HashSet;

use mapgrow_containers::finder::DEEP_STEPS;
use mapgrow_report::LeftUnder;
use mapgrow_report::text::units::{bytes, count, thousands};

use super::deep::own;
use super::model::{Group, Look, Map, NextResize, Totals};
use super::resident::Resident;

/// So many equal maps are one block of the text.
const MANY: u64 = 3;
/// One that holds so much has a block of its own, however many equal ones there are.
const LARGE_BYTES: u64 = 1 << 20;
/// What is kept is worth a word from so many bytes on.
const WORTHWHILE_BYTES: u64 = 64 << 10;

/// What a block of the text, or a line of the page, is about.
pub enum Block<'a> {
    One(&'a Map),
    Many(&'a Group),
}

impl Block<'_> {
    /// What it is sorted by: bytes, or buckets where these are not known.
    pub fn weight(&self) -> u64 {
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

/// `Of 165 MiB in memory tables take 120 MiB, other blocks and what the allocator keeps free ...`
pub fn went(resident: &Resident, totals: &Totals) -> String {
    let mut text = format!(
        "Of {} in memory tables take ",
        bytes(resident.resident_bytes)
    );
    if totals.maps_of_unknown_bytes > 0 {
        text += "at least ";
    }
    text += &bytes(resident.tables_bytes);
    let parts =
        (parts_of(resident).into_iter().skip(1)).filter(|&(_, size)| size >= WORTHWHILE_BYTES);
    for (what, size) in parts {
        text += &format!(", {what} {}", bytes(size));
    }
    text + "."
}

/// What resident memory is divided into.
pub fn parts_of(resident: &Resident) -> [(&'static str, u64); 7] {
    [
        ("tables", resident.tables_bytes),
        (
            "other blocks and what the allocator keeps free",
            resident.other_heap_bytes,
        ),
        ("stacks", resident.stacks_bytes),
        ("statics", resident.statics_bytes),
        ("code and files", resident.files_bytes),
        ("what is shared", resident.shared_bytes),
        ("anything else", resident.other_bytes),
    ]
}

/// Everything in blocks, what holds most first.
pub fn blocks(look: &Look) -> Vec<Block<'_>> {
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
             standard library, Abseil, Boost, Go, CPython, Ruby, Redis, GLib and klib.",
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
        if let Some(nodes) = totals.node_bytes.filter(|&nodes| nodes > 0) {
            lead += &format!(" and nodes of {}", bytes(nodes));
        }
        lead += " for";
    } else {
        lead += &format!(" {hold}");
    }
    lead += &format!(" {} entries", thousands(totals.entries));
    if let Some(deep) = &totals.deep {
        lead += &format!(", whose values hold {}", own(deep.bytes, deep.error_bytes));
    }
    let retained = totals.retained_bytes.unwrap_or(0);
    if retained >= WORTHWHILE_BYTES {
        lead += &format!(", {} more than these need", bytes(retained));
    }
    lead + "."
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

/// What it keeps, if that is worth a word.
pub fn kept(retained: Option<u64>) -> Option<String> {
    let retained = bytes(retained.filter(|&retained| retained >= WORTHWHILE_BYTES)?);
    Some(format!(
        "{retained} more than its entries need: shrink it to get them back"
    ))
}

/// A family with what programs call it.
pub fn called(family: &str) -> String {
    let name = match family {
        "hashbrown" => "HashMap or HashSet",
        "libstdcxx_hashtable" | "libcxx_hashtable" => "std::unordered_map or its like",
        "cpython_dict" | "redis_dict" => "dict",
        "cpython_set" => "set",
        "go_map" => "map",
        "abseil_flat" => "absl::flat_hash_map or its like",
        "boost_flat" => "boost::unordered_flat_map or its like",
        "glib_hash_table" => "GHashTable",
        "ruby_st_table" => "Hash or its like",
        _ => return family.to_owned(),
    };
    format!("{family} ({name})")
}

/// Families whose entries lie in blocks of their own.
pub const OF_NODES: [&str; 3] = ["libstdcxx_hashtable", "libcxx_hashtable", "redis_dict"];

/// What was read, and what was not.
pub fn honesty(look: &Look) -> Vec<String> {
    let honesty = &look.honesty;
    let searched = bytes(honesty.bytes_read);
    let mut notes = vec![format!("Searched {searched} of its memory")];
    let parts = [
        (honesty.bytes_unreadable, "could not be read"),
        (honesty.bytes_swapped, "are swapped out and were left there"),
    ];
    for (size, what) in parts.into_iter().filter(|&(size, _)| size > 0) {
        notes.push(format!("{} {what}", bytes(size)));
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
        notes.push(format!("{} {what} and left out", count(number, "table")));
    }
    notes.extend(honesty.notes.iter().cloned());
    if look.totals.deep.is_some() {
        let steps = format!(
            "what values hold was followed over {DEEP_STEPS} blocks at most, from what their allocator \
             knows; of larger maps a part"
        );
        notes.push(steps);
        let unknown = look.maps.iter().filter(|map| map.deep.is_none()).count() as u64;
        if unknown > 0 {
            notes.push(format!("of {} it is not known", count(unknown, "map")));
        }
    }
    let mut of_nodes = look
        .groups
        .iter()
        .filter(|group| OF_NODES.contains(&group.family));
    if of_nodes.clone().any(|group| group.node_bytes.is_none()) {
        let nodes = "of tables with a block for each entry the buckets alone are counted where these blocks \
                     are not known";
        notes.push(nodes.to_owned());
    } else if of_nodes.next().is_some() {
        notes.push(
            "what a table keeps and needs next are its buckets: its nodes are counted apart"
                .to_owned(),
        );
    }
    notes
}

/// What a process is called may hold control characters; a terminal must not obey them.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|next| if next.is_control() { '?' } else { next })
        .collect()
}
