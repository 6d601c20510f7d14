//! Properties of the rule, on small random reports that share people, delegations and values.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{ids::Ids, *};
use crate::{
    model::rules::Check,
    pb::{account::Kind, date_span::Basis, participation::Role},
};

const HEAD: i32 = Role::HeadOfDelegation as i32;

/// A report with what `Told` borrows.
#[derive(Clone, Debug)]
struct Source {
    report: pb::Report,
    origin: Uuid,
    publish_date: Option<NaiveDate>,
    uri: String,
}

fn told(sources: &[Source]) -> Vec<Told<'_>> {
    sources
        .iter()
        .map(|it| Told { report: &it.report, origin: it.origin, publish_date: it.publish_date, uri: &it.uri })
        .collect()
}

fn settled(sources: &[Source]) -> pb::Account {
    settle(&told(sources))
}

/// The `nth` report: of an article of its own, published on that day of September 2020.
fn source(nth: u32, account: pb::Account) -> Source {
    Source {
        report: report(nth, account),
        origin: Uuid::from_u128(nth.into()),
        publish_date: NaiveDate::from_ymd_opt(2020, 9, nth),
        uri: format!("https://example.org/{nth}"),
    }
}

fn report(nth: u32, account: pb::Account) -> pb::Report {
    let content_hash = blake3::hash(&prost::Message::encode_to_vec(&account)).to_hex().to_string();
    let name = format!("reports/{}", Uuid::from_u128(nth.into()));
    pb::Report { name, content_hash, account: Some(account), ..Default::default() }
}

fn date(year: i32, month: i32, day: i32) -> Option<pb::Date> {
    Some(pb::Date { year, month, day })
}

fn span(start: Option<pb::Date>, basis: Basis) -> pb::DateSpan {
    pb::DateSpan { start, basis: basis.into(), ..Default::default() }
}

fn person(id: &str, who: u128) -> pb::Participation {
    let participant = format!("participants/{}", Uuid::from_u128(who));
    pb::Participation { id: id.into(), participant, ..Default::default() }
}

fn uuid(who: u128) -> String {
    Uuid::from_u128(who).to_string()
}

fn delegation(id: &str, region: &str, label: &str) -> pb::Delegation {
    pb::Delegation { id: id.into(), region_code: region.into(), label: label.into(), ..Default::default() }
}

fn titled(title: &str) -> pb::Account {
    pb::Account { title: title.into(), ..Default::default() }
}

fn dated(start: Option<pb::Date>, basis: Basis) -> pb::Account {
    pb::Account { date: Some(span(start, basis)), ..Default::default() }
}

#[test]
fn no_report_settles_to_nothing() {
    assert_eq!(settle(&[]), pb::Account::default());
}

#[test]
fn copies_of_one_text_count_once() {
    let mut sources = vec![source(1, titled("Talks")), source(2, titled("Visit")), source(3, titled("visit  "))];
    assert_eq!(settled(&sources).title, "Visit", "told by two, in the wording of the earlier");
    sources[2].origin = sources[1].origin;
    assert_eq!(settled(&sources).title, "Talks", "one source each, and published first");
}

#[test]
fn of_equally_told_values_the_first_published_wins_and_unknown_dates_come_last() {
    let mut sources = vec![source(1, titled("Talks")), source(2, titled("Visit"))];
    assert_eq!(settled(&sources).title, "Talks");
    sources[0].publish_date = None;
    assert_eq!(settled(&sources).title, "Visit");
    sources[1].publish_date = None;
    assert_eq!(settled(&sources).title, "Talks", "the smaller uri");
}

#[test]
fn inferred_dates_give_way_to_a_stated_one() {
    let inferred = || dated(date(2020, 9, 4), Basis::InferredFromPublication);
    let stated = dated(date(2020, 8, 0), Basis::Relative);
    let sources = [source(1, inferred()), source(2, inferred()), source(3, stated.clone())];
    assert_eq!(settled(&sources).date, stated.date);
    assert_eq!(settled(&sources[..2]).date, inferred().date);
}

