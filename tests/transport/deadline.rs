//! Deadlines: queries are cancelled in time, in the database too.

use std::time::Duration;

use readout::{
    config::{self, CallLimits},
    pb::{AggregateMeetingsRequest, ErrorReason, ListMeetingsRequest},
};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tonic::{Code, Request, Status};

use crate::support::{Refused, Service, cluster, make, raw, reason_of};

async fn start(question_timeout: Duration) -> Service {
    let bounds = CallLimits { question_timeout, ..Default::default() };
    let config = config::Service { bounds, ..Default::default() };
    let mut service = Service::start_as(cluster::database().await, config).await;
    let people = [make::person("Kerim Veliyev", "AZ")];
    for number in 0..5 {
        service.ingest.ingest_story(make::ingest(make::story(&format!("urn:{number}"), &people))).await.unwrap();
    }
    service
}

/// Locks the meeting table, so that reads of it wait until the returned connection is closed.
async fn lock_meetings(service: &Service) -> PgConnection {
    let mut connection = service.database.connect().await.unwrap();
    for statement in ["begin", "lock table meeting in access exclusive mode"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection
}

/// Counts the service's statements that wait for a lock.
const WAITING: &str = "
    select count(*)
    from pg_stat_activity
    where datname = current_database() and application_name = 'readout' and wait_event_type = 'Lock'";

/// Returns once exactly `count` statements wait.
async fn until_waiting(service: &Service, count: i64) {
    while service.count(WAITING).await != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn query_above_the_timeout_is_cancelled_in_the_database() {
    let service = start(Duration::from_millis(300)).await;
    let held = lock_meetings(&service).await;
    let request = ListMeetingsRequest::default();
    let refused = service.meetings.clone().list_meetings(request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::DeadlineExceeded, ErrorReason::Deadline));
    until_waiting(&service, 0).await;
    // Each chunk of a stream has its own deadline.
    let mut chunks = service.meetings.clone().stream_meetings(request.clone()).await.unwrap().into_inner();
    let refused = chunks.message().await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::DeadlineExceeded, ErrorReason::Deadline));
    until_waiting(&service, 0).await;

    // The pooled connections are usable again.
    held.close().await.unwrap();
    for _ in 0..20 {
        assert_eq!(
            service.meetings.clone().list_meetings(request.clone()).await.unwrap().into_inner().meetings.len(),
            5
        );
    }
}

#[tokio::test]
async fn query_is_cancelled_at_the_clients_shorter_deadline() {
    let service = start(Duration::from_secs(60)).await;
    let _held = lock_meetings(&service).await;
    let mut request = Request::new(ListMeetingsRequest::default());
    // Four seconds leave the service time to answer before the client's own timer fires.
    request.set_timeout(Duration::from_secs(4));
    let refused = service.meetings.clone().list_meetings(request).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::DeadlineExceeded, ErrorReason::Deadline));
    until_waiting(&service, 0).await;
}

#[tokio::test]
async fn query_timeout_may_be_unlimited() {
    let service = start(Duration::MAX).await;
    let list = service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.unwrap();
    assert_eq!(list.into_inner().meetings.len(), 5);
}

#[tokio::test]
async fn query_is_cancelled_when_its_client_disconnects() {
    let service = start(Duration::from_secs(60)).await;
    let held = lock_meetings(&service).await;
    for _ in 0..6 {
        let mut client = service.meetings.clone();
        let call = tokio::spawn(async move { client.list_meetings(ListMeetingsRequest::default()).await });
        until_waiting(&service, 1).await;
        call.abort();
        until_waiting(&service, 0).await;
    }
    held.close().await.unwrap();
    let list = service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.unwrap();
    assert_eq!(list.into_inner().meetings.len(), 5);
}

#[tokio::test]
async fn slow_stream_reader_holds_neither_a_statement_nor_a_snapshot() {
    let service = start(Duration::from_secs(60)).await;
    let request = ListMeetingsRequest { page_size: 1, ..Default::default() };
    let mut chunks = service.meetings.clone().stream_meetings(request).await.unwrap().into_inner();
    assert_eq!(chunks.message().await.unwrap().unwrap().meetings.len(), 1);
    // An exclusive lock on the table is granted.
    let held = lock_meetings(&service).await;
    held.close().await.unwrap();
    let open = "
        select count(*)
        from pg_stat_activity
        where datname = current_database() and application_name = 'readout'
          and (state like 'idle in transaction%' or (state <> 'active' and backend_xmin is not null))";
    assert_eq!(service.count(open).await, 0);
    let mut rest = 0;
    while let Some(chunk) = chunks.message().await.unwrap() {
        rest += chunk.meetings.len();
    }
    assert_eq!(rest, 4);
}

#[tokio::test]
async fn list_does_not_wait_for_running_aggregations() {
    let service = start(Duration::from_secs(60)).await;
    let mut held = service.database.connect().await.unwrap();
    for statement in ["begin", "lock table participation in access exclusive mode"] {
        sqlx::query(statement).execute(&mut held).await.unwrap();
    }
    let count = || {
        let mut client = service.meetings.clone();
        let request = AggregateMeetingsRequest { group_by: vec!["participant".into()], ..Default::default() };
        tokio::spawn(async move { client.aggregate_meetings(request).await })
    };
    let counting: Vec<_> = (0..8).map(|_| count()).collect();
    until_waiting(&service, 2).await;
    let list = service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.unwrap();
    assert_eq!(list.into_inner().meetings.len(), 5);
    held.close().await.unwrap();
    // Some calls get no connection in time, but none hangs.
    for call in counting {
        assert!(matches!(call.await.unwrap().map_err(|status| status.code()), Ok(_) | Err(Code::Unavailable)));
    }
}

#[tokio::test]
async fn shortest_deadline_is_answered_with_deadline_exceeded() {
    let service = start(Duration::from_secs(60)).await;
    let _held = lock_meetings(&service).await;
    for (method, timeout) in [("ListMeetings", "1m"), ("ListMeetings", "0n"), ("StreamMeetings", "1m")] {
        let method = format!("readout.v1.MeetingService/{method}");
        let answered = raw::ask(service.address, &method, &[("grpc-timeout", timeout)]).await;
        let status = Status::from_header_map(&answered);
        // A stream may have started already: then its status is in the trailers.
        let code = status.map_or(Code::DeadlineExceeded, |status| status.code());
        assert_eq!(code, Code::DeadlineExceeded, "{method} {timeout}");
    }
}

#[tokio::test]
async fn malformed_grpc_timeout_is_refused() {
    let service = Service::start().await;
    for invalid in ["", "1", "m", "1.5S", "-1S", "+1S", "1s", "100000000n", "1 S"] {
        let answered =
            raw::ask(service.address, "readout.v1.MeetingService/ListMeetings", &[("grpc-timeout", invalid)]).await;
        let status = Status::from_header_map(&answered).expect("refused");
        assert_eq!(Refused::from(status), Refused::invalid(["grpc-timeout"]), "{invalid:?}");
    }
}
