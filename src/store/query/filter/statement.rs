//! Conditions on statements.

use sqlx::{Postgres, QueryBuilder};

use super::{column, row, span};
use crate::model::query::filter::Said;

/// Appends whether a row of `statement` compares so.
pub(crate) fn push(query: &mut QueryBuilder<Postgres>, said: &Said, wanted: bool) {
    match said {
        Said::Speaker(id) => row(query, OF_SPEAKER, id, wanted),
        Said::Region(code) => row(query, OF_REGION, code, wanted),
        Said::Act(act) => column(query, "statement.act", *act as i16, wanted),
        Said::SpeakerKind(kind) => column(query, "statement.speaker_kind", *kind as i16, wanted),
        Said::Quotation(quotation) => column(query, "statement.quotation", *quotation as i16, wanted),
        Said::Topic(topic) => row(query, OF_TOPIC, topic, wanted),
        Said::Language(code) => column(query, "statement.language_code", code, wanted),
        Said::Date(order, range) => span(query, "statement.days", *order, *range, wanted),
        Said::Meeting(id) => column(query, "statement.meeting", id, wanted),
        Said::Article(id) => column(query, "statement.article", id, wanted),
    }
}

/// How many index tables are joined for it.
pub(crate) fn lists(said: &Said) -> usize {
    matches!(said, Said::Speaker(_) | Said::Region(_) | Said::Topic(_)).into()
}

/// Rows of the index tables, as `row` needs them.
const OF_SPEAKER: &str = "select 1 from statement_speaker s \
     where s.report = statement.report and s.number = statement.number and s.participant";
const OF_REGION: &str = "select 1 from statement_region s \
     where s.report = statement.report and s.number = statement.number and s.region_code";
const OF_TOPIC: &str = "select 1 from statement_topic s \
     where s.report = statement.report and s.number = statement.number and s.topic";
