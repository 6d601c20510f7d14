//! Evaluates filters in memory, on a change and its record, with the same semantics as the SQL of `store/query/filter`.

use chrono::{DateTime, NaiveDate, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

use super::{Comparison, Filter, Term};
use crate::{
    model::{
        article::{publisher_region, uris},
        canonical::composed,
        evidence::thousandths,
        identity::door_keys,
        meeting, report,
        resource::{Collection, Deletable, Record},
        text::names,
        time::dates,
    },
    pb::{self, Participation, change::Kind},
};

/// The input of a filter: a change, and its resource before or after it.
#[derive(Debug, Clone, Copy)]
pub struct FilterInput<'a> {
    /// The resource's collection.
    pub collection: Collection,
    /// The resource's id.
    pub id: Uuid,
    /// The kind of change.
    pub kind: Kind,
    /// The resource; `None` if the filter does not need it.
    pub record: Option<&'a Record>,
}

impl<'a> FilterInput<'a> {
    /// The record, if it is a meeting.
    pub(super) fn meeting(&self) -> Option<&'a pb::Meeting> {
        match self.record {
            Some(Record::Meeting(meeting)) => Some(meeting),
            _ => None,
        }
    }

    /// The record, if it is a participant.
    pub(super) fn participant(&self) -> Option<&'a pb::Participant> {
        match self.record {
            Some(Record::Participant(participant)) => Some(participant),
            _ => None,
        }
    }

    /// The record, if it is an article.
    pub(super) fn article(&self) -> Option<&'a pb::Article> {
        match self.record {
            Some(Record::Article(article)) => Some(article),
            _ => None,
        }
    }
}

impl Filter {
    /// True if the filter matches. Fields that the resource does not have are unset.
    pub fn holds(&self, subject: &FilterInput<'_>) -> bool {
        self.evaluate(&|comparison| comparison.holds(subject))
    }

