//! The cost of the audit log: a service that audits writes compared with one that audits nothing, and one that audits
//! reads compared with one that audits writes. Each has its own database. The lines of the log are formatted as those
//! of a service, and discarded.

use std::{fs::File, time::Instant};

use readout::{
    config::{self, Audit, AuditedCalls},
    pb::{
        GetParticipantRequest, meeting_service_client::MeetingServiceClient,
        participant_service_client::ParticipantServiceClient,
    },
};

use super::{
    cluster,
    ingest::ingest_all,
    load::{Call, IN_FLIGHT, call, compare, median},
    meeting::World,
    participant::{create, create_many},
    service::Service,
    stories,
    table::{Table, Target},
    unary::channels,
};

const READ: usize = 1_000;
const INGESTS: usize = 5;

pub async fn measure(table: &mut Table) {
    let lines = File::create("/dev/null").expect("Linux has /dev/null");
    tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_writer(lines).init();
    let [none, writes] = [start(AuditedCalls::None).await, start(AuditedCalls::Writes).await];
    let target = || Target::AtLeast(0.95);

    let sides = [create_participant(&writes).await, create_participant(&none).await];
    let [with, without] = compare(IN_FLIGHT, [&sides[0], &sides[1]]).await;
    let figure = "CreateParticipant, --audit writes / none";
    table.add(figure, (with.summary(), without.summary()), with.speedup(&without), target());

    let sides = [create_meeting(&writes).await, create_meeting(&none).await];
    let [with, without] = compare(IN_FLIGHT, [&sides[0], &sides[1]]).await;
    let figure = "CreateMeeting, --audit writes / none";
    table.add(figure, (with.summary(), without.summary()), with.speedup(&without), target());
    none.stop().await;

    let reads = start(AuditedCalls::Reads).await;
    let sides = [get_participant(&reads).await, get_participant(&writes).await];
    let [with, without] = compare(IN_FLIGHT, [&sides[0], &sides[1]]).await;
    let figure = "GetParticipant, --audit reads / writes";
    table.add(figure, (with.summary(), without.summary()), with.speedup(&without), Target::AtLeast(0.85));
    // The service stores all that waits when it stops.
    let database = reads.database.clone();
    reads.stop().await;
    writes.stop().await;
    let mut connection = cluster::connect(&database).await;
    let count = "select coalesce(sum(count), 0)::bigint from audit_event where ";
    let [stored, dropped] = [
        cluster::number(&mut connection, &format!("{count} outcome = 'OK' and method like '%GetParticipant'")).await,
        cluster::number(&mut connection, &format!("{count} outcome = 'READS_DROPPED'")).await,
    ];
    assert!(stored > 0);
    table.report("reads that were dropped, and stored", dropped.to_string(), stored.to_string());
    ingests(table).await;
}

async fn start(audit: AuditedCalls) -> Service {
    let audit = Audit { audit, ..Audit::default() };
    Service::start_as(cluster::database().await, config::Service { audit, ..Default::default() }).await
}

async fn create_participant(service: &Service) -> Call {
    let connections = channels(service.address).await;
    call(move |number| {
        let mut client = ParticipantServiceClient::new(connections.of(number));
        async move { drop(client.create_participant(create(number)).await.expect("created")) }
    })
}

async fn create_meeting(service: &Service) -> Call {
    let (world, connections) = (World::make(service).await, channels(service.address).await);
    call(move |number| {
        let mut client = MeetingServiceClient::new(connections.of(number));
        let request = world.create(number);
        async move { drop(client.create_meeting(request).await.expect("created")) }
    })
}

async fn get_participant(service: &Service) -> Call {
    let connections = channels(service.address).await;
    let people = create_many(service, READ).await;
    let names: Vec<String> = people.into_iter().map(|participant| participant.name).collect();
    call(move |number| {
        let mut client = ParticipantServiceClient::new(connections.of(number));
        let name = names[number as usize % names.len()].clone();
        async move {
            drop(client.get_participant(GetParticipantRequest { name, ..Default::default() }).await.expect("read"))
        }
    })
}

/// Ingests all stories into new databases, in turn.
async fn ingests(table: &mut Table) {
    let requests: Vec<_> = stories::lines().iter().map(|line| stories::request(&stories::story(line))).collect();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..INGESTS {
        for (audit, rates) in [(AuditedCalls::Writes, &mut with), (AuditedCalls::None, &mut without)] {
            let service = start(audit).await;
            let begin = Instant::now();
            ingest_all(&service, &requests).await;
            rates.push(requests.len() as f64 / begin.elapsed().as_secs_f64());
            service.stop().await;
        }
    }
    let ratios = with.iter().zip(&without).map(|(with, without)| with / without).collect();
    let rate = |rates: Vec<f64>| format!("{:.0} stories/s", median(rates));
    let figure = format!("IngestStories, {} stories, --audit writes / none", requests.len());
    table.add(&figure, (rate(with), rate(without)), median(ratios), Target::AtLeast(0.95));
}
