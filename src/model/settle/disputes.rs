//! Disputes: the fields on which the sources disagree, with all reported values and the chosen one.

use std::{cell::Cell, collections::HashMap};

use prost_types::Value;

use super::{
    disputed_value::{self, DisputedValue},
    ranked_report::RankedReport,
    ranking::{Candidate, FieldValues, SourceRanking},
    rulings::Rulings,
};
use crate::pb::{
    self, Dispute, account,
    dispute::{self, Rule},
    participation,
};

/// Maximum number of values in one dispute, so that a meeting's size does not grow with its reports.
const MAX_VALUES: usize = 20;

/// A field that can be disputed.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    Kind,
    Status,
    Date,
    PlaceRegion,
    Locality,
    Initiator,
    VisitType,
    /// A field of the participation with this settled id.
    Participation(&'a str, ParticipationField),
}

/// A field of a participation that can be disputed.
#[derive(Clone, Copy, Debug)]
pub enum ParticipationField {
    Office,
    Rank,
    Region,
    Presence,
    Delegation,
}

/// Collects the fields that may be disputed, in the order of the account, and the fragile ones.
pub struct DisputeCollector<'a> {
    /// Fields with fewer values are not kept.
    min_values: usize,
    fields: Vec<FieldCandidates<'a>>,
    /// `None` if they are not wanted.
    fragile: Option<Vec<Field<'a>>>,
}

struct FieldCandidates<'a> {
    field: Field<'a>,
    /// Strongest first.
    values: Vec<Candidate<DisputedValue<'a>>>,
}

impl<'a> DisputeCollector<'a> {
    /// Keeps fields with a single value only if there are rulings: nothing else can contradict it.
    pub fn new(has_rulings: bool, wants_fragile: bool) -> Self {
        let min_values = if has_rulings { 1 } else { 2 };
        DisputeCollector { min_values, fields: Vec::new(), fragile: wants_fragile.then(Vec::new) }
    }

    /// The fields on which the reports settle otherwise without some source, rulings aside.
    pub fn take_fragile(&mut self) -> Option<Vec<Field<'a>>> {
        self.fragile.take()
    }

    /// Settles on the strongest of the values of a field, and keeps all of them for a dispute.
    pub fn settle<T: Copy>(
        &mut self,
        ranking: &SourceRanking,
        field: Field<'a>,
        values: impl Into<FieldValues<T>>,
        to_disputed: impl Fn(T) -> DisputedValue<'a>,
    ) -> Option<T> {
        let FieldValues { finest, coarse, has_weaker_evidence } = values.into();
        let values = ranking.ranked(finest);
        let strongest = values.first()?.value;
        if let Some(fragile) = &mut self.fragile
            && !has_weaker_evidence
            && ranking.is_fragile(&values, &coarse)
        {
            fragile.push(field);
        }
        if values.len() >= self.min_values {
            let values = values.into_iter().map(|candidate| candidate.map(&to_disputed)).collect();
            self.fields.push(FieldCandidates { field, values });
        }
        Some(strongest)
    }

    /// The disputes about the settled account, which already has the rulings.
    pub fn disputes(self, settled: &pb::Account, rulings: &Rulings<'_>, sources: &Sources<'_>) -> Vec<Dispute> {
        let people: HashMap<&str, &pb::Participation> = match self.fields.is_empty() {
            true => HashMap::new(),
            false => settled.participations.iter().map(|person| (person.id.as_str(), person)).collect(),
        };
        let dispute = |field: FieldCandidates<'a>| {
            let outcome = field.outcome(settled, &people, rulings)?;
            Some(field.dispute(outcome, sources))
        };
        self.fields.into_iter().filter_map(dispute).collect()
    }
}

/// The reports that disputed values come from.
pub struct Sources<'a> {
    pub reports: &'a [RankedReport<'a>],
    pub ranking: &'a SourceRanking,
    /// The names of reports that the disputes may have.
    pub names: &'a ReportNames,
}

/// The number of report names that disputes may have. Stored disputes have none. A meeting of 1,000 reports that
/// contradict each other in thousands of fields would have millions.
#[derive(Debug)]
pub struct ReportNames {
    /// `None`: the disputes have no names, and none count as left out.
    left: Option<Cell<usize>>,
    left_out: Cell<usize>,
}

