//! Properties of the rule, on small random reports that share people, delegations and values.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    ids::Ids,
    tests::{HEAD, Source, date, person, report, settled, source, told},
    *,
};
use crate::{model::rules::Check, pb::account::Kind};

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
    let span = (days, 0..6, any::<bool>()).prop_map(|((start, end), basis, approximate)| pb::DateSpan {
        start,
        end,
        basis,
        approximate: approximate && start.is_some(),
        ..Default::default()
    });
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

/// References are indexes here, which `numbered` makes into ids.
fn any_participation() -> impl Strategy<Value = pb::Participation> {
    let roles = vec(select(vec![1, HEAD, HEAD, 10]), 0..4).prop_map(|roles| super::united(roles.into_iter()));
    let reference = || (0..6usize).prop_map(|at| at.to_string());
    (0..5u128, any_text(), roles, 0..3, any_office(), any_text(), any_region(), reference(), reference()).prop_map(
        |(who, name_as_written, roles, presence, office, rank, region_code, delegation, on_behalf_of)| {
            let participant = if who < 3 { person("", who).participant } else { String::new() };
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

/// An account that obeys the contract.
fn any_account() -> impl Strategy<Value = pb::Account> {
    let announcement = (any_text(), 0..6usize, any_span()).prop_map(|(by, at, date)| pb::Announcement {
        by,
        participation: format!("p{at}"),
        date,
        ..Default::default()
    });
    let location = select(vec![0.0, -0.0, 40.4]).prop_map(|latitude| pb::LatLng { latitude, longitude: 49.8 });
    let place = (any_text(), any_text(), any_region(), option::of(location))
        .prop_map(|(venue, locality, region_code, location)| pb::Place { venue, locality, region_code, location });
    let topics = vec(select(vec!["defence", "trade", "energy"]).prop_map(str::to_owned), 0..3);
    (
        (0..3, 0..3, any_text(), any_text()),
        topics.prop_map(|topics| super::united(topics.into_iter())),
        any_span(),
        option::of(place),
        option::of(announcement),
        vec(any_delegation(), 0..4),
        vec(any_participation(), 0..5),
        0..6usize,
        vec(any_statement(), 0..3),
    )
        .prop_map(|((kind, status, title, summary), topics, date, place, announcement, ds, ps, at, statements)| {
            numbered(pb::Account {
                kind,
                status,
                title,
                summary,
                topics,
                date,
                place,
                announcement,
                delegations: ds,
                participations: ps,
                initiator: format!("p{at}"),
                statements,
                outcomes: Vec::new(),
                links: Vec::new(),
            })
        })
}

/// Gives out local ids, drops references to nobody, and lets the first that claims it lead a delegation.
fn numbered(mut account: pb::Account) -> pb::Account {
    let (people, groups) = (account.participations.len(), account.delegations.len());
    let is_there = |id: &str, count: usize| (0..count).any(|at| format!("p{at}") == id);
    for (at, delegation) in account.delegations.iter_mut().enumerate() {
        delegation.id = format!("d{at}");
    }
    for (at, it) in account.participations.iter_mut().enumerate() {
        it.id = format!("p{at}");
        let known = |index: &str, count: usize| index.parse().is_ok_and(|index: usize| index < count);
        it.delegation = if known(&it.delegation, groups) { format!("d{}", it.delegation) } else { String::new() };
        let itself = it.on_behalf_of == at.to_string();
        it.on_behalf_of = match known(&it.on_behalf_of, people) && !itself {
            true => format!("p{}", it.on_behalf_of),
            false => String::new(),
        };
        if it.participant.is_empty() && it.name_as_written.trim().is_empty() && it.delegation.is_empty() {
            it.name_as_written = "Somebody".into();
        }
        if let Some(delegation) = account.delegations.iter_mut().find(|one| one.id == it.delegation)
            && it.roles.contains(&HEAD)
        {
            match delegation.head.is_empty() {
                true => delegation.head = it.id.clone(),
                false => it.roles.retain(|&role| role != HEAD),
            }
        }
    }
    if !is_there(&account.initiator, people) {
        account.initiator.clear();
    }
    if let Some(announcement) = &mut account.announcement
        && !is_there(&announcement.participation, people)
    {
        announcement.participation.clear();
    }
    for (at, statement) in account.statements.iter_mut().enumerate() {
        statement.id = format!("s{at}");
        statement.speakers.retain(|id| is_there(id, people));
        if at > 0 {
            statement.continues = format!("s{}", at - 1);
        }
    }
    account
}

/// Reports of four articles, of which two are copies of one text; several may be of one article.
fn any_sources() -> impl Strategy<Value = Vec<Source>> {
    vec((any_account(), 0..4u32), 0..6).prop_map(|accounts| {
        let sources = accounts.into_iter().enumerate().map(|(nth, (account, article))| Source {
            report: report(nth as u32, account),
            origin: Uuid::from_u128(article.min(2).into()),
            publish_date: NaiveDate::from_ymd_opt(2020, 9, article / 2 + 1).filter(|_| article != 3),
            uri: format!("https://example.org/{article}"),
        });
        sources.collect()
    })
}

/// The settled account with local ids in place of settled ones.
fn with_local_ids(mut account: pb::Account) -> pb::Account {
    let people: Vec<String> = account.participations.iter().map(|it| it.id.clone()).collect();
    let groups: Vec<String> = account.delegations.iter().map(|it| it.id.clone()).collect();
    let rename = |id: &mut String, ids: &[String], letter: char| {
        if let Some(at) = ids.iter().position(|one| one == id) {
            *id = format!("{letter}{at}");
        }
    };
    rename(&mut account.initiator, &people, 'p');
    if let Some(announcement) = &mut account.announcement {
        rename(&mut announcement.participation, &people, 'p');
    }
    for it in &mut account.participations {
        rename(&mut it.id, &people, 'p');
        rename(&mut it.on_behalf_of, &people, 'p');
        rename(&mut it.delegation, &groups, 'd');
    }
    for it in &mut account.delegations {
        rename(&mut it.id, &groups, 'd');
        rename(&mut it.head, &people, 'p');
    }
    account
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (sources, shuffled) in any_sources().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle()))
    ) {
        prop_assert_eq!(settled(&sources), settled(&shuffled));
        prop_assert_eq!(unite(&told(&sources)), unite(&told(&shuffled)));
    }

    #[test]
    fn a_settled_account_settles_to_itself(sources in any_sources()) {
        let once = settled(&sources);
        prop_assert_eq!(settled(&[source(1, once.clone())]), once);
    }

    #[test]
    fn local_ids_do_not_matter(sources in any_sources()) {
        let once = settled(&sources);
        prop_assert_eq!(settled(&[source(1, with_local_ids(once.clone()))]), once);
    }

    #[test]
    fn a_report_that_comes_twice_changes_nothing(sources in any_sources(), at in any::<prop::sample::Index>()) {
        prop_assume!(!sources.is_empty());
        let mut twice = sources.clone();
        twice.push(sources[at.index(sources.len())].clone());
        prop_assert_eq!(settled(&twice), settled(&sources));
        prop_assert_eq!(unite(&told(&twice)), unite(&told(&sources)));
    }

    #[test]
    fn a_later_copy_of_an_article_changes_nothing(sources in any_sources(), at in any::<prop::sample::Index>()) {
        prop_assume!(!sources.is_empty());
        let mut copied = sources.clone();
        let original = &sources[at.index(sources.len())];
        copied.push(Source { publish_date: None, uri: "https://example.org/copy".into(), ..original.clone() });
        prop_assert_eq!(settled(&copied), settled(&sources));
    }

    #[test]
    fn the_settled_account_obeys_the_contract(sources in any_sources()) {
        for source in &sources {
            prop_assert!(source.report.account.as_ref().is_none_or(|told| told.violations().is_empty()));
        }
        let settled = settled(&sources);
        prop_assert!(settled.violations().is_empty(), "{:?}", settled.violations());
    }

    #[test]
    fn every_reference_resolves_and_heads_agree_with_roles(sources in any_sources()) {
        let settled = settled(&sources);
        let people: BTreeSet<&str> = settled.participations.iter().map(|it| it.id.as_str()).collect();
        let groups: BTreeSet<&str> = settled.delegations.iter().map(|it| it.id.as_str()).collect();
        prop_assert_eq!(people.len(), settled.participations.len());
        prop_assert_eq!(groups.len(), settled.delegations.len());
        let is_in = |ids: &BTreeSet<&str>, id: &str| id.is_empty() || ids.contains(id);
        prop_assert!(is_in(&people, &settled.initiator));
        prop_assert!(settled.announcement.iter().all(|it| is_in(&people, &it.participation)));
        for it in &settled.participations {
            prop_assert!(is_in(&people, &it.on_behalf_of) && it.on_behalf_of != it.id);
            prop_assert!(is_in(&groups, &it.delegation));
        }
        for group in &settled.delegations {
            let in_it = settled.participations.iter().filter(|it| it.delegation == group.id);
            let heads: Vec<&str> =
                in_it.filter(|it| it.roles.contains(&HEAD)).map(|it| it.id.as_str()).collect();
            prop_assert_eq!(heads, Vec::from_iter(Some(group.head.as_str()).filter(|head| !head.is_empty())));
        }
        let (statements, _, _) = unite(&told(&sources));
        let ids: BTreeSet<&str> = statements.iter().map(|it| it.id.as_str()).collect();
        prop_assert_eq!(ids.len(), statements.len());
        for it in &statements {
            prop_assert!(it.speakers.iter().all(|id| people.contains(id.as_str())));
            prop_assert!(is_in(&ids, &it.continues));
        }
    }

    #[test]
    fn two_delegations_of_one_report_never_unite(sources in any_sources()) {
        for reading in &Ids::of(&told(&sources)).readings {
            let distinct: BTreeSet<usize> = reading.delegations.iter().copied().collect();
            prop_assert_eq!(distinct.len(), reading.account.delegations.len());
        }
    }

    #[test]
    fn the_kind_is_one_of_those_told_by_most_origins(sources in any_sources()) {
        let votes = |kind: i32| {
            let tellers = sources.iter().filter(|it| it.report.account.as_ref().is_some_and(|told| told.kind == kind));
            tellers.map(|it| it.origin).collect::<BTreeSet<_>>().len()
        };
        let kind = settled(&sources).kind;
        let most = (1..3).map(votes).max().unwrap_or_default();
        prop_assert_eq!(kind != Kind::Unspecified as i32, most > 0);
        prop_assert!(kind == 0 || votes(kind) == most);
    }
}
