//! Search queries as text of PostgreSQL's type `tsquery`. It has tokens as they are stored, and so no configuration.

use std::collections::HashMap;

use super::{
    pieces::MAX_WORD_BYTES,
    search_query::{Part, PartKind, SearchQuery, Term},
    word_vector::INCOMPLETE,
};

/// The stems of words. A stop word has none. A word that is not here is its own stem.
pub type Stems = HashMap<String, Vec<String>>;

/// A token that no record has.
const NOWHERE: &str = "'<'";

/// The terms of an alternative of a query, each as a `tsquery`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TermQueries {
    /// The terms that must match.
    pub required: Vec<String>,
    /// The terms that must not match.
    pub excluded: Vec<String>,
}

impl SearchQuery {
    /// The query on one vector: all words of an alternative as they are written, or all by their stems. Empty if the
    /// query has no word.
    pub fn to_tsquery(&self, stems: &Stems) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| self.group(group, stems)).collect();
        groups.join(" | ")
    }

    fn group(&self, group: &[Term], stems: &Stems) -> String {
        let signed = |term: &Term, query: String| if term.is_negated { format!("!{query}") } else { query };
        let (stemmed, fixed): (Vec<&Term>, Vec<&Term>) =
            group.iter().partition(|term| self.config.is_some() && term.has_stems());
        let mut all: Vec<String> = fixed.iter().map(|term| signed(term, as_written(term))).collect();
        let words: Vec<String> = stemmed.iter().map(|term| signed(term, as_written(term))).collect();
        let by_stems: Vec<(&Term, String)> =
            stemmed.iter().filter_map(|term| Some((*term, by_stems(term, stems)?))).collect();
        // Stop words are searched for if the query has no other words.
        let are_stop_words =
            stemmed.iter().any(|term| !term.is_negated) && !by_stems.iter().any(|(term, _)| !term.is_negated);
        let by_stems: Vec<String> = by_stems.into_iter().map(|(term, query)| signed(term, query)).collect();
        if by_stems.is_empty() || are_stop_words || by_stems == words {
            all.extend(words);
        } else {
            all.push(format!("({} | {})", joined(&words), joined(&by_stems)));
        }
        joined(&all)
    }

    /// The terms of the alternatives, for records whose words are in several vectors: each word as it is written, or by
    /// its stem.
    pub fn to_term_queries(&self, stems: &Stems) -> Vec<TermQueries> {
        self.groups.iter().map(|group| self.term_queries(group, stems)).collect()
    }

    fn term_queries(&self, group: &[Term], stems: &Stems) -> TermQueries {
        let (mut queries, mut stop_words) = (TermQueries::default(), Vec::new());
        for term in group {
            let written = as_written(term);
            let query = match (self.config.is_some() && term.has_stems()).then(|| by_stems(term, stems)) {
                // A word that may be omitted.
                Some(None) if !term.is_negated => {
                    stop_words.push(written);
                    continue;
                }
                Some(Some(by_stems)) if by_stems != written => format!("({written} | {by_stems})"),
                _ => written,
            };
            if term.is_negated { queries.excluded.push(query) } else { queries.required.push(query) }
        }
        if queries.required.is_empty() {
            queries.required = stop_words;
        }
        queries
    }
}

fn joined(all: &[String]) -> String {
    match all {
        [one] => one.clone(),
        all => format!("({})", all.join(" & ")),
    }
}

/// A term with its words as they are written.
fn as_written(term: &Term) -> String {
    let operands = term.parts.iter().flat_map(|part| {
        let operands: Vec<(usize, String)> = match part.kind {
            PartKind::Word => vec![(part.offset, operand(&part.text))],
            PartKind::Prefix => vec![(part.offset, format!("{}:*", operand(&part.text)))],
            PartKind::Run => run(part),
        };
        operands
    });
    phrase(&operands.collect::<Vec<_>>())
}

/// A term with the stems of its words; `None` if all are stop words.
fn by_stems(term: &Term, stems: &Stems) -> Option<String> {
    let mut operands = Vec::new();
    for part in &term.parts {
        match stems.get(&part.text) {
            Some(stems) => operands.extend(stems.iter().map(|stem| (part.offset, operand(stem)))),
            None => operands.push((part.offset, operand(&part.text))),
        }
    }
    (!operands.is_empty()).then(|| phrase(&operands))
}

