//! UpdateMeeting: rulings on what a meeting settles on, and the fields that are its own.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::settle_inputs::{SettleInputs, require_room, tellings};
use crate::{
    model::{
        canonical::{Canonical, is_same},
        mask::Mask,
        report::{content, content_hash, participants},
        resource::Resource,
        rules::{Check, Path, Violations},
        settle::rulable_paths,
        text::{
            quoted::shown,
            suggestion::{did_you_mean, nearest},
        },
    },
    pb::{Meeting, Participant, Report, Ruling, UpdateMeetingRequest, meeting::Review, report::State},
    service::{
        Api, WritePlan,
        error::ServiceError,
        id, new_id, require_free, require_live,
        write::{
            idempotency::WriteCall,
            revise::{Update, revised, unchanged},
        },
    },
    store::{change, write::Put},
};

/// An update of a meeting that was asked for.
pub struct MeetingUpdate {
    update: Update<Meeting>,
    /// What a ruling is recorded with; `None` for an ordinary update.
    ruling: Option<Ruling>,
    reason: String,
    /// The id that the ruling is to have; empty for a new one.
    report_id: String,
}

impl MeetingUpdate {
    /// Reads a request: its mask is either that of a ruling or an ordinary one.
    pub fn read(mut request: UpdateMeetingRequest) -> Result<Self, Violations> {
        let mut violations = request.violations();
        let at = Path::ROOT.field("update_mask");
        let mask = Mask::read::<Meeting>(request.update_mask.as_ref(), &at, &mut violations);
        let paths = Mask::in_proto_names::<Meeting>(request.update_mask.take().unwrap_or_default());
        let is_ruling = is_ruling(&paths.paths, &at, &mut violations);
        if is_ruling && request.reason.trim().is_empty() {
            violations.add(&Path::ROOT.field("reason"), "is required for a ruling");
        }
        let mut sent = request.meeting.take().unwrap_or_default();
        if mask.replaces("review", false) && sent.review() == Review::Retracted {
            violations.add(&Path::ROOT.field("meeting").field("review"), "must be UNREVIEWED or REVIEWED");
        }
        violations.into_result()?;
        if sent.review == Review::Unspecified as i32 {
            sent.set_review(Review::Unreviewed);
        }
        let etag = std::mem::take(&mut sent.etag);
        let reason = request.reason;
        let ruling = is_ruling.then(|| Ruling { mask: Some(paths), reason: reason.clone() });
        Ok(Self { update: Update { sent, mask, etag }, ruling, reason, report_id: request.report_id })
    }

    /// The id of the meeting.
    pub fn meeting(&self) -> Result<Uuid, ServiceError> {
        id::<Meeting>(&self.update.sent.name)
    }
}

/// Whether the paths are those of a ruling. Tells those that no update can have, and those that cannot go together.
fn is_ruling(paths: &[String], at: &Path<'_>, out: &mut Violations) -> bool {
    let of_account: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix("account.")).collect();
    match paths {
        [] => out.add(at, "is required"),
        [path] if path == "*" => out.add(&at.field("paths").index(0), "must name fields"),
        _ if !of_account.is_empty() && of_account.len() < paths.len() => {
            out.add(at, "must either rule on fields of the account or name others, not both");
        }
        _ => {}
    }
    let at = at.field("paths");
    for (index, path) in paths.iter().enumerate() {
        let at = at.index(index);
        let is_of_account = path == "account" || path.starts_with("account.");
        let is_refused = out.iter().any(|one| one.field == at.to_string());
        if is_of_account && !is_refused && !rulable_paths().any(|rulable| rulable == path) {
            let rulable: Vec<&str> = rulable_paths().collect();
            let nearest = did_you_mean(nearest(rulable.iter().copied(), path));
            out.add(&at, format!("must be one of {}, not {}{nearest}", rulable.join(", "), shown(path)));
        }
    }
    !of_account.is_empty()
}

/// Prepares an update.
pub async fn prepare(
    api: &Api,
    call: &WriteCall,
    asked: &MeetingUpdate,
    validate_only: bool,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let MeetingUpdate { update, ruling, reason, report_id } = asked;
    let (former, next) = update.merge(api, &Path::ROOT.field("meeting")).await?;
    if former.review() == Review::Retracted && (ruling.is_some() || update.mask.replaces("review", false)) {
        return Err(ServiceError::NoActiveReport(former.name));
    }
    let id = asked.meeting()?;
    let told = tellings(api, &[id]).await?.remove(&id).unwrap_or_default();
    match ruling {
        Some(ruling) => rule(api, call, (update, ruling, report_id, validate_only), former, told).await,
        None => Ok(replace(call, (validate_only, reason), (former, next), &told)),
    }
}

/// A ruling, and the meeting under it.
async fn rule(
    api: &Api,
    call: &WriteCall,
    (update, ruling, report_id, validate_only): (&Update<Meeting>, &Ruling, &str, bool),
    former: Meeting,
    mut told: SettleInputs,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let id = new_id(report_id);
    require_free::<Report>(&api.store, report_id, id).await?;
    let mut account = update.mask.apply(&Meeting::default(), &update.sent).account.unwrap_or_default();
    account.canonicalize();
    let named: Vec<Uuid> = participants(&account).collect();
    require_live::<Participant>(&api.store, &named).await?;
    let says_the_same = |former: &Report| {
        former.ruling.as_ref().is_some_and(|former| is_same(former, ruling))
            && former.account.as_ref().is_some_and(|former| is_same(former, &account))
    };
    if told.newest_ruling().is_some_and(says_the_same) {
        let answer = told.answer(former);
        return Ok(unchanged(call, validate_only, answer));
    }
    require_room(&former.name, &told, 1)?;

    // Whatever the clock says, it is newer than the rulings before it, none of which is younger than the meeting.
    let former_time = former.update_time.and_then(|time| SystemTime::try_from(time).ok());
    let now = SystemTime::now().max(former_time.unwrap_or(SystemTime::UNIX_EPOCH) + Duration::from_micros(1));
    let mut report = Report {
        meeting: former.name.clone(),
        account: Some(account),
        ruling: Some(ruling.clone()),
        ..Default::default()
    };
    report.set_state(State::Active);
    report.content_hash = content_hash(&content(&report, None));
    report.begin(id, now);
    if validate_only {
        report.name.clear();
    }
    told.rulings.push(report.clone());
    let next = told.settled(&former, now);
    let answer = told.answer(next.clone());
    Ok(revised(call, validate_only, answer, |write| {
        write.reason.clone_from(&ruling.reason);
        write.reports.push(Put::new(id, report));
        write.meetings.push(told.put(next, change::Kind::Ruled));
    }))
}

/// A meeting whose own fields are replaced.
fn replace(
    call: &WriteCall,
    (validate_only, reason): (bool, &str),
    (former, mut next): (Meeting, Meeting),
    told: &SettleInputs,
) -> WritePlan<Meeting> {
    if is_same(&next, &former) {
        let answer = told.answer(former);
        return unchanged(call, validate_only, answer);
    }
    next.succeed(&former, SystemTime::now());
    let answer = told.answer(next.clone());
    revised(call, validate_only, answer, |write| {
        reason.clone_into(&mut write.reason);
        write.meetings.push(Put::next(next.id().unwrap_or_default(), next, change::Kind::Updated));
    })
}
