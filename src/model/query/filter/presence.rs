//! Evaluates `field:*` in memory: true if a record has a value of the field.

use super::{Comparison, FilterInput, Term, evaluate::terms};
use crate::{
    model::{
        article::publisher_region,
        identity::door_keys,
        meeting, report,
        resource::{Collection, Deletable},
        settle::FragileField,
        text::names,
        time::dates,
    },
    pb::{Participation, participation::Presence},
};

impl Comparison {
    /// True if the field of this comparison is set in the resource of a change.
    pub(super) fn is_set(&self, subject: &FilterInput<'_>) -> bool {
        use Comparison::*;
        let meeting = subject.meeting();
        let account = meeting.and_then(|meeting| meeting.account.as_ref());
        let announcement = account.and_then(|account| account.announcement.as_ref());
        let (participant, article) = (subject.participant(), subject.article());
        let is_of = |collection: Collection| subject.record.is_some() && subject.collection == collection;
        match self {
            IsSet(field) => field.is_set(subject),
            RecordTerm(collection, term) => {
                let record = subject.record.filter(|_| subject.collection == *collection);
                record.is_some_and(|record| terms(record).iter().any(|known| known.has_field_of(term)))
            }
            MeetingKind(_) => account.is_some_and(|account| account.kind != 0),
            MeetingStatus(_) => account.is_some_and(|account| account.status != 0),
            MeetingRegion(_) => account.is_some_and(|account| meeting::regions(account).next().is_some()),
            PlaceRegion(_) => {
                account.is_some_and(|account| meeting::places(account).any(|place| !place.region_code.is_empty()))
            }
            PlaceLocality(_) => account
                .is_some_and(|account| meeting::places(account).any(|place| !names::key(&place.locality).is_empty())),
            VisitType(_) => account.is_some_and(|account| account.visit_type != 0),
            MeetingExternalId(..) => meeting.is_some_and(|meeting| meeting::external_ids(meeting).next().is_some()),
            // Of a participant its own ones: those of aliases are ids of its person, with which `feed::person_filter` compares.
            ParticipantExternalId(..) | OwnExternalId => participant.is_some_and(|participant| {
                let is_listed = !participant.is_deleted() && participant.merged_into.is_empty();
                is_listed && !participant.external_ids.is_empty()
            }),
            ArticleExternalId(..) => article.is_some_and(|article| !article.external_ids.is_empty()),
            Participant(_) => account.is_some_and(|account| report::participants(account).next().is_some()),
            // As for a comparison: a change of a meeting has no articles.
            Article(_) => false,
            Topic(_) => account.is_some_and(|account| !account.topics.is_empty()),
            MeetingDate(..) => account.and_then(|account| account.date.as_ref()).and_then(dates::span).is_some(),
            StartTime(..) => account.and_then(meeting::start_time).is_some(),
            StatedSize(..) => account.is_some_and(|account| meeting::stated_sizes(account).next().is_some()),
            Fragile(_) => meeting.is_some_and(|meeting| FragileField::bits(meeting) != 0),
            HasDispute(_) | ReportCount(..) | IndependentSourceCount(..) | EvidenceCoverage(..) | Review(_) => {
                meeting.is_some()
            }
            AnnouncedBy(_) => announcement.is_some_and(|announcement| !names::key(&announcement.by).is_empty()),
            Announcer(_) => account.and_then(meeting::announcer).is_some(),
            AnnouncementDate(..) => {
                announcement.and_then(|announcement| announcement.date.as_ref()).and_then(dates::span).is_some()
            }
            MeetingPublishDate(..) => meeting.is_some_and(|meeting| meeting.publish_date.is_some()),
            ParticipantKind(_) => participant.is_some_and(|participant| participant.kind != 0),
            ParticipantRegion(_) => participant.is_some_and(|participant| !participant.region_code.is_empty()),
            Name(_) => participant.is_some_and(|participant| {
                let is_listed = !participant.is_deleted() && participant.merged_into.is_empty();
                is_listed && !door_keys(participant).is_empty()
            }),
            Parent(_) => participant.is_some_and(|participant| !participant.parent.is_empty()),
            Uri(_) | Origin(_) => article.is_some(),
            PublisherRegion(_) => article.and_then(publisher_region).is_some(),
            Language(_) => article.is_some_and(|article| !article.language_code.is_empty()),
            Section(_) => article.is_some_and(|article| !article.section.is_empty()),
            PublishDate(..) => article.is_some_and(|article| article.publish_date.is_some()),
            SyndicatedFrom(_) => article.is_some_and(|article| !article.syndicated_from.is_empty()),
            CreateTime(collection, ..) | UpdateTime(collection, ..) => is_of(*collection),
            ReportMeeting(_) | ReportArticle(_) => is_of(Collection::Reports),
            ChangeCollection(_) | ChangeKind(_) | ChangeName(..) => true,
            // Not fields of changes, or functions.
            OneOf(..)
            | OneParticipation(_)
            | PartParticipant(_)
            | PartRegion(_)
            | PartTerm(_)
            | PartRole(_)
            | PartSeniority(..)
            | PartPresence(_)
            | PartKind(_)
            | PartOneOf(_)
            | StatementCondition(_)
            | EventTime(..)
            | EventPrincipal(_)
            | EventMethod(_)
            | EventName(_)
            | EventOutcome(_) => false,
        }
    }

    /// True if the field of this comparison is set in a participation.
    pub(super) fn is_set_in_participation(&self, participation: &Participation) -> bool {
        use Comparison::*;
        match self {
            // Every participant has a kind.
            PartParticipant(_) | PartKind(_) => !participation.participant.is_empty(),
            PartRegion(_) => !participation.region_code.is_empty(),
            PartTerm(term) => Term::of_participation(participation).iter().any(|known| known.has_field_of(term)),
            PartRole(_) => !participation.roles.is_empty(),
            PartSeniority(..) => participation.office.as_ref().is_some_and(|office| office.seniority != 0),
            PartPresence(_) => participation.presence() != Presence::Unspecified,
            // Participations have no other fields.
            _ => false,
        }
    }
}
