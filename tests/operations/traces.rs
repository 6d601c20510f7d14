//! Traces, as a collector receives them.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use readout::pb::{
    CreateParticipantRequest, GetParticipantRequest, ListMeetingsRequest, meeting_service_client::MeetingServiceClient,
    participant_service_client::ParticipantServiceClient,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::http,
    server::{Grpc, NamedService, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;

use super::Operated;
use crate::support::{data_dir::within_timeout, make, program::run_with};

#[derive(Clone, PartialEq, prost::Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

/// The part of a span that the tests look at (opentelemetry/proto/trace/v1/trace.proto).
#[derive(Clone, PartialEq, prost::Message)]
struct Span {
    #[prost(bytes, tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes, tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes, tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(int64, optional, tag = "3")]
    number: Option<i64>,
}

/// A collector that passes the spans it receives to the test.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<Span>);

impl Collector {
    async fn start() -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, spans) = mpsc::unbounded_channel();
        let served = Server::builder().add_service(Self(sender)).serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(served);
        (address, spans)
    }
}

impl UnaryService<Export> for Collector {
    type Response = Export;
    type Future = Ready<Result<Response<Export>, Status>>;

    fn call(&mut self, request: Request<Export>) -> Self::Future {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).for_each(|span| drop(self.0.send(span)));
        ready(Ok(Response::new(Export::default())))
    }
}

impl tonic::codegen::Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let collector = self.clone();
        Box::pin(async { Ok(Grpc::new(ProstCodec::<Export, Export>::default()).unary(collector, request).await) })
    }
}

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn in_trace<T>(message: T, trace: &str, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{trace}-00f067aa0ba902b7-{flags}");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request
}

#[tokio::test]
async fn a_call_is_exported_as_a_span_of_its_callers_trace_with_database_spans_below() {
    let (collector, mut spans) = Collector::start().await;
    let args = ["--otlp-endpoint", &format!("http://{collector}"), "--otlp-sample", "0"];
    let service = Operated::start_with(&args).await;
    let mut participants = ParticipantServiceClient::new(service.program.channel().await);
    let create =
        || CreateParticipantRequest { participant: Some(make::person("Kerim Veliyev", "AZ")), ..Default::default() };
    // A call whose caller does not sample its trace, and a call without a trace: neither is exported.
    let other = "11111111111111111111111111111111";
    participants.create_participant(in_trace(create(), other, "00")).await.unwrap();
    participants.create_participant(create()).await.unwrap();
    participants.create_participant(in_trace(create(), TRACE, "01")).await.unwrap();
    let missing = GetParticipantRequest {
        name: "participants/01890000-0000-7000-8000-000000000000".into(),
        ..Default::default()
    };
    participants.get_participant(in_trace(missing, TRACE, "01")).await.unwrap_err();
    let mut meetings = MeetingServiceClient::new(service.program.channel().await);
    meetings.list_meetings(in_trace(ListMeetingsRequest::default(), TRACE, "01")).await.unwrap();
    let address = service.program.address().await.to_string();
    let of_trace = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let exported = run_with(("TRACEPARENT", &of_trace), ["export", "--server", &address]).await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    // The shutdown exports the remaining spans.
    service.program.stop().await;

    let mut received = Vec::new();
    while let Ok(span) = spans.try_recv() {
        received.push(span);
    }
    let trace = u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes();
    assert!(received.iter().all(|span| span.trace_id == trace), "{received:#?}");
    let named =
        |name: &str| received.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {received:#?}"));
    let attribute = |span: &Span, key: &str| {
        span.attributes
            .iter()
            .find(|attribute| attribute.key == key)
            .and_then(|attribute| attribute.value.clone())
            .unwrap_or_default()
    };
    let create = named("readout.v1.ParticipantService/CreateParticipant");
    assert_eq!(create.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(attribute(create, "rpc.system").text.as_deref(), Some("grpc"));
    assert_eq!(attribute(create, "rpc.service").text.as_deref(), Some("readout.v1.ParticipantService"));
    assert_eq!(attribute(create, "rpc.method").text.as_deref(), Some("CreateParticipant"));
    assert_eq!(attribute(create, "rpc.grpc.status_code").number, Some(0));
    let get = named("readout.v1.ParticipantService/GetParticipant");
    assert_eq!(attribute(get, "rpc.grpc.status_code").number, Some(5));
    let list = named("readout.v1.MeetingService/ListMeetings");
    named("readout.v1.ParticipantService/StreamParticipants");
    for (parent, child) in [(create, "db.batch.commit"), (get, "db.record.read"), (list, "db.question.ask")] {
        assert_eq!(named(child).parent_span_id, parent.span_id, "{child}");
    }
}

#[tokio::test]
async fn a_silent_collector_delays_neither_calls_nor_shutdown() {
    // A collector that accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let service = Operated::start_with(&["--otlp-endpoint", &endpoint, "--otlp-sample", "1"]).await;
    let mut meetings = MeetingServiceClient::new(service.program.channel().await);
    for _ in 0..100 {
        within_timeout("an answer", meetings.list_meetings(ListMeetingsRequest::default())).await.unwrap();
    }
    service.program.signal("TERM");
    let start = std::time::Instant::now();
    let (code, log) = service.program.ended().await;
    assert_eq!(code, Some(0), "{log:#?}");
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}
