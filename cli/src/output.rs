//! The terminal: what it can show, and writing to it.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};

use crate::failure::{Failure, plain};

/// Columns when the output is no terminal.
const PIPE_WIDTH: usize = 100;
/// A terminal narrower than this gets lines that it has to wrap.
const LEAST_WIDTH: usize = 40;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    fn wanted(self) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => colorful(io::stdout().is_terminal()),
        }
    }
}

/// How text is laid out: what all verbs that print a page of it take.
#[derive(Debug, Args)]
pub struct Look {
    /// Columns to fit into [default: those of the terminal, 100 in a pipe]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

impl Look {
    /// Columns to fit into.
    pub fn columns(&self) -> usize {
        let terminal =
            || terminal_size::terminal_size_of(io::stdout()).map(|(w, _)| usize::from(w.0));
        self.width
            .or_else(terminal)
            .unwrap_or(PIPE_WIDTH)
            .max(LEAST_WIDTH)
    }

    /// Whether standard output gets colours.
    pub fn colors(&self) -> bool {
        self.color.wanted()
    }
}

/// Columns of the terminal that standard error goes to.
pub fn stderr_width() -> usize {
    terminal_size::terminal_size_of(io::stderr())
        .map_or(PIPE_WIDTH, |(width, _)| usize::from(width.0))
        .max(LEAST_WIDTH)
}

/// Whether standard error gets colours.
pub fn stderr_color() -> bool {
    colorful(io::stderr().is_terminal())
}

fn colorful(terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    terminal && !set("NO_COLOR") && !dumb
}

/// Writes to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    write_with(|out| out.write_all(text.as_bytes()))
}

/// Lets `write` write to standard output.
pub fn write_with(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::new(format!(
            "cannot write the output: {}; check where it is redirected to",
            plain(&error)
        )),
    })
}

/// A length of time for people, its two largest units.
pub fn age(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m{rest:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        (_, _, _) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        for (seconds, expected) in [
            (5, "5s"),
            (65, "1m05s"),
            (7_260, "2h01m"),
            (90_000, "1d01h"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }
}
