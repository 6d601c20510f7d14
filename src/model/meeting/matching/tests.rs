//! Tests of the rule: each trap, and properties of all comparisons.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    model::resource::Collection,
    pb::{
        Account, Date, DateSpan, Participation, Place,
        date_span::Basis,
        participation::{Presence, Role},
    },
};

fn day(year: i32, month: i32, day: i32) -> Option<DateSpan> {
    Some(DateSpan { start: Some(Date { year, month, day }), ..Default::default() })
}

fn place(locality: &str, region: &str) -> Option<Place> {
    Some(Place { locality: locality.into(), region_code: region.into(), ..Default::default() })
}

fn with_role(number: u128, region: &str, role: Option<Role>) -> Participation {
    Participation {
        id: number.to_string(),
        participant: Collection::Participants.name(Uuid::from_u128(number)),
        roles: role.map(i32::from).into_iter().collect(),
        presence: Presence::Present.into(),
        region_code: region.into(),
        ..Default::default()
    }
}

/// Held talks of a host from AZ and a visitor from RU in Baku.
fn talks() -> Account {
    Account {
        kind: Kind::Talks.into(),
        status: Status::Held.into(),
        date: day(2020, 8, 24),
        place: place("Baku", "AZ"),
        participations: vec![with_role(1, "AZ", Some(Role::Host)), with_role(2, "RU", Some(Role::Visitor))],
        ..Default::default()
    }
}

fn facts(account: &Account) -> EventFacts {
    EventFacts::of(account, canonical)
}

fn level(a: &Account, b: &Account) -> Level {
    let (there, back) = (compare(&facts(a), &facts(b)), compare(&facts(b), &facts(a)));
    assert_eq!((there.level, there.score), (back.level, back.score), "the comparison is symmetric");
    there.level
}

fn changed(change: impl FnOnce(&mut Account)) -> Account {
    let mut account = talks();
    change(&mut account);
    account
}

#[test]
fn accounts_with_the_same_facts_and_other_words_are_same() {
    let other = changed(|account| {
        account.title = "Another title".into();
        account.summary = "Other words".into();
        account.participations.reverse();
        account.participations.push(with_role(3, "AZ", Some(Role::Member)));
        account.participations.push(with_role(4, "RU", None));
        account.place = place("Bakı", "AZ");
    });
    assert_eq!(level(&talks(), &other), Level::Same);
    let comparison = compare(&facts(&talks()), &facts(&other));
    let kinds: Vec<ReasonKind> = comparison.reasons.iter().map(Reason::kind).collect();
    assert_eq!(kinds, [ReasonKind::SameDay, ReasonKind::SamePrincipals, ReasonKind::SameKind, ReasonKind::SamePlace]);
}

#[test]
fn like_texts_make_no_match() {
    let words = || Words::of(["The ministers of defence met in Baku on Monday"]);
    let mut a = facts(&talks());
    let mut b = facts(&changed(|account| account.participations[1] = with_role(3, "RU", Some(Role::Visitor))));
    (a.words, b.words) = (words(), words());
    assert_eq!(compare(&a, &b).level, Level::No);
    let mut same = facts(&talks());
    let without = compare(&a, &same);
    same.words = words();
    let with = compare(&a, &same);
    assert_eq!((without.level, with.level), (Level::Same, Level::Same));
    assert!(with.score > without.score);
}

#[test]
fn bilateral_and_trilateral_talks_of_one_day_are_never_same() {
    for role in [Some(Role::Visitor), Some(Role::Chair), Some(Role::Member), Some(Role::Mediator), None] {
        let trilateral = changed(|account| account.participations.push(with_role(3, "TR", role)));
        assert_eq!(level(&talks(), &trilateral), Level::Candidate, "{role:?}");
        // Two sides in common, and another third one.
        let other = changed(|account| account.participations.push(with_role(4, "GE", role)));
        assert_eq!(level(&trilateral, &other), Level::No, "{role:?}");
    }
    // The third one without a region.
    let third = changed(|account| account.participations.push(with_role(3, "", None)));
    assert_eq!(level(&talks(), &third), Level::Candidate);
}

