//! Rules that span several fields of a message. The contract declares the rules of single fields.
//!
//! `build/rules.rs` lists the messages with such rules. The generated checks of each end with a call of its function
//! here.

mod requests;

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;

pub use self::requests::*;
use super::{Check, Path, Violations};
use crate::{
    model::{
        change,
        participant::office_key,
        text::{
            names,
            quoted::quoted,
            suggestion::{did_you_mean, nearest},
        },
        time::{dates, spans},
    },
    pb::{self, ErrorReason::InvalidField, date_span::Extent, participation::Role, watch_changes_request::Start},
};

/// The span must not end before it starts: in days, and on a single full date also in time of day.
pub fn date_span(span: &pb::DateSpan, at: &Path<'_>, out: &mut Violations) {
    ordered(span.start.as_ref(), span.end.as_ref(), at, out);
    if span.end.is_some() && span.start.is_none() {
        out.add(&at.field("start"), "is required with an end");
    }
    if span.extent() == Extent::SometimeWithin {
        sometime_within(span, at, out);
    }
    if spans::ends_before_it_starts(span) {
        out.add(&at.field("end_time"), "must not be before start_time on a single day");
    }
}

/// An event on an unknown day needs several days that it may be, and has no time of day.
fn sometime_within(span: &pb::DateSpan, at: &Path<'_>, out: &mut Violations) {
    if span.start.is_none() {
        out.add(&at.field("extent"), "must not be SOMETIME_WITHIN without a start");
    }
    if let Some((first, last)) = dates::span(span)
        && first == last
    {
        out.add(&at.field("extent"), format!("must not be SOMETIME_WITHIN for the single day {first}"));
    }
    for (field, time) in [("start_time", span.start_time), ("end_time", span.end_time)] {
        if time.is_some() {
            out.add(&at.field(field), "must not be set with the extent SOMETIME_WITHIN: the day is unknown");
        }
    }
}

/// The term must not end before it starts.
pub fn office_term(term: &pb::OfficeTerm, at: &Path<'_>, out: &mut Violations) {
    ordered(term.start.as_ref(), term.end.as_ref(), at, out);
}

fn ordered(start: Option<&pb::Date>, end: Option<&pb::Date>, at: &Path<'_>, out: &mut Violations) {
    // A partial date may end within its month or year: only an end that is wholly before the start is wrong.
    let day = |date: Option<&pb::Date>, bound: fn(&pb::Date) -> Option<NaiveDate>| date.and_then(bound);
    if let (Some(start), Some(end)) = (day(start, dates::first_day), day(end, dates::last_day))
        && end < start
    {
        out.add(&at.field("end"), format!("must not be before start: {end} is before {start}"));
    }
}

/// The request must have a valid start.
pub fn watch_changes_request(request: &pb::WatchChangesRequest, at: &Path<'_>, out: &mut Violations) {
    start(request.start.as_ref(), at, out);
}

/// The request must have a valid start.
pub fn list_changes_request(request: &pb::ListChangesRequest, at: &Path<'_>, out: &mut Violations) {
    start(request.start.clone().map(change::start).as_ref(), at, out);
}

/// Checks the start of a feed, except cursors and positions: the feed itself validates these.
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

/// External ids must not repeat.
fn external_ids(ids: &[pb::ExternalId], at: &Path<'_>, out: &mut Violations) {
    let at = at.field("external_ids");
    let mut seen = HashSet::new();
    for (index, id) in ids.iter().enumerate() {
        if !seen.insert((&id.scheme, &id.value)) {
            let describe = || format!("repeats an earlier item: {} {}", quoted(&id.scheme), quoted(&id.value));
            out.add_with(InvalidField, &at.index(index), describe);
        }
    }
}

/// The participation must identify a participant, a delegation or an office.
pub fn participation(participation: &pb::Participation, at: &Path<'_>, out: &mut Violations) {
    let is_named = !names::key(&participation.name_as_written).is_empty() || office_key(participation).is_some();
    if participation.participant.is_empty() && participation.delegation.is_empty() && !is_named {
        out.add(
            at,
            "must have a participant, a name_as_written, a delegation, or an office with a title or organization",
        );
    }
}

/// External ids must not repeat.
pub fn article(article: &pb::Article, at: &Path<'_>, out: &mut Violations) {
    external_ids(&article.external_ids, at, out);
}

/// The display name must have a visible character, and external ids must not repeat.
pub fn participant(participant: &pb::Participant, at: &Path<'_>, out: &mut Violations) {
    external_ids(&participant.external_ids, at, out);
    if !participant.display_name.is_empty() && names::key(&participant.display_name).is_empty() {
        let description =
            format!("must have a letter or another visible character, unlike {}", quoted(&participant.display_name));
        out.add(&at.field("display_name"), description);
    }
}

