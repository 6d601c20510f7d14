//! A valid request for every method of the contract, as dynamic messages.

use std::time::SystemTime;

use prost::Message;
use prost_reflect::DynamicMessage;
use readout::pb::{self, *};

use super::{base, revisions, world::World};
use crate::support::{data_dir::eventually, make};

/// Methods such as `ArticleService/GetArticle`, each with a valid request.
pub async fn all(world: &mut World) -> Vec<(&'static str, DynamicMessage)> {
    let (articles, participants, meetings) = (&world.articles, &world.participants, &world.meetings);
    let view = View::Basic.into();
    let read_time = Some(SystemTime::now().into());
    let mut requests = vec![
        of("ArticleService/CreateArticle", &base::create_article(world)),
        of("ArticleService/GetArticle", &GetArticleRequest { name: articles[0].clone(), view, read_time }),
        of("ArticleService/BatchGetArticles", &BatchGetArticlesRequest { names: articles.clone(), view, read_time }),
        of("ParticipantService/CreateParticipant", &base::create_participant(world)),
        of("ParticipantService/GetParticipant", &GetParticipantRequest { name: participants[0].clone(), read_time }),
        of(
            "ParticipantService/BatchGetParticipants",
            &BatchGetParticipantsRequest { names: participants.clone(), read_time },
        ),
        of("MeetingService/CreateMeeting", &base::create_meeting(world)),
        of("MeetingService/GetMeeting", &GetMeetingRequest { name: meetings[0].clone(), view, read_time }),
        of("MeetingService/BatchGetMeetings", &BatchGetMeetingsRequest { names: meetings.clone(), view, read_time }),
        of("MeetingService/AddReport", &base::add_report(world)),
        of("MeetingService/GetReport", &GetReportRequest { name: world.report.clone(), read_time }),
        of("IngestService/IngestStory", &base::ingest(world)),
        of("ChangeService/ListChanges", &list_changes()),
        of("FilterService/ListFilterFields", &ListFilterFieldsRequest { collection: "meetings".into() }),
    ];
    requests.extend(revisions::all(world).await);
    requests.extend(lists(world).await);
    requests.extend(analyses(world).await);
    requests
}

/// Requests of the analytic methods, which need participants who met.
async fn analyses(world: &mut World) -> Vec<(&'static str, DynamicMessage)> {
    let mut people = Vec::new();
    for id in ["a", "b", "c"] {
        people.push(world.service.create_participant(make::person(id, "RU")).await.name);
    }
    let participations = people.iter().map(|name| make::present(name, name)).collect();
    let (source, target) = (people[0].clone(), people[1].clone());
    let article = Article { name: world.articles[0].clone(), ..Default::default() };
    let account = Account { participations, ..make::talks("a meeting of three") };
    world.service.create_meeting(&article, account).await.unwrap();

    let read_time = Some(SystemTime::now().into());
    let filter = "kind = TALKS".to_owned();
    let group_by = list_counterparts_request::GroupBy::Participant.into();
    let mut counterparts = ListCounterpartsRequest {
        participant: source.clone(),
        filter: filter.clone(),
        page_size: 1,
        group_by,
        read_time,
        ..Default::default()
    };
    let page = world.service.participants.list_counterparts(counterparts.clone()).await.unwrap().into_inner();
    counterparts.page_token = page.next_page_token;
    let mut requests = matches(world, &people).await;
    requests.extend(persons(world).await);
    requests.extend([
        of("ParticipantService/ListCounterparts", &counterparts),
        of(
            "ParticipantService/FindPath",
            &FindPathRequest { source, target, max_depth: 2, filter: filter.clone(), read_time },
        ),
        of(
            "MeetingService/AggregateStatements",
            &AggregateStatementsRequest {
                filter: "act = STRESS".into(),
                group_by: vec!["speaker".into()],
                page_size: 1,
                order_by: "key".into(),
                query: "peace".into(),
                query_language: "en".into(),
                read_time,
            },
        ),
        of(
            "MeetingService/AggregateMeetings",
            &AggregateMeetingsRequest {
                filter,
                group_by: vec!["year".into()],
                page_size: 1,
                order_by: "key".into(),
                count_participants: true,
                read_time,
            },
        ),
    ]);
    requests
}

