//! The view as it is drawn.

use mapgrow_report::summary::Figure;
use mapgrow_report::text::units::{bytes, count, thousands, time};
use mapgrow_report::text::{live_of_all, peak_of_all, place};
use mapgrow_report::{Event, ProcessState};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};

use super::rows::{Due, Row, is_timed};
use super::site;
use super::state::{Page, State};

/// Stalls told in the head of the view.
const LAST_PAUSES: usize = 3;
/// Columns for the figures; the width of the last is that of what is in it.
const COLUMNS: [(&str, usize); 9] = [
    ("LIVE", 8),
    ("ENTRIES", 7),
    ("KEPT", 7),
    ("PEAK", 8),
    ("RESIZES", 7),
    ("ALLOC/S", 8),
    ("LAST", 7),
    ("WORST", 7),
    ("NEXT RESIZE", 11),
];
/// Numbers in [`COLUMNS`] in the order in which they give way on a narrow terminal.
const GIVE_WAY: [usize; 8] = [5, 6, 3, 1, 4, 8, 2, 7];
/// Columns that a title needs at least.
const LEAST_TITLE: usize = 30;

pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
const MARKED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws the page that the user is on.
pub fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let room = usize::from(frame.area().width);
    frame.render_widget(Paragraph::new(head_lines(state, room)), head);
    let mut hidden = Vec::new();
    match state.page {
        Page::List => hidden = list(frame, state, body),
        Page::Site(id, line) => site::draw(frame, state, id, line, body),
        Page::Help => frame.render_widget(Paragraph::new(HELP), body),
    }
    frame.render_widget(Paragraph::new(foot_line(state, &hidden, room)), foot);
}

const HELP: &str = "\
Keys
  up, down, j, k      move; PgUp, PgDn, g, G  by pages, to the ends
  Enter               the stack, tables and advice of a place; Esc  back
  l                   there: with the functions of libraries, and without
  s, S                sort by the next, the last figure
  /                   show only places with a text in their name; Esc  all of them
  p, space            let readings pass unseen, and go on
  ?, h                this page
  q, Ctrl-C           leave; the process is not disturbed

Figures
  LIVE   bytes of live tables            PEAK   the most there were at one moment
  ALLOC/S bytes of new tables            LAST, WORST  stall of a thread in a resize
  NEXT RESIZE  when the next table is due at the rate since the last reading, or at how many
               entries, and the bytes that it needs; steady: no entries were added
  ~      an estimate from samples        <=     at most so much";

fn head_lines(state: &State, room: usize) -> Vec<Line<'static>> {
    let report = &state.report;
    let name = report.process.name().unwrap_or("unknown program");
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
        .filter(|event| is_timed(event))
        .collect();
    pauses.sort_by_key(|event| std::cmp::Reverse(event.t_ns));
    let pauses: Vec<String> = pauses
        .into_iter()
        .take(LAST_PAUSES)
        .map(|event| pause(state, event, now))
        .collect();
    let resizing = report.blocks().iter().filter(|site| site.resizes > Some(0));
    let sums = [
        format!(
            "containers hold {}{}",
            live_of_all(report),
            share.unwrap_or_default()
        ),
        format!("peak {}", peak_of_all(totals)),
        format!(
            "{} at {}, {} in all",
            count(totals.resizes, "resize"),
            count(resizing.count() as u64, "place"),
            totals.pause_total_ns.map_or("?".to_owned(), time),
        ),
    ];
    vec![
        Line::from(vec![
            Span::styled(format!("{name} ({})", report.process.pid), STRONG),
            Span::raw(format!(" {status}")),
            Span::styled(paused, STRONG),
        ]),
        Line::from(fitting("", &sums, "; ", room)),
        Line::from(if pauses.is_empty() {
            "no resize yet".to_owned()
        } else {
            fitting("last stalls: ", &pauses, "; ", room)
        }),
        Line::default(),
    ]
}

/// `57 ms at src/cache.rs:58 3 s ago`.
fn pause(state: &State, event: &Event, now: Option<u64>) -> String {
    let took = event.pause_ns.map_or("?".to_owned(), time);
    let site = state
        .report
        .blocks()
        .iter()
        .find(|site| event.site.is_some_and(|id| site.has(id)));
    let at = site.map_or("an unknown place".to_owned(), |site| {
        place(site.caller.as_ref())
    });
    let ago = now
        .zip(event.t_ns)
        .map(|(now, then)| now.saturating_sub(then));
    let ago = ago.map_or(String::new(), |ago| format!(" {} ago", time(ago)));
    format!("{took} at {at}{ago}")
}

/// As many of the parts as fit, whole ones from the first on; the first, if need be, cut.
fn fitting(head: &str, parts: &[String], between: &str, room: usize) -> String {
    let mut line = head.to_owned();
    for (at, part) in parts.iter().enumerate() {
        let between = if at == 0 { "" } else { between };
        let length = [&line, between, part].map(|text| text.chars().count());
        if at > 0 && length.iter().sum::<usize>() > room {
            break;
        }
        line.push_str(between);
        line.push_str(part);
    }
    cut(&line, room)
}

