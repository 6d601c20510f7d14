//! Queries with `read_time`: their bounds, their errors, and texts that are hidden since. `tests/identity/read_time.rs`
//! compares their answers with those that were given at the time.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;
use readout::{
    model::resource::Collection,
    pb::{
        AggregateMeetingsRequest, AggregateStatementsRequest, Article, ErrorReason, FindPathRequest,
        ListArticlesRequest, ListCounterpartsRequest, ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest,
        ListStatementsRequest, Participant, View, article::TextRights,
    },
    store::{
        Store,
        query::{
            QueryClass,
            former::{FormerBound, MAX_FORMER, TooMuchChanged, docs},
        },
    },
};
use tonic::{Code, Status};

use crate::support::{
    Refused, Service, cluster,
    make::{article, person, present, talks},
    status::metadata_of,
};

type Time = Option<Timestamp>;

fn now() -> Time {
    Some(SystemTime::now().into())
}

/// The names of participants in a list as of a time.
async fn participants_at(service: &Service, filter: &str, read_time: Time) -> Result<Vec<String>, Status> {
    let request = ListParticipantsRequest { filter: filter.into(), page_size: 1_000, read_time, ..Default::default() };
    let page = service.participants.clone().list_participants(request).await?.into_inner();
    Ok(page.participants.into_iter().map(|participant| participant.display_name).collect())
}

/// The articles that a list in the FULL view has as of a time.
async fn articles_at(service: &Service, query: &str, read_time: Time) -> Vec<Article> {
    let view = View::Full.into();
    let request = ListArticlesRequest { query: query.into(), view, read_time, ..Default::default() };
    service.articles.clone().list_articles(request).await.expect("a page").into_inner().articles
}

