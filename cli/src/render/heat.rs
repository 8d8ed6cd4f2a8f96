//! A picture of a table as SVG.

use std::fmt::Write as _;

use mapgrow_report::{HeatMap, Map};

use crate::markup::escaped;

/// Parts in a row, and pixels of each.
const COLUMNS: usize = 16;
const CELL: usize = 28;
/// Room for the title above and the legend below.
const TOP: usize = 40;
const BOTTOM: usize = 44;

/// Draws how full each part of a map's table is; `None` when nothing is known of it.
pub fn svg(map: &Map) -> Option<String> {
    let heat = map.heat.as_ref()?;
    let rows = heat.entries_percent.len().div_ceil(COLUMNS);
    let (width, height) = (COLUMNS * CELL + 20, TOP + rows * CELL + BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"25\" font-size=\"14\">{}</text>\n",
        title(map),
    );
    parts(&mut svg, heat);
    let y = TOP + rows * CELL + 18;
    for (at, (percent, label)) in [(0, "empty"), (50, "half"), (100, "full")]
        .iter()
        .enumerate()
    {
        let x = 10 + at * 70;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{}\" stroke=\"#999999\"/>\
             <text x=\"{}\" y=\"{}\">{label}</text>",
            shade(*percent),
            x + 20,
            y + 11,
        );
    }
    let _ = writeln!(
        svg,
        "<rect x=\"224\" y=\"{}\" width=\"6\" height=\"6\" fill=\"#d1495b\"/>\
         <text x=\"238\" y=\"{}\">tombstones, by area</text>",
        y + 4,
        y + 11,
    );
    svg.push_str("</svg>\n");
    Some(svg)
}

fn title(map: &Map) -> String {
    let name = map.type_name.as_deref().unwrap_or("map");
    let entries = map.entries.map(|entries| format!(", {entries} entries"));
    let buckets = map.buckets.map(|buckets| format!(" in {buckets} buckets"));
    let text = format!(
        "{name}{}{}",
        entries.unwrap_or_default(),
        buckets.unwrap_or_default()
    );
    escaped(&text.chars().take(60).collect::<String>())
}

fn parts(svg: &mut String, heat: &HeatMap) {
    let both = heat.entries_percent.iter().zip(&heat.tombstones_percent);
    for (part, (&entries, &tombstones)) in both.enumerate() {
        let (x, y) = (10 + part % COLUMNS * CELL, TOP + part / COLUMNS * CELL);
        let from = part as u64 * heat.buckets_per_part;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{0}\" height=\"{0}\" fill=\"{1}\">\
             <title>buckets {from} to {2}: {entries} % entries, {tombstones} % tombstones</title>\
             </rect>",
            CELL - 1,
            shade(entries),
            from + heat.buckets_per_part - 1,
        );
        // The mark's area is their share of the part's.
        let side = ((CELL - 1) as f64 * (f64::from(tombstones) / 100.0).sqrt()).round();
        if side > 0.0 {
            let inset = ((CELL - 1) as f64 - side) / 2.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{}\" y=\"{}\" width=\"{side}\" height=\"{side}\" fill=\"#d1495b\" \
                 pointer-events=\"none\"/>",
                x as f64 + inset,
                y as f64 + inset,
            );
        }
    }
}

/// From nearly white to dark blue.
fn shade(percent: u8) -> String {
    let part = |empty: f64, full: f64| {
        let share = f64::from(percent.min(100)) / 100.0;
        (empty + (full - empty) * share).round() as u8
    };
    format!(
        "#{:02x}{:02x}{:02x}",
        part(242.0, 8.0),
        part(245.0, 48.0),
        part(250.0, 107.0)
    )
}