    pub(super) fn evaluate(&self, matches: &impl Fn(&Comparison) -> bool) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.evaluate(matches)),
            Self::Or(parts) => parts.iter().any(|part| part.evaluate(matches)),
            Self::Not(inner) => !inner.evaluate(matches),
            Self::Compare(comparison) => matches(comparison),
        }
    }

    /// True if the filter compares more than the change's own fields.
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
    fn holds(&self, subject: &FilterInput<'_>) -> bool {
        use Comparison::*;
        let meeting = subject.meeting();
        let account = meeting.and_then(|meeting| meeting.account.as_ref());
        let (participant, article) = (subject.participant(), subject.article());
        let report = match subject.record {
            Some(Record::Report(report)) => Some(&**report),
            _ => None,
        };
        match self {
            OneOf(collection, ids) => subject.collection == *collection && ids.contains(&subject.id),
            IsSet(field) => field.is_set(subject),
            RecordTerm(collection, term) => {
                subject.collection == *collection && subject.record.is_some_and(|record| terms(record).contains(term))
            }
            MeetingKind(kind) => account.is_some_and(|account| account.kind() == *kind),
            MeetingStatus(status) => account.is_some_and(|account| account.status() == *status),
            MeetingRegion(code) => {
                account.is_some_and(|account| meeting::regions(account).any(|region| region == code))
            }
            PlaceRegion(code) => {
                account.is_some_and(|account| meeting::places(account).any(|place| place.region_code == *code))
            }
            Participant(id) => {
                account.is_some_and(|account| report::participants(account).any(|participant| participant == *id))
            }
            // A change of a meeting has no articles: the changes of its reports have them, see `fields::CHANGES`.
            Article(_) => false,
            PlaceLocality(key) => {
                let is_at = |place: &pb::Place| equals_set(&names::key(&place.locality), key);
                account.is_some_and(|account| meeting::places(account).any(is_at))
            }
            VisitType(visit_type) => account.is_some_and(|account| account.visit_type() == *visit_type),
            MeetingExternalId(scheme, value) => {
                meeting.is_some_and(|meeting| meeting::external_ids(meeting).any(|id| id == (scheme, value)))
            }
            Topic(topic) => account.is_some_and(|account| account.topics.contains(topic)),
            MeetingDate(order, range) => {
                let span = account.and_then(|account| account.date.as_ref()).and_then(dates::span);
                span.is_some_and(|span| range.holds(*order, span))
            }
            StartTime(order, range) => {
                let start = account.and_then(meeting::start_time);
                start.is_some_and(|start| range.holds(*order, start))
            }
            StatedSize(order, number) => account
                .is_some_and(|account| meeting::stated_sizes(account).any(|size| order.holds(size.into(), *number))),
            Fragile(field) => meeting.is_some_and(|meeting| field.is_fragile_in(meeting)),
            HasDispute(expected) => meeting.is_some_and(|meeting| meeting.disputes.is_empty() != *expected),
            ReportCount(order, number) => {
                meeting.is_some_and(|meeting| order.holds(meeting.report_count.into(), *number))
            }
            IndependentSourceCount(order, number) => {
                meeting.is_some_and(|meeting| order.holds(meeting.independent_source_count.into(), *number))
            }
            EvidenceCoverage(order, number) => {
                meeting.is_some_and(|meeting| order.holds(thousandths(meeting.evidence_coverage), *number))
            }
            Review(review) => meeting.is_some_and(|meeting| meeting::review(meeting) == *review),
            AnnouncedBy(key) => {
                let announcement = account.and_then(|account| account.announcement.as_ref());
                announcement.is_some_and(|announcement| equals_set(&names::key(&announcement.by), key))
            }
            Announcer(id) => account.and_then(meeting::announcer) == Some(*id),
            AnnouncementDate(order, range) => {
                let announcement = account.and_then(|account| account.announcement.as_ref());
                let span = announcement.and_then(|announcement| announcement.date.as_ref()).and_then(dates::span);
                span.is_some_and(|span| range.holds(*order, span))
            }
            MeetingPublishDate(order, range) => {
                let days = meeting.and_then(|meeting| covered(meeting.publish_date.as_ref()));
                days.is_some_and(|days| range.holds(*order, days))
            }
            OneParticipation(conditions) => {
                let matches = |participation: &Participation| {
                    conditions.evaluate(&|comparison| comparison.holds_of_participation(participation))
                };
                account.is_some_and(|account| account.participations.iter().any(matches))
            }
            PartParticipant(_) | PartRegion(_) | PartTerm(_) | PartRole(_) | PartSeniority(..) | PartPresence(_)
            | PartKind(_) | PartOneOf(_) => false,
            ParticipantKind(kind) => participant.is_some_and(|participant| participant.kind() == *kind),
            ParticipantRegion(code) => participant.is_some_and(|participant| participant.region_code == *code),
            // Neither a deleted participant nor an alias has names of its own in lists: the names of an alias are names
            // of its person, with which `feed::person_filter` compares.
            Name(key) => participant.is_some_and(|participant| {
                let is_listed = !participant.is_deleted() && participant.merged_into.is_empty();
                is_listed && door_keys(participant).contains(key)
            }),
            // As for names.
            ParticipantExternalId(scheme, value) => participant.is_some_and(|participant| {
                let is_listed = !participant.is_deleted() && participant.merged_into.is_empty();
                is_listed && has_external_id(&participant.external_ids, (scheme, value))
            }),
            OwnExternalId => self.is_set(subject),
            Parent(id) => {
                participant.and_then(|participant| Collection::Participants.id(&participant.parent)) == Some(*id)
            }
            ArticleExternalId(scheme, value) => {
                article.is_some_and(|article| has_external_id(&article.external_ids, (scheme, value)))
            }
            Uri(uri) => article.is_some_and(|article| uris(article).any(|known| known == uri)),
            PublisherRegion(code) => article.and_then(publisher_region).is_some_and(|region| region == code),
            Language(code) => article.is_some_and(|article| equals_set(&article.language_code, code)),
            Section(section) => article.is_some_and(|article| equals_set(&composed(&article.section), section)),
            PublishDate(order, range) => {
                let days = article.and_then(|article| covered(article.publish_date.as_ref()));
                days.is_some_and(|days| range.holds(*order, days))
            }
            // An older release left `origin` empty. Copies of such an article have not been searched for.
            Origin(id) => {
                article.is_some_and(|article| Collection::Articles.id(&article.origin).unwrap_or(subject.id) == *id)
            }
            SyndicatedFrom(id) => {
                article.and_then(|article| Collection::Articles.id(&article.syndicated_from)) == Some(*id)
            }
            CreateTime(collection, order, range) => {
                let record = subject.record.filter(|_| subject.collection == *collection);
                record.and_then(|record| times(record).created).is_some_and(|time| range.holds(*order, time))
            }
            UpdateTime(collection, order, range) => {
                let record = subject.record.filter(|_| subject.collection == *collection);
                record.and_then(|record| times(record).updated).is_some_and(|time| range.holds(*order, time))
            }
            // There are no changes of statements: a statement is a part of its report.
            StatementCondition(_) => false,
            ReportMeeting(id) => report.and_then(|report| Collection::Meetings.id(&report.meeting)) == Some(*id),
            ReportArticle(id) => report.and_then(|report| Collection::Articles.id(&report.article)) == Some(*id),
            ChangeCollection(collection) => subject.collection == *collection,
            ChangeKind(kind) => subject.kind == *kind,
            ChangeName(collection, id) => (subject.collection, subject.id) == (*collection, *id),
            // Audit events are not changes.
            EventTime(..) | EventPrincipal(_) | EventMethod(_) | EventName(_) | EventOutcome(_) => false,
        }
    }

    /// Evaluates a comparison inside `participant((...))`.
    pub(super) fn holds_of_participation(&self, participation: &Participation) -> bool {
        use Comparison::*;
        match self {
            PartParticipant(id) => Collection::Participants.id(&participation.participant) == Some(*id),
            PartRegion(code) => participation.region_code == *code,
            PartTerm(term) => Term::of_participation(participation).contains(term),
            IsSet(field) => field.is_set_in_participation(participation),
            PartRole(role) => participation.roles().any(|reported| reported == *role),
            PartSeniority(order, number) => {
                let seniority = participation.office.as_ref().map_or(0, |office| office.seniority);
                seniority != 0 && order.holds(seniority.into(), *number)
            }
            PartPresence(presence) => participation.presence() == *presence,
            PartOneOf(ids) => {
                Collection::Participants.id(&participation.participant).is_some_and(|id| ids.contains(&id))
            }
            // Participations have no other fields.
            _ => false,
        }
    }
}

