//! Groups of copies: who stands next to an article, and all that belong together.

use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{Doc, StoreError, row::from_row};
use crate::{
    model::{
        article::TextHash,
        copies::{Copy, Precedence},
    },
    pb::Article,
};

/// The articles that `one` is a copy of, or that are copies of it: what it was syndicated from and what was syndicated
/// from it, and of those of the same text the ones published next before and after it. From there one comes to all.
/// Seven is `model::copies::MOST_DAYS_APART`.
pub(super) const NEIGHBOURS: &str = "
    (select id, origin
     from article
     where id = one.syndicated_from
       and delete_time is null)
    union all
    (select id, origin
     from article
     where syndicated_from = one.id
       and delete_time is null)
    union all
    (select id, origin
     from article
     where text_key = one.text_key
       and delete_time is null
       and publish_from = publish_to
       and one.publish_from = one.publish_to
       and publish_from >= one.publish_from - 7
       and (publish_from, id) < (one.publish_from, one.id)
     order by publish_from desc, id desc
     limit 1)
    union all
    (select id, origin
     from article
     where text_key = one.text_key
       and delete_time is null
       and publish_from = publish_to
       and one.publish_from = one.publish_to
       and publish_from <= one.publish_from + 7
       and (publish_from, id) > (one.publish_from, one.id)
     order by publish_from, id
     limit 1)";

/// The first articles of the groups that these belong to, or would join: for each the number of the one that asks, and
/// the place of the first article.
pub async fn firsts(pool: &PgPool, asked: &[Copy]) -> Result<Vec<(usize, Precedence)>, StoreError> {
    let statement = format!(
        "select asked.number, first.id, first.contract, first.doc
         from (
             select distinct one.number, neighbour.origin
             from unnest($1::uuid[], $2::bytea[], $3::date[], $3::date[], $4::uuid[])
                      with ordinality as one (id, text_key, publish_from, publish_to, syndicated_from, number)
             cross join lateral ({NEIGHBOURS}) as neighbour
         ) as asked
         join article as first on first.id = asked.origin"
    );
    let rows: Vec<(i64, Uuid, i16, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(asked.iter().map(|one| one.place.id).collect::<Vec<_>>())
        .bind(asked.iter().map(|one| one.text_key.map(|key| key.to_vec())).collect::<Vec<_>>())
        .bind(asked.iter().map(|one| one.day).collect::<Vec<_>>())
        .bind(asked.iter().map(|one| one.source).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    let place = |(number, id, contract, bytes)| {
        let article: Article = Doc { id, contract, bytes }.decode()?;
        // Numbers begin at 1, and are those of what was asked.
        Ok((usize::try_from(number).unwrap_or(1) - 1, Precedence::of(id, &article)))
    };
    rows.into_iter().map(place).collect()
}

/// The keys of the texts of these articles, of those that have one.
pub async fn text_keys(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<(Uuid, TextHash)>, StoreError> {
    let keys: Vec<(Uuid, Vec<u8>)> =
        sqlx::query_as("select id, text_key from article where id = any($1) and text_key is not null")
            .bind(ids)
            .fetch_all(pool)
            .await?;
    Ok(keys.into_iter().filter_map(|(id, key)| Some((id, key.try_into().ok()?))).collect())
}

/// The state of all groups. What is read afterwards is not older.
pub async fn version(pool: &PgPool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select version from grouping").fetch_one(pool).await?)
}

/// An article of a group, as it stands.
#[derive(Debug)]
pub struct GroupMember {
    /// The article, without its text.
    pub doc: Doc,
    /// What it was last taken for the first of its group.
    pub origin: Uuid,
    text_key: Option<Vec<u8>>,
}

from_row!(GroupMember { ..doc, origin, text_key });

impl GroupMember {
    /// The key of its text.
    pub fn text_key(&self) -> Option<TextHash> {
        self.text_key.as_deref().and_then(|key| key.try_into().ok())
    }
}

/// All whose group may have changed with this article: those that it has led to so far, or has shared its first with, and
/// all that belong to one of them as things stand. In no order; deleted ones, too.
pub async fn group(pool: &PgPool, article: Uuid) -> Result<Vec<GroupMember>, StoreError> {
    let statement = format!(
        "with recursive member (id) as (
             select id from article where id = $1
             union
             select id from article where origin = $1
             union
             select id from article where origin = (select origin from article where id = $1)
             union
             select neighbour.id
             from member
             join article as one on one.id = member.id and one.delete_time is null
             cross join lateral ({NEIGHBOURS}) as neighbour
         )
         select article.id, article.contract, article.doc, article.origin, article.text_key
         from member
         join article on article.id = member.id"
    );
    Ok(sqlx::query_as(AssertSqlSafe(statement)).bind(article).fetch_all(pool).await?)
}
