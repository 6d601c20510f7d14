//! ParticipantService.ListCounterparts: whom a participant met.

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use crate::{
    model::{
        query::filter,
        resource::{Collection, Resource},
        time::dates,
    },
    pb::{
        ListCounterpartsRequest, ListCounterpartsResponse, Participant, list_counterparts_request::GroupBy,
        list_counterparts_response::Counterpart,
    },
    service::{Api, error::ServiceError, id, live, read::pagination::Cursor},
    store::{
        participant,
        query::{
            QueryClass,
            counterpart::{self, By, CounterpartQuery},
            list::Keyset,
        },
    },
};

/// A page of those whom a checked request asks for.
pub async fn list(
    api: &Api,
    request: &ListCounterpartsRequest,
    budget: Duration,
) -> Result<ListCounterpartsResponse, ServiceError> {
    let cursor: Cursor = Cursor::of(request, api.token_key, api.feed.head())?;
    let wanted = CounterpartQuery {
        participant: id::<Participant>(&request.participant)?,
        filter: filter::parse(filter::MEETINGS, &request.filter).map_err(ServiceError::Filter)?,
        by: match request.group_by() {
            GroupBy::Region => By::Region,
            GroupBy::Unspecified | GroupBy::Participant => By::Participant,
        },
    };
    require_existing(api, &[wanted.participant]).await?;
    let after = cursor.after.map(|place| (place.value, who(wanted.by, place.id)));
    let mut ask = api.store.ask(QueryClass::Many, budget).await?;
    // One more than asked for tells whether there are more.
    let mut found = counterpart::list(&mut ask, &wanted, after, cursor.size + 1).await?;
    drop(ask);
    let more = found.len() > cursor.size;
    found.truncate(cursor.size);
    let next = found.last().filter(|_| more).and_then(|last| place(wanted.by, last));
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let counterparts = match wanted.by {
        By::Participant => with_names(api, found).await?,
        By::Region => found.into_iter().map(of_region).collect(),
    };
    Ok(ListCounterpartsResponse { counterparts, next_page_token, as_of: cursor.as_of.to_string() })
}

/// Refuses participants that are not there, or not any more: nobody can have met them.
pub(in crate::service) async fn require_existing(api: &Api, ids: &[Uuid]) -> Result<(), ServiceError> {
    let live = live::<Participant>(&api.store, ids).await?;
    match ids.iter().find(|id| live.get(id) != Some(&true)) {
        Some(missing) => Err(ServiceError::NotFound(Collection::Participants.name(*missing))),
        None => Ok(()),
    }
}

/// Where a counterpart stands in the list. In the place of an id, a region has the letters of its code.
fn place(by: By, one: &counterpart::Counterpart) -> Option<Keyset> {
    let id = match by {
        By::Participant => Uuid::try_parse(&one.who).ok()?,
        By::Region => {
            let mut bytes = [0; 16];
            bytes.get_mut(..one.who.len())?.copy_from_slice(one.who.as_bytes());
            Uuid::from_bytes(bytes)
        }
    };
    Some(Keyset { value: one.meetings, id })
}

fn who(by: By, id: Uuid) -> String {
    match by {
        By::Participant => id.to_string(),
        By::Region => String::from_utf8_lossy(id.as_bytes()).trim_end_matches('\0').to_owned(),
    }
}

async fn with_names(api: &Api, found: Vec<counterpart::Counterpart>) -> Result<Vec<Counterpart>, ServiceError> {
    let ids: Vec<Uuid> = found.iter().filter_map(|one| Uuid::try_parse(&one.who).ok()).collect();
    let docs = participant::get(api.store.reads(), &ids).await?;
    let known: Vec<Participant> = docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
    let mut known: HashMap<Uuid, Participant> = known.into_iter().filter_map(|one| Some((one.id()?, one))).collect();
    let named = |one: counterpart::Counterpart| {
        let id = Uuid::try_parse(&one.who).unwrap_or_default();
        let Participant { display_name, region_code, .. } = known.remove(&id).unwrap_or_default();
        Counterpart { participant: Collection::Participants.name(id), display_name, region_code, ..counted(&one) }
    };
    Ok(found.into_iter().map(named).collect())
}

fn of_region(one: counterpart::Counterpart) -> Counterpart {
    Counterpart { region_code: one.who.clone(), ..counted(&one) }
}

fn counted(one: &counterpart::Counterpart) -> Counterpart {
    let date = |day: Option<_>, precision| day.map(|day| dates::of_precision(day, precision));
    Counterpart {
        // Far fewer than would not fit.
        meeting_count: i32::try_from(one.meetings).unwrap_or(i32::MAX),
        first_date: date(one.first_day, one.first_precision.unwrap_or_default()),
        last_date: date(one.last_day, one.last_precision),
        last_meeting: Collection::Meetings.name(one.last_meeting),
        ..Default::default()
    }
}
