//! The fields by which each collection can be filtered, and what they can be compared with: one table each.

use std::{borrow::Cow, sync::LazyLock};

use strsim::osa_distance;
use uuid::Uuid;

use super::{Comparison, DateRange, FilterError, Order};
use crate::{
    model::{codes::is_region, dates, names, resource::Collection},
    pb::{account, change, meeting, participant},
};

/// A field of a collection.
pub struct Field {
    /// Its name in filters.
    pub name: Cow<'static, str>,
    /// What it can be compared with.
    pub values: Values,
}

/// What a field can be compared with, and the comparison that this makes. Only dates and numbers have an order.
#[derive(Clone, Copy)]
pub enum Values {
    /// An enum value by name. Gives the name of a number and the comparison, or `None` if there is none.
    Enum(fn(i32) -> Option<(&'static str, Comparison)>),
    /// An ISO 3166-1 alpha-2 code, or XK.
    Region(fn(String) -> Comparison),
    /// The name of a resource in this collection.
    Resource(Collection, fn(Uuid) -> Comparison),
    /// The name of a resource in any collection.
    AnyResource(fn(Collection, Uuid) -> Comparison),
    /// A collection, as the first part of names.
    Collection(fn(Collection) -> Comparison),
    /// Any text.
    Text(fn(String) -> Comparison),
    /// A year, month or day.
    Date(fn(Order, DateRange) -> Comparison),
    /// A whole number.
    Number(fn(Order, i64) -> Comparison),
    /// True or false.
    Bool(fn(bool) -> Comparison),
}

use Comparison::*;
use Values::{Bool, Date, Enum, Number, Region, Resource, Text};

/// The fields of meetings.
pub static MEETINGS: &[Field] = &[
    Field { name: Cow::Borrowed("kind"), values: Enum(meeting_kind) },
    Field { name: Cow::Borrowed("status"), values: Enum(meeting_status) },
    Field { name: Cow::Borrowed("region"), values: Region(MeetingRegion) },
    Field { name: Cow::Borrowed("place.region"), values: Region(PlaceRegion) },
    Field { name: Cow::Borrowed("participant"), values: Resource(Collection::Participants, Participant) },
    Field { name: Cow::Borrowed("article"), values: Resource(Collection::Articles, Article) },
    Field { name: Cow::Borrowed("topic"), values: Text(Topic) },
    Field { name: Cow::Borrowed("date"), values: Date(MeetingDate) },
    Field { name: Cow::Borrowed("has_dispute"), values: Bool(HasDispute) },
    Field { name: Cow::Borrowed("report_count"), values: Number(ReportCount) },
    Field { name: Cow::Borrowed("independent_source_count"), values: Number(IndependentSourceCount) },
    Field { name: Cow::Borrowed("review"), values: Enum(meeting_review) },
];

/// The fields of participants.
pub static PARTICIPANTS: &[Field] = &[
    Field { name: Cow::Borrowed("kind"), values: Enum(participant_kind) },
    Field { name: Cow::Borrowed("region"), values: Region(ParticipantRegion) },
    Field { name: Cow::Borrowed("name"), values: Text(|name| Name(names::key(&name))) },
];

/// The fields of articles.
pub static ARTICLES: &[Field] = &[
    Field { name: Cow::Borrowed("uri"), values: Text(Uri) },
    Field { name: Cow::Borrowed("publisher.region"), values: Region(PublisherRegion) },
    Field { name: Cow::Borrowed("language"), values: Text(Language) },
    Field { name: Cow::Borrowed("section"), values: Text(Section) },
    Field { name: Cow::Borrowed("publish_date"), values: Date(PublishDate) },
];

/// The fields of changes: their own, and those of their resources, under the name of these. Which articles tell of a
/// meeting does not stand in the meeting: the changes of its reports say so.
pub static CHANGES: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let own = [
        Field { name: "collection".into(), values: Values::Collection(ChangeCollection) },
        Field { name: "kind".into(), values: Enum(change_kind) },
        Field { name: "name".into(), values: Values::AnyResource(ChangeName) },
        Field { name: "report.meeting".into(), values: Resource(Collection::Meetings, ReportMeeting) },
        Field { name: "report.article".into(), values: Resource(Collection::Articles, ReportArticle) },
    ];
    let of = |resource: &'static str, fields: &'static [Field]| {
        let fields = fields.iter().filter(move |field| (resource, &*field.name) != ("meeting", "article"));
        fields.map(move |field| Field { name: format!("{resource}.{}", field.name).into(), values: field.values })
    };
    let resources = of("meeting", MEETINGS).chain(of("participant", PARTICIPANTS)).chain(of("article", ARTICLES));
    own.into_iter().chain(resources).collect()
});

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

