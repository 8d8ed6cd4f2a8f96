//! Text of bounded length, for paths and messages.

use core::ffi::CStr;

/// A byte string of bounded length that is built in place: paths and messages.
/// What does not fit is cut and remembered in `cut`.
#[derive(Clone)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    pub(super) cut: bool,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
            cut: false,
        }
    }

    /// Appends bytes; one place is kept for the terminating NUL.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            match self.bytes.get_mut(self.len) {
                Some(place) if self.len + 1 < N => *place = byte,
                _ => {
                    self.cut = true;
                    return self;
                }
            }
            self.len += 1;
        }
        self
    }

    /// Appends bytes that come from elsewhere: whatever is no plain text is shown as `?`.
    pub fn push_plain(&mut self, bytes: &[u8]) -> &mut Self {
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                let character = if character.is_control() {
                    '?'
                } else {
                    character
                };
                self.push(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            if !chunk.invalid().is_empty() {
                self.push(b"?");
            }
        }
        self
    }

    /// Appends a decimal number.
    pub fn push_decimal(&mut self, mut value: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        let digits = digits;
        self.push(&digits[at..])
    }

    /// Appends 16 hexadecimal digits.
    pub fn push_hex(&mut self, value: u64) -> &mut Self {
        for shift in (0..16).rev() {
            let digit = ((value >> (shift * 4)) & 15) as usize;
            self.push(&b"0123456789abcdef"[digit..=digit]);
        }
        self
    }

    /// Empties the text, to be built anew.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Shortens the text to its first `len` bytes; these are whole, whatever was cut behind
    /// them.
    pub fn truncate(&mut self, len: usize) {
        if self.len >= len {
            self.cut = false;
        }
        while self.len > len {
            self.len -= 1;
            self.bytes[self.len] = 0;
        }
    }

    /// What was built so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The text as a C string; `None` when it was cut or holds a NUL.
    pub fn as_c_str(&self) -> Option<&CStr> {
        if self.cut {
            return None;
        }
        CStr::from_bytes_with_nul(self.bytes.get(..=self.len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_not_overrun() {
        let mut text = Text::<8>::new();
        text.push(b"abc").push_decimal(1234);
        assert_eq!(text.as_bytes(), b"abc1234");
        assert_eq!(text.as_c_str(), Some(c"abc1234"));
        text.push(b"x");
        assert_eq!(text.as_c_str(), None);
    }

    #[test]
    fn a_text_that_was_cut_can_be_built_anew() {
        let mut text = Text::<8>::new();
        text.push(b"much too long");
        assert_eq!(text.as_c_str(), None);
        text.truncate(0);
        text.push(b"short");
        assert_eq!(text.as_c_str(), Some(c"short"));
    }

    #[test]
    fn what_comes_from_elsewhere_is_shown_plainly() {
        let mut text = Text::<64>::new();
        text.push_plain("a\u{1b}[31m\nb\u{85}é".as_bytes())
            .push_plain(b"\xff\xfez");
        assert_eq!(text.as_bytes(), "a?[31m?b?é??z".as_bytes());
    }

    #[test]
    fn numbers_read_back() {
        let mut text = Text::<64>::new();
        text.push_decimal(0)
            .push(b" ")
            .push_decimal(u64::MAX)
            .push(b" ")
            .push_hex(0xab);
        assert_eq!(text.as_bytes(), b"0 18446744073709551615 00000000000000ab");
    }
}