#[test]
fn a_coarse_date_gives_way_to_a_finer_one() {
    let coarse = || dated(date(2020, 8, 0), Basis::Stated);
    let fine = dated(date(2020, 8, 24), Basis::Stated);
    let sources = [source(1, coarse()), source(2, coarse()), source(3, fine.clone())];
    assert_eq!(settled(&sources).date, fine.date);
}

#[test]
fn a_literal_without_a_day_never_displaces_a_day() {
    let soon = pb::DateSpan { literal: "soon".into(), ..Default::default() };
    let soon = pb::Account { date: Some(soon), ..Default::default() };
    let inferred = dated(date(2020, 9, 4), Basis::InferredFromPublication);
    let sources = [source(1, soon.clone()), source(2, soon.clone()), source(3, inferred.clone())];
    assert_eq!(settled(&sources).date, inferred.date);
    assert_eq!(settled(&sources[..2]).date, soon.date);
}

#[test]
fn a_fuller_office_wins_over_a_part_of_it() {
    let with = |office: pb::Office| pb::Account {
        participations: vec![pb::Participation { office: Some(office), ..person("p", 7) }],
        ..Default::default()
    };
    let title = || pb::Office { title: "deputy minister".into(), ..Default::default() };
    let full = pb::Office { title: "Deputy Minister".into(), seniority: 3, ..Default::default() };
    let sources = [source(1, with(title())), source(2, with(title())), source(3, with(full.clone()))];
    assert_eq!(settled(&sources).participations[0].office, Some(full));
}

#[test]
fn participations_unite_by_participant_or_by_name_and_roles_unite() {
    let named = |name: &str| pb::Participation { id: "x".into(), name_as_written: name.into(), ..Default::default() };
    let with_roles =
        |roles: &[Role]| pb::Participation { roles: roles.iter().map(|&role| role.into()).collect(), ..person("p", 7) };
    let first = pb::Account {
        participations: vec![with_roles(&[Role::Signatory, Role::Host]), named("Ali  Aliyev")],
        initiator: "x".into(),
        ..Default::default()
    };
    let second = pb::Account {
        participations: vec![named("ALI ALIYEV"), with_roles(&[Role::Host, Role::Speaker])],
        ..Default::default()
    };
    let settled = settled(&[source(1, first), source(2, second)]);
    let ids: Vec<&str> = settled.participations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, [&uuid(7), "name:ali aliyev"]);
    assert_eq!(settled.initiator, "name:ali aliyev");
    assert_eq!(settled.participations[1].name_as_written, "Ali  Aliyev");
    let roles = [Role::Host, Role::Signatory, Role::Speaker].map(|role| role as i32);
    assert_eq!(settled.participations[0].roles, roles);
}

#[test]
fn delegations_of_one_region_unite_whatever_their_local_ids() {
    let first = pb::Account {
        delegations: vec![delegation("a", "RU", "the guests"), delegation("b", "AZ", "the hosts")],
        ..Default::default()
    };
    let second = pb::Account {
        delegations: vec![delegation("a", "AZ", ""), delegation("b", "RU", "Russian delegation")],
        participations: vec![pb::Participation { delegation: "b".into(), ..person("p", 7) }],
        ..Default::default()
    };
    let settled = settled(&[source(1, first), source(2, second)]);
    let ids: Vec<&str> = settled.delegations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["region:RU", "region:AZ"]);
    assert_eq!(settled.delegations[0].label, "the guests");
    assert_eq!(settled.participations[0].delegation, "region:RU");
}

#[test]
fn what_one_report_tells_apart_stays_apart_in_all() {
    let two = |labels: [&str; 2]| pb::Account {
        delegations: labels.iter().enumerate().map(|(at, label)| delegation(&at.to_string(), "RU", label)).collect(),
        ..Default::default()
    };
    let one = pb::Account { delegations: vec![delegation("0", "RU", "the MPs")], ..Default::default() };
    let apart = settled(&[source(1, one), source(2, two(["officers", "the MPs"]))]);
    let ids: Vec<&str> = apart.delegations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["region:RU/label:the mps", "region:RU/label:officers"]);
    let alike = settled(&[source(1, two(["a/b", "a/b"]))]);
    let ids: Vec<&str> = alike.delegations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["region:RU", "region:RU/2"]);
}

