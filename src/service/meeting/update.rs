//! MeetingService.UpdateMeeting. An update of account fields is a ruling: a report by a curator that overrides all
//! others in these fields. An update of other fields, such as labels, replaces them in the meeting.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{
    links::find_links,
    settle_inputs::{SettleInputs, load_inputs},
    size_limits::{check_report_size, check_settled_size},
};
use crate::{
    model::{
        canonical::{Canonical, is_same},
        mask::Mask,
        report::{self, content, content_hash},
        resource::Resource,
        rules::{Check, Path, Violations},
        settle::rulable_paths,
        text::{
            quoted::quoted,
            suggestion::{did_you_mean, nearest},
        },
    },
    pb::{Meeting, Report, Ruling, UpdateMeetingRequest, meeting::Review, report::State},
    service::{
        Api,
        error::ServiceError,
        id, new_id, require_free, require_live_people,
        write::{
            WritePlan,
            idempotency::WriteCall,
            revise::{Update, plan_revision, plan_unchanged},
        },
    },
    store::{
        change,
        write::{Put, clock},
    },
};

/// A requested update of a meeting.
pub struct MeetingUpdate {
    update: Update<Meeting>,
    /// The ruling to record; `None` for an update of the meeting's own fields.
    ruling: Option<Ruling>,
    reason: String,
    /// The id for the ruling's report; empty to generate one.
    report_id: String,
}

impl MeetingUpdate {
    /// Checks a request. Its mask names either account fields only or none.
    ///
    /// # Errors
    /// The broken rules: of the contract, of the mask, of a ruling without a reason, of the review.
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

    /// The id of the meeting to update.
    ///
    /// # Errors
    /// `NotFound` for a malformed name.
    pub fn meeting(&self) -> Result<Uuid, ServiceError> {
        id::<Meeting>(&self.update.sent.name)
    }
}

/// True if the paths are those of a ruling. Adds violations for paths that cannot be updated or combined.
fn is_ruling(paths: &[String], at: &Path<'_>, out: &mut Violations) -> bool {
    let account_paths: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix("account.")).collect();
    match paths {
        [] => out.add(at, "is required"),
        [path] if path == "*" => out.add(&at.field("paths").index(0), "must name fields"),
        _ if !account_paths.is_empty() && account_paths.len() < paths.len() => {
            out.add(at, "must either rule on fields of the account or name others, not both");
        }
        _ => {}
    }
    let at = at.field("paths");
    for (index, path) in paths.iter().enumerate() {
        let at = at.index(index);
        let is_account_path = path == "account" || path.starts_with("account.");
        let is_refused = out.iter().any(|violation| violation.field == at.to_string());
        if is_account_path && !is_refused && !rulable_paths().any(|rulable| rulable == path) {
            let rulable: Vec<&str> = rulable_paths().collect();
            let nearest = did_you_mean(nearest(rulable.iter().copied(), path));
            out.add(&at, format!("must be one of {}, not {}{nearest}", rulable.join(", "), quoted(path)));
        }
    }
    !account_paths.is_empty()
}

/// Prepares an update.
///
/// # Errors
/// Those of [`Update::merge`], `NoActiveReport`, `MeetingTooLarge`, and for a ruling `DuplicateId`, `TooManyReports`,
/// `ReportsTooLarge`, `ReportTooLarge`, and `NotFound` or `Deleted` for a participant.
pub async fn prepare(
    api: &Api,
    call: &WriteCall,
    request: &MeetingUpdate,
    validate_only: bool,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let MeetingUpdate { update, ruling, reason, report_id } = request;
    let (former, next) = update.merge(api, &Path::ROOT.field("meeting")).await?;
    if former.review() == Review::Retracted && (ruling.is_some() || update.mask.replaces("review", false)) {
        return Err(ServiceError::NoActiveReport(former.name));
    }
    let id = request.meeting()?;
    let mut inputs = load_inputs(api, &[id]).await?.remove(&id).unwrap_or_default();
    find_links(api, [&mut inputs].into_iter()).await?;
    match ruling {
        Some(ruling) => rule(api, call, (update, ruling, report_id, validate_only), former, inputs).await,
        None => replace(api, call, (validate_only, reason), (former, next), &inputs),
    }
}

/// Plans a ruling, and the revision of the meeting that it settles.
async fn rule(
    api: &Api,
    call: &WriteCall,
    (update, ruling, report_id, validate_only): (&Update<Meeting>, &Ruling, &str, bool),
    former: Meeting,
    mut inputs: SettleInputs,
) -> Result<WritePlan<Meeting>, ServiceError> {
    let id = new_id(report_id);
    require_free::<Report>(&api.store, report_id, id).await?;
    let mut account = update.mask.apply(&Meeting::default(), &update.sent).account.unwrap_or_default();
    account.canonicalize();
    let participants: Vec<Uuid> = report::participants(&account).collect();
    let (aliases, persons) = require_live_people(&api.store, &participants).await?;
    inputs.aliases.extend(&aliases);
    inputs.persons.extend(persons.clone());
    let is_repeated = |former: &Report| {
        former.ruling.as_ref().is_some_and(|former| is_same(former, ruling))
            && former.account.as_ref().is_some_and(|former| is_same(former, &account))
    };
    if inputs.newest_ruling().is_some_and(is_repeated) {
        let answer = inputs.answer(former, api.message_bound);
        return Ok(plan_unchanged(call, validate_only, answer));
    }

    // The newest ruling takes precedence, so this one must be newer than the meeting, hence than all rulings before it,
    // even if the clock went back.
    let former_time = former.update_time.and_then(|time| SystemTime::try_from(time).ok());
    let now = clock::now().max(former_time.unwrap_or(SystemTime::UNIX_EPOCH) + Duration::from_micros(1));
    let mut report = Report {
        meeting: former.name.clone(),
        account: Some(account),
        ruling: Some(ruling.clone()),
        ..Default::default()
    };
    report.set_state(State::Active);
    report.content_hash = content_hash(&content(&report, None));
    report.make_first_revision(id, now);
    if validate_only {
        report.name.clear();
    }
    check_report_size(api.message_bound, &report)?;
    inputs.check_limits(&former.name, [&report])?;
    inputs.rulings.push(report.clone());
    let next = inputs.settled(&former, now);
    check_settled_size(api.message_bound, &next, Some(&former))?;
    let answer = inputs.answer(next.clone(), api.message_bound);
    Ok(plan_revision(call, validate_only, answer, |write| {
        write.reason.clone_from(&ruling.reason);
        write.aliases = aliases;
        write.persons = persons;
        write.reports.push(Put::new(id, report));
        write.meetings.push(inputs.put(next, change::Kind::Ruled));
    }))
}

/// Plans an update of the meeting's own fields.
///
/// # Errors
/// `MeetingTooLarge`, for labels that are too large with the account.
fn replace(
    api: &Api,
    call: &WriteCall,
    (validate_only, reason): (bool, &str),
    (former, mut next): (Meeting, Meeting),
    inputs: &SettleInputs,
) -> Result<WritePlan<Meeting>, ServiceError> {
    if is_same(&next, &former) {
        let answer = inputs.answer(former, api.message_bound);
        return Ok(plan_unchanged(call, validate_only, answer));
    }
    check_settled_size(api.message_bound, &next, Some(&former))?;
    next.make_next_revision(&former, clock::now());
    let answer = inputs.answer(next.clone(), api.message_bound);
    Ok(plan_revision(call, validate_only, answer, |write| {
        reason.clone_into(&mut write.reason);
        write.meetings.push(Put::next(next.id().unwrap_or_default(), next, change::Kind::Updated));
    }))
}
