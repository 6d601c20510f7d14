//! Finds HTML markup in texts that are to be plain: elements, comments and character references.

/// Elements that occur in the text of web pages.
const ELEMENTS: [&str; 61] = [
    "a",
    "abbr",
    "article",
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "font",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "ins",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "script",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
];

/// Named character references that occur in such texts, besides those of accented letters.
const REFERENCES: [&str; 33] = [
    "amp", "apos", "bdquo", "bull", "cent", "copy", "deg", "euro", "frac12", "gt", "hellip", "laquo", "ldquo", "lsquo",
    "lt", "mdash", "middot", "nbsp", "ndash", "ordf", "ordm", "para", "pound", "quot", "raquo", "rdquo", "reg",
    "rsquo", "sbquo", "sect", "shy", "times", "trade",
];

/// The ends of the names of accented letters, after the letter.
const ACCENTS: [&str; 10] = ["acute", "caron", "cedil", "circ", "grave", "lig", "ring", "slash", "tilde", "uml"];

/// The first markup of a text: `<b>`, `<a href="…">`, `<!--` or `&amp;`. `None` for `a < b`, `AT&T` and other text in which
/// these characters stand for themselves.
pub fn first_markup(text: &str) -> Option<&str> {
    let starts = text.char_indices().filter(|(_, letter)| matches!(letter, '<' | '&'));
    starts
        .map(|(at, _)| &text[at..])
        .find_map(|rest| if rest.starts_with('<') { element(rest) } else { reference(rest) })
}

fn element(text: &str) -> Option<&str> {
    if text.starts_with("<!--") {
        return text.get(..4);
    }
    let inner = text.strip_prefix("</").or_else(|| text.strip_prefix('<'))?;
    let name_length = inner.find(|letter: char| !letter.is_ascii_alphanumeric())?;
    let (name, rest) = inner.split_at(name_length);
    let end = rest.find(['>', '<']).filter(|end| rest[*end..].starts_with('>'))?;
    let attributes = rest[..end].trim().trim_end_matches('/');
    // Without a value between, a comparison: "i <b and c> d".
    let is_element = attributes.is_empty() || (rest.starts_with(char::is_whitespace) && attributes.contains('='));
    let is_known = ELEMENTS.iter().any(|element| element.eq_ignore_ascii_case(name));
    (is_element && is_known).then(|| &text[..text.len() - rest.len() + end + 1])
}

fn reference(text: &str) -> Option<&str> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let is_number = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let is_reference = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => is_number(digits, 16),
            None => is_number(number, 10),
        },
        None => REFERENCES.contains(&name) || is_accented(name),
    };
    is_reference.then(|| &text[..=end])
}

fn is_accented(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
        && (ACCENTS.contains(&letters.as_str()) || matches!(name, "szlig" | "AElig" | "aelig" | "OElig" | "oelig"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_markup_finds_elements_comments_and_references() {
        for (text, markup) in [
            ("The <b>minister</b>", "<b>"),
            ("end</P>", "</P>"),
            ("line<br/>line", "<br/>"),
            ("line<br />line", "<br />"),
            ("see <a href=\"https://example.org\">this</a>", "<a href=\"https://example.org\">"),
            ("a<!-- note -->", "<!--"),
            ("Trade &amp; Industry", "&amp;"),
            ("Caf&eacute;", "&eacute;"),
            ("It&#39;s", "&#39;"),
            ("It&#x2019;s", "&#x2019;"),
            ("AT&T and R&amp;D", "&amp;"),
            ("1 < 2 <p>", "<p>"),
        ] {
            assert_eq!(first_markup(text), Some(markup), "{text}");
        }
    }

    #[test]
    fn first_markup_leaves_text_alone() {
        for text in [
            "",
            "a < b",
            "a<b and c>d",
            "a <b> c".replace("<b>", "<bb>").as_str(),
            "AT&T",
            "R&D; and more",
            "Q&As; more",
            "Marks & Spencer; others",
            "x << y >> z",
            "<Reuters>",
            "<name@example.org>",
            "&",
            "<",
            "</",
            "&;",
            "&#;",
            "&#x;",
            "&é;",
            "5 < 6 & 7 > 4",
        ] {
            assert_eq!(first_markup(text), None, "{text}");
        }
    }
}
