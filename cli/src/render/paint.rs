//! Colours, where they are wanted.

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Like most text.
    Plain,
    /// What to read first.
    Strong,
    /// What can be skipped.
    Faint,
    /// What is worse than it was.
    Bad,
    /// What is better.
    Good,
}

/// The text in its tone.
pub fn paint(text: &str, tone: Tone, color: bool) -> String {
    if !color || text.is_empty() {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Strong => "1",
        Tone::Faint => "2",
        Tone::Bad => "31",
        Tone::Good => "32",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Text broken at spaces into lines of at most `width` columns, all but the first indented.
pub fn wrap(text: &str, width: usize, hang: usize) -> String {
    let words = text.trim_start_matches(' ');
    let mut columns = text.len() - words.len();
    let mut page = " ".repeat(columns);
    let mut first = true;
    for word in words.split(' ') {
        let length = word.chars().count();
        if std::mem::take(&mut first) {
            page.push_str(word);
            columns += length;
            continue;
        }
        if columns > hang && columns + 1 + length > width {
            page.push('\n');
            page.push_str(&" ".repeat(hang));
            columns = hang;
        } else {
            page.push(' ');
            columns += 1;
        }
        page.push_str(word);
        columns += length;
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_indentation() {
        assert_eq!(
            wrap("  - one two three", 9, 4),
            "  - one\n    two\n    three"
        );
        assert_eq!(wrap("one two", 20, 4), "one two");
    }
}