/// The tokens of a part of a text without spaces. The last character begins a token.
fn run(part: &Part) -> Vec<(usize, String)> {
    let chars: Vec<char> = part.text.chars().collect();
    if let [only] = *chars {
        return vec![(part.offset, format!("{}:*", operand(only.encode_utf8(&mut [0; 4]))))];
    }
    let pairs = chars.windows(2).zip(part.offset..);
    pairs.map(|(pair, offset)| (offset, operand(&pair.iter().collect::<String>()))).collect()
}

fn operand(token: &str) -> String {
    if token.len() > MAX_WORD_BYTES {
        return NOWHERE.to_owned();
    }
    format!("'{}'", token.replace('\\', "\\\\").replace('\'', "''"))
}

/// Operands at their positions. In a record whose positions are incomplete, they may be anywhere.
fn phrase(operands: &[(usize, String)]) -> String {
    let [(first, phrase), rest @ ..] = operands else { return NOWHERE.to_owned() };
    if rest.is_empty() {
        return phrase.clone();
    }
    let (mut before, mut phrase) = (*first, phrase.clone());
    for (position, operand) in rest {
        phrase += &format!(" <{}> {operand}", position - before);
        before = *position;
    }
    let anywhere: Vec<&str> = operands.iter().map(|(_, operand)| operand.as_str()).collect();
    format!("({phrase} | '{INCOMPLETE}' & {})", anywhere.join(" & "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems() -> Stems {
        let stems: [(&str, &[&str]); 4] = [("talks", &["talk"]), ("ministers", &["minist"]), ("the", &[]), ("of", &[])];
        stems
            .into_iter()
            .map(|(word, stems)| (word.to_owned(), stems.iter().map(|stem| (*stem).to_owned()).collect()))
            .collect()
    }

    #[test]
    fn tsquery_has_all_words_as_written_or_all_by_stems() {
        for (query, expected) in [
            ("baku", "'baku'"),
            ("talks", "('talks' | 'talk')"),
            ("the talks", "(('the' & 'talks') | 'talk')"),
            ("the of", "('the' & 'of')"),
            ("the -talks", "('the' & !'talks')"),
            ("-talks", "(!'talks' | !'talk')"),
            ("a or talks", "'a' | ('talks' | 'talk')"),
            ("talks minist*", "('minist':* & ('talks' | 'talk'))"),
            (
                "\"talks of ministers\"",
                "(('talks' <1> 'of' <1> 'ministers' | '*' & 'talks' & 'of' & 'ministers') | \
              ('talk' <2> 'minist' | '*' & 'talk' & 'minist'))",
            ),
            ("苏林", "'苏林'"),
            ("苏", "'苏':*"),
            ("总书记", "('总书' <1> '书记' | '*' & '总书' & '书记')"),
            ("访华2024年", "('访华' <2> '2024' <1> '年':* | '*' & '访华' & '2024' & '年':*)"),
            ("!?", ""),
        ] {
            assert_eq!(SearchQuery::read(query, "").unwrap().to_tsquery(&stems()), expected, "{query}");
        }
        assert_eq!(SearchQuery::of_names("talks").unwrap().to_tsquery(&stems()), "'talks'");
        let long = "x".repeat(MAX_WORD_BYTES + 1);
        assert_eq!(SearchQuery::of_names(&long).unwrap().to_tsquery(&stems()), NOWHERE);
    }

    #[test]
    fn term_queries_leave_out_stop_words() {
        let of = |query: &str| SearchQuery::read(query, "").unwrap().to_term_queries(&stems());
        let queries = |required: &[&str], excluded: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|query| (*query).to_owned()).collect();
            TermQueries { required: owned(required), excluded: owned(excluded) }
        };
        assert_eq!(of("the talks -baku"), [queries(&["('talks' | 'talk')"], &["'baku'"])]);
        assert_eq!(of("the or of"), [queries(&["'the'"], &[]), queries(&["'of'"], &[])]);
    }
}
