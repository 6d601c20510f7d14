//! Rules that span several fields of one message; the rules of single fields are declared in the contract. `build.rs`
//! lists the messages, and has the checks of each message end with its function here.

mod requests;

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;

pub use self::requests::*;
use super::{Check, Path, Violations};
use crate::{
    model::{
        change,
        text::{
            names,
            quoted::shown,
            suggestion::{did_you_mean, nearest},
        },
        time::{dates, spans},
    },
    pb::{self, ErrorReason::InvalidField, participation::Role, watch_changes_request::Start},
};

/// Ends not before it starts, neither in days nor, on a single day that is fully known, in hours.
pub fn date_span(span: &pb::DateSpan, at: &Path<'_>, out: &mut Violations) {
    ordered(span.start.as_ref(), span.end.as_ref(), at, out);
    if span.end.is_some() && span.start.is_none() {
        out.add(&at.field("start"), "is required with an end");
    }
    if spans::ends_before_it_starts(span) {
        out.add(&at.field("end_time"), "must not be before start_time on a single day");
    }
}

/// Ends not before it starts.
pub fn office_term(term: &pb::OfficeTerm, at: &Path<'_>, out: &mut Violations) {
    ordered(term.start.as_ref(), term.end.as_ref(), at, out);
}

fn ordered(start: Option<&pb::Date>, end: Option<&pb::Date>, at: &Path<'_>, out: &mut Violations) {
    let day = |date: Option<&pb::Date>, of: fn(&pb::Date) -> Option<NaiveDate>| date.and_then(of);
    // A partial date may end within its month or year: only an end that is wholly before the start is wrong.
    if let (Some(start), Some(end)) = (day(start, dates::first_day), day(end, dates::last_day))
        && end < start
    {
        out.add(&at.field("end"), format!("must not be before start: {end} is before {start}"));
    }
}

/// Says where to begin.
pub fn watch_changes_request(request: &pb::WatchChangesRequest, at: &Path<'_>, out: &mut Violations) {
    start(request.start.as_ref(), at, out);
}

/// Says where to begin.
pub fn list_changes_request(request: &pb::ListChangesRequest, at: &Path<'_>, out: &mut Violations) {
    start(request.start.clone().map(change::start).as_ref(), at, out);
}

/// Whether a cursor or a position is one of ours, the feed knows.
fn start(start: Option<&Start>, at: &Path<'_>, out: &mut Violations) {
    match start {
        None => out.add(&at.field("start"), "is required: one of cursor, after, start_time and origin"),
        Some(Start::Cursor(_) | Start::After(_)) => {}
        Some(Start::StartTime(time)) => time.check(&at.field("start_time"), out),
        Some(Start::Origin(origin)) => match pb::Origin::try_from(*origin) {
            Ok(pb::Origin::Unspecified) => out.add(&at.field("origin"), "is required"),
            Ok(_) => {}
            Err(_) => out.add(&at.field("origin"), format!("must be a defined value, not {origin}")),
        },
    }
}

fn external_ids(ids: &[pb::ExternalId], at: &Path<'_>, out: &mut Violations) {
    let at = at.field("external_ids");
    let mut seen = HashSet::new();
    for (index, id) in ids.iter().enumerate() {
        if !seen.insert((&id.scheme, &id.value)) {
            let describe = || format!("repeats an earlier item: {} {}", shown(&id.scheme), shown(&id.value));
            out.add_with(InvalidField, &at.index(index), describe);
        }
    }
}

/// Says who it is.
pub fn participation(one: &pb::Participation, at: &Path<'_>, out: &mut Violations) {
    let is_named = !names::key(&one.name_as_written).is_empty();
    if one.participant.is_empty() && one.delegation.is_empty() && !is_named {
        out.add(at, "must have a participant, a name_as_written or a delegation");
    }
}

/// Has each external id once.
pub fn article(article: &pb::Article, at: &Path<'_>, out: &mut Violations) {
    external_ids(&article.external_ids, at, out);
}

