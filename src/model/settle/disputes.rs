//! What the sources disagree about: the values that were told of a field beside the one that is settled on.

use std::collections::HashMap;

use prost_types::Value;

use super::{
    disputed_value::{self, DisputedValue},
    ranking::{Candidate, SourceRanking},
    reading::RankedReport,
    rulings::Rulings,
};
use crate::pb::{
    self, Dispute, account,
    dispute::{self, Rule},
    participation,
};

/// A dispute has at most so many values, so that a meeting's size does not grow with its reports.
const MOST_VALUES: usize = 20;

/// A field that can be disputed.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    Kind,
    Status,
    Date,
    PlaceRegion,
    Locality,
    Initiator,
    /// A part of the participation with this settled id.
    Of(&'a str, ParticipationField),
}

/// What can be disputed of a participation.
#[derive(Clone, Copy, Debug)]
pub enum ParticipationField {
    Office,
    Rank,
    Region,
    Presence,
    Delegation,
}

/// The fields of which more than one value is told, in the order of the account.
pub struct DisputeCollector<'a> {
    /// Fields with fewer values are not kept.
    fewest: usize,
    list: Vec<FieldCandidates<'a>>,
}

struct FieldCandidates<'a> {
    field: Field<'a>,
    /// Strongest first.
    values: Vec<Candidate<DisputedValue<'a>>>,
}

impl<'a> DisputeCollector<'a> {
    /// A single value is contested by a ruling alone.
    pub fn new(has_rulings: bool) -> Self {
        DisputeCollector { fewest: if has_rulings { 1 } else { 2 }, list: Vec::new() }
    }

    /// Settles on the strongest of the values that are told of a field, and keeps the others.
    pub fn settle<T: Copy>(
        &mut self,
        scale: &SourceRanking,
        field: Field<'a>,
        told: Vec<Candidate<T>>,
        said: impl Fn(T) -> DisputedValue<'a>,
    ) -> Option<T> {
        let values = scale.ranked(told);
        let strongest = values.first()?.value;
        if values.len() >= self.fewest {
            let values = values.into_iter().map(|candidate| candidate.map(&said)).collect();
            self.list.push(FieldCandidates { field, values });
        }
        Some(strongest)
    }

    /// The disputes about an account as it came out of the rulings; with the names of the reports, or as they are stored.
    pub fn disputes(self, settled: &pb::Account, rulings: &Rulings<'_>, tellers: &Tellers<'_>) -> Vec<Dispute> {
        let people: HashMap<&str, &pb::Participation> = match self.list.is_empty() {
            true => HashMap::new(),
            false => settled.participations.iter().map(|one| (one.id.as_str(), one)).collect(),
        };
        let dispute = |contest: FieldCandidates<'a>| {
            let outcome = contest.outcome(settled, &people, rulings)?;
            Some(contest.dispute(outcome, tellers))
        };
        self.list.into_iter().filter_map(dispute).collect()
    }
}

/// Those who tell the values.
pub struct Tellers<'a> {
    pub readings: &'a [RankedReport<'a>],
    pub scale: &'a SourceRanking,
    /// Whether disputes name their reports.
    pub are_named: bool,
}

/// How a contest ended.
struct Outcome<'r> {
    /// Index of the value that the account has; that after the last, if no report tells it.
    chosen: usize,
    /// The name of the ruling that decided.
    ruling: Option<&'r str>,
    /// What was ruled, if no report tells it.
    ruled: Option<Value>,
}

impl FieldCandidates<'_> {
    /// How it ended; None where nothing is left to disagree about.
    fn outcome<'r>(
        &self,
        settled: &pb::Account,
        people: &HashMap<&str, &pb::Participation>,
        rulings: &Rulings<'r>,
    ) -> Option<Outcome<'r>> {
        let by_the_rule = Outcome { chosen: 0, ruling: None, ruled: None };
        if rulings.is_empty() {
            return Some(by_the_rule);
        }
        let settled = self.field.read(settled, people)?;
        let chosen = settled.and_then(|said| self.values.iter().position(|one| one.value.is_same(&said)));
        let is_contested = self.values.len() > 1 || chosen.is_none();
        let ruling = rulings.on(self.field.path());
        let outcome = match (ruling, chosen) {
            (None, Some(0)) => by_the_rule,
            _ => Outcome {
                chosen: chosen.unwrap_or(self.values.len()),
                // Where nothing was ruled on the field itself, whom it refers to was ruled out.
                ruling: ruling.or_else(|| rulings.on_people()).map(|ruling| ruling.name.as_str()),
                ruled: chosen.is_none().then(|| settled.map_or_else(disputed_value::null, |said| said.value())),
            },
        };
        is_contested.then_some(outcome)
    }

    fn dispute(&self, outcome: Outcome<'_>, tellers: &Tellers<'_>) -> Dispute {
        let Outcome { mut chosen, ruling, ruled } = outcome;
        let is_beyond = chosen >= MOST_VALUES;
        let most = if is_beyond { MOST_VALUES - 1 } else { MOST_VALUES };
        let mut values: Vec<dispute::Value> = self.values.iter().take(most).map(|one| tellers.value(one)).collect();
        if is_beyond {
            values.extend(self.values.get(chosen).map(|one| tellers.value(one)));
            chosen = MOST_VALUES - 1;
        }
        values.extend(ruled.map(|value| {
            let reports = ruling.iter().filter(|_| tellers.are_named).map(|name| (*name).to_owned()).collect();
            dispute::Value { value: Some(value), reports, independent_source_count: 0 }
        }));
        let rule = if ruling.is_some() { Rule::Ruling } else { self.rule(tellers) };
        // At most `MOST_VALUES`: it fits.
        Dispute { field: self.field.name(), values, chosen: chosen as i32, rule: rule.into() }
    }

    /// What the strongest value has over the next.
    fn rule(&self, Tellers { readings, scale, .. }: &Tellers<'_>) -> Rule {
        let [one, other, ..] = self.values.as_slice() else { return Rule::Unspecified };
        if scale.count_sources(one) != scale.count_sources(other) {
            return Rule::MostSources;
        }
        if one.first == other.first {
            return Rule::FirstInReport;
        }
        let (one, other) = (&readings[one.first], &readings[other.first]);
        if one.publish_date != other.publish_date {
            Rule::EarliestPublished
        } else if one.uri != other.uri {
            Rule::SmallestUri
        } else {
            Rule::SmallestHash
        }
    }
}

