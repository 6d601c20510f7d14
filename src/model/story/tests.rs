use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::{
    model::rules::Check,
    pb::{Account, Article, Delegation, Statement, StoryReport},
};

fn named(name: &str, kind: Kind) -> Participation {
    let mut participation = Participation { name_as_written: name.into(), ..Default::default() };
    participation.set_participant_kind(kind);
    participation
}

fn story(reports: Vec<Vec<Participation>>) -> Story {
    let report = |participations| StoryReport {
        account: Some(Account { title: "Talks".into(), participations, ..Default::default() }),
        ..Default::default()
    };
    let article = Some(Article { uri: "urn:x".into(), ..Default::default() });
    Story { article, reports: reports.into_iter().map(report).collect(), ..Default::default() }
}

/// Completes a story. Returns the paths of the rules that it breaks then.
fn completed(story: &mut Story) -> Vec<String> {
    let mut violations = Violations::default();
    complete(story, &Path::ROOT, &mut violations);
    story.check(&Path::ROOT, &mut violations);
    violations.iter().map(|violation| violation.field.clone()).collect()
}

fn ids(account: &Account) -> Vec<&str> {
    account.participations.iter().map(|participation| participation.id.as_str()).collect()
}

#[test]
fn names_become_ids_that_references_use() {
    let mut account = Account {
        participations: vec![
            Participation { name_as_written: " Ali ".into(), ..Default::default() },
            Participation { name_as_written: "Ali".into(), ..Default::default() },
            Participation { id: "Ali-2".into(), name_as_written: "Veli".into(), ..Default::default() },
            Participation { participant: "#veli".into(), ..Default::default() },
            Participation { delegation: "the Russian delegation".into(), ..Default::default() },
            Participation::default(),
        ],
        delegations: vec![
            Delegation { label: "the Russian delegation".into(), ..Default::default() },
            Delegation::default(),
        ],
        statements: vec![
            Statement { id: "statement-2".into(), text: "a".into(), ..Default::default() },
            Statement { speakers: vec!["Ali".into()], text: "b".into(), ..Default::default() },
        ],
        ..Default::default()
    };
    complete_ids(&mut account);
    assert_eq!(ids(&account), ["Ali", "Ali-3", "Ali-2", "veli", "the Russian delegation", "participation-6"]);
    assert_eq!(account.delegations[0].id, "the Russian delegation");
    assert_eq!(account.delegations[1].id, "delegation-2");
    assert_eq!(account.statements[1].id, "statement-2-2");
    let once = account.clone();
    complete_ids(&mut account);
    assert_eq!(account, once);
}

#[test]
fn name_that_breaks_a_rule_is_not_an_id() {
    for name in ["", " ", "\u{200b}", "a\u{0}b", "a\nb", &"é".repeat(257)] {
        let mut account = story(vec![vec![named(name, Kind::Unspecified)]]).reports.remove(0).account.unwrap();
        complete_ids(&mut account);
        assert_eq!(ids(&account), ["participation-1"], "{name:?}");
    }
    let longest = "é".repeat(256);
    let mut account = story(vec![vec![named(&longest, Kind::Unspecified)]]).reports.remove(0).account.unwrap();
    complete_ids(&mut account);
    assert_eq!(ids(&account), [longest]);
}

#[test]
fn made_key_never_equals_a_given_one() {
    let mut sent = story(vec![vec![], vec![], vec![]]);
    sent.reports[1].key = "report-1".into();
    assert!(completed(&mut sent).is_empty());
    let keys: Vec<_> = sent.reports.iter().map(|report| report.key.as_str()).collect();
    assert_eq!(keys, ["report-1-2", "report-1", "report-3"]);
}

