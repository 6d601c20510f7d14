//! Reports that are taken back, and what their meetings then settle on.

use std::{
    collections::{BTreeSet, HashMap},
    time::SystemTime,
};

use uuid::Uuid;

use super::{
    Api,
    refusal::Refusal,
    report::{Telling, tellings},
};
use crate::{
    model::{
        meeting::settle_on,
        resource::{Collection, Resource},
        settle::Told,
    },
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
    /// Why; empty where there were no reports.
    pub reason: String,
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
    let tellings = tellings(api, &ids).await?;
    let meetings = formers.iter().map(|doc| without(doc, &tellings, &gone, now)).collect::<Result<_, _>>()?;
    let reports = reports.iter().map(|report| retracted(report, reason, now)).collect();
    Ok(Retracted { reports, meetings, reason: reason.to_owned() })
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
fn without(
    doc: &Doc,
    tellings: &HashMap<Uuid, Vec<Telling>>,
    gone: &BTreeSet<&str>,
    now: SystemTime,
) -> Result<Put<Meeting>, Refusal> {
    let former: Meeting = doc.decode_to_rewrite()?;
    let of_meeting = tellings.get(&doc.id).into_iter().flatten();
    let left: Vec<Told<'_>> =
        of_meeting.filter(|one| !gone.contains(one.report.name.as_str())).map(Telling::told).collect();
    let mut meeting = former.clone();
    settle_on(&mut meeting, &left);
    meeting.succeed(&former, now);
    Ok(Put::next(doc.id, meeting, change::Kind::Retracted))
}
