//! Reindexing: derived rows are rebuilt from the records with the same values.

use readout::{
    pb::{Account, Announcement, Participation, Place, Statement, Stop, account::VisitType, participation::Presence},
    store::schema::migrate::migrate,
};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};

use crate::support::{
    Service,
    cluster::{database, empty_database},
    make,
    program::run,
};

/// All rows that are derived from records.
pub async fn derived(database: &PgConnectOptions) -> String {
    let mut connection = database.connect().await.unwrap();
    let rows = "
        select string_agg(derived::text, E'\\n' order by derived::text)
        from (
            select 'participation' as origin, row(participation.*)::text as row from participation
            union all
            select 'trait', row(meeting_trait.*)::text from meeting_trait
            union all
            select 'region', row(meeting_region.*)::text from meeting_region
            union all
            select 'topic', row(meeting_topic.*)::text from meeting_topic
            union all
            select 'place', row(meeting_place.*)::text from meeting_place
            union all
            select 'id of an article', row(article_external_id.*)::text from article_external_id
            union all
            select 'meeting', row(meeting.*)::text from meeting
            union all
            select 'article', row(article.*)::text from article
            union all
            select 'statement', row(statement.*)::text from statement
            union all
            select 'speaker', row(statement_speaker.*)::text from statement_speaker
            union all
            select 'region of a speaker', row(statement_region.*)::text from statement_region
            union all
            select 'topic of a statement', row(statement_topic.*)::text from statement_topic
        ) as derived";
    let rows: String = sqlx::query_scalar(rows).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

async fn execute(database: &PgConnectOptions, statements: &[&'static str]) {
    let mut connection = database.connect().await.unwrap();
    for &statement in statements {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Brings the derived rows into a state like that of an older release: some are missing, some are stale.
const OUTDATED: &[&str] = &[
    "delete from participation",
    "delete from meeting_trait",
    "update meeting_region set takes_part = true",
    "delete from meeting_topic",
    "insert into meeting_topic select 'stale', id from meeting",
    "delete from meeting_place where number = 0",
    "update meeting_place set region_code = 'FR'",
    "delete from article_external_id where value = '1'",
    "insert into article_external_id select 'stale', '1', id from article",
    "update meeting
     set place_locality = null, announced_by = null, announcer = null, announce_days = null, publish_date = null,
         create_time = now(), date_precision = 0, kind = 16, visit_type = 5",
    "update article set create_time = now(), search = ''",
    "delete from statement where number = 1",
    "update statement set sort_date = '2001-01-01', language_code = 'xx', search = ''",
    "delete from statement_speaker",
    "delete from statement_topic where number = 0",
];

async fn filled() -> Service {
    let mut service = Service::start().await;
    let person = make::person("Kerim Veliyev", "AZ");
    for number in 0..3 {
        let mut story = make::story(&format!("urn:{number}"), std::slice::from_ref(&person));
        story.article.as_mut().unwrap().external_ids = make::wikidata(&number.to_string());
        let account = story.reports[0].account.as_mut().unwrap();
        let absent =
            Participation { region_code: "RU".into(), presence: Presence::Absent.into(), ..make::named("a", "A") };
        *account = Account {
            topics: vec!["trade".into()],
            place: Some(Place { locality: "Baku".into(), ..Default::default() }),
            stops: vec![Stop {
                place: Some(Place { region_code: "AZ".into(), ..Default::default() }),
                ..Default::default()
            }],
            visit_type: VisitType::State.into(),
            announcement: Some(Announcement {
                by: "The Ministry".into(),
                participation: account.participations[0].id.clone(),
                date: account.date.clone(),
                ..Default::default()
            }),
            ..account.clone()
        };
        account.participations.push(absent);
        let statement = |id: &str, text: &str| Statement {
            id: id.into(),
            text: text.into(),
            speakers: vec![account.participations[0].id.clone()],
            topics: vec!["peace".into()],
            ..Default::default()
        };
        account.statements = vec![statement("1", "They spoke"), statement("2", "of peace")];
        service.ingest.ingest_story(make::ingest(story)).await.unwrap();
    }
    service
}

#[tokio::test]
async fn migration_reindexes_the_marked_collections_once() {
    let service = filled().await;
    let database = service.database.clone();
    service.stop().await;
    let before = derived(&database).await;
    execute(&database, OUTDATED).await;
    assert_ne!(derived(&database).await, before);
    execute(&database, &["insert into reindex values (4), (2), (3)"]).await;
    migrate(&database).await.unwrap();
    assert_eq!(derived(&database).await, before);
    // Without a mark, a second migration rebuilds nothing.
    execute(&database, OUTDATED).await;
    let old = derived(&database).await;
    migrate(&database).await.unwrap();
    assert_eq!(derived(&database).await, old);
}

#[tokio::test]
async fn reindexing_meetings_restores_the_dates_of_their_statements() {
    let service = filled().await;
    let database = service.database.clone();
    service.stop().await;
    let before = derived(&database).await;
    execute(&database, &["update statement set sort_date = '2001-01-01', days = '[2001-01-01,2001-01-02)'"]).await;
    assert_ne!(derived(&database).await, before);
    execute(&database, &["insert into reindex values (4)"]).await;
    migrate(&database).await.unwrap();
    assert_eq!(derived(&database).await, before);
}

#[tokio::test]
async fn admin_reindex_rebuilds_derived_rows_while_a_service_runs() {
    let service = filled().await;
    let before = derived(&service.database).await;
    execute(&service.database, OUTDATED).await;
    let url = service.database.to_url_lossy();
    let done = run(["admin", "reindex", "--database-url", url.as_str()]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, "participants: 1\narticles: 3\nreports: 3\nmeetings: 3\n");
    assert_eq!(derived(&service.database).await, before);
}

#[tokio::test]
async fn admin_reindex_succeeds_despite_a_deadlock_with_a_writer() {
    let service = filled().await;
    let before = derived(&service.database).await;
    let mut writer = service.database.connect().await.unwrap();
    let last = "update statement set number = number where report = (select max(report::text)::uuid from statement)";
    let first = "update statement set number = number where report = (select min(report::text)::uuid from statement)";
    for statement in ["begin", last] {
        sqlx::query(statement).execute(&mut writer).await.unwrap();
    }
    let url = service.database.to_url_lossy();
    let reindexed = tokio::spawn(async move { run(["admin", "reindex", "--database-url", url.as_str()]).await });
    let waiting = "
        select count(*)
        from pg_stat_activity
        where datname = current_database() and application_name = 'readout' and wait_event_type = 'Lock'";
    while service.count(waiting).await != 1 {
        tokio::task::yield_now().await;
    }
    // The two transactions deadlock: the database aborts one of them.
    let _ = sqlx::query(first).execute(&mut writer).await;
    writer.close().await.unwrap();
    let done = reindexed.await.unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(derived(&service.database).await, before);
}

#[tokio::test]
async fn new_database_has_nothing_to_reindex() {
    for database in [database().await, empty_database().await] {
        migrate(&database).await.unwrap();
        let mut connection = database.connect().await.unwrap();
        let marked: i64 = sqlx::query_scalar("select count(*) from reindex").fetch_one(&mut connection).await.unwrap();
        assert_eq!(marked, 0);
        connection.close().await.unwrap();
    }
}
