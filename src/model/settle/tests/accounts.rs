//! Random small accounts that share participants, delegations and values.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{HEAD, date, person};
use crate::pb;

fn any_text() -> impl Strategy<Value = String> {
    select(vec!["", "", "Ali", "ali ", "ALI\u{200b}", "Veli", "a/b", "\u{a0}"]).prop_map(str::to_owned)
}

fn any_region() -> impl Strategy<Value = String> {
    select(vec!["", "AZ", "RU"]).prop_map(str::to_owned)
}

fn any_span() -> impl Strategy<Value = Option<pb::DateSpan>> {
    let days = select(vec![
        (None, None),
        (date(2020, 0, 0), None),
        (date(2020, 8, 0), None),
        (date(2020, 8, 24), None),
        (date(2020, 8, 24), date(2020, 8, 24)),
        (date(2020, 8, 24), date(2020, 8, 27)),
        (date(2020, 8, 25), None),
    ]);
    let at = |hours: i32| Some(pb::TimeOfDay { hours, ..Default::default() });
    let times = select(vec![
        (None, None, ""),
        (None, None, ""),
        (None, None, "Asia/Baku"),
        (at(6), None, ""),
        (at(6), None, "UTC"),
        (at(6), at(7), "Etc/UTC"),
        (at(10), None, "Asia/Baku"),
        (at(10), at(11), "Asia/Baku"),
        // 20:00 in UTC on the day before.
        (at(0), None, "Asia/Baku"),
        (at(20), None, "GMT"),
    ]);
    let span = (days, times, 0..6, any::<bool>()).prop_map(
        |((start, end), (start_time, end_time, zone), basis, approximate)| pb::DateSpan {
            start,
            end,
            start_time,
            end_time,
            time_zone: zone.into(),
            basis,
            approximate: approximate && start.is_some(),
            ..Default::default()
        },
    );
    option::of(span)
}

fn any_office() -> impl Strategy<Value = Option<pb::Office>> {
    let office =
        (any_text(), any_text(), any_region(), 0..3).prop_map(|(title, organization, region_code, seniority)| {
            pb::Office { title, organization, region_code, seniority }
        });
    option::of(office)
}

fn any_delegation() -> impl Strategy<Value = pb::Delegation> {
    (any_text(), any_region(), any_text(), 0..3, 0..3, any::<bool>()).prop_map(
        |(label, region_code, organization, kind, stated_size, complete)| pb::Delegation {
            label,
            region_code,
            organization,
            kind,
            stated_size,
            complete,
            ..Default::default()
        },
    )
}

/// A participation whose references are indexes. `numbered` turns these into ids.
fn any_participation() -> impl Strategy<Value = pb::Participation> {
    let roles = vec(select(vec![1, HEAD, HEAD, 10]), 0..4)
        .prop_map(|roles| crate::model::settle::sorted_unique(roles.into_iter()));
    let reference = || (0..6usize).prop_map(|at| at.to_string());
    (0..5u128, any_text(), roles, 0..3, any_office(), any_text(), any_region(), reference(), reference()).prop_map(
        |(number, name_as_written, roles, presence, office, rank, region_code, delegation, on_behalf_of)| {
            let participant = if number < 3 { person("", number).participant } else { String::new() };
            pb::Participation {
                id: String::new(),
                participant,
                name_as_written,
                roles,
                presence,
                office,
                rank,
                region_code,
                delegation,
                on_behalf_of,
                participant_kind: 0,
            }
        },
    )
}

fn any_statement() -> impl Strategy<Value = pb::Statement> {
    vec((0..6usize).prop_map(|at| format!("p{at}")), 0..3).prop_map(|mut speakers| {
        speakers.dedup();
        pb::Statement { text: "said".into(), speakers, ..Default::default() }
    })
}