impl ReportNames {
    /// No names at all.
    pub fn none() -> Self {
        Self { left: None, left_out: Cell::new(0) }
    }

    /// At most this many names in all disputes together.
    pub fn at_most(count: usize) -> Self {
        Self { left: Some(Cell::new(count)), left_out: Cell::new(0) }
    }

    /// The number of names that did not fit.
    pub fn left_out(&self) -> usize {
        self.left_out.get()
    }

    /// The names to use of these, which are distinct and sorted.
    fn take(&self, mut names: Vec<&str>) -> Vec<String> {
        let Some(left) = &self.left else { return Vec::new() };
        let taken = left.get().min(names.len());
        left.set(left.get() - taken);
        self.left_out.set(self.left_out.get() + names.len() - taken);
        names.truncate(taken);
        names.into_iter().map(str::to_owned).collect()
    }
}

/// The value of a disputed field that the account has, and the reason for it.
struct Outcome<'r> {
    /// The index of the chosen value; one past the last if no report has it.
    chosen: usize,
    /// The name of the ruling that decided.
    ruling: Option<&'r str>,
    /// The ruled value, if no report has it.
    ruled: Option<Value>,
}

impl FieldCandidates<'_> {
    /// The outcome; `None` if the field is not disputed.
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
        let chosen = settled.and_then(|value| self.values.iter().position(|candidate| candidate.value.is_same(&value)));
        let is_disputed = self.values.len() > 1 || chosen.is_none();
        let ruling = rulings.on(self.field.path());
        let outcome = match (ruling, chosen) {
            (None, Some(0)) => by_the_rule,
            _ => Outcome {
                chosen: chosen.unwrap_or(self.values.len()),
                // Without a ruling on the field itself, a ruling removed the participation or delegation that it refers
                // to.
                ruling: ruling.or_else(|| rulings.on_participants()).map(|ruling| ruling.name.as_str()),
                ruled: chosen.is_none().then(|| settled.map_or_else(disputed_value::null, |value| value.value())),
            },
        };
        is_disputed.then_some(outcome)
    }

    fn dispute(&self, outcome: Outcome<'_>, sources: &Sources<'_>) -> Dispute {
        let Outcome { mut chosen, ruling, ruled } = outcome;
        let is_beyond = chosen >= MAX_VALUES;
        let most = if is_beyond { MAX_VALUES - 1 } else { MAX_VALUES };
        let mut values: Vec<dispute::Value> =
            self.values.iter().take(most).map(|candidate| sources.value(candidate)).collect();
        if is_beyond {
            values.extend(self.values.get(chosen).map(|candidate| sources.value(candidate)));
            chosen = MAX_VALUES - 1;
        }
        values.extend(ruled.map(|value| {
            let reports = sources.names.take(ruling.into_iter().collect());
            dispute::Value { value: Some(value), reports, independent_source_count: 0 }
        }));
        let rule = if ruling.is_some() { Rule::Ruling } else { self.rule(sources) };
        // At most `MAX_VALUES`: it fits.
        Dispute { field: self.field.name(), values, chosen: chosen as i32, rule: rule.into() }
    }

    /// The step of the rule by which the strongest value beats the next.
    fn rule(&self, Sources { reports, ranking, .. }: &Sources<'_>) -> Rule {
        let [first, second, ..] = self.values.as_slice() else { return Rule::Unspecified };
        if ranking.count_sources(first) != ranking.count_sources(second) {
            return Rule::MostSources;
        }
        if first.first.rank == second.first.rank {
            return Rule::FirstInReport;
        }
        let (first, second) = (&reports[first.first.rank], &reports[second.first.rank]);
        if first.publish_date != second.publish_date {
            Rule::EarliestPublished
        } else if first.uri != second.uri {
            Rule::SmallestUri
        } else {
            Rule::SmallestHash
        }
    }
}

