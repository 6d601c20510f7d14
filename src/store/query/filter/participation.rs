//! Conditions that one participation of a meeting fulfils together.

use sqlx::{Postgres, QueryBuilder};

use super::{MOST_JOINED, OF_PARTICIPANT, condition, row};
use crate::{
    model::query::filter::{Comparison, Filter, Order},
    pb::participation::Presence,
    store::participation::{PRESENCE, ROLE, SENIORITY},
};

/// Appends whether a meeting has a participation `p` for which the conditions are true.
///
/// A list of such participations would come in no order that helps. But what the conditions ask for with `=` has a list
/// of meetings in the order of names, which the planner can read as far as a page needs: so the meeting must be in each of
/// those lists too, which is true anyway.
pub fn push(query: &mut QueryBuilder<Postgres>, conditions: &Filter, wanted: bool) {
    if wanted {
        query.push("(");
        for comparison in required(conditions).into_iter().take(MOST_JOINED) {
            in_list(query, comparison);
        }
    }
    query.push(if wanted { "exists (" } else { "not exists (" });
    query.push("select 1 from participation p where p.meeting = meeting.id and ");
    condition(query, conditions, true);
    query.push(if wanted { "))" } else { ")" });
}

/// The comparisons without which the conditions are never true.
fn required(conditions: &Filter) -> Vec<&Comparison> {
    match conditions {
        Filter::And(parts) => parts.iter().flat_map(required).collect(),
        Filter::Compare(comparison) => vec![comparison],
        Filter::Or(_) | Filter::Not(_) => Vec::new(),
    }
}

/// Appends that a meeting is in the list of those that have a participation for which the comparison is true, and an
/// `and`, if there is such a list.
fn in_list(query: &mut QueryBuilder<Postgres>, comparison: &Comparison) {
    const OF_TRAIT: &str = "select 1 from meeting_trait t where t.meeting = meeting.id and t.trait";
    match comparison {
        Comparison::PartParticipant(id) => row(query, OF_PARTICIPANT, id, true),
        Comparison::PartRegion(code) => {
            row(query, "select 1 from meeting_region r where r.meeting = meeting.id and r.region_code", code, true);
        }
        Comparison::PartRole(role) => row(query, OF_TRAIT, ROLE + *role as i16, true),
        // Nearly every meeting has somebody PRESENT: there is no list of these.
        Comparison::PartPresence(presence) if *presence != Presence::Present => {
            row(query, OF_TRAIT, PRESENCE + *presence as i16, true);
        }
        Comparison::PartSeniority(Order::In, seniority @ 1..=6) => {
            row(query, OF_TRAIT, SENIORITY + *seniority as i16, true);
        }
        _ => return,
    }
    query.push(" and ");
}
