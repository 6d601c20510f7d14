//! The settling rule: computes a meeting's account and its disputes from reports and rulings. It is a pure function.
//!
//! `ranking` weighs the values of one field. `ids` finds the participations and delegations that several reports share.
//! `dates`, `offices`, `delegations`, `participations`, `stops` and `statements` settle one noun each. `rulings` applies
//! rulings, `repair` makes the result consistent again. `disputes` and `disputed_value` report where the sources
//! disagree, `fragility` and `fragile_field` which values rest on one source. `defaults` completes what no report states.

mod dates;
mod defaults;
mod delegations;
mod disputed_value;
mod disputes;
mod fragile_field;
mod fragility;
mod group_delegations;
mod offices;
mod participations;
mod ranked_report;
mod ranking;
mod repair;
mod rulings;
mod settled_ids;
mod statements;
mod stops;
#[cfg(test)]
pub mod tests;

use chrono::NaiveDate;
use uuid::Uuid;

use self::{
    defaults::Defaults,
    disputed_value::DisputedValue,
    disputes::{DisputeCollector, Field, ReportNames, Sources},
    fragility::Settling,
    ranking::{ReportedValue, SourceRanking, candidates, numbers, texts},
    rulings::Rulings,
    settled_ids::Ids,
};
pub use self::{
    defaults::complete,
    fragile_field::{FragileField, fragile_of_one_source, has_one_source},
    rulings::rulable_paths,
    statements::{United, unite, unite_within},
};
use super::{participant::Persons, text::names, time::spans::key as span_key};
use crate::pb;

/// A report, and the properties of its article that the rule depends on.
#[derive(Clone, Copy, Debug)]
pub struct SourceReport<'a> {
    /// The report, with its `#keys` resolved.
    pub report: &'a pb::Report,
    /// The first article of its article's group of copies. Copies count as one source.
    pub origin: Uuid,
    /// The publication date of the article; of a partial date, its first day. `None` sorts after every day.
    pub publish_date: Option<NaiveDate>,
    /// The article's uri.
    pub uri: &'a str,
    /// The facts about the participants that the reports of the meeting name, the same for all reports.
    pub persons: &'a Persons,
}

/// The version of the rule. Increase it with every change that settles the same reports differently.
pub const VERSION: i32 = 4;

/// The first version of the rule that finds fragile fields.
const VERSION_OF_FRAGILE_FIELDS: i32 = 3;

/// The result of the rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// The account, without statements, outcomes and links: [`unite`] returns those.
    pub account: pb::Account,
    /// The fields on which the sources disagree, without the names of the reports: [`disputes()`] adds those.
    pub disputes: Vec<pb::Dispute>,
    /// The paths of the set fields that can be disputed and have another value, or none, without some source. Empty with
    /// one source: [`fragile_of_one_source`] returns them.
    pub fragile_fields: Vec<String>,
}

