//! What records name: a live one names only live ones, and no line of parents or of copies leads back to itself.
//!
//! Checked once the feed's lock is held. Transactions then commit one after the other, also those of other instances,
//! and a statement sees all that was committed before it.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{AssertSqlSafe, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Claim, Write};
use crate::{
    model::{
        report::participants,
        resource::{Collection, Deletable},
    },
    pb::report::State,
    store::{StoreError, Tx, change},
};

/// What a write relies on in records that it does not write: those that it names are live, and those that it deletes
/// are named by nobody. Other than a claim, any number of writes may rely on the same.
pub(in crate::store) fn relied_on(write: &Write) -> BTreeSet<Claim> {
    let mut live = BTreeSet::new();
    let mut names = |of: Collection, name: &str| live.extend(of.id(name).map(|id| Claim::Live(of, id)));
    for one in write.participants.iter().filter(|one| !one.put.record.is_deleted()) {
        names(Collection::Participants, &one.put.record.parent);
    }
    for one in write.articles.iter().filter(|one| !one.put.record.is_deleted()) {
        names(Collection::Articles, &one.put.record.syndicated_from);
    }
    for one in write.reports.iter().filter(|one| one.kind == change::Kind::Retracted) {
        if let Some(retraction) = &one.record.retraction {
            names(Collection::Articles, &retraction.correcting_article);
        }
    }
    let reports = || write.reports.iter().filter(|one| one.record.state() != State::Retracted);
    for one in reports() {
        names(Collection::Articles, &one.record.article);
    }
    let accounts = reports().filter_map(|one| one.record.account.as_ref());
    live.extend(accounts.flat_map(participants).map(|id| Claim::Live(Collection::Participants, id)));

    // What it writes itself it has claimed.
    for one in &write.participants {
        live.remove(&Claim::Live(Collection::Participants, one.put.id));
    }
    for one in &write.articles {
        live.remove(&Claim::Live(Collection::Articles, one.put.id));
    }
    let participants = write.participants.iter().filter(|one| one.put.kind == change::Kind::Deleted);
    live.extend(participants.map(|one| Claim::Unnamed(Collection::Participants, one.put.id)));
    let articles = write.articles.iter().filter(|one| one.put.kind == change::Kind::Deleted);
    live.extend(articles.map(|one| Claim::Unnamed(Collection::Articles, one.put.id)));
    live
}

/// Adds to `lost` what the batch relies on and is not so. The transaction has written all else, and holds the lock.
pub(in crate::store) async fn check(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let relied_on: BTreeSet<Claim> = batch.iter().flat_map(|write| relied_on(write)).collect();
    let (mut named, mut deleted): (HashMap<_, Vec<Uuid>>, HashMap<_, Vec<Uuid>>) = Default::default();
    for claim in &relied_on {
        match *claim {
            Claim::Live(of, id) => named.entry(of).or_default().push(id),
            // Of a deletion and a write that names the same, only one may come before the other.
            Claim::Unnamed(of, id) if relied_on.contains(&Claim::Live(of, id)) => {
                lost.insert(claim.clone());
            }
            Claim::Unnamed(of, id) => deleted.entry(of).or_default().push(id),
            _ => {}
        }
    }
    if !lost.is_empty() {
        return Ok(());
    }

    if !named.is_empty() {
        let (cited, revisions) = cited(batch);
        let gone: Vec<(bool, Uuid)> = sqlx::query_as(
            "select true, id
             from participant
             where id = any($1)
               and delete_time is not null
             union all
             select false, id
             from article
             where id = any($2)
               and delete_time is not null
             union all
             select false, article.id
             from unnest($3::uuid[], $4::bigint[]) as cited (id, revision)
             join article on article.id = cited.id
             where article.revision <> cited.revision",
        )
        .bind(named.remove(&Collection::Participants).unwrap_or_default())
        .bind(named.remove(&Collection::Articles).unwrap_or_default())
        .bind(cited)
        .bind(revisions)
        .fetch_all(&mut *tx)
        .await?;
        let collection = |is_participant| if is_participant { Collection::Participants } else { Collection::Articles };
        lost.extend(gone.into_iter().map(|(is_participant, id)| Claim::Live(collection(is_participant), id)));
    }
    for (of, ids) in deleted {
        let named = dependents(&mut *tx, of, &ids, 1).await?;
        lost.extend(named.into_iter().map(|(id, _)| Claim::Unnamed(of, id)));
    }
    check_lines(tx, batch, lost).await
}

/// The articles of new reports, each with the revision that the report was made on: its evidence was checked against a
/// text, and its meeting settled with an origin, that the article may no longer have. An article of the same write is not
/// among them.
fn cited(batch: &[&Write]) -> (Vec<Uuid>, Vec<i64>) {
    let cited = batch.iter().flat_map(|write| {
        let is_own = |id: Uuid| write.articles.iter().any(|one| one.put.id == id);
        let new = write.reports.iter().filter(|one| one.replaces.is_none()).map(|one| &one.record);
        let cited = new.filter_map(|report| Some((Collection::Articles.id(&report.article)?, report.article_revision)));
        cited.filter(move |(id, _)| !is_own(*id))
    });
    cited.collect::<BTreeSet<_>>().into_iter().unzip()
}

