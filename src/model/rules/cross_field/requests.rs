//! Rules of requests that span several fields.

use super::{account_keys, name};
use crate::{
    model::{
        rules::{Path, Violations},
        text::quoted::quoted,
    },
    pb::{self, ErrorReason::InvalidField},
};

/// The article must have a name. The rules of articles are checked on the result of the update.
pub fn update_article_request(request: &pb::UpdateArticleRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("article");
    match &request.article {
        None => out.add(&at, "is required"),
        Some(article) => name(&article.name, "articles", &at.field("name"), out),
    }
}

/// The participant must have a name. The rules of participants are checked on the result of the update.
pub fn update_participant_request(request: &pb::UpdateParticipantRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("participant");
    match &request.participant {
        None => out.add(&at, "is required"),
        Some(participant) => name(&participant.name, "participants", &at.field("name"), out),
    }
}

/// The meeting must have a name, and its account no `#key`s.
pub fn update_meeting_request(request: &pb::UpdateMeetingRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("meeting");
    match &request.meeting {
        None => out.add(&at, "is required"),
        Some(meeting) => {
            name(&meeting.name, "meetings", &at.field("name"), out);
            if let Some(account) = &meeting.account {
                no_story_parts(account, &at.field("account"), out);
            }
        }
    }
}

/// A reason must have a visible character.
pub fn retract_report_request(request: &pb::RetractReportRequest, at: &Path<'_>, out: &mut Violations) {
    visible_reason(&request.reason, at, out);
}

/// A reason must have a visible character.
pub fn erase_article_text_request(request: &pb::EraseArticleTextRequest, at: &Path<'_>, out: &mut Violations) {
    visible_reason(&request.reason, at, out);
}

/// A reason must have a visible character.
pub fn bind_participation_request(request: &pb::BindParticipationRequest, at: &Path<'_>, out: &mut Violations) {
    visible_reason(&request.reason, at, out);
}

/// A reason must have a visible character.
pub fn judge_participants_request(request: &pb::JudgeParticipantsRequest, at: &Path<'_>, out: &mut Violations) {
    visible_reason(&request.reason, at, out);
}

/// A reason must have a visible character.
pub fn unmerge_participant_request(request: &pb::UnmergeParticipantRequest, at: &Path<'_>, out: &mut Violations) {
    visible_reason(&request.reason, at, out);
}

/// A participant must not be merged with itself, and no source must repeat. A reason must have a visible character.
pub fn merge_participants_request(request: &pb::MergeParticipantsRequest, at: &Path<'_>, out: &mut Violations) {
    visible_reason(&request.reason, at, out);
    let at = at.field("sources");
    for (index, source) in request.sources.iter().enumerate() {
        if *source == request.name {
            out.add(&at.index(index), "must be another participant than the one that stays");
        } else if request.sources[..index].contains(source) {
            out.add(&at.index(index), format!("repeats an earlier item: {}", quoted(source)));
        }
    }
}

fn visible_reason(reason: &str, at: &Path<'_>, out: &mut Violations) {
    if !reason.is_empty() && reason.trim().is_empty() {
        out.add(&at.field("reason"), "must have a visible character");
    }
}

/// A meeting must not be merged with itself.
pub fn merge_meetings_request(request: &pb::MergeMeetingsRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("sources");
    for (index, source) in request.sources.iter().enumerate() {
        if *source == request.name {
            out.add(&at.index(index), "must be another meeting than the one that stays");
        }
    }
}

/// The request must state the reports to move, or the meeting whose merge is undone.
pub fn split_meeting_request(request: &pb::SplitMeetingRequest, at: &Path<'_>, out: &mut Violations) {
    let at = at.field("into");
    if request.into.is_empty() && request.reports.is_empty() {
        out.add(&at, "is required, or reports");
    }
    if !request.into.is_empty() && request.into == request.name {
        out.add(&at, "must be another meeting than the one that is split");
    }
}

/// The meeting must have an account, which becomes that of its first report.
pub fn create_meeting_request(request: &pb::CreateMeetingRequest, at: &Path<'_>, out: &mut Violations) {
    let Some(meeting) = &request.meeting else { return };
    let at = at.field("meeting");
    let at = at.field("account");
    match &meeting.account {
        None => out.add(&at, "is required"),
        Some(account) => no_story_parts(account, &at, out),
    }
}

/// The report must name its article.
pub fn add_report_request(request: &pb::AddReportRequest, at: &Path<'_>, out: &mut Violations) {
    let Some(report) = &request.report else { return };
    let at = at.field("report");
    if report.article.is_empty() {
        out.add(&at.field("article"), "is required");
    }
    if let Some(account) = &report.account {
        no_story_parts(account, &at.field("account"), out);
    }
}

/// The account must have no parts that only a story has.
pub fn match_meetings_request(request: &pb::MatchMeetingsRequest, at: &Path<'_>, out: &mut Violations) {
    if let Some(account) = &request.account {
        no_story_parts(account, &at.field("account"), out);
    }
}

/// Refuses `#key`s and the kinds of participants: they replace resource names inside a story only.
fn no_story_parts(account: &pb::Account, at: &Path<'_>, out: &mut Violations) {
    let (participations, links) = account_keys(account);
    for (list, field, keys) in [("participations", "participant", participations), ("links", "meeting", links)] {
        let at = at.field(list);
        for (index, key) in keys {
            out.add_with(InvalidField, &at.index(index).field(field), || {
                format!("must be a resource name, not {}: only a story has #keys", quoted(&format!("#{key}")))
            });
        }
    }
    let at = at.field("participations");
    let kinds = account.participations.iter().map(|participation| participation.participant_kind).enumerate();
    for (index, _) in kinds.filter(|(_, kind)| *kind != 0) {
        out.add(&at.index(index).field("participant_kind"), "must not be set: only a story resolves names");
    }
}

/// The request must select by meeting or by article; a read time requires a meeting.
pub fn list_reports_request(request: &pb::ListReportsRequest, at: &Path<'_>, out: &mut Violations) {
    if request.meeting.is_empty() && request.article.is_empty() {
        out.add(&at.field("meeting"), "is required, or article");
    }
}
