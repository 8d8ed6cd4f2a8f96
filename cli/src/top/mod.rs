//! The live view: what a recorded process does now, read from its recording.

mod feed;
mod readings;
mod rows;
mod site;
mod state;
mod view;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::failure::{Failure, plain};
use feed::Feed;
pub use readings::{Reading, Readings};
use state::{Next, State};

/// How long a key is waited for before the view looks for a new reading.
const LOOK: Duration = Duration::from_millis(100);

/// Shows the view until the user leaves it.
pub fn top(source: &Path, every: Duration) -> Result<(), Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new(
            "top needs a terminal: use `mapgrow report` for text or JSON",
        ));
    }
    let feed = Feed::start(source, every);
    // The first reading comes before the screen changes: what is wrong is told in the open.
    let (report, at) = feed.first()?;
    let mut state = State::new(report, at);
    let mut terminal = ratatui::try_init().map_err(cannot_show)?;
    let outcome = show(&mut terminal, &mut state, &feed);
    ratatui::restore();
    outcome.map_err(cannot_show)
}

fn cannot_show(error: io::Error) -> Failure {
    Failure::new(format!("cannot use the terminal: {}", plain(&error)))
}

fn show(terminal: &mut ratatui::DefaultTerminal, state: &mut State, feed: &Feed) -> io::Result<()> {
    loop {
        while let Some(reading) = feed.latest() {
            state.take(reading);
        }
        terminal.draw(|frame| view::draw(frame, state))?;
        if !event::poll(LOOK)? {
            continue;
        }
        // A changed size needs no more than the next drawing.
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && state.key(key) == Next::Quit
        {
            return Ok(());
        }
    }
}