/// Requests on who is one person. The lists have page tokens: there are two judgements, and two pairs to review.
async fn persons(world: &mut World) -> Vec<(&'static str, DynamicMessage)> {
    let mut named = Vec::new();
    for (name, region) in
        [("Sergei Lavrov", "RU"), ("Sergey Lavrov", ""), ("Nikolai Petrov", "RU"), ("Nikolay Petrov", "")]
    {
        named.push(world.service.create_participant(make::settled_person(name, region)).await.name);
    }
    for other in [2, 3] {
        let request = JudgeParticipantsRequest {
            participant: named[0].clone(),
            other: named[other].clone(),
            verdict: judgement::Verdict::Different.into(),
            reason: "why".into(),
            ..Default::default()
        };
        world.service.participants.judge_participants(request).await.unwrap();
    }
    let mut judgements = ListJudgementsRequest { participant: named[0].clone(), page_size: 1, ..Default::default() };
    let page = world.service.participants.list_judgements(judgements.clone()).await.unwrap().into_inner();
    judgements.page_token = page.next_page_token;
    let mut duplicates = ListDuplicatesRequest { filter: "kind = PERSON".into(), page_size: 1, ..Default::default() };
    eventually("two pairs are to be reviewed", async || {
        let page = world.service.participants.clone().list_duplicates(duplicates.clone()).await.unwrap().into_inner();
        duplicates.page_token = page.next_page_token;
        let is_found = !duplicates.page_token.is_empty();
        if !is_found {
            duplicates.page_token.clear();
        }
        is_found
    })
    .await;
    vec![
        of("ParticipantService/ListJudgements", &judgements),
        of("ParticipantService/ListDuplicates", &duplicates),
        of(
            "ParticipantService/CompareParticipants",
            &CompareParticipantsRequest {
                participant_a: base::participant(world),
                participant_b: base::participant(world),
            },
        ),
        of(
            "ParticipantService/MatchParticipants",
            &MatchParticipantsRequest {
                participant: base::participant(world),
                date: Some(Date { year: 2020, month: 8, day: 24 }),
                organization: "Ministry of Defence".into(),
                co_participants: named[..2].to_vec(),
                page_size: 1,
            },
        ),
    ]
}

/// Requests that compare meetings. The list has a page token: three meetings of these people make three pairs.
async fn matches(world: &mut World, people: &[String]) -> Vec<(&'static str, DynamicMessage)> {
    let article = Article { name: world.articles[0].clone(), ..Default::default() };
    for title in ["first", "second", "third"] {
        let participations = people.iter().map(|name| make::present(name, name)).collect();
        let account = Account { participations, date: make::day(2020, 8, 24), ..make::talks(title) };
        world.service.create_meeting(&article, account).await.unwrap();
    }
    let mut duplicates =
        ListDuplicateMeetingsRequest { filter: "kind = TALKS".into(), page_size: 1, ..Default::default() };
    let page = world.service.meetings.list_duplicate_meetings(duplicates.clone()).await.unwrap().into_inner();
    duplicates.page_token = page.next_page_token;
    let account = base::account(world, "Talks");
    vec![
        of("MeetingService/MatchMeetings", &MatchMeetingsRequest { account, article: article.name, page_size: 1 }),
        of("MeetingService/ListDuplicateMeetings", &duplicates),
    ]
}

