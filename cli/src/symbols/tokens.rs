//! Rust's source as words and marks.

/// A word or a mark of Rust's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A name or a keyword.
    Word(&'a str),
    /// A single character of punctuation.
    Mark(u8),
}

/// The words and marks of a text; comments, strings and characters are left out.
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// Line of what was read last.
    pub line: u32,
    /// Where the last token began.
    pub start: usize,
}

impl<'a> Tokens<'a> {
    /// From the beginning on.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            start: 0,
        }
    }

    /// What was not read yet.
    pub fn ahead(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.text.len());
        let lines = self.text.as_bytes()[self.at..end].iter();
        self.line += lines.filter(|&&byte| byte == b'\n').count() as u32;
        self.at = end;
    }

    /// The next one.
    pub fn read(&mut self) -> Option<Token<'a>> {
        loop {
            let ahead = &self.text.as_bytes()[self.at..];
            let &byte = ahead.first()?;
            let left_out = match byte {
                b'/' if ahead.starts_with(b"//") => until(ahead, 2, b"\n"),
                b'/' if ahead.starts_with(b"/*") => comment(ahead),
                b'"' => string(ahead),
                b'\'' => character(ahead),
                byte if is_word(byte) => {
                    let length = ahead.iter().take_while(|&&byte| is_word(byte)).count();
                    let after = &ahead[length..];
                    let word = &ahead[..length];
                    match (word, raw_string(after)) {
                        (b"r" | b"br" | b"cr", Some(raw)) => length + raw,
                        (b"b" | b"c", _) if after.starts_with(b"\"") => length + string(after),
                        (b"b", _) if after.starts_with(b"'") => length + character(after),
                        // A raw identifier.
                        (b"r", None) if after.starts_with(b"#") => length + 1,
                        _ => {
                            self.start = self.at;
                            self.skip(length);
                            // Bytes of words are whole characters: those from 128 on count.
                            return Some(Token::Word(&self.text[self.start..self.at]));
                        }
                    }
                }
                byte if byte.is_ascii_whitespace() => 1,
                mark => {
                    self.start = self.at;
                    self.skip(1);
                    return Some(Token::Mark(mark));
                }
            };
            self.skip(left_out);
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128
}

/// Bytes up to and with `end`, which is looked for from `from` on.
fn until(text: &[u8], from: usize, end: &[u8]) -> usize {
    let rest = &text[from.min(text.len())..];
    let found = rest.windows(end.len()).position(|window| window == end);
    found.map_or(text.len(), |at| from + at + end.len())
}

fn comment(text: &[u8]) -> usize {
    let (mut at, mut nested) = (2, 1usize);
    while at < text.len() && nested > 0 {
        match &text[at..] {
            [b'*', b'/', ..] => (at, nested) = (at + 2, nested - 1),
            [b'/', b'*', ..] => (at, nested) = (at + 2, nested + 1),
            _ => at += 1,
        }
    }
    at
}

fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// From the marks after the `r` on.
fn raw_string(text: &[u8]) -> Option<usize> {
    let marks = text.iter().take_while(|&&byte| byte == b'#').count();
    if text.get(marks) != Some(&b'"') {
        return None;
    }
    let end: Vec<u8> = std::iter::once(b'"')
        .chain(std::iter::repeat_n(b'#', marks))
        .collect();
    Some(until(text, marks + 1, &end))
}

/// A character, or the quote of a lifetime.
fn character(text: &[u8]) -> usize {
    match text.get(1) {
        Some(b'\\') => until(text, 3, b"'"),
        Some(&first) => {
            let width = match first {
                0..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            match text.get(1 + width) {
                Some(b'\'') => width + 2,
                _ => 1,
            }
        }
        None => 1,
    }
}
