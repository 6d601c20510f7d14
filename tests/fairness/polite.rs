//! The polite caller: an open loop of paced calls on one connection, in a runtime of its own, so that neither the attack
//! nor the tests take its processor time.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use readout::pb::{
    AddReportRequest, AggregateMeetingsRequest, CreateMeetingRequest, CreateParticipantRequest, GetMeetingRequest,
    GetParticipantRequest, ListMeetingsRequest, Meeting, Report, meeting_service_client::MeetingServiceClient,
    participant_service_client::ParticipantServiceClient,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, interval, timeout},
};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

use super::attack::Records;
use crate::support::make;

/// The time in which a call has to be answered.
pub const DEADLINE: Duration = Duration::from_secs(3);
/// Calls in a second on the connection: four of each kind.
const CALLS_PER_SECOND: u32 = 16;

/// The number of the next call of any polite caller.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Read,
    Write,
    Count,
    Page,
    /// A read on a connection that is opened for it.
    Connect,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Count, Self::Page, Self::Connect];
    /// The kinds on the one connection, in turn.
    const PACED: [Self; 4] = [Self::Read, Self::Write, Self::Count, Self::Page];
}

/// The calls of a period.
#[derive(Default)]
pub struct Calls {
    /// The kind and latency of each answered call.
    pub answered: Vec<(Kind, Duration)>,
    /// The calls that were refused, or not answered in time, by kind and outcome.
    pub lost: BTreeMap<(Kind, String), usize>,
}

impl Calls {
    /// The part of the calls of a kind that were answered.
    pub fn answered_part(&self, kind: Kind) -> f64 {
        let answered = self.answered.iter().filter(|call| call.0 == kind).count();
        let lost: usize = self.lost.iter().filter(|((of, _), _)| *of == kind).map(|(_, count)| count).sum();
        answered as f64 / (answered + lost).max(1) as f64
    }

    /// The latency that this part of the answered calls does not exceed.
    pub fn latency(&self, part: f64) -> Duration {
        let mut latencies: Vec<_> = self.answered.iter().map(|(_, took)| *took).collect();
        latencies.sort_unstable();
        let last = latencies.len().saturating_sub(1);
        latencies.get((last as f64 * part) as usize).copied().unwrap_or_default()
    }
}

/// The caller. It keeps its connection for its life.
pub struct Polite {
    client: Client,
    /// `None` after the drop.
    runtime: Option<Runtime>,
}

#[derive(Clone)]
struct Client {
    address: SocketAddr,
    channel: Channel,
    token: Arc<str>,
    records: Arc<Records>,
    /// The caller's own meeting, to which it adds reports.
    meeting: String,
}

impl Polite {
    /// Connects, and creates a meeting of its own.
    pub async fn connect(address: SocketAddr, token: &str, records: Records) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (token, records) = (Arc::from(token), Arc::new(records));
        let connecting = async move {
            let channel = open(address).await.expect("the service listens");
            let mut client = Client { address, channel, token, records, meeting: String::new() };
            client.meeting = client.create_meeting().await.expect("a meeting");
            client
        };
        let client = runtime.spawn(connecting).await.expect("no panic");
        Self { client, runtime: Some(runtime) }
    }

    /// Calls for this long.
    pub async fn call_for(&self, duration: Duration) -> Calls {
        let client = self.client.clone();
        let runtime = self.runtime.as_ref().expect("not dropped");
        runtime.spawn(client.call_for(duration)).await.expect("no panic")
    }
}

