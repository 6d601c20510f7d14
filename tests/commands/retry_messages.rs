//! Commands that wait print the reason, and obey the retry delay of the service.

use std::{
    collections::{HashMap, VecDeque},
    net::{SocketAddr, TcpListener as StdListener},
    pin::Pin,
    sync::Mutex,
    time::{Duration, Instant},
};

use readout::pb::{
    ListChangesRequest, ListChangesResponse, Notice, WatchChangesRequest, WatchChangesResponse,
    change_service_server::{ChangeService, ChangeServiceServer},
    notice,
    watch_changes_response::Event,
};
use tokio::net::TcpListener;
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::{Code, Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

use crate::support::{
    data_dir::{DataDir, within_timeout},
    program::{Program, StderrReader, run},
};

/// A feed that refuses watches with these statuses in turn, and then reports that the watch has caught up.
struct Feed {
    refusals: Mutex<VecDeque<Status>>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ChangeService for Feed {
    type WatchChangesStream = Answers<WatchChangesResponse>;

    async fn watch_changes(
        &self,
        _: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        if let Some(status) = self.refusals.lock().unwrap().pop_front() {
            return Err(status);
        }
        let mut caught_up = Notice::default();
        caught_up.set_kind(notice::Kind::CaughtUp);
        let end = WatchChangesResponse { cursor: "01".into(), event: Some(Event::Notice(caught_up)) };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(end)]))))
    }

    async fn list_changes(&self, _: Request<ListChangesRequest>) -> Result<Response<ListChangesResponse>, Status> {
        Err(Status::unimplemented("only WatchChanges is implemented"))
    }
}

async fn feed(refusals: impl IntoIterator<Item = Status>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let feed = Feed { refusals: Mutex::new(refusals.into_iter().collect()) };
    let serve = Server::builder().add_service(ChangeServiceServer::new(feed));
    tokio::spawn(serve.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

fn retry_after(pause: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info("OVERLOADED", "readout.v1", HashMap::new());
    details.set_retry_info(Some(pause));
    Status::with_error_details(Code::Unavailable, "OVERLOADED: too much is asked", details)
}

#[tokio::test]
async fn a_watch_waits_for_the_retry_delay_of_the_service_and_prints_why() {
    let pause = Duration::from_millis(1_200);
    let address = feed([retry_after(pause), retry_after(pause)]).await.to_string();
    let start = Instant::now();
    let ran = run(["watch", "--server", &address, "--until-caught-up"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    assert!(start.elapsed() >= 2 * pause);
    assert!(ran.stderr.starts_with(&format!("waiting for http://{address}: ")), "{ran:?}");
    assert!(ran.stderr.contains("OVERLOADED: too much is asked"), "{ran:?}");
}

#[tokio::test]
async fn a_watch_fails_at_once_on_a_permanent_status() {
    for code in [
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::InvalidArgument,
        Code::Unimplemented,
        Code::NotFound,
        Code::OutOfRange,
        Code::ResourceExhausted,
        Code::Internal,
    ] {
        // A watch that retries would get the second status.
        let address = feed([Status::new(code, "no"), Status::new(code, "again")]).await.to_string();
        let ran = run(["watch", "--server", &address, "--until-caught-up"]).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{code:?}: {ran:?}");
        assert!(ran.stderr.starts_with("readout: ") && ran.stderr.contains(": no"), "{code:?}: {ran:?}");
    }
}

#[tokio::test]
async fn a_watch_prints_that_it_waits_for_a_service_that_has_not_started() {
    let listen = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut watch = StderrReader::start(["watch", "--server", &listen, "--from", "beginning", "--until-caught-up"]);
    let line = watch.line().await;
    assert!(line.starts_with(&format!("waiting for http://{listen}: Connection refused")), "{line}");
    let dir = DataDir::with_database().await;
    let service = Program::start(&dir, &["--listen", &listen]);
    service.address().await;
    assert_eq!(watch.ended().await, Some(0));
    service.stop().await;
}

#[tokio::test]
async fn client_commands_print_that_they_wait_for_a_silent_service() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for command in [vec!["watch"], vec!["export"], vec!["import", "/dev/null"], vec!["duplicates"]] {
        let mut stderr = StderrReader::start(command.iter().copied().chain(["--server", &address]));
        let line = within_timeout("a line", stderr.line()).await;
        assert_eq!(line, format!("waiting for http://{address}: no answer yet"), "{command:?}");
    }
}
