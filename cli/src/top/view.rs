//! The view as it is drawn.

use mapgrow::report::text::units::{bytes, count, thousands, time};
use mapgrow::report::text::{chain, live, live_of_all, place, title};
use mapgrow::report::{Event, ProcessState, Site};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::figures::Row;
use super::state::{Page, State};

/// Stalls told in the head of the view.
const LAST_PAUSES: usize = 3;
/// Columns for the figures, and what is left of them on a narrow terminal.
const COLUMNS: [(&str, u16); 7] = [
    ("LIVE", 8),
    ("PEAK", 8),
    ("RESIZES", 7),
    ("ALLOC/S", 8),
    ("LAST", 7),
    ("WORST", 7),
    ("NEXT RESIZE", 18),
];
/// Columns that a title needs at least.
const LEAST_TITLE: u16 = 24;

const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
const MARKED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws the page that the user is on.
pub fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(head_lines(state)), head);
    match state.page {
        Page::List => list(frame, state, body),
        Page::Site(id, line) => site(frame, state, id, line, body),
        Page::Help => frame.render_widget(Paragraph::new(HELP), body),
    }
    frame.render_widget(Paragraph::new(foot_line(state)), foot);
}

const HELP: &str = "\
Keys
  up, down, j, k      move; PgUp, PgDn, g, G  by pages, to the ends
  Enter               the stack, tables and advice of a place; Esc  back
  s, S                sort by the next, the last figure
  /                   show only places with a text in their name; Esc  all of them
  p, space            let readings pass unseen, and go on
  ?, h                this page
  q, Ctrl-C           leave; the process is not disturbed

Figures
  LIVE   bytes of live tables            PEAK   the most there were at one moment
  ALLOC/S bytes of new tables            LAST, WORST  stall of a thread in a resize
  NEXT RESIZE  when the next table is due at the present rate, or at how many entries, and
               the bytes that it needs";

fn head_lines(state: &State) -> Vec<Line<'static>> {
    let report = &state.report;
    let exe = report.process.exe.as_deref().unwrap_or("unknown program");
    let name = exe.rsplit('/').next().unwrap_or(exe);
    let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let for_how_long = report
        .process
        .duration_ns
        .map(time)
        .unwrap_or_else(|| "?".to_owned());
    let status = match (state.ended, report.process.state) {
        (true, ProcessState::Killed) => format!("was killed after {for_how_long}"),
        (true, _) => format!("has ended after {for_how_long}: its last figures"),
        (false, _) => format!("running for {for_how_long}"),
    };
    let paused = if state.paused { "  [paused]" } else { "" };
    let totals = &report.totals;
    let share = totals
        .map_share
        .map(|share| format!(", {:.0} % of the heap", share * 100.0));
    let now = report.process.duration_ns;
    let mut pauses: Vec<&Event> = report
        .timeline
        .iter()
        .filter(|event| event.pause_ns.is_some())
        .collect();
    pauses.sort_by_key(|event| std::cmp::Reverse(event.t_ns));
    let pauses: Vec<String> = pauses
        .into_iter()
        .take(LAST_PAUSES)
        .map(|event| pause(state, event, now))
        .collect();
    vec![
        Line::from(vec![
            Span::styled(format!("{name} ({})", report.process.pid), STRONG),
            Span::raw(format!(" {status}")),
            Span::styled(paused, STRONG),
        ]),
        Line::from(format!(
            "containers hold {}{}; peak {}; {} in {}, {} in all",
            live_of_all(report),
            share.unwrap_or_default(),
            bytes(totals.peak_bytes),
            count(totals.resizes, "resize"),
            count(report.sites.len() as u64, "place"),
            totals.pause_total_ns.map_or("?".to_owned(), time),
        )),
        Line::from(if pauses.is_empty() {
            "no resize yet".to_owned()
        } else {
            format!("last stalls: {}", pauses.join("; "))
        }),
        Line::default(),
    ]
}

/// `57 ms at src/cache.rs:58 3 s ago`.
fn pause(state: &State, event: &Event, now: Option<u64>) -> String {
    let took = event.pause_ns.map_or("?".to_owned(), time);
    let site = state.report.sites.iter().find(|site| {
        event
            .site
            .is_some_and(|id| site.id == id || site.recorded_sites.contains(&id))
    });
    let at = site.map_or("an unknown place".to_owned(), |site| {
        place(site.caller.as_ref())
    });
    let ago = now
        .zip(event.t_ns)
        .map(|(now, then)| now.saturating_sub(then));
    let ago = ago.map_or(String::new(), |ago| format!(" {} ago", time(ago)));
    format!("{took} at {at}{ago}")
}

fn foot_line(state: &State) -> Line<'static> {
    if state.typing {
        return Line::from(format!(
            "show places with: {}_   Enter keeps it, Esc drops it",
            state.filter
        ));
    }
    let filter = match state.filter.as_str() {
        "" => String::new(),
        filter => format!("  only {filter:?}"),
    };
    let text = match state.page {
        Page::List => format!(
            "by {}{filter}  {} shown   q quit  s sort  / filter  Enter stack  p pause  ? help",
            state.order.name(),
            state.rows.len()
        ),
        Page::Site(..) => "Esc back  up, down scroll  p pause  q quit  ? help".to_owned(),
        Page::Help => "? back  q quit".to_owned(),
    };
    Line::styled(text, FAINT)
}

