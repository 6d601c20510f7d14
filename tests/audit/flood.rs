//! Many refused calls, and queries over many events.

use futures_util::{StreamExt, stream};
use readout::{
    config::{self, Audit, AuditedCalls},
    model::role::Role,
    pb::{
        Article, AuditEvent, ErrorReason, IngestStoriesRequest, ListAuditEventsRequest, Story, article::TextRights,
        audit_service_client::AuditServiceClient, ingest_stories_response::Outcome,
    },
};
use sqlx::{Connection, PgConnection};
use tonic::{Code, Status};

use super::{events, events_when};
use crate::{
    access::{
        self,
        scopes::{Desk, INSIDE, OUTSIDE, article},
    },
    support::{
        Service, cluster,
        data_dir::eventually,
        make::{self, streamed},
        raw,
        status::Refused,
    },
};

#[tokio::test]
async fn flood_of_refused_calls_is_a_few_events_that_stand_soon_and_count_all() {
    const CALLS: usize = 4_000;
    let service = access::start(access::api_tokens()).await;
    let admin = access::token(&service.database, "auditor", Role::Admin).await.reveal();
    let channel = service.channel().await;
    let filter = "outcome = CREDENTIALS_MISSING";
    let call = |number: usize| {
        let channel = channel.clone();
        async move {
            // A quarter of the calls are of methods that do not exist, each with another name.
            let method = match number % 4 {
                0 => format!("readout.v1.Service{number}/Method"),
                _ => "readout.v1.MeetingService/GetMeeting".to_owned(),
            };
            assert_eq!(raw::unary(&channel, &method, Vec::new()).await.unwrap_err().code(), Code::Unauthenticated);
        }
    };
    call(1).await;
    events_when(&service, Some(&admin), filter, |found| found.len() == 1 && found[0].count == 1).await;
    stream::iter(1..CALLS).map(call).buffer_unordered(64).collect::<Vec<_>>().await;
    let total = |found: &[AuditEvent]| found.iter().map(|event| event.count).sum::<i64>();
    let found = events_when(&service, Some(&admin), filter, |found| total(found) == CALLS as i64).await;
    let mut methods: Vec<_> = found.iter().map(|event| event.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    assert_eq!(methods, ["readout.v1.MeetingService/GetMeeting", "unknown"]);
    // Two of the minute, and two of the next if the test meets its end.
    assert!(found.len() <= 4, "{found:?}");
    assert!(found.iter().all(|event| event.principal == "127.0.0.1" && event.names.is_empty()), "{found:?}");
}

#[tokio::test]
async fn refused_stories_of_a_stream_leave_events_with_their_articles() {
    let desk = Desk::start().await;
    let outside = desk.create(&desk.free, article("urn:outside", OUTSIDE)).await.unwrap();
    let story = |article: Article| IngestStoriesRequest {
        allow_update: true,
        ..streamed(Story { article: Some(article), ..Default::default() })
    };
    let stories = [
        story(Article { title: "Talks".into(), ..article("urn:outside", OUTSIDE) }),
        story(article("urn:new", OUTSIDE)),
        story(article("urn:inside", INSIDE)),
    ];
    let request = access::with(&desk.bound, tokio_stream::iter(stories));
    let mut answers = desk.service.ingest.clone().ingest_stories(request).await.unwrap().into_inner();
    let mut accepted = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        accepted.push(matches!(answer.outcome, Some(Outcome::Result(_))));
    }
    assert_eq!(accepted, [false, false, true]);
    let filter = "outcome = OUT_OF_SCOPE";
    let found =
        events_when(&desk.service, Some(&desk.free), filter, |found| found.iter().any(|event| event.count == 2));
    let [event] = &found.await[..] else { panic!("one event") };
    assert_eq!(
        (event.principal.as_str(), event.method.as_str()),
        ("token/bound", "readout.v1.IngestService/IngestStories")
    );
    assert_eq!(event.names, [outside.name]);

    // A hidden text, by a writer without scopes.
    let writer = access::token(&desk.service.database, "writer", Role::Writer).await.reveal();
    let hidden = |rights: TextRights| {
        let article = Article { text_rights: rights.into(), ..make::article("urn:hidden") };
        story(article)
    };
    let stories = [TextRights::FullText, TextRights::Withheld, TextRights::FullText].map(hidden);
    let request = access::with(&writer, tokio_stream::iter(stories));
    let mut answers = desk.service.ingest.clone().ingest_stories(request).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    let found = events_when(&desk.service, Some(&desk.free), "outcome = TEXT_HIDDEN", |found| found.len() == 1).await;
    assert_eq!((found[0].principal.as_str(), found[0].names.len(), found[0].count), ("token/writer", 1, 1));
}