/// What is shown and what keys do; `hidden` are the columns for which there is no room.
fn foot_line(state: &State, hidden: &[&str], room: usize) -> Line<'static> {
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
    let mut parts: Vec<String> = match state.page {
        Page::List => {
            let shown = format!(
                "by {}{filter}  {} shown ",
                state.order.name(),
                state.rows.len()
            );
            let keys = ["? help", "q quit"].map(str::to_owned);
            [shown].into_iter().chain(keys).collect()
        }
        Page::Site(..) => [
            "Esc back",
            "l libraries",
            "up, down scroll",
            "p pause",
            "q quit",
            "? help",
        ]
        .map(str::to_owned)
        .into(),
        Page::Help => ["? back", "q quit"].map(str::to_owned).into(),
    };
    if state.page == Page::List {
        if !hidden.is_empty() {
            parts.push(format!("no room: {}", hidden.join(", ")));
        }
        parts.extend(["Enter stack", "s sort", "/ filter", "p pause"].map(str::to_owned));
    }
    Line::styled(fitting("", &parts, "  ", room), FAINT)
}

/// Draws the list; the names of the columns for which there is no room.
fn list(frame: &mut Frame<'_>, state: &mut State, area: Rect) -> Vec<&'static str> {
    state.height = usize::from(area.height.saturating_sub(1)).max(1);
    if state.rows.is_empty() {
        let text = match (state.filter.as_str(), state.report.sites.is_empty()) {
            (_, true) => "No container has been seen yet.",
            _ => "No place has that text in its name; Esc shows all.",
        };
        frame.render_widget(Paragraph::new(text), area);
        return Vec::new();
    }
    let cells: Vec<[String; 9]> = state.rows.iter().map(figures).collect();
    let width = |column: usize| {
        let (_, least) = COLUMNS[column];
        let longest = cells.iter().map(|row| row[column].chars().count()).max();
        longest.unwrap_or(0).max(least)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let room = usize::from(area.width);
    let mut shown: Vec<usize> = (0..COLUMNS.len()).collect();
    let taken = |shown: &[usize]| shown.iter().map(|&at| widths[at] + 1).sum::<usize>();
    for gone in GIVE_WAY {
        if taken(&shown) + LEAST_TITLE > room {
            shown.retain(|&at| at != gone);
        }
    }
    let title_width = room.saturating_sub(taken(&shown));
    let constraints = shown
        .iter()
        .map(|&at| widths[at])
        .chain([title_width])
        .map(|width| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX)));
    let right = |text: &str, at: usize| Cell::from(format!("{text:>width$}", width = widths[at]));
    let header = shown.iter().map(|&at| right(COLUMNS[at].0, at));
    let header = TableRow::new(header.chain([Cell::from("PLACE")])).style(STRONG);
    let rows = state.rows.iter().zip(&cells).map(|(row, cells)| {
        let cells = shown.iter().map(|&at| right(&cells[at], at));
        let title = cut(&row.label, title_width);
        TableRow::new(cells.chain([Cell::from(title)]).collect::<Vec<_>>())
    });
    let table = Table::new(rows, constraints)
        .header(header)
        .row_highlight_style(MARKED);
    let mut cursor = TableState::default().with_selected(Some(state.at()));
    frame.render_stateful_widget(table, area, &mut cursor);
    let hidden = (0..COLUMNS.len()).filter(|at| !shown.contains(at));
    hidden.map(|at| COLUMNS[at].0).collect()
}

fn figures(row: &Row) -> [String; 9] {
    let unknown = || "?".to_owned();
    let figures = &row.figures;
    let told = |figure: Option<Figure>, show: fn(u64) -> String| {
        figure.map_or_else(unknown, |figure| figure.brief(show))
    };
    let next = row.next.as_ref().map(|next| {
        let when = match next.due {
            Due::In(ns) => format!("{}, ", time(ns)),
            Due::At(entries) => format!("at {}, ", thousands(entries)),
            Due::Steady => "steady, ".to_owned(),
            Due::Unknown => String::new(),
        };
        format!("{when}{}", bytes(next.needs_bytes))
    });
    [
        told(Some(figures.live_bytes), bytes),
        told(figures.entries, thousands),
        told(figures.retained_bytes, bytes),
        told(figures.peak_bytes, bytes),
        told(figures.resizes, thousands),
        match row.allocated_rate {
            None => String::new(),
            Some(rate) if rate < 1.0 => "-".to_owned(),
            Some(rate) => bytes(rate as u64),
        },
        row.last_pause
            .map_or("-".to_owned(), |(pause, _)| time(pause)),
        row.max_pause.map_or("-".to_owned(), time),
        match next {
            None if figures.live_bytes.value == 0 => "-".to_owned(),
            next => next.unwrap_or_else(unknown),
        },
    ]
}

/// Text without what does not fit at its end.
pub(super) fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(3)).collect();
    kept + "..."
}
