//! Lines of text fitted to a width.

/// Columns of labels before the text of a row.
const LABEL: usize = 10;
/// Narrower than this nothing can be read.
const MIN_WIDTH: usize = 40;

/// How a line stands out where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// What to read first.
    Strong,
    /// What can be skipped.
    Faint,
}

/// Text being written.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    width: usize,
    color: bool,
}

impl Page {
    pub fn new(width: usize, color: bool) -> Self {
        Self {
            text: String::new(),
            width: width.max(MIN_WIDTH),
            color,
        }
    }

    pub fn finish(self) -> String {
        self.text
    }

    /// A page like this one, with nothing on it.
    pub fn another(&self) -> Self {
        Self::new(self.width, self.color)
    }

    /// Lines so far.
    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Adds what is on another page.
    pub fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
    }

    /// Columns of a line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Columns for the text of a row.
    pub fn room(&self) -> usize {
        self.width - 4 - LABEL
    }

    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A paragraph from the left margin; further lines are indented by `hang`.
    pub fn paragraph(&mut self, text: &str, hang: usize, style: Style) {
        for (index, line) in wrap(text, self.width, hang).into_iter().enumerate() {
            let indent = if index == 0 { 0 } else { hang };
            self.text.push_str(&" ".repeat(indent));
            self.styled(&line, style);
            self.text.push('\n');
        }
    }

    /// A label and its text, below the title of a block.
    pub fn row(&mut self, label: &str, text: &str) {
        for (index, line) in wrap(text, self.room(), 0).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.text.push_str("    ");
            self.styled(&format!("{label:<LABEL$}"), Style::Faint);
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// A label and text that is not to be broken, however wide.
    pub fn picture(&mut self, label: &str, text: &str) {
        self.text.push_str("    ");
        self.styled(&format!("{label:<LABEL$}"), Style::Faint);
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn styled(&mut self, text: &str, style: Style) {
        let code = match style {
            _ if !self.color => None,
            Style::Plain => None,
            Style::Strong => Some("1"),
            Style::Faint => Some("2"),
        };
        match code {
            Some(code) => {
                self.text.push_str("\x1b[");
                self.text.push_str(code);
                self.text.push('m');
                self.text.push_str(text);
                self.text.push_str("\x1b[0m");
            }
            None => self.text.push_str(text),
        }
    }
}

/// Breaks text at spaces. Lines after the first have room for `hang` columns less. A word that
/// fits no line stands alone.
fn wrap(text: &str, width: usize, hang: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    for word in words(text) {
        let room = if lines.is_empty() {
            width
        } else {
            width.saturating_sub(hang)
        };
        let length = word.chars().count();
        if columns > 0 && columns + 1 + length > room {
            lines.push(std::mem::take(&mut line));
            columns = 0;
        } else if columns > 0 {
            line.push(' ');
            columns += 1;
        }
        line.push_str(word);
        columns += length;
    }
    lines.push(line);
    lines
}

/// The words of a text, where a figure and its unit are one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    const UNITS: [&str; 15] = [
        "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ns", "us", "ms", "s", "min", "h", "%", "+-",
    ];
    let is_unit = |word: &str| {
        let bare = word.trim_end_matches([',', '.', ';', ':', ')']);
        UNITS.contains(&bare)
    };
    let ends = text
        .match_indices(' ')
        .map(|(at, _)| at)
        .filter(move |&at| {
            let (before, after) = (&text[..at], &text[at + 1..]);
            let figure = before.ends_with(|last: char| last.is_ascii_digit());
            !(figure && is_unit(after.split(' ').next().unwrap_or("")))
        });
    let mut start = 0;
    ends.chain([text.len()]).map(move |end| {
        let word = &text[start..end];
        start = end + 1;
        word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7, 0), ["one two", "three"]);
        assert_eq!(wrap("one two three", 8, 4), ["one two", "three"]);
        assert_eq!(wrap("a longlonglong b", 4, 0), ["a", "longlonglong", "b"]);
        assert_eq!(wrap("", 10, 0), [""]);
        assert_eq!(
            wrap("held 147 MiB, then 3 ms.", 9, 0),
            ["held", "147 MiB,", "then", "3 ms."]
        );
    }
}
