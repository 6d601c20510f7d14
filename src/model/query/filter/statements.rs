//! The fields of the filters of statements.

use chrono::NaiveDate;
use uuid::Uuid;

use super::{
    Comparison, ComparisonOp, DateRange, Field, Filter, FilterSchema,
    Values::{Date, Enum, Region, Resource, Text},
};
use crate::{
    model::{report::meant_participant, resource::Collection, statement::speakers},
    pb::{Account, Report, Statement, statement},
};

/// A field of a statement and the value that it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementCondition {
    /// `speaker`: the participant of a speaker, by the report's own account.
    Speaker(Uuid),
    /// `region` of a speaker.
    Region(String),
    /// `act`.
    Act(statement::Act),
    /// `speaker_kind`.
    SpeakerKind(statement::SpeakerKind),
    /// `quotation`.
    Quotation(statement::Quotation),
    /// `topic`.
    Topic(String),
    /// `language` of the statement, else of its article.
    Language(String),
    /// `date` of the meeting.
    Date(ComparisonOp, DateRange),
    /// `meeting`.
    Meeting(Uuid),
    /// `article`.
    Article(Uuid),
}

/// The input of a filter on statements: a statement of a report.
#[derive(Debug, Clone, Copy)]
pub struct StatementInput<'a> {
    pub report: &'a Report,
    /// The account of the report.
    pub account: &'a Account,
    pub statement: &'a Statement,
    /// The meeting of the report.
    pub meeting: Uuid,
    /// The article of the report.
    pub article: Uuid,
    /// The language of the statement, else of its article; empty if neither is set.
    pub language: &'a str,
    /// The days of the meeting.
    pub days: Option<(NaiveDate, NaiveDate)>,
}

impl StatementInput<'_> {
    /// The participants that speak, by the report's own account. Some may be named twice.
    pub fn speakers(&self) -> impl Iterator<Item = Uuid> {
        speakers(self.account, self.statement).filter_map(|speaker| meant_participant(self.report, speaker))
    }

    /// The regions that the speakers act for. Some may be named twice.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        speakers(self.account, self.statement)
            .map(|speaker| speaker.region_code.as_str())
            .filter(|code| !code.is_empty())
    }
}

impl Filter {
    /// True if the filter matches a statement.
    pub fn holds_for_statement(&self, input: &StatementInput<'_>) -> bool {
        self.evaluate(&|comparison| match comparison {
            Comparison::StatementCondition(condition) => condition.holds(input),
            Comparison::IsSet(field) => match &**field {
                Comparison::StatementCondition(condition) => condition.is_set(input),
                _ => false,
            },
            // Statements have no other fields.
            _ => false,
        })
    }
}

impl StatementCondition {
    fn holds(&self, input: &StatementInput<'_>) -> bool {
        let StatementInput { statement, .. } = *input;
        match self {
            Self::Speaker(id) => input.speakers().any(|speaker| speaker == *id),
            Self::Region(code) => input.regions().any(|region| region == code),
            Self::Act(act) => statement.act() == *act,
            Self::SpeakerKind(kind) => statement.speaker_kind() == *kind,
            Self::Quotation(quotation) => statement.quotation() == *quotation,
            Self::Topic(topic) => statement.topics.contains(topic),
            Self::Language(code) => !input.language.is_empty() && input.language == code,
            Self::Date(order, range) => input.days.is_some_and(|days| range.holds(*order, days)),
            Self::Meeting(id) => input.meeting == *id,
            Self::Article(id) => input.article == *id,
        }
    }
}

impl StatementCondition {
    /// True if the field of the condition is set.
    fn is_set(&self, input: &StatementInput<'_>) -> bool {
        let StatementInput { statement, .. } = *input;
        match self {
            Self::Speaker(_) => input.speakers().next().is_some(),
            Self::Region(_) => input.regions().next().is_some(),
            Self::Act(_) => statement.act() != statement::Act::Unspecified,
            Self::SpeakerKind(_) => statement.speaker_kind() != statement::SpeakerKind::Unspecified,
            Self::Quotation(_) => statement.quotation() != statement::Quotation::Unspecified,
            Self::Topic(_) => !statement.topics.is_empty(),
            Self::Language(_) => !input.language.is_empty(),
            Self::Date(..) => input.days.is_some(),
            Self::Meeting(_) | Self::Article(_) => true,
        }
    }
}

/// The fields of statements.
pub static STATEMENTS: &FilterSchema = &FilterSchema {
    fields: &[
        Field::repeated(
            "speaker",
            Resource(Collection::Participants, |id| compare(StatementCondition::Speaker(id))),
            "speaker = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "A speaker, by the report's own account.",
        ),
        Field::repeated(
            "region",
            Region(|code| compare(StatementCondition::Region(code))),
            "region = \"AZ\"",
            "The country that a speaker acts for, by the report's own account.",
        ),
        Field::single("act", Enum(act), "act = STRESS", "The speech act."),
        Field::single("speaker_kind", Enum(speaker_kind), "speaker_kind = JOINT", "The kind of speaker."),
        Field::single(
            "quotation",
            Enum(quotation),
            "quotation = DIRECT",
            "The kind of quotation: whose words the statement is in.",
        ),
        Field::repeated(
            "topic",
            Text(|topic| compare(StatementCondition::Topic(topic))),
            "topic:\"nagorno-karabakh\"",
            "A topic of the statement itself.",
        ),
        Field::single(
            "language",
            Text(|code| compare(StatementCondition::Language(code))),
            "language = \"en\"",
            "The language of the statement, else the language that its article had when it was reported, as written.",
        ),
        Field::single(
            "date",
            Date(|order, range| compare(StatementCondition::Date(order, range))),
            "date >= \"2020-09-03\"",
            "The days of the meeting, from the first to the last; unset if no day is known.",
        ),
        Field::single(
            "meeting",
            Resource(Collection::Meetings, |id| compare(StatementCondition::Meeting(id))),
            "meeting = \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The meeting of its report.",
        ),
        Field::single(
            "article",
            Resource(Collection::Articles, |id| compare(StatementCondition::Article(id))),
            "article = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The article of its report.",
        ),
    ],
    functions: &[],
};

fn compare(condition: StatementCondition) -> Comparison {
    Comparison::StatementCondition(condition)
}

fn act(number: i32) -> Option<(&'static str, Comparison)> {
    let act = statement::Act::try_from(number).ok()?;
    Some((act.as_str_name(), compare(StatementCondition::Act(act))))
}

fn speaker_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = statement::SpeakerKind::try_from(number).ok()?;
    Some((kind.as_str_name(), compare(StatementCondition::SpeakerKind(kind))))
}

fn quotation(number: i32) -> Option<(&'static str, Comparison)> {
    let quotation = statement::Quotation::try_from(number).ok()?;
    Some((quotation.as_str_name(), compare(StatementCondition::Quotation(quotation))))
}
