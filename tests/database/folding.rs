//! Databases whose search words were folded by another version: a service reindexes them in steps when it starts.

use readout::{
    pb::{ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest, ListStatementsRequest, Statement},
    store::schema::migrate::migrate,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};

use crate::support::{
    Service,
    data_dir::within_timeout,
    make,
    program::{Program, messages, run},
};

/// Restores the words as release 0.1.0 folded them, and the schema without their version.
const FORMER: &[&str] = &[
    "update article set search = search_article(language_code, '', 'the oﬃce of congreſs')",
    "update statement set search = search_words('en', 'the oﬃce of congreſs')",
    "drop table folding",
    "alter table reindex drop column done",
    "alter table participant drop column search",
    "alter table meeting drop column search",
    "drop function search_vector",
    "delete from _sqlx_migrations where version in (14, 28)",
];

/// The versions of the collections after a rebuild.
const ALL_DONE: [(i16, i32, Option<i32>, bool); 4] =
    [(1, 2, None, false), (2, 2, None, false), (3, 2, None, false), (4, 2, None, false)];

const WORDS: &str = "The oﬃce of Congreſs.";

async fn execute(database: &PgConnectOptions, statements: &[&str]) {
    let mut connection = database.connect().await.unwrap();
    for statement in statements {
        sqlx::query(AssertSqlSafe(*statement)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Per collection: the folding version, the next version, and the progress of reindexing.
async fn versions(database: &PgConnectOptions) -> Vec<(i16, i32, Option<i32>, bool)> {
    let mut connection = database.connect().await.unwrap();
    let query = "select collection, version, next, done is not null from folding order by collection";
    let versions = sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    versions
}

/// A database with an article and a statement. No service uses it.
async fn filled() -> PgConnectOptions {
    let mut service = Service::start().await;
    let mut story = make::story("urn:a", &[make::person("Kerim Veliyev", "AZ")]);
    story.article.as_mut().unwrap().text = WORDS.into();
    story.article.as_mut().unwrap().language_code = "en".into();
    let account = story.reports[0].account.as_mut().unwrap();
    let speakers = vec![account.participations[0].id.clone()];
    account.statements = vec![Statement { id: "1".into(), text: WORDS.into(), speakers, ..Default::default() }];
    for report in &mut story.reports {
        report.evidence.clear();
    }
    service.ingest.ingest_story(make::ingest(story)).await.unwrap();
    let database = service.database.clone();
    service.stop().await;
    database
}

/// The number of articles and of statements that match a query.
async fn match_counts(service: &Service, query: &str) -> (usize, usize) {
    let request = ListArticlesRequest { query: query.into(), ..Default::default() };
    let articles = service.articles.clone().list_articles(request).await.unwrap().into_inner().articles;
    let request = ListStatementsRequest { query: query.into(), ..Default::default() };
    let statements = service.meetings.clone().list_statements(request).await.unwrap().into_inner().results;
    (articles.len(), statements.len())
}

#[tokio::test]
async fn database_of_the_former_release_is_refolded_when_a_service_starts() {
    let database = filled().await;
    execute(&database, FORMER).await;
    let program = Program::serve_on(database.to_url_lossy().as_str()).await;
    program.logged("reindexing").await;
    program.logged("reindexed").await;
    program.stop().await;
    assert_eq!(versions(&database).await, ALL_DONE);

    let service = Service::start_on(database).await;
    for query in ["office congress", "OFFICE", "oﬃce", "Congreſs"] {
        assert_eq!(match_counts(&service, query).await, (1, 1), "{query}");
    }
    let request = ListParticipantsRequest { query: "kerim".into(), ..Default::default() };
    assert_eq!(
        service.participants.clone().list_participants(request).await.unwrap().into_inner().participants.len(),
        1
    );
    let request = ListMeetingsRequest { query: "talks congress".into(), ..Default::default() };
    assert_eq!(service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings.len(), 1);
}

#[tokio::test]
async fn words_folded_by_this_version_are_not_refolded() {
    let database = filled().await;
    execute(&database, &["update article set search = ''"]).await;
    migrate(&database).await.unwrap();
    let service = Service::start_on(database).await;
    assert_eq!(match_counts(&service, "office").await, (0, 1));
}

#[tokio::test]
async fn refolding_resumes_where_a_killed_service_stopped() {
    let database = filled().await;
    let mut connection = database.connect().await.unwrap();
    // Generated columns cannot be copied.
    let columns: String = sqlx::query_scalar(
        "select string_agg(column_name, ', ')
         from information_schema.columns
         where table_name = 'article' and is_generated = 'NEVER' and column_name <> 'id'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    let copy = format!(
        "insert into article (id, {columns}) select gen_random_uuid(), {columns} from article, generate_series(1, 199)"
    );
    sqlx::query(AssertSqlSafe(copy)).execute(&mut connection).await.unwrap();
    execute(&database, FORMER).await;

    // The first service waits for a lock on the last article and logs its progress.
    sqlx::query("begin").execute(&mut connection).await.unwrap();
    sqlx::query("select from article order by id desc limit 1 for update").execute(&mut connection).await.unwrap();
    let url = database.to_url_lossy();
    let program = Program::spawn_on(url.as_str());
    let line = program.logged("still reindexing").await;
    assert_eq!((&line["collection"], &line["records"]), (&"articles".into(), &200.into()), "{line}");
    program.kill().await;
    let stopped = versions(&database).await;
    assert!(stopped.contains(&(2, 0, Some(2), true)), "{stopped:?}");

    // The second run resumes after the last record of the first one.
    sqlx::query("rollback").execute(&mut connection).await.unwrap();
    sqlx::query("update article set search = '' where id <= (select done from folding where collection = 2)")
        .execute(&mut connection)
        .await
        .unwrap();
    within_timeout("the migration ends", migrate(&database)).await.unwrap();
    assert_eq!(versions(&database).await, ALL_DONE);
    let (done, left): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where search = ''), count(*) filter (where search @@ 'office'::tsquery) from article",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(done > 0 && left > 0 && done + left == 200, "{done} and {left}");
    connection.close().await.unwrap();
}

#[tokio::test]
async fn refolding_starts_over_when_another_version_began_it() {
    let database = filled().await;
    execute(&database, FORMER).await;
    migrate(&database).await.unwrap();
    execute(
        &database,
        &[
            "update article set search = ''",
            "update folding set version = -1, next = 0, done = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    )
    .await;
    migrate(&database).await.unwrap();
    let service = Service::start_on(database).await;
    assert_eq!(match_counts(&service, "office").await, (1, 1));
}

#[tokio::test]
async fn service_refuses_words_folded_by_a_newer_version() {
    let database = filled().await;
    let url = database.to_url_lossy();
    for newer in ["update folding set version = 7", "update folding set version = 0, next = 7 where collection = 3"] {
        execute(&database, &[newer]).await;
        let before = versions(&database).await;
        for command in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"], &["admin", "reindex"]] {
            let refused = run([command, &["--database-url", url.as_str()]].concat()).await;
            assert_eq!(refused.code, Some(1), "{refused:?}");
            let log: Vec<_> = refused.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let expected = "the database's words are folded by version 7, this readout folds by version 2: \
                            start a newer readout";
            assert!(messages(&log).ends_with(expected), "{}", messages(&log));
        }
        assert_eq!(versions(&database).await, before);
    }
}
