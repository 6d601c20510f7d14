//! Rules of requests.

use super::{account_keys, name};
use crate::{
    model::{
        rules::{Path, Violations},
        text::quoted::shown,
    },
    pb::{self, ErrorReason::InvalidField},
};

/// Names the article that it changes; the rules of articles are those of the outcome.
pub fn update_article_request(request: &pb::UpdateArticleRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("article");
    match &request.article {
        None => out.add(&at, "is required"),
        Some(article) => name(&article.name, "articles", &at.field("name"), out),
    }
}

/// Names the participant that it changes, likewise.
pub fn update_participant_request(request: &pb::UpdateParticipantRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("participant");
    match &request.participant {
        None => out.add(&at, "is required"),
        Some(participant) => name(&participant.name, "participants", &at.field("name"), out),
    }
}

/// Names the meeting that it changes, or rules on.
pub fn update_meeting_request(request: &pb::UpdateMeetingRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("meeting");
    match &request.meeting {
        None => out.add(&at, "is required"),
        Some(meeting) => {
            name(&meeting.name, "meetings", &at.field("name"), out);
            if let Some(account) = &meeting.account {
                no_keys(account, &at.field("account"), out);
            }
        }
    }
}

/// Gives a reason that can be seen.
pub fn retract_report_request(request: &pb::RetractReportRequest, at: &Path<'_>, out: &mut Violations) {
    if !request.reason.is_empty() && request.reason.trim().is_empty() {
        out.add(&at.field("reason"), "must have a visible character");
    }
}

/// No meeting is merged with itself.
pub fn merge_meetings_request(request: &pb::MergeMeetingsRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("sources");
    for (index, source) in request.sources.iter().enumerate() {
        if *source == request.name {
            out.add(&at.index(index), "must be another meeting than the one that stays");
        }
    }
}

/// Says which reports move, or whose merge is undone.
pub fn split_meeting_request(request: &pb::SplitMeetingRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("into");
    if request.into.is_empty() && request.reports.is_empty() {
        out.add(&at, "is required, or reports");
    }
    if !request.into.is_empty() && request.into == request.name {
        out.add(&at, "must be another meeting than the one that is split");
    }
}

/// A meeting is made with the account of its first report.
pub fn create_meeting_request(request: &pb::CreateMeetingRequest, at: &Path<'_>, out: &mut Violations) {
    let Some(meeting) = &request.meeting else { return };
    let at = at.field("meeting");
    let at = at.field("account");
    match &meeting.account {
        None => out.add(&at, "is required"),
        Some(account) => no_keys(account, &at, out),
    }
}

/// A report is given by an article.
pub fn add_report_request(request: &pb::AddReportRequest, at: &Path<'_>, out: &mut Violations) {
    let Some(report) = &request.report else { return };
    let at = at.field("report");
    if report.article.is_empty() {
        out.add(&at.field("article"), "is required");
    }
    if let Some(account) = &report.account {
        no_keys(account, &at.field("account"), out);
    }
}

/// Keys stand for names inside a story only.
fn no_keys(account: &pb::Account, at: &Path<'_>, out: &mut Violations) {
    let (participations, links) = account_keys(account);
    for (list, field, keys) in [("participations", "participant", participations), ("links", "meeting", links)] {
        let at = at.field(list);
        for (index, key) in keys {
            out.add_with(InvalidField, &at.index(index).field(field), || {
                format!("must be a resource name, not {}: a #key is one of a story", shown(&format!("#{key}")))
            });
        }
    }
}

/// Asks for the reports of something.
pub fn list_reports_request(request: &pb::ListReportsRequest, at: &Path<'_>, out: &mut Violations) {
    if request.meeting.is_empty() && request.article.is_empty() {
        out.add(&at.field("meeting"), "is required, or article");
    }
    if request.read_time.is_some() && request.meeting.is_empty() {
        out.add(&at.field("read_time"), "is for the reports of a meeting");
    }
}
