//! References between records: a live record references only live ones, and no chain of parents or of copies has a
//! cycle.
//!
//! The checks run while the transaction holds the feed's lock. Then transactions commit one at a time, across all
//! instances, and each statement sees everything that was committed before it.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{AssertSqlSafe, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Claim, PutParticipant, Write};
use crate::{
    model::{
        participant::PersonFacts,
        report::{participants, referenced_participants},
        resource::{Collection, Deletable},
    },
    pb::report::State,
    store::{StoreError, Tx, change},
};

/// The shared claims of a write on records that it does not write itself: the records that it references are live, and
/// those that it deletes have no referrers. Unlike exclusive claims, any number of writes may have the same.
pub(in crate::store) fn shared_claims(write: &Write) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    let mut reference = |of: Collection, name: &str| claims.extend(of.id(name).map(|id| Claim::Live(of, id)));
    for participant in write.participants.iter().filter(|participant| !participant.put.record.is_deleted()) {
        reference(Collection::Participants, &participant.put.record.parent);
        reference(Collection::Participants, &participant.put.record.merged_into);
    }
    for article in write.articles.iter().filter(|article| !article.put.record.is_deleted()) {
        reference(Collection::Articles, &article.put.record.syndicated_from);
    }
    for report in write.reports.iter().filter(|report| report.kind == change::Kind::Retracted) {
        if let Some(retraction) = &report.record.retraction {
            reference(Collection::Articles, &retraction.correcting_article);
        }
    }
    let active_reports = || write.reports.iter().filter(|report| report.record.state() != State::Retracted);
    for report in active_reports() {
        reference(Collection::Articles, &report.record.article);
    }
    claims.extend(write.read_articles.iter().map(|(id, _)| Claim::Live(Collection::Articles, *id)));
    let named = active_reports().flat_map(|report| referenced_participants(&report.record));
    claims.extend(named.map(|id| Claim::Live(Collection::Participants, id)));
    claims.extend(persons(write).map(|(id, _)| Claim::Person(id)));
    claims.extend(new_aliases(write).map(|participant| Claim::Alias(participant.put.id)));

    // The write has exclusive claims on the records that it writes itself.
    for participant in &write.participants {
        claims.remove(&Claim::Live(Collection::Participants, participant.put.id));
    }
    for article in &write.articles {
        claims.remove(&Claim::Live(Collection::Articles, article.put.id));
    }
    let participants = write.participants.iter().filter(|participant| participant.put.kind == change::Kind::Deleted);
    claims.extend(participants.map(|participant| Claim::Unreferenced(Collection::Participants, participant.put.id)));
    let articles = write.articles.iter().filter(|article| article.put.kind == change::Kind::Deleted);
    claims.extend(articles.map(|article| Claim::Unreferenced(Collection::Articles, article.put.id)));
    claims
}

/// Adds the shared claims of the batch that do not hold to `lost`. The transaction has written all rows, and holds the
/// feed's lock.
pub(in crate::store) async fn check(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let claims: BTreeSet<Claim> = batch.iter().flat_map(|write| shared_claims(write)).collect();
    let (mut referenced, mut deleted): (HashMap<_, Vec<Uuid>>, HashMap<_, Vec<Uuid>>) = Default::default();
    for claim in &claims {
        match *claim {
            Claim::Live(of, id) => referenced.entry(of).or_default().push(id),
            // A deletion and a write that references the same record cannot both be in a batch.
            Claim::Unreferenced(of, id) if claims.contains(&Claim::Live(of, id)) => {
                lost.insert(claim.clone());
            }
            Claim::Unreferenced(of, id) => deleted.entry(of).or_default().push(id),
            _ => {}
        }
    }
    if !lost.is_empty() {
        return Ok(());
    }

    if !referenced.is_empty() {
        let (cited, revisions) = cited_articles(batch);
        let persons: BTreeSet<(Uuid, SettledAs)> = batch.iter().flat_map(|write| persons(write)).collect();
        let (named, persons): (Vec<Uuid>, Vec<SettledAs>) = persons.into_iter().unzip();
        let regions: Vec<Option<&str>> =
            persons.iter().map(|(_, facts)| facts.map(|facts| facts.region_code.as_str())).collect();
        // The contract has few kinds: the cast cannot overflow.
        let kinds: Vec<Option<i16>> = persons.iter().map(|(_, facts)| facts.map(|facts| facts.kind as i16)).collect();
        let settled_as: Vec<Option<Uuid>> = persons.iter().map(|(person, _)| *person).collect();
        let invalid: Vec<(i16, Uuid)> = sqlx::query_as(
            "select 1::smallint, id
             from participant
             where id = any($1)
               and delete_time is not null
             union all
             select 2::smallint, id
             from article
             where id = any($2)
               and delete_time is not null
             union all
             select 2::smallint, article.id
             from unnest($3::uuid[], $4::bigint[]) as cited (id, revision)
             join article on article.id = cited.id
             where article.revision <> cited.revision
             union all
             select 0::smallint, named.id
             from unnest($5::uuid[], $6::uuid[], $7::text[], $8::smallint[])
                      as named (id, settled_as, region_code, kind)
             join participant on participant.id = named.id
             join participant as person on person.id = coalesce(participant.merged_into, participant.id)
             where participant.merged_into is distinct from named.settled_as
                or person.kind <> named.kind
                or coalesce(person.region_code, '') <> named.region_code",
        )
        .bind(referenced.remove(&Collection::Participants).unwrap_or_default())
        .bind(referenced.remove(&Collection::Articles).unwrap_or_default())
        .bind(cited)
        .bind(revisions)
        .bind(named)
        .bind(settled_as)
        .bind(regions)
        .bind(kinds)
        .fetch_all(&mut *tx)
        .await?;
        lost.extend(invalid.into_iter().map(|(of, id)| match Collection::try_from(of) {
            Ok(of) => Claim::Live(of, id),
            Err(()) => Claim::Person(id),
        }));
    }
    check_aliases(&mut *tx, batch, lost).await?;
    for (of, ids) in deleted {
        let referrers = find_referrers(&mut *tx, of, &ids, 1).await?;
        lost.extend(referrers.into_iter().map(|(id, _)| Claim::Unreferenced(of, id)));
    }
    check_ancestry(tx, batch, lost).await
}

