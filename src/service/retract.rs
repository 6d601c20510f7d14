//! Reports that are taken back, and what their meetings then settle on.

use std::{collections::BTreeSet, time::SystemTime};

use uuid::Uuid;

use super::{
    Api,
    refusal::Refusal,
    report::{Tellings, tellings},
};
use crate::{
    model::resource::{Collection, Resource},
    pb::{Meeting, Report, Retraction, report::State},
    store::{Doc, change, meeting, report, write::Put},
};

/// The next revisions of reports and of their meetings.
#[derive(Debug, Default)]
pub struct Retracted {
    /// The reports, which no longer count.
    pub reports: Vec<Put<Report>>,
    /// Their meetings, settled without them.
    pub meetings: Vec<Put<Meeting>>,
}

/// Takes back all active reports of an article.
pub async fn all_of(api: &Api, article: Uuid, reason: &str, now: SystemTime) -> Result<Retracted, Refusal> {
    let docs = report::active_of(api.store.reads(), article).await?;
    let reports: Vec<Report> = docs.iter().map(Doc::decode_to_rewrite).collect::<Result<_, _>>()?;
    let of_meeting = |report: &Report| Collection::Meetings.id(&report.meeting);
    let ids: Vec<Uuid> = reports.iter().filter_map(of_meeting).collect::<BTreeSet<_>>().into_iter().collect();
    if ids.is_empty() {
        return Ok(Retracted::default());
    }
    let gone: BTreeSet<&str> = reports.iter().map(|report| report.name.as_str()).collect();
    let formers = meeting::get(api.store.reads(), &ids).await?;
    let mut tellings = tellings(api, &ids).await?;
    let mut meetings = Vec::with_capacity(formers.len());
    for doc in &formers {
        let mut left = tellings.remove(&doc.id).unwrap_or_default();
        left.reports.retain(|one| !gone.contains(one.report.name.as_str()));
        meetings.push(settled(doc, &left, now)?);
    }
    let reports = reports.iter().map(|report| retracted(report, reason, now)).collect();
    Ok(Retracted { reports, meetings })
}

fn retracted(former: &Report, reason: &str, now: SystemTime) -> Put<Report> {
    let mut report = former.clone();
    report.set_state(State::Retracted);
    report.succeed(former, now);
    report.retraction = Some(Retraction { reason: reason.to_owned(), time: report.update_time });
    report.seal();
    Put::next(report.id().unwrap_or_default(), report, change::Kind::Retracted)
}

/// A meeting settled on the reports that are left.
fn settled(doc: &Doc, left: &Tellings, now: SystemTime) -> Result<Put<Meeting>, Refusal> {
    let former: Meeting = doc.decode_to_rewrite()?;
    let mut meeting = former.clone();
    left.settle(&mut meeting);
    meeting.succeed(&former, now);
    Ok(Put::next(doc.id, meeting, change::Kind::Retracted))
}
