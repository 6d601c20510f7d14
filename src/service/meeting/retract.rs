//! Reports that are taken back, and what their meetings then settle on.

use std::{collections::BTreeSet, time::SystemTime};

use uuid::Uuid;

use super::settle_inputs::to_settle;
use crate::{
    model::resource::{Collection, Resource},
    pb::{Article, Meeting, Report, RetractReportRequest, Retraction, report::State},
    service::{
        Api, WritePlan,
        error::ServiceError,
        require_live,
        write::{
            idempotency::WriteCall,
            revise::{current, revised, with_etag},
        },
    },
    store::{Doc, change, meeting, report, write::Put},
};

/// The next revisions of reports and of their meetings.
#[derive(Debug, Default)]
pub struct Retracted {
    /// The reports, which no longer count.
    pub reports: Vec<Put<Report>>,
    /// Their meetings, settled without them.
    pub meetings: Vec<Put<Meeting>>,
    /// Why; empty where there were no reports.
    pub reason: String,
}

/// Takes back the report that is asked for.
pub async fn prepare(
    api: &Api,
    call: &WriteCall,
    request: &RetractReportRequest,
) -> Result<WritePlan<Report>, ServiceError> {
    let former: Report = current(api, &request.name).await?;
    if former.state() == State::Retracted {
        return Err(ServiceError::AlreadyRetracted(former.name));
    }
    let former = with_etag(former, &request.etag)?;
    let correcting = &request.correcting_article;
    let better: Vec<Uuid> = Collection::Articles.id(correcting).into_iter().collect();
    require_live::<Article>(&api.store, &better).await?;
    let why =
        Retraction { reason: request.reason.clone(), correcting_article: correcting.clone(), ..Default::default() };
    let Retracted { reports, meetings, reason } = retract(api, &[former], &why, SystemTime::now()).await?;
    let answer = reports.first().map(|put| put.record.clone()).unwrap_or_default();
    Ok(revised(call, request.validate_only, answer, |write| {
        (write.reports, write.meetings, write.reason) = (reports, meetings, reason);
    }))
}

/// Takes back all active reports of an article.
pub async fn all_of(api: &Api, article: Uuid, reason: &str, now: SystemTime) -> Result<Retracted, ServiceError> {
    let docs = report::active_of(api.store.reads(), article).await?;
    let reports: Vec<Report> = docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?;
    let why = Retraction { reason: reason.to_owned(), ..Default::default() };
    retract(api, &reports, &why, now).await
}

async fn retract(api: &Api, reports: &[Report], why: &Retraction, now: SystemTime) -> Result<Retracted, ServiceError> {
    let of_meeting = |report: &Report| Collection::Meetings.id(&report.meeting);
    let ids: Vec<Uuid> = reports.iter().filter_map(of_meeting).collect::<BTreeSet<_>>().into_iter().collect();
    if ids.is_empty() {
        return Ok(Retracted::default());
    }
    let gone: BTreeSet<&str> = reports.iter().map(|report| report.name.as_str()).collect();
    let formers = meeting::get(api.store.reads(), &ids).await?;
    let mut tellings = to_settle(api, &ids).await?;
    let mut meetings = Vec::with_capacity(formers.len());
    for doc in &formers {
        let former: Meeting = doc.decode_to_rewrite()?;
        let (_, left) = tellings.remove(&doc.id).unwrap_or_default().partition(&gone);
        meetings.push(left.put(left.settled(&former, now), change::Kind::Retracted));
    }
    let reports = reports.iter().map(|report| retracted(report, why, now)).collect();
    Ok(Retracted { reports, meetings, reason: why.reason.clone() })
}

fn retracted(former: &Report, why: &Retraction, now: SystemTime) -> Put<Report> {
    let mut report = former.clone();
    report.set_state(State::Retracted);
    report.succeed(former, now);
    report.retraction = Some(Retraction { time: report.update_time, ..why.clone() });
    report.seal();
    Put::next(report.id().unwrap_or_default(), report, change::Kind::Retracted)
}
