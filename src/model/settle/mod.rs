//! The settling rule: computes a meeting's account and its disputes from reports and rulings. It is a pure function.
//!
//! `ranking` weighs the values of one field. `ids` finds the participations and delegations that several reports share.
//! `dates`, `offices`, `delegations`, `participations` and `statements` settle one noun each. `rulings` applies
//! rulings, `repair` makes the result consistent again. `disputes` and `disputed_value` report where the sources
//! disagree.

mod dates;
mod delegations;
mod disputed_value;
mod disputes;
mod group_delegations;
mod offices;
mod participations;
mod ranked_report;
mod ranking;
mod repair;
mod rulings;
mod settled_ids;
mod statements;
#[cfg(test)]
pub mod tests;

use chrono::NaiveDate;
use uuid::Uuid;

use self::{
    disputed_value::DisputedValue,
    disputes::{DisputeCollector, Field, ReportNames, Sources},
    ranking::{ReportedValue, SourceRanking, candidates, numbers, texts},
    rulings::Rulings,
    settled_ids::Ids,
};
pub use self::{
    rulings::rulable_paths,
    statements::{United, unite, unite_within},
};
use super::{text::names, time::spans::key as span_key};
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
}

/// The version of the rule. Increase it with every change that settles the same reports differently.
pub const VERSION: i32 = 2;

/// The result of the rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// The account, without statements, outcomes and links: [`unite`] returns those.
    pub account: pb::Account,
    /// The fields on which the sources disagree, without the names of the reports: [`disputes()`] adds those.
    pub disputes: Vec<pb::Dispute>,
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
/// first report in rank. `date`, `announcement` and `office` are each one value; a place is four fields. Topics and
/// roles are united.
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
/// The result depends neither on the order of `reports` and `rulings` nor on repetitions in them. Without rulings the
/// rule is idempotent: a single report whose account is the result settles to the same result.
pub fn settle(reports: &[SourceReport<'_>], rulings: &[&pb::Report]) -> Settled {
    settle_named(reports, rulings, &ReportNames::none())
}

/// The disputes that [`settle`] returns, with the names of the reports: at most `max_names` of them in all. Also
/// returns the number of names that are left out.
pub fn disputes(reports: &[SourceReport<'_>], rulings: &[&pb::Report], max_names: usize) -> (Vec<pb::Dispute>, usize) {
    let names = ReportNames::at_most(max_names);
    let disputes = settle_named(reports, rulings, &names).disputes;
    (disputes, names.left_out())
}

fn settle_named(reports: &[SourceReport<'_>], rulings: &[&pb::Report], names: &ReportNames) -> Settled {
    if reports.is_empty() {
        return Settled::default();
    }
    let rulings = Rulings::of(rulings);
    let ids = Ids::of(reports);
    let ranking = SourceRanking::of(&ids.reports);
    let mut collector = DisputeCollector::new(!rulings.is_empty());
    let mut account = account(&ids, &ranking, &mut collector);
    if !rulings.is_empty() {
        rulings.apply(&mut account);
        repair::repair_account(&mut account, rulings.heads());
    }
    let sources = Sources { reports: &ids.reports, ranking: &ranking, names };
    let disputes = collector.disputes(&account, &rulings, &sources);
    Settled { account, disputes }
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
    let date = collector.settle(ranking, Field::Date, dates::date_candidates(dates), DisputedValue::Date);
    let place = place(ids, ranking, collector);
    let mut delegations = delegations::settle(ids, ranking);
    let mut participations = participations::settle(ids, ranking, collector);
    delegations::settle_heads(ids, ranking, &mut delegations, &mut participations);
    let person = |participation: usize| DisputedValue::Id(&ids.participations[participation]);
    let initiators = candidates(initiators, |participation| *participation);
    let initiator = collector.settle(ranking, Field::Initiator, initiators, person);

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

/// The distinct items, sorted, so that the order of the reports does not matter.
fn sorted_unique<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