#[test]
fn a_delegation_that_acts_itself_is_a_participation_named_after_it() {
    let account = pb::Account {
        delegations: vec![delegation("d", "RU", "the delegation")],
        participations: vec![pb::Participation { id: "p".into(), delegation: "d".into(), ..Default::default() }],
        ..Default::default()
    };
    let settled = settled(&[source(1, account.clone()), source(2, account)]);
    assert_eq!(settled.participations.len(), 1);
    assert_eq!(settled.participations[0].id, "delegation:region:RU");
    assert_eq!(settled.participations[0].delegation, "region:RU");
}

#[test]
fn a_delegation_has_one_head_and_others_lose_the_role() {
    let headed_by = |who: u128| pb::Account {
        delegations: vec![pb::Delegation { head: "p".into(), ..delegation("d", "RU", "") }],
        participations: vec![pb::Participation {
            delegation: "d".into(),
            roles: vec![HEAD, Role::Speaker.into()],
            ..person("p", who)
        }],
        ..Default::default()
    };
    let settled = settled(&[source(1, headed_by(8)), source(2, headed_by(9)), source(3, headed_by(9))]);
    assert_eq!(settled.delegations[0].head, uuid(9));
    assert_eq!(settled.participations[0].roles, [Role::Speaker as i32]);
    assert_eq!(settled.participations[1].roles, [HEAD, Role::Speaker as i32]);
}

#[test]
fn ids_of_long_names_keep_to_the_limit_and_apart() {
    let named = |name: String| pb::Participation { id: name.clone(), name_as_written: name, ..Default::default() };
    let long = "\u{fdfa}".repeat(255);
    let participations = vec![named(format!("{long}a")), named(format!("{long}b"))];
    let settled = settled(&[source(1, pb::Account { participations, ..Default::default() })]);
    assert_eq!(settled.participations.len(), 2);
    assert!(settled.participations.iter().all(|it| it.id.chars().count() == 512));
    assert_ne!(settled.participations[0].id, settled.participations[1].id);
}

#[test]
fn statements_outcomes_and_links_name_their_report_and_settled_ids() {
    let said = |id: &str, continues: &str| pb::Statement {
        id: id.into(),
        continues: continues.into(),
        speakers: vec!["p".into(), "same".into()],
        addressees: vec!["nobody".into()],
        ..Default::default()
    };
    let account = pb::Account {
        participations: vec![person("p", 7), person("same", 7)],
        statements: vec![said("s1", ""), said("s2", "s1")],
        outcomes: vec![pb::Outcome { title: "Plan".into(), ..Default::default() }],
        links: vec![pb::Link { meeting: format!("meetings/{}", uuid(1)), ..Default::default() }],
        ..Default::default()
    };
    let sources = [source(2, account.clone()), source(1, account)];
    let (statements, outcomes, links) = unite(&told(&sources));
    let ids: Vec<&str> = statements.iter().map(|it| it.id.as_str()).collect();
    let of = |nth: u128, id: &str| format!("{}/{id}", uuid(nth));
    assert_eq!(ids, [of(1, "s1"), of(1, "s2"), of(2, "s1"), of(2, "s2")]);
    assert_eq!(statements[3].continues, of(2, "s1"));
    assert_eq!(statements[0].speakers, [uuid(7)]);
    assert!(statements[0].addressees.is_empty());
    assert_eq!(statements[0].report, format!("reports/{}", uuid(1)));
    assert_eq!((outcomes.len(), &outcomes[1].report), (2, &format!("reports/{}", uuid(2))));
    assert_eq!((links.len(), &links[0].report), (2, &format!("reports/{}", uuid(1))));
}

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
