//! The groups of meetings and statements in memory, with the same values as in the SQL of `store/query/aggregate.rs` and
//! `store/statement/aggregate.rs`.

use std::collections::{BTreeSet, HashMap};

use chrono::{Datelike, NaiveDate};
use uuid::Uuid;

use super::{
    aggregate::{Group, StatementGroup},
    filter::StatementInput,
};
use crate::{
    model::{
        meeting::{date_precision, is_met, regions},
        resource::Collection,
        time::dates,
    },
    pb::{
        Account, Meeting,
        account::{Kind, Status, VisitType},
    },
};

/// The values of a group that a meeting belongs to, each once. A participant is its id, a pair of participants an array
/// in PostgreSQL's text format.
pub fn group_values(group: Group, meeting: &Meeting) -> Vec<String> {
    let none = Account::default();
    let account = meeting.account.as_ref().unwrap_or(&none);
    let day = || first_day(meeting).zip(Some(date_precision(account)));
    let dated = |least: i16, text: fn(NaiveDate) -> String| {
        vec![day().filter(|(_, precision)| *precision >= least).map(|(day, _)| text(day)).unwrap_or_default()]
    };
    match group {
        Group::Kind => vec![set(account.kind, Kind::try_from(account.kind).ok().map(|kind| kind.as_str_name()))],
        Group::Status => {
            vec![set(account.status, Status::try_from(account.status).ok().map(|status| status.as_str_name()))]
        }
        Group::VisitType => {
            let name = VisitType::try_from(account.visit_type).ok().map(|visit_type| visit_type.as_str_name());
            vec![set(account.visit_type, name)]
        }
        Group::PlaceRegion => vec![account.place.as_ref().map(|place| place.region_code.clone()).unwrap_or_default()],
        Group::Year => dated(1, year),
        Group::Quarter => vec![only_quarter(account.date.as_ref().and_then(dates::span), date_precision(account))],
        Group::Month => dated(2, month),
        Group::Region => regions(account).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect(),
        Group::RegionPair => {
            let regions: Vec<&str> = regions(account).collect::<BTreeSet<_>>().into_iter().collect();
            pairs(&regions).map(|(a, b)| format!("{a}-{b}")).collect()
        }
        Group::Topic => account.topics.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        Group::Seniority => {
            let offices = account.participations.iter().filter_map(|participation| participation.office.as_ref());
            let seniorities: BTreeSet<i32> = offices.map(|office| office.seniority).collect();
            seniorities.into_iter().filter(|number| (1..=6).contains(number)).map(|number| number.to_string()).collect()
        }
        Group::Participant => attendees(meeting).iter().map(Uuid::to_string).collect(),
        Group::ParticipantPair => {
            let attendees: Vec<Uuid> = attendees(meeting).into_iter().collect();
            pairs(&attendees).map(|(a, b)| format!("{{{a},{b}}}")).collect()
        }
    }
}

/// The participants who were at a meeting together, each once.
pub fn attendees(meeting: &Meeting) -> BTreeSet<Uuid> {
    let participations = meeting.account.iter().flat_map(|account| &account.participations);
    let met = participations.filter(|participation| is_met(participation));
    met.filter_map(|participation| Collection::Participants.id(&participation.participant)).collect()
}

/// The first day of a meeting, if one is known.
pub fn first_day(meeting: &Meeting) -> Option<NaiveDate> {
    let date = meeting.account.as_ref()?.date.as_ref()?;
    dates::span(date).map(|(first, _)| first)
}

fn set(number: i32, name: Option<&str>) -> String {
    name.filter(|_| number != 0).unwrap_or_default().to_owned()
}

/// The pairs of different elements of a sorted list, the smaller one first.
fn pairs<T>(sorted: &[T]) -> impl Iterator<Item = (&T, &T)> {
    sorted.iter().enumerate().flat_map(|(index, a)| sorted[index + 1..].iter().map(move |b| (a, b)))
}