/// The value must not have control characters.
fn visible_value(id: &pb::ExternalId, at: &Path<'_>, out: &mut Violations) {
    if id.value.chars().any(char::is_control) {
        let describe = || format!("must have no control characters, unlike {}", quoted(&id.value));
        out.add_with(InvalidField, &at.field("value"), describe);
    }
}

/// The link must name the other event in one way.
pub fn link(link: &pb::Link, at: &Path<'_>, out: &mut Violations) {
    match (link.meeting.is_empty(), &link.external_id) {
        (true, None) => out.add(&at.field("meeting"), "is required, or external_id"),
        (false, Some(_)) => out.add(&at.field("external_id"), "must not be set with a meeting: one names the event"),
        (true, Some(id)) => visible_value(id, &at.field("external_id"), out),
        (false, None) => {}
    }
}

/// The place of a stop must be told.
pub fn stop(stop: &pb::Stop, at: &Path<'_>, out: &mut Violations) {
    if stop.place.as_ref().is_none_or(|place| *place == pb::Place::default()) {
        out.add(&at.field("place"), "is required: a region_code, a locality, a venue or a location");
    }
}

/// Local and external ids must not repeat, and every reference must match a local id.
pub fn account(account: &pb::Account, at: &Path<'_>, out: &mut Violations) {
    external_ids(&account.external_ids, at, out);
    let of_ids = at.field("external_ids");
    for (index, id) in account.external_ids.iter().enumerate() {
        visible_value(id, &of_ids.index(index), out);
    }
    let lists = (at.field("participations"), at.field("delegations"), at.field("statements"));
    let participations =
        ids(account.participations.iter().map(|participation| participation.id.as_str()), "id", &lists.0, out);
    let delegations = ids(account.delegations.iter().map(|delegation| delegation.id.as_str()), "id", &lists.1, out);
    let statements = ids(account.statements.iter().map(|statement| statement.id.as_str()), "id", &lists.2, out);

    let check_reference = |ids: &HashMap<&str, usize>, id: &str, at: &Path<'_>, noun: &str, out: &mut Violations| {
        if !id.is_empty() && !ids.contains_key(id) {
            out.add_with(InvalidField, at, || {
                let nearest = nearest_id(ids, id);
                format!("is not the id of a {noun} of this account: {}{}", quoted(id), did_you_mean(nearest))
            });
        }
    };
    check_reference(&participations, &account.initiator, &at.field("initiator"), "participation", out);
    if let Some(announcement) = &account.announcement {
        let at = at.field("announcement");
        check_reference(&participations, &announcement.participation, &at.field("participation"), "participation", out);
    }
    for (index, participation) in account.participations.iter().enumerate() {
        let at = lists.0.index(index);
        check_reference(&delegations, &participation.delegation, &at.field("delegation"), "delegation", out);
        check_reference(&participations, &participation.on_behalf_of, &at.field("on_behalf_of"), "participation", out);
        if !participation.on_behalf_of.is_empty() && participation.on_behalf_of == participation.id {
            out.add(
                &at.field("on_behalf_of"),
                format!("must be another participation, not its own {}", quoted(&participation.id)),
            );
        }
        if participation.roles().any(|role| role == Role::HeadOfDelegation)
            && let Some(&delegation) = delegations.get(participation.delegation.as_str())
            && account.delegations[delegation].head != participation.id
        {
            out.add(
                &at.field("roles"),
                format!("say HEAD_OF_DELEGATION, but delegations[{delegation}].head is another participation or none"),
            );
        }
    }
    for (index, delegation) in account.delegations.iter().enumerate() {
        let at = lists.1.index(index);
        let at = at.field("head");
        check_reference(&participations, &delegation.head, &at, "participation", out);
        if let Some(&head) = participations.get(delegation.head.as_str()) {
            let head = &account.participations[head];
            if head.delegation != delegation.id || !head.roles().any(|role| role == Role::HeadOfDelegation) {
                out.add(&at, "must name a participation of this delegation with the role HEAD_OF_DELEGATION");
            }
        }
    }
    for (index, statement) in account.statements.iter().enumerate() {
        let at = lists.2.index(index);
        for (list, ids) in [("speakers", &statement.speakers), ("addressees", &statement.addressees)] {
            let at = at.field(list);
            for (index, id) in ids.iter().enumerate() {
                check_reference(&participations, id, &at.index(index), "participation", out);
            }
        }
        check_reference(&statements, &statement.continues, &at.field("continues"), "statement", out);
    }
    for index in cycles(account, &statements) {
        let at = lists.2.index(index);
        out.add(&at.field("continues"), "must not lead back to its own statement");
    }
}

