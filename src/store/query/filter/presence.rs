//! `field:*` as an SQL condition: a record has a value of the field.

use sqlx::{Postgres, QueryBuilder};

use super::has_term;
use crate::{
    model::query::filter::{Comparison, StatementCondition},
    store::table,
};

/// Appends that the field of a comparison is set, negated unless `positive`.
pub fn push(query: &mut QueryBuilder<Postgres>, field: &Comparison, positive: bool) {
    let condition = match field {
        Comparison::RecordTerm(of, term) => return has_term(query, table(*of), term.field_hash(), positive),
        Comparison::PartTerm(term) => return has_term(query, "p", term.field_hash(), positive),
        Comparison::IsSet(field) => return push(query, field, positive),
        field => is_set(field),
    };
    query.push(if positive { "(" } else { "not (" }).push(condition).push(")");
}

/// The condition, which is never null.
fn is_set(field: &Comparison) -> &'static str {
    use Comparison::*;
    match field {
        MeetingKind(_) => "meeting.kind is not null",
        MeetingStatus(_) => "meeting.status is not null",
        MeetingRegion(_) => "exists (select 1 from meeting_region r where r.takes_part and r.meeting = meeting.id)",
        PlaceRegion(_) => {
            "exists (select 1 from meeting_place l where l.meeting = meeting.id and l.region_code is not null)"
        }
        PlaceLocality(_) => {
            "exists (select 1 from meeting_place l where l.meeting = meeting.id and l.locality is not null)"
        }
        VisitType(_) => "meeting.visit_type is not null",
        MeetingExternalId(..) => "exists (select 1 from meeting_external_id e where e.meeting = meeting.id)",
        ArticleExternalId(..) => "exists (select 1 from article_external_id e where e.article = article.id)",
        // An id of an alias is one of its person.
        ParticipantExternalId(..) => {
            "participant.delete_time is null and participant.merged_into is null and \
             (exists (select 1 from participant_external_id e where e.participant = participant.id) or \
              exists (select 1 from participant a join participant_external_id e on e.participant = a.id \
                      where a.merged_into = participant.id))"
        }
        OwnExternalId => {
            "participant.delete_time is null and participant.merged_into is null and \
             exists (select 1 from participant_external_id e where e.participant = participant.id)"
        }
        Participant(_) => "exists (select 1 from meeting_participant p where p.settled and p.meeting = meeting.id)",
        Article(_) => {
            "exists (select 1 from report r where r.retract_time is null and r.meeting = meeting.id and r.article is not null)"
        }
        Topic(_) => "exists (select 1 from meeting_topic t where t.meeting = meeting.id)",
        MeetingDate(..) => "meeting.days is not null",
        StartTime(..) => "meeting.start_time is not null",
        StatedSize(..) => "meeting.delegation_sizes is not null",
        Fragile(_) => "meeting.fragile <> 0",
        AnnouncedBy(_) => "meeting.announced_by is not null",
        Announcer(_) => "meeting.announcer is not null",
        AnnouncementDate(..) => "meeting.announce_days is not null",
        MeetingPublishDate(..) => "meeting.publish_date is not null",
        // Every participant has a kind.
        PartParticipant(_) | PartKind(_) => "p.participant is not null",
        PartRegion(_) => "p.region_code is not null",
        PartRole(_) => "p.roles <> 0",
        PartSeniority(..) => "p.seniority <> 0",
        PartPresence(_) => "p.presence <> 0",
        ParticipantRegion(_) => "participant.region_code is not null",
        // Every participant has a name, but a deleted one and an alias have none in lists.
        Name(_) => "participant.delete_time is null and participant.merged_into is null",
        Parent(_) => "participant.parent is not null",
        PublisherRegion(_) => "article.publisher_region is not null",
        Language(_) => "article.language_code is not null",
        Section(_) => "article.section is not null",
        PublishDate(..) => "article.publish_from is not null",
        SyndicatedFrom(_) => "article.syndicated_from is not null",
        StatementCondition(condition) => is_set_in_statement(condition),
        EventPrincipal(_) => "audit_event.principal <> ''",
        EventName(_) => "audit_event.names <> '{}'",
        // Every record has these.
        HasDispute(_)
        | ReportCount(..)
        | IndependentSourceCount(..)
        | EvidenceCoverage(..)
        | Review(_)
        | ParticipantKind(_)
        | Uri(_)
        | Origin(_)
        | CreateTime(..)
        | UpdateTime(..)
        | ReportMeeting(_)
        | ReportArticle(_)
        | ChangeCollection(_)
        | ChangeKind(_)
        | ChangeName(..)
        | EventTime(..)
        | EventMethod(_)
        | EventOutcome(_) => "true",
        // `push` has handled the terms; the others have no name in filters.
        RecordTerm(..) | PartTerm(_) | PartOneOf(_) | IsSet(_) | OneOf(..) | OneParticipation(_) => "false",
    }
}

fn is_set_in_statement(condition: &StatementCondition) -> &'static str {
    match condition {
        StatementCondition::Speaker(_) => {
            "exists (select 1 from statement_speaker s where s.report = statement.report and s.number = statement.number)"
        }
        StatementCondition::Region(_) => {
            "exists (select 1 from statement_region s where s.report = statement.report and s.number = statement.number)"
        }
        StatementCondition::Topic(_) => {
            "exists (select 1 from statement_topic s where s.report = statement.report and s.number = statement.number)"
        }
        StatementCondition::Act(_) => "statement.act is not null",
        StatementCondition::SpeakerKind(_) => "statement.speaker_kind is not null",
        StatementCondition::Quotation(_) => "statement.quotation is not null",
        StatementCondition::Language(_) => "statement.language_code is not null",
        StatementCondition::Date(..) => "statement.days is not null",
        StatementCondition::Meeting(_) | StatementCondition::Article(_) => "true",
    }
}
