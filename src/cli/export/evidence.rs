//! The evidence of a report that an import could check again.

use tonic::Status;

use super::left_out::LeftOut;
use crate::{
    cli::Clients,
    pb::{Evidence, GetArticleRequest, Report, View, article::TextRights},
};

/// Leaves out the evidence that an import could not check again.
pub async fn keep_checkable(clients: &Clients, report: &mut Report) -> Result<LeftOut, Status> {
    if report.evidence.is_empty() {
        return Ok(LeftOut::default());
    }
    let request = GetArticleRequest { name: report.article.clone(), view: View::Full.into(), ..Default::default() };
    let article =
        clients.repeat(&clients.articles, &request, async |mut client, request| client.get_article(request).await);
    let article = article.await?;
    let before = report.evidence.len();
    if article.text_rights() == TextRights::Withheld {
        report.evidence.clear();
        return Ok(LeftOut { withheld_quotes: before, ..Default::default() });
    }
    let text = Text::new(&article.text);
    report.evidence.retain(|evidence| text.holds(evidence));
    Ok(LeftOut { stale_quotes: before - report.evidence.len(), ..Default::default() })
}

/// A text whose code points can be reached by their number.
struct Text<'a> {
    text: &'a str,
    /// Where each code point begins, and where the last one ends, in bytes; empty for ASCII.
    bounds: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(text: &'a str) -> Self {
        let bounds = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        };
        Self { text, bounds }
    }

    /// Whether the quote stands from `start` to `end`, in code points.
    fn holds(&self, evidence: &Evidence) -> bool {
        let range = self.byte(evidence.start).zip(self.byte(evidence.end));
        range.and_then(|(start, end)| self.text.get(start..end)) == Some(&evidence.quote)
    }

    fn byte(&self, code_point: i32) -> Option<usize> {
        let code_point = usize::try_from(code_point).ok()?;
        match self.bounds.is_empty() {
            true => Some(code_point),
            false => self.bounds.get(code_point).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(quote: &str, start: i32, end: i32) -> Evidence {
        Evidence { quote: quote.to_owned(), start, end, ..Default::default() }
    }

    proptest! {
        #[test]
        fn every_part_of_a_text_stands_where_it_is(text in "[a-zéЖ𝄞 ]{1,20}", start in 0usize..20, len in 1usize..20) {
            let quote: String = text.chars().skip(start).take(len).collect();
            prop_assume!(!quote.is_empty());
            let end = start + quote.chars().count();
            prop_assert!(Text::new(&text).holds(&evidence(&quote, start as i32, end as i32)));
        }
    }

    #[test]
    fn other_words_and_other_places_do_not_stand() {
        for text in ["Baku, talks", "Bakı, talks"] {
            let text = Text::new(text);
            assert!(text.holds(&evidence("talks", 6, 11)));
            for wrong in [
                evidence("talks", 5, 10),
                evidence("talk", 6, 11),
                evidence("talks", 6, 12),
                evidence("talks", 11, 6),
                evidence("talks", -1, 4),
                evidence("talks", 600, 605),
            ] {
                assert!(!text.holds(&wrong), "{wrong:?}");
            }
        }
    }
}
