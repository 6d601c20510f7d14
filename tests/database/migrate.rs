//! Schema migrations: applied once even if several instances start together, and never applied to a newer schema.

use readout::{
    pb::{
        Article, CreateArticleRequest, DeleteArticleRequest, ErrorReason, GetArticleRequest, ListMeetingsRequest,
        Participant, article::TextRights, article_service_client::ArticleServiceClient,
    },
    store::schema::migrate::migrate,
};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tonic_types::StatusExt;

use crate::support::{
    Service,
    cluster::{database, empty_database},
    make,
    program::{Program, messages, run},
    reason_of,
};

/// Version, checksum and time of all applied migrations.
async fn applied(database: &PgConnectOptions) -> Vec<(i64, Vec<u8>, String)> {
    let mut connection = database.connect().await.unwrap();
    let query = "select version, checksum, installed_on::text from _sqlx_migrations order by version";
    let applied = sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    applied
}

async fn execute(database: &PgConnectOptions, statement: &'static str) {
    let mut connection = database.connect().await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn concurrent_starts_on_an_empty_database_all_serve() {
    let database = empty_database().await;
    let url = database.to_url_lossy();
    let (first, second) = tokio::join!(Program::serve_on(url.as_str()), Program::serve_on(url.as_str()));
    let first_client = ArticleServiceClient::new(first.channel().await);
    let second_client = ArticleServiceClient::new(second.channel().await);
    for (uri, mut writer, mut reader) in
        [("urn:a", first_client.clone(), second_client.clone()), ("urn:b", second_client, first_client)]
    {
        let article = Some(Article { uri: uri.into(), ..Default::default() });
        let request = CreateArticleRequest { article, ..Default::default() };
        let written = writer.create_article(request).await.unwrap().into_inner();
        let request = GetArticleRequest { name: written.name.clone(), ..Default::default() };
        assert_eq!(reader.get_article(request).await.unwrap().into_inner(), written);
    }
    tokio::join!(first.stop(), second.stop());
}

#[tokio::test]
async fn concurrent_migrations_all_succeed() {
    let database = empty_database().await;
    let all = futures_util::future::join_all((0..8).map(|_| migrate(&database))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

#[tokio::test]
async fn migrate_leaves_a_current_database_unchanged() {
    let database = empty_database().await;
    let url = database.to_url_lossy();
    let migrate = ["migrate", "--database-url", url.as_str()];
    let first = run(migrate).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    execute(&database, "insert into article_uri values ('urn:kept', gen_random_uuid())").await;
    let before = applied(&database).await;
    assert!(!before.is_empty());

    let second = run(migrate).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(second.stderr.contains("the database is up to date"), "{second:?}");
    assert_eq!(applied(&database).await, before);
    let mut connection = database.connect().await.unwrap();
    let kept: i64 = sqlx::query_scalar("select count(*) from article_uri").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn newer_schema_is_refused_with_both_versions() {
    let database = database().await;
    let newest_known = applied(&database).await.last().unwrap().0;
    let future = "insert into _sqlx_migrations values (99990101000000, 'of the future', now(), true, '\\x00', 1)";
    execute(&database, future).await;
    let before = applied(&database).await;

    let url = database.to_url_lossy();
    let expected = format!(
        "the database has schema version 99990101000000, this readout knows versions up to {newest_known}: \
         start a newer readout"
    );
    for command in ["migrate", "serve"] {
        let refused = run([command, "--database-url", url.as_str()]).await;
        assert_eq!(refused.code, Some(1), "{command}: {refused:?}");
        let log: Vec<_> = refused.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(messages(&log), expected, "{command}");
    }
    assert_eq!(applied(&database).await, before);
}

#[tokio::test]
async fn migration_3_fills_parents_and_syndication_sources_from_documents() {
    let service = Service::start().await;
    let state = service.create_participant(make::person("State", "AZ")).await;
    let ministry = Participant { parent: state.name.clone(), note: "N".repeat(300), ..make::person("Ministry", "AZ") };
    let ministry = service.create_participant(ministry).await;
    let first = service.create_article(make::article("urn:a")).await;
    let copy = Article { syndicated_from: first.name.clone(), ..make::article("urn:copy") };
    let copy = service.create_article(copy).await;
    let database = service.database.clone();
    service.stop().await;

    for statement in [
        "alter table participant drop column delete_time, drop column parent",
        "alter table article drop column delete_time, drop column syndicated_from",
        "alter table meeting drop column listed, drop column delete_time",
        "delete from _sqlx_migrations where version = 3",
    ] {
        execute(&database, statement).await;
    }
    migrate(&database).await.unwrap();
    let service = Service::start_on(database).await;
    for (refused, naming) in [
        (service.delete_participant(&state.name).await.unwrap_err(), &ministry.name),
        (service.delete_article(&first.name).await.unwrap_err(), &copy.name),
    ] {
        assert_eq!(reason_of(&refused), ErrorReason::StillNamed);
        assert_eq!(&refused.get_details_precondition_failure().unwrap().violations[0].subject, naming);
    }
    assert_eq!(service.count("select count(*) from participant where parent is not null").await, 1);
    assert_eq!(service.count("select count(*) from article where syndicated_from is not null").await, 1);
}

#[tokio::test]
async fn migration_7_fills_actors_and_reasons_from_documents_and_changes() {
    let service = Service::start().await;
    let mut person = service.create_participant(make::person("Kerim Veliyev", "AZ")).await;
    person.note = "N".repeat(300);
    service.update_participant(person, &["note"]).await.unwrap();
    let article = service.create_article(make::article("urn:a")).await;
    let meeting = service.create_meeting(&article, make::talks("Talks")).await.unwrap();
    service.delete_meeting(&meeting.name).await.unwrap();
    let request =
        DeleteArticleRequest { name: article.name, force: true, request_id: "r".into(), ..Default::default() };
    service.articles.clone().delete_article(request).await.unwrap();
    let database = service.database.clone();
    service.stop().await;

    // The migration restores the values that the service wrote.
    let written = signatures(&database).await;
    assert_eq!(written.lines().count(), 9);
    for table in ["participant", "article", "report", "meeting", "superseded"] {
        let columns = ["update_time", "change_kind", "actor", "request_id", "reason"];
        let mut dropped = columns.map(|column| format!("drop column {column}")).join(", ");
        if table == "superseded" {
            dropped.push_str(", drop column meeting");
        }
        let statement = format!("alter table {table} {dropped}");
        let mut connection = database.connect().await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    execute(&database, "delete from _sqlx_migrations where version = 7").await;
    migrate(&database).await.unwrap();
    assert_eq!(signatures(&database).await, written);
}

/// One line per revision, with its actor.
async fn signatures(database: &PgConnectOptions) -> String {
    let mut connection = database.connect().await.unwrap();
    let query = "
        select string_agg(signature::text, E'\\n' order by signature)
        from (
            select 'participant', id, revision, update_time, change_kind, actor, request_id, null::uuid from participant
            union all
            select 'article', id, revision, update_time, change_kind, actor, request_id, null from article
            union all
            select 'report', id, revision, update_time, change_kind, actor, request_id, null from report
            union all
            select 'meeting', id, revision, update_time, change_kind, actor, request_id, null from meeting
            union all
            select 'superseded', id, revision, update_time, change_kind, actor, request_id, meeting from superseded
        ) as signature";
    let signatures: String = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    signatures
}

#[tokio::test]
async fn migration_6_fills_report_and_source_counts_from_reports() {
    let service = Service::start().await;
    let first = service.create_article(make::article("urn:a")).await;
    let copy = Article { syndicated_from: first.name.clone(), ..make::article("urn:copy") };
    let copy = service.create_article(copy).await;
    let other = service.create_article(make::article("urn:b")).await;
    let reported_thrice = service.create_meeting(&first, make::talks("Talks")).await.unwrap();
    for article in [&copy, &other] {
        service.add_report(&reported_thrice.name, &article.name, make::talks("Talks")).await.unwrap();
    }
    let reported_once = service.create_meeting(&other, make::talks("Others")).await.unwrap();
    let database = service.database.clone();
    service.stop().await;

    for statement in [
        "alter table meeting drop column has_dispute, drop column report_count, drop column independent_source_count",
        "delete from _sqlx_migrations where version = 6",
    ] {
        execute(&database, statement).await;
    }
    migrate(&database).await.unwrap();
    let service = Service::start_on(database).await;
    for (filter, name) in [
        ("report_count = 3 AND independent_source_count = 2 AND has_dispute = false", &reported_thrice.name),
        ("report_count = 1 AND independent_source_count = 1 AND has_dispute = false", &reported_once.name),
    ] {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let list = service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        assert_eq!(list.meetings.iter().map(|meeting| &meeting.name).collect::<Vec<_>>(), [name], "{filter}");
    }
}

#[tokio::test]
async fn migration_8_fills_article_text_use_from_revisions() {
    let service = Service::start().await;
    let kept = service.create_article(make::article("urn:kept")).await;
    let shared = service.create_article(make::article("urn:shared")).await;
    let another = |of: &Article, text: &str| Article { name: of.name.clone(), text: text.into(), ..Default::default() };
    for (of, text) in [(&kept, "Second words."), (&shared, "Other words.")] {
        service.update_article(another(of, text), &["text"]).await.unwrap();
    }
    let withheld = Article { text_rights: TextRights::Withheld.into(), ..another(&shared, "") };
    service.update_article(withheld, &["text_rights"]).await.unwrap();
    let database = service.database.clone();
    service.stop().await;

    for statement in [
        "drop table article_text_use, unsettled, grouping",
        "drop index article_origin_idx",
        "alter table article drop column text_key",
        // Before schema version 8, a withheld text was left behind like this.
        "insert into article_text values ('\\x00', 'Other words.')",
        "delete from _sqlx_migrations where version = 8",
    ] {
        execute(&database, statement).await;
    }
    migrate(&database).await.unwrap();
    let service = Service::start_on(database).await;
    assert_eq!(service.count("select count(*) from article_text").await, 2);
    assert_eq!(service.count("select count(distinct article) from article_text_use").await, 1);
    assert_eq!(service.count("select count(*) from article_text_use").await, 2);
    assert_eq!(service.article(&kept.name).await.text, "Second words.");
}
