//! Examples of the rule. `properties` has its invariants, on random reports.

pub mod accounts;
mod disputes;
mod fragility;
pub mod generators;
mod properties;

use super::*;
use crate::model::participant::NO_PERSONS;
use crate::pb::{date_span::Basis, participation::Role};

pub const HEAD: i32 = Role::HeadOfDelegation as i32;

/// An owned `SourceReport`.
#[derive(Clone, Debug)]
pub struct TestReport {
    pub report: pb::Report,
    pub origin: Uuid,
    pub publish_date: Option<NaiveDate>,
    pub uri: String,
}

pub fn source_reports<'a>(sources: &'a [TestReport]) -> Vec<SourceReport<'a>> {
    let source_report = |source: &'a TestReport| {
        let TestReport { report, origin, publish_date, uri } = source;
        SourceReport { report, origin: *origin, publish_date: *publish_date, uri, persons: &NO_PERSONS }
    };
    sources.iter().map(source_report).collect()
}

pub fn settled(sources: &[TestReport]) -> pb::Account {
    settle(&source_reports(sources), &[]).account
}

/// The `nth` report, of an article of its own that was published on that day of September 2020.
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

pub fn person(id: &str, number: u128) -> pb::Participation {
    let participant = format!("participants/{}", Uuid::from_u128(number));
    pb::Participation { id: id.into(), participant, ..Default::default() }
}

