//! Escapes text for terminals. Text of a service, a file or a caller cannot move the cursor, change colours or reorder
//! the displayed words.

/// Escapes control characters, bidi controls and line separators in a message, as in `\u{1b}`. A tab stays. A line end
/// becomes `\n`, so that a message is one line.
pub fn text(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for letter in line.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\t' => out.push(letter),
            _ if letter < ' ' || is_invisible_control(letter) => out.extend(letter.escape_unicode()),
            _ => out.push(letter),
        }
    }
    out
}

/// Escapes the same characters in JSON, as in `\u009b`, which parsers decode to the same character. They occur only
/// inside strings, where JSON already escapes the other control characters.
pub fn json(line: String) -> String {
    if !line.contains(is_invisible_control) {
        return line;
    }
    let mut out = String::with_capacity(line.len() + 16);
    for letter in line.chars() {
        match is_invisible_control(letter) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => out.push(letter),
        }
    }
    out
}

/// DEL, C1 controls, bidi controls (UAX #9), and the separators of lines and paragraphs.
fn is_invisible_control(letter: char) -> bool {
    matches!(letter,
        '\u{7f}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_escapes_control_characters() {
        assert_eq!(text("a\u{1b}[31mb\u{9b}31m\u{7f}\0\r"), "a\\u{1b}[31mb\\u{9b}31m\\u{7f}\\u{0}\\u{d}");
        assert_eq!(
            text("x\u{202e}y\u{2066}z\u{61c}\u{200f}\u{2028}"),
            "x\\u{202e}y\\u{2066}z\\u{61c}\\u{200f}\\u{2028}"
        );
        assert_eq!(text("one\ttwo\nthree"), "one\ttwo\\nthree");
        assert_eq!(text("Müdafiə 東京 🕊 می\u{200c}خواهم"), "Müdafiə 東京 🕊 می\u{200c}خواهم");
    }

    proptest! {
        #[test]
        fn json_keeps_its_value_when_escaped(value in "\\PC{0,8}[\u{7f}-\u{9f}\u{2028}-\u{202e}\u{2066}-\u{2069}\u{61c}a\"\\\\]{0,8}") {
            let line = json(serde_json::to_string(&value).expect("a string"));
            prop_assert_eq!(serde_json::from_str::<String>(&line).expect("JSON"), value);
            prop_assert!(!line.contains(is_invisible_control));
        }
    }
}
