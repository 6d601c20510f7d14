//! Finds the positions of the parts of a filter in its text.
//!
//! The parser's tree has no positions, but its parts are in the order of the text. A walk through the tree therefore
//! reads the text in parallel, by the lexical rules of the parser. The positions are right only for text that the parser
//! accepts.

/// The keywords. A word is a keyword only if white space follows.
const KEYWORDS: [&str; 3] = ["AND", "OR", "NOT"];

/// A position in the text that moves forward.
pub struct PositionTracker<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> PositionTracker<'a> {
    /// A tracker at the start of the text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Moves past the next `NOT` or `-`.
    pub fn negation(&mut self) {
        self.seek();
        self.at += if self.at_keyword("NOT") { "NOT".len() } else { 1 };
    }

    /// The start of the next field, value or function name.
    pub fn peek(&mut self) -> usize {
        self.seek();
        self.at
    }

    /// Moves past the next field, value or function name, and returns its start.
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

    /// Moves past the next operator and white space. Returns the start of the operator and of its argument.
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

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        self.at = self.text.len() - self.rest().trim_start_matches(is_skipped).len();
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        let after = self.rest().strip_prefix(keyword).and_then(|after| after.chars().next());
        after.is_some_and(char::is_whitespace)
    }

    /// Moves past white space, brackets, operators, `AND` and `OR`.
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
            let is_end = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        self.at = end.map_or(self.text.len(), |(index, _)| self.at + index + 1);
    }
}

/// The end of the first `AND`, `OR` or `NOT` that a bracket follows directly. The grammar reads it as a function call,
/// which is never intended. The text need not be well formed.
pub fn keyword_at_bracket(text: &str) -> Option<usize> {
    let mut scan = PositionTracker::new(text);
    while scan.at < text.len() {
        let start = scan.comparable();
        if KEYWORDS.contains(&&text[start..scan.at]) && scan.rest().starts_with('(') {
            return Some(scan.at);
        }
    }
    None
}