impl Sources<'_> {
    fn value(&self, candidate: &Candidate<DisputedValue<'_>>) -> dispute::Value {
        let mut names = Vec::new();
        if self.names.left.is_some() {
            names.extend(candidate.ranks().map(|rank| self.reports[rank].report.name.as_str()));
            names.sort_unstable();
            names.dedup();
        }
        dispute::Value {
            value: Some(candidate.value.value()),
            reports: self.names.take(names),
            // At most 1,000: it fits.
            independent_source_count: self.ranking.count_sources(candidate) as i32,
        }
    }
}

impl Field<'_> {
    /// The name of the field in a dispute.
    pub fn name(&self) -> String {
        match self {
            Field::Participation(id, field) => format!("participations[{id}].{}", field.name()),
            field => field.path().trim_start_matches("account.").to_owned(),
        }
    }

    /// The path of the field in the mask of a ruling.
    pub fn path(&self) -> &'static str {
        match self {
            Field::Kind => "account.kind",
            Field::Status => "account.status",
            Field::Date => "account.date",
            Field::PlaceRegion => "account.place.region_code",
            Field::Locality => "account.place.locality",
            Field::Initiator => "account.initiator",
            Field::VisitType => "account.visit_type",
            Field::Participation(..) => "account.participations",
        }
    }

    /// The value of the field in an account, if it is set. `None` if the account lacks the participation.
    pub fn read<'a>(
        &self,
        account: &'a pb::Account,
        people: &HashMap<&str, &'a pb::Participation>,
    ) -> Option<Option<DisputedValue<'a>>> {
        match self {
            Field::Participation(id, field) => people.get(id).map(|person| field.read(person)),
            field => Some(field.read_own(account)),
        }
    }

    /// The value of the field in an account, if it is set. `None` for a field of a participation.
    pub fn read_own<'a>(&self, account: &'a pb::Account) -> Option<DisputedValue<'a>> {
        let place = account.place.as_ref();
        match self {
            Field::Kind => Some(account.kind).filter(|kind| *kind != 0).map(kind),
            Field::Status => Some(account.status).filter(|status| *status != 0).map(status),
            Field::Date => account.date.as_ref().map(DisputedValue::Date),
            Field::PlaceRegion => place.and_then(|place| text(&place.region_code)),
            Field::Locality => place.and_then(|place| text(&place.locality)),
            Field::Initiator => settled_id(&account.initiator),
            Field::VisitType => Some(account.visit_type).filter(|visit_type| *visit_type != 0).map(visit_type),
            Field::Participation(..) => None,
        }
    }
}

impl ParticipationField {
    /// All fields.
    pub const ALL: [Self; 5] = [Self::Office, Self::Rank, Self::Region, Self::Presence, Self::Delegation];

    /// The value of the field in a participation, if it is set.
    pub fn read(self, person: &pb::Participation) -> Option<DisputedValue<'_>> {
        match self {
            Self::Office => {
                person.office.as_ref().filter(|office| **office != pb::Office::default()).map(DisputedValue::Office)
            }
            Self::Rank => text(&person.rank),
            Self::Region => text(&person.region_code),
            Self::Presence => Some(person.presence).filter(|presence| *presence != 0).map(presence),
            Self::Delegation => settled_id(&person.delegation),
        }
    }

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

fn text(text: &str) -> Option<DisputedValue<'_>> {
    Some(DisputedValue::Text(text)).filter(|_| !text.is_empty())
}

fn settled_id(id: &str) -> Option<DisputedValue<'_>> {
    Some(DisputedValue::Id(id)).filter(|_| !id.is_empty())
}

pub fn kind<'a>(number: i32) -> DisputedValue<'a> {
    DisputedValue::Name(account::Kind::try_from(number).unwrap_or_default().as_str_name())
}

pub fn status<'a>(number: i32) -> DisputedValue<'a> {
    DisputedValue::Name(account::Status::try_from(number).unwrap_or_default().as_str_name())
}

pub fn visit_type<'a>(number: i32) -> DisputedValue<'a> {
    DisputedValue::Name(account::VisitType::try_from(number).unwrap_or_default().as_str_name())
}

pub fn presence<'a>(number: i32) -> DisputedValue<'a> {
    DisputedValue::Name(participation::Presence::try_from(number).unwrap_or_default().as_str_name())
}
