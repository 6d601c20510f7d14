//! The cost of security and observability: a service with TLS, tokens, metrics and traces of one call in a hundred,
//! compared with one without them. Each runs in its own process on its own database.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use readout::pb::{GetParticipantRequest, participant_service_client::ParticipantServiceClient};
use sqlx::ConnectOptions;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    metadata::{Ascii, MetadataValue},
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use super::{
    authority::Authority,
    cluster,
    data_dir::DataDir,
    load::{CONNECTIONS, Call, IN_FLIGHT, call, compare, next_number},
    participant::create,
    program::{Program, run},
    service::connect,
    table::{Table, Target},
    unary::Channels,
};

const PARTICIPANTS: usize = 1_000;

pub async fn measure(table: &mut Table) {
    let bare = Side::bare().await;
    let guarded = Side::guarded().await;
    let sides = [&guarded, &bare];
    for (method, calls) in [("CreateParticipant", sides.map(Side::create)), ("GetParticipant", sides.map(Side::get))] {
        let [guarded, bare] = compare(IN_FLIGHT, [&calls[0], &calls[1]]).await;
        let figure = format!("{method}, TLS, token, metrics, traces / none of it");
        table.add(&figure, (guarded.summary(), bare.summary()), guarded.speedup(&bare), Target::AtLeast(0.7));
    }
    for side in [bare, guarded] {
        side.program.stop().await;
    }
}

/// A service, with clients and records.
struct Side {
    program: Program,
    channels: Channels,
    token: Option<MetadataValue<Ascii>>,
    names: Vec<String>,
    _dir: DataDir,
}

impl Side {
    async fn bare() -> Self {
        let dir = DataDir::new();
        let program = Program::serve_beside(&dir, &database().await, &[]).await;
        let address = program.address().await;
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(connect(address).await);
        }
        Self { program, channels: Channels::of_all(channels), token: None, names: Vec::new(), _dir: dir }.filled().await
    }

    async fn guarded() -> Self {
        let (dir, authority, url) = (DataDir::new(), Authority::new(), database().await);
        authority.service().write(dir.path(), "service");
        let ran = run(["token", "create", "bench", "--role", "writer", "--database-url", &url]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let token = format!("Bearer {}", ran.stdout.trim_end()).parse().expect("ASCII");

        let collector = format!("http://{}", Collector::start().await);
        let mut args = vec!["--tls-cert", "service.pem", "--tls-key", "service.key", "--api-tokens"];
        args.extend(["--operations-listen", "127.0.0.1:0"]);
        if cfg!(feature = "otlp") {
            args.extend(["--otlp-endpoint", &collector, "--otlp-sample", "0.01"]);
        }
        let program = Program::serve_beside(&dir, &url, &args).await;
        let address = program.address().await;
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(authority.connect(address, None).await.expect("the service listens"));
        }
        let channels = Channels::of_all(channels);
        Self { program, channels, token: Some(token), names: Vec::new(), _dir: dir }.filled().await
    }

    /// Creates participants to read.
    async fn filled(mut self) -> Self {
        while self.names.len() < PARTICIPANTS {
            let mut client = ParticipantServiceClient::new(self.channels.of(0));
            let request = authorized(self.token.as_ref(), create(next_number()));
            let created = client.create_participant(request).await.expect("created");
            self.names.push(created.into_inner().name);
        }
        self
    }

    fn create(&self) -> Call {
        let (channels, token) = (self.channels.clone(), self.token.clone());
        call(move |number| {
            let mut client = ParticipantServiceClient::new(channels.of(number));
            let request = authorized(token.as_ref(), create(number));
            async move { drop(client.create_participant(request).await.expect("created")) }
        })
    }

    fn get(&self) -> Call {
        let (channels, token, names) = (self.channels.clone(), self.token.clone(), self.names.clone());
        call(move |number| {
            let mut client = ParticipantServiceClient::new(channels.of(number));
            let name = names[number as usize % names.len()].clone();
            let request = authorized(token.as_ref(), GetParticipantRequest { name, ..Default::default() });
            async move { drop(client.get_participant(request).await.expect("read")) }
        })
    }
}

async fn database() -> String {
    cluster::database().await.to_url_lossy().to_string()
}

fn authorized<M>(token: Option<&MetadataValue<Ascii>>, message: M) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", token.clone());
    }
    request
}

/// A trace collector that discards everything.
#[derive(Clone)]
struct Collector;

impl Collector {
    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(Server::builder().add_service(Self).serve_with_incoming(TcpIncoming::from(listener)));
        address
    }
}

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl UnaryService<()> for Collector {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

impl Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async { Ok(Grpc::new(ProstCodec::<(), ()>::default()).unary(Collector, request).await) })
    }
}