/// Settles on one account of a meeting. Without any report the result is empty, even if there are rulings.
///
/// Each field is settled on its own, from the values that the reports give for it; an unset value does not count. The
/// newest ruling on a field (latest `create_time`, then greatest name) decides it. Without a ruling:
/// 1. drop inferred values if any is stated (dates only, by their basis);
/// 2. drop values that contain a finer one: 2020-08 if there is 2020-08-24, an office with only a title if there is
///    the same title with its organization;
/// 3. take the value with the most independent sources, that is, most distinct origins;
/// 4. break a tie by the rank of the first report with the value: earliest publish date (unknown last), then smallest
///    article uri, then smallest content hash. Within one report, the first value in its order wins.
///
/// Texts are equal if their `names::key` is, dates if they mean the same time (see `spans`). The wording is that of the
/// first report in rank. `date`, `announcement` and `office` are each one value; a place is four fields. Topics,
/// roles, external ids and stops (see `stops`) are united.
///
/// Participations of the same participant are united; unresolved ones are united by name. The settled id is the
/// participant's uuid, `name:<name key>`, or `delegation:<settled id>` for a participation that stands for a whole
/// delegation; `group_delegations` defines the settled ids of delegations. All references are rewritten to settled ids.
/// A reference that does not resolve is removed, as is a participation's reference to itself. Participations and
/// delegations are in the order in which the reports, by rank, first mention them.
///
/// A delegation has one head, who is a member of it. The candidates are the participations reported as its head. If
/// none of them is settled in it, the candidates are its members that are reported as a head elsewhere or of no
/// delegation. All other members lose the role HEAD_OF_DELEGATION, so that `head` and roles agree as the contract
/// demands.
///
/// Rulings come last: they overwrite fields of the settled account, which is then made consistent again (see
/// `repair`). A dispute lists the values that are left after step 2, strongest first, and the ruled value if no
/// report has it.
///
/// Presences and regions that are then unset get a default, unless the participations are ruled on, which are taken as
/// they are (see `defaults`):
/// - The region is the one that the participant has when the meeting is settled.
/// - The presence is REPRESENTED if another participation is on behalf of it; REFERENCED if it is only addressed by
///   statements or only announces the event, or if it is an organization or a state that only speaks; otherwise PRESENT,
///   and REMOTE in a call. To have a part besides speaking is to have a role other than SPEAKER, a delegation, the
///   initiative, or to be on behalf of another. An unresolved speaker is an institution if all its statements have that
///   `speaker_kind`. One that is only addressed attends if the kind takes two sides and fewer than two attend otherwise.
///   In a STATEMENT_ONLY nobody attends, and the presence stays unset. The state does not matter: the presence at a
///   planned or cancelled event is that which is planned.
///
/// The result depends neither on the order of `reports` and `rulings` nor on repetitions in them. Without rulings the
/// rule is idempotent: a single report whose account is the result settles to the same result.
pub fn settle(reports: &[SourceReport<'_>], rulings: &[&pb::Report]) -> Settled {
    settle_named(reports, &Rulings::of(rulings), &ReportNames::none(), true)
}

/// The disputes that [`settle`] returns, with the names of the reports: at most `max_names` of them in all. Also
/// returns the number of names that are left out.
pub fn disputes(reports: &[SourceReport<'_>], rulings: &[&pb::Report], max_names: usize) -> (Vec<pb::Dispute>, usize) {
    let names = ReportNames::at_most(max_names);
    let disputes = settle_named(reports, &Rulings::of(rulings), &names, false).disputes;
    (disputes, names.left_out())
}

/// The account without the reports of one origin.
fn account_without(origin: Uuid, reports: &[SourceReport<'_>], rulings: &Rulings<'_>) -> pb::Account {
    stated_account(&fragility::without(origin, reports), rulings)
}

/// The settled account without the defaults.
fn stated_account(reports: &[SourceReport<'_>], rulings: &Rulings<'_>) -> pb::Account {
    if reports.is_empty() {
        return pb::Account::default();
    }
    let ids = Ids::of(reports);
    let ranking = SourceRanking::of(&ids.reports, &[]);
    ruled_account(&ids, &ranking, rulings, &mut DisputeCollector::new(false, false))
}

/// The account as the reports have it, with the rulings.
fn ruled_account<'a>(
    ids: &'a Ids<'a>,
    ranking: &SourceRanking,
    rulings: &Rulings<'_>,
    collector: &mut DisputeCollector<'a>,
) -> pb::Account {
    let mut account = account(ids, ranking, collector);
    if !rulings.is_empty() {
        rulings.apply(&mut account);
        repair::repair_account(&mut account, rulings.heads());
    }
    account
}

fn settle_named(
    reports: &[SourceReport<'_>],
    rulings: &Rulings<'_>,
    names: &ReportNames,
    wants_fragile: bool,
) -> Settled {
    if reports.is_empty() {
        return Settled::default();
    }
    let ids = Ids::of(reports);
    let settled_again = &ids.renaming[..ids.renaming.len().min(fragility::MAX_SETTLED_AGAIN)];
    let ranking = SourceRanking::of(&ids.reports, settled_again);
    // As `independent_source_count`, this counts sources that state nothing.
    let wants_fragile = wants_fragile && reports.iter().any(|report| report.origin != reports[0].origin);
    let mut collector = DisputeCollector::new(!rulings.is_empty(), wants_fragile);
    let mut account = ruled_account(&ids, &ranking, rulings, &mut collector);
    let defaults = match rulings.on("account.participations") {
        Some(_) => Defaults::default(),
        None => Defaults::of(&account, &ids, reports[0].persons),
    };
    let sources = Sources { reports: &ids.reports, ranking: &ranking, names };
    let fragile = collector.take_fragile();
    let disputes = collector.disputes(&account, rulings, &sources);
    let settling = Settling { sources: reports, rulings, ids: &ids, ranking: &ranking, account: &account };
    let fragile_fields =
        fragile.map(|reported| settling.fragile_fields(&reported, &defaults.fields(&account))).unwrap_or_default();
    defaults.apply(&mut account);
    Settled { account, disputes, fragile_fields }
}

/// The account as the reports have it, before rulings.
fn account<'a>(ids: &'a Ids<'a>, ranking: &SourceRanking, collector: &mut DisputeCollector<'a>) -> pb::Account {
    let accounts = || ids.reports.iter().enumerate().map(|(rank, report)| (rank, report.account));
    let number =
        |field: fn(&pb::Account) -> i32| numbers(accounts().map(|(rank, account)| ReportedValue(rank, field(account))));
    let text = |field: fn(&pb::Account) -> &str| {
        ranking.text(accounts().map(|(rank, account)| ReportedValue(rank, field(account))))
    };
    let dates = accounts().filter_map(|(rank, account)| Some(ReportedValue(rank, account.date.as_ref()?)));
    let initiators = ids
        .reports
        .iter()
        .enumerate()
        .filter_map(|(rank, report)| Some(ReportedValue(rank, report.participation(&report.account.initiator)?)));

    // In the order of the account's fields, which is the order of the disputes.
    let kind = collector.settle(ranking, Field::Kind, number(|account| account.kind), disputes::kind);
    let status = collector.settle(ranking, Field::Status, number(|account| account.status), disputes::status);
    let date = collector.settle(ranking, Field::Date, dates::date_candidates(dates, ranking), DisputedValue::Date);
    let place = place(ids, ranking, collector);
    let mut delegations = delegations::settle(ids, ranking);
    let mut participations = participations::settle(ids, ranking, collector);
    delegations::settle_heads(ids, ranking, &mut delegations, &mut participations);
    let person = |participation: usize| DisputedValue::Id(&ids.participations[participation]);
    let initiators = candidates(initiators, |participation| *participation);
    let initiator = collector.settle(ranking, Field::Initiator, initiators, person);
    let visit_types = number(|account| account.visit_type);
    let visit_type = collector.settle(ranking, Field::VisitType, visit_types, disputes::visit_type);

    // Every field is named, so that a new field of the contract breaks the build until it is settled here.
    pb::Account {
        kind: kind.unwrap_or_default(),
        status: status.unwrap_or_default(),
        title: text(|account| &account.title),
        summary: text(|account| &account.summary),
        topics: sorted_unique(accounts().flat_map(|(_, account)| account.topics.iter().cloned())),
        date: date.cloned(),
        place,
        announcement: announcement(ids, ranking),
        delegations,
        participations,
        initiator: initiator.map(|participation| ids.participations[participation].clone()).unwrap_or_default(),
        statements: Vec::new(),
        outcomes: Vec::new(),
        links: Vec::new(),
        external_ids: external_ids(accounts().map(|(_, account)| account)),
        stops: stops::settle(&ids.reports),
        visit_type: visit_type.unwrap_or_default(),
    }
}

fn place<'a>(ids: &'a Ids<'a>, ranking: &SourceRanking, collector: &mut DisputeCollector<'a>) -> Option<pb::Place> {
    let places = || {
        let reports = ids.reports.iter().enumerate();
        reports.filter_map(|(rank, report)| Some((rank, report.account.place.as_ref()?)))
    };
    let values =
        |field: fn(&'a pb::Place) -> &'a str| texts(places().map(|(rank, place)| ReportedValue(rank, field(place))));
    let location = places().filter_map(|(rank, place)| Some(ReportedValue(rank, place.location?)));
    // Adding zero turns -0.0 into 0.0.
    let bits = |at: &pb::LatLng| ((at.latitude + 0.0).to_bits(), (at.longitude + 0.0).to_bits());
    let locality = collector.settle(ranking, Field::Locality, values(|place| &place.locality), DisputedValue::Text);
    let region = collector.settle(ranking, Field::PlaceRegion, values(|place| &place.region_code), DisputedValue::Text);
    let settled = pb::Place {
        venue: ranking.choose(values(|place| &place.venue)).unwrap_or_default().to_owned(),
        locality: locality.unwrap_or_default().to_owned(),
        region_code: region.unwrap_or_default().to_owned(),
        location: ranking.value(location, bits),
    };
    (settled != pb::Place::default()).then_some(settled)
}

fn announcement(ids: &Ids<'_>, ranking: &SourceRanking) -> Option<pb::Announcement> {
    let values = ids.reports.iter().enumerate().filter_map(|(rank, report)| {
        let pb::Announcement { by, participation, verb, date } = report.account.announcement.as_ref()?;
        let participation = report.participation(participation);
        let date = date.as_ref().filter(|date| **date != pb::DateSpan::default());
        let has_words = [by, verb].iter().any(|text| !names::key(text).is_empty());
        if !has_words && participation.is_none() && date.is_none() {
            return None;
        }
        let announcement = pb::Announcement {
            by: by.clone(),
            participation: participation.map(|index| ids.participations[index].clone()).unwrap_or_default(),
            verb: verb.clone(),
            date: date.cloned(),
        };
        Some(ReportedValue(rank, announcement))
    });
    let key = |announcement: &pb::Announcement| {
        let pb::Announcement { by, participation, verb, date } = announcement;
        (names::key(by), participation.clone(), names::key(verb), date.as_ref().map(span_key))
    };
    ranking.value(values, key)
}

/// The distinct external ids, sorted.
fn external_ids<'a>(accounts: impl Iterator<Item = &'a pb::Account>) -> Vec<pb::ExternalId> {
    let ids = accounts.flat_map(|account| &account.external_ids);
    let ids = sorted_unique(ids.map(|id| (id.scheme.as_str(), id.value.as_str())));
    ids.into_iter().map(|(scheme, value)| pb::ExternalId { scheme: scheme.into(), value: value.into() }).collect()
}

/// The distinct items, sorted, so that the order of the reports does not matter.
fn sorted_unique<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
