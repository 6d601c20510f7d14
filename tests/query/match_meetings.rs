//! `MeetingService.MatchMeetings`: the meetings that an account may describe.

use std::time::Duration;

use readout::{
    pb::{
        Account, Article, ErrorReason, MatchMeetingsRequest, Participation, Place,
        account::Status,
        article::TextRights,
        match_meetings_response::Candidate,
        meeting_match::{Level, reason::Kind as ReasonKind},
        participation::Role,
    },
    store::{
        Store,
        query::{
            QueryClass,
            meeting_candidates::{CandidateSearch, plan},
        },
    },
};
use serde_json::Value;
use tonic::{Code, Status as RpcStatus};
use uuid::Uuid;

use crate::{
    external_ids::id,
    support::{
        Refused, Service,
        make::{article, day, person, present, talks},
        refused,
    },
};

pub fn with_role(name: &str, role: Role, region: &str) -> Participation {
    Participation { roles: vec![role.into()], region_code: region.into(), ..present(name, name) }
}

/// Talks in Baku on this day of August between these participants: a host and a visitor.
pub fn account(title: &str, date: i32, [host, visitor]: [&str; 2]) -> Account {
    Account {
        date: day(2020, 8, date),
        place: Some(Place { locality: "Baku".into(), region_code: "AZ".into(), ..Default::default() }),
        participations: vec![with_role(host, Role::Host, "AZ"), with_role(visitor, Role::Visitor, "RU")],
        ..talks(title)
    }
}

pub async fn people(service: &Service) -> [String; 3] {
    let mut names = Vec::new();
    for (name, region) in [("Kerim Veliyev", "AZ"), ("Ruslan Tsalikov", "RU"), ("Hulusi Akar", "TR")] {
        names.push(service.create_participant(person(name, region)).await.name);
    }
    names.try_into().unwrap()
}

async fn matches(service: &Service, request: MatchMeetingsRequest) -> Result<Vec<Candidate>, RpcStatus> {
    let answer = service.meetings.clone().match_meetings(request).await?.into_inner();
    assert_eq!(answer.rule_version, 1);
    assert!(!answer.as_of.is_empty());
    Ok(answer.candidates)
}

async fn of_account(service: &Service, account: Account) -> Vec<Candidate> {
    matches(service, MatchMeetingsRequest { account: Some(account), ..Default::default() }).await.unwrap()
}

fn levels(candidates: &[Candidate]) -> Vec<(&str, Level)> {
    candidates.iter().map(|candidate| (candidate.meeting.as_str(), candidate.level())).collect()
}

#[tokio::test]
async fn match_meetings_returns_the_same_event_first_then_candidates() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, third] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let mut names = Vec::new();
    for date in [24, 25, 27] {
        names.push(service.create_meeting(&source, account("Talks", date, pair)).await.unwrap().name);
    }
    let mut trilateral = account("Three", 24, pair);
    trilateral.participations.push(with_role(&third, Role::Visitor, "TR"));
    names.push(service.create_meeting(&source, trilateral).await.unwrap().name);
    let mut month = account("In August", 24, pair);
    month.date = day(2020, 8, 0);
    names.push(service.create_meeting(&source, month).await.unwrap().name);
    let mut year = account("In 2020", 24, pair);
    year.date = day(2020, 0, 0);
    names.push(service.create_meeting(&source, year).await.unwrap().name);

    let found = of_account(&service, account("Other words", 24, pair)).await;
    assert_eq!(levels(&found)[0], (names[0].as_str(), Level::Same));
    let mut rest: Vec<_> = levels(&found).split_off(1);
    rest.sort_unstable();
    let mut expected: Vec<_> = [1, 3, 4, 5].map(|at: usize| (names[at].as_str(), Level::Candidate)).into();
    expected.sort_unstable();
    assert_eq!(rest, expected);
    assert!(found[1..].is_sorted_by(|a, b| (b.score, &a.meeting) <= (a.score, &b.meeting)));
    assert!(found.iter().all(|candidate| (0.0..=1.0).contains(&candidate.score) && !candidate.reasons.is_empty()));

    let kinds: Vec<ReasonKind> = found[0].reasons.iter().map(|reason| reason.kind()).collect();
    assert_eq!(kinds, [ReasonKind::SameDay, ReasonKind::SamePrincipals, ReasonKind::SameKind, ReasonKind::SamePlace]);
    assert_eq!(found[0].reasons[0].a, "2020-08-24");
    let first =
        MatchMeetingsRequest { account: Some(account("Other words", 24, pair)), page_size: 1, ..Default::default() };
    assert_eq!(matches(&service, first).await.unwrap(), found[..1]);
    // A year later there is nothing.
    let mut later = account("Talks", 24, pair);
    later.date = day(2021, 8, 24);
    assert_eq!(of_account(&service, later).await, []);
    // Neither is there without a date, without participants, or of somebody else.
    assert_eq!(of_account(&service, Account { date: None, ..account("Talks", 24, pair) }).await, []);
    assert_eq!(of_account(&service, talks("Talks")).await, []);
    let other = service.create_participant(person("Zakir Hasanov", "AZ")).await.name;
    assert_eq!(of_account(&service, account("Talks", 24, [&other, &third])).await, []);
}

