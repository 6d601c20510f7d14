//! The service under test: the real program on a database of its own, with default limits and two tokens.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use readout::pb::{
    Article, CreateParticipantRequest, IngestStoryResponse, Story, ingest_service_client::IngestServiceClient,
    participant_service_client::ParticipantServiceClient,
};
use sqlx::{ConnectOptions, Connection};
use tonic::transport::Channel;

use super::{
    attack::{Records, Target},
    polite::{Polite, with_token},
};
use crate::{
    operations::{
        self,
        http_client::{self, Scraped},
    },
    support::{
        cluster,
        data_dir::DataDir,
        follow, make,
        program::{Program, run},
        stories,
        story_stream::outcome,
    },
};

/// The time in which a service has to stop. It may have to end streams first.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Gauges that return to their former values after an attack.
const GAUGES: [&str; 3] = ["readout_connections_open", "readout_requests_in_flight", "readout_feed_watchers"];

/// Meetings that make counts of pairs expensive, and their participants.
const CONFERENCES: usize = 20;
const ATTENDANTS: usize = 200;
/// Articles that make searches expensive, and the bytes of their texts.
const LONG_ARTICLES: usize = 20;
const LONG_TEXT: usize = 100_000;

/// A running service, its database and its callers.
pub struct Stage {
    url: String,
    dir: DataDir,
    service: Service,
    /// The tokens of the hostile and of the polite caller.
    tokens: [String; 2],
    records: Records,
}

/// A running process of the service.
struct Service {
    program: Program,
    address: SocketAddr,
    operations: SocketAddr,
}

/// Figures of the process, from `/proc`.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub resident_kib: u64,
    /// The highest resident set since the last [`Stage::reset_peak`].
    pub peak_kib: u64,
    /// Processor time used so far.
    pub cpu: Duration,
}

impl Service {
    async fn start(dir: &DataDir, url: &str, more: &[String]) -> Self {
        let args = ["--api-tokens", "--operations-listen", "127.0.0.1:0", "--drain-timeout", "1"];
        let args: Vec<&str> = args.into_iter().chain(more.iter().map(String::as_str)).collect();
        let program = Program::serve_beside(dir, url, &args).await;
        let (address, operations) = (program.address().await, operations::address(&program).await);
        Self { program, address, operations }
    }
}

impl Stage {
    /// Starts a service that holds this number of the sample stories.
    pub async fn start(stories: usize) -> Self {
        Self::start_with(stories, &[]).await
    }

    /// Starts a service with further arguments.
    pub async fn start_with(stories: usize, args: &[String]) -> Self {
        let (dir, database) = (DataDir::new(), cluster::database().await);
        let url = database.to_url_lossy().to_string();
        let service = Service::start(&dir, &url, args).await;
        let mut tokens = [String::new(), String::new()];
        for (token, name) in tokens.iter_mut().zip(["hostile", "polite"]) {
            let created = run(["token", "create", name, "--role", "writer", "--database-url", &url]).await;
            assert_eq!(created.code, Some(0), "{created:?}");
            *token = created.stdout.trim().to_owned();
        }
        let records = import(service.address, &tokens[1], stories).await;
        let mut connection = database.connect().await.expect("the database answers");
        sqlx::raw_sql("analyze").execute(&mut connection).await.expect("analyzed");
        connection.close().await.expect("closed");
        Self { url, dir, service, tokens, records }
    }

    /// Ends the process and starts another one on the same database.
    pub async fn restart(self) -> Self {
        let Self { url, dir, service, tokens, records } = self;
        if is_alive(service.program.pid()) {
            service.program.signal("TERM");
        }
        // A service that does not stop is killed when its handle is dropped.
        if tokio::time::timeout(STOP_TIMEOUT, service.program.ended()).await.is_err() {
            println!("the service did not stop within {STOP_TIMEOUT:?}");
        }
        let service = Service::start(&dir, &url, &[]).await;
        Self { url, dir, service, tokens, records }
    }

    /// Stops the service and expects a clean exit.
    pub async fn stop(self) {
        self.service.program.stop().await;
    }

    /// The service, as the hostile caller sees it.
    pub fn target(&self) -> Arc<Target> {
        let [token, _] = self.tokens.clone();
        Arc::new(Target { address: self.service.address, token, records: self.records.clone() })
    }

    pub async fn polite(&self) -> Polite {
        Polite::connect(self.service.address, &self.tokens[1], self.records.clone()).await
    }