/// An account that is valid by the contract.
pub fn any_account() -> impl Strategy<Value = pb::Account> {
    let announcement = (any_text(), 0..6usize, any_span()).prop_map(|(by, at, date)| pb::Announcement {
        by,
        participation: format!("p{at}"),
        date,
        ..Default::default()
    });
    let location = select(vec![0.0, -0.0, 40.4]).prop_map(|latitude| pb::LatLng { latitude, longitude: 49.8 });
    let place = (any_text(), any_text(), any_region(), option::of(location))
        .prop_map(|(venue, locality, region_code, location)| pb::Place { venue, locality, region_code, location });
    let stop_place = (any_text(), select(vec!["Baku", "BAKU", "Ganja", ""]), any_region()).prop_map(
        |(venue, locality, region_code)| {
            let is_empty = venue.is_empty() && locality.is_empty() && region_code.is_empty();
            let venue = if is_empty { "Palace".to_owned() } else { venue };
            pb::Place { venue, locality: locality.into(), region_code, location: None }
        },
    );
    let stop = (stop_place, any_span()).prop_map(|(place, date)| pb::Stop { place: Some(place), date });
    let external_ids = vec(select(vec![("isni", "1"), ("isni", "2"), ("nsw", "1")]), 0..3).prop_map(|ids| {
        let ids = crate::model::settle::sorted_unique(ids.into_iter()).into_iter();
        ids.map(|(scheme, value)| pb::ExternalId { scheme: scheme.into(), value: value.into() }).collect()
    });
    let topics = vec(select(vec!["defence", "trade", "energy"]).prop_map(str::to_owned), 0..3);
    (
        (0..3, 0..3, any_text(), any_text()),
        topics.prop_map(|topics| crate::model::settle::sorted_unique(topics.into_iter())),
        any_span(),
        option::of(place),
        option::of(announcement),
        vec(any_delegation(), 0..4),
        vec(any_participation(), 0..5),
        0..6usize,
        vec(any_statement(), 0..3),
        (external_ids, vec(stop, 0..5), 0..3),
    )
        .prop_map(
            |(
                (kind, status, title, summary),
                topics,
                date,
                place,
                announcement,
                delegations,
                participations,
                at,
                statements,
                (external_ids, stops, visit_type),
            )| {
                numbered(pb::Account {
                    kind,
                    status,
                    title,
                    summary,
                    topics,
                    date,
                    place,
                    announcement,
                    delegations,
                    participations,
                    initiator: format!("p{at}"),
                    statements,
                    outcomes: Vec::new(),
                    links: Vec::new(),
                    external_ids,
                    stops,
                    visit_type,
                })
            },
        )
}

/// Assigns local ids, clears references that do not resolve, and makes the first member with the role HEAD the head.
fn numbered(mut account: pb::Account) -> pb::Account {
    let (people, groups) = (account.participations.len(), account.delegations.len());
    let exists = |id: &str, count: usize| (0..count).any(|at| format!("p{at}") == id);
    for (at, delegation) in account.delegations.iter_mut().enumerate() {
        delegation.id = format!("d{at}");
    }
    for (at, person) in account.participations.iter_mut().enumerate() {
        person.id = format!("p{at}");
        let in_range = |index: &str, count: usize| index.parse().is_ok_and(|index: usize| index < count);
        person.delegation =
            if in_range(&person.delegation, groups) { format!("d{}", person.delegation) } else { String::new() };
        let is_itself = person.on_behalf_of == at.to_string();
        person.on_behalf_of = match in_range(&person.on_behalf_of, people) && !is_itself {
            true => format!("p{}", person.on_behalf_of),
            false => String::new(),
        };
        if person.participant.is_empty() && person.name_as_written.trim().is_empty() && person.delegation.is_empty() {
            person.name_as_written = "Somebody".into();
        }
        if let Some(delegation) = account.delegations.iter_mut().find(|delegation| delegation.id == person.delegation)
            && person.roles.contains(&HEAD)
        {
            match delegation.head.is_empty() {
                true => delegation.head = person.id.clone(),
                false => person.roles.retain(|&role| role != HEAD),
            }
        }
    }
    if !exists(&account.initiator, people) {
        account.initiator.clear();
    }
    if let Some(announcement) = &mut account.announcement
        && !exists(&announcement.participation, people)
    {
        announcement.participation.clear();
    }
    for (at, statement) in account.statements.iter_mut().enumerate() {
        statement.id = format!("s{at}");
        statement.speakers.retain(|id| exists(id, people));
        if at > 0 {
            statement.continues = format!("s{}", at - 1);
        }
    }
    account
}
