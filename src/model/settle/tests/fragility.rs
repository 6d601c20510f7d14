//! Fragile fields: examples, and the comparison with settling without each source in turn.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*};
use prost::Message;

use super::{
    TestReport,
    accounts::any_account,
    date,
    generators::{Case, any_rulings},
    person, report, ruling, source, source_reports,
};
use crate::{
    model::{
        meeting::{OMISSION_BYTES, full},
        settle::{fragility::changed, *},
    },
    pb::{account::Kind, date_span::Basis},
};

/// A case with up to five sources, one of which has two articles.
fn any_case() -> impl Strategy<Value = Case> {
    let sources = vec((any_account(), 0..6u32), 0..9).prop_map(|accounts| {
        let sources = accounts.into_iter().enumerate().map(|(nth, (account, article))| TestReport {
            report: report(nth as u32, account),
            origin: Uuid::from_u128(article.min(4).into()),
            publish_date: NaiveDate::from_ymd_opt(2020, 9, article / 2 + 1).filter(|_| article != 3),
            uri: format!("https://example.org/{article}"),
        });
        sources.collect()
    });
    let rulings = option::of(any_rulings()).prop_map(Option::unwrap_or_default);
    (sources, rulings).prop_map(|(sources, rulings)| Case { sources, rulings })
}

/// The fragile fields of the meeting in the FULL view.
fn fragile_in(case: &Case) -> Vec<String> {
    full(case.meeting(), &source_reports(&case.sources), &case.rulings(), usize::MAX).fragile_fields
}

/// The fields that change if the reports of some origin are withdrawn.
fn settled_without_each(case: &Case) -> BTreeSet<String> {
    let sources = source_reports(&case.sources);
    let rulings = case.rulings();
    let rulings = Rulings::of(&rulings);
    let account = stated_account(&sources, &rulings);
    // Those that no report states, on which nothing else depends.
    let completed = case.settle().account;
    let defaults = changed(&completed, &account);
    let mut paths = BTreeSet::new();
    for origin in sources.iter().map(|source| source.origin) {
        let left: Vec<_> = sources.iter().filter(|source| source.origin != origin).copied().collect();
        let other = stated_account(&left, &rulings);
        let is_lost = |field: &&disputes::Field<'_>| match field {
            disputes::Field::Participation(id, _) => other.participations.iter().all(|person| person.id != *id),
            _ => false,
        };
        let fields = changed(&account, &other).into_iter().chain(defaults.iter().filter(is_lost).copied());
        paths.extend(fields.map(|field| format!("account.{}", field.name())));
    }
    paths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn fragile_fields_are_those_that_change_without_some_source(case in any_case()) {
        let fragile: BTreeSet<String> = fragile_in(&case).into_iter().collect();
        prop_assert_eq!(fragile, settled_without_each(&case));
    }

    #[test]
    fn fragile_fields_are_sorted_and_indexed(case in any_case()) {
        let (meeting, fragile) = (case.meeting(), fragile_in(&case));
        prop_assert!(fragile.is_sorted());
        prop_assert_eq!(FragileField::bits(&meeting) == 0, fragile.is_empty());
        for field in FragileField::ALL {
            let path = format!("account.{}", field.as_str());
            let has = fragile.iter().any(|other| *other == path || other.starts_with(&format!("{path}[")));
            prop_assert_eq!(field.is_fragile_in(&meeting), has, "{}", path);
            prop_assert_eq!(FragileField::bits(&meeting) & field.bit() != 0, has);
        }
    }

    #[test]
    fn fragile_fields_of_one_source_are_not_stored(case in any_case()) {
        let meeting = case.meeting();
        prop_assert!(meeting.independent_source_count != 1 || meeting.fragile_fields.is_empty());
    }
}

fn dated(day: i32) -> pb::Account {
    let span = pb::DateSpan { start: date(2020, 8, day), basis: Basis::Stated.into(), ..Default::default() };
    pb::Account { date: Some(span), ..Default::default() }
}

