//! MeetingService.CreateMeeting and AddReport: a new report, and the meeting that it creates or is added to.

use std::time::SystemTime;

use uuid::Uuid;

use super::{
    settle_inputs::{ReportInput, SettleInputs, complete_report, load_inputs_to_settle, load_source},
    size_limits::check_settled_size,
};
use crate::{
    model::{
        resource::{Collection, Resource},
        rules::Path,
    },
    pb::{AddReportRequest, CreateMeetingRequest, Meeting, Report, meeting::Review},
    service::{
        Api,
        error::ServiceError,
        id, new_id, require_free,
        write::{WritePlan, idempotency::WriteCall, revise::require_active},
    },
    store::{
        change, meeting,
        write::{Put, Write},
    },
};

/// Prepares a meeting with its first report.
///
/// # Errors
/// Those of [`load_source`] and [`complete_report`], `DuplicateId`, `OutOfScope`, `MeetingTooLarge`.
pub async fn prepare(
    api: &Api,
    call: &WriteCall,
    request: &CreateMeetingRequest,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let (meeting_id, report_id) = (new_id(&request.meeting_id), new_id(&request.report_id));
    require_free::<Meeting>(&api.store, &request.meeting_id, meeting_id).await?;
    require_free::<Report>(&api.store, &request.report_id, report_id).await?;

    let mut meeting = request.meeting.clone().unwrap_or_default();
    meeting.set_review(Review::Unreviewed);
    let source = load_source(api, &request.source_article).await?;
    let read_articles = call.scope.require(&source.article)?;
    let report = Report {
        account: meeting.account.take(),
        article: request.source_article.clone(),
        prominence: request.prominence,
        evidence: request.evidence.clone(),
        extractor: request.extractor.clone(),
        ..Default::default()
    };
    let (mut report, aliases) = complete_report(api, report, &source, &Path::ROOT.field("evidence")).await?;
    let now = SystemTime::now();
    if !request.validate_only {
        report.meeting = Collection::Meetings.name(meeting_id);
        report.make_first_revision(report_id, now);
    }
    let input = ReportInput::new(report.clone(), &source.article, source.origin());
    let inputs = SettleInputs { reports: vec![input], aliases: aliases.clone(), ..Default::default() };
    inputs.settle(&mut meeting);
    check_settled_size(api.message_bound, &meeting, None)?;
    if request.validate_only {
        meeting.name.clear();
        return Ok(WritePlan::Validated(inputs.answer(meeting, api.message_bound)));
    }
    meeting.make_first_revision(meeting_id, now);
    let answer = inputs.answer(meeting.clone(), api.message_bound);
    let write = Write {
        reports: vec![Put::new(report_id, report)],
        meetings: vec![inputs.put(meeting, change::Kind::Created)],
        aliases,
        read_articles,
        ..call.write(&answer)
    };
    Ok(WritePlan::Write(answer, vec![write]))
}

/// Prepares a report of a meeting, which is created if the request allows it.
///
/// # Errors
/// Those of [`prepare`], `NotFound`, `Deleted` or `MergedAway` for the meeting, `TooManyReports`, `ReportsTooLarge`.
pub async fn prepare_report(
    api: &Api,
    call: &WriteCall,
    request: &AddReportRequest,
) -> Result<WritePlan<Report>, ServiceError> {
    let meeting_id = id::<Meeting>(&request.meeting)?;
    let report_id = new_id(&request.report_id);
    require_free::<Report>(&api.store, &request.report_id, report_id).await?;
    let sent = request.report.clone().unwrap_or_default();
    let completed = async {
        let source = load_source(api, &sent.article).await?;
        let completed = complete_report(api, sent, &source, &Path::ROOT.field("report").field("evidence")).await?;
        Ok::<_, ServiceError>((source, completed))
    };
    let (target, completed) = tokio::join!(load_target(api, request, meeting_id), completed);
    let ((former, mut inputs), (source, (mut report, aliases))) = (target?, completed?);
    inputs.aliases.extend(&aliases);
    let read_articles = call.scope.require(&source.article)?;
    report.meeting.clone_from(&request.meeting);
    let now = SystemTime::now();
    report.make_first_revision(report_id, now);
    inputs.check_limits(&request.meeting, [&report])?;
    inputs.reports.push(ReportInput::new(report.clone(), &source.article, source.origin()));
    let meeting = match &former {
        Some(former) => inputs.settled(former, now),
        None => {
            let mut meeting = Meeting { labels: request.meeting_labels.clone(), ..Default::default() };
            inputs.settle(&mut meeting);
            meeting.make_first_revision(meeting_id, now);
            meeting
        }
    };
    check_settled_size(api.message_bound, &meeting, former.as_ref())?;
    if request.validate_only {
        return Ok(WritePlan::Validated(unwritten(report)));
    }
    let meeting = match former {
        Some(_) => inputs.put(meeting, change::Kind::Reported),
        None => inputs.put(meeting, change::Kind::Created),
    };
    let reports = vec![Put::new(report_id, report.clone())];
    let write = Write { reports, meetings: vec![meeting], aliases, read_articles, ..call.write(&report) };
    Ok(WritePlan::Write(report, vec![write]))
}

/// The report of a call that only validates, without the fields that a write sets.
fn unwritten(report: Report) -> Report {
    let (name, etag) = Default::default();
    Report { name, etag, revision: 0, create_time: None, update_time: None, ..report }
}

/// Loads the meeting that a report is added to, and its reports. `None` if it does not exist and is to be created.
async fn load_target(
    api: &Api,
    request: &AddReportRequest,
    id: Uuid,
) -> Result<(Option<Meeting>, SettleInputs), ServiceError> {
    // Load the meeting before its reports: every change of its reports makes a revision, so a race becomes a conflict.
    let docs = meeting::get(api.store.reads(), &[id]).await?;
    let Some(doc) = docs.first() else {
        let missing = || ServiceError::NotFound(request.meeting.clone());
        return if request.allow_missing { Ok((None, SettleInputs::default())) } else { Err(missing()) };
    };
    let meeting: Meeting = doc.decode_to_rewrite()?;
    require_active(api, &meeting).await?;
    let inputs = load_inputs_to_settle(api, &[id]).await?.remove(&id).unwrap_or_default();
    Ok((Some(meeting), inputs))
}