#[test]
fn same_pair_on_the_next_day_is_a_candidate_and_a_year_later_nothing() {
    for (date, expected) in [
        (day(2020, 8, 24), Level::Same),
        (day(2020, 8, 25), Level::Candidate),
        (day(2020, 8, 23), Level::Candidate),
        (day(2020, 8, 26), Level::No),
        (day(2020, 8, 22), Level::No),
        (day(2021, 8, 24), Level::No),
        (day(2020, 8, 0), Level::Candidate),
        (day(2020, 0, 0), Level::Candidate),
        (day(2020, 9, 0), Level::No),
        (day(2021, 0, 0), Level::No),
        (None, Level::No),
    ] {
        assert_eq!(level(&talks(), &changed(|account| account.date = date.clone())), expected, "{date:?}");
    }
}

#[test]
fn partial_months_next_to_each_other_are_not_compared() {
    let august = changed(|account| account.date = day(2020, 8, 0));
    assert_eq!(level(&august, &changed(|account| account.date = day(2020, 9, 1))), Level::No);
    assert_eq!(level(&august, &changed(|account| account.date = day(2020, 8, 31))), Level::Candidate);
}

#[test]
fn inferred_approximate_and_long_dates_are_candidates() {
    let with_basis = |basis: Basis| changed(|account| account.date.as_mut().unwrap().set_basis(basis));
    for basis in [Basis::InferredFromAnnouncement, Basis::InferredFromPublication] {
        assert_eq!(level(&talks(), &with_basis(basis)), Level::Candidate);
    }
    for basis in [Basis::Stated, Basis::Relative, Basis::YearInferred] {
        assert_eq!(level(&talks(), &with_basis(basis)), Level::Same);
    }
    let approximate = changed(|account| account.date.as_mut().unwrap().approximate = true);
    assert_eq!(level(&talks(), &approximate), Level::Candidate);

    let until = |day| {
        changed(|account| {
            let start = Some(Date { year: 2020, month: 8, day: 1 });
            account.date = Some(DateSpan { start, end: Some(day), ..Default::default() });
        })
    };
    assert_eq!(level(&talks(), &until(Date { year: 2020, month: 8, day: 31 })), Level::Same);
    assert_eq!(level(&talks(), &until(Date { year: 2020, month: 9, day: 1 })), Level::Candidate);
}

#[test]
fn unknown_place_is_a_candidate_except_for_calls() {
    let nowhere = changed(|account| account.place = None);
    assert_eq!(level(&talks(), &nowhere), Level::Candidate);
    assert_eq!(level(&nowhere, &nowhere), Level::Candidate);
    let call = |place| {
        changed(|account| {
            account.kind = Kind::PhoneCall.into();
            account.place = place;
        })
    };
    assert_eq!(level(&call(None), &call(None)), Level::Same);
    assert_eq!(level(&call(None), &call(place("Moscow", "RU"))), Level::Same);
    assert_eq!(level(&call(place("Baku", "AZ")), &call(place("Moscow", "RU"))), Level::Candidate);
}

#[test]
fn places_agree_in_another_spelling_only() {
    for (a, b, expected) in [
        (("Baku", "AZ"), ("BAKI", "AZ"), Level::Same),
        (("Baku", "AZ"), ("", "AZ"), Level::Same),
        (("Baku", ""), ("Baku", "AZ"), Level::Same),
        (("Kyiv", "UA"), ("Kiev", "UA"), Level::Same),
        (("Washington", "US"), ("Washington, D.C.", "US"), Level::Same),
        (("Saint Petersburg", "RU"), ("St. Petersburg", "RU"), Level::Same),
        (("Singapore City", "SG"), ("Singapore", "SG"), Level::Same),
        (("Москва", "RU"), ("Moscow", "RU"), Level::Same),
        (("Baku", "AZ"), ("Ganja", "AZ"), Level::Candidate),
        (("Minsk", "BY"), ("Pinsk", "BY"), Level::Candidate),
        (("Baku", "AZ"), ("Baku", "RU"), Level::Candidate),
        (("Baku", ""), ("", "AZ"), Level::Candidate),
    ] {
        let at = |(locality, region)| changed(|account| account.place = place(locality, region));
        assert_eq!(level(&at(a), &at(b)), expected, "{a:?} {b:?}");
    }
}