#[tokio::test]
async fn events_that_cannot_be_stored_are_counted_in_an_event() {
    let audit = Audit { audit: AuditedCalls::Reads, ..Audit::default() };
    let service = Service::start_as(cluster::database().await, config::Service { audit, ..Default::default() }).await;
    service.execute("alter table audit_event add constraint no_reads check (outcome <> 'OK')").await;
    for _ in 0..5 {
        service.participants_where("").await;
    }
    let dropped = |found: &[AuditEvent]| found.iter().map(|event| event.count).sum::<i64>() == 5;
    let found = eventually_dropped(&service, dropped).await;
    assert!(found.iter().all(|event| event.principal == "readout" && event.method == "readout/DropEvents"));
}

/// Waits until the events of dropped reads fulfil a condition. The reads of this list are dropped too.
async fn eventually_dropped(service: &Service, is_fulfilled: impl Fn(&[AuditEvent]) -> bool) -> Vec<AuditEvent> {
    let count = "select coalesce(sum(count), 0)::bigint from audit_event where outcome = 'READS_DROPPED'";
    eventually("the drops are counted", async || service.count(count).await == 5).await;
    service.execute("alter table audit_event drop constraint no_reads").await;
    let found = events(service, None, "outcome = READS_DROPPED").await;
    assert!(is_fulfilled(&found), "{found:?}");
    found
}

#[tokio::test]
async fn filter_over_years_ends_at_its_deadline_and_is_answered_in_pages() {
    let service = Service::start().await;
    service
        .execute(
            "insert into audit_event (time, principal, peer, method, names, reason, outcome, request_id)
             select now() - number * interval '10 minutes', 'token/a', '', 'a/A', array['articles/' || number], '',
                    'OK', ''
             from generate_series(1, 250000) as number",
        )
        .await;
    let mut client = AuditServiceClient::new(service.channel().await);
    let (mut pages, mut page_token) = (0, String::new());
    let filter = "name = \"articles/250000\"";
    let found = loop {
        let request = ListAuditEventsRequest { filter: filter.into(), page_token, ..Default::default() };
        let page = client.list_audit_events(request).await.unwrap().into_inner();
        pages += 1;
        if let [event] = &page.events[..] {
            break event.clone();
        }
        page_token = page.next_page_token;
        assert!(!page_token.is_empty());
    };
    assert_eq!((pages, found.names.as_slice()), (3, ["articles/250000".to_owned()].as_slice()));

    // The statement waits for a lock: the call ends at its deadline, and the service continues.
    let mut connection = PgConnection::connect_with(&service.database).await.unwrap();
    let mut lock = connection.begin().await.unwrap();
    sqlx::query("lock table audit_event").execute(&mut *lock).await.unwrap();
    let timeout = [("grpc-timeout", "300m")];
    let headers = raw::ask(service.address, "readout.v1.AuditService/ListAuditEvents", &timeout).await;
    let status = Status::from_header_map(&headers).expect("a status");
    assert_eq!(Refused::from(status), Refused::with(Code::DeadlineExceeded, ErrorReason::Deadline));
    lock.rollback().await.unwrap();
    assert_eq!(events(&service, None, "time >= \"2001\" AND time < \"2002\"").await, []);
    service.create_participant(make::person("Kerim Veliyev", "AZ")).await;
}

#[tokio::test]
async fn page_of_large_events_fits_into_a_message() {
    let service = Service::start().await;
    service
        .execute(
            "insert into audit_event (time, principal, peer, method, names, reason, outcome, request_id)
             select now(), 'token/a', '', 'a/A',
                    array(select 'articles/' || gen_random_uuid() from generate_series(1, 100) where number > 0),
                    repeat('é', 1000), 'OK', ''
             from generate_series(1, 1200) as number",
        )
        .await;
    let mut client = AuditServiceClient::new(service.channel().await);
    let request = ListAuditEventsRequest { page_size: 1_000, ..Default::default() };
    let page = client.list_audit_events(request).await.unwrap().into_inner();
    assert!((100..1_000).contains(&page.events.len()) && !page.next_page_token.is_empty(), "{}", page.events.len());
    let bytes = prost::Message::encoded_len(&page);
    assert!((1_900_000..=2 << 20).contains(&bytes), "{bytes}");
    assert_eq!(events(&service, None, "").await.len(), 1_200);
}
