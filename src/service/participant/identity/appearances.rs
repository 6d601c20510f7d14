//! The appearances of participants in the reports of meetings.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    model::{
        identity::Appearance,
        report::{decode_for_settling, meant_participant},
        resource::Collection,
        time::dates,
    },
    pb::Report,
    service::{Api, error::ServiceError},
    store::{StoreError, participant::identity::reports_of},
};

/// The appearances of participants in reports.
///
/// # Errors
/// `Damaged` for a report that cannot be decoded, or the database fails.
pub async fn appearances_of(api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Appearance>>, ServiceError> {
    let mut by_id: HashMap<Uuid, Vec<Appearance>> = HashMap::new();
    for (id, report) in reports_of(api.store.reads(), ids).await? {
        let damaged = |_| StoreError::Damaged(Collection::Participants.name(id));
        let report = decode_for_settling(&report).map_err(damaged)?;
        by_id.entry(id).or_default().extend(appearances(id, &report));
    }
    Ok(by_id)
}

/// The appearances of a participant in a report.
fn appearances(id: Uuid, report: &Report) -> Vec<Appearance> {
    let Some(account) = &report.account else { return Vec::new() };
    let days = account.date.as_ref().and_then(dates::span);
    let meant: Vec<Option<Uuid>> =
        account.participations.iter().map(|participation| meant_participant(report, participation)).collect();
    let mut co_participants: Vec<Uuid> = meant.iter().flatten().copied().filter(|other| *other != id).collect();
    co_participants.sort_unstable();
    co_participants.dedup();
    let own = account.participations.iter().zip(&meant).filter(|(_, meant)| **meant == Some(id));
    own.map(|(participation, _)| {
        let office = participation.office.clone().unwrap_or_default();
        Appearance {
            title: office.title,
            organization: office.organization,
            seniority: office.seniority,
            first_day: days.map(|(first, _)| dates::day_number(first)),
            last_day: days.map(|(_, last)| dates::day_number(last)),
            co_participants: co_participants.clone(),
        }
    })
    .collect()
}
