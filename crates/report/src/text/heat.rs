//! A picture of a table in characters.

use super::page::Page;
use crate::model::HeatMap;
use crate::words::units::thousands;

/// Parts in a line.
const COLUMNS: usize = 32;
/// From empty to full.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// Percent of the buckets of a part.
const MANY: u8 = 20;
/// Where there are many tombstones, and more of them than entries.
const TOMBSTONES: char = 'x';

/// Draws the parts of a table line by line, two characters each.
pub(super) fn heat(page: &mut Page, heat: &HeatMap) {
    let cells: Vec<char> = heat
        .entries_percent
        .iter()
        .zip(&heat.tombstones_percent)
        .map(|(&entries, &tombstones)| {
            let most = SHADES.len() - 1;
            let shade = usize::from(entries).saturating_mul(most).div_ceil(100);
            if tombstones > entries && tombstones >= MANY {
                TOMBSTONES
            } else {
                SHADES[shade.min(most)]
            }
        })
        .collect();
    for (line, cells) in cells.chunks(COLUMNS).enumerate() {
        let picture: String = cells.iter().flat_map(|&cell| [cell, cell]).collect();
        page.picture(
            if line == 0 { "table" } else { "" },
            &format!("|{picture}|"),
        );
    }
    page.row(
        "",
        &format!(
            "{} buckets in each part; blank: no entry, ░ to 25 %, ▒ to 50 %, ▓ to 75 %, █ above, x: \
             tombstones, 20 % or more",
            thousands(heat.buckets_per_part)
        ),
    );
}