#[tokio::test]
async fn queries_before_the_first_record_have_empty_answers() {
    let service = Service::start().await;
    let read_time = now();
    let source = service.create_article(article("urn:a")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let meeting = service.create_meeting(&source, talks("Talks")).await.unwrap();

    assert_eq!(participants_at(&service, "", read_time).await.unwrap(), [""; 0]);
    assert_eq!(articles_at(&service, "", read_time).await, []);
    let mut meetings = service.meetings.clone();
    let listed = meetings.list_meetings(ListMeetingsRequest { read_time, ..Default::default() }).await.unwrap();
    assert_eq!(listed.into_inner().meetings, []);
    let statements = meetings.list_statements(ListStatementsRequest { read_time, ..Default::default() }).await.unwrap();
    assert_eq!(statements.into_inner().results, []);
    let of_article = ListReportsRequest { article: source.name, read_time, ..Default::default() };
    assert_eq!(meetings.list_reports(of_article).await.unwrap().into_inner().reports, []);
    let of_meeting = ListReportsRequest { meeting: meeting.name, read_time, ..Default::default() };
    assert_eq!(meetings.list_reports(of_meeting).await.unwrap().into_inner().reports, []);
    let counts = AggregateMeetingsRequest { read_time, ..Default::default() };
    let counts = meetings.aggregate_meetings(counts).await.unwrap().into_inner();
    assert_eq!(counts.groups[0].meeting_count, 0);
    let counts = AggregateStatementsRequest { read_time, ..Default::default() };
    let counts = meetings.aggregate_statements(counts).await.unwrap().into_inner();
    assert_eq!(counts.groups, []);
    let counterparts = ListCounterpartsRequest { participant: veliyev.name, read_time, ..Default::default() };
    let refused = service.participants.clone().list_counterparts(counterparts).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
}

#[tokio::test]
async fn queries_refuse_a_read_time_in_the_future() {
    let service = Service::start().await;
    let read_time = Some((SystemTime::now() + Duration::from_secs(60)).into());
    let (mut articles, mut participants, mut meetings) =
        (service.articles.clone(), service.participants.clone(), service.meetings.clone());
    let (name, other) =
        (Collection::Participants.name(uuid::Uuid::now_v7()), Collection::Participants.name(uuid::Uuid::now_v7()));
    let of_participant = ListCounterpartsRequest { participant: name.clone(), read_time, ..Default::default() };
    let of_ends = FindPathRequest { source: name, target: other, read_time, ..Default::default() };
    let refusals = [
        articles.list_articles(ListArticlesRequest { read_time, ..Default::default() }).await.map(drop),
        articles.stream_articles(ListArticlesRequest { read_time, ..Default::default() }).await.map(drop),
        participants.list_participants(ListParticipantsRequest { read_time, ..Default::default() }).await.map(drop),
        participants.stream_participants(ListParticipantsRequest { read_time, ..Default::default() }).await.map(drop),
        meetings.list_meetings(ListMeetingsRequest { read_time, ..Default::default() }).await.map(drop),
        meetings.stream_meetings(ListMeetingsRequest { read_time, ..Default::default() }).await.map(drop),
        meetings.list_statements(ListStatementsRequest { read_time, ..Default::default() }).await.map(drop),
        meetings.aggregate_meetings(AggregateMeetingsRequest { read_time, ..Default::default() }).await.map(drop),
        meetings.aggregate_statements(AggregateStatementsRequest { read_time, ..Default::default() }).await.map(drop),
        participants.list_counterparts(of_participant).await.map(drop),
        participants.find_path(of_ends).await.map(drop),
    ];
    for refusal in refusals {
        let refused = Refused::from(refusal.unwrap_err());
        assert_eq!(refused, Refused::invalid(["read_time"]));
    }
}

#[tokio::test]
async fn page_token_of_a_list_is_bound_to_its_read_time() {
    let service = Service::start().await;
    for number in 0..3 {
        service.create_participant(person(&format!("Kerim {number}"), "AZ")).await;
    }
    let request = ListParticipantsRequest { page_size: 1, read_time: now(), ..Default::default() };
    let mut client = service.participants.clone();
    let page = client.list_participants(request.clone()).await.unwrap().into_inner();
    for read_time in [None, now()] {
        let other = ListParticipantsRequest { page_token: page.next_page_token.clone(), read_time, ..request.clone() };
        let refused = Refused::from(client.list_participants(other).await.unwrap_err());
        assert_eq!(refused, Refused::fields(ErrorReason::InvalidPageToken, ["page_token"]));
    }
}

#[tokio::test]
async fn text_that_is_withheld_is_neither_shown_nor_found_as_of_an_earlier_time() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let second = service.create_article(Article { text: "Veliyev spoke.".into(), ..article("urn:b") }).await;
    let read_time = now();
    let shown = |articles: Vec<Article>| articles.into_iter().map(|article| article.text).collect::<Vec<_>>();
    let before = shown(articles_at(&service, "", read_time).await);
    assert_eq!(before, [first.text.clone(), second.text.clone()]);
    assert_eq!(shown(articles_at(&service, "veliyev", read_time).await).len(), 2);

    let hidden = Article { text_rights: TextRights::Withheld.into(), ..first.clone() };
    service.update_article(hidden, &["text_rights"]).await.unwrap();
    assert_eq!(shown(articles_at(&service, "", read_time).await), ["", &second.text]);
    assert_eq!(shown(articles_at(&service, "veliyev", read_time).await), [second.text.as_str()]);
    let other = Article { text: "Another text.".into(), ..second.clone() };
    service.update_article(other, &["text"]).await.unwrap();
    assert_eq!(shown(articles_at(&service, "veliyev", read_time).await), [second.text.as_str()]);
    assert_eq!(shown(articles_at(&service, "another", read_time).await), [""; 0]);
    service.erase_article_text(&second.name).await.unwrap();
    assert_eq!(shown(articles_at(&service, "", read_time).await), ["", ""]);
    assert_eq!(shown(articles_at(&service, "veliyev", read_time).await), [""; 0]);
}

#[tokio::test]
async fn former_records_are_read_up_to_their_bound_and_not_beyond() {
    let service = Service::start().await;
    let mut people = Vec::new();
    for number in 0..3 {
        people.push(service.create_participant(person(&format!("Kerim {number}"), "AZ")).await);
    }
    let time = SystemTime::now().into();
    for person in &people {
        let next = Participant { note: "changed".into(), ..person.clone() };
        service.update_participant(next, &["note"]).await.unwrap();
    }
    // Records that are newer than the time do not count.
    service.create_participant(person("Kerim 4", "AZ")).await;
    let store = Store::new(service.database.clone());
    let read = async |records, bytes| {
        let mut db = store.bounded_query(QueryClass::Page, Duration::from_secs(30)).await.unwrap();
        docs(&mut db, Collection::Participants, time, FormerBound { records, bytes }).await.unwrap()
    };
    let whole = read(3, i64::MAX).await.unwrap();
    assert_eq!(whole.len(), 3);
    let bytes: i64 = whole.iter().map(|doc| doc.bytes.len() as i64).sum();
    assert_eq!(read(3, bytes).await.unwrap().len(), 3);
    assert_eq!(read(3, bytes - 1).await.unwrap_err(), TooMuchChanged::Bytes(Collection::Participants, bytes));
    assert_eq!(read(2, bytes).await.unwrap_err(), TooMuchChanged::Records(Collection::Participants, 2));
    store.close().await;
}