#[tokio::test]
async fn match_meetings_finds_long_events_by_any_of_their_days() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, _] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let mut long = account("A month", 1, pair);
    long.date.as_mut().unwrap().end = day(2020, 8, 31).unwrap().start;
    let long = service.create_meeting(&source, long).await.unwrap().name;
    for date in [1, 15, 31] {
        assert_eq!(levels(&of_account(&service, account("Talks", date, pair)).await), [(long.as_str(), Level::Same)]);
    }
    let mut next = account("Talks", 1, pair);
    next.date = day(2020, 9, 1);
    assert_eq!(levels(&of_account(&service, next.clone()).await), [(long.as_str(), Level::Candidate)]);
    next.date = day(2020, 9, 2);
    assert_eq!(of_account(&service, next).await, []);
}

#[tokio::test]
async fn match_meetings_omits_meetings_that_lists_omit() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, _] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let mut names = Vec::new();
    for title in ["kept", "merged", "deleted", "retracted"] {
        names.push(service.create_meeting(&source, account(title, 24, pair)).await.unwrap().name);
    }
    let all = of_account(&service, account("Talks", 24, pair)).await;
    // Each of them is as good as the others.
    assert_eq!(all.len(), 4);
    for candidate in &all {
        assert_eq!(candidate.level(), Level::Candidate);
        assert!(candidate.reasons.iter().any(|reason| reason.kind() == ReasonKind::NotUnique));
    }
    service.merge(&names[0], &[&names[1]]).await.unwrap();
    service.delete_meeting(&names[2]).await.unwrap();
    let report = service.reports_of(&names[3]).await.remove(0);
    service.retract_report(&report.name).await.unwrap();
    let found = of_account(&service, account("Talks", 24, pair)).await;
    assert_eq!(levels(&found), [(names[0].as_str(), Level::Same)]);
}

#[tokio::test]
async fn article_orders_candidates_and_changes_no_level() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, _] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let mut names = Vec::new();
    for title in ["Naval exercises discussed", "Pipeline contract negotiated", "Border crossing reopened"] {
        names.push(service.create_meeting(&source, account(title, 25, pair)).await.unwrap().name);
    }
    let plain = of_account(&service, account("Talks", 24, pair)).await;
    for (name, word) in names.iter().zip(["exercises", "pipeline", "border crossing"]) {
        let text = format!("It was about the {word}, the ministry said.");
        for (rights, is_first) in [(TextRights::FullText, true), (TextRights::Withheld, false)] {
            let uri = format!("urn:{word}:{rights:?}");
            let about = Article { uri, text: text.clone(), text_rights: rights.into(), ..Default::default() };
            let about = service.create_article(about).await.name;
            let request = MatchMeetingsRequest {
                account: Some(account("Talks", 24, pair)),
                article: about,
                ..Default::default()
            };
            let found = matches(&service, request).await.unwrap();
            assert!(found.iter().all(|candidate| candidate.level() == Level::Candidate));
            if is_first {
                assert_eq!(found[0].meeting, *name);
            } else {
                // A hidden text has no effect.
                assert_eq!(levels(&found), levels(&plain));
            }
        }
    }
}

#[tokio::test]
async fn match_meetings_lowers_planned_events_and_background() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, _] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let planned = Account { status: Status::Planned.into(), ..account("Planned", 24, pair) };
    service.create_meeting(&source, planned.clone()).await.unwrap();
    let found = of_account(&service, account("Talks", 24, pair)).await;
    assert_eq!(found[0].level(), Level::Candidate);
    assert!(found[0].reasons.iter().any(|reason| reason.kind() == ReasonKind::OtherStatus));
    assert_eq!(of_account(&service, planned).await[0].level(), Level::Same);
}

