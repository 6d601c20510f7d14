//! Examples of disputes and rulings.

use prost_types::value::Kind as Json;

use super::{HEAD, TestReport, date, person, ruling, source, source_reports};
use crate::{
    model::{rules::Check, settle::*},
    pb::{
        account::{Kind, Status},
        date_span::Basis,
        dispute::Rule,
        participation::Role,
    },
};

fn kind(kind: Kind) -> pb::Account {
    pb::Account { kind: kind.into(), ..Default::default() }
}

fn dated(day: i32, basis: Basis) -> pb::Account {
    let span = pb::DateSpan { start: date(2020, 8, day), basis: basis.into(), ..Default::default() };
    pb::Account { date: Some(span), ..Default::default() }
}

fn at(locality: &str) -> pb::Account {
    let place = pb::Place { locality: locality.into(), ..Default::default() };
    pb::Account { place: Some(place), ..Default::default() }
}

fn with(participation: pb::Participation) -> pb::Account {
    pb::Account { participations: vec![participation], ..Default::default() }
}

fn settled(sources: &[TestReport], rulings: &[pb::Report]) -> Settled {
    settle(&source_reports(sources), &rulings.iter().collect::<Vec<_>>())
}

/// The texts with their numbers of independent sources, the index of the chosen one, and the rule.
fn read(dispute: &pb::Dispute) -> (Vec<(String, i32)>, i32, Rule) {
    let text = |value: &pb::dispute::Value| match value.value.as_ref().and_then(|value| value.kind.clone()) {
        Some(Json::StringValue(text)) => text,
        Some(Json::NullValue(_)) => "null".into(),
        other => format!("{other:?}"),
    };
    let values = dispute.values.iter().map(|value| (text(value), value.independent_source_count)).collect();
    (values, dispute.chosen, dispute.rule())
}

fn values(values: &[(&str, i32)]) -> Vec<(String, i32)> {
    values.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect()
}

#[test]
fn dispute_lists_all_values_strongest_first() {
    let mut sources = vec![source(1, kind(Kind::Talks)), source(2, kind(Kind::Visit)), source(3, kind(Kind::Visit))];
    let Settled { account, disputes, .. } = settled(&sources, &[]);
    assert_eq!((account.kind(), disputes.len(), disputes[0].field.as_str()), (Kind::Visit, 1, "kind"));
    assert_eq!(read(&disputes[0]), (values(&[("VISIT", 2), ("TALKS", 1)]), 0, Rule::MostSources));
    assert!(disputes[0].values.iter().all(|value| value.reports.is_empty()));

    sources[2].origin = sources[1].origin;
    let disputes = settled(&sources, &[]).disputes;
    assert_eq!(read(&disputes[0]), (values(&[("TALKS", 1), ("VISIT", 1)]), 0, Rule::EarliestPublished));
}

#[test]
fn dispute_names_the_rule_that_decided() {
    let mut sources = vec![source(1, at("Baku")), source(2, at("Ganja"))];
    let rule = |sources: &[TestReport]| settled(sources, &[]).disputes[0].rule();
    assert_eq!(rule(&sources), Rule::EarliestPublished);
    sources[1].publish_date = sources[0].publish_date;
    assert_eq!(rule(&sources), Rule::SmallestUri);
    sources[1].uri = sources[0].uri.clone();
    assert_eq!(rule(&sources), Rule::SmallestHash);
    let ranked = |rank: &str| pb::Participation { rank: rank.into(), ..person(rank, 7) };
    let account = pb::Account { participations: vec![ranked("colonel"), ranked("general")], ..Default::default() };
    let disputes = settled(&[source(1, account)], &[]).disputes;
    let expected = (values(&[("colonel", 1), ("general", 1)]), 0, Rule::FirstInReport);
    assert_eq!(
        (disputes[0].field.clone(), read(&disputes[0])),
        (format!("participations[{}].rank", Uuid::from_u128(7)), expected)
    );
}

#[test]
fn unset_coarser_or_inferred_values_make_no_dispute() {
    let office = |title: &str, organization: &str| {
        let (title, organization) = (title.to_owned(), organization.to_owned());
        with(pb::Participation {
            office: Some(pb::Office { title, organization, ..Default::default() }),
            ..person("p", 7)
        })
    };
    for accounts in [
        [dated(0, Basis::Stated), dated(24, Basis::Stated), dated(25, Basis::InferredFromPublication)],
        [office("Minister", ""), office("MINISTER", "Ministry of Defence"), with(person("p", 7))],
        [at("Baku"), at(" BAKU"), pb::Account::default()],
    ] {
        let sources: Vec<TestReport> = (1..).zip(accounts).map(|(nth, account)| source(nth, account)).collect();
        assert_eq!(settled(&sources, &[]).disputes, []);
    }
    let two =
        [source(1, dated(24, Basis::InferredFromPublication)), source(2, dated(25, Basis::InferredFromPublication))];
    assert_eq!(settled(&two, &[]).disputes.len(), 1);
}

