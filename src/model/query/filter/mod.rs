//! Filters of lists and streams: the language of AIP-160, parsed into a typed tree. `fields` lists the fields of each
//! collection.
//!
//! `OR` binds tighter than `AND`, as in the AIP: `a AND b OR c` is `a AND (b OR c)`. Comparisons separated only by
//! white space are joined by `AND`. An unset field satisfies no comparison. Logic is two-valued and `a != b` is `NOT a
//! = b`, so the tree has no "not equal". `field = (a OR b)` is `field = a OR field = b`. `field:*` is true if the field
//! is set; otherwise `*` is an ordinary character, not a wildcard.

mod error;
mod evaluate;
mod fields;
mod parse;
mod persons;
mod positions;
mod presence;
mod range;
mod schema;
mod statements;
mod terms;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;

use uuid::Uuid;

pub use self::{
    error::FilterError,
    evaluate::FilterInput,
    fields::{ARTICLES, AUDIT_EVENTS, CHANGES, MEETINGS, PARTICIPANTS, PARTICIPATIONS, filter_schema},
    parse::{MAX_BYTES, MAX_COMPARISONS, MAX_DEPTH, parse},
    persons::{Named, PersonKey},
    range::{ComparisonOp, DateRange, TimeRange},
    schema::{Field, FilterSchema, Function, FunctionCall},
    statements::{STATEMENTS, StatementCondition, StatementInput},
    terms::Term,
    values::Values,
};
use crate::{
    model::{resource::Collection, settle::FragileField},
    pb,
};

/// A condition on resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// True if all parts are true; without parts, true.
    And(Vec<Filter>),
    /// True if at least one part is true; without parts, false.
    Or(Vec<Filter>),
    /// True if the part is false.
    Not(Box<Filter>),
    /// True if the comparison is true.
    Compare(Comparison),
}

impl Filter {
    /// The empty filter.
    pub const EVERYTHING: Self = Self::And(Vec::new());

    /// Calls a function with each participant that conditions on meetings and statements name.
    pub fn for_each_participant(&mut self, call: &mut impl FnMut(&mut Uuid)) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter_mut().for_each(|part| part.for_each_participant(call)),
            Self::Not(part) => part.for_each_participant(call),
            Self::Compare(Comparison::OneParticipation(part)) => part.for_each_participant(call),
            Self::Compare(
                Comparison::Participant(id)
                | Comparison::PartParticipant(id)
                | Comparison::Announcer(id)
                | Comparison::StatementCondition(StatementCondition::Speaker(id)),
            ) => call(id),
            Self::Compare(_) => {}
        }
    }

    /// Calls a function with each comparison as a filter, which it may replace; except those inside `participant((...))`.
    pub fn for_each_part(&mut self, call: &mut impl FnMut(&mut Self)) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter_mut().for_each(|part| part.for_each_part(call)),
            Self::Not(part) => part.for_each_part(call),
            Self::Compare(_) => call(self),
        }
    }

    /// Calls a function with each comparison, except those inside `participant((...))`.
    pub fn for_each_comparison(&mut self, call: &mut impl FnMut(&mut Comparison)) {
        self.for_each_part(&mut |part| {
            if let Self::Compare(comparison) = part {
                call(comparison);
            }
        });
    }

    /// Calls a function with each comparison of a kind inside `participant((...))`, which it may replace.
    pub fn for_each_part_kind(&mut self, call: &mut impl FnMut(&mut Self, pb::participant::Kind)) {
        self.for_each_comparison(&mut |comparison| {
            if let Comparison::OneParticipation(inside) = comparison {
                inside.for_each_part(&mut |part| {
                    if let Self::Compare(Comparison::PartKind(kind)) = *part {
                        call(part, kind);
                    }
                });
            }
        });
    }

    /// The bounds of `time` that every event has which the filter matches.
    pub fn times_of_events(&self) -> Self {
        match self {
            Self::And(parts) => Self::And(parts.iter().map(Self::times_of_events).collect()),
            Self::Compare(Comparison::EventTime(..)) => self.clone(),
            _ => Self::EVERYTHING,
        }
    }
}

