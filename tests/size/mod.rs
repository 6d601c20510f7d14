//! No message that the service sends exceeds its bound, and no record that it accepts is too large to be read.

mod copies;
mod full_view;
mod namesakes;
mod pages;
mod records;
mod settled;
mod stored;

use prost::Message;
use readout::{
    config,
    pb::{Account, Meeting, Participation, Report},
};
use sqlx::postgres::PgConnectOptions;
use tonic::Status;

use crate::support::{
    Service,
    make::{named, talks},
    metadata_of,
};

/// The default of `--max-response-bytes`.
const MAX_MESSAGE: usize = 4_000_000;
/// The bound on the settled part of a meeting that follows from it, and on a report.
const MAX_STORED: usize = 3_968_000;

/// 500 participations with long names of `letter`s, which no other `number` has: 768 bytes each, and as many in the
/// settled id.
fn crowd(number: usize, letter: char) -> Account {
    let person = |at: usize| {
        let name: String = std::iter::repeat_n(letter, 240).chain(format!("{number} {at}").chars()).collect();
        named(&at.to_string(), &name)
    };
    Account { participations: (0..500).map(person).collect(), ..talks(&format!("Talks {number}")) }
}

/// 40 participations whose ranks have `rank_bytes` together: at least 40, at most 4,000.
fn ranked(rank_bytes: usize, name_bytes: usize) -> Account {
    let person = |at: usize| {
        let bytes = rank_bytes / 40 + usize::from(at < rank_bytes % 40);
        let name = format!("{at:03}{}", "x".repeat(name_bytes - 3));
        Participation { rank: "r".repeat(bytes), ..named(&at.to_string(), &name) }
    };
    Account { participations: (0..40).map(person).collect(), ..talks("Talks 9") }
}

/// A service that sends messages of up to 16 MiB.
async fn generous(database: &PgConnectOptions) -> Service {
    let mut config = config::Service::default();
    config.transport.max_response_bytes = 16 << 20;
    Service::start_as(database.clone(), config).await
}

/// A figure in the metadata of a status.
#[track_caller]
fn figure(status: &Status, key: &str) -> usize {
    metadata_of(status, key).parse().expect("a number")
}

/// Asserts that a message is within the bound.
#[track_caller]
fn assert_fits(message: &impl Message) {
    assert!(message.encoded_len() <= MAX_MESSAGE, "{} bytes", message.encoded_len());
}

/// The bytes of a record that is only named.
fn record_bytes(omission: Option<readout::pb::Omission>) -> i64 {
    omission.map(|omission| omission.record_bytes).unwrap_or_default()
}

/// Replaces the stored bytes of a meeting or a report, below the API.
async fn store(service: &Service, statement: &'static str, name: &str, doc: Vec<u8>) {
    use sqlx::Connection;
    let id = name.rsplit('/').next().expect("an id").parse::<uuid::Uuid>().expect("a UUID");
    let mut connection = sqlx::PgConnection::connect_with(&service.database).await.expect("the database answers");
    sqlx::query(statement).bind(id).bind(doc).execute(&mut connection).await.expect(statement);
    connection.close().await.expect("closed");
}

/// Stores this meeting instead of its record.
async fn store_meeting(service: &Service, meeting: &Meeting) {
    store(service, "update meeting set doc = $2 where id = $1", &meeting.name, meeting.encode_to_vec()).await;
}

/// Stores this report instead of its record.
async fn store_report(service: &Service, report: &Report) {
    store(service, "update report set doc = $2 where id = $1", &report.name, report.encode_to_vec()).await;
}
