//! The fields of participants and of articles.

use super::{create_time, label, update_time};
use crate::{
    model::{
        canonical::composed,
        identity::name_key,
        query::filter::{
            Comparison, Field, FilterSchema, Term,
            Values::{Date, Enum, ExternalId, Label, Region, Resource, Text, Time},
        },
        resource::Collection,
    },
    pb::participant,
};
use Comparison::*;

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
        Field::repeated(
            "external_id",
            ExternalId(ParticipantExternalId),
            "external_id = \"wikidata:Q11806\"",
            "An identifier in another catalogue, also of an alias: its scheme, a colon and its value.",
        ),
        label(Label(|key, value| RecordTerm(Collection::Participants, Term::label(key, value)))),
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
            "title",
            Text(|title| RecordTerm(Collection::Articles, Term::title(&title))),
            "title = \"Russian military delegation visits Baku\"",
            "The whole headline, in upper or lower case.",
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
        Field::repeated(
            "external_id",
            ExternalId(ArticleExternalId),
            "external_id = \"factiva:AZER000020200904\"",
            "An identifier in another catalogue: its scheme, a colon and its value.",
        ),
        label(Label(|key, value| RecordTerm(Collection::Articles, Term::label(key, value)))),
        create_time(Time(|order, range| CreateTime(Collection::Articles, order, range))),
        update_time(Time(|order, range| UpdateTime(Collection::Articles, order, range))),
    ],
    functions: &[],
};

fn participant_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = participant::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), ParticipantKind(kind)))
}