fn fragile(sources: &[TestReport], rulings: &[pb::Report]) -> Vec<String> {
    fragile_in(&Case { sources: sources.to_vec(), rulings: rulings.to_vec() })
}

const DATE: [&str; 1] = ["account.date"];
const NONE: [&str; 0] = [];

#[test]
fn value_is_fragile_unless_it_wins_without_each_of_its_sources() {
    let mut sources = vec![source(1, dated(24))];
    assert_eq!(fragile(&sources, &[]), DATE, "one source");
    sources.push(source(2, dated(24)));
    assert_eq!(fragile(&sources, &[]), NONE, "two agree");
    sources.push(source(3, dated(25)));
    assert_eq!(fragile(&sources, &[]), NONE, "without either of the two, the other wins the tie");
}

#[test]
fn winner_of_a_tie_is_fragile_and_a_lead_of_two_is_not() {
    let days =
        |days: &[i32]| -> Vec<TestReport> { (1..).zip(days).map(|(nth, day)| source(nth, dated(*day))).collect() };
    assert_eq!(fragile(&days(&[24, 25]), &[]), DATE);
    assert_eq!(fragile(&days(&[25, 24, 24]), &[]), DATE, "a tie with the 25th, which is published first");
    assert_eq!(fragile(&days(&[25, 24, 24, 24]), &[]), NONE);
    assert_eq!(fragile(&days(&[24, 24, 24, 25]), &[]), NONE);
}

#[test]
fn ruling_protects_its_field_unless_the_meeting_has_one_source() {
    let mut sources = vec![source(1, dated(24)), source(2, dated(25))];
    assert_eq!(fragile(&sources, &[]), DATE);
    assert_eq!(fragile(&sources, &[ruling(1, &["account.date"], dated(24))]), NONE);
    assert_eq!(fragile(&sources, &[ruling(1, &["account.kind"], dated(24))]), DATE, "a ruling on another field");
    // Copies are one source.
    sources[1].origin = sources[0].origin;
    assert_eq!(fragile(&sources, &[]), DATE);
    assert_eq!(fragile(&sources, &[ruling(1, &["account.date"], dated(24))]), DATE, "no account without the source");
}

#[test]
fn value_is_fragile_if_one_finer_value_suppresses_a_stronger_coarse_one() {
    let hours = |hours| Some(pb::TimeOfDay { hours, ..Default::default() });
    let mut at_ten = dated(24);
    at_ten.date.as_mut().expect("a date").start_time = hours(10);
    // The 24th has three sources, and contains 10:00 on the 24th. The 25th has two.
    let mut sources = vec![source(1, at_ten), source(2, dated(25)), source(3, dated(25))];
    sources.extend((4..7).map(|nth| source(nth, dated(24))));
    let settled = settle(&source_reports(&sources), &[]);
    assert_eq!((settled.account.date, settled.fragile_fields), (dated(25).date, DATE.map(String::from).to_vec()));
}

#[test]
fn stated_date_that_others_infer_is_not_fragile() {
    let inferred = |day| {
        let mut account = dated(day);
        account.date.as_mut().expect("a date").set_basis(Basis::InferredFromPublication);
        account
    };
    let sources =
        |inferred_day| [source(1, dated(24)), source(2, inferred(inferred_day)), source(3, inferred(inferred_day))];
    assert_eq!(fragile(&sources(24), &[]), NONE);
    assert_eq!(fragile(&sources(25), &[]), DATE);
}

#[test]
fn at_most_100_fields_of_participations_are_listed_beside_all_others() {
    let ranked = |number: u128| pb::Participation { rank: "Colonel".into(), ..person(&format!("p{number}"), number) };
    let with = |count: u128| pb::Account {
        // Nobody attends, so that no presence is set.
        kind: Kind::StatementOnly.into(),
        place: Some(pb::Place { locality: "Baku".into(), ..Default::default() }),
        participations: (0..count).map(ranked).collect(),
        ..Default::default()
    };
    for (count, listed) in [(99, 99), (100, 100), (101, 100)] {
        let fields = fragile(&[source(1, with(count))], &[]);
        assert_eq!(fields.len(), 2 + listed);
        assert_eq!((fields[0].as_str(), fields[1 + listed].as_str()), ("account.kind", "account.place.locality"));
    }
}

