//! What the user chose to see, and what keys change of it.

use std::time::Instant;

use mapgrow_report::summary::Figure;
use mapgrow_report::{Report, Site};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::feed::Reading;
use super::rows::{Before, Due, Row, rows};

/// What comes first in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Live,
    Peak,
    Resizes,
    Rate,
    LastPause,
    MaxPause,
    Next,
}

impl Order {
    const ALL: [Order; 7] = [
        Order::Live,
        Order::Peak,
        Order::Resizes,
        Order::Rate,
        Order::LastPause,
        Order::MaxPause,
        Order::Next,
    ];

    /// Its name, as the view tells it.
    pub fn name(self) -> &'static str {
        match self {
            Order::Live => "live",
            Order::Peak => "peak",
            Order::Resizes => "resizes",
            Order::Rate => "allocation rate",
            Order::LastPause => "last stall",
            Order::MaxPause => "worst stall",
            Order::Next => "next resize",
        }
    }

    fn key(self, row: &Row) -> u64 {
        let value = |figure: Option<Figure>| figure.map_or(0, |figure| figure.value);
        match self {
            Order::Live => row.figures.live_bytes.value,
            Order::Peak => value(row.figures.peak_bytes),
            Order::Resizes => value(row.figures.resizes),
            Order::Rate => row.allocated_rate.unwrap_or(0.0) as u64,
            Order::LastPause => row.last_pause.map_or(0, |(pause, _)| pause),
            Order::MaxPause => row.max_pause.unwrap_or(0),
            // The soonest first.
            Order::Next => row.next.map_or(0, |next| match next.due {
                Due::In(ns) => u64::MAX - ns,
                Due::At(_) => 3,
                Due::Steady => 2,
                Due::Unknown => 1,
            }),
        }
    }
}

/// Which page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    List,
    /// One site, and by how many lines it is scrolled.
    Site(u32, u16),
    Help,
}

/// What comes after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Stay,
    Quit,
}

/// The view's state.
pub struct State {
    /// The reading that is shown.
    pub report: Box<Report>,
    /// Its rows, in order, without those that the filter hides.
    pub rows: Vec<Row>,
    all: Vec<Row>,
    before: Option<Before>,
    /// What comes first.
    pub order: Order,
    /// Only sites with this in their title or function are shown.
    pub filter: String,
    /// Whether the filter is being typed.
    pub typing: bool,
    /// Whether readings are let pass unseen.
    pub paused: bool,
    /// Whether the process has ended.
    pub ended: bool,
    /// The page.
    pub page: Page,
    /// Site that the cursor is on: it stays there when the order changes.
    pub cursor: Option<u32>,
    /// Whether a stack is shown with the functions of libraries.
    pub libraries: bool,
    /// Rows that fit the screen, as of the last drawing.
    pub height: usize,
}

impl State {
    /// The view of a first reading.
    pub fn new(report: Box<Report>, at: Instant) -> State {
        let mut state = State {
            rows: Vec::new(),
            all: rows(&report, at, None),
            before: Some(Before::of(&report, at)),
            report,
            order: Order::Live,
            filter: String::new(),
            typing: false,
            paused: false,
            ended: false,
            page: Page::List,
            cursor: None,
            libraries: false,
            height: 10,
        };
        state.arrange();
        state
    }

    /// Takes a reading in.
    pub fn take(&mut self, reading: Reading) {
        match reading {
            Reading::Ended => self.ended = true,
            Reading::Report(..) if self.paused => {}
            Reading::Report(report, at) => {
                self.show(report, at);
            }
        }
    }

    fn show(&mut self, report: Box<Report>, at: Instant) {
        self.all = rows(&report, at, self.before.as_ref());
        self.before = Some(Before::of(&report, at));
        self.report = report;
        self.arrange();
    }

    /// Filters and sorts again.
    fn arrange(&mut self) {
        let wanted = self.filter.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&wanted);
        let shown = |row: &&Row| holds(&row.title) || holds(&row.function);
        self.rows = self.all.iter().filter(shown).cloned().collect();
        self.rows
            .sort_by_key(|row| std::cmp::Reverse(self.order.key(row)));
        if !self.rows.iter().any(|row| Some(row.id) == self.cursor) {
            self.cursor = self.rows.first().map(|row| row.id);
        }
    }

    /// Row that the cursor is on.
    pub fn at(&self) -> usize {
        let at = self.rows.iter().position(|row| Some(row.id) == self.cursor);
        at.unwrap_or(0)
    }

    /// A site of the report.
    pub fn site(&self, id: u32) -> Option<&Site> {
        self.report.blocks().iter().find(|site| site.id == id)
    }

    /// Does what a key asks for.
    pub fn key(&mut self, key: KeyEvent) -> Next {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') {
            return Next::Quit;
        }
        if self.typing {
            self.edit_filter(key.code);
            return Next::Stay;
        }
        match (key.code, self.page) {
            (KeyCode::Char('q'), _) => return Next::Quit,
            (KeyCode::Char('?' | 'h') | KeyCode::F(1), page) => {
                self.page = if page == Page::Help {
                    Page::List
                } else {
                    Page::Help
                };
            }
            (KeyCode::Char('p' | ' '), _) => self.paused = !self.paused,
            (KeyCode::Esc | KeyCode::Backspace | KeyCode::Left, Page::Site(..) | Page::Help) => {
                self.page = Page::List;
            }
            (KeyCode::Esc, Page::List) => {
                self.filter.clear();
                self.arrange();
            }
            (KeyCode::Char('l'), Page::Site(..)) => self.libraries = !self.libraries,
            (code, Page::Site(id, line)) => self.page = Page::Site(id, scrolled(code, line)),
            (code, Page::List) => self.list_key(code),
            (_, Page::Help) => {}
        }
        Next::Stay
    }

    fn list_key(&mut self, code: KeyCode) {
        let step = |order: Order, by: usize| {
            let at = Order::ALL.iter().position(|one| *one == order).unwrap_or(0);
            Order::ALL[(at + by) % Order::ALL.len()]
        };
        match code {
            KeyCode::Char('s' | '>') => self.order = step(self.order, 1),
            KeyCode::Char('S' | '<') => self.order = step(self.order, Order::ALL.len() - 1),
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-(self.height as isize)),
            KeyCode::PageDown => self.step(self.height as isize),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Enter | KeyCode::Right => {
                if let Some(id) = self.cursor {
                    self.page = Page::Site(id, 0);
                }
            }
            _ => {}
        }
        self.arrange();
    }

    fn edit_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) if self.filter.len() < 100 => self.filter.push(letter),
            _ => {}
        }
        self.arrange();
    }

    fn step(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        let to = self.at().saturating_add_signed(by).min(last);
        self.cursor = self.rows.get(to).map(|row| row.id);
    }
}

fn scrolled(code: KeyCode, line: u16) -> u16 {
    match code {
        KeyCode::Up | KeyCode::Char('k') => line.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => line.saturating_add(1),
        KeyCode::PageUp => line.saturating_sub(10),
        KeyCode::PageDown => line.saturating_add(10),
        KeyCode::Home | KeyCode::Char('g') => 0,
        _ => line,
    }
}