#[test]
fn kinds_that_differ_are_a_candidate_and_an_unstated_kind_agrees() {
    let of = |kind: Kind| changed(|account| account.set_kind(kind));
    assert_eq!(level(&talks(), &of(Kind::Signing)), Level::Candidate);
    assert_eq!(level(&talks(), &of(Kind::Unspecified)), Level::Same);
    // One contradiction is a mistake, two are another event.
    let elsewhere = changed(|account| {
        account.set_kind(Kind::Signing);
        account.place = place("Ganja", "AZ");
    });
    assert_eq!(level(&talks(), &elsewhere), Level::No);
}

#[test]
fn planned_and_held_events_are_a_candidate() {
    let of = |status: Status| changed(|account| account.set_status(status));
    for status in [Status::Planned, Status::Postponed, Status::Cancelled, Status::Denied] {
        assert_eq!(level(&talks(), &of(status)), Level::Candidate, "{status:?}");
        assert_eq!(level(&of(status), &of(status)), Level::Same, "{status:?}");
    }
    assert_eq!(level(&talks(), &of(Status::Unspecified)), Level::Same);
}

#[test]
fn background_is_a_candidate() {
    let mut background = facts(&talks());
    background.is_background = true;
    assert_eq!(compare(&facts(&talks()), &background).level, Level::Candidate);
}

#[test]
fn single_principal_is_same_only_for_a_visit_to_one_locality() {
    let alone = |kind: Kind, at: Option<Place>| {
        changed(|account| {
            account.set_kind(kind);
            account.place = at;
            account.participations.truncate(1);
        })
    };
    let baku = || place("Baku", "AZ");
    for (kind, at, expected) in [
        (Kind::Visit, baku(), Level::Same),
        (Kind::Visit, place("", "AZ"), Level::Candidate),
        (Kind::PhoneCall, baku(), Level::Candidate),
        (Kind::StatementOnly, baku(), Level::Candidate),
        (Kind::Talks, baku(), Level::Candidate),
    ] {
        assert_eq!(level(&alone(kind, at.clone()), &alone(kind, at.clone())), expected, "{kind:?} {at:?}");
    }
    // Next to others, on another day and in another place it says nothing.
    assert_eq!(level(&alone(Kind::Talks, baku()), &talks()), Level::No);
    assert_eq!(level(&alone(Kind::Visit, baku()), &alone(Kind::Visit, place("Tbilisi", "GE"))), Level::No);
    let mut next = alone(Kind::Visit, baku());
    next.date = day(2020, 8, 25);
    assert_eq!(level(&alone(Kind::Visit, baku()), &next), Level::No);
}

#[test]
fn principals_without_a_role_are_all_who_were_there() {
    let of = |numbers: &[u128]| {
        changed(|account| {
            account.participations = numbers.iter().map(|number| with_role(*number, "", None)).collect();
        })
    };
    assert_eq!(level(&of(&[1, 2]), &of(&[2, 1])), Level::Same);
    assert_eq!(level(&of(&[1, 2]), &talks()), Level::Same);
    assert_eq!(level(&of(&[1, 2]), &of(&[1, 2, 3])), Level::Candidate);
    assert_eq!(level(&of(&[1, 2]), &of(&[1, 3])), Level::No);
    assert_eq!(level(&of(&[]), &of(&[])), Level::No);
    let absent = changed(|account| {
        let mut absent = with_role(3, "TR", Some(Role::Visitor));
        absent.set_presence(Presence::Absent);
        account.participations.push(absent);
    });
    assert_eq!(level(&talks(), &absent), Level::Same);
}