impl Tellers<'_> {
    fn value(&self, candidate: &Candidate<DisputedValue<'_>>) -> dispute::Value {
        let mut reports = Vec::new();
        if self.are_named {
            reports.extend(candidate.tellers().map(|teller| self.readings[teller].report.name.clone()));
            reports.sort_unstable();
            reports.dedup();
        }
        dispute::Value {
            value: Some(candidate.value.value()),
            reports,
            // At most 1,000: it fits.
            independent_source_count: self.scale.count_sources(candidate) as i32,
        }
    }
}

impl Field<'_> {
    /// As a dispute names it.
    fn name(&self) -> String {
        match self {
            Field::Of(id, part) => format!("participations[{id}].{}", part.name()),
            field => field.path().trim_start_matches("account.").to_owned(),
        }
    }

    /// The path in the mask of a ruling on it.
    fn path(&self) -> &'static str {
        match self {
            Field::Kind => "account.kind",
            Field::Status => "account.status",
            Field::Date => "account.date",
            Field::PlaceRegion => "account.place.region_code",
            Field::Locality => "account.place.locality",
            Field::Initiator => "account.initiator",
            Field::Of(..) => "account.participations",
        }
    }

    /// What an account says of it, if anything. None if the account does not have who it is about.
    fn read<'a>(
        &self,
        account: &'a pb::Account,
        people: &HashMap<&str, &'a pb::Participation>,
    ) -> Option<Option<DisputedValue<'a>>> {
        let text = |text: &'a str| Some(DisputedValue::Text(text)).filter(|_| !text.is_empty());
        let id = |id: &'a str| Some(DisputedValue::Id(id)).filter(|_| !id.is_empty());
        let place = account.place.as_ref();
        Some(match self {
            Field::Kind => Some(account.kind).filter(|kind| *kind != 0).map(kind),
            Field::Status => Some(account.status).filter(|status| *status != 0).map(status),
            Field::Date => account.date.as_ref().map(DisputedValue::Date),
            Field::PlaceRegion => place.and_then(|place| text(&place.region_code)),
            Field::Locality => place.and_then(|place| text(&place.locality)),
            Field::Initiator => id(&account.initiator),
            Field::Of(who, part) => {
                let one = *people.get(who)?;
                match part {
                    ParticipationField::Office => one
                        .office
                        .as_ref()
                        .filter(|office| **office != pb::Office::default())
                        .map(DisputedValue::Office),
                    ParticipationField::Rank => text(&one.rank),
                    ParticipationField::Region => text(&one.region_code),
                    ParticipationField::Presence => Some(one.presence).filter(|presence| *presence != 0).map(presence),
                    ParticipationField::Delegation => id(&one.delegation),
                }
            }
        })
    }
}

impl ParticipationField {
    fn name(self) -> &'static str {
        match self {
            ParticipationField::Office => "office",
            ParticipationField::Rank => "rank",
            ParticipationField::Region => "region_code",
            ParticipationField::Presence => "presence",
            ParticipationField::Delegation => "delegation",
        }
    }
}

pub fn kind<'a>(number: i32) -> DisputedValue<'a> {
    DisputedValue::Name(account::Kind::try_from(number).unwrap_or_default().as_str_name())
}

pub fn status<'a>(number: i32) -> DisputedValue<'a> {
    DisputedValue::Name(account::Status::try_from(number).unwrap_or_default().as_str_name())
}

pub fn presence<'a>(number: i32) -> DisputedValue<'a> {
    DisputedValue::Name(participation::Presence::try_from(number).unwrap_or_default().as_str_name())
}
