//! Settled persons: the participants that questions are about, and those that filters name.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Participant;
use crate::{
    model::{
        query::filter::{self, Comparison, Filter, FilterSchema, StatementCondition},
        report::Aliases,
    },
    service::{Api, error::ServiceError, states},
    store::participant,
};

/// The aliases among these participants. Unknown ids stand for themselves.
///
/// # Errors
/// The database fails.
pub async fn aliases(api: &Api, ids: &[Uuid]) -> Result<Aliases, ServiceError> {
    let states = states::<Participant>(&api.store, ids).await?;
    Ok(states.into_iter().filter_map(|(id, state)| Some((id, state.alias_of?))).collect())
}

/// Parses a filter on meetings, in which each participant is replaced by the one that it is settled as, or was at `time`.
/// `budget` bounds the time of the reads that this needs.
///
/// # Errors
/// `Filter`, those of [`Api::resolve_kinds_at`], or the database fails.
pub async fn parse_filter(
    api: &Api,
    schema: &'static FilterSchema,
    text: &str,
    (time, budget): (Option<DateTime<Utc>>, Duration),
) -> Result<Filter, ServiceError> {
    let mut filter = filter::parse(schema, text).map_err(ServiceError::Filter)?;
    if let Some(time) = time {
        api.resolve_meetings_at(&mut filter, time).await?;
        api.resolve_kinds_at(&mut filter, time, budget).await?;
        return Ok(filter);
    }
    let mut named = Vec::new();
    filter.for_each_participant(&mut |id| named.push(*id));
    if !named.is_empty() {
        let aliases = aliases(api, &named).await?;
        filter.for_each_participant(&mut |id| *id = aliases.get(id).copied().unwrap_or(*id));
    }
    Ok(filter)
}

/// Parses a filter on statements. They are indexed by the participants that reports name, so that a speaker becomes all
/// the participants that are settled as the same person.
///
/// # Errors
/// `Filter`, or the database fails.
pub async fn parse_statement_filter(
    api: &Api,
    schema: &'static FilterSchema,
    text: &str,
) -> Result<Filter, ServiceError> {
    let mut filter = filter::parse(schema, text).map_err(ServiceError::Filter)?;
    let mut named = Vec::new();
    filter.for_each_participant(&mut |id| named.push(*id));
    if !named.is_empty() {
        let members: HashMap<Uuid, Vec<Uuid>> = participant::members(api.store.reads(), &named).await?;
        expand_speakers(&mut filter, &members);
    }
    Ok(filter)
}

/// Replaces each speaker by the members of its person.
pub fn expand_speakers(filter: &mut Filter, members: &HashMap<Uuid, Vec<Uuid>>) {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter_mut().for_each(|part| expand_speakers(part, members)),
        Filter::Not(part) => expand_speakers(part, members),
        Filter::Compare(Comparison::StatementCondition(StatementCondition::Speaker(id))) => {
            let speaker = |id: &Uuid| Filter::Compare(Comparison::StatementCondition(StatementCondition::Speaker(*id)));
            match members.get(id).map_or(&[][..], Vec::as_slice) {
                [] => {}
                [one] => *filter = speaker(one),
                several => *filter = Filter::Or(several.iter().map(speaker).collect()),
            }
        }
        Filter::Compare(_) => {}
    }
}
