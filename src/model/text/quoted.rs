//! How an error shows a value that was sent: in quotes, shortened, and without characters that a terminal obeys.

use std::fmt::Write;

/// Bytes of a value that are shown, escapes included.
const MOST_BYTES: usize = 80;

/// The value in quotes. Control characters and others that cannot be seen are escaped, and a long value ends with "…".
pub fn shown(value: &str) -> String {
    let mut shown = String::from("\"");
    for letter in value.chars() {
        let before = shown.len();
        let _ = match letter {
            // An apostrophe needs no escape between quotes.
            '\'' => write!(shown, "'"),
            letter => write!(shown, "{}", letter.escape_debug()),
        };
        if shown.len() > MOST_BYTES {
            shown.truncate(before);
            shown.push('…');
            break;
        }
    }
    shown.push('"');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_shown_in_quotes_and_shortened() {
        for (value, expected) in [
            ("", r#""""#),
            ("Kərim's", r#""Kərim's""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\u{1b}[31m\0\n\u{9b}", r#""\u{1b}[31m\0\n\u{9b}""#),
            ("\u{202e}gnp", r#""\u{202e}gnp""#),
        ] {
            assert_eq!(shown(value), expected);
        }
        assert_eq!(shown(&"x".repeat(1_000)), format!("\"{}…\"", "x".repeat(79)));
        for letter in ["é", "東", "🕊", "\u{10fffe}", "\""] {
            let shown = shown(&letter.repeat(1_000));
            assert!(shown.len() <= MOST_BYTES + 4 && shown.ends_with("…\""), "{shown}");
        }
    }
}