#[tokio::test]
async fn list_refuses_a_time_since_which_too_much_has_changed() {
    let service = Service::start().await;
    let read_time = now();
    // Empty docs are participants without any field.
    let former = format!(
        "insert into participant (id, revision, contract, doc, kind, create_time, update_time)
         select gen_random_uuid(), 2, 1, '', 1, now() - interval '1 day', now() + interval '1 second'
         from generate_series(1, {});
         insert into superseded (collection, id, revision, contract, doc, update_time)
         select 1, id, 1, contract, doc, create_time
         from participant;",
        MAX_FORMER.records
    );
    service.execute(former.leak()).await;
    assert_eq!(participants_at(&service, "region = \"AZ\"", read_time).await.unwrap(), [""; 0]);
    service
        .execute(
            "with added as (
                 insert into participant (id, revision, contract, doc, kind, create_time, update_time)
                 values (gen_random_uuid(), 2, 1, '', 1, now() - interval '1 day', now() + interval '1 second')
                 returning id, create_time
             )
             insert into superseded (collection, id, revision, contract, doc, update_time)
             select 1, id, 1, 1, '', create_time
             from added",
        )
        .await;
    let refused = participants_at(&service, "region = \"AZ\"", read_time).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "limit"), MAX_FORMER.records.to_string());
    assert_eq!(metadata_of(&refused, "collection"), "participants");
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::TooMuchChanged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_as_of_a_time_is_the_same_after_concurrent_writes_of_two_instances() {
    const WRITERS: usize = 4;
    const WRITES: usize = 40;
    let database = cluster::database().await;
    let services = [Service::start_on(database.clone()).await, Service::start_on(database).await];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut client = services[writer % 2].participants.clone();
            tokio::spawn(async move {
                for number in 0..WRITES {
                    let participant = Some(person(&format!("Kerim {writer} {number}"), "AZ"));
                    let request = readout::pb::CreateParticipantRequest { participant, ..Default::default() };
                    client.create_participant(request).await.expect("a new participant");
                }
            })
        })
        .collect();
    let mut answers = Vec::new();
    while !writers.iter().all(|writer| writer.is_finished()) {
        let (time, service) = (now(), &services[answers.len() % 2]);
        answers.push((time, participants_at(service, "", time).await.unwrap()));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for (time, answer) in &answers {
        assert_eq!(&participants_at(&services[0], "", *time).await.unwrap(), answer);
    }
    assert_eq!(participants_at(&services[1], "", now()).await.unwrap().len(), WRITERS * WRITES);
    for service in services {
        service.stop().await;
    }
}

#[tokio::test]
async fn counts_as_of_a_time_have_the_account_of_then() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let mut account = talks("Talks");
    account.participations = vec![present("a", &veliyev.name)];
    let meeting = service.create_meeting(&source, account).await.unwrap();
    let read_time = now();
    let count = async |read_time| {
        let group_by = vec!["kind".to_owned()];
        let request = AggregateMeetingsRequest { group_by, count_participants: true, read_time, ..Default::default() };
        let counted = service.meetings.clone().aggregate_meetings(request).await.unwrap().into_inner();
        counted.groups.into_iter().map(|group| (group.meeting_count, group.participant_count)).collect::<Vec<_>>()
    };
    assert_eq!(count(read_time).await, [(1, 1)]);
    service.delete_meeting(&meeting.name).await.unwrap();
    assert_eq!(count(read_time).await, [(1, 1)]);
    assert_eq!(count(None).await, []);
    assert_eq!(count(now()).await, []);
}

#[tokio::test]
async fn list_as_of_a_time_refuses_a_name_that_too_many_participants_have() {
    let service = Service::start().await;
    service.create_participant(person("Kerim Veliyev", "AZ")).await;
    // With the first one, 10,000 participants have the name.
    service
        .execute(
            "insert into participant (id, revision, contract, doc, kind, create_time, update_time)
             select gen_random_uuid(), 1, 1, '', 1, now() - interval '1 day', now() - interval '1 day'
             from generate_series(1, 9999);
             insert into participant_name (key, participant, person)
             select known.key, participant.id, participant.id
             from (select distinct key from participant_name) as known
             cross join participant
             where participant.doc = ''",
        )
        .await;
    let filter = "name = \"Kerim Veliyev\"";
    assert_eq!(participants_at(&service, filter, now()).await.unwrap().len(), 1_000);
    service
        .execute(
            "with added as (
                 insert into participant (id, revision, contract, doc, kind, create_time, update_time)
                 values (gen_random_uuid(), 1, 1, '', 1, now() - interval '1 day', now() - interval '1 day')
                 returning id
             )
             insert into participant_name (key, participant, person)
             select known.key, added.id, added.id
             from (select distinct key from participant_name) as known
             cross join added",
        )
        .await;
    let refused = participants_at(&service, filter, now()).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "limit_rows"), "10000");
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::TooMuchChanged));
}
