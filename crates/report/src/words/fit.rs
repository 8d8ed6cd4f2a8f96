//! Text from a recording goes in, text that is fit to be shown comes out.

/// Text in at most `room` columns; what does not fit is cut out of its middle.
#[must_use]
pub fn fit(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room || room < 8 {
        return text.to_owned();
    }
    let kept = room - 3;
    let head: String = text.chars().take(kept / 3).collect();
    let tail: String = text.chars().skip(length - (kept - kept / 3)).collect();
    format!("{head}...{tail}")
}

/// What a recording says may hold control characters; a terminal must not obey them.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|next| if next.is_control() { '?' } else { next })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_loses_its_middle() {
        assert_eq!(fit("short", 10), "short");
        let fitted = fit("/home/someone/project/src/cache.rs:58", 20);
        assert_eq!(fitted.chars().count(), 20);
        assert!(fitted.ends_with("/cache.rs:58"), "{fitted}");
    }

    #[test]
    fn nothing_obeys_the_recording() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a?[2Jb?c");
    }
}