/// A field and the value that it is compared with: for equality, unless there is a [`ComparisonOp`].
///
/// Code that applies filters matches on this enum in full, so that a new field breaks the build until it is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The record is one of these. No field stands for it: a query as of a time replaces a condition by the records for
    /// which it was true then.
    OneOf(Collection, Vec<Uuid>),
    /// The field of this comparison is set: `field:*`. The value has no meaning.
    IsSet(Box<Comparison>),
    /// A text of a resource of the collection, or one of its labels.
    RecordTerm(Collection, Term),
    /// `kind` of a meeting.
    MeetingKind(pb::account::Kind),
    /// `status` of a meeting.
    MeetingStatus(pb::account::Status),
    /// `region` of a meeting: a participation PRESENT, REMOTE or REPRESENTED has it.
    MeetingRegion(String),
    /// `place.region` of a meeting: of its place or of a stop.
    PlaceRegion(String),
    /// `place.locality` of a meeting: the name key of that of its place or of a stop.
    PlaceLocality(String),
    /// `visit_type` of a meeting.
    VisitType(pb::account::VisitType),
    /// `external_id` of a meeting: scheme and value.
    MeetingExternalId(String, String),
    /// `participant` of a meeting.
    Participant(Uuid),
    /// `article` of a meeting: the article of one of its active reports.
    Article(Uuid),
    /// `topic` of a meeting.
    Topic(String),
    /// `date` of a meeting.
    MeetingDate(ComparisonOp, DateRange),
    /// `start_time` of a meeting.
    StartTime(ComparisonOp, TimeRange),
    /// `delegation.stated_size` of a meeting: of one of its delegations.
    StatedSize(ComparisonOp, i64),
    /// `has_dispute` of a meeting.
    HasDispute(bool),
    /// `fragile` of a meeting: one of its fragile fields.
    Fragile(FragileField),
    /// `report_count` of a meeting.
    ReportCount(ComparisonOp, i64),
    /// `independent_source_count` of a meeting.
    IndependentSourceCount(ComparisonOp, i64),
    /// `evidence_coverage` of a meeting, in thousandths.
    EvidenceCoverage(ComparisonOp, i64),
    /// `review` of a meeting.
    Review(pb::meeting::Review),
    /// `announcement.by` of a meeting: its name key.
    AnnouncedBy(String),
    /// `announcement.participant` of a meeting: the participant of the participation that the announcement names.
    Announcer(Uuid),
    /// `announcement.date` of a meeting.
    AnnouncementDate(ComparisonOp, DateRange),
    /// `publish_date` of a meeting: the earliest publish date of its articles.
    MeetingPublishDate(ComparisonOp, DateRange),
    /// `participant((...))` of a meeting: one participation satisfies the filter, whose comparisons begin with `Part`.
    OneParticipation(Box<Filter>),
    /// `participant` of a participation.
    PartParticipant(Uuid),
    /// `region` of a participation.
    PartRegion(String),
    /// `role` of a participation: one of its roles.
    PartRole(pb::participation::Role),
    /// `seniority` of a participation's office.
    PartSeniority(ComparisonOp, i64),
    /// `presence` of a participation.
    PartPresence(pb::participation::Presence),
    /// A text of a participation.
    PartTerm(Term),
    /// `kind` of the participant of a participation. A meeting does not have it: only a list can compare it.
    PartKind(pb::participant::Kind),
    /// The participant of a participation is one of these. No field stands for it: a query as of a time replaces a kind
    /// by the participants that had it then.
    PartOneOf(BTreeSet<Uuid>),
    /// `kind` of a participant.
    ParticipantKind(pb::participant::Kind),
    /// `region` of a participant.
    ParticipantRegion(String),
    /// `name` of a participant: the name key of its display name or another name.
    Name(String),
    /// `external_id` of a participant: scheme and value, of the participant or of one of its aliases.
    ParticipantExternalId(String, String),
    /// A participant has an external id of its own. No field stands for it: a query as of a time replaces
    /// `external_id:*` by it, and by the persons whose aliases had ids then.
    OwnExternalId,
    /// `parent` of a participant.
    Parent(Uuid),
    /// `uri` of an article, or one of its alternate uris.
    Uri(String),
    /// `external_id` of an article: scheme and value.
    ArticleExternalId(String, String),
    /// `publisher.region` of an article.
    PublisherRegion(String),
    /// `language` of an article.
    Language(String),
    /// `section` of an article.
    Section(String),
    /// `publish_date` of an article.
    PublishDate(ComparisonOp, DateRange),
    /// `origin` of an article.
    Origin(Uuid),
    /// `syndicated_from` of an article.
    SyndicatedFrom(Uuid),
    /// `create_time` of a resource of the collection.
    CreateTime(Collection, ComparisonOp, TimeRange),
    /// `update_time` of a resource of the collection.
    UpdateTime(Collection, ComparisonOp, TimeRange),
    /// A field of a statement.
    StatementCondition(StatementCondition),
    /// `report.meeting` of a change.
    ReportMeeting(Uuid),
    /// `report.article` of a change.
    ReportArticle(Uuid),
    /// `collection` of a change.
    ChangeCollection(Collection),
    /// `kind` of a change.
    ChangeKind(pb::change::Kind),
    /// `name` of a change: the name of its resource.
    ChangeName(Collection, Uuid),
    /// `time` of an audit event.
    EventTime(ComparisonOp, TimeRange),
    /// `principal` of an audit event.
    EventPrincipal(String),
    /// `method` of an audit event: its full name, or its name without the service.
    EventMethod(String),
    /// `name` of an audit event: one of its names.
    EventName(String),
    /// `outcome` of an audit event.
    EventOutcome(String),
}