fn participant_kind(number: i32) -> Option<(&'static str, Comparison)> {
    let kind = participant::Kind::try_from(number).ok()?;
    Some((kind.as_str_name(), ParticipantKind(kind)))
}

impl Values {
    /// The comparison with a literal as written, quotes and escapes resolved; `None` if it is none of these values.
    pub(super) fn equal(self, literal: &str) -> Option<Comparison> {
        match self {
            Self::Enum(value) => named(value).find(|(name, _)| *name == literal).map(|(_, comparison)| comparison),
            Self::Region(comparison) => is_region(literal).then(|| comparison(literal.to_owned())),
            Self::Resource(collection, comparison) => collection.id(literal).map(comparison),
            Self::AnyResource(comparison) => {
                let (collection, id) = Collection::of(literal)?;
                Some(comparison(collection, id))
            }
            Self::Collection(comparison) => {
                Collection::ALL.into_iter().find(|one| one.as_str() == literal).map(comparison)
            }
            Self::Text(comparison) => Some(comparison(literal.to_owned())),
            Self::Date(_) | Self::Number(_) => self.ordered(Order::In, literal),
            Self::Bool(comparison) => literal.parse().ok().map(comparison),
        }
    }

    /// The comparison of dates or numbers with a literal; `None` if it is none of these, or not what the field is.
    pub(super) fn ordered(self, order: Order, literal: &str) -> Option<Comparison> {
        match self {
            Self::Date(comparison) => {
                let (first, last) = dates::parse(literal)?;
                Some(comparison(order, DateRange { first, last }))
            }
            Self::Number(comparison) => {
                let is_number = literal.bytes().all(|byte| byte.is_ascii_digit());
                literal.parse().ok().filter(|_| is_number).map(|number| comparison(order, number))
            }
            _ => None,
        }
    }

    /// What a literal has to be, for an error message.
    pub fn expected(self) -> String {
        match self {
            Self::Enum(value) => {
                let names: Vec<_> = named(value).map(|(name, _)| name).collect();
                format!("one of {}", names.join(", "))
            }
            Self::Region(_) => "an ISO 3166-1 alpha-2 code in upper case, or XK".to_owned(),
            Self::Resource(collection, _) => {
                let collection = collection.as_str();
                format!("a resource name such as \"{collection}/0198f2d1-7c0e-7000-8000-0123456789ab\"")
            }
            Self::AnyResource(_) => {
                "a resource name such as \"meetings/0198f2d1-7c0e-7000-8000-0123456789ab\"".to_owned()
            }
            Self::Collection(_) => format!("one of {}", Collection::ALL.map(Collection::as_str).join(", ")),
            Self::Text(_) => "a text in quotes".to_owned(),
            Self::Date(_) => "a year, month or day such as \"2020\", \"2020-09\" or \"2020-09-04\"".to_owned(),
            Self::Number(_) => "a whole number such as 3".to_owned(),
            Self::Bool(_) => "true or false".to_owned(),
        }
    }
}

/// The values of an enum without the unspecified one, which stands for an unset field.
fn named(value: fn(i32) -> Option<(&'static str, Comparison)>) -> impl Iterator<Item = (&'static str, Comparison)> {
    // Far more than any enum of the contract has; gaps are fine.
    (1..256).filter_map(value)
}

/// The field of that name.
pub(super) fn find(fields: &'static [Field], name: &str, position: usize) -> Result<&'static Field, FilterError> {
    fields.iter().find(|field| field.name == name).ok_or_else(|| FilterError::UnknownField {
        position,
        field: name.chars().take(FilterError::MOST_ECHOED).collect(),
        nearest: nearest(fields, name),
    })
}

/// The field whose name is a few slips of the pen away (one in three letters), if any is.
fn nearest(fields: &'static [Field], name: &str) -> Option<&'static str> {
    // The distance costs the product of the lengths.
    if name.len() > FilterError::MOST_ECHOED {
        return None;
    }
    let slips = |field: &Field| osa_distance(&field.name, name);
    let field = fields.iter().min_by_key(|field| slips(field))?;
    (3 * slips(field) <= field.name.len().max(name.len())).then_some(&*field.name)
}
