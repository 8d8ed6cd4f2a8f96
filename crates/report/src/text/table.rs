//! All blocks, one a line.

use super::{Sort, sorted};
use crate::model::{Report, Site};
use crate::rows::summary::{Bound, Figure, Summary};
use crate::words::fit::printable;
use crate::words::names::place_of;

const COLUMNS: [&str; 10] = [
    "bytes",
    "peak",
    "kept",
    "entries",
    "maps",
    "resizes",
    "stalls_ns",
    "family",
    "place",
    "type",
];
/// Of these, words, which begin below each other. Figures end below each other.
const WORDS: usize = 3;

/// The first `most` blocks as a table: figures as they are, `123+-4` for an estimate with its
/// standard error, `<=123` and `>=123` for bounds, a dash for what is not known.
#[must_use]
pub fn table(report: &Report, sort: Sort, most: usize) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(sorted(report, sort).into_iter().take(most).map(row));
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(at, (cell, width))| match at + WORDS < COLUMNS.len() {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            })
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn row(site: &Site) -> [String; COLUMNS.len()] {
    let figures = Summary::of(site);
    [
        cell(Some(figures.live_bytes)),
        cell(figures.peak_bytes),
        cell(figures.retained_bytes),
        cell(figures.entries),
        cell(figures.maps_live),
        cell(figures.resizes),
        cell(figures.pause_ns),
        site.family.unwrap_or("-").to_owned(),
        place_of(site),
        site.type_name.as_deref().map_or("-".to_owned(), printable),
    ]
}

fn cell(figure: Option<Figure>) -> String {
    let Some(figure) = figure else {
        return "-".to_owned();
    };
    let bound = match figure.bound {
        Some(Bound::AtMost) => "<=",
        Some(Bound::AtLeast) => ">=",
        None => "",
    };
    let error = figure.error.map(|error| format!("+-{error}"));
    format!("{bound}{}{}", figure.value, error.unwrap_or_default())
}
