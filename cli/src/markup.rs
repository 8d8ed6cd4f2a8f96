//! Text in HTML and SVG.

/// Text that is no markup, whatever it has: in an element, or as the value of an attribute.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for next in text.chars() {
        match next {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to say these.
            control if control.is_control() => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(
            escaped("</title><img src='x' onerror=\"&\">\u{7}"),
            "&lt;/title&gt;&lt;img src=&#39;x&#39; onerror=&quot;&amp;&quot;&gt;?"
        );
    }
}
