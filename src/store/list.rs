//! Pages of records by keyset, in the order of names.

use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Doc, StoreError, filter, table};
use crate::model::{filter::Filter, resource::Collection};

/// A page ends at this many bytes, and after at least one record.
pub const PAGE_BYTES: i64 = 2 * 1024 * 1024;

/// Which records are listed.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Those for which it is true.
    pub filter: Filter,
    /// Whether deleted ones, too.
    pub show_deleted: bool,
}

/// Records, and whether there are more after them.
#[derive(Debug)]
pub struct Page {
    /// The records, in the order of names.
    pub docs: Vec<Doc>,
    /// Whether the next page has any.
    pub more: bool,
}

/// At most `limit` of the records that are wanted, after `after`.
pub async fn list(
    pool: &PgPool,
    of: Collection,
    wanted: &Wanted,
    after: Uuid,
    limit: usize,
) -> Result<Page, StoreError> {
    // The inner query finds the rows, the outer ones cut by bytes before any doc is fetched from where large ones are
    // kept apart.
    let mut query = QueryBuilder::<Postgres>::new(
        "select id, contract, doc, found
         from (
             select id, contract, doc, count(*) over () as found,
                    sum(octet_length(doc)) over (order by id) - octet_length(doc) as bytes_before
             from (
                 select id, contract, doc
                 from ",
    );
    query.push(table(of)).push(" where id > ").push_bind(after).push(" and ");
    filter::push(&mut query, &wanted.filter);
    if !wanted.show_deleted {
        query.push(match of {
            // RETRACTED: no active report tells of it.
            Collection::Meetings => " and delete_time is null and merged_into is null and review <> 3",
            _ => " and delete_time is null",
        });
    }
    // One more than asked for tells whether there are more; a page has at most 1,000: the number fits.
    query.push(" order by id limit ").push_bind(limit as i64 + 1);
    query.push(") as page) as page where bytes_before < ").push_bind(PAGE_BYTES).push(" order by id");
    let rows: Vec<Row> = query.build_query_as().fetch_all(pool).await?;

    Ok(Page::of(rows, limit))
}

/// A record of a page that was asked for with one record more than it may have.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    #[sqlx(flatten)]
    doc: Doc,
    /// How many were found, before bytes were counted.
    found: i64,
}

impl Page {
    pub(super) fn of(rows: Vec<Row>, limit: usize) -> Self {
        let found = rows.first().map_or(0, |row| usize::try_from(row.found).unwrap_or(0));
        let mut docs: Vec<Doc> = rows.into_iter().map(|row| row.doc).collect();
        docs.truncate(limit);
        let mut page = Self { more: found > docs.len(), docs };
        // The query stops after the record that passes the limit, so that it finds one at all.
        page.cut(|_| 0);
        page
    }

    /// Ends the page before it passes `PAGE_BYTES`, with what comes `beside` each record (its text, its reports), but
    /// not before the first record.
    pub fn cut(&mut self, beside: impl Fn(&Doc) -> usize) {
        let mut bytes = 0;
        let most = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
        let fits = |doc: &Doc| {
            let before = bytes;
            bytes += doc.bytes.len() + beside(doc);
            before == 0 || bytes <= most
        };
        let kept = self.docs.iter().map(fits).take_while(|fits| *fits).count();
        if kept < self.docs.len() {
            self.docs.truncate(kept);
            self.more = true;
        }
    }

    /// The id after which the next page begins; `None` on the last.
    pub fn next(&self) -> Option<Uuid> {
        self.docs.last().map(|doc| doc.id).filter(|_| self.more)
    }
}
