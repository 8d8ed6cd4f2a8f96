//! The page of one place: its figures, its tables, what would help, and its stack.

use mapgrow_report::summary::Summary;
use mapgrow_report::text::units::{bytes, thousands, time};
use mapgrow_report::text::{caller_at, chain, contents_of, frame_place, is_own, live, title};
use mapgrow_report::{Site, StackFrame};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::state::State;
use super::view::{FAINT, STRONG};
use crate::render::paint::wrap;

/// Columns that the names of figures take.
const NAMES: usize = 12;
/// Columns by which what is left of a long function is indented.
const HANG: usize = 6;
/// Functions of libraries in a row that are shown all the same.
const FEW: usize = 2;

/// Draws the page, `line` lines further down.
pub fn draw(frame: &mut Frame<'_>, state: &State, id: u32, line: u16, area: Rect) {
    let lines = match state.site(id) {
        Some(site) => lines_of(site, state, usize::from(area.width)),
        None => vec![Line::from(
            "This place is no longer in the report; Esc goes back.",
        )],
    };
    let most = (lines.len() as u16).saturating_sub(1);
    let text = Paragraph::new(lines).scroll((line.min(most), 0));
    frame.render_widget(text, area);
}

fn lines_of(site: &Site, state: &State, room: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = broken(&title(site), room, 2)
        .into_iter()
        .map(|text| Line::styled(text, STRONG))
        .collect();
    let mut row = |name: &str, text: String| {
        let text = broken(&text, room.saturating_sub(NAMES), 0);
        for (at, text) in text.into_iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("  {name:<10}"), FAINT),
                Span::raw(text),
            ]));
        }
    };
    if let Some(caller) = &site.caller {
        row("in", caller.function.clone());
    }
    let figures = Summary::of(site);
    let peak = figures
        .peak_bytes
        .map(|peak| format!(", {} at its peak", peak.brief(bytes)));
    row(
        "holds",
        format!("{}{}", live(site), peak.unwrap_or_default()),
    );
    if let Some(resizes) = figures.resizes {
        let rate = state
            .rows
            .iter()
            .find(|row| row.id == site.id)
            .and_then(|row| row.resizes_rate);
        let rate = rate.map_or(String::new(), |rate| format!(", {rate:.1} in a second now"));
        row("resizes", format!("{}{rate}", resizes.brief(thousands)));
    }
    if let Some(pauses) = &site.pause_ns
        && let Some(max) = pauses.max
    {
        let median = pauses
            .p50
            .map_or(String::new(), |p50| format!(", median {}", time(p50)));
        row("stalls", format!("worst {}{median}", time(max)));
    }
    if let Some(overlap) = site.overlap_peak_bytes.filter(|&overlap| overlap > 0) {
        row(
            "overlap",
            format!("{} of old and new table at once", bytes(overlap)),
        );
    }
    if let Some(contents) = contents_of(site) {
        row("contents", contents);
    }
    if site.example_tables.len() > 1 {
        row("tables", chain(&site.example_tables));
    }
    for advice in &site.advice {
        row("advice", advice.clone());
    }
    lines.push(Line::default());
    lines.push(Line::styled("Stack, innermost first", STRONG));
    lines.extend(stack(site, state.libraries, room));
    lines
}

/// The stack. What lies within the caller is the container and the allocator, as are most of the
/// functions of libraries: in their place stands how many there are, unless `all` are wanted.
fn stack(site: &Site, all: bool, room: usize) -> Vec<Line<'static>> {
    let caller = caller_at(site, &site.stack).unwrap_or(0);
    let own = |at: usize| at >= caller && is_own(&site.stack[at]);
    let mut lines = Vec::new();
    let mut at = 0;
    while at < site.stack.len() {
        let end = (at..site.stack.len())
            .find(|&at| own(at))
            .unwrap_or(site.stack.len());
        let any_own = end < site.stack.len() || at > 0;
        if end - at > FEW && any_own && !all {
            let text = format!("  {} functions of libraries (l shows them)", end - at);
            lines.push(Line::styled(text, FAINT));
        } else {
            lines.extend((at..end).flat_map(|at| function(&site.stack[at], false, room)));
        }
        if let Some(frame) = site.stack.get(end) {
            lines.extend(function(frame, true, room));
        }
        at = end + 1;
    }
    lines
}

/// A function and where it stands; the program's own are not faint.
fn function(frame: &StackFrame, own: bool, room: usize) -> Vec<Line<'static>> {
    let at = frame_place(frame).map_or(String::new(), |at| format!("  {at}"));
    let inlined = if frame.inlined { "  (inlined)" } else { "" };
    let name: String = frame
        .function
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    broken(&format!("  {name}{at}{inlined}"), room, HANG)
        .into_iter()
        .map(|text| {
            if own {
                Line::raw(text)
            } else {
                Line::styled(text, FAINT)
            }
        })
        .collect()
}

/// Lines of at most `room` columns, broken at spaces where there are any, all but the first
/// indented by `hang`.
fn broken(text: &str, room: usize, hang: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in wrap(text, room, hang).lines() {
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > room.max(hang + 1) {
            let tail = rest.split_off(room.max(hang + 1));
            lines.push(rest.iter().collect());
            rest = vec![' '; hang];
            rest.extend(tail);
        }
        lines.push(rest.iter().collect());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::broken;

    #[test]
    fn lines_without_spaces_are_broken_too() {
        assert_eq!(broken("abcdefgh", 5, 2), ["abcde", "  fgh"]);
        assert_eq!(broken("ab cd efghijkl", 6, 1), ["ab cd", " efghi", " jkl"]);
        assert_eq!(broken("", 5, 2).len(), 0);
    }
}
