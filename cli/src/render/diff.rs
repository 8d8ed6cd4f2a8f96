//! A comparison as text: totals, then what grew, what is new, what shrank, what is gone.

use mapgrow_report::diff::{Became, Change, Diff, SiteChange, Tolerance};
use mapgrow_report::measure::Measure;
use mapgrow_report::summary::Figure;
use mapgrow_report::text::{fit, place, title_of};
use serde::Serialize;

use super::paint::{Tone, paint, wrap};

/// Columns of a figure, and what stands before one that is an estimate.
const FIGURE: usize = 9;
const ABOUT: &str = "about ";

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

/// What the bound on growth came to.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bound {
    /// Share of the old figure by which a place may grow.
    pub share: f64,
    /// Whether no place broke it.
    pub held: bool,
    /// Places that grew by more.
    pub grew: usize,
    /// New places that are larger than noise.
    pub new: usize,
    /// What is noise in a new place: in the figure's unit.
    pub noise: u64,
}

/// Renders what a bound came to.
pub fn bound(bound: &Bound, by: Measure, page: &Page) -> String {
    let share = format!("--max-growth {}%", bound.share * 100.0);
    let noise = by.show(bound.noise);
    let places = |count: usize| match count {
        1 => "1 place".to_owned(),
        _ => format!("{count} places"),
    };
    let (word, tone) = match bound.held {
        true => ("held", Tone::Good),
        false => ("FAILED", Tone::Bad),
    };
    let mut reasons = Vec::new();
    if bound.grew > 0 {
        reasons.push(format!("{} grew by more", places(bound.grew)));
    }
    match bound.new {
        0 => {}
        1 => reasons.push(format!("1 new place has more than {noise}")),
        new => reasons.push(format!("{new} new places have more than {noise}")),
    }
    let reason = match bound.held {
        true => "no place grew by more".to_owned(),
        false => reasons.join(", "),
    };
    let line = wrap(&format!("{word:<8}  {share}: {reason}."), page.width, 10);
    format!(
        "\n{}\n",
        line.replacen(word, &paint(word, tone, page.color), 1)
    )
}

/// Renders a comparison.
pub fn render(diff: &Diff, page: &Page) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    let sites = diff.sites.iter().flat_map(|site| &site.changes);
    let mut all = diff.totals.iter().chain(sites);
    let estimated = |change: &Change| change.old_error.is_some() || change.new_error.is_some();
    let column = match all.any(estimated) {
        true => FIGURE + ABOUT.len(),
        false => FIGURE,
    };
    line(wrap(&lead(diff), page.width, 0));
    line(String::new());
    for change in &diff.totals {
        if let Some(row) = row(change, column, page) {
            line(row);
        }
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
            for row in block(site, diff.by, column, page) {
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
    if let Some(told) = elsewhere(diff) {
        line(String::new());
        line(wrap(&told, page.width, 0));
    }
    if !diff.notes.is_empty() {
        line(String::new());
    }
    for note in &diff.notes {
        line(wrap(&format!("note: {note}"), page.width, 6));
    }
    text
}

/// Where no place changed in the figure that is compared: another one that did.
fn elsewhere(diff: &Diff) -> Option<String> {
    let changed = |became: Became| diff.sites.iter().any(|site| site.became == became);
    if [Became::Grew, Became::New, Became::Shrank, Became::Gone]
        .into_iter()
        .any(changed)
    {
        return None;
    }
    let tolerance = Tolerance::default();
    let others = [Measure::Live, Measure::Retained, Measure::Allocated];
    let by = others.into_iter().find(|&other| {
        let change = diff.totals.iter().find(|change| change.measure == other);
        change.is_some_and(|change| {
            let both = change.old.zip(change.new);
            both.is_some_and(|(old, new)| old.abs_diff(new) > tolerance.of(other, old))
        })
    })?;
    let name = by.name();
    Some(format!(
        "What changed is {name}: `--by {name}` names the places."
    ))
}

fn lead(diff: &Diff) -> String {
    let counts = &diff.counts;
    let all = counts.matched + counts.new + counts.gone + counts.unsure;
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
        capital(&are(counts.new)),
        are(counts.gone)
    ));
    if counts.unsure > 0 {
        let (are, them) = match counts.unsure {
            1 => ("is", "it"),
            _ => ("are", "them"),
        };
        text.push_str(&format!(
            " {} {are} in one of the reports alone, with too few samples to call {them} new or gone.",
            places(counts.unsure)
        ));
    }
    text
}

fn are(count: usize) -> String {
    match count {
        1 => "1 is".to_owned(),
        0 => "none are".to_owned(),
        _ => format!("{count} are"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
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
fn block(site: &SiteChange, measure: Measure, column: usize, page: &Page) -> Vec<String> {
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
    let figures: Vec<String> = first
        .chain(others)
        .filter_map(|change| row(change, column, page))
        .collect();
    if figures.is_empty() {
        // Nothing is known by that figure, and nothing else changed.
        let live = site.change(Measure::Live);
        rows.extend(live.and_then(|live| row(live, column, page)));
    }
    rows.extend(figures);
    if matches!(site.became, Became::Grew | Became::New) {
        for advice in site.advice.iter().take(2) {
            rows.push(wrap(&format!("      advice    {advice}"), page.width, 16));
        }
    }
    rows
}

/// `      peak      1.0 MiB -> 2.0 MiB  (+1.0 MiB, +100 %)`; nothing where neither is known.
fn row(change: &Change, column: usize, page: &Page) -> Option<String> {
    let show = |figure: Option<Figure>| match figure {
        None => "-".to_owned(),
        Some(figure) if figure.value > 0 && figure.error.is_some() => {
            format!("{ABOUT}{}", change.measure.show(figure.value))
        }
        Some(figure) => {
            let figure = Figure {
                error: None,
                ..figure
            };
            figure.brief(|value| change.measure.show(value))
        }
    };
    if change.old.is_none() && change.new.is_none() {
        return None;
    }
    let (before, after) = (show(change.old_figure()), show(change.new_figure()));
    let text = format!(
        "      {:<9} {before:>9} -> {after:<9}",
        change.measure.name()
    );
    let text = text.trim_end().to_owned();
    let (Some(old), Some(new)) = (change.old, change.new) else {
        return Some(text);
    };
    if old == new {
        return Some(text);
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
    let error = |error: Option<u64>| error.unwrap_or(0) as f64;
    let error = error(change.old_error).hypot(error(change.new_error)) as u64;
    let error = match error {
        0 => String::new(),
        error => format!(" +- {}", change.measure.show(error)),
    };
    let room = " ".repeat((20 + 2 * column).saturating_sub(text.chars().count()));
    Some(format!(
        "{text}{room} {}{error}",
        paint(&added, tone, page.color)
    ))
}