fn uuid(number: u128) -> String {
    Uuid::from_u128(number).to_string()
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
fn settling_no_report_gives_the_empty_account() {
    assert_eq!(settle(&[], &[]), Settled::default());
}

#[test]
fn copies_of_one_text_count_as_one_source() {
    let mut sources = vec![source(1, titled("Talks")), source(2, titled("Visit")), source(3, titled("visit  "))];
    assert_eq!(settled(&sources).title, "Visit", "reported by two, in the wording of the earlier");
    sources[2].origin = sources[1].origin;
    assert_eq!(settled(&sources).title, "Talks", "one source each, and published first");
}

#[test]
fn first_published_value_wins_a_tie_and_unknown_dates_come_last() {
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
fn stated_date_wins_over_inferred_ones() {
    let inferred = || dated(date(2020, 9, 4), Basis::InferredFromPublication);
    let stated = dated(date(2020, 8, 0), Basis::Relative);
    let sources = [source(1, inferred()), source(2, inferred()), source(3, stated.clone())];
    assert_eq!(settled(&sources).date, stated.date);
    assert_eq!(settled(&sources[..2]).date, inferred().date);
}

#[test]
fn finer_date_wins_over_coarse_ones() {
    let coarse = || dated(date(2020, 8, 0), Basis::Stated);
    let fine = dated(date(2020, 8, 24), Basis::Stated);
    let sources = [source(1, coarse()), source(2, coarse()), source(3, fine.clone())];
    assert_eq!(settled(&sources).date, fine.date);
}

#[test]
fn date_with_a_day_wins_over_a_literal_without_one() {
    let soon = pb::DateSpan { literal: "soon".into(), ..Default::default() };
    let soon = pb::Account { date: Some(soon), ..Default::default() };
    let inferred = dated(date(2020, 9, 4), Basis::InferredFromPublication);
    let sources = [source(1, soon.clone()), source(2, soon.clone()), source(3, inferred.clone())];
    assert_eq!(settled(&sources).date, inferred.date);
    assert_eq!(settled(&sources[..2]).date, soon.date);
}

#[test]
fn fuller_office_wins_over_a_part_of_it() {
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
fn participations_unite_by_participant_or_name_and_keep_all_roles() {
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
    let ids: Vec<&str> = settled.participations.iter().map(|person| person.id.as_str()).collect();
    assert_eq!(ids, [&uuid(7), "name:ali aliyev"]);
    assert_eq!(settled.initiator, "name:ali aliyev");
    assert_eq!(settled.participations[1].name_as_written, "Ali  Aliyev");
    let roles = [Role::Host, Role::Signatory, Role::Speaker].map(|role| role as i32);
    assert_eq!(settled.participations[0].roles, roles);
}

#[test]
fn delegations_of_one_region_unite_under_different_local_ids() {
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
    let ids: Vec<&str> = settled.delegations.iter().map(|delegation| delegation.id.as_str()).collect();
    assert_eq!(ids, ["region:RU", "region:AZ"]);
    assert_eq!(settled.delegations[0].label, "the guests");
    assert_eq!(settled.participations[0].delegation, "region:RU");
}

#[test]
fn delegations_that_one_report_distinguishes_stay_distinct() {
    let two = |labels: [&str; 2]| pb::Account {
        delegations: labels.iter().enumerate().map(|(at, label)| delegation(&at.to_string(), "RU", label)).collect(),
        ..Default::default()
    };
    let single = pb::Account { delegations: vec![delegation("0", "RU", "the MPs")], ..Default::default() };
    let distinct = settled(&[source(1, single), source(2, two(["officers", "the MPs"]))]);
    let ids: Vec<&str> = distinct.delegations.iter().map(|delegation| delegation.id.as_str()).collect();
    assert_eq!(ids, ["region:RU/label:the mps", "region:RU/label:officers"]);
    let alike = settled(&[source(1, two(["a/b", "a/b"]))]);
    let ids: Vec<&str> = alike.delegations.iter().map(|delegation| delegation.id.as_str()).collect();
    assert_eq!(ids, ["region:RU", "region:RU/2"]);
}

#[test]
fn delegation_that_itself_acts_is_a_participation_named_after_it() {
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
fn delegation_has_one_head_and_other_members_lose_the_role() {
    let headed_by = |head: u128| pb::Account {
        delegations: vec![pb::Delegation { head: "p".into(), ..delegation("d", "RU", "") }],
        participations: vec![pb::Participation {
            delegation: "d".into(),
            roles: vec![HEAD, Role::Speaker.into()],
            ..person("p", head)
        }],
        ..Default::default()
    };
    let settled = settled(&[source(1, headed_by(8)), source(2, headed_by(9)), source(3, headed_by(9))]);
    assert_eq!(settled.delegations[0].head, uuid(9));
    assert_eq!(settled.participations[0].roles, [Role::Speaker as i32]);
    assert_eq!(settled.participations[1].roles, [HEAD, Role::Speaker as i32]);
}

#[test]
fn ids_of_long_names_are_shortened_and_stay_distinct() {
    let named = |name: String| pb::Participation { id: name.clone(), name_as_written: name, ..Default::default() };
    let long = "\u{fdfa}".repeat(255);
    let participations = vec![named(format!("{long}a")), named(format!("{long}b"))];
    let settled = settled(&[source(1, pb::Account { participations, ..Default::default() })]);
    assert_eq!(settled.participations.len(), 2);
    assert!(settled.participations.iter().all(|person| person.id.chars().count() == 512));
    assert_ne!(settled.participations[0].id, settled.participations[1].id);
}

#[test]
fn united_statements_outcomes_and_links_have_their_report_and_settled_ids() {
    let statement = |id: &str, continues: &str| pb::Statement {
        id: id.into(),
        continues: continues.into(),
        speakers: vec!["p".into(), "same".into()],
        addressees: vec!["nobody".into()],
        ..Default::default()
    };
    let account = pb::Account {
        participations: vec![person("p", 7), person("same", 7)],
        statements: vec![statement("s1", ""), statement("s2", "s1")],
        outcomes: vec![pb::Outcome { title: "Plan".into(), ..Default::default() }],
        links: vec![pb::Link { meeting: format!("meetings/{}", uuid(1)), ..Default::default() }],
        ..Default::default()
    };
    let sources = [source(2, account.clone()), source(1, account)];
    let united = unite(&source_reports(&sources));
    assert_eq!(united.omitted, pb::Omission::default());
    let crate::model::settle::United { statements, outcomes, links, .. } = united;
    let ids: Vec<&str> = statements.iter().map(|statement| statement.id.as_str()).collect();
    let united_id = |nth: u128, id: &str| format!("{}/{id}", uuid(nth));
    assert_eq!(ids, [united_id(1, "s1"), united_id(1, "s2"), united_id(2, "s1"), united_id(2, "s2")]);
    assert_eq!(statements[3].continues, united_id(2, "s1"));
    assert_eq!(statements[0].speakers, [uuid(7)]);
    assert!(statements[0].addressees.is_empty());
    assert_eq!(statements[0].report, format!("reports/{}", uuid(1)));
    assert_eq!((outcomes.len(), &outcomes[1].report), (2, &format!("reports/{}", uuid(2))));
    assert_eq!((links.len(), &links[0].report), (2, &format!("reports/{}", uuid(1))));
}

#[test]
fn unite_within_ends_all_lists_at_the_first_part_that_does_not_fit() {
    let statement = |id: &str| pb::Statement { id: id.into(), text: "x".repeat(40), ..Default::default() };
    let account = pb::Account {
        statements: vec![statement("s1"), statement("s2")],
        outcomes: vec![pb::Outcome { title: "Plan".into(), ..Default::default() }],
        ..Default::default()
    };
    let sources = [source(2, account.clone()), source(1, account)];
    let reports = source_reports(&sources);
    let whole = unite(&reports);
    let encoded = |united: &crate::model::settle::United| {
        let (statements, outcomes) = (united.statements.clone(), united.outcomes.clone());
        prost::Message::encoded_len(&pb::Account { statements, outcomes, ..Default::default() })
    };
    let within = |bytes| {
        let united = crate::model::settle::unite_within(&reports, bytes, |_| {});
        assert!(encoded(&united) <= bytes);
        let omitted = united.omitted;
        let counts = [united.statements.len(), united.outcomes.len()];
        (counts, [omitted.statement_count, omitted.outcome_count])
    };
    let all = encoded(&whole);
    assert_eq!(within(all), ([4, 2], [0, 0]));
    assert_eq!(within(all - 1), ([4, 1], [0, 1]));
    // The first report has two statements and an outcome; half of the bytes are its own.
    assert_eq!(within(all / 2), ([2, 1], [2, 1]));
    assert_eq!(within(all / 2 - 1), ([2, 0], [2, 2]));
    assert_eq!(within(0), ([0, 0], [4, 2]));
}

/// The `nth` ruling, created at second `nth`.
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

#[test]
fn stops_of_one_place_are_one_if_their_dates_agree() {
    let place = |region: &str, locality: &str, venue: &str| {
        Some(pb::Place {
            region_code: region.into(),
            locality: locality.into(),
            venue: venue.into(),
            ..Default::default()
        })
    };
    let stop = |place: Option<pb::Place>, month: i32, day: i32| pb::Stop {
        place,
        date: (month != 0).then(|| span(date(1969, month, day), Basis::Stated)),
    };
    let told = |stops: Vec<pb::Stop>| pb::Account { stops, ..Default::default() };
    let sources = [
        source(1, told(vec![stop(place("FR", "Paris", ""), 0, 0), stop(place("GB", "LONDON", ""), 2, 25)])),
        source(2, told(vec![stop(place("GB", "London", "Palace"), 2, 0), stop(place("FR", "", ""), 0, 0)])),
        source(3, told(vec![stop(place("GB", "London", "Airport"), 2, 24), stop(place("GB", "London", ""), 3, 1)])),
        source(4, told(vec![stop(place("", "London", ""), 2, 24), stop(place("", "", "Palace"), 0, 0)])),
    ];
    let expected = vec![
        stop(place("GB", "London", "Airport"), 2, 24),
        stop(place("", "London", ""), 2, 24),
        stop(place("GB", "LONDON", "Palace"), 2, 25),
        stop(place("GB", "London", ""), 3, 1),
        stop(place("FR", "Paris", ""), 0, 0),
        stop(place("FR", "", ""), 0, 0),
        stop(place("", "", "Palace"), 0, 0),
    ];
    assert_eq!(settled(&sources).stops, expected);
    assert_eq!(settled(&[source(1, told(expected.clone()))]).stops, expected);
}

#[test]
fn stops_of_a_place_with_many_dates_are_united_by_equal_dates() {
    // All partial dates, each of which contains one of the full ones.
    let stop = |number: i32, day: i32| pb::Stop {
        place: Some(pb::Place { locality: "Baku".into(), ..Default::default() }),
        date: Some(span(date(1900 + number / 12, 1 + number % 12, day), Basis::Stated)),
    };
    for (count, left) in [(32, 32), (33, 66)] {
        let stops: Vec<_> = (0..count).flat_map(|number| [stop(number, 0), stop(number, 3), stop(number, 3)]).collect();
        assert_eq!(settled(&[source(1, pb::Account { stops, ..Default::default() })]).stops.len(), left);
    }
}

#[test]
fn external_ids_are_united_and_sorted() {
    let told = |ids: &[(&str, &str)]| pb::Account {
        external_ids: ids
            .iter()
            .map(|(scheme, value)| pb::ExternalId { scheme: (*scheme).into(), value: (*value).into() })
            .collect(),
        ..Default::default()
    };
    let sources = [source(2, told(&[("nsw", "2"), ("isni", "9")])), source(1, told(&[("nsw", "10"), ("nsw", "2")]))];
    assert_eq!(settled(&sources).external_ids, told(&[("isni", "9"), ("nsw", "10"), ("nsw", "2")]).external_ids);
}
