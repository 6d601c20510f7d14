//! MeetingService.RetractReport: takes reports back, and settles their meetings from the remaining reports.

use std::{collections::BTreeSet, time::SystemTime};

use uuid::Uuid;

use super::settle_inputs::load_inputs_to_settle;
use crate::{
    model::resource::{Collection, Resource},
    pb::{Article, Meeting, Report, RetractReportRequest, Retraction, report::State},
    service::{
        Api,
        error::ServiceError,
        require_live,
        write::{
            WritePlan,
            idempotency::WriteCall,
            revise::{load_current, plan_revision, with_etag},
        },
    },
    store::{
        Doc, change, meeting, report,
        write::{Put, clock},
    },
};

/// The next revisions of reports and of their meetings.
#[derive(Debug, Default)]
pub struct Retracted {
    /// The reports, retracted.
    pub reports: Vec<Put<Report>>,
    /// Their meetings, settled without them.
    pub meetings: Vec<Put<Meeting>>,
    /// The reason for the change feed; empty if there were no reports.
    pub reason: String,
}

/// Prepares the retraction of a report.
///
/// # Errors
/// `NotFound`, `AlreadyRetracted`, `EtagMismatch`, `NewerContract`, and `NotFound` or `Deleted` for the correcting
/// article.
pub async fn prepare(
    api: &Api,
    call: &WriteCall,
    request: &RetractReportRequest,
) -> Result<WritePlan<Report>, ServiceError> {
    let former: Report = load_current(api, &request.name).await?;
    if former.state() == State::Retracted {
        return Err(ServiceError::AlreadyRetracted(former.name));
    }
    let former = with_etag(former, &request.etag)?;
    let read_articles = call.scope.require_stored(&api.store, &former.article).await?;
    let correcting = &request.correcting_article;
    let correcting_ids: Vec<Uuid> = Collection::Articles.id(correcting).into_iter().collect();
    require_live::<Article>(&api.store, &correcting_ids).await?;
    let retraction =
        Retraction { reason: request.reason.clone(), correcting_article: correcting.clone(), ..Default::default() };
    let Retracted { reports, meetings, reason } = retract(api, &[former], &retraction, clock::now()).await?;
    let answer = reports.first().map(|put| put.record.clone()).unwrap_or_default();
    Ok(plan_revision(call, request.validate_only, answer, |write| {
        (write.reports, write.meetings, write.reason) = (reports, meetings, reason);
        write.read_articles = read_articles;
    }))
}

/// Prepares the retraction of all active reports of an article.
///
/// # Errors
/// `NewerContract` or `Damaged` for a report or a meeting, or the database fails.
pub async fn all_of(api: &Api, article: Uuid, reason: &str, now: SystemTime) -> Result<Retracted, ServiceError> {
    let docs = report::active_reports_of_article(api.store.reads(), article).await?;
    let reports: Vec<Report> = docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?;
    let retraction = Retraction { reason: reason.to_owned(), ..Default::default() };
    retract(api, &reports, &retraction, now).await
}

async fn retract(
    api: &Api,
    reports: &[Report],
    retraction: &Retraction,
    now: SystemTime,
) -> Result<Retracted, ServiceError> {
    let meeting = |report: &Report| Collection::Meetings.id(&report.meeting);
    let ids: Vec<Uuid> = reports.iter().filter_map(meeting).collect::<BTreeSet<_>>().into_iter().collect();
    if ids.is_empty() {
        return Ok(Retracted::default());
    }
    let names: BTreeSet<&str> = reports.iter().map(|report| report.name.as_str()).collect();
    let formers = meeting::get(api.store.reads(), &ids).await?;
    let mut inputs = load_inputs_to_settle(api, &ids).await?;
    let mut meetings = Vec::with_capacity(formers.len());
    for doc in &formers {
        let former: Meeting = doc.decode_to_rewrite()?;
        let (_, remaining) = inputs.remove(&doc.id).unwrap_or_default().partition(&names);
        // The size of the result is not checked, see `size_limits::check_settled_size`.
        meetings.push(remaining.put(remaining.settled(&former, now), change::Kind::Retracted));
    }
    let reports = reports.iter().map(|report| retracted(report, retraction, now)).collect();
    Ok(Retracted { reports, meetings, reason: retraction.reason.clone() })
}

fn retracted(former: &Report, retraction: &Retraction, now: SystemTime) -> Put<Report> {
    let mut report = former.clone();
    report.set_state(State::Retracted);
    report.make_next_revision(former, now);
    report.retraction = Some(Retraction { time: report.update_time, ..retraction.clone() });
    report.set_etag();
    Put::next(report.id().unwrap_or_default(), report, change::Kind::Retracted)
}
