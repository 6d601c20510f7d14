//! The fields and functions of the filters of each collection, one table each. ListFilterFields returns the examples
//! and comments of these tables.

use std::sync::LazyLock;

use super::{
    Comparison, Field, FilterSchema, Function, FunctionCall, STATEMENTS,
    Values::{self, Bool, Date, Enum, Number, Region, Resource, Text, Time},
};
use crate::{
    model::{canonical::composed, identity::name_key, resource::Collection, text::names},
    pb::{account, change, meeting, participant, participation},
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
        Field::repeated(
            "region",
            Region(MeetingRegion),
            "region = \"AZ\"",
            "The region of a participation that is PRESENT, REMOTE or REPRESENTED.",
        ),
        Field::single("place.region", Region(PlaceRegion), "place.region = \"AZ\"", "The country of the place."),
        Field::single(
            "place.locality",
            Text(|name| PlaceLocality(names::key(&name))),
            "place.locality = \"Baku\"",
            "The town of the place, in upper or lower case.",
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
        Field::single("has_dispute", Bool(HasDispute), "has_dispute = true", "True if the sources disagree."),
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
    ],
    functions: &[],
};

/// The fields of participants.
pub static PARTICIPANTS: &FilterSchema = &FilterSchema {
    fields: &[
        Field::single("kind", Enum(participant_kind), "kind = PERSON", "The kind of participant."),
        Field::single(
            "region",
            Region(ParticipantRegion),
            "region = \"AZ\"",
            "The country that the participant belongs to.",
        ),
        Field::repeated(
            "name",
            Text(|name| Name(name_key(&name))),
            "name = \"Karim Valiyev\"",
            "The display name or another name, in upper or lower case.",
        ),
        Field::single(
            "parent",
            Resource(Collection::Participants, Parent),
            "parent = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The participant that this participant is part of.",
        ),
        create_time(Time(|order, range| CreateTime(Collection::Participants, order, range))),
        update_time(Time(|order, range| UpdateTime(Collection::Participants, order, range))),
    ],
    functions: &[],
};

/// The fields of articles.
pub static ARTICLES: &FilterSchema = &FilterSchema {
    fields: &[
        Field::repeated(
            "uri",
            Text(Uri),
            "uri = \"https://www.azernews.az/nation/168500.html\"",
            "The uri or an alternate uri.",
        ),
        Field::single(
            "publisher.region",
            Region(PublisherRegion),
            "publisher.region = \"AZ\"",
            "The country of the publisher.",
        ),
        Field::single(
            "language",
            Text(Language),
            "language = \"en\"",
            "The language of the text, as written in the article.",
        ),
        Field::single(
            "section",
            Text(|name| Section(composed(&name).into_owned())),
            "section = \"Politics\"",
            "The section or desk, as written in the article.",
        ),
        Field::single(
            "publish_date",
            Date(PublishDate),
            "publish_date >= \"2020-09\"",
            "The publish date printed on the article.",
        ),
        Field::single(
            "origin",
            Resource(Collection::Articles, Origin),
            "origin = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The first article of the group of copies; the article itself if it is the first or has no copies.",
        ),
        Field::single(
            "syndicated_from",
            Resource(Collection::Articles, SyndicatedFrom),
            "syndicated_from = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The article that this article names as its original.",
        ),
        create_time(Time(|order, range| CreateTime(Collection::Articles, order, range))),
        update_time(Time(|order, range| UpdateTime(Collection::Articles, order, range))),
    ],
    functions: &[],
};

/// The fields of audit events.
pub static AUDIT_EVENTS: &FilterSchema = &FilterSchema {
    fields: &[
        Field::single("time", Time(EventTime), "time >= \"2020-09-04T12:00:00Z\"", "The time of the event."),
        Field::single(
            "principal",
            Text(EventPrincipal),
            "principal = \"token/pipeline\"",
            "The caller, or its address if its credentials do not hold.",
        ),
        Field::single(
            "method",
            Text(EventMethod),
            "method = DeleteMeeting",
            "The method, with or without its service: \"readout.v1.MeetingService/DeleteMeeting\".",
        ),
        Field::repeated(
            "name",
            Text(EventName),
            "name = \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "A record that the call wrote or asked for, or the principal or name of a token.",
        ),
        Field::single(
            "outcome",
            Text(EventOutcome),
            "outcome = ROLE_TOO_LOW",
            "OK, UNCHANGED, or the reason of the error.",
        ),
    ],
    functions: &[],
};

