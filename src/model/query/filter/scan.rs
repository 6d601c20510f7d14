//! Where the parts of a filter stand in its text.
//!
//! The parser's tree has no positions. But it holds the parts in the order of the text, so whoever walks it can
//! have the text scanned beside it, by the rules by which the parser read it. Holds for text that was parsed.

/// The words that join, which count as such where white space follows.
const KEYWORDS: [&str; 3] = ["AND", "OR", "NOT"];

/// A place in the text, moving forward.
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// At the start.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Moves past the `NOT` or `-` that comes next.
    pub fn negation(&mut self) {
        self.seek();
        self.at += if self.at_keyword("NOT") { "NOT".len() } else { 1 };
    }

    /// Where the field, value or name of a function that comes next begins.
    pub fn peek(&mut self) -> usize {
        self.seek();
        self.at
    }

    /// Moves past the field, value or name of a function that comes next, and says where it begins.
    pub fn comparable(&mut self) -> usize {
        self.seek();
        let start = self.at;
        self.segment();
        while self.rest().starts_with('.') {
            self.at += 1;
            self.segment();
        }
        start
    }

    /// Moves past the operator that comes next and the white space after it, and says where both begin.
    pub fn operator(&mut self) -> (usize, usize) {
        self.skip(char::is_whitespace);
        let operator = self.at;
        self.skip(|c| "=<>!:".contains(c));
        self.skip(char::is_whitespace);
        (operator, self.at)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.at = self.text.len() - self.rest().trim_start_matches(what).len();
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        let after = self.rest().strip_prefix(keyword).and_then(|after| after.chars().next());
        after.is_some_and(char::is_whitespace)
    }

    /// Moves to the next thing that is neither bracket nor operator nor a joining word.
    fn seek(&mut self) {
        loop {
            self.skip(|c| c.is_whitespace() || "(),=<>!:".contains(c));
            match ["AND", "OR"].into_iter().find(|keyword| self.at_keyword(keyword)) {
                Some(keyword) => self.at += keyword.len(),
                None => return,
            }
        }
    }

    /// Moves past a quoted string or a run of unquoted text.
    fn segment(&mut self) {
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return self.skip(|c| !c.is_whitespace() && !".(),\"'=<>!:".contains(c));
        };
        let mut escaped = false;
        let end = self.rest().char_indices().skip(1).find(|&(_, c)| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        self.at = end.map_or(self.text.len(), |(index, _)| self.at + index + 1);
    }
}

/// The end of the first `AND`, `OR` or `NOT` that a bracket follows. By the grammar it calls a function, which is
/// never what was meant. The text need not be well formed.
pub fn keyword_at_bracket(text: &str) -> Option<usize> {
    let mut scan = Scan::new(text);
    while scan.at < text.len() {
        let start = scan.comparable();
        if KEYWORDS.contains(&&text[start..scan.at]) && scan.rest().starts_with('(') {
            return Some(scan.at);
        }
    }
    None
}