/// The one that a participant was settled as, `None` for one that stands for itself, and the facts that were known of it,
/// `None` if settling did not read them.
type SettledAs<'a> = (Option<Uuid>, Option<&'a PersonFacts>);

/// The participants that the new reports and bindings of a write name, each with the one that it was settled as. The
/// persons of its new aliases stand for themselves.
fn persons(write: &Write) -> impl Iterator<Item = (Uuid, SettledAs<'_>)> {
    let new = write.reports.iter().filter(|report| report.replaces.is_none());
    let named = new.filter_map(|report| report.record.account.as_ref()).flat_map(participants);
    let bound = write.reports.iter().filter(|report| report.kind == change::Kind::Bound);
    let named = named.chain(bound.flat_map(|report| referenced_participants(&report.record)));
    let is_own = |id: &Uuid| write.participants.iter().any(|participant| participant.put.id == *id);
    let into = new_aliases(write).filter_map(|alias| Collection::Participants.id(&alias.put.record.merged_into));
    let into = into.filter(move |id| !is_own(id)).map(|id| (id, (None, None)));
    let settled = |id: Uuid| {
        let alias_of = write.aliases.get(&id).copied();
        (id, (alias_of, write.persons.get(&alias_of.unwrap_or(id))))
    };
    named.map(settled).chain(into)
}

/// The participants that a write settles as another person than before.
fn new_aliases(write: &Write) -> impl Iterator<Item = &PutParticipant> {
    let participants = write.participants.iter().filter(|participant| participant.changes_person());
    participants.filter(|participant| !participant.put.record.merged_into.is_empty())
}

/// Adds the claims of new aliases that are the person of another participant to `lost`. Participants that the batch
/// settles so have lost their own claim on the person.
async fn check_aliases(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let new: Vec<Uuid> = batch.iter().flat_map(|write| new_aliases(write)).map(|alias| alias.put.id).collect();
    if new.is_empty() {
        return Ok(());
    }
    let persons: Vec<Uuid> = sqlx::query_scalar(
        "select distinct merged_into
         from participant
         where merged_into = any($1)
           and delete_time is null
           and id <> all($2)",
    )
    .bind(&new)
    .bind(&new)
    .fetch_all(tx)
    .await?;
    lost.extend(persons.into_iter().map(Claim::Alias));
    Ok(())
}

/// The articles that a write relies on, each with the revision that was read, and those of new reports, each with the
/// revision on which the report was made. The report's evidence was checked against a text, and its meeting settled with
/// an origin, that a later revision may not have. Articles of the same write are left out.
fn cited_articles(batch: &[&Write]) -> (Vec<Uuid>, Vec<i64>) {
    let cited = batch.iter().flat_map(|write| {
        let is_own = |id: Uuid| write.articles.iter().any(|article| article.put.id == id);
        let new = write.reports.iter().filter(|report| report.replaces.is_none()).map(|report| &report.record);
        let cited = new.filter_map(|report| Some((Collection::Articles.id(&report.article)?, report.article_revision)));
        cited.chain(write.read_articles.iter().copied()).filter(move |(id, _)| !is_own(*id))
    });
    cited.collect::<BTreeSet<_>>().into_iter().unzip()
}

