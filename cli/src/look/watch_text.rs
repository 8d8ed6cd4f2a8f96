//! A watch for a person: a few lines for each look, and what it all came to.

use mapgrow_report::text::units::{bytes, count, thousands, time};

use super::model::{Look, Map};
use super::sentences::{lead, printable, shortage};
use super::text::Layout;
use super::watch::{Changes, Outcome, Resize};
use crate::output::age;
use crate::render::paint::{Tone, paint, wrap};

/// A resize is foretold if it comes so soon, and needs so much.
const SOON_NS: u64 = 3600 * 1_000_000_000;
const WORTHWHILE_BYTES: u64 = 64 << 10;
/// Where the lines below a look begin.
const MARGIN: usize = 10;

/// A look, and what changed since the one before.
pub fn reading(look: &Look, changes: &Changes, layout: Layout) -> String {
    let mut page = Page {
        text: String::new(),
        layout,
    };
    page.head(&changes.elapsed_ns, &head(look, changes));
    let resizes = changes.resizes.iter().take(layout.top);
    resizes.for_each(|resize| page.line(&resized(resize), Tone::Plain));
    page.rest(changes.resizes.len(), "resize");
    let mut next: Vec<(&Map, u64)> = (look.maps.iter())
        .filter_map(|map| Some((map, eta(map, look)?)))
        .collect();
    next.sort_by_key(|&(map, eta)| (shortage_of(map, look).is_none(), eta));
    for (map, eta) in next.iter().take(layout.top.min(3)) {
        let tone = match shortage_of(map, look) {
            Some(_) => Tone::Strong,
            None => Tone::Plain,
        };
        page.line(&foretold(map, *eta, look), tone);
    }
    let mut came = Vec::new();
    if changes.maps_new > 0 {
        came.push(format!("{} came", count(changes.maps_new, "map")));
    }
    if changes.maps_gone > 0 {
        came.push(format!("{} went", count(changes.maps_gone, "map")));
    }
    if !came.is_empty() {
        page.line(&came.join(", "), Tone::Faint);
    }
    page.text
}

/// What the watch came to.
pub fn ended(outcome: &Outcome, layout: Layout) -> String {
    let mut page = Page {
        text: "\n".to_owned(),
        layout,
    };
    let why = match outcome.ended_by {
        "process" => "; the process has ended",
        _ => "",
    };
    let watched = format!(
        "Watched for {}, {}{why}. {}.",
        age(outcome.elapsed_ns / 1_000_000_000),
        count(outcome.looks, "look"),
        match outcome.resizes {
            0 => "No resize was seen".to_owned(),
            resizes => format!("{} seen", count(resizes, "resize")),
        }
    );
    page.paragraph(&watched, Tone::Strong);
    if outcome.only_grew.is_empty() {
        return page.text;
    }
    page.paragraph("These only ever grew:", Tone::Plain);
    for grown in outcome.only_grew.iter().take(layout.top) {
        let resizes = match grown.resizes {
            0 => String::new(),
            resizes => format!(", {}", count(resizes, "resize")),
        };
        let line = format!(
            "{}: {} to {} entries, {} a second{resizes}",
            printable(&grown.map),
            thousands(grown.entries_first),
            thousands(grown.entries_last),
            per_second(grown.entries_per_s)
        );
        page.line(&line, Tone::Plain);
    }
    page.rest(outcome.only_grew.len(), "map");
    page.text
}

/// `21 maps hold 48 MiB for 1,320,000 entries (12,000 more, 1,200 a second)`
fn head(look: &Look, changes: &Changes) -> String {
    if changes.look == 1 {
        return lead(look);
    }
    let totals = &look.totals;
    let hold = if totals.maps_live == 1 {
        "holds"
    } else {
        "hold"
    };
    let at_least = match totals.maps_of_unknown_bytes {
        0 => "",
        _ => "at least ",
    };
    let change = match changes.entries_gained {
        0 => "as before".to_owned(),
        gained => {
            let more = if gained > 0 { "more" } else { "fewer" };
            let speed = changes.entries_per_s.unwrap_or(0.0).abs();
            format!(
                "{} {more}, {} a second",
                thousands(gained.unsigned_abs()),
                per_second(speed)
            )
        }
    };
    format!(
        "{} {hold} {at_least}{} for {} entries ({change})",
        count(totals.maps_live, "map"),
        bytes(totals.live_bytes),
        thousands(totals.entries)
    )
}

