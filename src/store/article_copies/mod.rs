//! Groups of copies: the neighbours of an article, and all articles that are connected through neighbours.

pub mod near;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::{Doc, StoreError, from_row::from_row};
use crate::{
    model::{
        article::TextHash,
        article_copies::{CopyCandidate, FirstCopy, Precedence, near::NearCopy},
        resource::Deletable,
    },
    pb::Article,
};

/// A subquery for the neighbours of the article `this`: the article that it was syndicated from, the articles that were
/// syndicated from it, and of the articles with the same text, and of those with each nearly equal one, the ones published
/// next before and after it. Every article of a group is reachable through neighbours. Seven days is
/// `model::article_copies::MAX_DAYS_APART`.
pub(super) const NEIGHBOURS: &str = "
    (select id, origin
     from article
     where id = this.syndicated_from
       and delete_time is null)
    union all
    (select id, origin
     from article
     where syndicated_from = this.id
       and delete_time is null)
    union all
    (select id, origin
     from article
     where text_key = this.text_key
       and delete_time is null
       and publish_from = publish_to
       and this.publish_from = this.publish_to
       and publish_from >= this.publish_from - 7
       and (publish_from, id) < (this.publish_from, this.id)
     order by publish_from desc, id desc
     limit 1)
    union all
    (select id, origin
     from article
     where text_key = this.text_key
       and delete_time is null
       and publish_from = publish_to
       and this.publish_from = this.publish_to
       and publish_from <= this.publish_from + 7
       and (publish_from, id) > (this.publish_from, this.id)
     order by publish_from, id
     limit 1)
    union all
    (select printed.id, printed.origin
     from near_copy
     cross join lateral (
         (select id, origin
          from article
          where text_key = near_copy.other
            and delete_time is null
            and publish_from = publish_to
            and publish_from between this.publish_from - 7 and this.publish_from
          order by publish_from desc, id desc
          limit 1)
         union all
         (select id, origin
          from article
          where text_key = near_copy.other
            and delete_time is null
            and publish_from = publish_to
            and publish_from between this.publish_from and this.publish_from + 7
          order by publish_from, id
          limit 1)
     ) as printed
     where near_copy.text_key = this.text_key
       and this.publish_from = this.publish_to)";

/// The number of an article, the id, contract and doc of an origin, and their overlap.
type FirstRow = (i64, Uuid, i16, Vec<u8>, Option<f32>);

/// The origins of the groups that these articles belong to or would join. Each result has the index of the article in
/// `articles`.
///
/// # Errors
/// `Damaged` for an origin that cannot be decoded, or the database fails.
pub async fn firsts(pool: &PgPool, articles: &[CopyCandidate]) -> Result<Vec<(usize, FirstCopy)>, StoreError> {
    let statement = format!(
        "select candidate.number, origin.id, origin.contract, origin.doc,
                case when origin.text_key = candidate.text_key then 1::real else near_copy.overlap end
         from (
             select distinct this.number, this.text_key, neighbour.origin
             from unnest($1::uuid[], $2::bytea[], $3::date[], $3::date[], $4::uuid[])
                      with ordinality as this (id, text_key, publish_from, publish_to, syndicated_from, number)
             cross join lateral ({NEIGHBOURS}) as neighbour
         ) as candidate
         join article as origin on origin.id = candidate.origin
         left join near_copy on near_copy.text_key = candidate.text_key and near_copy.other = origin.text_key"
    );
    let rows: Vec<FirstRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(articles.iter().map(|article| article.place.id).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.text_key.map(|key| key.to_vec())).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.day).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.source).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    let origin = |(number, id, contract, bytes, overlap): FirstRow| {
        let article: Article = Doc { id, contract, bytes }.decode()?;
        // Ordinality counts from 1.
        Ok((usize::try_from(number).unwrap_or(1) - 1, FirstCopy { place: Precedence::of(id, &article), overlap }))
    };
    rows.into_iter().map(origin).collect()
}

/// The text keys of these articles. Articles without one are left out.
///
/// # Errors
/// The database fails.
pub async fn text_keys(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<(Uuid, TextHash)>, StoreError> {
    let keys: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(
        "select id, text_key
         from article
         where id = any($1)
           and text_key is not null",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(keys.into_iter().filter_map(|(id, key)| Some((id, key.try_into().ok()?))).collect())
}

/// The version of all groups of copies. A later read sees this version or a newer one.
///
/// # Errors
/// The database fails.
pub async fn version(pool: &PgPool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select version from grouping").fetch_one(pool).await?)
}

/// The articles of a group of copies.
#[derive(Debug)]
pub struct Group {
    /// In no order, deleted ones included.
    pub members: Vec<GroupMember>,
    /// The near copies among their texts.
    pub near: Vec<NearCopy>,
}

/// An article of a group, reduced to the fields that decide about copies.
#[derive(Debug)]
pub struct GroupMember {
    /// Its id.
    pub id: Uuid,
    /// The origin of its group when it was last settled.
    pub origin: Uuid,
    /// `origin_overlap` of that time.
    pub overlap: f32,
    /// The fields that decide about copies; `None` for a deleted article.
    pub candidate: Option<CopyCandidate>,
}

/// All articles whose group may have changed with this one: those that can be reached from it through neighbours and
/// through origins, in both directions. So each of them leads to the same articles.
///
/// # Errors
/// `Damaged` for an article that cannot be decoded, or the database fails.
pub async fn group(pool: &PgPool, article: Uuid) -> Result<Group, StoreError> {
    let statement = format!(
        "with recursive member (id) as (
             select id from article where id = $1
             union
             select linked.id
             from member
             join article as this on this.id = member.id
             cross join lateral (
                 select neighbour.id from ({NEIGHBOURS}) as neighbour where this.delete_time is null
                 union all
                 select copy.id from article as copy where copy.origin = this.id
                 union all
                 select this.origin
             ) as linked
         )
         select article.id, article.contract, article.doc, article.origin, article.text_key
         from member
         join article on article.id = member.id"
    );
    // Row by row: a group has any number of articles, and an article up to half a megabyte without its text.
    let mut rows = sqlx::query_as(AssertSqlSafe(statement)).bind(article).fetch(pool);
    let mut members = Vec::new();
    while let Some(MemberRow { doc, origin, text_key }) = rows.try_next().await? {
        let (id, article): (Uuid, Article) = (doc.id, doc.decode()?);
        let text_key = text_key.and_then(|key| key.try_into().ok());
        let candidate = (!article.is_deleted()).then(|| CopyCandidate::of(id, &article, text_key));
        members.push(GroupMember { id, origin, overlap: article.origin_overlap, candidate });
    }
    let texts = members.iter().filter_map(|member| member.candidate.as_ref()?.text_key);
    let near = near::among(pool, &texts.collect()).await?;
    Ok(Group { members, near })
}

struct MemberRow {
    doc: Doc,
    origin: Uuid,
    text_key: Option<Vec<u8>>,
}

from_row!(MemberRow { ..doc, origin, text_key });