fn list(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    state.height = usize::from(area.height.saturating_sub(1)).max(1);
    if state.rows.is_empty() {
        let text = match (state.filter.as_str(), state.report.sites.is_empty()) {
            (_, true) => "No container has been seen yet.",
            _ => "No place has that text in its name; Esc shows all.",
        };
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    // Columns give way from the right until a title fits.
    let mut shown = COLUMNS.len();
    let taken = |shown: usize| {
        COLUMNS[..shown]
            .iter()
            .map(|(_, width)| width + 1)
            .sum::<u16>()
    };
    while shown > 1 && taken(shown) + LEAST_TITLE > area.width {
        shown -= 1;
    }
    let title_width = area.width.saturating_sub(taken(shown));
    let mut widths: Vec<Constraint> = COLUMNS[..shown]
        .iter()
        .map(|(_, width)| Constraint::Length(*width))
        .collect();
    widths.push(Constraint::Length(title_width));
    let header = COLUMNS[..shown]
        .iter()
        .map(|(name, width)| Cell::from(format!("{name:>width$}", width = usize::from(*width))));
    let header = TableRow::new(header.chain([Cell::from("PLACE")])).style(STRONG);
    let rows = state.rows.iter().map(|row| {
        let cells = figures(row);
        let cells = cells[..shown]
            .iter()
            .zip(COLUMNS)
            .map(|(text, (_, width))| {
                Cell::from(format!("{text:>width$}", width = usize::from(width)))
            });
        let title = cut(&row.label, usize::from(title_width));
        TableRow::new(cells.chain([Cell::from(title)]).collect::<Vec<_>>())
    });
    let table = Table::new(rows, widths)
        .header(header)
        .row_highlight_style(MARKED);
    let mut cursor = TableState::default().with_selected(Some(state.at()));
    frame.render_stateful_widget(table, area, &mut cursor);
}

fn figures(row: &Row) -> [String; 7] {
    let unknown = || "?".to_owned();
    let next = row.next.as_ref().map(|next| {
        let when = match (next.eta_ns, next.at_entries) {
            (Some(eta), _) => format!("{}, ", time(eta)),
            (None, Some(entries)) => format!("at {}, ", thousands(entries)),
            (None, None) => String::new(),
        };
        format!("{when}{}", bytes(next.needs_bytes))
    });
    [
        bytes(row.live),
        row.peak.map_or_else(unknown, bytes),
        row.resizes.map_or_else(unknown, thousands),
        match row.allocated_rate {
            None => String::new(),
            Some(rate) if rate < 1.0 => "-".to_owned(),
            Some(rate) => bytes(rate as u64),
        },
        row.last_pause
            .map_or("-".to_owned(), |(pause, _)| time(pause)),
        row.max_pause.map_or("-".to_owned(), time),
        next.unwrap_or_else(unknown),
    ]
}

fn site(frame: &mut Frame<'_>, state: &State, id: u32, line: u16, area: Rect) {
    let lines = match state.site(id) {
        Some(site) => site_lines(site, state),
        None => vec![Line::from(
            "This place is no longer in the report; Esc goes back.",
        )],
    };
    let most = (lines.len() as u16).saturating_sub(1);
    let text = Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .scroll((line.min(most), 0));
    frame.render_widget(text, area);
}

fn site_lines(site: &Site, state: &State) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled(title(site), STRONG)];
    let mut row = |name: &str, text: String| {
        lines.push(Line::from(vec![
            Span::styled(format!("  {name:<10}"), FAINT),
            Span::raw(text),
        ]));
    };
    let peak = site
        .peak_live_bytes
        .map(|peak| format!(", {} at its peak", bytes(peak)));
    row(
        "holds",
        format!("{}{}", live(site), peak.unwrap_or_default()),
    );
    if let Some(resizes) = site.resizes {
        let rate = state
            .rows
            .iter()
            .find(|row| row.id == site.id)
            .and_then(|row| row.resizes_rate);
        let rate = rate.map_or(String::new(), |rate| format!(", {rate:.1} in a second now"));
        row("resizes", format!("{}{rate}", thousands(resizes)));
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
    if let (Some(entries), Some(capacity)) = (site.entries, site.capacity) {
        row(
            "entries",
            format!("{} in room for {}", thousands(entries), thousands(capacity)),
        );
    }
    if let Some(retained) = site.retained_bytes {
        row(
            "kept",
            format!("{} more than the entries need", bytes(retained)),
        );
    }
    if site.example_tables.len() > 1 {
        row("tables", chain(&site.example_tables));
    }
    for advice in &site.advice {
        row("advice", advice.clone());
    }
    lines.push(Line::default());
    lines.push(Line::styled("Stack, innermost first", STRONG));
    for frame in &site.stack {
        let at = match (&frame.file, frame.line) {
            (Some(_), Some(_)) => format!("  {}", place(Some(&frame.caller()))),
            _ => String::new(),
        };
        let inlined = if frame.inlined { "  (inlined)" } else { "" };
        lines.push(Line::from(vec![
            Span::raw(format!("  {}", frame.function)),
            Span::styled(format!("{at}{inlined}"), FAINT),
        ]));
    }
    lines
}

/// Text without what does not fit at its end.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(3)).collect();
    kept + "..."
}
