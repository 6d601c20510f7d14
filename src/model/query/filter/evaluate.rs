//! Filters on a change and the record at hand, without a database: the same semantics as in SQL (`store/filter.rs`).

use chrono::{DateTime, NaiveDate, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

use super::{Comparison, Filter};
use crate::{
    model::{
        article::{publisher_region, uris},
        canonical::composed,
        meeting, participant, report,
        resource::{Collection, Record},
        text::names,
        time::dates,
    },
    pb::{self, Participation, change::Kind},
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
        self.evaluate(&|comparison| comparison.holds(subject))
    }

    fn evaluate(&self, is_so: &impl Fn(&Comparison) -> bool) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.evaluate(is_so)),
            Self::Or(parts) => parts.iter().any(|part| part.evaluate(is_so)),
            Self::Not(inner) => !inner.evaluate(is_so),
            Self::Compare(comparison) => is_so(comparison),
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
            PlaceLocality(key) => {
                let place = meeting.and_then(|account| account.place.as_ref());
                place.is_some_and(|place| is_set(&names::key(&place.locality), key))
            }
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
            AnnouncedBy(key) => {
                let announcement = meeting.and_then(|account| account.announcement.as_ref());
                announcement.is_some_and(|one| is_set(&names::key(&one.by), key))
            }
            Announcer(id) => meeting.and_then(meeting::announcer) == Some(*id),
            AnnouncementDate(order, range) => {
                let announcement = meeting.and_then(|account| account.announcement.as_ref());
                let span = announcement.and_then(|one| one.date.as_ref()).and_then(dates::span);
                span.is_some_and(|span| range.holds(*order, span))
            }
            MeetingPublishDate(order, range) => {
                let days = settled.and_then(|one| covered(one.publish_date.as_ref()));
                days.is_some_and(|days| range.holds(*order, days))
            }
            OneParticipation(conditions) => {
                let is_so = |one: &Participation| conditions.evaluate(&|comparison| comparison.holds_of(one));
                meeting.is_some_and(|account| account.participations.iter().any(is_so))
            }
            PartParticipant(_) | PartRegion(_) | PartRole(_) | PartSeniority(..) | PartPresence(_) => false,
            ParticipantKind(kind) => person.is_some_and(|one| one.kind() == *kind),
            ParticipantRegion(code) => person.is_some_and(|one| one.region_code == *code),
            Name(key) => person.is_some_and(|one| participant::keys(one).contains(key)),
            Parent(id) => person.and_then(|one| Collection::Participants.id(&one.parent)) == Some(*id),
            Uri(uri) => article.is_some_and(|article| uris(article).any(|one| one == uri)),
            PublisherRegion(code) => article.and_then(publisher_region).is_some_and(|region| region == code),
            Language(code) => article.is_some_and(|article| is_set(&article.language_code, code)),
            Section(section) => article.is_some_and(|article| is_set(&composed(&article.section), section)),
            PublishDate(order, range) => {
                let days = article.and_then(|article| covered(article.publish_date.as_ref()));
                days.is_some_and(|days| range.holds(*order, days))
            }
            // An older release left it empty; the copies, if there are any, have not been looked for.
            Origin(id) => article.is_some_and(|one| Collection::Articles.id(&one.origin).unwrap_or(subject.id) == *id),
            SyndicatedFrom(id) => article.and_then(|one| Collection::Articles.id(&one.syndicated_from)) == Some(*id),
            CreateTime(of, order, range) => {
                let record = subject.record.filter(|_| subject.collection == *of);
                record.and_then(|record| times(record).created).is_some_and(|time| range.holds(*order, time))
            }
            UpdateTime(of, order, range) => {
                let record = subject.record.filter(|_| subject.collection == *of);
                record.and_then(|record| times(record).updated).is_some_and(|time| range.holds(*order, time))
            }
            // No change is of a statement: its report says it.
            StatementCondition(_) => false,
            ReportMeeting(id) => of_report.and_then(|one| Collection::Meetings.id(&one.meeting)) == Some(*id),
            ReportArticle(id) => of_report.and_then(|one| Collection::Articles.id(&one.article)) == Some(*id),
            ChangeCollection(of) => subject.collection == *of,
            ChangeKind(kind) => subject.kind == *kind,
            ChangeName(of, id) => (subject.collection, subject.id) == (*of, *id),
        }
    }

    /// Whether it is true of a participation.
    fn holds_of(&self, one: &Participation) -> bool {
        use Comparison::*;
        match self {
            PartParticipant(id) => Collection::Participants.id(&one.participant) == Some(*id),
            PartRegion(code) => one.region_code == *code,
            PartRole(role) => one.roles().any(|one| one == *role),
            PartSeniority(order, number) => {
                let seniority = one.office.as_ref().map_or(0, |office| office.seniority);
                seniority != 0 && order.holds(seniority.into(), *number)
            }
            PartPresence(presence) => one.presence() == *presence,
            // No participation has any other field.
            _ => false,
        }
    }
}

/// An unset text is equal to nothing, the empty one neither.
fn is_set(text: &str, value: &str) -> bool {
    !text.is_empty() && text == value
}

/// The first and the last day that a date covers.
fn covered(date: Option<&pb::Date>) -> Option<(NaiveDate, NaiveDate)> {
    let date = date?;
    Some((dates::first_day(date)?, dates::last_day(date)?))
}

/// When a record was first and last written.
struct Times {
    created: Option<DateTime<Utc>>,
    updated: Option<DateTime<Utc>>,
}

fn times(record: &Record) -> Times {
    let (created, updated) = match record {
        Record::Participant(one) => (one.create_time, one.update_time),
        Record::Article(one) => (one.create_time, one.update_time),
        Record::Report(one) => (one.create_time, one.update_time),
        Record::Meeting(one) => (one.create_time, one.update_time),
    };
    let time = |time: Timestamp| DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?);
    Times { created: created.and_then(time), updated: updated.and_then(time) }
}
