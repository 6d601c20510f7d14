//! ParticipantService.ListCounterparts: the participants, or their regions, that a participant met.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::persons::parse_filter;
use crate::{
    model::{
        meeting::{date_precision, is_listed, is_met},
        query::{
            filter,
            group_values::{attendees, first_day},
        },
        resource::{Collection, Deletable, Record},
        time::dates,
    },
    pb::{
        ListCounterpartsRequest, ListCounterpartsResponse, Participant, Participation,
        list_counterparts_request::GroupBy, list_counterparts_response::Counterpart,
    },
    service::{
        Api,
        error::ServiceError,
        id,
        read::{
            as_of::{for_each_former, holds, records_at},
            history::records,
            pagination::Cursor,
        },
        states,
    },
    store::{
        RecordState,
        query::{
            BoundedQuery, QueryClass,
            counterpart::{self, CounterpartGrouping, CounterpartQuery, FormerCounterparts},
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
    time: Option<DateTime<Utc>>,
) -> Result<ListCounterpartsResponse, ServiceError> {
    let cursor: Cursor = Cursor::of(request, api.token_key, api.feed.head())?;
    let filter = parse_filter(api, filter::MEETINGS, &request.filter, (time, budget)).await?;
    let persons = settled_persons(api, &[id::<Participant>(&request.participant)?], time).await?;
    let mut query = CounterpartQuery {
        participant: persons[0],
        filter,
        by: match request.group_by() {
            GroupBy::Region => CounterpartGrouping::Region,
            GroupBy::Unspecified | GroupBy::Participant => CounterpartGrouping::Participant,
        },
        former: None,
    };
    let after = cursor.after.map(|keyset| (keyset.values[0], counterpart_of(query.by, keyset.id)));
    let mut db = api.store.bounded_query(QueryClass::Question, budget).await?;
    if let Some(time) = time {
        let _permit = api.begin_former().await;
        query.former = Some(former_counterparts(&mut db, &query, time).await?);
    }
    // One more than the page holds shows that there are more.
    let mut found = counterpart::list(&mut db, &query, after, cursor.size + 1).await?;
    drop(db);
    let more = found.len() > cursor.size;
    found.truncate(cursor.size);
    let next = found.last().filter(|_| more).and_then(|last| keyset(query.by, last));
    let next_page_token = next.map(|after| cursor.token(after)).unwrap_or_default();
    let counterparts = match query.by {
        CounterpartGrouping::Participant => with_names(api, found, time).await?,
        CounterpartGrouping::Region => found.into_iter().map(of_region).collect(),
    };
    Ok(ListCounterpartsResponse { counterparts, next_page_token, as_of: cursor.as_of.to_string() })
}

/// The persons that participants are settled as, or were at `time`, in the order of the ids.
///
/// # Errors
/// `NotFound` for a participant that does not exist or is deleted, `NotThen` for one that was so at `time`.
pub(in crate::service) async fn settled_persons(
    api: &Api,
    ids: &[Uuid],
    time: Option<DateTime<Utc>>,
) -> Result<Vec<Uuid>, ServiceError> {
    if let Some(time) = time {
        let participants: Vec<Participant> = records(api, ids, time).await?;
        let person = |(id, participant): (&Uuid, &Participant)| match participant.is_deleted() {
            true => Err(ServiceError::NotThen(participant.name.clone())),
            false => Ok(Collection::Participants.id(&participant.merged_into).unwrap_or(*id)),
        };
        return ids.iter().zip(&participants).map(person).collect();
    }
    let states = states::<Participant>(&api.store, ids).await?;
    let person = |id: &Uuid| match states.get(id) {
        Some(RecordState { is_live: true, alias_of, .. }) => Ok(alias_of.unwrap_or(*id)),
        _ => Err(ServiceError::NotFound(Collection::Participants.name(*id))),
    };
    ids.iter().map(person).collect()
}

/// The counterparts at the meetings that have changed since a time, as they were then.
async fn former_counterparts(
    db: &mut BoundedQuery,
    query: &CounterpartQuery,
    time: DateTime<Utc>,
) -> Result<FormerCounterparts, ServiceError> {
    let (mut met, mut precisions) = (Vec::new(), HashMap::new());
    for_each_former(db, Collection::Meetings, time, |doc, record| {
        if !holds(&query.filter, Collection::Meetings, doc.id, &record) {
            return Ok(());
        }
        let Record::Meeting(meeting) = record else { return Ok(()) };
        let attendees = attendees(&meeting);
        if !is_listed(&meeting) || !attendees.contains(&query.participant) {
            return Ok(());
        }
        let account = meeting.account.clone().unwrap_or_default();
        let others: BTreeSet<String> = match query.by {
            CounterpartGrouping::Participant => {
                attendees.iter().filter(|id| **id != query.participant).map(Uuid::to_string).collect()
            }
            CounterpartGrouping::Region => {
                let is_other = |participation: &&Participation| {
                    is_met(participation)
                        && !participation.region_code.is_empty()
                        && Collection::Participants.id(&participation.participant) != Some(query.participant)
                };
                let others = account.participations.iter().filter(is_other);
                others.map(|participation| participation.region_code.clone()).collect()
            }
        };
        let day = first_day(&meeting);
        met.extend(others.into_iter().map(|who| (who, doc.id, day)));
        precisions.insert(doc.id, date_precision(&account));
        Ok(())
    })
    .await?;
    Ok(FormerCounterparts { time, met, precisions })
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
    Some(Keyset::single(counterpart.meetings, id))
}

/// The inverse of `keyset`: the participant's id or the region's code.
fn counterpart_of(by: CounterpartGrouping, id: Uuid) -> String {
    match by {
        CounterpartGrouping::Participant => id.to_string(),
        CounterpartGrouping::Region => String::from_utf8_lossy(id.as_bytes()).trim_end_matches('\0').to_owned(),
    }
}

async fn with_names(
    api: &Api,
    found: Vec<counterpart::Counterpart>,
    time: Option<DateTime<Utc>>,
) -> Result<Vec<Counterpart>, ServiceError> {
    let ids: Vec<Uuid> = found.iter().filter_map(|counterpart| Uuid::try_parse(&counterpart.who).ok()).collect();
    let mut participants: HashMap<Uuid, Participant> = records_at(api, &ids, time).await?;
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
    let date = |day: Option<_>, precision| day.and_then(|day| dates::of_precision(day, precision));
    Counterpart {
        // Counts stay far below the limit of i32.
        meeting_count: i32::try_from(counterpart.meetings).unwrap_or(i32::MAX),
        first_date: date(counterpart.first_day, counterpart.first_precision.unwrap_or_default()),
        last_date: date(counterpart.last_day, counterpart.last_precision),
        last_meeting: Collection::Meetings.name(counterpart.last_meeting),
        ..Default::default()
    }
}
