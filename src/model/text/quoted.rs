//! Quotes a value from a request for an error message or a log: shortened, and without control characters.

use std::fmt::Write;

/// Maximum length of a quotation in bytes, escapes included.
const MAX_BYTES: usize = 80;

/// The value in double quotes. Control and invisible characters are escaped; a long value is cut and ends with "…".
pub fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in value.chars() {
        let before = quoted.len();
        let _ = match letter {
            // An apostrophe needs no escape between quotes.
            '\'' => write!(quoted, "'"),
            letter => write!(quoted, "{}", letter.escape_debug()),
        };
        if quoted.len() > MAX_BYTES {
            quoted.truncate(before);
            quoted.push('…');
            break;
        }
    }
    quoted.push('"');
    quoted
}

/// The value, cut after at most this many bytes; a cut value ends with "…".
pub fn shortened(value: &str, max_bytes: usize) -> String {
    match value.floor_char_boundary(max_bytes) {
        end if end == value.len() => value.to_owned(),
        end => format!("{}…", &value[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_value_is_escaped_and_shortened() {
        for (value, expected) in [
            ("", r#""""#),
            ("Kərim's", r#""Kərim's""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\u{1b}[31m\0\n\u{9b}", r#""\u{1b}[31m\0\n\u{9b}""#),
            ("\u{202e}gnp", r#""\u{202e}gnp""#),
        ] {
            assert_eq!(quoted(value), expected);
        }
        assert_eq!(quoted(&"x".repeat(1_000)), format!("\"{}…\"", "x".repeat(79)));
        for letter in ["é", "東", "🕊", "\u{10fffe}", "\""] {
            let quoted = quoted(&letter.repeat(1_000));
            assert!(quoted.len() <= MAX_BYTES + 4 && quoted.ends_with("…\""), "{quoted}");
        }
    }
}
