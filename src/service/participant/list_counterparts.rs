//! ParticipantService.ListCounterparts: the participants, or their regions, that a participant met.

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use super::persons::parse_filter;
use crate::{
    model::{query::filter, resource::Collection, time::dates},
    pb::{
        ListCounterpartsRequest, ListCounterpartsResponse, Participant, list_counterparts_request::GroupBy,
        list_counterparts_response::Counterpart,
    },
    service::{Api, error::ServiceError, id, read::pagination::Cursor, states},
    store::{
        RecordState, StoreError, participant,
        query::{
            QueryClass,
            counterpart::{self, CounterpartGrouping, CounterpartQuery},
            list::Keyset,
        },
    },
};

/// Reads a page of counterparts for a checked request.
///
/// # Errors
/// `PageToken`, `Filter`, `NotFound` for the participant, `Overloaded` without a permit, `OutOfTime` after `budget`.
pub async fn list(
    api: &Api,
    request: &ListCounterpartsRequest,
    budget: Duration,
) -> Result<ListCounterpartsResponse, ServiceError> {
    let cursor: Cursor = Cursor::of(request, api.token_key, api.feed.head())?;
    let filter = parse_filter(api, filter::MEETINGS, &request.filter).await?;
    let persons = settled_persons(api, &[id::<Participant>(&request.participant)?]).await?;
    let query = CounterpartQuery {
        participant: persons[0],
        filter,
        by: match request.group_by() {
            GroupBy::Region => CounterpartGrouping::Region,
            GroupBy::Unspecified | GroupBy::Participant => CounterpartGrouping::Participant,
        },
    };
    let after = cursor.after.map(|keyset| (keyset.value, counterpart_of(query.by, keyset.id)));
    let mut db = api.store.bounded_query(QueryClass::Question, budget).await?;
    // One more than the page holds shows that there are more.
    let mut found = counterpart::list(&mut db, &query, after, cursor.size + 1).await?;
    drop(db);
    let more = found.len() > cursor.size;
    found.truncate(cursor.size);
    let next = found.last().filter(|_| more).and_then(|last| keyset(query.by, last));
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let counterparts = match query.by {
        CounterpartGrouping::Participant => with_names(api, found).await?,
        CounterpartGrouping::Region => found.into_iter().map(of_region).collect(),
    };
    Ok(ListCounterpartsResponse { counterparts, next_page_token, as_of: cursor.as_of.to_string() })
}

/// The persons that participants are settled as, in the order of the ids.
///
/// # Errors
/// `NotFound` for a participant that does not exist or is deleted.
pub(in crate::service) async fn settled_persons(api: &Api, ids: &[Uuid]) -> Result<Vec<Uuid>, ServiceError> {
    let states = states::<Participant>(&api.store, ids).await?;
    let person = |id: &Uuid| match states.get(id) {
        Some(RecordState { is_live: true, alias_of }) => Ok(alias_of.unwrap_or(*id)),
        _ => Err(ServiceError::NotFound(Collection::Participants.name(*id))),
    };
    ids.iter().map(person).collect()
}

/// The keyset of a counterpart. A region has the bytes of its code in place of an id.
fn keyset(by: CounterpartGrouping, counterpart: &counterpart::Counterpart) -> Option<Keyset> {
    let id = match by {
        CounterpartGrouping::Participant => Uuid::try_parse(&counterpart.who).ok()?,
        CounterpartGrouping::Region => {
            let mut bytes = [0; 16];
            bytes.get_mut(..counterpart.who.len())?.copy_from_slice(counterpart.who.as_bytes());
            Uuid::from_bytes(bytes)
        }
    };
    Some(Keyset { value: counterpart.meetings, id })
}

/// The inverse of `keyset`: the participant's id or the region's code.
fn counterpart_of(by: CounterpartGrouping, id: Uuid) -> String {
    match by {
        CounterpartGrouping::Participant => id.to_string(),
        CounterpartGrouping::Region => String::from_utf8_lossy(id.as_bytes()).trim_end_matches('\0').to_owned(),
    }
}

async fn with_names(api: &Api, found: Vec<counterpart::Counterpart>) -> Result<Vec<Counterpart>, ServiceError> {
    let ids: Vec<Uuid> = found.iter().filter_map(|counterpart| Uuid::try_parse(&counterpart.who).ok()).collect();
    let docs = participant::get(api.store.reads(), &ids).await?;
    let mut participants: HashMap<Uuid, Participant> =
        docs.iter().map(|doc| Ok((doc.id, doc.decode()?))).collect::<Result<_, StoreError>>()?;
    let with_name = |counterpart: counterpart::Counterpart| {
        let id = Uuid::try_parse(&counterpart.who).unwrap_or_default();
        let Participant { display_name, region_code, .. } = participants.remove(&id).unwrap_or_default();
        let participant = Collection::Participants.name(id);
        Counterpart { participant, display_name, region_code, ..counts(&counterpart) }
    };
    Ok(found.into_iter().map(with_name).collect())
}

fn of_region(counterpart: counterpart::Counterpart) -> Counterpart {
    Counterpart { region_code: counterpart.who.clone(), ..counts(&counterpart) }
}

/// The parts of a counterpart that participants and regions share.
fn counts(counterpart: &counterpart::Counterpart) -> Counterpart {
    let date = |day: Option<_>, precision| day.map(|day| dates::of_precision(day, precision));
    Counterpart {
        // Counts stay far below the limit of i32.
        meeting_count: i32::try_from(counterpart.meetings).unwrap_or(i32::MAX),
        first_date: date(counterpart.first_day, counterpart.first_precision.unwrap_or_default()),
        last_date: date(counterpart.last_day, counterpart.last_precision),
        last_meeting: Collection::Meetings.name(counterpart.last_meeting),
        ..Default::default()
    }
}
