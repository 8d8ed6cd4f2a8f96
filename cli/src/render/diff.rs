//! A comparison as text: totals, then what grew, what is new, what shrank, what is gone.

use mapgrow::report::diff::{Became, Change, Diff, SiteChange};
use mapgrow::report::measure::Measure;
use mapgrow::report::text::{fit, place, title_of};

use super::paint::{Tone, paint, wrap};

/// How to show it.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Columns to fit into.
    pub width: usize,
    /// Whether to use colours.
    pub color: bool,
    /// Places of each kind.
    pub top: usize,
}

/// Renders a comparison.
pub fn render(diff: &Diff, page: &Page) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(wrap(&lead(diff), page.width, 0));
    line(String::new());
    for change in &diff.totals {
        line(row(change, "all places", page));
    }
    let kinds = [
        (Became::Grew, "Grew", Tone::Bad),
        (Became::New, "New", Tone::Bad),
        (Became::Shrank, "Shrank", Tone::Good),
        (Became::Gone, "Gone", Tone::Good),
        (Became::Unknown, "Not known in both", Tone::Faint),
    ];
    for (became, name, tone) in kinds {
        let mut sites: Vec<&SiteChange> = diff
            .sites
            .iter()
            .filter(|site| site.became == became)
            .collect();
        if matches!(became, Became::Shrank | Became::Gone) {
            sites.reverse();
        }
        if sites.is_empty() {
            continue;
        }
        line(String::new());
        line(paint(
            &format!("{name} ({})", sites.len()),
            tone,
            page.color,
        ));
        for site in sites.iter().take(page.top) {
            for row in block(site, diff.by, page) {
                line(row);
            }
        }
        if sites.len() > page.top {
            line(format!(
                "  and {} more (--top, --json)",
                sites.len() - page.top
            ));
        }
    }
    if !diff.notes.is_empty() {
        line(String::new());
    }
    for note in &diff.notes {
        line(wrap(&format!("note: {note}"), page.width, 6));
    }
    text
}

fn lead(diff: &Diff) -> String {
    let counts = &diff.counts;
    let all = counts.matched + counts.new + counts.gone;
    let places = |count: usize| match count {
        1 => "1 place".to_owned(),
        _ => format!("{count} places"),
    };
    if all == 0 {
        return "Neither report has a place with containers: nothing to compare.".to_owned();
    }
    let mut text = format!("Of {}, {} in both", places(all), are(counts.matched));
    if counts.moved > 0 {
        text.push_str(&format!(
            " ({} on another line or in another function by now)",
            counts.moved
        ));
    }
    text.push_str(&format!(
        ": by {}, {} grew and {} shrank. {} new, {} gone.",
        by(diff.by),
        counts.grew,
        counts.shrank,
        are(counts.new),
        are(counts.gone)
    ));
    text
}

fn are(count: usize) -> String {
    match count {
        1 => "1 is".to_owned(),
        0 => "none are".to_owned(),
        _ => format!("{count} are"),
    }
}

fn by(measure: Measure) -> &'static str {
    match measure {
        Measure::Peak => "peak of live bytes",
        Measure::Live => "live bytes",
        Measure::Allocated => "bytes allocated",
        Measure::Resizes => "resizes",
        Measure::Overlap => "overlap of old and new table",
        Measure::Pause => "longest stall",
        Measure::Retained => "bytes kept for nothing",
    }
}

/// The title of a site, what it was called before, and its figures.
fn block(site: &SiteChange, measure: Measure, page: &Page) -> Vec<String> {
    let Some(side) = site.side() else {
        return Vec::new();
    };
    let mut rows = vec![paint(
        &format!("  {}", fit(&title_of(side), page.width.saturating_sub(2))),
        Tone::Strong,
        page.color,
    )];
    if let Some(caller) = &side.caller {
        let function = fit(&caller.function, page.width.saturating_sub(9));
        rows.push(paint(
            &format!("      in {function}"),
            Tone::Faint,
            page.color,
        ));
    }
    if let (Some(old), true) = (&site.old, site.moved()) {
        rows.push(format!("      was at {}", place(old.caller.as_ref())));
    }
    let first = site
        .changes
        .iter()
        .filter(|change| change.measure == measure);
    let others = site
        .changes
        .iter()
        .filter(|change| change.measure != measure && change.old != change.new);
    rows.extend(first.chain(others).map(|change| row(change, "", page)));
    if matches!(site.became, Became::Grew | Became::New) {
        for advice in site.advice.iter().take(2) {
            rows.push(wrap(&format!("      advice    {advice}"), page.width, 16));
        }
    }
    rows
}

/// `      peak      1.0 MiB -> 2.0 MiB  (+1.0 MiB, +100 %)`.
fn row(change: &Change, _whose: &str, page: &Page) -> String {
    let show = |figure: Option<u64>| figure.map_or("-".to_owned(), |f| change.measure.show(f));
    let figures = format!("{:>9} -> {:<9}", show(change.old), show(change.new));
    let text = format!("      {:<9} {figures}", change.measure.name());
    let (Some(old), Some(new)) = (change.old, change.new) else {
        return text.trim_end().to_owned();
    };
    if old == new {
        return text.trim_end().to_owned();
    }
    let (sign, size, tone) = if new > old {
        ("+", new - old, Tone::Bad)
    } else {
        ("-", old - new, Tone::Good)
    };
    let share = if old == 0 {
        String::new()
    } else {
        format!(", {sign}{:.0} %", size as f64 / old as f64 * 100.0)
    };
    let added = format!("{sign}{}{share}", change.measure.show(size));
    format!("{text} {}", paint(&added, tone, page.color))
}
