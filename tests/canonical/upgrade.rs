//! A store written by release 0.1.0: its records are found in every spelling, and its meetings are settled under settle
//! version 3. `tests/data/README.md` describes how the store was made.

use std::{collections::BTreeMap, fs::File, io::Read};

use flate2::read::GzDecoder;
use prost::Message;
use readout::{
    pb::{
        Account, ErrorReason, ExternalId, GetMeetingRequest, IngestStoryRequest, ListMeetingsRequest, Meeting,
        Participant, Place, Publisher, Story, StoryReport, change::Kind, ingest_story_response::Outcome,
    },
    store::schema::migrate::migrate,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tonic::Code;
use uuid::Uuid;

use super::respell;
use crate::{
    faults::rng::Chance,
    support::{
        Refused, Service,
        cluster::empty_database,
        data_dir::eventually,
        make::{ingest, person, story, streamed, talks},
        program::Program,
        stored_records::{execute, scalar},
        stories,
        story_stream::ingest_all,
    },
};

/// The database that release 0.1.0 wrote, restored from its dump.
pub async fn former_store() -> PgConnectOptions {
    let database = empty_database().await;
    let mut statements = String::new();
    let packed = File::open(stories::path("release-0.1.0/store.sql.gz")).expect("the dump exists");
    GzDecoder::new(packed).read_to_string(&mut statements).expect("gzip");
    let mut connection = PgConnection::connect_with(&database).await.expect("the database answers");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("a dump");
    connection.close().await.expect("closed");
    database
}

/// A service on the upgraded store, after it has settled all meetings.
async fn upgraded() -> Service {
    let database = former_store().await;
    migrate(&database).await.expect("migrated");
    let service = Service::start_on(database).await;
    wait_until_settled(&service).await;
    service
}

async fn wait_until_settled(service: &Service) {
    let unsettled = "select count(*) from meeting where settle_version < 4";
    eventually("all meetings have settle version 4", async || service.count(unsettled).await == 0).await;
}

/// The stories that release 0.1.0 ingested.
fn former_stories() -> Vec<Story> {
    let lines = std::fs::read_to_string(stories::path("release-0.1.0/stories.ndjson")).expect("the stories exist");
    lines.lines().map(stories::story).collect()
}

async fn meetings_by_title(service: &Service) -> BTreeMap<String, Meeting> {
    let meetings = service.contents().await.meetings;
    meetings.into_iter().map(|meeting| (meeting.account.clone().unwrap_or_default().title, meeting)).collect()
}

#[tokio::test]
async fn a_former_story_is_matched_in_every_spelling() {
    let service = upgraded().await;
    let before = service.contents().await;
    let mut chance = Chance::of(1, "upgrade");
    for story in former_stories() {
        let uri = story.article.as_ref().unwrap().uri.clone();
        let first = service.ingest_one(story.clone()).await.unwrap();
        assert!(first.meetings.iter().all(|result| result.outcome() == Outcome::Matched), "{uri}: {first:?}");
        assert_eq!(first.article_outcome(), Outcome::Matched, "{uri}");
        // A renamed participant is recognised by the hash of its former spelling only.
        let spellings = if uri == "urn:renamed" { 0 } else { 20 };
        for _ in 0..spellings {
            let respelled = respell::respelled(&story, &mut chance);
            let again = service.ingest_one(respelled.clone()).await.unwrap();
            assert_eq!((&again.article, again.article_outcome()), (&first.article, Outcome::Matched), "{respelled:?}");
            for (repeated, original) in again.meetings.iter().zip(&first.meetings) {
                assert_eq!(repeated.outcome(), Outcome::Matched, "{respelled:?}");
                // Release 0.1.0 created a meeting for each of two spellings. Either is a correct match.
                assert!(uri == "urn:twice" || repeated == original, "{respelled:?}");
            }
            assert_eq!(again.participants, first.participants);
        }
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn other_content_of_a_former_article_is_not_matched() {
    let service = upgraded().await;
    let plain = |change: &dyn Fn(&mut StoryReport)| {
        let mut story = former_stories().remove(1);
        change(&mut story.reports[0]);
        story
    };
    let account = |report: &mut StoryReport, change: &dyn Fn(&mut Account)| change(report.account.as_mut().unwrap());
    for story in [
        plain(&|report| account(report, &|account| account.title.push('s'))),
        plain(&|report| account(report, &|account| account.participations.swap(0, 1))),
        plain(&|report| account(report, &|account| account.participations[1].participant = "#a".into())),
        plain(&|report| report.evidence.clear()),
        {
            let mut story = plain(&|_| {});
            // Another person under the same key; the report itself has no names.
            story.participants[0].participant = Some(person("Heydar Aliyev", "AZ"));
            story.reports[0].account.as_mut().unwrap().place = Some(Place::default());
            story.reports[0].account.as_mut().unwrap().participations[0].roles.reverse();
            story
        },
    ] {
        let request = IngestStoryRequest { validate_only: true, ..ingest(story) };
        let answer = service.ingest.clone().ingest_story(request).await.unwrap().into_inner();
        assert_eq!(answer.article_outcome(), Outcome::Matched);
        assert_eq!(answer.meetings[0].outcome(), Outcome::Created);
    }
}

#[tokio::test]
async fn a_former_report_is_a_duplicate_in_every_spelling() {
    let service = upgraded().await;
    let meeting = meetings_by_title(&service).await.remove("Twice").unwrap();
    let report = service.reports_of(&meeting.name).await.remove(0);
    for account in
        [report.account.clone().unwrap(), Account { date: Some(Default::default()), ..report.account.unwrap() }]
    {
        let refused = service.add_report(&meeting.name, &report.article, account).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateReport));
    }
    let other = service.add_report(&meeting.name, &report.article, talks("Other")).await.unwrap();
    assert_eq!(other.article, report.article);
}

#[tokio::test]
async fn former_meetings_get_the_settle_version_and_a_revision_only_if_they_change() {
    let database = former_store().await;
    migrate(&database).await.expect("migrated");
    let service = Service::start_on(database.clone()).await;
    wait_until_settled(&service).await;
    let meetings = meetings_by_title(&service).await;
    // The revisions that release 0.1.0 wrote, and one of those with participations, whose presence nobody states.
    let revisions = [("Agreed", 2), ("Disputed", 2), ("Ruled", 2), ("Merged", 2), ("Visit", 2), ("Talks", 2)];
    for (title, revision) in revisions {
        let meeting = &meetings[title];
        assert_eq!((meeting.revision, meeting.settle_version), (revision, 4), "{title}");
    }
    assert_eq!(meetings["Disputed"].disputes.len(), 1);
    // They get the fields of the version without a revision. Two sources of one meeting disagree on its date.
    assert!(meetings["Talks"].evidence_coverage > 0.0);
    assert!(meetings["Disputed"].fragile_fields.contains(&"account.date".to_owned()));
    let found = async |filter: &str| {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let found = service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings;
        found.into_iter().map(|meeting| meeting.name).collect::<Vec<_>>()
    };
    assert!(found("evidence_coverage > 0").await.contains(&meetings["Talks"].name));
    assert!(found("fragile = date").await.contains(&meetings["Disputed"].name));
    let instants = &meetings["Instants"];
    assert_eq!((instants.revision, instants.settle_version, instants.disputes.len()), (3, 4, 0));
    let changes = service.all_changes().await;
    let settled: Vec<_> =
        changes.iter().filter(|change| change.kind() == Kind::Settled).map(|change| change.name.as_str()).collect();
    for title in ["Instants", "Visit", "Talks"] {
        assert!(settled.contains(&meetings[title].name.as_str()), "{title}");
    }
    for title in ["Agreed", "Disputed", "Ruled", "Merged"] {
        assert!(!settled.contains(&meetings[title].name.as_str()), "{title}");
    }

    let merged =
        service.count("select count(*) from meeting where merged_into is not null and settle_version = 4").await;
    assert_eq!(merged, 1);
    let head = changes.last().unwrap().position.clone();
    service.stop().await;
    // A restart settles nothing.
    let service = Service::start_on(database).await;
    assert_eq!(service.all_changes().await.last().unwrap().position, head);
    let request = GetMeetingRequest { name: instants.name.clone(), ..Default::default() };
    assert_eq!(&service.meetings.clone().get_meeting(request).await.unwrap().into_inner(), instants);
}

/// Sets the settle version of all meetings to 1.
async fn reset_settle_version(database: &PgConnectOptions) {
    let mut connection = PgConnection::connect_with(database).await.expect("the database answers");
    let docs: Vec<(Uuid, Vec<u8>)> =
        sqlx::query_as("select id, doc from meeting").fetch_all(&mut connection).await.expect("meetings");
    for (id, doc) in docs {
        let meeting = Meeting {
            settle_version: 1,
            evidence_coverage: 0.0,
            fragile_fields: Vec::new(),
            ..Meeting::decode(doc.as_slice()).expect("a meeting")
        };
        sqlx::query(
            "update meeting set doc = $2, settle_version = 1, evidence_coverage = 0, fragile = 0 where id = $1",
        )
        .bind(id)
        .bind(meeting.encode_to_vec())
        .execute(&mut connection)
        .await
        .expect("the meeting exists");
    }
    connection.close().await.expect("closed");
}

#[tokio::test]
async fn settling_of_an_upgraded_store_resumes_after_a_kill() {
    let service = Service::start().await;
    let stories = (0..200).map(|at| streamed(story(&format!("urn:{at}"), &[])));
    assert_eq!(ingest_all(&service.ingest, stories).await.len(), 200);
    let database = service.database.clone();
    service.stop().await;
    reset_settle_version(&database).await;
    let unsettled = "select count(*) from meeting where settle_version < 4";
    assert_eq!(scalar::<i64>(&database, unsettled).await, 200);

    let url = database.to_url_lossy();
    let program = Program::serve_on(url.as_str()).await;
    eventually("settling has begun", async || scalar::<i64>(&database, unsettled).await < 200).await;
    program.kill().await;
    let service = Service::start_on(database.clone()).await;
    wait_until_settled(&service).await;
    let meetings = service.contents().await.meetings;
    assert!(meetings.iter().all(|meeting| (meeting.revision, meeting.settle_version) == (1, 4)));
    // Their fragile fields are indexed too.
    assert!(meetings.iter().all(|meeting| meeting.fragile_fields == ["account.kind", "account.status"]));
    assert_eq!(scalar::<i64>(&database, "select count(*) from meeting where fragile = 6").await, 200);
}

#[tokio::test]
async fn a_request_of_release_0_1_0_gets_its_first_answer() {
    let database = former_store().await;
    // The service deletes old requests.
    execute(&database, "update request set create_time = now()").await;
    migrate(&database).await.expect("migrated");
    let service = Service::start_on(database).await;
    let account = |title: &str| Account {
        title: title.into(),
        topics: vec!["b".into(), "a".into()],
        kind: 1,
        ..Default::default()
    };
    let request = |account| IngestStoryRequest {
        request_id: "r-1".into(),
        story: Some(Story {
            article: Some(readout::pb::Article {
                uri: "urn:request".into(),
                publisher: Some(Publisher::default()),
                ..Default::default()
            }),
            reports: vec![StoryReport { key: "r".into(), account: Some(account), ..Default::default() }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = service.ingest.clone().ingest_story(request(account("Request"))).await.unwrap().into_inner();
    assert_eq!(answer.article_outcome(), Outcome::Created);
    let refused = service.ingest.clone().ingest_story(request(account("Other"))).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));
}

#[tokio::test]
async fn a_former_external_id_is_found_in_every_spelling() {
    let service = upgraded().await;
    for value in ["Ve\u{301}liyev, K.", "Véliyev, K."] {
        let twin = Participant {
            external_ids: vec![ExternalId { scheme: "viaf".into(), value: value.into() }],
            ..person("Somebody", "AZ")
        };
        let request = readout::pb::CreateParticipantRequest { participant: Some(twin), ..Default::default() };
        let refused = service.participants.clone().create_participant(request).await.unwrap_err();
        assert_eq!(
            Refused::from(refused),
            Refused::with(Code::AlreadyExists, ErrorReason::DuplicateExternalId),
            "{value}"
        );
    }
}