/// Maps the ids or keys of a list to their indexes. Repeated ones are violations of `field`; empty ones are ignored.
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
                format!("repeats an earlier {field} of this list, that of [{earlier}]: {}", quoted(id))
            }),
            None => {
                seen.insert(id, index);
            }
        }
    }
    seen
}

/// Suggests an id for a misspelt one. Skipped for more than 200 ids, to bound the cost.
fn nearest_id<'a>(ids: &HashMap<&'a str, usize>, id: &str) -> Option<&'a str> {
    const MOST: usize = 200;
    if ids.len() > MOST {
        return None;
    }
    let mut sorted: Vec<&str> = ids.keys().copied().collect();
    sorted.sort_unstable();
    nearest(sorted.into_iter(), id)
}

/// Finds cycles in the references by `continues`. Returns the index of one statement of each.
fn cycles(account: &pb::Account, statements: &HashMap<&str, usize>) -> Vec<usize> {
    let mut cycles = Vec::new();
    let mut visited = vec![false; account.statements.len()];
    for first in 0..account.statements.len() {
        let mut path = Vec::new();
        let mut next = Some(first);
        while let Some(index) = next.filter(|&index| !visited[index]) {
            if path.contains(&index) {
                cycles.push(index);
                break;
            }
            path.push(index);
            next = statements.get(account.statements[index].continues.as_str()).copied();
        }
        for index in path {
            visited[index] = true;
        }
    }
    cycles
}

/// Every `#key` must be defined, and keys must not repeat. In a story with reports every participant key must be used: one
/// that is not is misspelt somewhere. A story without reports is of participants alone.
pub fn story(story: &pb::Story, at: &Path<'_>, out: &mut Violations) {
    let lists = (at.field("participants"), at.field("reports"));
    let participants = ids(story.participants.iter().map(|participant| participant.key.as_str()), "key", &lists.0, out);
    let reports = ids(story.reports.iter().map(|report| report.key.as_str()), "key", &lists.1, out);
    let mut used = HashSet::new();
    for (index, report) in story.reports.iter().enumerate() {
        let Some(account) = &report.account else { continue };
        let at = lists.1.index(index);
        let at = at.field("account");
        let (participant_keys, report_keys) = account_keys(account);
        for (index, key) in participant_keys {
            used.insert(key);
            if !participants.contains_key(key) {
                let at = at.field("participations");
                out.add_with(InvalidField, &at.index(index).field("participant"), || {
                    let nearest = nearest_id(&participants, key).map(|nearest| format!("#{nearest}"));
                    format!(
                        "is the key of no participant of this story: {}{}",
                        quoted(&format!("#{key}")),
                        did_you_mean(nearest)
                    )
                });
            }
        }
        for (index, key) in report_keys {
            if !reports.contains_key(key) {
                let at = at.field("links");
                out.add_with(InvalidField, &at.index(index).field("meeting"), || {
                    let nearest = nearest_id(&reports, key).map(|nearest| format!("#{nearest}"));
                    format!(
                        "is the key of no report of this story: {}{}",
                        quoted(&format!("#{key}")),
                        did_you_mean(nearest)
                    )
                });
            }
        }
    }
    for (index, story_participant) in story.participants.iter().enumerate() {
        let at = lists.0.index(index);
        let key = &story_participant.key;
        if !key.is_empty() && !story.reports.is_empty() && !used.contains(key.as_str()) {
            let describe = || format!("is not used by any participation of this story: {}", quoted(key));
            out.add_with(InvalidField, &at.field("key"), describe);
        }
        let at = at.field("participant");
        match &story_participant.participant {
            None => out.add(&at, "is required"),
            Some(reference) if !reference.name.is_empty() => {
                name(&reference.name, "participants", &at.field("name"), out);
            }
            Some(participant) => participant.check(&at, out),
        }
    }
}

/// The `#key`s of an account: of its participations, and of its links.
fn account_keys(account: &pb::Account) -> (Keys<'_>, Keys<'_>) {
    let participations = account.participations.iter().map(|participation| participation.participant.as_str());
    let links = account.links.iter().map(|link| link.meeting.as_str());
    (keys(participations), keys(links))
}

/// Keys, each with its index in the list of participations or links.
type Keys<'a> = Vec<(usize, &'a str)>;

fn keys<'a>(names: impl Iterator<Item = &'a str>) -> Keys<'a> {
    names.enumerate().filter_map(|(index, name)| Some((index, name.strip_prefix('#')?))).collect()
}

fn name(name: &str, collection: &str, at: &Path<'_>, out: &mut Violations) {
    let id = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
    if !id.is_some_and(|id| id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()) {
        let describe = || {
            format!("must be a name such as {collection}/0198f2d1-7c0e-7000-8000-0123456789ab, not {}", quoted(name))
        };
        out.add_with(InvalidField, at, describe);
    }
}
