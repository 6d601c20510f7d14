//! The fields and functions by which each collection can be filtered: one table each. What a caller can read of them
//! (ListFilterFields) stands in the same tables.

use std::sync::LazyLock;

use super::{
    Comparison, Field, Function, FunctionCall, STATEMENTS,
    Values::{self, Bool, Date, Enum, Number, Region, Resource, Text, Time},
    Vocabulary,
};
use crate::{
    model::{canonical::composed, resource::Collection, text::names},
    pb::{account, change, meeting, participant, participation},
};
use Comparison::*;

/// The fields and functions of meetings.
pub static MEETINGS: &Vocabulary = &Vocabulary {
    fields: &[
        Field::one("kind", Enum(meeting_kind), "kind = TALKS", "What sort of event it was."),
        Field::one("status", Enum(meeting_status), "status = HELD", "Whether it took place."),
        Field::many(
            "region",
            Region(MeetingRegion),
            "region = \"AZ\"",
            "A participation that is PRESENT, REMOTE or REPRESENTED has it.",
        ),
        Field::one("place.region", Region(PlaceRegion), "place.region = \"AZ\"", "The country where it took place."),
        Field::one(
            "place.locality",
            Text(|name| PlaceLocality(names::key(&name))),
            "place.locality = \"Baku\"",
            "The town where it took place, however it is written in upper and lower case.",
        ),
        Field::many(
            "participant",
            Resource(Collection::Participants, Participant),
            "participant = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "A participation is of this participant, in whatever way.",
        ),
        Field::many(
            "article",
            Resource(Collection::Articles, Article),
            "article = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "An active report is from this article.",
        ),
        Field::many("topic", Text(Topic), "topic:\"military-cooperation\"", "One of its topics."),
        Field::one(
            "date",
            Date(MeetingDate),
            "date >= \"2020-08-24\"",
            "When it took place, from the first day to the last; unset where no day is known.",
        ),
        Field::one("has_dispute", Bool(HasDispute), "has_dispute = true", "Whether its sources disagree."),
        Field::one("report_count", Number(ReportCount), "report_count >= 3", "Its active reports, without rulings."),
        Field::one(
            "independent_source_count",
            Number(IndependentSourceCount),
            "independent_source_count = 1",
            "Its independent sources: copies of one text are one.",
        ),
        Field::one(
            "review",
            Enum(meeting_review),
            "review = UNREVIEWED",
            "How far it can be relied on; one that is RETRACTED is only found with show_deleted.",
        ),
        Field::one(
            "announcement.by",
            Text(|name| AnnouncedBy(names::key(&name))),
            "announcement.by = \"the ministry\"",
            "Who announced it, as written, in upper or lower case.",
        ),
        Field::one(
            "announcement.participant",
            Resource(Collection::Participants, Announcer),
            "announcement.participant = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "Who announced it, where that is one of its participations.",
        ),
        Field::one(
            "announcement.date",
            Date(AnnouncementDate),
            "announcement.date <= \"2020-09-05\"",
            "When it was announced: neither when it took place nor when an article told of it.",
        ),
        Field::one(
            "publish_date",
            Date(MeetingPublishDate),
            "publish_date = \"2020-09\"",
            "When an article first told of it, of those whose reports are active.",
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
            comment: "One participation fulfils all of the conditions, which are a filter over the fields of \
                      `participations`; two brackets.",
        },
        Function {
            name: "between",
            signature: "between(REGION, REGION)",
            call: FunctionCall::Between,
            example: "between(\"AZ\", \"RU\")",
            comment: "On each of the two sides, which are different, a participation is PRESENT, REMOTE or REPRESENTED.",
        },
    ],
};

/// The fields of a participation, inside `participant((...))`.
pub static PARTICIPATIONS: &Vocabulary = &Vocabulary {
    fields: &[
        Field::one(
            "participant",
            Resource(Collection::Participants, PartParticipant),
            "participant = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "Who it is; unset while unresolved.",
        ),
        Field::one("region", Region(PartRegion), "region = \"RU\"", "For which country."),
        Field::many("role", Enum(role), "role = HEAD_OF_DELEGATION", "What the participant did there."),
        Field::one(
            "seniority",
            Number(PartSeniority),
            "seniority <= 3",
            "How high the office held then is: 1 head of state or government, 2 minister, 3 deputy minister, \
             4 director, 5 ambassador, 6 other; unset where it is not known.",
        ),
        Field::one("presence", Enum(presence), "presence = PRESENT", "How the participant was there."),
    ],
    functions: &[],
};

