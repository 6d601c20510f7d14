//! The fields and functions of meetings, and of their participations.

use super::{create_time, label, update_time};
use crate::{
    model::{
        query::filter::{
            Comparison, Field, FilterSchema, Function, FunctionCall, Term,
            Values::{Bool, Date, Enum, ExternalId, Label, Number, Region, Resource, Share, Text, Time},
        },
        resource::Collection,
        settle::FragileField,
        text::names,
    },
    pb::{account, meeting, participant, participation},
};
use Comparison::*;

/// The fields and functions of meetings.
pub static MEETINGS: &FilterSchema = &FilterSchema {
    fields: &[
        Field::single("kind", Enum(meeting_kind), "kind = TALKS", "The sort of event."),
        Field::single(
            "status",
            Enum(meeting_status),
            "status = HELD",
            "The status of the event: planned, held, postponed, cancelled or denied.",
        ),
        Field::single(
            "title",
            Text(|title| RecordTerm(Collection::Meetings, Term::title(&title))),
            "title = \"Talks in Baku\"",
            "The whole title, in upper or lower case.",
        ),
        Field::repeated(
            "region",
            Region(MeetingRegion),
            "region = \"AZ\"",
            "The region of a participation that is PRESENT, REMOTE or REPRESENTED.",
        ),
        Field::repeated(
            "place.region",
            Region(PlaceRegion),
            "place.region = \"AZ\"",
            "The country of the place, or of a stop.",
        ),
        Field::repeated(
            "place.locality",
            Text(|name| PlaceLocality(names::key(&name))),
            "place.locality = \"Baku\"",
            "The town of the place, or of a stop, in upper or lower case.",
        ),
        Field::repeated(
            "place.venue",
            Text(|venue| RecordTerm(Collection::Meetings, Term::venue(&venue))),
            "place.venue = \"Headquarters of the Naval Forces\"",
            "The whole venue of the place, or of a stop, in upper or lower case.",
        ),
        Field::repeated(
            "participant",
            Resource(Collection::Participants, Participant),
            "participant = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "A participant, with any role and presence.",
        ),
        Field::repeated(
            "article",
            Resource(Collection::Articles, Article),
            "article = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The article of an active report.",
        ),
        Field::repeated("topic", Text(Topic), "topic:\"military-cooperation\"", "A topic of the meeting."),
        Field::single(
            "date",
            Date(MeetingDate),
            "date >= \"2020-08-24\"",
            "The days of the meeting, from the first to the last; unset if no day is known.",
        ),
        Field::single(
            "start_time",
            Time(StartTime),
            "start_time >= \"2020-08-24T06:00:00Z\"",
            "The instant of the beginning; unset without a full day, a time of day and a time zone.",
        ),
        Field::repeated(
            "delegation.stated_size",
            Number(StatedSize),
            "delegation.stated_size >= 10",
            "The number of members that is stated of a delegation; unset if none is.",
        ),
        Field::single("has_dispute", Bool(HasDispute), "has_dispute = true", "True if the sources disagree."),
        Field::repeated(
            "fragile",
            Enum(fragile_field),
            "fragile = \"date\"",
            "A field whose value rests on one independent source.",
        ),
        Field::single(
            "report_count",
            Number(ReportCount),
            "report_count >= 3",
            "The number of active reports, without rulings.",
        ),
        Field::single(
            "independent_source_count",
            Number(IndependentSourceCount),
            "independent_source_count = 1",
            "The number of independent sources. Copies of one text count as one.",
        ),
        Field::single(
            "evidence_coverage",
            Share(EvidenceCoverage),
            "evidence_coverage >= 0.5",
            "The share of what its reports tell that has evidence.",
        ),
        Field::single(
            "review",
            Enum(meeting_review),
            "review = UNREVIEWED",
            "The review state. RETRACTED meetings are found only with show_deleted.",
        ),
        Field::single(
            "announcement.by",
            Text(|name| AnnouncedBy(names::key(&name))),
            "announcement.by = \"the ministry\"",
            "The announcer as written, in upper or lower case.",
        ),
        Field::single(
            "announcement.participant",
            Resource(Collection::Participants, Announcer),
            "announcement.participant = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The participant who announced it, if it has a participation in the meeting.",
        ),
        Field::single(
            "announcement.date",
            Date(AnnouncementDate),
            "announcement.date <= \"2020-09-05\"",
            "The day of the announcement, as distinct from the days of the meeting and of its articles.",
        ),
        Field::single(
            "publish_date",
            Date(MeetingPublishDate),
            "publish_date = \"2020-09\"",
            "The earliest publish date of the articles with active reports.",
        ),
        Field::repeated(
            "external_id",
            ExternalId(MeetingExternalId),
            "external_id = \"nsw-diaries:2016-0412\"",
            "An identifier in a register or catalogue: its scheme, a colon and its value.",
        ),
        Field::single(
            "visit_type",
            Enum(visit_type),
            "visit_type = STATE",
            "The sort of visit: state, official, working, private or in transit.",
        ),
        label(Label(|key, value| RecordTerm(Collection::Meetings, Term::label(key, value)))),
        create_time(Time(|order, range| CreateTime(Collection::Meetings, order, range))),
        update_time(Time(|order, range| UpdateTime(Collection::Meetings, order, range))),
    ],
    functions: &[
        Function {
            name: "participant",
            signature: "participant((CONDITIONS))",
            call: FunctionCall::OneParticipation,
            example: "participant((region = \"RU\" AND role = HEAD_OF_DELEGATION AND seniority <= 3))",
            comment: "True if one participation fulfils all conditions. The conditions are a filter over the fields of \
                      `participations`, in brackets of their own.",
        },
        Function {
            name: "between",
            signature: "between(REGION, REGION)",
            call: FunctionCall::Between,
            example: "between(\"AZ\", \"RU\")",
            comment: "True if both regions, which differ, have a participation that is PRESENT, REMOTE or REPRESENTED.",
        },
    ],
};

