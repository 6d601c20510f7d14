//! Removes the evidence of a report that an import could not check against the article's text.

use prost_types::Timestamp;
use tonic::Status;

use super::omissions::Omissions;
use crate::{
    cli::Clients,
    pb::{Evidence, GetArticleRequest, Report, View, article::TextRights},
};

/// Removes the evidence that an import could not check in the text of the article, as of `read_time` if it is set, and
/// counts it.
///
/// # Errors
/// If the article cannot be read.
pub async fn keep_checkable(
    clients: &Clients,
    report: &mut Report,
    read_time: Option<Timestamp>,
) -> Result<Omissions, Status> {
    if report.evidence.is_empty() {
        return Ok(Omissions::default());
    }
    let request = GetArticleRequest { name: report.article.clone(), view: View::Full.into(), read_time };
    let article =
        clients.repeat(&clients.articles, &request, async |mut client, request| client.get_article(request).await);
    let article = article.await?;
    let before = report.evidence.len();
    if article.text_rights() == TextRights::Withheld {
        report.evidence.clear();
        return Ok(Omissions { withheld_quotes: before, ..Default::default() });
    }
    let text = Text::new(&article.text);
    report.evidence.retain(|evidence| text.holds(evidence));
    Ok(Omissions { stale_quotes: before - report.evidence.len(), ..Default::default() })
}

/// A text with an index from code points to bytes.
struct Text<'a> {
    text: &'a str,
    /// The byte offset of each code point, and of the end of the text; empty for ASCII.
    offsets: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(text: &'a str) -> Self {
        let offsets = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect(),
        };
        Self { text, offsets }
    }

    /// Returns `true` if the text has the quote from `start` to `end`, in code points.
    fn holds(&self, evidence: &Evidence) -> bool {
        let range = self.byte_offset(evidence.start).zip(self.byte_offset(evidence.end));
        range.and_then(|(start, end)| self.text.get(start..end)) == Some(&evidence.quote)
    }

    fn byte_offset(&self, code_point: i32) -> Option<usize> {
        let code_point = usize::try_from(code_point).ok()?;
        match self.offsets.is_empty() {
            true => Some(code_point),
            false => self.offsets.get(code_point).copied(),
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
        fn text_holds_each_of_its_parts(text in "[a-zéЖ𝄞 ]{1,20}", start in 0usize..20, len in 1usize..20) {
            let quote: String = text.chars().skip(start).take(len).collect();
            prop_assume!(!quote.is_empty());
            let end = start + quote.chars().count();
            prop_assert!(Text::new(&text).holds(&evidence(&quote, start as i32, end as i32)));
        }
    }

    #[test]
    fn text_does_not_hold_other_words_or_other_offsets() {
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
