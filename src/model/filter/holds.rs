//! Filters on a change and the record at hand, without a database: the same semantics as in SQL (`store/filter.rs`).

use uuid::Uuid;

use super::{Comparison, DateRange, Filter, Order};
use crate::{
    model::{
        article::{publisher_region, uris},
        dates, meeting, participant, report,
        resource::{Collection, Record},
    },
    pb::{self, change::Kind},
};

/// What a filter is asked about: a change, and its resource as it was or as it is.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The resource's collection.
    pub collection: Collection,
    /// Its id.
    pub id: Uuid,
    /// What happened to it.
    pub kind: Kind,
    /// The resource; `None` where it does not matter.
    pub record: Option<&'a Record>,
}

impl Filter {
    /// Whether the filter is true of a subject. What its resource does not have is unset.
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(subject)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(subject)),
            Self::Not(inner) => !inner.holds(subject),
            Self::Compare(comparison) => comparison.holds(subject),
        }
    }

    /// Whether it asks for more than the change itself says.
    pub fn needs_record(&self) -> bool {
        use Comparison::{ChangeCollection, ChangeKind, ChangeName};
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::needs_record),
            Self::Not(inner) => inner.needs_record(),
            Self::Compare(ChangeCollection(_) | ChangeKind(_) | ChangeName(..)) => false,
            Self::Compare(_) => true,
        }
    }
}

impl Comparison {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        use Comparison::*;
        let settled = match subject.record {
            Some(Record::Meeting(meeting)) => Some(&**meeting),
            _ => None,
        };
        let meeting = settled.and_then(|meeting| meeting.account.as_ref());
        let person = match subject.record {
            Some(Record::Participant(participant)) => Some(&**participant),
            _ => None,
        };
        let article = match subject.record {
            Some(Record::Article(article)) => Some(&**article),
            _ => None,
        };
        let of_report = match subject.record {
            Some(Record::Report(report)) => Some(&**report),
            _ => None,
        };
        match self {
            MeetingKind(kind) => meeting.is_some_and(|account| account.kind() == *kind),
            MeetingStatus(status) => meeting.is_some_and(|account| account.status() == *status),
            MeetingRegion(code) => meeting.is_some_and(|account| meeting::regions(account).any(|one| one == code)),
            PlaceRegion(code) => {
                meeting.and_then(|account| account.place.as_ref()).is_some_and(|place| place.region_code == *code)
            }
            Participant(id) => meeting.is_some_and(|account| report::participants(account).any(|one| one == *id)),
            // The reports say so, see `fields::CHANGES`.
            Article(_) => false,
            Topic(topic) => meeting.is_some_and(|account| account.topics.contains(topic)),
            MeetingDate(order, range) => {
                let span = meeting.and_then(|account| account.date.as_ref()).and_then(dates::span);
                span.is_some_and(|span| range.holds(*order, span))
            }
            HasDispute(wanted) => settled.is_some_and(|one| one.disputes.is_empty() != *wanted),
            ReportCount(order, number) => settled.is_some_and(|one| order.holds(one.report_count.into(), *number)),
            IndependentSourceCount(order, number) => {
                settled.is_some_and(|one| order.holds(one.independent_source_count.into(), *number))
            }
            Review(review) => settled.is_some_and(|one| meeting::review(one) == *review),
            ParticipantKind(kind) => person.is_some_and(|one| one.kind() == *kind),
            ParticipantRegion(code) => person.is_some_and(|one| one.region_code == *code),
            Name(key) => person.is_some_and(|one| participant::keys(one).contains(key)),
            Uri(uri) => article.is_some_and(|article| uris(article).any(|one| one == uri)),
            PublisherRegion(code) => article.and_then(publisher_region).is_some_and(|region| region == code),
            Language(code) => article.is_some_and(|article| is_set(&article.language_code, code)),
            Section(section) => article.is_some_and(|article| is_set(&article.section, section)),
            PublishDate(order, range) => {
                let date = article.and_then(|article| article.publish_date.as_ref());
                let span = |date: &pb::Date| Some((dates::first_day(date)?, dates::last_day(date)?));
                date.and_then(span).is_some_and(|span| range.holds(*order, span))
            }
            ReportMeeting(id) => of_report.and_then(|one| Collection::Meetings.id(&one.meeting)) == Some(*id),
            ReportArticle(id) => of_report.and_then(|one| Collection::Articles.id(&one.article)) == Some(*id),
            ChangeCollection(of) => subject.collection == *of,
            ChangeKind(kind) => subject.kind == *kind,
            ChangeName(of, id) => (subject.collection, subject.id) == (*of, *id),
        }
    }
}

/// An unset text is equal to nothing, the empty one neither.
fn is_set(text: &str, value: &str) -> bool {
    !text.is_empty() && text == value
}

impl Order {
    /// Whether one number stands so to another.
    fn holds(self, one: i64, other: i64) -> bool {
        match self {
            Self::Before => one < other,
            Self::BeforeOrIn => one <= other,
            Self::In => one == other,
            Self::InOrAfter => one >= other,
            Self::After => one > other,
        }
    }
}

impl DateRange {
    /// Whether the days from one to the other stand so to the range.
    fn holds(&self, order: Order, (from, to): (chrono::NaiveDate, chrono::NaiveDate)) -> bool {
        match order {
            Order::Before => from < self.first,
            Order::BeforeOrIn => from <= self.last,
            Order::In => from <= self.last && to >= self.first,
            Order::InOrAfter => to >= self.first,
            Order::After => to > self.last,
        }
    }
}
