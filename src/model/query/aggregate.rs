//! The values of `group_by` and `order_by` of AggregateMeetings and AggregateStatements.

use crate::{
    model::{
        rules::{Path, Violations},
        text::{
            quoted::quoted,
            suggestion::{did_you_mean, nearest},
        },
    },
    pb::ErrorReason,
};

/// A property that meetings are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The sort of event.
    Kind,
    /// The status: planned, held, postponed, cancelled or denied.
    Status,
    /// The sort of visit.
    VisitType,
    /// The region of the place.
    PlaceRegion,
    /// The year of the first day.
    Year,
    /// The quarter of the first day.
    Quarter,
    /// The month of the first day.
    Month,
    /// Each region of the participations.
    Region,
    /// Each pair of these regions.
    RegionPair,
    /// Each topic.
    Topic,
    /// Each seniority of the offices.
    Seniority,
    /// Each participant that was there.
    Participant,
    /// Each pair of these participants.
    ParticipantPair,
}

impl Group {
    const ALL: [Self; 13] = [
        Self::Kind,
        Self::Status,
        Self::VisitType,
        Self::PlaceRegion,
        Self::Year,
        Self::Quarter,
        Self::Month,
        Self::Region,
        Self::RegionPair,
        Self::Topic,
        Self::Seniority,
        Self::Participant,
        Self::ParticipantPair,
    ];

    /// The name in requests and responses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Status => "status",
            Self::VisitType => "visit_type",
            Self::PlaceRegion => "place.region",
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Region => "region",
            Self::RegionPair => "region_pair",
            Self::Topic => "topic",
            Self::Seniority => "seniority",
            Self::Participant => "participant",
            Self::ParticipantPair => "participant_pair",
        }
    }

    /// The pair that a property given twice stands for.
    const fn pair(self) -> Option<Self> {
        match self {
            Self::Region => Some(Self::RegionPair),
            Self::Participant => Some(Self::ParticipantPair),
            _ => None,
        }
    }
}

/// A property that statements are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementGroup {
    /// Each participant that speaks.
    Speaker,
    /// Each region of the speakers.
    Region,
    /// Each topic.
    Topic,
    /// The speech act.
    Act,
    /// The sort of speaker.
    SpeakerKind,
    /// The form of the quotation.
    Quotation,
    /// The language.
    Language,
    /// The meeting of the report.
    Meeting,
    /// The article of the report.
    Article,
    /// The year of the first day of the meeting.
    Year,
    /// The quarter of that day.
    Quarter,
    /// The month of that day.
    Month,
}

impl StatementGroup {
    const ALL: [Self; 12] = [
        Self::Speaker,
        Self::Region,
        Self::Topic,
        Self::Act,
        Self::SpeakerKind,
        Self::Quotation,
        Self::Language,
        Self::Meeting,
        Self::Article,
        Self::Year,
        Self::Quarter,
        Self::Month,
    ];

    /// The name in requests and responses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Speaker => "speaker",
            Self::Region => "region",
            Self::Topic => "topic",
            Self::Act => "act",
            Self::SpeakerKind => "speaker_kind",
            Self::Quotation => "quotation",
            Self::Language => "language",
            Self::Meeting => "meeting",
            Self::Article => "article",
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
        }
    }
}

/// The order of groups of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementOrder {
    /// Most statements first.
    StatementCount,
    /// Smallest key first.
    Key,
}

impl StatementOrder {
    const ALL: [(&str, Self); 2] = [("statement_count desc", Self::StatementCount), ("key", Self::Key)];

    /// Parses `order_by`; empty is the default, `StatementCount`.
    ///
    /// # Errors
    /// If the text is not one of the orders.
    pub fn parse(text: &str) -> Result<Self, Violations> {
        parse_order(text, Self::StatementCount, &Self::ALL)
    }
}

/// The order of the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateOrder {
    /// Most meetings first.
    MeetingCount,
    /// Most participants first.
    ParticipantCount,
    /// Smallest key first.
    Key,
}

impl AggregateOrder {
    const ALL: [Self; 3] = [Self::MeetingCount, Self::ParticipantCount, Self::Key];

    const fn as_str(self) -> &'static str {
        match self {
            Self::MeetingCount => "meeting_count desc",
            Self::ParticipantCount => "participant_count desc",
            Self::Key => "key",
        }
    }

    /// Parses `order_by`; empty is the default, `MeetingCount`.
    ///
    /// # Errors
    /// If the text is not one of the orders.
    pub fn parse(text: &str) -> Result<Self, Violations> {
        parse_order(text, Self::MeetingCount, &Self::ALL.map(|order| (order.as_str(), order)))
    }
}