/// Adds the ancestry claims of records that would become their own ancestors to `lost`.
async fn check_ancestry(tx: Tx<'_>, batch: &[&Write], lost: &mut HashSet<Claim>) -> Result<(), StoreError> {
    let participants =
        batch.iter().flat_map(|write| &write.participants).filter(|participant| participant.changes_parent());
    let articles = batch.iter().flat_map(|write| &write.articles).filter(|article| article.changes_parent());
    let participants: Vec<Uuid> = participants.map(|participant| participant.put.id).collect();
    let articles: Vec<Uuid> = articles.map(|article| article.put.id).collect();
    for (of, moved) in [(Collection::Participants, participants), (Collection::Articles, articles)] {
        if moved.is_empty() {
            continue;
        }
        let parents = ancestors(&mut *tx, of, &moved).await?;
        if moved.iter().any(|&id| is_ancestor(&parents, id, id)) {
            lost.insert(Claim::Ancestry(of));
        }
    }
    Ok(())
}

/// The parent of each of these records and of all their ancestors, by id. The parent of an article is the article that
/// it was syndicated from.
///
/// # Errors
/// The database fails.
pub async fn ancestors(
    executor: impl PgExecutor<'_>,
    of: Collection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Uuid>, StoreError> {
    let (table, parent) = match of {
        Collection::Participants => ("participant", "parent"),
        Collection::Articles => ("article", "syndicated_from"),
        Collection::Reports | Collection::Meetings => return Ok(HashMap::new()),
    };
    let statement = format!(
        "with recursive ancestor (id, parent) as (
             select id, {parent}
             from {table}
             where id = any($1)
               and {parent} is not null
             union
             select {table}.id, {table}.{parent}
             from ancestor
             join {table} on {table}.id = ancestor.parent
             where {table}.{parent} is not null
         )
         select id, parent
         from ancestor"
    );
    let parents: Vec<(Uuid, Uuid)> = sqlx::query_as(AssertSqlSafe(statement)).bind(ids).fetch_all(executor).await?;
    Ok(parents.into_iter().collect())
}

/// True if `sought` is an ancestor of `id`, by a map from [`ancestors`].
pub fn is_ancestor(parents: &HashMap<Uuid, Uuid>, id: Uuid, sought: Uuid) -> bool {
    let chain = std::iter::successors(parents.get(&id), |id| parents.get(id));
    // A chain longer than the map repeats itself.
    chain.take(parents.len()).any(|ancestor| *ancestor == sought)
}

/// The names of at most `limit` records that reference a record and so prevent its deletion.
///
/// # Errors
/// The database fails.
pub async fn referrers(pool: &PgPool, of: Collection, id: Uuid, limit: i64) -> Result<Vec<String>, StoreError> {
    Ok(find_referrers(pool, of, &[id], limit).await?.into_iter().map(|(_, name)| name).collect())
}

/// The names of the records that reference each of these, at most `limit` for each. A participant's referrers are its
/// meetings, deleted ones included since they can be restored, its live parts and its aliases. An article's are its live copies and
/// its active reports. A meeting has none.
async fn find_referrers(
    executor: impl PgExecutor<'_>,
    of: Collection,
    ids: &[Uuid],
    limit: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let statement = match of {
        Collection::Participants => {
            "select input.id, referrer.name
             from unnest($1::uuid[]) as input (id)
             cross join lateral (
                 (select 'meetings/' || meeting as name
                  from meeting_participant
                  where participant = input.id
                  order by meeting
                  limit $2)
                 union all
                 (select 'participants/' || part.id
                  from participant as part
                  where part.parent = input.id
                    and part.delete_time is null
                  order by part.id
                  limit $2)
                 union all
                 (select 'participants/' || alias.id
                  from participant as alias
                  where alias.merged_into = input.id
                    and alias.delete_time is null
                  order by alias.id
                  limit $2)
                 limit $2
             ) as referrer"
        }
        Collection::Articles => {
            "select input.id, referrer.name
             from unnest($1::uuid[]) as input (id)
             cross join lateral (
                 (select 'articles/' || copy.id as name
                  from article as copy
                  where copy.syndicated_from = input.id
                    and copy.delete_time is null
                  order by copy.id
                  limit $2)
                 union all
                 (select 'reports/' || report.id
                  from report
                  where report.article = input.id
                    and report.retract_time is null
                  order by report.id
                  limit $2)
                 limit $2
             ) as referrer"
        }
        Collection::Reports | Collection::Meetings => return Ok(Vec::new()),
    };
    Ok(sqlx::query_as(statement).bind(ids).bind(limit).fetch_all(executor).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestor_is_found_only_within_the_chain() {
        let [a, b, c, d] = [1, 2, 3, 4].map(Uuid::from_u128);
        let chain: HashMap<Uuid, Uuid> = [(a, b), (b, c)].into();
        assert!(is_ancestor(&chain, a, c) && is_ancestor(&chain, b, c));
        assert!(!is_ancestor(&chain, a, a) && !is_ancestor(&chain, c, a) && !is_ancestor(&chain, d, a));
        let cycle: HashMap<Uuid, Uuid> = [(a, b), (b, c), (c, a)].into();
        assert!(is_ancestor(&cycle, a, a));
        assert!(!is_ancestor(&cycle, a, d));
    }
}
