//! Questions end in time, in the database too.

use std::time::Duration;

use readout::{
    config::{self, Bounds},
    pb::{AggregateMeetingsRequest, ErrorReason, ListMeetingsRequest},
};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tonic::{Code, Request, Status};

use crate::support::{Refused, Service, cluster, make, raw, reason_of};

async fn start(question_timeout: Duration) -> Service {
    let bounds = Bounds { question_timeout, ..Default::default() };
    let config = config::Service { bounds, ..Default::default() };
    let mut service = Service::start_as(cluster::database().await, config).await;
    let people = [make::person("Kerim Veliyev", "AZ")];
    for number in 0..5 {
        service.ingest.ingest_story(make::ingest(make::story(&format!("urn:{number}"), &people))).await.unwrap();
    }
    service
}

/// Holds up whoever reads meetings, until it is closed.
async fn hold_up(service: &Service) -> PgConnection {
    let mut connection = service.database.connect().await.unwrap();
    for statement in ["begin", "lock table meeting in access exclusive mode"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection
}

/// How many statements of the service wait for that.
const WAITING: &str = "
    select count(*)
    from pg_stat_activity
    where datname = current_database() and application_name = 'readout' and wait_event_type = 'Lock'";

/// Comes back when so many statements wait.
async fn until_waiting(service: &Service, wanted: i64) {
    while service.count(WAITING).await != wanted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_cancelled_in_the_database() {
    let service = start(Duration::from_millis(300)).await;
    let held = hold_up(&service).await;
    let request = ListMeetingsRequest::default();
    let refused = service.meetings.clone().list_meetings(request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::DeadlineExceeded, ErrorReason::Deadline));
    until_waiting(&service, 0).await;
    // A chunk of a stream has a deadline of its own.
    let mut chunks = service.meetings.clone().stream_meetings(request.clone()).await.unwrap().into_inner();
    let refused = chunks.message().await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::DeadlineExceeded, ErrorReason::Deadline));
    until_waiting(&service, 0).await;

    // And the connections are as good as new.
    held.close().await.unwrap();
    for _ in 0..20 {
        assert_eq!(
            service.meetings.clone().list_meetings(request.clone()).await.unwrap().into_inner().meetings.len(),
            5
        );
    }
}

#[tokio::test]
async fn a_caller_who_waits_for_less_gets_less() {
    let service = start(Duration::from_secs(60)).await;
    let _held = hold_up(&service).await;
    let mut request = Request::new(ListMeetingsRequest::default());
    // The service's word comes before the client's own clock is up.
    request.set_timeout(Duration::from_secs(4));
    let refused = service.meetings.clone().list_meetings(request).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::DeadlineExceeded, ErrorReason::Deadline));
    until_waiting(&service, 0).await;
}

#[tokio::test]
async fn a_question_may_take_for_ever() {
    let service = start(Duration::MAX).await;
    let list = service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.unwrap();
    assert_eq!(list.into_inner().meetings.len(), 5);
}

#[tokio::test]
async fn whoever_goes_away_takes_the_question_along() {
    let service = start(Duration::from_secs(60)).await;
    let held = hold_up(&service).await;
    for _ in 0..6 {
        let mut client = service.meetings.clone();
        let asked = tokio::spawn(async move { client.list_meetings(ListMeetingsRequest::default()).await });
        until_waiting(&service, 1).await;
        asked.abort();
        until_waiting(&service, 0).await;
    }
    held.close().await.unwrap();
    let list = service.meetings.clone().list_meetings(ListMeetingsRequest::default()).await.unwrap();
    assert_eq!(list.into_inner().meetings.len(), 5);
}

#[tokio::test]
async fn a_slow_reader_holds_neither_a_statement_nor_a_snapshot() {
    let service = start(Duration::from_secs(60)).await;
    let request = ListMeetingsRequest { page_size: 1, ..Default::default() };
    let mut chunks = service.meetings.clone().stream_meetings(request).await.unwrap().into_inner();
    assert_eq!(chunks.message().await.unwrap().unwrap().meetings.len(), 1);
    // Whoever wants the table for itself gets it.
    let held = hold_up(&service).await;
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
async fn a_page_does_not_wait_for_those_who_count() {
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
    // Some did not get a connection in time; nobody is stuck.
    for one in counting {
        assert!(matches!(one.await.unwrap().map_err(|status| status.code()), Ok(_) | Err(Code::Unavailable)));
    }
}

#[tokio::test]
async fn the_least_deadline_is_told_as_one() {
    let service = start(Duration::from_secs(60)).await;
    let _held = hold_up(&service).await;
    for (method, timeout) in [("ListMeetings", "1m"), ("ListMeetings", "0n"), ("StreamMeetings", "1m")] {
        let method = format!("readout.v1.MeetingService/{method}");
        let answered = raw::ask(service.address, &method, &[("grpc-timeout", timeout)]).await;
        let status = Status::from_header_map(&answered);
        // A stream has begun, and says so at its end.
        let code = status.map_or(Code::DeadlineExceeded, |status| status.code());
        assert_eq!(code, Code::DeadlineExceeded, "{method} {timeout}");
    }
}

#[tokio::test]
async fn a_deadline_that_is_none_is_refused() {
    let service = Service::start().await;
    for wrong in ["", "1", "m", "1.5S", "-1S", "+1S", "1s", "100000000n", "1 S"] {
        let answered =
            raw::ask(service.address, "readout.v1.MeetingService/ListMeetings", &[("grpc-timeout", wrong)]).await;
        let status = Status::from_header_map(&answered).expect("refused");
        assert_eq!(Refused::from(status), Refused::invalid(["grpc-timeout"]), "{wrong:?}");
    }
}
