//! Ingest of the real stories, compared with inserts of the same rows by SQL alone, in as many transactions.

use std::time::{Duration, Instant};

use futures_util::stream;
use readout::pb::{
    IngestStoriesRequest, ParticipantMatching, ingest_stories_response::Outcome, ingest_story_request::MeetingMatching,
};
use sqlx::{Connection, PgConnection};

use super::{
    cluster::{connect, execute, number},
    load::median,
    service::Service,
    stories,
    table::{Table, Target},
};

const ROUNDS: usize = 3;

/// The tables to which an ingest writes.
const TABLES: [&str; 23] = [
    "request",
    "audit_event",
    "article_text",
    "article_text_use",
    "text_sketch",
    "article_uri",
    "article",
    "participant_external_id",
    "participant_key",
    "participant",
    "participant_name",
    "meeting",
    "meeting_participant",
    "meeting_region",
    "meeting_topic",
    "meeting_trait",
    "participation",
    "statement",
    "statement_speaker",
    "statement_region",
    "statement_topic",
    "report",
    "superseded",
];

pub async fn measure(table: &mut Table) {
    let requests: Vec<IngestStoriesRequest> =
        stories::lines().iter().map(|line| stories::request(&stories::story(line))).collect();
    let (mut service_rates, mut sql_rates, mut ratios, mut seconds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let service = Service::start().await;
        let begin = Instant::now();
        ingest_all(&service, &requests).await;
        let ingested = begin.elapsed();
        let mut connection = connect(&service.database).await;
        let (rows, inserted) = insert_copies(&mut connection).await;
        connection.close().await.expect("closed");
        service.stop().await;

        let rate = |took: Duration| rows as f64 / took.as_secs_f64();
        seconds.push(ingested.as_secs_f64());
        service_rates.push(rate(ingested));
        sql_rates.push(rate(inserted));
        ratios.push(rate(ingested) / rate(inserted));
    }
    let (service_rate, sql_rate) = (median(service_rates), median(sql_rates));
    let figures = (format!("{service_rate:.0} rows/s, {:.1} s", median(seconds)), format!("{sql_rate:.0} rows/s"));
    let figure = format!("IngestStories, {} stories / SQL alone", requests.len());
    table.add(&figure, figures, median(ratios), Target::AtLeast(0.5));
    compare_matching(table, &requests).await;
}

/// Compares an ingest whose participants are settled, while they are settled, with one that only matches equal keys; and
/// one whose meetings are matched with one whose are not.
async fn compare_matching(table: &mut Table, exact: &[IngestStoriesRequest]) {
    let changed = |change: fn(&mut IngestStoriesRequest)| {
        let mut requests = exact.to_vec();
        requests.iter_mut().for_each(change);
        requests
    };
    let settled = changed(|request| request.set_participant_matching(ParticipantMatching::Settled));
    let matched = changed(|request| request.set_meeting_matching(MeetingMatching::Same));
    for (figure, requests, target) in [
        ("IngestStories, participants SETTLED / EXACT", settled, Target::AtLeast(0.9)),
        ("IngestStories, meetings SAME / NONE", matched, Target::Any),
    ] {
        let (mut rates, mut exact_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let [rate, exact_rate] = [rate_of(&requests).await, rate_of(exact).await];
            ratios.push(rate / exact_rate);
            rates.push(rate);
            exact_rates.push(exact_rate);
        }
        let figures = [rates, exact_rates].map(|rates| format!("{:.0} stories/s", median(rates)));
        table.add(figure, figures.into(), median(ratios), target);
    }
}

/// The stories that a new service ingests in a second.
async fn rate_of(requests: &[IngestStoriesRequest]) -> f64 {
    let service = Service::start().await;
    let begin = Instant::now();
    ingest_all(&service, requests).await;
    let rate = requests.len() as f64 / begin.elapsed().as_secs_f64();
    service.stop().await;
    rate
}

/// Ingests all stories in one stream.
pub async fn ingest_all(service: &Service, requests: &[IngestStoriesRequest]) {
    let mut client = service.ingest.clone();
    let mut answers = client.ingest_stories(stream::iter(requests.to_vec())).await.expect("a stream").into_inner();
    let mut count = 0;
    while let Some(answer) = answers.message().await.expect("the stream continues") {
        assert!(matches!(answer.outcome, Some(Outcome::Result(_))), "{answer:?}");
        count += 1;
    }
    assert_eq!(count, requests.len());
}

/// Inserts all rows of an ingest into tables of the same shape, in as many transactions. Returns the number of rows and
/// the duration of the inserts.
async fn insert_copies(connection: &mut PgConnection) -> (i64, Duration) {
    // The changes of a transaction have the same time.
    let batches = number(connection, "select count(distinct time) from change").await;
    let tables = || TABLES.iter().chain(&["change"]);
    execute(connection, "create schema dump; create schema copied".to_owned()).await;
    let mut rows = 0;
    for table in tables() {
        let statement = format!(
            "create table dump.{table} as
             select ntile({batches}) over (order by tableoid, ctid) as batch, *
             from public.{table};
             create index on dump.{table} (batch);
                 create table copied.{table} (like public.{table} including all);
             analyze dump.{table}"
        );
        execute(connection, statement).await;
        rows += number(connection, &format!("select count(*) from public.{table}")).await;
    }
    let mut inserts = Vec::new();
    for table in tables() {
        let columns: String = sqlx::query_scalar(
            "select string_agg(quote_ident(attname), ', ' order by attnum)
             from pg_attribute
             where attrelid = ('public.' || $1)::regclass
               and attnum > 0
               and not attisdropped
               and attgenerated = ''",
        )
        .bind(table)
        .fetch_one(&mut *connection)
        .await
        .expect("columns");
        inserts.push(format!(
            "insert into copied.{table} ({columns}) overriding system value
             select {columns} from dump.{table} where batch = $1"
        ));
    }
    execute(connection, "checkpoint".to_owned()).await;
    let begin = Instant::now();
    for batch in 1..=batches {
        let mut tx = connection.begin().await.expect("begun");
        for insert in &inserts {
            let batch = i32::try_from(batch).expect("few");
            sqlx::query(sqlx::AssertSqlSafe(insert.clone())).bind(batch).execute(&mut *tx).await.expect(insert);
        }
        tx.commit().await.expect("committed");
    }
    (rows, begin.elapsed())
}
