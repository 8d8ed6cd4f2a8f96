//! Every map that is listed, one a line.

use super::model::{Look, Map};

const COLUMNS: [&str; 12] = [
    "bytes",
    "buckets",
    "element",
    "capacity",
    "entries",
    "tombstones",
    "retained",
    "hash",
    "grows_at",
    "needs",
    "family",
    "header",
];

/// The maps as a table: numbers as they are, a dash for what is not known.
pub fn table(look: &Look) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(look.maps.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn row(map: &Map) -> [String; COLUMNS.len()] {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let next = map.next_resize.as_ref();
    let quality = map.hash_quality;
    [
        number(map.bytes),
        number(map.buckets),
        number(map.element_bytes),
        number(map.capacity),
        map.entries.to_string(),
        number(map.tombstones),
        number(map.retained_bytes),
        quality.map_or_else(|| "-".to_owned(), |quality| format!("{quality:.2}")),
        number(next.map(|next| next.at_entries)),
        number(next.and_then(|next| next.needs_bytes)),
        map.family.to_owned(),
        format!("{:#x}", map.header_address),
    ]
}