#[test]
fn title_and_summary_are_never_disputed() {
    let titled = |title: &str| pb::Account { title: title.into(), summary: title.into(), ..Default::default() };
    assert_eq!(settled(&[source(1, titled("Talks")), source(2, titled("Visit"))], &[]).disputes, []);
}

#[test]
fn disputes_name_their_reports_on_request() {
    let sources = [source(1, kind(Kind::Talks)), source(2, kind(Kind::Visit)), source(3, kind(Kind::Visit))];
    let reports = source_reports(&sources);
    let (mut named, left_out) = disputes(&reports, &[], 3);
    assert_eq!(left_out, 0);
    let names = |nths: &[usize]| nths.iter().map(|&nth| sources[nth].report.name.clone()).collect::<Vec<_>>();
    assert_eq!(named[0].values[0].reports, names(&[1, 2]));
    assert_eq!(named[0].values[1].reports, names(&[0]));
    named.iter_mut().flat_map(|dispute| &mut dispute.values).for_each(|value| value.reports.clear());
    assert_eq!(named, settle(&reports, &[]).disputes);
}

#[test]
fn disputes_leave_out_names_above_their_limit() {
    let sources = [source(1, kind(Kind::Talks)), source(2, kind(Kind::Visit)), source(3, kind(Kind::Visit))];
    let count = |max_names| {
        let (named, left_out) = disputes(&source_reports(&sources), &[], max_names);
        (named[0].values.iter().map(|value| value.reports.len()).collect::<Vec<_>>(), left_out)
    };
    assert_eq!(count(3), (vec![2, 1], 0));
    assert_eq!(count(2), (vec![2, 0], 1));
    assert_eq!(count(0), (vec![0, 0], 3));
}

#[test]
fn dispute_has_at_most_twenty_values_including_the_chosen_one() {
    let sources: Vec<TestReport> = (1..=25).map(|nth| source(nth, at(&format!("Town {nth}")))).collect();
    let dispute = settled(&sources, &[]).disputes.remove(0);
    assert_eq!((dispute.values.len(), dispute.chosen), (20, 0));
    for (locality, count) in [("town 24", 1), ("Elsewhere", 0)] {
        let ruling = ruling(1, &["account.place.locality"], at(locality));
        let Settled { account, disputes, .. } = settled(&sources, &[ruling]);
        assert_eq!(account.place.unwrap().locality, locality);
        let (values, chosen, rule) = read(&disputes[0]);
        assert_eq!((values.len(), chosen, rule), (20, 19, Rule::Ruling));
        assert_eq!((values[19].0.to_lowercase(), values[19].1), (locality.to_lowercase(), count));
    }
}

#[test]
fn meeting_stays_small_if_a_thousand_reports_disagree() {
    let statement = |nth: u32| pb::Statement { id: format!("s{nth}"), text: "said".repeat(250), ..Default::default() };
    let account = |nth: u32| pb::Account {
        kind: (nth % 10 + 1) as i32,
        date: dated((nth % 28 + 1) as i32, Basis::Stated).date,
        place: at(&format!("Town {nth}")).place,
        participations: (0..10)
            .map(|number| pb::Participation {
                office: Some(pb::Office { title: format!("Office {nth} ").repeat(10), ..Default::default() }),
                ..person(&format!("p{number}"), number)
            })
            .collect(),
        statements: (0..10).map(statement).collect(),
        ..Default::default()
    };
    let sources: Vec<TestReport> = (1..=1_000).map(|nth| source(nth, account(nth))).collect();
    let mut meeting = pb::Meeting::default();
    crate::model::meeting::settle_on(&mut meeting, &source_reports(&sources), &[]);
    assert_eq!((meeting.report_count, meeting.disputes.len()), (1_000, 13));
    assert!(prost::Message::encoded_len(&meeting) < 256 * 1024, "{}", prost::Message::encoded_len(&meeting));
}

#[test]
fn newest_ruling_on_a_field_counts() {
    let sources = [source(1, pb::Account { status: Status::Held.into(), ..kind(Kind::Talks) })];
    let both = ["account.kind", "account.status"];
    let first = ruling(1, &both, pb::Account { status: Status::Denied.into(), ..kind(Kind::Visit) });
    let second = ruling(2, &["account.kind"], kind(Kind::Summit));
    let Settled { account, disputes, .. } = settled(&sources, &[second.clone(), first.clone()]);
    assert_eq!((account.kind(), account.status()), (Kind::Summit, Status::Denied));
    assert_eq!(read(&disputes[0]), (values(&[("TALKS", 1), ("SUMMIT", 0)]), 1, Rule::Ruling));
    let (named, _) = crate::model::settle::disputes(&source_reports(&sources), &[&first, &second], usize::MAX);
    assert_eq!(named[0].values[1].reports, std::slice::from_ref(&second.name));
    assert_eq!(named[1].values[1].reports, [first.name]);
}