/// Requests of the list methods, each with a page token of the service.
async fn lists(world: &mut World) -> Vec<(&'static str, DynamicMessage)> {
    let service = &mut world.service;
    let order_by = || "update_time desc".to_owned();
    let read_time = Some(SystemTime::now().into());
    let (query, query_language) = ("veliyev -sport".to_owned(), "en".to_owned());
    let mut articles = ListArticlesRequest {
        filter: "publish_date < 1900 OR NOT section = sport".into(),
        query: query.clone(),
        query_language: query_language.clone(),
        page_size: 1,
        view: View::Full.into(),
        order_by: order_by(),
        read_time,
        ..Default::default()
    };
    let page = service.articles.list_articles(articles.clone()).await.unwrap().into_inner();
    articles.page_token = page.next_page_token;

    let mut participants = ListParticipantsRequest {
        filter: "kind = PERSON".into(),
        query: "-sport".into(),
        page_size: 1,
        order_by: order_by(),
        read_time,
        ..Default::default()
    };
    let page = service.participants.list_participants(participants.clone()).await.unwrap().into_inner();
    participants.page_token = page.next_page_token;

    let filter = "NOT kind = TALKS".into();
    let mut meetings = ListMeetingsRequest {
        filter,
        query: "-sport".into(),
        query_language: query_language.clone(),
        page_size: 1,
        view: View::Full.into(),
        order_by: order_by(),
        read_time,
        ..Default::default()
    };
    let page = service.meetings.list_meetings(meetings.clone()).await.unwrap().into_inner();
    meetings.page_token = page.next_page_token;

    let filter = "NOT act = DENY".into();
    let order_by = "date desc".into();
    let mut statements = ListStatementsRequest {
        filter,
        query,
        query_language,
        order_by,
        page_size: 1,
        read_time,
        ..Default::default()
    };
    let page = service.meetings.list_statements(statements.clone()).await.unwrap().into_inner();
    statements.page_token = page.next_page_token;

    let (meeting, article) = (world.meetings[0].clone(), world.articles[0].clone());
    let reports = ListReportsRequest { meeting, article, page_size: 1, read_time, ..Default::default() };
    let page = service.meetings.list_reports(reports.clone()).await.unwrap().into_inner();
    let reports = ListReportsRequest { page_token: page.next_page_token, ..reports };
    let (filter, order_by) = ("outcome = OK".to_owned(), "time".to_owned());
    let mut events = ListAuditEventsRequest { filter, order_by, page_size: 1, ..Default::default() };
    let mut audit = audit_service_client::AuditServiceClient::new(world.channel.clone());
    let page = audit.list_audit_events(events.clone()).await.unwrap().into_inner();
    events.page_token = page.next_page_token;
    let mut requests = vec![
        of("AuditService/ListAuditEvents", &events),
        of("ArticleService/ListArticles", &articles),
        of("ParticipantService/ListParticipants", &participants),
        of("MeetingService/ListMeetings", &meetings),
        of("MeetingService/ListReports", &reports),
        of("MeetingService/ListStatements", &statements),
    ];
    requests.extend(revision_lists(world).await);
    requests
}

/// Requests for the revisions of the deleted records, each with a page token; every deleted record has two revisions.
async fn revision_lists(world: &mut World) -> Vec<(&'static str, DynamicMessage)> {
    let service = &mut world.service;
    let [article, participant, meeting] = world.deleted.clone();
    let mut articles = ListArticleRevisionsRequest { name: article, page_size: 1, ..Default::default() };
    let page = service.articles.list_article_revisions(articles.clone()).await.unwrap().into_inner();
    articles.page_token = page.next_page_token;
    let mut participants = ListParticipantRevisionsRequest { name: participant, page_size: 1, ..Default::default() };
    let page = service.participants.list_participant_revisions(participants.clone()).await.unwrap().into_inner();
    participants.page_token = page.next_page_token;
    let mut meetings = ListMeetingRevisionsRequest { name: meeting, page_size: 1, ..Default::default() };
    let page = service.meetings.list_meeting_revisions(meetings.clone()).await.unwrap().into_inner();
    meetings.page_token = page.next_page_token;
    vec![
        of("ArticleService/ListArticleRevisions", &articles),
        of("ParticipantService/ListParticipantRevisions", &participants),
        of("MeetingService/ListMeetingRevisions", &meetings),
    ]
}

fn list_changes() -> ListChangesRequest {
    let start = Some(list_changes_request::Start::StartTime(Default::default()));
    ListChangesRequest { start, filter: "kind = CREATED".into(), include_resource: true, page_size: 1 }
}

/// The request as a dynamic message of its method's input type.
pub fn of(method: &'static str, request: &impl Message) -> (&'static str, DynamicMessage) {
    let (service, name) = method.split_once('/').expect("a service and a method");
    let service = pb::pool().get_service_by_name(&format!("readout.v1.{service}")).expect("a service");
    let descriptor = service.methods().find(|method| method.name() == name).expect("a method").input();
    let message = DynamicMessage::decode(descriptor, request.encode_to_vec().as_slice());
    (method, message.expect("a message of its type"))
}
