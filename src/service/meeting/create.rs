//! MeetingService.CreateMeeting and AddReport: a new report, and the meeting that it creates or is added to.

use uuid::Uuid;

use super::{
    external_ids::require_own,
    links::find_links,
    new_report::{complete_report, load_source},
    settle_inputs::{ReportInput, SettleInputs, load_inputs_to_settle},
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
        write::{Put, Write, clock},
    },
};

/// Prepares a meeting with its first report.
///
/// # Errors
/// Those of [`load_source`] and [`complete_report`], `DuplicateId`, `DuplicateMeeting`, `OutOfScope`, `MeetingTooLarge`, `Invalid` for missing
/// evidence.
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
    let (mut report, aliases, persons) =
        complete_report(api, report, &source, request.offset_encoding(), &Path::ROOT.field("evidence")).await?;
    let at = Path::ROOT.field("meeting");
    api.evidence_policy.check(call, &report, &at.field("account"))?;
    let now = clock::now();
    report.derive();
    if !request.validate_only {
        report.meeting = Collection::Meetings.name(meeting_id);
        report.make_first_revision(report_id, now);
    }
    let input = ReportInput::new(report.clone(), &source.article, source.origin());
    let people = (aliases.clone(), persons.clone());
    let mut inputs = SettleInputs { reports: vec![input], aliases: people.0, persons: people.1, ..Default::default() };
    find_links(api, [&mut inputs].into_iter()).await?;
    inputs.settle(&mut meeting);
    check_settled_size(api.message_bound, &meeting, None)?;
    if request.validate_only {
        // The meeting is not in a write, of which `Api::commit_and_respond` checks this.
        require_own(api, &[(meeting_id, &meeting)]).await?;
        meeting.name.clear();
        return Ok(WritePlan::Validated(inputs.answer(meeting, api.message_bound), Vec::new()));
    }
    meeting.make_first_revision(meeting_id, now);
    let answer = inputs.answer(meeting.clone(), api.message_bound);
    let write = Write {
        reports: vec![Put::new(report_id, report)],
        meetings: vec![inputs.put(meeting, change::Kind::Created)],
        aliases,
        persons,
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
        let (offsets, at) = (request.offset_encoding(), Path::ROOT.field("report"));
        let completed = complete_report(api, sent, &source, offsets, &at.field("evidence")).await?;
        Ok::<_, ServiceError>((source, completed))
    };
    let (target, completed) = tokio::join!(load_target(api, request, meeting_id), completed);
    let ((former, mut inputs), (source, (mut report, aliases, persons))) = (target?, completed?);
    inputs.aliases.extend(&aliases);
    inputs.persons.extend(persons.clone());
    let read_articles = call.scope.require(&source.article)?;
    let at = Path::ROOT.field("report");
    api.evidence_policy.check(call, &report, &at.field("account"))?;
    report.meeting.clone_from(&request.meeting);
    let now = clock::now();
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
    let meeting = match former {
        Some(_) => inputs.put(meeting, change::Kind::Reported),
        None => inputs.put(meeting, change::Kind::Created),
    };
    let reports = vec![Put::new(report_id, report.clone())];
    let write = Write { reports, meetings: vec![meeting], aliases, persons, read_articles, ..call.write(&report) };
    if request.validate_only {
        return Ok(WritePlan::Validated(unwritten(report), vec![write]));
    }
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