#[test]
fn name_with_a_kind_is_one_participant_of_the_story() {
    let mut sent = story(vec![
        vec![named("Ali Veli", Kind::Person), named("Baku", Kind::State)],
        vec![named("ALI  VELI", Kind::Person), named("Baku", Kind::Organization), named("Ali Veli", Kind::Unspecified)],
    ]);
    sent.reports[1].account.as_mut().unwrap().participations[1].region_code = "AZ".into();
    assert!(completed(&mut sent).is_empty());
    let people: Vec<_> = sent
        .participants
        .iter()
        .map(|entry| (entry.key.as_str(), entry.participant.as_ref().unwrap()))
        .map(|(key, participant)| (key, participant.kind(), participant.region_code.as_str()))
        .collect();
    assert_eq!(
        people,
        [("Ali Veli", Kind::Person, ""), ("Baku", Kind::State, ""), ("Baku-2", Kind::Organization, "AZ")]
    );
    let named = |report: usize| {
        let account = sent.reports[report].account.as_ref().unwrap();
        account.participations.iter().map(|participation| participation.participant.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(named(0), ["#Ali Veli", "#Baku"]);
    assert_eq!(named(1), ["#Ali Veli", "#Baku-2", ""]);
    assert!(sent.reports.iter().all(|report| {
        report.account.as_ref().unwrap().participations.iter().all(|participation| participation.participant_kind == 0)
    }));
}

#[test]
fn kind_without_a_use_is_refused_at_its_path() {
    let mut with_participant = named("Ali", Kind::Person);
    with_participant.participant = "participants/0198f2d1-0000-7000-8000-00000000000b".into();
    let mut unknown = named("Ali", Kind::Person);
    unknown.participant_kind = 99;
    let mut region = named("Ali", Kind::Person);
    region.region_code = "ZZ".into();
    for (participation, broken) in [
        (with_participant, &["participant_kind"][..]),
        (named(" ", Kind::Person), &["participant_kind", ""]),
        (unknown, &["participant_kind"]),
        (region, &["region_code"]),
        (named(&"a".repeat(257), Kind::Person), &["name_as_written"]),
    ] {
        let of = format!("{participation:?}");
        let mut sent = story(vec![vec![participation]]);
        let path = |field: &&str| match *field {
            "" => "reports[0].account.participations[0]".to_owned(),
            field => format!("reports[0].account.participations[0].{field}"),
        };
        let broken: Vec<String> = broken.iter().map(path).collect();
        assert_eq!(completed(&mut sent), broken, "{of}");
    }
}

#[test]
fn story_has_at_most_1000_participants_with_those_of_names() {
    let names = |from: usize, to: usize| (from..to).map(|number| named(&format!("P {number}"), Kind::Person)).collect();
    let mut sent = story(vec![names(0, 500), names(500, 1000), names(0, 10)]);
    assert!(completed(&mut sent.clone()).is_empty());
    sent.reports.push(story(vec![names(1000, 1001)]).reports.remove(0));
    assert_eq!(completed(&mut sent), ["reports[3].account.participations[0].participant_kind"]);
}

proptest! {
    #[test]
    fn completed_story_has_distinct_ids_and_completes_to_itself(
        names in prop::collection::vec(("[ab]{0,1}(-[2-4])?", "[ab]{1,2}(-[2-4])?", 0..3_i32), 0..8),
        keys in prop::collection::vec("(report-[1-3](-2)?)?", 0..4),
    ) {
        let mut given = HashSet::new();
        let participations = names.into_iter().map(|(id, name, kind)| Participation {
            id: if given.insert(id.clone()) { id } else { String::new() },
            name_as_written: name,
            participant_kind: kind,
            ..Default::default()
        });
        let mut sent = story(vec![participations.collect()]);
        let mut given = HashSet::new();
        let keys = keys.into_iter().filter(|key| key.is_empty() || given.insert(key.clone()));
        sent.reports.extend(keys.map(|key| StoryReport { key, ..story(vec![vec![]]).reports.remove(0) }));
        prop_assert_eq!(completed(&mut sent), Vec::<String>::new());
        let once = sent.clone();
        prop_assert_eq!(completed(&mut sent), Vec::<String>::new());
        prop_assert_eq!(sent, once);
    }
}
