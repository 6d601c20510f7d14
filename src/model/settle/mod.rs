//! What the store settles on where several reports tell of one meeting: a pure function of them.
//!
//! `choice` weighs the values of one field, `ids` says which participations and delegations of different reports
//! are the same, `dates`, `offices`, `delegations`, `participations` and `statements` settle one noun each. `rulings`
//! says what was ruled, `coherent` makes it fit, `contest` and `said` tell what is disputed.

mod coherent;
mod dates;
mod delegations;
mod disputed_value;
mod disputes;
mod group_delegations;
mod ids;
mod offices;
mod participations;
mod ranking;
mod reading;
mod rulings;
mod statements;
#[cfg(test)]
pub mod tests;

use chrono::NaiveDate;
use uuid::Uuid;

use self::{
    disputed_value::DisputedValue,
    disputes::{DisputeCollector, Field, Tellers},
    ids::Ids,
    ranking::{ReportedValue, SourceRanking, candidates, numbers, texts},
    rulings::Rulings,
};
pub use self::{rulings::rulable_paths, statements::unite};
use super::{text::names, time::spans::key as span_key};
use crate::pb;

/// One report, with what settling needs to know of its article.
#[derive(Clone, Copy, Debug)]
pub struct SourceReport<'a> {
    /// The report; `#keys` in it are resolved.
    pub report: &'a pb::Report,
    /// The first article of its article's group of copies. Copies count as one source.
    pub origin: Uuid,
    /// When the article was published: the first day, of a partial date. None is taken as later than any day.
    pub publish_date: Option<NaiveDate>,
    /// The article's uri.
    pub uri: &'a str,
}

/// The version of the rule. It grows when the rule would settle the same reports otherwise.
pub const VERSION: i32 = 2;

/// What the store settles on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// The account, without statements, outcomes and links (`unite` gives those).
    pub account: pb::Account,
    /// Where the sources disagree; without the names of the reports (`disputes` gives those).
    pub disputes: Vec<pb::Dispute>,
}

