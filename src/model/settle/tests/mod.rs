//! The rule by example; `properties` has what holds for all reports.

pub mod accounts;
mod disputes;
pub mod generators;
mod properties;

use super::*;
use crate::pb::{date_span::Basis, participation::Role};

pub const HEAD: i32 = Role::HeadOfDelegation as i32;

/// A report with what `SourceReport` borrows.
#[derive(Clone, Debug)]
pub struct TestReport {
    pub report: pb::Report,
    pub origin: Uuid,
    pub publish_date: Option<NaiveDate>,
    pub uri: String,
}

pub fn told(sources: &[TestReport]) -> Vec<SourceReport<'_>> {
    sources
        .iter()
        .map(|it| SourceReport { report: &it.report, origin: it.origin, publish_date: it.publish_date, uri: &it.uri })
        .collect()
}

pub fn settled(sources: &[TestReport]) -> pb::Account {
    settle(&told(sources), &[]).account
}

/// The `nth` report: of an article of its own, published on that day of September 2020.
pub fn source(nth: u32, account: pb::Account) -> TestReport {
    TestReport {
        report: report(nth, account),
        origin: Uuid::from_u128(nth.into()),
        publish_date: NaiveDate::from_ymd_opt(2020, 9, nth),
        uri: format!("https://example.org/{nth}"),
    }
}

pub fn report(nth: u32, account: pb::Account) -> pb::Report {
    let content_hash = blake3::hash(&prost::Message::encode_to_vec(&account)).to_hex().to_string();
    let name = format!("reports/{}", Uuid::from_u128(nth.into()));
    pb::Report { name, content_hash, account: Some(account), ..Default::default() }
}

pub fn date(year: i32, month: i32, day: i32) -> Option<pb::Date> {
    Some(pb::Date { year, month, day })
}

fn span(start: Option<pb::Date>, basis: Basis) -> pb::DateSpan {
    pb::DateSpan { start, basis: basis.into(), ..Default::default() }
}

pub fn person(id: &str, who: u128) -> pb::Participation {
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
    assert_eq!(settle(&[], &[]), Settled::default());
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
    sources[0].report.content_hash = "b".into();
    sources[1].report.content_hash = "a".into();
    assert_eq!(settled(&sources).title, "Talks", "the smaller uri");
    sources[0].uri = sources[1].uri.clone();
    assert_eq!(settled(&sources).title, "Visit", "the smaller content hash");
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

/// The `nth` ruling.
pub fn ruling(nth: i64, paths: &[&str], account: pb::Account) -> pb::Report {
    let mask = prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
    pb::Report {
        name: format!("reports/{}", Uuid::from_u128(u128::MAX - nth as u128)),
        create_time: Some(prost_types::Timestamp { seconds: nth, nanos: 0 }),
        account: Some(account),
        ruling: Some(pb::Ruling { mask: Some(mask), reason: "seen".into() }),
        ..Default::default()
    }
}
