//! The store after the calls: every write that was answered is there whole, no other write left anything.

use std::{collections::BTreeMap, fs};

use sqlx::{ConnectOptions, Connection, PgConnection};
use tempfile::tempdir;
use tonic::Code;

use super::{Answer, Call};
use crate::{
    database::reindex::derived,
    support::{Service, data_dir::eventually, program::run},
};

/// Counts that must be zero: parts of a write without the others.
const HALVES: [(&str, &str); 8] = [
    (
        "changes of records that do not exist",
        "select count(*) from change c
         where not exists (select 1 from article r where c.collection = 2 and r.id = c.id and r.revision >= c.revision)
           and not exists (select 1 from participant r where c.collection = 1 and r.id = c.id and r.revision >= c.revision)
           and not exists (select 1 from report r where c.collection = 3 and r.id = c.id and r.revision >= c.revision)
           and not exists (select 1 from meeting r where c.collection = 4 and r.id = c.id and r.revision >= c.revision)",
    ),
    (
        "records without the change of their revision",
        "select count(*)
         from (
             select 1 as collection, id, revision from participant
             union all select 2, id, revision from article
             union all select 3, id, revision from report
             union all select 4, id, revision from meeting
         ) r
         where not exists (
             select 1 from change c where c.collection = r.collection and c.id = r.id and c.revision = r.revision
         )",
    ),
    (
        "records without a former revision",
        "select count(*)
         from (
             select 1 as collection, id, revision from participant
             union all select 2, id, revision from article
             union all select 3, id, revision from report
             union all select 4, id, revision from meeting
         ) r
         where r.revision - 1 <> (
             select count(*) from superseded s where s.collection = r.collection and s.id = r.id
         )",
    ),
    (
        "reports of no meeting",
        "select count(*) from report r where not exists (select 1 from meeting m where m.id = r.meeting)",
    ),
    (
        "reports of no article",
        "select count(*) from report r
         where r.article is not null
           and not exists (select 1 from article a where a.id = r.article)",
    ),
    (
        "articles that hold no uri while they are live, or one while they are deleted",
        "select count(*) from article a
         where (a.delete_time is null) <> exists (select 1 from article_uri u where u.article = a.id)",
    ),
    (
        "participants that hold no name while they are live, or one while they are deleted",
        "select count(*) from participant p
         where (p.delete_time is null) <> exists (select 1 from participant_name n where n.participant = p.id)",
    ),
    (
        "gaps between positions",
        "select coalesce(max(position) - min(position) + 1 - count(*), 0) from change",
    ),
];

/// The differences between the answers and the store. Stops the service.
pub async fn problems(service: Service, calls: &[Call]) -> Vec<String> {
    let mut problems = Vec::new();
    eventually("the settler is done", async || {
        service.count("select count(*) from unsettled where not settled").await == 0
    })
    .await;
    let mut connection = service.database.connect().await.expect("the database answers");
    compare(&mut connection, calls, &mut problems).await;
    for (what, query) in HALVES {
        let count: i64 = sqlx::query_scalar(query).fetch_one(&mut connection).await.expect(query);
        if count != 0 {
            problems.push(format!("{count} {what}"));
        }
    }
    connection.close().await.expect("closed");
    reindex(&service, &mut problems).await;
    transfer(&service, &mut problems).await;
    service.stop().await;
    problems
}

/// Compares the changes of each actor with the answer to its call. Each call has an actor of its own.
async fn compare(connection: &mut PgConnection, calls: &[Call], problems: &mut Vec<String>) {
    let query = "select actor, count(*), max(position) from change where actor like 'call-%' group by actor";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(query).fetch_all(connection).await.expect(query);
    let mut written: BTreeMap<String, (i64, i64)> =
        rows.into_iter().map(|(actor, count, last)| (actor, (count, last))).collect();
    for Call { method, actor, answer } in calls {
        let found = written.remove(actor);
        // In a stream each story has its own answer.
        if let Answer::Status { code: Code::Ok, stories, .. } = answer
            && *method == "IngestService/IngestStories"
        {
            if found.is_some() && !stories.is_empty() && !stories.contains(&Code::Ok) {
                problems.push(format!("{method} by {actor}: {answer}, but wrote {found:?}"));
            }
            continue;
        }
        // A stream that ends with an error may have written the stories before.
        if *method == "IngestService/IngestStories" {
            continue;
        }
        match (answer, found) {
            (Answer::Status { code: Code::Ok, position: Some(position), .. }, Some((_, last))) => {
                if !position.ends_with(&format!(".{last}")) {
                    problems.push(format!("{method} by {actor}: answered {position}, written {last}"));
                }
            }
            (Answer::Status { code: Code::Ok, position: None, .. }, Some(found)) => {
                problems.push(format!("{method} by {actor}: written {found:?}, answered without a position"));
            }
            // The deadline of the caller may pass while the write is committed.
            (Answer::Status { code: Code::DeadlineExceeded | Code::Cancelled, .. }, _) => {}
            (answer, Some(found)) => problems.push(format!("{method} by {actor}: {answer}, but wrote {found:?}")),
            (_, None) => {}
        }
    }
    if !written.is_empty() {
        problems.push(format!("writes of no call: {written:?}"));
    }
}

/// Derives the rows of the index tables again.
async fn reindex(service: &Service, problems: &mut Vec<String>) {
    let before = derived(&service.database).await;
    let url = service.database.to_url_lossy();
    let ran = run(["admin", "reindex", "--database-url", url.as_str()]).await;
    if ran.code != Some(0) {
        problems.push(format!("reindexing fails: {ran:?}"));
    }
    let after = derived(&service.database).await;
    if before.lines().count() != after.lines().count() {
        problems.push("reindexing changes the number of derived rows".to_owned());
    }
    for (before, after) in before.lines().zip(after.lines()).filter(|(before, after)| before != after).take(3) {
        problems.push(format!("derived rows differ: {before}\n  from {after}"));
    }
}

/// Imports the export of the store into an empty one.
async fn transfer(service: &Service, problems: &mut Vec<String>) {
    let exported = run(["export", "--server", &service.address.to_string()]).await;
    if exported.code != Some(0) {
        return problems.push(format!("the export fails: {}", exported.stderr));
    }
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("export.ndjson");
    fs::write(&file, &exported.stdout).expect("written");
    let empty = Service::start().await;
    let imported = run(["import", "--server", &empty.address.to_string(), file.to_str().expect("ASCII")]).await;
    if imported.code != Some(0) {
        problems.push(format!("the import of the export is refused: {}", imported.stderr));
    } else {
        let again = run(["export", "--server", &empty.address.to_string()]).await;
        let (records, imported) = (exported.stdout.lines().count(), again.stdout.lines().count());
        if records != imported {
            problems.push(format!("{records} records were exported, {imported} after their import"));
        }
    }
    empty.stop().await;
}
