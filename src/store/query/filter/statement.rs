//! Conditions on statements, over the table `statement` and its index tables.

use sqlx::{Postgres, QueryBuilder};

use super::{column, row, span};
use crate::model::query::filter::StatementCondition;

/// Appends the condition on a row of `statement`, negated unless `positive`.
pub(crate) fn push(query: &mut QueryBuilder<Postgres>, condition: &StatementCondition, positive: bool) {
    match condition {
        StatementCondition::Speaker(id) => row(query, OF_SPEAKER, id, positive),
        StatementCondition::Region(code) => row(query, OF_REGION, code, positive),
        StatementCondition::Act(act) => column(query, "statement.act", *act as i16, positive),
        StatementCondition::SpeakerKind(kind) => column(query, "statement.speaker_kind", *kind as i16, positive),
        StatementCondition::Quotation(quotation) => column(query, "statement.quotation", *quotation as i16, positive),
        StatementCondition::Topic(topic) => row(query, OF_TOPIC, topic, positive),
        StatementCondition::Language(code) => column(query, "statement.language_code", code, positive),
        StatementCondition::Date(order, range) => span(query, "statement.days", *order, *range, positive),
        StatementCondition::Meeting(id) => column(query, "statement.meeting", id, positive),
        StatementCondition::Article(id) => column(query, "statement.article", id, positive),
    }
}

/// The number of index tables that the condition joins.
pub(crate) fn joined_tables(condition: &StatementCondition) -> usize {
    usize::from(matches!(
        condition,
        StatementCondition::Speaker(_) | StatementCondition::Region(_) | StatementCondition::Topic(_)
    ))
}

/// The rows of the index tables, as arguments of `row`.
const OF_SPEAKER: &str = "select 1 from statement_speaker s \
     where s.report = statement.report and s.number = statement.number and s.participant";
const OF_REGION: &str = "select 1 from statement_region s \
     where s.report = statement.report and s.number = statement.number and s.region_code";
const OF_TOPIC: &str = "select 1 from statement_topic s \
     where s.report = statement.report and s.number = statement.number and s.topic";
