//! Conditions that must hold together for one participation of a meeting.

use sqlx::{Postgres, QueryBuilder};

use super::{MAX_JOINED, OF_PARTICIPANT, condition, has_term, row};
use crate::{
    model::query::filter::{Comparison, ComparisonOp, Filter},
    pb::participation::Presence,
    store::account_index::{PRESENCE, ROLE, SENIORITY},
};

/// Appends that a meeting has a participation `p` for which the conditions are true, negated unless `positive`.
///
/// An index of participations has no order that serves a page. But each condition with `=` has an index table of
/// meetings in the order of ids, which the planner can read as far as a page needs. So the condition also requires a
/// row in each of these tables, which is redundant.
pub fn push(query: &mut QueryBuilder<Postgres>, conditions: &Filter, positive: bool) {
    if positive {
        query.push("(");
        for comparison in required(conditions).into_iter().take(MAX_JOINED) {
            push_index_row(query, comparison);
        }
    }
    query.push(if positive { "exists (" } else { "not exists (" });
    query.push("select 1 from participation p where p.meeting = meeting.id and ");
    condition(query, conditions, true);
    query.push(if positive { "))" } else { ")" });
}

/// The comparisons that must be true for the conditions to be true.
fn required(conditions: &Filter) -> Vec<&Comparison> {
    match conditions {
        Filter::And(parts) => parts.iter().flat_map(required).collect(),
        Filter::Compare(comparison) => vec![comparison],
        Filter::Or(_) | Filter::Not(_) => Vec::new(),
    }
}

/// Appends that an index table lists the meeting for the comparison, and an `and`. Appends nothing if there is no such
/// table.
fn push_index_row(query: &mut QueryBuilder<Postgres>, comparison: &Comparison) {
    const OF_TRAIT: &str = "select 1 from meeting_trait t where t.meeting = meeting.id and t.trait";
    match comparison {
        Comparison::PartParticipant(id) => row(query, OF_PARTICIPANT, id, true),
        Comparison::PartRegion(code) => {
            row(query, "select 1 from meeting_region r where r.meeting = meeting.id and r.region_code", code, true);
        }
        Comparison::PartRole(role) => row(query, OF_TRAIT, ROLE + *role as i16, true),
        Comparison::PartTerm(term) => has_term(query, "meeting", term.hash(), true),
        // Nearly every meeting has a participant who is PRESENT: this presence is not indexed.
        Comparison::PartPresence(presence) if *presence != Presence::Present => {
            row(query, OF_TRAIT, PRESENCE + *presence as i16, true);
        }
        Comparison::PartSeniority(ComparisonOp::In, seniority @ 1..=6) => {
            row(query, OF_TRAIT, SENIORITY + *seniority as i16, true);
        }
        _ => return,
    }
    query.push(" and ");
}