/// The field of participations that filters of changes do not have: a change of a meeting does not tell the kinds of its
/// participants, which are in records of their own.
pub const IN_LISTS_ONLY: &str = "kind";

/// The fields of a participation, inside `participant((...))`.
pub static PARTICIPATIONS: &FilterSchema = &FilterSchema {
    fields: &[
        Field::single(
            "participant",
            Resource(Collection::Participants, PartParticipant),
            "participant = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The participant; unset while unresolved.",
        ),
        Field::single("region", Region(PartRegion), "region = \"RU\"", "The country that the participant acts for."),
        Field::single(
            "name",
            Text(|name| PartTerm(Term::name(&name))),
            "name = \"Kerim Veliyev\"",
            "The name as written, in upper or lower case. `name = \"…\" AND NOT participant:*` finds an unresolved name.",
        ),
        Field::single(
            "office.title",
            Text(|title| PartTerm(Term::office_title(&title))),
            "office.title = \"Deputy Minister of Defence\"",
            "The title of the office held at the time, in upper or lower case.",
        ),
        Field::single(
            "office.organization",
            Text(|organization| PartTerm(Term::office_organization(&organization))),
            "office.organization = \"Ministry of Defence\"",
            "The organization of the office held at the time, in upper or lower case.",
        ),
        Field::single(
            "rank",
            Text(|rank| PartTerm(Term::rank(&rank))),
            "rank = \"Lieutenant General\"",
            "The rank held at the time, in upper or lower case.",
        ),
        Field::repeated("role", Enum(role), "role = HEAD_OF_DELEGATION", "A role of the participant at the meeting."),
        Field::single(
            "seniority",
            Number(PartSeniority),
            "seniority <= 3",
            "The seniority of the office held at the time: 1 head of state or government, 2 minister, \
             3 deputy minister, 4 director, 5 ambassador, 6 other; unset if unknown.",
        ),
        Field::single(
            "presence",
            Enum(presence),
            "presence = PRESENT",
            "The presence: in person, remote, represented, absent or only referenced.",
        ),
        Field::single(
            IN_LISTS_ONLY,
            Enum(part_kind),
            "kind = ORGANIZATION",
            "The kind of the participant, as it is or at the time of the query; unset while unresolved. Not in filters of \
             changes.",
        ),
    ],
    functions: &[],
};

fn meeting_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = account::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), MeetingKind(kind)))
}

fn meeting_status(number: i32) -> Option<(&'static str, Comparison)> {
    let status = account::Status::try_from(number).ok()?;
    Some((status.as_str_name(), MeetingStatus(status)))
}

fn visit_type(number: i32) -> Option<(&'static str, Comparison)> {
    let visit_type = account::VisitType::try_from(number).ok()?;
    Some((visit_type.as_str_name(), VisitType(visit_type)))
}

fn meeting_review(number: i32) -> Option<(&'static str, Comparison)> {
    let review = meeting::Review::try_from(number).ok()?;
    Some((review.as_str_name(), Review(review)))
}

fn fragile_field(number: i32) -> Option<(&'static str, Comparison)> {
    let field = FragileField::ALL.into_iter().find(|field| *field as i32 == number)?;
    Some((field.as_str(), Fragile(field)))
}

fn role(number: i32) -> Option<(&'static str, Comparison)> {
    let role = participation::Role::try_from(number).ok()?;
    Some((role.as_str_name(), PartRole(role)))
}

fn part_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = participant::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), PartKind(kind)))
}

fn presence(number: i32) -> Option<(&'static str, Comparison)> {
    let presence = participation::Presence::try_from(number).ok()?;
    Some((presence.as_str_name(), PartPresence(presence)))
}