/// The values of a group that a statement belongs to, each once. `date_precision` is that of the meeting, and `persons`
/// has the persons that aliases among the speakers are settled as.
pub fn statement_values(
    group: StatementGroup,
    input: &StatementInput<'_>,
    date_precision: i16,
    persons: &HashMap<Uuid, Uuid>,
) -> Vec<String> {
    let StatementInput { statement, meeting, article, language, days, .. } = *input;
    let dated = |least: i16, text: fn(NaiveDate) -> String| {
        days.filter(|_| date_precision >= least).map(|(first, _)| text(first)).unwrap_or_default()
    };
    let single = match group {
        StatementGroup::Speaker => {
            let person = |id: Uuid| persons.get(&id).copied().unwrap_or(id).to_string();
            return Vec::from_iter(input.speakers().map(person).collect::<BTreeSet<_>>());
        }
        StatementGroup::Region => {
            return Vec::from_iter(input.regions().map(str::to_owned).collect::<BTreeSet<_>>());
        }
        StatementGroup::Topic => return Vec::from_iter(statement.topics.iter().cloned().collect::<BTreeSet<_>>()),
        StatementGroup::Act => set(statement.act, Some(statement.act().as_str_name())),
        StatementGroup::SpeakerKind => set(statement.speaker_kind, Some(statement.speaker_kind().as_str_name())),
        StatementGroup::Quotation => set(statement.quotation, Some(statement.quotation().as_str_name())),
        StatementGroup::Language => language.to_owned(),
        StatementGroup::Meeting => meeting.to_string(),
        StatementGroup::Article => article.to_string(),
        StatementGroup::Year => dated(1, year),
        StatementGroup::Quarter => only_quarter(days, date_precision),
        StatementGroup::Month => dated(2, month),
    };
    vec![single]
}

fn year(day: NaiveDate) -> String {
    format!("{:04}", day.year())
}

/// The quarter of the first day, if it is known: a month is in one quarter, as is a span of a year that does not leave it.
fn only_quarter(days: Option<(NaiveDate, NaiveDate)>, precision: i16) -> String {
    let is_known = |(first, last): &(NaiveDate, NaiveDate)| {
        precision >= 2 || (precision == 1 && quarter(*first) == quarter(*last))
    };
    days.filter(is_known).map(|(first, _)| quarter(first)).unwrap_or_default()
}

fn quarter(day: NaiveDate) -> String {
    format!("{:04}-Q{}", day.year(), day.month0() / 3 + 1)
}

fn month(day: NaiveDate) -> String {
    format!("{:04}-{:02}", day.year(), day.month())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Date, DateSpan, Participation, participation::Presence};

    fn at(presence: Presence, region: &str, id: u128) -> Participation {
        let participant = if id == 0 { String::new() } else { Collection::Participants.name(Uuid::from_u128(id)) };
        Participation { presence: presence.into(), region_code: region.into(), participant, ..Default::default() }
    }

    #[test]
    fn group_values_are_each_listed_once_and_pairs_in_order() {
        let participations = vec![
            at(Presence::Present, "RU", 2),
            at(Presence::Remote, "AZ", 1),
            at(Presence::Represented, "TR", 3),
            at(Presence::Absent, "GE", 4),
            at(Presence::Present, "RU", 2),
            at(Presence::Present, "", 0),
        ];
        let start = Some(Date { year: 987, month: 11, day: 0 });
        let date = Some(DateSpan { start, ..Default::default() });
        let account = Account { participations, date, topics: vec!["b".into(), "a".into()], ..Default::default() };
        let meeting = Meeting { account: Some(account), ..Default::default() };
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for (group, expected) in [
            (Group::Kind, vec![String::new()]),
            (Group::Year, vec!["0987".to_owned()]),
            (Group::Quarter, vec!["0987-Q4".to_owned()]),
            (Group::Month, vec!["0987-11".to_owned()]),
            (Group::Region, vec!["AZ".to_owned(), "RU".to_owned(), "TR".to_owned()]),
            (Group::RegionPair, vec!["AZ-RU".to_owned(), "AZ-TR".to_owned(), "RU-TR".to_owned()]),
            (Group::Topic, vec!["a".to_owned(), "b".to_owned()]),
            (Group::Seniority, vec![]),
            (Group::Participant, vec![one.to_string(), two.to_string()]),
            (Group::ParticipantPair, vec![format!("{{{one},{two}}}")]),
        ] {
            assert_eq!(group_values(group, &meeting), expected, "{group:?}");
        }
        assert_eq!(group_values(Group::Month, &Meeting::default()), [""]);
    }
}