/// What the store settles on. Without any report, nothing, whatever was ruled.
///
/// Each field of the account is chosen by itself, from the values that the reports tell of it; an unset value is none.
/// A field that was ruled on is as the newest ruling has it (the latest `create_time`, then the greatest name); else:
/// 1. drop inferred values if any is stated (dates only, by their basis);
/// 2. drop values that contain a finer one: 2020-08 beside 2020-08-24, an office with a title alone beside the
///    same title with its organization;
/// 3. the value of most independent sources, that is of most distinct origins;
/// 4. the value of the first report in rank: earliest publish date (unknown last), then smallest article uri, then
///    smallest content hash; within one report, the first in its order.
///
/// Texts are one value if their `names::key` is, dates if they mean the same time (see `spans`); the wording is then
/// that of the first report in rank. `date`, `announcement` and `office` are values as a whole, a place is four fields. Topics
/// and roles unite.
///
/// Participations unite by participant, by name while unresolved. The settled id is the participant's uuid,
/// `name:<key of the name>`, or `delegation:<settled id>` for a delegation that itself acts; see `delegations`
/// for theirs. All references are rewritten to settled ids, and one that nothing answers is left out, as is a
/// participation's reference to itself. Participations and delegations stand in the order in which the reports,
/// by rank, first tell them.
///
/// A delegation has one head, who belongs to it: chosen from those told as its head or, if none of them settled in
/// it, from those in it who are told as head elsewhere or of no delegation. All others in it lose the role
/// HEAD_OF_DELEGATION, so that `head` and roles agree as the contract wants.
///
/// Rulings come last: what they say is put over the account that was chosen, which is then made coherent again (see
/// `coherent`). A dispute lists the values that were left after step 2, the strongest first, and what was ruled, if no
/// report tells it.
///
/// The result depends neither on the order of `told` and of `rulings` nor on repetitions in them, and without rulings
/// it settles to itself: if a report's account is the result, settling that report alone gives the result again.
pub fn settle(told: &[SourceReport<'_>], rulings: &[&pb::Report]) -> Settled {
    settle_named(told, rulings, false)
}

/// Where the sources disagree, with the names of the reports.
pub fn disputes(told: &[SourceReport<'_>], rulings: &[&pb::Report]) -> Vec<pb::Dispute> {
    settle_named(told, rulings, true).disputes
}

fn settle_named(told: &[SourceReport<'_>], rulings: &[&pb::Report], are_named: bool) -> Settled {
    if told.is_empty() {
        return Settled::default();
    }
    let rulings = Rulings::of(rulings);
    let ids = Ids::of(told);
    let scale = SourceRanking::of(&ids.readings);
    let mut contests = DisputeCollector::new(!rulings.is_empty());
    let mut account = account(&ids, &scale, &mut contests);
    if !rulings.is_empty() {
        rulings.apply(&mut account);
        coherent::make(&mut account, rulings.heads());
    }
    let tellers = Tellers { readings: &ids.readings, scale: &scale, are_named };
    let disputes = contests.disputes(&account, &rulings, &tellers);
    Settled { account, disputes }
}

/// The account of the reports.
fn account<'a>(ids: &'a Ids<'a>, scale: &SourceRanking, contests: &mut DisputeCollector<'a>) -> pb::Account {
    let accounts = || ids.readings.iter().enumerate().map(|(teller, reading)| (teller, reading.account));
    let number =
        |field: fn(&pb::Account) -> i32| numbers(accounts().map(|(t, account)| ReportedValue(t, field(account))));
    let text =
        |field: fn(&pb::Account) -> &str| scale.text(accounts().map(|(t, account)| ReportedValue(t, field(account))));
    let dates = accounts().filter_map(|(t, account)| Some(ReportedValue(t, account.date.as_ref()?)));
    let initiators = ids.readings.iter().enumerate().filter_map(|(teller, reading)| {
        Some(ReportedValue(teller, reading.participation(&reading.account.initiator)?))
    });

    // In the order of the account, which is that of the disputes.
    let kind = contests.settle(scale, Field::Kind, number(|account| account.kind), disputes::kind);
    let status = contests.settle(scale, Field::Status, number(|account| account.status), disputes::status);
    let date = contests.settle(scale, Field::Date, dates::told(dates), DisputedValue::Date);
    let place = place(ids, scale, contests);
    let mut delegations = delegations::settle(ids, scale);
    let mut participations = participations::settle(ids, scale, contests);
    delegations::settle_heads(ids, scale, &mut delegations, &mut participations);
    let person = |it: usize| DisputedValue::Id(&ids.participations[it]);
    let initiator = contests.settle(scale, Field::Initiator, candidates(initiators, |it| *it), person);

    // Every field is named, so that a new one of the contract breaks the build until it is settled here.
    pb::Account {
        kind: kind.unwrap_or_default(),
        status: status.unwrap_or_default(),
        title: text(|account| &account.title),
        summary: text(|account| &account.summary),
        topics: united(accounts().flat_map(|(_, account)| account.topics.iter().cloned())),
        date: date.cloned(),
        place,
        announcement: announcement(ids, scale),
        delegations,
        participations,
        initiator: initiator.map(|it| ids.participations[it].clone()).unwrap_or_default(),
        statements: Vec::new(),
        outcomes: Vec::new(),
        links: Vec::new(),
    }
}

fn place<'a>(ids: &'a Ids<'a>, scale: &SourceRanking, contests: &mut DisputeCollector<'a>) -> Option<pb::Place> {
    let places = || {
        let readings = ids.readings.iter().enumerate();
        readings.filter_map(|(teller, reading)| Some((teller, reading.account.place.as_ref()?)))
    };
    let told = |field: fn(&'a pb::Place) -> &'a str| texts(places().map(|(t, place)| ReportedValue(t, field(place))));
    let location = places().filter_map(|(teller, place)| Some(ReportedValue(teller, place.location?)));
    // Adding zero makes the two zeros one.
    let bits = |at: &pb::LatLng| ((at.latitude + 0.0).to_bits(), (at.longitude + 0.0).to_bits());
    let locality = contests.settle(scale, Field::Locality, told(|place| &place.locality), DisputedValue::Text);
    let region = contests.settle(scale, Field::PlaceRegion, told(|place| &place.region_code), DisputedValue::Text);
    let settled = pb::Place {
        venue: scale.choose(told(|place| &place.venue)).unwrap_or_default().to_owned(),
        locality: locality.unwrap_or_default().to_owned(),
        region_code: region.unwrap_or_default().to_owned(),
        location: scale.value(location, bits),
    };
    (settled != pb::Place::default()).then_some(settled)
}

fn announcement(ids: &Ids<'_>, scale: &SourceRanking) -> Option<pb::Announcement> {
    let claims = ids.readings.iter().enumerate().filter_map(|(teller, reading)| {
        let pb::Announcement { by, participation, verb, date } = reading.account.announcement.as_ref()?;
        let participation = reading.participation(participation);
        let date = date.as_ref().filter(|date| **date != pb::DateSpan::default());
        let has_words = [by, verb].iter().any(|text| !names::key(text).is_empty());
        if !has_words && participation.is_none() && date.is_none() {
            return None;
        }
        let told = pb::Announcement {
            by: by.clone(),
            participation: participation.map(|it| ids.participations[it].clone()).unwrap_or_default(),
            verb: verb.clone(),
            date: date.cloned(),
        };
        Some(ReportedValue(teller, told))
    });
    let key = |told: &pb::Announcement| {
        let pb::Announcement { by, participation, verb, date } = told;
        (names::key(by), participation.clone(), names::key(verb), date.as_ref().map(span_key))
    };
    scale.value(claims, key)
}

/// The items of several reports, each once, in an order of their own.
fn united<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
