//! What the providers' reports share: text that was recorded is untrusted wherever it is shown.

use std::borrow::Cow;

/// `text` for a place in HTML, between tags or in a quoted attribute.
pub(crate) fn escape_html(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'', '\0']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\0' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// `text` on one line: a control character, or one that turns the direction of writing, becomes a visible stand-in.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().any(|character| stand_in(character).is_some()) {
        let shown = text.chars().map(|character| stand_in(character).unwrap_or(character));
        Cow::Owned(shown.collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// What is shown in place of a character that would break a line, or rearrange it.
pub(crate) fn stand_in(character: char) -> Option<char> {
    match character {
        // The control pictures stand in the order of the characters that they picture.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)),
        '\u{7f}' => Some('\u{2421}'),
        '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => Some('\u{fffd}'),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some('\u{fffd}'),
        _ => None,
    }
}

/// The first `most` characters of `text`, and `...` where it has more.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_in_html_is_left() {
        assert_eq!(escape_html("plain"), "plain");
        assert_eq!(
            escape_html("<img src=x onerror='a(\"&\")'>\0"),
            "&lt;img src=x onerror=&#39;a(&quot;&amp;&quot;)&#39;&gt;\u{fffd}"
        );
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(one_line("a\nb\tc\u{7f}\u{85}\u{202e}d"), "a␊b␉c␡\u{fffd}\u{fffd}d");
        assert!(matches!(one_line("é 日本 🎉"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_cut_counts_characters_and_keeps_what_fits() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü ", 3), "äöü...");
        assert_eq!(cut("", 0), "");
    }
}
