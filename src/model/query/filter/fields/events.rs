//! The fields of changes and of audit events.

use std::sync::LazyLock;

use super::{ARTICLES, MEETINGS, PARTICIPANTS};
use crate::{
    model::{
        query::filter::{
            Comparison, Field, FilterSchema, Function,
            Values::{self, Enum, Resource, Text, Time},
        },
        resource::Collection,
    },
    pb::change,
};
use Comparison::*;

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

fn change_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = change::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), ChangeKind(kind)))
}
