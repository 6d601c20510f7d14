//! Conditions on statements.

use sqlx::{Postgres, QueryBuilder};

use super::{column, row, span};
use crate::model::query::filter::StatementCondition;

/// Appends whether a row of `statement` compares so.
pub(crate) fn push(query: &mut QueryBuilder<Postgres>, said: &StatementCondition, wanted: bool) {
    match said {
        StatementCondition::Speaker(id) => row(query, OF_SPEAKER, id, wanted),
        StatementCondition::Region(code) => row(query, OF_REGION, code, wanted),
        StatementCondition::Act(act) => column(query, "statement.act", *act as i16, wanted),
        StatementCondition::SpeakerKind(kind) => column(query, "statement.speaker_kind", *kind as i16, wanted),
        StatementCondition::Quotation(quotation) => column(query, "statement.quotation", *quotation as i16, wanted),
        StatementCondition::Topic(topic) => row(query, OF_TOPIC, topic, wanted),
        StatementCondition::Language(code) => column(query, "statement.language_code", code, wanted),
        StatementCondition::Date(order, range) => span(query, "statement.days", *order, *range, wanted),
        StatementCondition::Meeting(id) => column(query, "statement.meeting", id, wanted),
        StatementCondition::Article(id) => column(query, "statement.article", id, wanted),
    }
}

/// How many index tables are joined for it.
pub(crate) fn lists(said: &StatementCondition) -> usize {
    matches!(said, StatementCondition::Speaker(_) | StatementCondition::Region(_) | StatementCondition::Topic(_)).into()
}

/// Rows of the index tables, as `row` needs them.
const OF_SPEAKER: &str = "select 1 from statement_speaker s \
     where s.report = statement.report and s.number = statement.number and s.participant";
const OF_REGION: &str = "select 1 from statement_region s \
     where s.report = statement.report and s.number = statement.number and s.region_code";
const OF_TOPIC: &str = "select 1 from statement_topic s \
     where s.report = statement.report and s.number = statement.number and s.topic";