/// Loses whatever moves a record so that its line leads back to it.
async fn check_lines(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let participants = batch.iter().flat_map(|write| &write.participants).filter(|one| one.moves());
    let articles = batch.iter().flat_map(|write| &write.articles).filter(|one| one.moves());
    let participants: Vec<Uuid> = participants.map(|one| one.put.id).collect();
    let articles: Vec<Uuid> = articles.map(|one| one.put.id).collect();
    for (of, moved) in [(Collection::Participants, participants), (Collection::Articles, articles)] {
        if moved.is_empty() {
            continue;
        }
        let line = line(&mut *tx, of, &moved).await?;
        if moved.iter().any(|&id| leads_back(&line, id, id)) {
            lost.insert(Claim::Line(of));
        }
    }
    Ok(())
}

/// The places of these records, and of all that their lines go through: each with the one that it is part of, or a copy
/// of.
pub async fn line(
    executor: impl PgExecutor<'_>,
    of: Collection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Uuid>, StoreError> {
    let (table, next) = match of {
        Collection::Participants => ("participant", "parent"),
        Collection::Articles => ("article", "syndicated_from"),
        Collection::Reports | Collection::Meetings => return Ok(HashMap::new()),
    };
    let statement = format!(
        "with recursive line (id, next) as (
             select id, {next}
             from {table}
             where id = any($1)
               and {next} is not null
             union
             select {table}.id, {table}.{next}
             from line
             join {table} on {table}.id = line.next
             where {table}.{next} is not null
         )
         select id, next
         from line"
    );
    let line: Vec<(Uuid, Uuid)> = sqlx::query_as(AssertSqlSafe(statement)).bind(ids).fetch_all(executor).await?;
    Ok(line.into_iter().collect())
}

/// Whether the line that begins behind `first` comes to `sought`.
pub fn leads_back(line: &HashMap<Uuid, Uuid>, first: Uuid, sought: Uuid) -> bool {
    let behind = std::iter::successors(line.get(&first), |id| line.get(id));
    // However it goes, after so many steps it only repeats itself.
    behind.take(line.len()).any(|id| *id == sought)
}

/// The names of records that keep one from being deleted, at most `most`.
pub async fn naming(pool: &PgPool, of: Collection, id: Uuid, most: i64) -> Result<Vec<String>, StoreError> {
    Ok(dependents(pool, of, &[id], most).await?.into_iter().map(|(_, name)| name).collect())
}

/// Who names each of these records, at most `most` for each: of a participant the meetings, also deleted ones, which
/// can come back, and its live parts; of an article its live copies and its active reports. A meeting is named by nobody.
async fn dependents(
    executor: impl PgExecutor<'_>,
    of: Collection,
    ids: &[Uuid],
    most: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let statement = match of {
        Collection::Participants => {
            "select named.id, dependent.name
             from unnest($1::uuid[]) as named (id)
             cross join lateral (
                 (select 'meetings/' || meeting as name
                  from meeting_participant
                  where participant = named.id
                  order by meeting
                  limit $2)
                 union all
                 (select 'participants/' || part.id
                  from participant as part
                  where part.parent = named.id
                    and part.delete_time is null
                  order by part.id
                  limit $2)
                 limit $2
             ) as dependent"
        }
        Collection::Articles => {
            "select named.id, dependent.name
             from unnest($1::uuid[]) as named (id)
             cross join lateral (
                 (select 'articles/' || copy.id as name
                  from article as copy
                  where copy.syndicated_from = named.id
                    and copy.delete_time is null
                  order by copy.id
                  limit $2)
                 union all
                 (select 'reports/' || report.id
                  from report
                  where report.article = named.id
                    and report.retract_time is null
                  order by report.id
                  limit $2)
                 limit $2
             ) as dependent"
        }
        Collection::Reports | Collection::Meetings => return Ok(Vec::new()),
    };
    Ok(sqlx::query_as(statement).bind(ids).bind(most).fetch_all(executor).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_leads_back_only_to_what_is_in_it() {
        let [a, b, c, d] = [1, 2, 3, 4].map(Uuid::from_u128);
        let line: HashMap<Uuid, Uuid> = [(a, b), (b, c)].into();
        assert!(leads_back(&line, a, c) && leads_back(&line, b, c));
        assert!(!leads_back(&line, a, a) && !leads_back(&line, c, a) && !leads_back(&line, d, a));
        let circle: HashMap<Uuid, Uuid> = [(a, b), (b, c), (c, a)].into();
        assert!(leads_back(&circle, a, a));
        assert!(!leads_back(&circle, a, d));
    }
}
