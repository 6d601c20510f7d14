//! `make peers`: the service next to services that a backend team would write in an afternoon, in Node and in Python, on
//! the same contract and the same PostgreSQL. Each is a process of its own with its defaults, and the rounds of a figure
//! take turns. A peer keeps less: it neither checks nor settles nor searches, and has no history and no feed.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Instant};

use futures_util::future::join_all;
use readout::pb::{
    CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest, GetMeetingRequest, GetParticipantRequest,
    IngestStoryRequest, ListMeetingsRequest, ParticipantMatching, article_service_client::ArticleServiceClient,
    ingest_service_client::IngestServiceClient, meeting_service_client::MeetingServiceClient,
    participant_service_client::ParticipantServiceClient,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{
    cluster::{self, connect, execute},
    load::{Call, Side, call, compare, millis, next_number},
    make,
    meeting::World,
    participant,
    program::Program,
    stories,
    table::{Table, Target},
    unary::{Channels, channels},
};

const ARTICLES: u64 = 100;
const PARTICIPANTS: u64 = 600;
const MEETINGS: u64 = 1_000;
/// The regions of the participations, in turn.
const REGIONS: [&str; 8] = ["AZ", "RU", "TR", "GE", "IR", "KZ", "US", "FR"];
/// Maximum time of the first call after a start, as a multiple of the median.
const FIRST_CALL: f64 = 3.0;

/// The calls in the order of `Prepared::calls`, each with its least ratios to Node with 1 and with 64 in flight.
const FIGURES: [(&str, [f64; 2]); 6] = [
    ("CreateMeeting, 3 participations", [0.65, 2.2]),
    ("CreateParticipant", [0.95, 3.7]),
    ("GetParticipant", [1.4, 2.6]),
    ("GetMeeting", [1.0, 2.5]),
    ("ListMeetings, a region, 50", [1.4, 2.3]),
    ("IngestStory", [1.0, 2.0]),
];

pub async fn measure(table: &mut Table) {
    let database = cluster::database().await;
    let url = cluster::url(&database).await;
    let service = Program::serve_on(&url).await;
    let (node, python) = (Peer::start(Node).await, Peer::start(Python).await);
    let ours = Prepared::new(service.address().await, true).await;
    let nodes = Prepared::new(node.address, true).await.calls(node.address).await;
    let pythons = Prepared::new(python.address, false).await.calls(python.address).await;
    let calls = ours.calls(service.address().await).await;
    let mut medians = Vec::new();
    for (index, in_flight) in [1, 64].into_iter().enumerate() {
        for (at, (name, least)) in FIGURES.into_iter().enumerate() {
            let [us, node] = [&calls[at], &nodes[at]];
            let (us, node, python) = match pythons.get(at) {
                Some(python) => {
                    let [us, node, python] = compare(in_flight, [us, node, python]).await;
                    (us, node, Some(python))
                }
                None => {
                    let [us, node] = compare(in_flight, [us, node]).await;
                    (us, node, None)
                }
            };
            let mut add = |peer: &str, side: &Side, target| {
                let figure = format!("{name}, {in_flight} in flight / {peer}");
                table.add(&figure, (us.summary(), side.summary()), us.speedup(side), target);
            };
            add("Node", &node, Target::AtLeast(least[index]));
            if let Some(python) = &python {
                add("Python", python, Target::Any);
            }
            if in_flight == 1 {
                medians.push(us.p50());
            }
        }
    }
    service.stop().await;
    for (at, (name, _)) in FIGURES.into_iter().enumerate() {
        let service = Program::serve_on(&url).await;
        let call = &ours.calls(service.address().await).await[at];
        let begin = Instant::now();
        call(next_number()).await;
        let (first, median) = (millis(begin.elapsed()), millis(medians[at]));
        let figures = (format!("{first:.2} ms"), format!("{median:.2} ms"));
        table.add(&format!("{name}, first call / p50"), figures, first / median, Target::AtMost(FIRST_CALL));
        service.stop().await;
    }
}

/// The records of a service, by name.
pub struct Prepared {
    world: World,
    meetings: Vec<String>,
    has_ingest: bool,
}

impl Prepared {
    /// Creates the records in a service.
    pub async fn new(address: SocketAddr, has_ingest: bool) -> Self {
        let channel = channels(address).await.of(0);
        let articles = join_all((0..ARTICLES).map(|number| {
            let mut client = ArticleServiceClient::new(channel.clone());
            let article = Some(make::article(&format!("urn:peers:{number}")));
            let request = CreateArticleRequest { article, ..Default::default() };
            async move { client.create_article(request).await.expect("created").into_inner().name }
        }));
        let participants = join_all((0..PARTICIPANTS).map(|_| {
            let mut client = ParticipantServiceClient::new(channel.clone());
            let request = participant::create(next_number());
            async move { client.create_participant(request).await.expect("created").into_inner().name }
        }));
        let world = World { articles: articles.await, participants: participants.await };
        let meetings = join_all((0..MEETINGS).map(|_| {
            let mut client = MeetingServiceClient::new(channel.clone());
            let request = create_meeting(&world, next_number());
            async move { client.create_meeting(request).await.expect("created").into_inner().name }
        }));
        Self { meetings: meetings.await, world, has_ingest }
    }

    /// The call of a method.
    pub async fn call(&self, method: &str, address: SocketAddr) -> Call {
        let methods = FIGURES.iter().map(|(name, _)| name.split(',').next().unwrap_or_default());
        let at = methods.clone().position(|name| name == method);
        let at = at.unwrap_or_else(|| panic!("one of {}", methods.collect::<Vec<_>>().join(", ")));
        self.calls(address).await.swap_remove(at)
    }

    /// The calls of the figures.
    async fn calls(&self, address: SocketAddr) -> Vec<Call> {
        let channels = channels(address).await;
        let mut calls = vec![
            self.create_meeting(&channels),
            create_participant(&channels),
            get_participant(&channels, &self.world.participants),
            get_meeting(&channels, &self.meetings),
            list_meetings(&channels),
        ];
        calls.extend(self.has_ingest.then(|| ingest_story(&channels)));
        calls
    }

    fn create_meeting(&self, channels: &Channels) -> Call {
        let (world, channels) = (self.world.clone(), channels.clone());
        call(move |number| {
            let mut client = MeetingServiceClient::new(channels.of(number));
            let request = create_meeting(&world, number);
            async move { drop(client.create_meeting(request).await.expect("created")) }
        })
    }
}

/// A meeting whose participations have regions: a peer does not know those of its participants.
fn create_meeting(world: &World, number: u64) -> CreateMeetingRequest {
    let mut request = world.create(number);
    let account = request.meeting.as_mut().and_then(|meeting| meeting.account.as_mut()).expect("an account");
    for (participation, at) in account.participations.iter_mut().zip(number as usize..) {
        participation.region_code = REGIONS[at % REGIONS.len()].to_owned();
    }
    request
}

fn create_participant(channels: &Channels) -> Call {
    let channels = channels.clone();
    call(move |number| {
        let mut client = ParticipantServiceClient::new(channels.of(number));
        let request: CreateParticipantRequest = participant::create(number);
        async move { drop(client.create_participant(request).await.expect("created")) }
    })
}

fn get_participant(channels: &Channels, names: &[String]) -> Call {
    let (channels, names) = (channels.clone(), names.to_vec());
    call(move |number| {
        let mut client = ParticipantServiceClient::new(channels.of(number));
        let name = names[number as usize % names.len()].clone();
        let request = GetParticipantRequest { name, ..Default::default() };
        async move { drop(client.get_participant(request).await.expect("read")) }
    })
}

fn get_meeting(channels: &Channels, names: &[String]) -> Call {
    let (channels, names) = (channels.clone(), names.to_vec());
    call(move |number| {
        let mut client = MeetingServiceClient::new(channels.of(number));
        let name = names[number as usize % names.len()].clone();
        let request = GetMeetingRequest { name, ..Default::default() };
        async move { drop(client.get_meeting(request).await.expect("read")) }
    })
}

fn list_meetings(channels: &Channels) -> Call {
    let channels = channels.clone();
    call(move |number| {
        let mut client = MeetingServiceClient::new(channels.of(number));
        let filter = format!("region = \"{}\"", REGIONS[number as usize % REGIONS.len()]);
        let request = ListMeetingsRequest { filter, page_size: 50, ..Default::default() };
        async move {
            let page = client.list_meetings(request).await.expect("listed").into_inner();
            assert_eq!(page.meetings.len(), 50, "every region has enough meetings");
        }
    })
}

/// The story of the project's first article, each time with another URI. Its participants are found by their names.
fn ingest_story(channels: &Channels) -> Call {
    let (channels, story) = (channels.clone(), stories::story(&stories::azernews_line()));
    call(move |number| {
        let mut client = IngestServiceClient::new(channels.of(number));
        let mut story = story.clone();
        story.article.as_mut().expect("an article").uri = format!("urn:peers:story:{number}");
        let participant_matching = ParticipantMatching::Exact.into();
        let request = IngestStoryRequest { story: Some(story), participant_matching, ..Default::default() };
        async move { drop(client.ingest_story(request).await.expect("written")) }
    })
}

use Language::{Node, Python};

#[derive(Debug, Clone, Copy)]
enum Language {
    Node,
    Python,
}

/// A peer on a database of its own. It ends with its handle.
struct Peer {
    address: SocketAddr,
    _process: Child,
}

impl Peer {
    /// Starts a peer. `make peers` has installed its packages.
    async fn start(language: Language) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let (sources, installed) = (root.join("benches/peers"), root.join("target/peers"));
        let (program, script, contract, doc) = match language {
            Node => ("node".into(), "node.js", root.join("proto"), "jsonb"),
            Python => (installed.join("venv/bin/python"), "python.py", installed.join("generated"), "bytea"),
        };
        let database = cluster::empty_database().await;
        let schema = std::fs::read_to_string(sources.join("schema.sql")).expect("the file exists");
        execute(&mut connect(&database).await, schema.replace("doc DOC", &format!("doc {doc}"))).await;
        let mut command = Command::new::<PathBuf>(program);
        command.arg(sources.join(script)).arg(contract).arg(cluster::url(&database).await);
        command.env("NODE_PATH", installed.join("node_modules"));
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("`make peers` installs the peers");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = lines.next_line().await.expect("readable").expect("the peer prints its address");
        Self { address: line.parse().expect("an address"), _process: process }
    }
}