/// The terms of a record.
pub(super) fn terms(record: &Record) -> Vec<Term> {
    match record {
        Record::Meeting(meeting) => Term::of_meeting(meeting),
        Record::Participant(participant) => Term::of_participant(participant),
        Record::Article(article) => Term::of_article(article),
        Record::Report(_) => Vec::new(),
    }
}

/// True if the text is set and equal to the value. An unset text equals nothing, not even the empty text.
fn equals_set(text: &str, value: &str) -> bool {
    !text.is_empty() && text == value
}

/// True if the ids have this one, of a scheme and a value.
fn has_external_id(ids: &[pb::ExternalId], (scheme, value): (&str, &str)) -> bool {
    ids.iter().any(|id| id.scheme == scheme && id.value == value)
}

/// The first and the last day that a date covers.
fn covered(date: Option<&pb::Date>) -> Option<(NaiveDate, NaiveDate)> {
    let date = date?;
    Some((dates::first_day(date)?, dates::last_day(date)?))
}

/// The create and update times of a record.
struct Times {
    created: Option<DateTime<Utc>>,
    updated: Option<DateTime<Utc>>,
}

fn times(record: &Record) -> Times {
    let (created, updated) = match record {
        Record::Participant(record) => (record.create_time, record.update_time),
        Record::Article(record) => (record.create_time, record.update_time),
        Record::Report(record) => (record.create_time, record.update_time),
        Record::Meeting(record) => (record.create_time, record.update_time),
    };
    let time = |time: Timestamp| DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?);
    Times { created: created.and_then(time), updated: updated.and_then(time) }
}