/// Has a name that can be seen, and each external id once.
pub fn participant(one: &pb::Participant, at: &Path<'_>, out: &mut Violations) {
    external_ids(&one.external_ids, at, out);
    if !one.display_name.is_empty() && names::key(&one.display_name).is_empty() {
        let description =
            format!("must have a letter or another visible character, unlike {}", shown(&one.display_name));
        out.add(&at.field("display_name"), description);
    }
}

/// Every local id is there once, and every reference finds one.
pub fn account(account: &pb::Account, at: &Path<'_>, out: &mut Violations) {
    let lists = (at.field("participations"), at.field("delegations"), at.field("statements"));
    let participations = ids(account.participations.iter().map(|one| one.id.as_str()), "id", &lists.0, out);
    let delegations = ids(account.delegations.iter().map(|one| one.id.as_str()), "id", &lists.1, out);
    let statements = ids(account.statements.iter().map(|one| one.id.as_str()), "id", &lists.2, out);

    let refers = |ids: &HashMap<&str, usize>, id: &str, at: &Path<'_>, what: &str, out: &mut Violations| {
        if !id.is_empty() && !ids.contains_key(id) {
            out.add_with(InvalidField, at, || {
                let nearest = nearest_id(ids, id);
                format!("is the id of no {what} of this account: {}{}", shown(id), did_you_mean(nearest))
            });
        }
    };
    refers(&participations, &account.initiator, &at.field("initiator"), "participation", out);
    if let Some(announcement) = &account.announcement {
        let at = at.field("announcement");
        refers(&participations, &announcement.participation, &at.field("participation"), "participation", out);
    }
    for (index, one) in account.participations.iter().enumerate() {
        let at = lists.0.index(index);
        refers(&delegations, &one.delegation, &at.field("delegation"), "delegation", out);
        refers(&participations, &one.on_behalf_of, &at.field("on_behalf_of"), "participation", out);
        if !one.on_behalf_of.is_empty() && one.on_behalf_of == one.id {
            out.add(
                &at.field("on_behalf_of"),
                format!("must be another participation, not its own {}", shown(&one.id)),
            );
        }
        if one.roles().any(|role| role == Role::HeadOfDelegation)
            && let Some(&delegation) = delegations.get(one.delegation.as_str())
            && account.delegations[delegation].head != one.id
        {
            out.add(
                &at.field("roles"),
                format!("say HEAD_OF_DELEGATION, but delegations[{delegation}].head is another participation or none"),
            );
        }
    }
    for (index, one) in account.delegations.iter().enumerate() {
        let at = lists.1.index(index);
        let at = at.field("head");
        refers(&participations, &one.head, &at, "participation", out);
        if let Some(&head) = participations.get(one.head.as_str()) {
            let head = &account.participations[head];
            if head.delegation != one.id || !head.roles().any(|role| role == Role::HeadOfDelegation) {
                out.add(&at, "must name a participation of this delegation with the role HEAD_OF_DELEGATION");
            }
        }
    }
    for (index, one) in account.statements.iter().enumerate() {
        let at = lists.2.index(index);
        for (list, ids) in [("speakers", &one.speakers), ("addressees", &one.addressees)] {
            let at = at.field(list);
            for (index, id) in ids.iter().enumerate() {
                refers(&participations, id, &at.index(index), "participation", out);
            }
        }
        refers(&statements, &one.continues, &at.field("continues"), "statement", out);
    }
    for index in circles(account, &statements) {
        let at = lists.2.index(index);
        out.add(&at.field("continues"), "must not lead back to its own statement");
    }
}

/// The ids or keys of a list, with where each stands.
fn ids<'a>(
    ids: impl Iterator<Item = &'a str>,
    field: &str,
    at: &Path<'_>,
    out: &mut Violations,
) -> HashMap<&'a str, usize> {
    let mut seen = HashMap::new();
    for (index, id) in ids.enumerate() {
        if id.is_empty() {
            continue;
        }
        match seen.get(id) {
            Some(earlier) => out.add_with(InvalidField, &at.index(index).field(field), || {
                format!("repeats an earlier {field} of this list, that of [{earlier}]: {}", shown(id))
            }),
            None => {
                seen.insert(id, index);
            }
        }
    }
    seen
}