#[tokio::test]
async fn match_meetings_finds_the_meeting_with_an_external_id_first() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, third] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let with_ids = |account: Account, values: &[&str]| Account {
        external_ids: values.iter().map(|value| id(value)).collect(),
        ..account
    };
    let like = service.create_meeting(&source, account("Talks", 24, pair)).await.unwrap().name;
    let held = with_ids(account("Other", 3, [&host, &third]), &["1", "2"]);
    let held = service.create_meeting(&source, held).await.unwrap().name;

    // The id decides, and the event that would be the same is a candidate. IngestStory decides alike.
    let sent = with_ids(account("Talks", 24, pair), &["3", "2"]);
    let found = of_account(&service, sent).await;
    assert_eq!(levels(&found), [(held.as_str(), Level::Same), (like.as_str(), Level::Candidate)]);
    let reason = &found[0].reasons[0];
    assert_eq!((reason.kind(), reason.a.as_str(), reason.weight), (ReasonKind::SameExternalId, "nsw:2", 1.0));
    assert_eq!((found[0].score, found[0].reasons.len()), (1.0, 1));
    assert_eq!(found[1].reasons.last().unwrap().kind(), ReasonKind::NotUnique);
    // Without a date and participants it is found too, and an event that is also like the account tells why.
    let bare = with_ids(talks("Talks"), &["1"]);
    assert_eq!(levels(&of_account(&service, Account { date: None, ..bare }).await), [(held.as_str(), Level::Same)]);
    let both = of_account(&service, with_ids(account("Other", 3, [&host, &third]), &["1"])).await;
    assert_eq!((levels(&both), both[0].score), (vec![(held.as_str(), Level::Same)], 1.0));
    assert!(both[0].reasons.iter().any(|reason| reason.kind() == ReasonKind::SamePrincipals), "{both:?}");

    // IngestStory refuses an account with the ids of two meetings.
    let other = with_ids(account("Third", 5, [&host, &third]), &["4"]);
    let other = service.create_meeting(&source, other).await.unwrap().name;
    let found = of_account(&service, with_ids(account("Talks", 24, pair), &["1", "4"])).await;
    let mut two: Vec<_> = levels(&found)[..2].to_vec();
    two.sort_unstable();
    let mut expected = [(held.as_str(), Level::Candidate), (other.as_str(), Level::Candidate)];
    expected.sort_unstable();
    assert_eq!(two, expected);
    assert!(found[..2].iter().all(|found| found.reasons.iter().any(|why| why.kind() == ReasonKind::NotUnique)));
    // A deleted meeting holds no id.
    service.delete_meeting(&other).await.unwrap();
    let found = of_account(&service, with_ids(account("Talks", 24, pair), &["4"])).await;
    assert_eq!(levels(&found), [(like.as_str(), Level::Same)]);
}

#[tokio::test]
async fn match_meetings_refuses_unknown_records_and_keys_of_stories() {
    let service = Service::start().await;
    let [host, visitor, third] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let ask = |account: Account, article: &str| {
        let request = MatchMeetingsRequest { account: Some(account), article: article.into(), ..Default::default() };
        matches(&service, request)
    };
    let unknown = format!("participants/{}", Uuid::now_v7());
    let status = ask(account("Talks", 24, [&host, &unknown]), "").await.unwrap_err();
    refused(status, Code::NotFound, ErrorReason::ResourceNotFound, &unknown);
    service.delete_participant(&third).await.unwrap();
    let status = ask(account("Talks", 24, [&host, &third]), "").await.unwrap_err();
    refused(status, Code::FailedPrecondition, ErrorReason::ResourceDeleted, &third);
    let unknown = format!("articles/{}", Uuid::now_v7());
    let status = ask(account("Talks", 24, pair), &unknown).await.unwrap_err();
    refused(status, Code::NotFound, ErrorReason::ResourceNotFound, &unknown);
    let status = ask(account("Talks", 24, [&host, "#p1"]), "").await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::invalid(["account.participations[1].participant"]));
    let status = matches(&service, MatchMeetingsRequest::default()).await.unwrap_err();
    assert_eq!(Refused::from(status), Refused::invalid(["account"]));
}

#[tokio::test]
async fn search_for_candidates_scans_no_whole_table() {
    fn nodes<'a>(node: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
        if let (Some(of), Some(relation)) = (node["Node Type"].as_str(), node["Relation Name"].as_str()) {
            found.push((of, relation));
        }
        match node {
            Value::Array(all) => all.iter().for_each(|child| nodes(child, found)),
            Value::Object(fields) => fields.values().for_each(|child| nodes(child, found)),
            _ => {}
        }
    }
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, _] = people(&service).await;
    service.create_meeting(&source, account("Talks", 24, [&host, &visitor])).await.unwrap();
    service.execute("analyze").await;
    let store = Store::new(service.database.clone().options([("enable_seqscan", "off")]));
    let mut ask = store.bounded_query(QueryClass::Page, Duration::from_secs(30)).await.unwrap();
    let first = chrono::NaiveDate::from_ymd_opt(2020, 8, 23).unwrap();
    let participants = [&host, &visitor].map(|name| name.rsplit('/').next().unwrap().parse().unwrap()).to_vec();
    let search = CandidateSearch { participants, first, last: first + chrono::Days::new(2) };
    let plan = plan(&mut ask, &[search]).await.unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let mut found = Vec::new();
    nodes(&plan, &mut found);
    assert!(found.iter().all(|(of, _)| *of != "Seq Scan"), "{found:?}");
    assert!(plan.to_string().contains("participation_day_idx"), "{plan}");
    drop(ask);
    store.close().await;
}