fn parse_order<T: Copy>(text: &str, default: T, known: &[(&str, T)]) -> Result<T, Violations> {
    let words = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return Ok(default);
    }
    known.iter().find(|(name, _)| *name == words).map(|(_, order)| *order).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        unknown_value(ErrorReason::InvalidOrder, &Path::ROOT.field("order_by"), &words, &names)
    })
}

/// Parses `group_by` of AggregateMeetings. The contract's rules have already checked its length.
///
/// # Errors
/// If a word is not a property, or a property that has no pair is repeated.
pub fn groups(words: &[String]) -> Result<Vec<Group>, Violations> {
    let groups = parse_words(words, &Group::ALL.map(|group| (group.as_str(), group)))?;
    match *groups {
        [first, second] if first == second => match first.pair() {
            Some(pair) => Ok(vec![pair]),
            None => Err(repeated(first.as_str())),
        },
        _ => Ok(groups),
    }
}

/// Parses `group_by` of AggregateStatements.
///
/// # Errors
/// If a word is not a property, or is repeated.
pub fn statement_groups(words: &[String]) -> Result<Vec<StatementGroup>, Violations> {
    let groups = parse_words(words, &StatementGroup::ALL.map(|group| (group.as_str(), group)))?;
    match *groups {
        [first, second] if first == second => Err(repeated(first.as_str())),
        _ => Ok(groups),
    }
}

fn parse_words<T: Copy>(words: &[String], known: &[(&str, T)]) -> Result<Vec<T>, Violations> {
    let at = Path::ROOT.field("group_by");
    let group = |(index, word): (usize, &String)| {
        let found = known.iter().find(|(name, _)| name == word);
        found.map(|(_, group)| *group).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            unknown_value(ErrorReason::InvalidField, &at.index(index), word, &names)
        })
    };
    words.iter().enumerate().map(group).collect()
}

/// The violation by a second word that repeats the first one.
fn repeated(word: &str) -> Violations {
    let mut violations = Violations::default();
    violations.add(&Path::ROOT.field("group_by").index(1), format!("repeats an earlier item: {word:?}"));
    violations
}

/// The violation by a word that is not allowed, with a suggestion if one of the allowed words is similar.
fn unknown_value(reason: ErrorReason, at: &Path<'_>, word: &str, allowed: &[&str]) -> Violations {
    let nearest = did_you_mean(nearest(allowed.iter().copied(), word));
    let description = format!("must be one of {}, not {}{nearest}", allowed.join(", "), quoted(word));
    let mut violations = Violations::default();
    violations.add_as(reason, at, description);
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Vec<Group>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let text = |violations: Violations| {
            violations.iter().map(|violation| format!("{} {}", violation.field, violation.description)).collect()
        };
        groups(&words).map_err(text)
    }

    #[test]
    fn groups_parse_by_name_and_pairs_by_the_name_twice() {
        assert_eq!(parsed(&[]), Ok(vec![]));
        for group in Group::ALL {
            assert_eq!(parsed(&[group.as_str()]), Ok(vec![group]));
        }
        assert_eq!(parsed(&["year", "kind"]), Ok(vec![Group::Year, Group::Kind]));
        assert_eq!(parsed(&["region", "region"]), Ok(vec![Group::RegionPair]));
        assert_eq!(parsed(&["participant", "participant"]), Ok(vec![Group::ParticipantPair]));
        assert_eq!(parsed(&["year", "year"]), Err("group_by[1] repeats an earlier item: \"year\"".to_owned()));
    }

    #[test]
    fn unknown_group_is_rejected_with_a_suggestion() {
        let error = parsed(&["year", "mnth"]).unwrap_err();
        assert!(error.starts_with("group_by[1] must be one of kind, status, "), "{error}");
        assert!(error.ends_with("; did you mean \"month\"?"), "{error}");
        assert!(!parsed(&["president"]).unwrap_err().contains("did you mean"));
        assert!(parsed(&["KIND"]).is_err());
    }

    #[test]
    fn order_parse_accepts_only_the_listed_orders() {
        assert_eq!(AggregateOrder::parse(""), Ok(AggregateOrder::MeetingCount));
        assert_eq!(AggregateOrder::parse(" participant_count  desc"), Ok(AggregateOrder::ParticipantCount));
        assert_eq!(AggregateOrder::parse("key"), Ok(AggregateOrder::Key));
        for unknown in ["meeting_count", "key desc", "date", "KEY"] {
            assert!(AggregateOrder::parse(unknown).is_err(), "{unknown}");
        }
    }
}