/// The id that was probably meant. Among very many it is not looked for.
fn nearest_id<'a>(ids: &HashMap<&'a str, usize>, id: &str) -> Option<&'a str> {
    const MOST: usize = 200;
    if ids.len() > MOST {
        return None;
    }
    let mut known: Vec<&str> = ids.keys().copied().collect();
    known.sort_unstable();
    nearest(known.into_iter(), id)
}

/// Of each circle of statements that `continues` makes, the one that is met first.
fn circles(account: &pb::Account, statements: &HashMap<&str, usize>) -> Vec<usize> {
    let mut circles = Vec::new();
    let mut cleared = vec![false; account.statements.len()];
    for first in 0..account.statements.len() {
        let mut walked = Vec::new();
        let mut here = Some(first);
        while let Some(index) = here.filter(|&index| !cleared[index]) {
            if walked.contains(&index) {
                circles.push(index);
                break;
            }
            walked.push(index);
            here = statements.get(account.statements[index].continues.as_str()).copied();
        }
        for index in walked {
            cleared[index] = true;
        }
    }
    circles
}

/// Every `#key` is defined, every participant key is used, and no key is there twice.
pub fn story(story: &pb::Story, at: &Path<'_>, out: &mut Violations) {
    let lists = (at.field("participants"), at.field("reports"));
    let participants = ids(story.participants.iter().map(|one| one.key.as_str()), "key", &lists.0, out);
    let reports = ids(story.reports.iter().map(|one| one.key.as_str()), "key", &lists.1, out);
    let mut used = HashSet::new();
    for (index, report) in story.reports.iter().enumerate() {
        let Some(account) = &report.account else { continue };
        let at = lists.1.index(index);
        let at = at.field("account");
        let (of_participants, of_reports) = account_keys(account);
        for (index, key) in of_participants {
            used.insert(key);
            if !participants.contains_key(key) {
                let at = at.field("participations");
                out.add_with(InvalidField, &at.index(index).field("participant"), || {
                    let nearest = nearest_id(&participants, key).map(|nearest| format!("#{nearest}"));
                    format!(
                        "is the key of no participant of this story: {}{}",
                        shown(&format!("#{key}")),
                        did_you_mean(nearest)
                    )
                });
            }
        }
        for (index, key) in of_reports {
            if !reports.contains_key(key) {
                let at = at.field("links");
                out.add_with(InvalidField, &at.index(index).field("meeting"), || {
                    let nearest = nearest_id(&reports, key).map(|nearest| format!("#{nearest}"));
                    format!(
                        "is the key of no report of this story: {}{}",
                        shown(&format!("#{key}")),
                        did_you_mean(nearest)
                    )
                });
            }
        }
    }
    for (index, one) in story.participants.iter().enumerate() {
        let at = lists.0.index(index);
        if !one.key.is_empty() && !used.contains(one.key.as_str()) {
            let describe = || format!("is used by no participation of this story: {}", shown(&one.key));
            out.add_with(InvalidField, &at.field("key"), describe);
        }
        let at = at.field("participant");
        match &one.participant {
            None => out.add(&at, "is required"),
            Some(given) if !given.name.is_empty() => name(&given.name, "participants", &at.field("name"), out),
            Some(participant) => participant.check(&at, out),
        }
    }
}

/// The `#key`s of an account with where they stand: those of its participations, and those of its links.
fn account_keys(account: &pb::Account) -> (Keys<'_>, Keys<'_>) {
    let participations = account.participations.iter().map(|one| one.participant.as_str());
    let links = account.links.iter().map(|one| one.meeting.as_str());
    (keys(participations), keys(links))
}

/// Keys, each with its place in a list.
type Keys<'a> = Vec<(usize, &'a str)>;

fn keys<'a>(names: impl Iterator<Item = &'a str>) -> Keys<'a> {
    names.enumerate().filter_map(|(index, name)| Some((index, name.strip_prefix('#')?))).collect()
}

fn name(name: &str, collection: &str, at: &Path<'_>, out: &mut Violations) {
    let id = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
    if !id.is_some_and(|id| id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()) {
        let describe =
            || format!("must be a name such as {collection}/0198f2d1-7c0e-7000-8000-0123456789ab, not {}", shown(name));
        out.add_with(InvalidField, at, describe);
    }
}