#[test]
fn source_without_an_account_leaves_the_fields_of_the_other_fragile() {
    let mut sources = vec![source(1, dated(24)), source(2, dated(24))];
    sources[1].report.account = None;
    assert_eq!(fragile(&sources, &[]), DATE);
}

#[test]
fn meeting_of_an_older_rule_has_no_fragile_fields_until_it_is_settled_again() {
    let case = Case { sources: vec![source(1, dated(24))], rulings: Vec::new() };
    assert_eq!(FragileField::bits(&case.meeting()), FragileField::Date.bit());
    let older = pb::Meeting { settle_version: VERSION_OF_FRAGILE_FIELDS - 1, ..case.meeting() };
    assert_eq!(FragileField::bits(&older), 0);
    assert_eq!(full(older, &source_reports(&case.sources), &[], usize::MAX).fragile_fields, NONE);
}

#[test]
fn paths_of_participations_have_at_most_16_000_bytes() {
    let named = |name: String| pb::Participation { id: name.clone(), name_as_written: name, ..Default::default() };
    let with = |digits: usize| pb::Account {
        participations: (0..60).map(|number| named(format!("{number:0digits$}"))).collect(),
        ..Default::default()
    };
    // The path of the presence has 38 bytes besides the name.
    for (digits, listed) in [(282, 50), (283, 49)] {
        let fields = fragile(&[source(1, with(digits))], &[]);
        assert_eq!((fields.len(), fields[0].len()), (listed, digits + 38));
        // The same for a field that several sources could have.
        let fields = fragile(&[source(1, with(digits)), source(2, pb::Account::default())], &[]);
        assert_eq!(fields.len(), listed);
    }
}

#[test]
fn full_view_lists_the_fragile_fields_of_one_source_only_if_they_fit() {
    let case = Case { sources: vec![source(1, dated(24))], rulings: Vec::new() };
    let meeting = case.meeting();
    let view = |max_bytes| full(meeting.clone(), &source_reports(&case.sources), &[], max_bytes);
    let needed = meeting.encoded_len() + OMISSION_BYTES + DATE[0].len() + 4;
    assert_eq!(view(needed).fragile_fields, DATE);
    assert_eq!(view(needed - 1).fragile_fields, NONE);
}

#[test]
fn fragile_fields_of_many_sources_take_about_as_long_as_settling() {
    // 1,000 sources, half of which have one date and half another, each with the same 20 people.
    let people = |day| pb::Account {
        participations: (0..20)
            .map(|number| pb::Participation {
                rank: if day == 24 { "Colonel" } else { "General" }.into(),
                ..person(&format!("p{number}"), number)
            })
            .collect(),
        ..dated(day)
    };
    let sources: Vec<TestReport> =
        (0..1_000).map(|nth| TestReport { publish_date: None, ..source(nth, people(24 + (nth % 2) as i32)) }).collect();
    let reports = source_reports(&sources);
    let time = |wants_fragile: bool| {
        let started = std::time::Instant::now();
        let settled = settle_named(&reports, &Rulings::of(&[]), &ReportNames::none(), wants_fragile);
        (started.elapsed(), settled.fragile_fields.len())
    };
    let fastest = |wants_fragile| (0..5).map(|_| time(wants_fragile)).min().expect("five runs");
    let (plain, (with, count)) = (fastest(false).0, fastest(true));
    assert_eq!(count, 21);
    assert!(with < plain * 10, "{with:?} with the fragile fields, {plain:?} without");
}