    pub fn pid(&self) -> u32 {
        self.service.program.pid()
    }

    /// The size of the address space of the service, in KiB.
    pub fn address_space_kib(&self) -> u64 {
        self.service.program.memory_kib("VmSize") as u64
    }

    /// Begins a new measurement of the peak of the resident set.
    pub fn reset_peak(&self) {
        // 5 resets the peak: proc_pid_clear_refs(5).
        fs::write(format!("/proc/{}/clear_refs", self.service.program.pid()), "5").expect("our own process");
    }

    /// The figures of the process; `None` if it has ended.
    pub fn usage(&self) -> Option<Usage> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", self.service.program.pid())).ok();
        let status = read("status")?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        // Fields 14 and 15, counted after the name of the program, which may have spaces. Linux counts 100 a second.
        let stat = read("stat")?;
        let ticks: Vec<u64> =
            stat.rsplit(')').next()?.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        let cpu = Duration::from_millis(10 * ticks.iter().sum::<u64>());
        Some(Usage { resident_kib: kib("VmRSS:")?, peak_kib: kib("VmHWM:")?, cpu })
    }

    /// The gauges of open connections and calls, by name.
    pub async fn gauges(&self) -> Vec<(&'static str, f64)> {
        let metrics = Scraped(http_client::get(self.service.operations, "/metrics").await.body);
        GAUGES.map(|name| (name, metrics.value(name).unwrap_or_default())).to_vec()
    }
}

fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains("VmRSS:"))
}

/// Writes this number of the sample stories, conferences and long articles. Returns the names of the records.
async fn import(address: SocketAddr, token: &str, count: usize) -> Records {
    let channel = crate::support::service::connect(address).await;
    let ingest = IngestServiceClient::new(channel.clone());
    let mut records = Records::default();
    let lines = stories::lines();
    for result in write(ingest.clone(), token, lines.iter().take(count).map(|line| stories::story(line))).await {
        records.articles.push(result.article);
        records.participants.extend(result.participants.into_iter().map(|participant| participant.name));
        records.meetings.extend(result.meetings.into_iter().map(|meeting| meeting.meeting));
    }
    records.participants.sort();
    records.participants.dedup();
    let people: Vec<_> = (0..ATTENDANTS).map(|number| make::person(&format!("Attendant {number}"), "AZ")).collect();
    let conferences = (0..CONFERENCES).map(|number| make::story(&format!("urn:conference:{number}"), &people));
    for result in write(ingest.clone(), token, conferences).await {
        records.conferences.extend(result.meetings.into_iter().map(|meeting| meeting.meeting));
    }
    write(ingest, token, lines.iter().take(LONG_ARTICLES).map(|line| long_article(line))).await;
    records.future_position = future_position(channel, token).await;
    records
}

/// Writes stories and returns their results.
async fn write(
    mut ingest: IngestServiceClient<Channel>,
    token: &str,
    stories: impl Iterator<Item = Story>,
) -> Vec<IngestStoryResponse> {
    let requests: Vec<_> = stories.map(make::streamed).collect();
    let request = with_token(token, tokio_stream::iter(requests));
    let mut answers = ingest.ingest_stories(request).await.expect("a stream").into_inner();
    let mut results = Vec::new();
    while let Some(answer) = answers.message().await.expect("the stream continues") {
        results.push(outcome(answer).expect("a valid story"));
    }
    results
}

/// An article without reports, with the text of a sample story again and again.
fn long_article(line: &str) -> Story {
    let sample = stories::story(line).article.expect("every story has one");
    let text = format!("{} ", sample.text);
    let text = text.repeat(LONG_TEXT / text.len());
    Story { article: Some(Article { uri: format!("{}:long", sample.uri), text, ..sample }), ..Default::default() }
}

/// A position that is far after the newest change.
async fn future_position(channel: Channel, token: &str) -> String {
    let participant = Some(make::person("The last participant", "AZ"));
    let request = CreateParticipantRequest { participant, ..Default::default() };
    let created = ParticipantServiceClient::new(channel).create_participant(with_token(token, request)).await;
    let metadata = created.expect("a participant").metadata().clone();
    let position = metadata.get("readout-position").expect("writes have a position").to_str().expect("ASCII");
    let (epoch, number) = follow::position(position);
    format!("{epoch}.{}", number + 1_000_000_000)
}