impl Drop for Polite {
    fn drop(&mut self) {
        // A runtime cannot wait for its end inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Client {
    async fn call_for(self, duration: Duration) -> Calls {
        let mut pace = interval(Duration::from_secs(1) / CALLS_PER_SECOND);
        let mut open = Vec::new();
        for number in 0..(duration.as_secs_f64() * f64::from(CALLS_PER_SECOND)) as usize {
            pace.tick().await;
            if number % CALLS_PER_SECOND as usize == 0 {
                open.push(tokio::spawn(self.clone().call(Kind::Connect)));
            }
            open.push(tokio::spawn(self.clone().call(Kind::PACED[number % Kind::PACED.len()])));
        }
        let mut calls = Calls::default();
        for call in join_all(open).await {
            let (kind, outcome) = call.expect("no panic");
            match outcome {
                Ok(took) => calls.answered.push((kind, took)),
                Err(loss) => *calls.lost.entry((kind, loss)).or_default() += 1,
            }
        }
        calls
    }

    /// Makes a call. Returns its latency, or how it failed.
    async fn call(self, kind: Kind) -> (Kind, Result<Duration, String>) {
        let start = Instant::now();
        let outcome = match timeout(DEADLINE, self.answer(kind)).await {
            Ok(Ok(())) => Ok(start.elapsed()),
            // A message begins with its reason.
            Ok(Err(status)) => {
                let reason = status.message().split(':').next().unwrap_or_default();
                Err(format!("{:?} {reason}", status.code()))
            }
            Err(_) => Err(format!("no answer within {DEADLINE:?}")),
        };
        (kind, outcome)
    }

    async fn answer(&self, kind: Kind) -> Result<(), Status> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Each kind has two forms, and every fourth call is of one kind.
        let is_first_form = (number / 4).is_multiple_of(2);
        let nth = |names: &[String]| names[number as usize % names.len()].clone();
        let mut participants = ParticipantServiceClient::new(self.channel.clone());
        let mut meetings = MeetingServiceClient::new(self.channel.clone());
        match kind {
            Kind::Read if is_first_form => {
                let request = GetMeetingRequest { name: nth(&self.records.meetings), ..Default::default() };
                meetings.get_meeting(self.with_token(request)).await.map(drop)
            }
            Kind::Read => {
                let request = GetParticipantRequest { name: nth(&self.records.participants), ..Default::default() };
                participants.get_participant(self.with_token(request)).await.map(drop)
            }
            Kind::Write if is_first_form => {
                let participant = Some(make::person(&format!("Polite {number}"), "AZ"));
                let request = CreateParticipantRequest { participant, ..Default::default() };
                participants.create_participant(self.with_token(request)).await.map(drop)
            }
            Kind::Write => {
                let account = Some(make::talks(&format!("Report {number}")));
                let report = Some(Report { article: nth(&self.records.articles), account, ..Default::default() });
                let request = AddReportRequest { meeting: self.meeting.clone(), report, ..Default::default() };
                meetings.add_report(self.with_token(request)).await.map(drop)
            }
            Kind::Count => {
                let request = AggregateMeetingsRequest { group_by: vec!["month".into()], ..Default::default() };
                meetings.aggregate_meetings(self.with_token(request)).await.map(drop)
            }
            Kind::Page => meetings.list_meetings(self.with_token(ListMeetingsRequest::default())).await.map(drop),
            Kind::Connect => {
                let failed = |error: tonic::transport::Error| Status::unavailable(format!("no connection: {error:?}"));
                let channel = open(self.address).await.map_err(failed)?;
                let request = GetMeetingRequest { name: nth(&self.records.meetings), ..Default::default() };
                MeetingServiceClient::new(channel).get_meeting(self.with_token(request)).await.map(drop)
            }
        }
    }

    async fn create_meeting(&self) -> Result<String, Status> {
        let account = make::talks(&format!("Meeting {}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let request = CreateMeetingRequest {
            meeting: Some(Meeting { account: Some(account), ..Default::default() }),
            source_article: self.records.articles[0].clone(),
            ..Default::default()
        };
        let created = MeetingServiceClient::new(self.channel.clone()).create_meeting(self.with_token(request)).await;
        created.map(Response::into_inner).map(|meeting| meeting.name)
    }

    fn with_token<T>(&self, message: T) -> Request<T> {
        let mut request = with_token(&self.token, message);
        request.set_timeout(DEADLINE);
        request
    }
}

/// A request with this bearer token.
pub fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    request
}

async fn open(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}"))?.connect().await
}