/// The fields of changes: their own, and those of their resources with the resource's name as prefix. There is no
/// `meeting.article`, because a meeting does not name its articles: use `report.article`.
pub static CHANGES: LazyLock<FilterSchema> = LazyLock::new(|| {
    let own = [
        Field::single(
            "collection",
            Values::Collection(ChangeCollection),
            "collection = meetings",
            "The collection of the resource.",
        ),
        Field::single("kind", Enum(change_kind), "kind = CREATED", "The kind of change."),
        Field::single(
            "name",
            Values::AnyResource(ChangeName),
            "name = \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The name of the resource.",
        ),
        Field::single(
            "report.meeting",
            Resource(Collection::Meetings, ReportMeeting),
            "report.meeting = \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The meeting of the changed report.",
        ),
        Field::single(
            "report.article",
            Resource(Collection::Articles, ReportArticle),
            "report.article = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The article of the changed report.",
        ),
    ];
    let prefixed = |resource: &str, name: &str| -> &'static str { format!("{resource}.{name}").leak() };
    let fields_of = |resource: &'static str, schema: &FilterSchema| {
        let fields = schema.fields.iter().filter(move |field| (resource, field.name) != ("meeting", "article"));
        fields.map(move |field| Field {
            name: prefixed(resource, field.name),
            example: prefixed(resource, field.example),
            ..*field
        })
    };
    let resources = fields_of("meeting", MEETINGS)
        .chain(fields_of("participant", PARTICIPANTS))
        .chain(fields_of("article", ARTICLES));
    let fields: Vec<_> = own.into_iter().chain(resources).collect();
    let functions = MEETINGS.functions.iter().map(|function| Function {
        name: prefixed("meeting", function.name),
        signature: prefixed("meeting", function.signature),
        example: prefixed("meeting", function.example),
        ..*function
    });
    FilterSchema { fields: fields.leak(), functions: functions.collect::<Vec<_>>().leak() }
});

/// The fields of a collection, or of `audit_events`, `changes` or `participations`, by its name in ListFilterFields.
pub fn filter_schema(name: &str) -> Option<&'static FilterSchema> {
    match name {
        "articles" => Some(ARTICLES),
        "audit_events" => Some(AUDIT_EVENTS),
        "changes" => Some(&CHANGES),
        "meetings" => Some(MEETINGS),
        "participants" => Some(PARTICIPANTS),
        "participations" => Some(PARTICIPATIONS),
        "statements" => Some(STATEMENTS),
        _ => None,
    }
}

const fn create_time(values: Values) -> Field {
    Field::single(
        "create_time",
        values,
        "create_time >= \"2020-09-04T12:00:00Z\"",
        "The time of creation in this service.",
    )
}

const fn update_time(values: Values) -> Field {
    Field::single("update_time", values, "update_time < \"2020-09-04\"", "The time of the last update in this service.")
}

fn change_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = change::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), ChangeKind(kind)))
}

fn meeting_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = account::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), MeetingKind(kind)))
}

fn meeting_status(number: i32) -> Option<(&'static str, Comparison)> {
    let status = account::Status::try_from(number).ok()?;
    Some((status.as_str_name(), MeetingStatus(status)))
}

fn meeting_review(number: i32) -> Option<(&'static str, Comparison)> {
    let review = meeting::Review::try_from(number).ok()?;
    Some((review.as_str_name(), Review(review)))
}

fn role(number: i32) -> Option<(&'static str, Comparison)> {
    let role = participation::Role::try_from(number).ok()?;
    Some((role.as_str_name(), PartRole(role)))
}

fn presence(number: i32) -> Option<(&'static str, Comparison)> {
    let presence = participation::Presence::try_from(number).ok()?;
    Some((presence.as_str_name(), PartPresence(presence)))
}

fn participant_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = participant::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), ParticipantKind(kind)))
}