#[test]
fn ruling_that_all_sources_agree_with_makes_no_dispute() {
    let ruled = [ruling(1, &["account.kind"], kind(Kind::Talks)), ruling(2, &["account.title"], at("Baku"))];
    let Settled { account, disputes, .. } = settled(&[source(1, kind(Kind::Talks))], &ruled);
    assert_eq!((account, disputes), (kind(Kind::Talks), vec![]));
}

#[test]
fn ruling_with_an_unset_field_clears_it() {
    let unset = ruling(1, &["account.date", "account.place.locality"], pb::Account::default());
    let mut reported = dated(24, Basis::Stated);
    reported.place = at("Baku").place;
    let Settled { account, disputes, .. } = settled(&[source(1, reported)], &[unset]);
    assert_eq!(account, pb::Account::default());
    assert_eq!(disputes[0].field, "date");
    assert_eq!(read(&disputes[1]), (values(&[("Baku", 1), ("null", 0)]), 1, Rule::Ruling));
}

#[test]
fn statements_and_partial_values_cannot_be_ruled_on() {
    let statement = pb::Statement { id: "s".into(), text: "said".into(), ..Default::default() };
    let account = pb::Account { statements: vec![statement], ..kind(Kind::Visit) };
    let paths = ["account.statements", "account", "account.date.start", "labels", "account.kinds"];
    let Settled { account, .. } = settled(&[source(1, kind(Kind::Talks))], &[ruling(1, &paths, account)]);
    assert_eq!(account, kind(Kind::Talks));
    assert!(rulable_paths().all(|path| !paths.contains(&path)));
}

#[test]
fn rulings_without_a_report_settle_to_the_empty_account() {
    assert_eq!(settled(&[], &[ruling(1, &["account.kind"], kind(Kind::Talks))]), Settled::default());
}

#[test]
fn ruled_list_replaces_the_settled_one_and_dangling_references_are_cleared() {
    let reported = pb::Account {
        participations: vec![pb::Participation { rank: "colonel".into(), ..person("p", 7) }, person("q", 8)],
        initiator: "q".into(),
        ..Default::default()
    };
    let dissenting = pb::Account { initiator: "p".into(), ..reported.clone() };
    let id = Uuid::from_u128(7).to_string();
    let ruled = vec![pb::Participation { rank: "general".into(), ..person(&id, 7) }];
    let ruling =
        ruling(1, &["account.participations"], pb::Account { participations: ruled.clone(), ..Default::default() });
    let sources = [source(1, reported.clone()), source(2, reported), source(3, dissenting)];
    let Settled { account, disputes, .. } = settled(&sources, std::slice::from_ref(&ruling));
    assert_eq!((account.participations, account.initiator.as_str()), (ruled, ""));
    assert_eq!(read(&disputes[0]), (values(&[("colonel", 3), ("general", 0)]), 1, Rule::Ruling));
    let expected = [(Uuid::from_u128(8).to_string(), 2), (id, 1), ("null".into(), 0)].to_vec();
    assert_eq!(read(&disputes[1]), (expected, 2, Rule::Ruling));
}

#[test]
fn heads_and_roles_agree_with_the_newer_ruling() {
    let member = |id: &str, number: u128, roles: &[i32]| pb::Participation {
        delegation: "region:RU".into(),
        roles: roles.to_vec(),
        ..person(id, number)
    };
    let headed = |id: &str, head: &str| pb::Delegation {
        id: id.into(),
        region_code: "RU".into(),
        head: head.into(),
        ..Default::default()
    };
    let [first, second] = [7, 8].map(|number| Uuid::from_u128(number).to_string());
    let mut reported = pb::Account {
        delegations: vec![headed("d", "p")],
        participations: vec![member("p", 7, &[HEAD]), member("q", 8, &[Role::Speaker.into()])],
        ..Default::default()
    };
    reported.participations.iter_mut().for_each(|person| person.delegation = "d".into());
    let by_role = |time| {
        let participations = vec![member(&first, 7, &[]), member(&second, 8, &[HEAD])];
        ruling(time, &["account.participations"], pb::Account { participations, ..Default::default() })
    };
    let by_head = |time| {
        let delegations = vec![headed("region:RU", &first)];
        ruling(time, &["account.delegations"], pb::Account { delegations, ..Default::default() })
    };
    for (rulings, expected) in [
        (vec![], &first),
        (vec![by_role(1)], &second),
        (vec![by_role(2), by_head(1)], &second),
        (vec![by_role(1), by_head(2)], &first),
    ] {
        let account = settled(&[source(1, reported.clone())], &rulings).account;
        assert!(account.violations().is_empty(), "{:?}", account.violations());
        assert_eq!(&account.delegations[0].head, expected, "{rulings:?}");
        let with_role: Vec<&str> = account
            .participations
            .iter()
            .filter(|person| person.roles.contains(&HEAD))
            .map(|person| person.id.as_str())
            .collect();
        assert_eq!(with_role, [expected.as_str()]);
    }
}
