//! Counts the records and quotes that an export omits, and formats the counts for standard error.

use std::ops::AddAssign;

/// The counts of omitted records and quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Omissions {
    pub deleted_participants: usize,
    pub deleted_articles: usize,
    pub deleted_meetings: usize,
    pub merged_meetings: usize,
    /// Meetings whose reports were all retracted.
    pub empty_meetings: usize,
    /// Retracted reports and withdrawn rulings.
    pub retracted_reports: usize,
    /// Quotes that are no longer in the article's text.
    pub stale_quotes: usize,
    /// Quotes of articles whose text is withheld.
    pub withheld_quotes: usize,
    /// Merges, judgements and bindings that concern a deleted record.
    pub decisions: usize,
}

impl AddAssign for Omissions {
    fn add_assign(&mut self, mut more: Self) {
        for (count, more) in self.counts().into_iter().zip(more.counts()) {
            *count.0 += *more.0;
        }
    }
}

impl Omissions {
    /// Returns a line for each count that is not zero.
    pub fn lines(mut self) -> Vec<String> {
        self.counts()
            .into_iter()
            .filter(|(count, _)| **count > 0)
            .map(|(count, what)| format!("left out {count} {what}"))
            .collect()
    }

    fn counts(&mut self) -> [(&mut usize, &'static str); 9] {
        [
            (&mut self.deleted_participants, "participants that are deleted"),
            (&mut self.deleted_articles, "articles that are deleted"),
            (&mut self.deleted_meetings, "meetings that are deleted, with their reports"),
            (&mut self.merged_meetings, "meetings that were merged into others, where their reports stand"),
            (&mut self.empty_meetings, "meetings whose reports were all retracted"),
            (&mut self.retracted_reports, "reports that were retracted and rulings that were withdrawn"),
            (&mut self.stale_quotes, "quotes that are no longer in their article's text"),
            (&mut self.withheld_quotes, "quotes of articles whose text is withheld"),
            (&mut self.decisions, "merges, judgements and bindings of deleted records"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn omissions_are_summed_and_printed_unless_zero() {
        let mut sum = Omissions { stale_quotes: 1, ..Default::default() };
        sum += Omissions { stale_quotes: 2, deleted_articles: 1, ..Default::default() };
        assert_eq!(
            sum.lines(),
            ["left out 1 articles that are deleted", "left out 3 quotes that are no longer in their article's text"]
        );
        assert!(Omissions::default().lines().is_empty());
    }
}