#[test]
fn unresolved_principal_is_a_candidate() {
    let unresolved = || {
        changed(|account| {
            account.participations[1].participant.clear();
            account.participations[1].name_as_written = "Ruslan Tsalikov".into();
        })
    };
    assert_eq!(level(&unresolved(), &unresolved()), Level::Candidate);
    assert_eq!(level(&unresolved(), &talks()), Level::No);
    assert_eq!(facts(&unresolved()).same_key(), None);
}

#[test]
fn records_of_one_participant_are_one_principal() {
    let other = changed(|account| account.participations[1] = with_role(7, "RU", Some(Role::Visitor)));
    assert_eq!(level(&talks(), &other), Level::No);
    let alias = |name: &str| canonical(name).map(|id| if id == Uuid::from_u128(7) { Uuid::from_u128(2) } else { id });
    let comparison = compare(&EventFacts::of(&talks(), alias), &EventFacts::of(&other, alias));
    assert_eq!(comparison.level, Level::Same);
}

#[test]
fn require_unique_lowers_several_same_results() {
    let same = compare(&facts(&talks()), &facts(&talks()));
    let mut one = [same.clone()];
    require_unique(one.iter_mut());
    assert_eq!(one[0].level, Level::Same);
    let mut two = [same.clone(), same];
    require_unique(two.iter_mut());
    assert!(two.iter().all(|result| result.level == Level::Candidate));
    assert!(two.iter().all(|result| result.reasons.iter().any(|reason| reason.kind() == ReasonKind::NotUnique)));
}

fn accounts() -> impl Strategy<Value = Account> {
    let role = prop_oneof![Just(None), Just(Some(Role::Host)), Just(Some(Role::Visitor)), Just(Some(Role::Member))];
    let participation = (1_u128..5, prop_oneof![Just(""), Just("AZ"), Just("RU")], role)
        .prop_map(|(number, region, role)| with_role(number, region, role));
    let date = (prop_oneof![Just(0), Just(8)], 0..4, 0..6).prop_map(|(month, first, basis)| {
        let mut span = day(2020, month, if month == 0 { 0 } else { first }).unwrap_or_default();
        span.basis = basis;
        span
    });
    let place = prop_oneof![Just(("", "")), Just(("Baku", "AZ")), Just(("Ganja", "AZ")), Just(("", "RU"))];
    (prop::collection::vec(participation, 0..4), date, place, 0..4, 0..3).prop_map(
        |(participations, date, (locality, region), kind, status)| Account {
            participations,
            date: Some(date),
            place: self::place(locality, region),
            kind,
            status,
            ..Default::default()
        },
    )
}

proptest! {
    #[test]
    fn comparison_is_symmetric_bounded_and_explained(a in accounts(), b in accounts()) {
        let (a, b) = (facts(&a), facts(&b));
        let (there, back) = (compare(&a, &b), compare(&b, &a));
        prop_assert_eq!((there.level, there.score), (back.level, back.score));
        prop_assert!((0.0..=1.0).contains(&there.score));
        let sum: f64 = there.reasons.iter().map(|reason| reason.weight).sum();
        prop_assert!((sum - there.score).abs() < 1e-9);
        prop_assert_eq!(there.level == Level::No, there.reasons.is_empty());
    }

    #[test]
    fn order_of_participations_does_not_matter(a in accounts(), b in accounts()) {
        let mut reversed = b.clone();
        reversed.participations.reverse();
        prop_assert_eq!(compare(&facts(&a), &facts(&b)), compare(&facts(&a), &facts(&reversed)));
    }

    #[test]
    fn matching_accounts_share_what_the_searches_look_for(a in accounts(), b in accounts()) {
        let (a, b) = (facts(&a), facts(&b));
        let level = compare(&a, &b).level;
        if level > Level::No {
            let searched: BTreeSet<Uuid> = a.search_participants().into_iter().collect();
            prop_assert!(b.resolved().any(|id| searched.contains(&id)));
        }
        if level == Level::Same {
            let (a, b) = (a.same_key(), b.same_key());
            prop_assert!(a.is_some());
            prop_assert_eq!(a.map(|key| key.2), b.map(|key| key.2));
        }
    }
}