/// The fields of participants.
pub static PARTICIPANTS: &Vocabulary = &Vocabulary {
    fields: &[
        Field::one("kind", Enum(participant_kind), "kind = PERSON", "What the participant is."),
        Field::one("region", Region(ParticipantRegion), "region = \"AZ\"", "The country it belongs to."),
        Field::many(
            "name",
            Text(|name| Name(names::key(&name))),
            "name = \"Karim Valiyev\"",
            "The display name or another name, in upper or lower case.",
        ),
        Field::one(
            "parent",
            Resource(Collection::Participants, Parent),
            "parent = \"participants/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The participant that this one is part of.",
        ),
        create_time(Time(|order, range| CreateTime(Collection::Participants, order, range))),
        update_time(Time(|order, range| UpdateTime(Collection::Participants, order, range))),
    ],
    functions: &[],
};

/// The fields of articles.
pub static ARTICLES: &Vocabulary = &Vocabulary {
    fields: &[
        Field::many(
            "uri",
            Text(Uri),
            "uri = \"https://www.azernews.az/nation/168500.html\"",
            "The uri or an alternate.",
        ),
        Field::one("publisher.region", Region(PublisherRegion), "publisher.region = \"AZ\"", "Where it is published."),
        Field::one("language", Text(Language), "language = \"en\"", "The language of the text, as given."),
        Field::one(
            "section",
            Text(|name| Section(composed(&name).into_owned())),
            "section = \"Politics\"",
            "The section or desk, as given.",
        ),
        Field::one("publish_date", Date(PublishDate), "publish_date >= \"2020-09\"", "The day printed on it."),
        Field::one(
            "origin",
            Resource(Collection::Articles, Origin),
            "origin = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The first article of its group of copies; itself where it is the first or alone.",
        ),
        Field::one(
            "syndicated_from",
            Resource(Collection::Articles, SyndicatedFrom),
            "syndicated_from = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The article that it says to be a copy of.",
        ),
        create_time(Time(|order, range| CreateTime(Collection::Articles, order, range))),
        update_time(Time(|order, range| UpdateTime(Collection::Articles, order, range))),
    ],
    functions: &[],
};

/// The fields of changes: their own, and those of their resources, under the name of these. Which articles tell of a
/// meeting does not stand in the meeting: the changes of its reports say so.
pub static CHANGES: LazyLock<Vocabulary> = LazyLock::new(|| {
    let own = [
        Field::one(
            "collection",
            Values::Collection(ChangeCollection),
            "collection = meetings",
            "The collection of the resource.",
        ),
        Field::one("kind", Enum(change_kind), "kind = CREATED", "What happened to the resource."),
        Field::one(
            "name",
            Values::AnyResource(ChangeName),
            "name = \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "The resource.",
        ),
        Field::one(
            "report.meeting",
            Resource(Collection::Meetings, ReportMeeting),
            "report.meeting = \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "Of a report: its meeting.",
        ),
        Field::one(
            "report.article",
            Resource(Collection::Articles, ReportArticle),
            "report.article = \"articles/0198f2d1-7c0e-7000-8000-0123456789ab\"",
            "Of a report: its article.",
        ),
    ];
    let within = |resource: &str, name: &str| -> &'static str { format!("{resource}.{name}").leak() };
    let of = |resource: &'static str, of: &Vocabulary| {
        let fields = of.fields.iter().filter(move |field| (resource, field.name) != ("meeting", "article"));
        let (name, example) = (within, within);
        fields.map(move |field| Field {
            name: name(resource, field.name),
            example: example(resource, field.example),
            ..*field
        })
    };
    let resources = of("meeting", MEETINGS).chain(of("participant", PARTICIPANTS)).chain(of("article", ARTICLES));
    let fields: Vec<_> = own.into_iter().chain(resources).collect();
    let functions = MEETINGS.functions.iter().map(|function| Function {
        name: within("meeting", function.name),
        signature: within("meeting", function.signature),
        example: within("meeting", function.example),
        ..*function
    });
    Vocabulary { fields: fields.leak(), functions: functions.collect::<Vec<_>>().leak() }
});

/// The collections and what else has fields, by the names by which ListFilterFields is asked for them.
pub fn vocabulary(name: &str) -> Option<&'static Vocabulary> {
    match name {
        "articles" => Some(ARTICLES),
        "changes" => Some(&CHANGES),
        "meetings" => Some(MEETINGS),
        "participants" => Some(PARTICIPANTS),
        "participations" => Some(PARTICIPATIONS),
        "statements" => Some(STATEMENTS),
        _ => None,
    }
}

const fn create_time(values: Values) -> Field {
    Field::one("create_time", values, "create_time >= \"2020-09-04T12:00:00Z\"", "When it was first written here.")
}

const fn update_time(values: Values) -> Field {
    Field::one("update_time", values, "update_time < \"2020-09-04\"", "When it was last written here.")
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