/// `static SESSIONS -> map grew: 65,536 to 131,072 buckets, 1.1 MiB to 2.1 MiB`
fn resized(resize: &Resize) -> String {
    let grew = resize.new_buckets > resize.old_buckets;
    let sizes = resize.old_bytes.zip(resize.new_bytes);
    let sizes = sizes.map_or_else(String::new, |(old, new)| {
        format!(", {} to {}", bytes(old), bytes(new))
    });
    format!(
        "{} {}: {} to {} buckets{sizes}",
        printable(&resize.map),
        if grew { "grew" } else { "shrank" },
        thousands(resize.old_buckets),
        thousands(resize.new_buckets)
    )
}

/// When the next resize of a map is due, if that is worth a line.
fn eta(map: &Map, look: &Look) -> Option<u64> {
    let next = map.next_resize.as_ref()?;
    let eta = next.eta_ns?;
    let large = next
        .needs_bytes
        .is_none_or(|needs| needs >= WORTHWHILE_BYTES);
    (eta <= SOON_NS && large || shortage_of(map, look).is_some()).then_some(eta)
}

fn shortage_of(map: &Map, look: &Look) -> Option<String> {
    shortage(map.next_resize.as_ref()?, look)
}

/// `static SESSIONS -> map grows in about 40 s, at 114,689 entries: it needs 4.2 MiB at once`
fn foretold(map: &Map, eta: u64, look: &Look) -> String {
    let mut text = format!(
        "{} grows in about {}",
        printable(&super::watch::name(map)),
        time(eta)
    );
    let Some(next) = &map.next_resize else {
        return text;
    };
    text += &format!(", at {} entries", thousands(next.at_entries));
    if let Some(needs) = next.needs_bytes {
        text += &format!(": it needs {} at once", bytes(needs));
    }
    if let Some(shortage) = shortage(next, look) {
        text += &format!(", {shortage}");
    }
    text
}

fn per_second(rate: f64) -> String {
    match rate {
        0.0..10.0 => format!("{rate:.1}"),
        _ => thousands(rate.round() as u64),
    }
}

struct Page {
    text: String,
    layout: Layout,
}

impl Page {
    fn head(&mut self, elapsed_ns: &u64, text: &str) {
        let at = age(elapsed_ns / 1_000_000_000);
        self.text += &paint(
            &format!("{at:>width$}  ", width = MARGIN - 2),
            Tone::Faint,
            self.layout.color,
        );
        self.hung(text, Tone::Strong);
    }

    fn line(&mut self, text: &str, tone: Tone) {
        self.text += &" ".repeat(MARGIN);
        self.hung(text, tone);
    }

    /// Text behind a margin, which its other lines have too.
    fn hung(&mut self, text: &str, tone: Tone) {
        let lines = wrap(text, self.layout.width.saturating_sub(MARGIN), 0);
        let lines = lines.replace('\n', &format!("\n{}", " ".repeat(MARGIN)));
        self.text += &paint(&lines, tone, self.layout.color);
        self.text.push('\n');
    }

    fn rest(&mut self, all: usize, noun: &str) {
        if let Some(more) = all.checked_sub(self.layout.top).filter(|&more| more > 0) {
            self.line(
                &format!("and {} more", count(more as u64, noun)),
                Tone::Faint,
            );
        }
    }

    fn paragraph(&mut self, text: &str, tone: Tone) {
        let lines = wrap(text, self.layout.width, 0);
        self.text += &paint(&lines, tone, self.layout.color);
        self.text.push('\n');
    }
}
