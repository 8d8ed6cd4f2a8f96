//! Flame graphs as SVG, drawn by inferno.

use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{self, Options};
use mapgrow_report::Report;

use super::{Folded, Kind, Weight, plain};
use crate::failure::Failure;

/// Stands for `;` in names on the way through folded lines, where `;` separates frames. A
/// character for private use, which no name holds.
const SEMICOLON: char = '\u{E03B}';

const PAPER: Color = Color {
    r: 255,
    g: 255,
    b: 255,
};

const ROOT: Color = Color {
    r: 225,
    g: 225,
    b: 225,
};

/// The stacks as a picture that zooms and searches. The colours are those of the HTML report:
/// the program's own functions, libraries, containers.
pub fn svg(report: &Report, stacks: &[Folded], weight: Weight) -> Result<Vec<u8>, Failure> {
    let mut palette = palette(stacks);
    let mut options = Options::default();
    options.title = format!("{} of {}", weight.title(), program(report));
    options.subtitle = Some(weight.explanation().to_owned());
    options.count_name = weight.unit().to_owned();
    options.name_type = "Function:".to_owned();
    options.font_type = "monospace".to_owned();
    options.min_width = 0.05;
    options.bgcolors = Some(BackgroundColor::Flat(PAPER));
    options.palette_map = Some(&mut palette);
    let lines: Vec<String> = stacks.iter().map(|stack| stack.line(SEMICOLON)).collect();
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
        .map_err(|error| Failure::new(format!("cannot draw the flame graph: {error}")))?;
    let svg = String::from_utf8_lossy(&svg).replace(SEMICOLON, ";");
    Ok(svg.into_bytes())
}

fn palette(stacks: &[Folded]) -> PaletteMap {
    let mut palette = PaletteMap::default();
    // What inferno puts under everything has no name until it is written.
    palette.insert("", ROOT);
    for (name, kind) in stacks.iter().flat_map(|stack| &stack.frames) {
        let name = name.replace(';', &SEMICOLON.to_string());
        let color = shade(*kind, &name);
        palette.insert(name, color);
    }
    palette
}

/// The colour of a kind, a little lighter or darker by name so that neighbours differ.
fn shade(kind: Kind, name: &str) -> Color {
    let (r, g, b) = match kind {
        Kind::Own => (238u8, 158u8, 86u8),
        Kind::Library => (228, 219, 202),
        Kind::Container => (150, 200, 215),
    };
    let sum = name
        .bytes()
        .fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let lift = sum % 16;
    Color {
        r: r.saturating_add(lift),
        g: g.saturating_add(lift),
        b: b.saturating_add(lift),
    }
}

fn program(report: &Report) -> String {
    let name = report.process.name().unwrap_or("unknown program");
    match report.process.pid {
        0 => plain(name).to_string(),
        pid => format!("{} (pid {pid})", plain(name)),
    }
}