/// A report of people, each in the delegation with its region and this kind.
fn delegates(regions: std::ops::Range<u128>, kind: i32) -> pb::Account {
    let region = |number: u128| pb::Delegation {
        id: format!("d{number}"),
        region_code: format!("R{number}"),
        kind,
        ..Default::default()
    };
    let delegate =
        |number| pb::Participation { delegation: format!("d{number}"), ..person(&format!("p{number}"), number) };
    pb::Account {
        delegations: regions.clone().map(region).collect(),
        participations: regions.map(delegate).collect(),
        ..Default::default()
    }
}

/// A report of two delegations from one region.
fn distinguishing(region: u128) -> pb::Account {
    let mut account = delegates(region..region + 1, 1);
    account.participations.clear();
    let other = pb::Delegation { id: "other".into(), kind: 2, ..account.delegations[0].clone() };
    account.delegations.push(other);
    account
}

#[test]
fn delegation_is_fragile_if_one_source_distinguishes_it_from_another() {
    let agreeing = [source(1, delegates(0..1, 1)), source(2, delegates(0..1, 1))];
    assert_eq!(fragile(&agreeing, &[]), NONE);
    let [first, second] = agreeing;
    let sources = [first, second, source(3, distinguishing(0))];
    let delegation = |settled: Settled| settled.account.participations[0].delegation.clone();
    let kind = pb::delegation::Kind::try_from(1).expect("a kind").as_str_name();
    assert_eq!(delegation(settle(&source_reports(&sources), &[])), format!("region:R0/kind:{kind}"));
    assert_eq!(delegation(settle(&source_reports(&sources[..2]), &[])), "region:R0");
    assert_eq!(fragile(&sources, &[]), [format!("account.participations[{}].delegation", Uuid::from_u128(0))]);
}

#[test]
fn delegation_is_fragile_if_one_source_has_all_other_kinds_of_its_region() {
    let kinds = |kinds: &[i32]| pb::Account {
        delegations: kinds
            .iter()
            .zip(0..)
            .map(|(kind, at)| pb::Delegation {
                kind: *kind,
                id: format!("{at}"),
                ..distinguishing(0).delegations.remove(0)
            })
            .collect(),
        participations: vec![pb::Participation { delegation: "0".into(), ..person("p", 7) }],
        ..Default::default()
    };
    let mut others = kinds(&[2, 3]);
    others.participations.clear();
    // The third source has two delegations of the kind, so that the region is divided also without the first one.
    let sources = [source(1, others), source(2, kinds(&[1])), source(3, kinds(&[1, 1]))];
    assert_eq!(fragile(&sources, &[]), [format!("account.participations[{}].delegation", Uuid::from_u128(7))]);
}

#[test]
fn meeting_is_settled_again_without_at_most_32_sources() {
    for (count, found) in [(31, 31), (32, 32), (33, 32)] {
        let mut sources = vec![source(1, delegates(0..count, 1)), source(2, delegates(0..count, 1))];
        sources.extend((0..count).map(|region| source(3 + region as u32, distinguishing(region))));
        assert_eq!(fragile(&sources, &[]).len(), found);
    }
}

#[test]
fn ruled_reference_is_fragile_if_one_source_reports_what_it_names() {
    let sources = [source(1, delegates(0..1, 1)), source(2, pb::Account::default())];
    let path = format!("account.participations[{}].delegation", Uuid::from_u128(0));
    let of_delegation = path.as_str();
    let presence = format!("account.participations[{}].presence", Uuid::from_u128(0));
    let of_presence = presence.as_str();
    assert_eq!(fragile(&sources, &[]), [of_delegation, of_presence]);
    let account = settle(&source_reports(&sources), &[]).account;
    let initiated = pb::Account { initiator: Uuid::from_u128(0).to_string(), ..account };
    let ruled = |paths: &[&str]| fragile(&sources, &[ruling(1, paths, initiated.clone())]);
    assert_eq!(ruled(&["account.participations"]), [of_delegation], "the delegation is of the first source");
    assert_eq!(ruled(&["account.participations", "account.delegations"]), NONE);
    assert_eq!(ruled(&["account.initiator"]), ["account.initiator", of_delegation, of_presence]);
    assert_eq!(ruled(&["account.initiator", "account.participations"]), [of_delegation]);
}
