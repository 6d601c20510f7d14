//! The fields by which statements can be filtered.

use uuid::Uuid;

use super::{
    Comparison, DateRange, Field, Order,
    Values::{Date, Enum, Region, Resource, Text},
    Vocabulary,
};
use crate::{model::resource::Collection, pb::statement};

/// A field of a statement and what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementCondition {
    /// `speaker`: one of those who speak, by the report's own account.
    Speaker(Uuid),
    /// `region` of one of them.
    Region(String),
    /// `act`.
    Act(statement::Act),
    /// `speaker_kind`.
    SpeakerKind(statement::SpeakerKind),
    /// `quotation`.
    Quotation(statement::Quotation),
    /// `topic`.
    Topic(String),
    /// `language`: its own, else its article's.
    Language(String),
    /// `date` of its meeting.
    Date(Order, DateRange),
    /// `meeting`.
    Meeting(Uuid),
    /// `article`.
    Article(Uuid),
}

/// The fields of statements.
pub static STATEMENTS: &Vocabulary = &Vocabulary {
    fields: &[
        Field::many(
            "speaker",
            Resource(Collection::Participants, |id| said(StatementCondition::Speaker(id))),
            "speaker = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "One of those who say it, by the report's own account.",
        ),
        Field::many(
            "region",
            Region(|code| said(StatementCondition::Region(code))),
            "region = \"AZ\"",
            "One of those who say it is there for this country, by the report's own account.",
        ),
        Field::one("act", Enum(act), "act = STRESS", "What they do by saying it."),
        Field::one("speaker_kind", Enum(speaker_kind), "speaker_kind = JOINT", "Who speaks."),
        Field::one("quotation", Enum(quotation), "quotation = DIRECT", "Whose words it is told in."),
        Field::many(
            "topic",
            Text(|topic| said(StatementCondition::Topic(topic))),
            "topic:\"nagorno-karabakh\"",
            "One of its own topics.",
        ),
        Field::one(
            "language",
            Text(|code| said(StatementCondition::Language(code))),
            "language = \"en\"",
            "Its own, or that of its article when it was reported, as written there.",
        ),
        Field::one(
            "date",
            Date(|order, range| said(StatementCondition::Date(order, range))),
            "date >= \"2020-09-03\"",
            "When the meeting took place, from the first day to the last; unset where no day is known.",
        ),
        Field::one(
            "meeting",
            Resource(Collection::Meetings, |id| said(StatementCondition::Meeting(id))),
            "meeting = \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The meeting that its report tells of.",
        ),
        Field::one(
            "article",
            Resource(Collection::Articles, |id| said(StatementCondition::Article(id))),
            "article = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The article that its report is from.",
        ),
    ],
    functions: &[],
};

fn said(said: StatementCondition) -> Comparison {
    Comparison::StatementCondition(said)
}

fn act(number: i32) -> Option<(&'static str, Comparison)> {
    let act = statement::Act::try_from(number).ok()?;
    Some((act.as_str_name(), said(StatementCondition::Act(act))))
}

fn speaker_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = statement::SpeakerKind::try_from(number).ok()?;
    Some((kind.as_str_name(), said(StatementCondition::SpeakerKind(kind))))
}

fn quotation(number: i32) -> Option<(&'static str, Comparison)> {
    let quotation = statement::Quotation::try_from(number).ok()?;
    Some((quotation.as_str_name(), said(StatementCondition::Quotation(quotation))))
}
