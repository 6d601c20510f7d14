//! Records that have changed since a time, as they were then. A query as of that time reads them from `superseded`, and
//! all others from the tables and indexes of current records: those whose `update_time` is not later.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    BoundedQuery,
    keyset::{Keyset, compare},
    question::Question,
    search::{MEETING_LANGUAGE, WordColumns},
};
use crate::{
    model::{
        evidence::thousandths,
        query::order::{MAX_KEYS, OrderBy, SortField},
        resource::{Collection, Record},
        time::dates,
    },
    pb::{Article, Meeting, Participant},
    store::{Doc, StoreError, from_row::from_row, table, time},
};

/// The number and the size of the changed records that one query reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerBound {
    /// Maximum number of records of a collection that have changed since the time.
    pub records: usize,
    /// Maximum number of bytes of these records, as they were then.
    pub bytes: i64,
}

/// The bound of all calls. Reading this much takes some seconds.
pub const MAX_FORMER: FormerBound = FormerBound { records: 20_000, bytes: 64 * 1024 * 1024 };

/// The changed records exceed a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TooMuchChanged {
    /// More records of the collection have changed than this.
    Records(Collection, usize),
    /// The records of the collection that have changed have this many bytes.
    Bytes(Collection, i64),
    /// The changed meetings add more rows to a count than this.
    Rows(usize),
}

struct FormerRow {
    id: Uuid,
    contract: i16,
    doc: Option<Vec<u8>>,
    bytes: i64,
}

from_row!(FormerRow { id, contract, doc, bytes });

/// The records that existed at `time` and have changed since, as they were then, in no order.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails. The inner error is the bound that they exceed.
pub async fn docs(
    bounded: &mut BoundedQuery,
    of: Collection,
    time: DateTime<Utc>,
    bound: FormerBound,
) -> Result<Result<Vec<Doc>, TooMuchChanged>, StoreError> {
    let limit = i64::try_from(bound.records).unwrap_or(i64::MAX - 1);
    let query = sqlx::query_as(AssertSqlSafe(statement(of))).bind(time).bind(limit).bind(bound.bytes).bind(of as i16);
    let rows: Vec<FormerRow> = bounded.fetch_all(query).await?;
    if rows.len() > bound.records {
        return Ok(Err(TooMuchChanged::Records(of, bound.records)));
    }
    let doc = |row: FormerRow| {
        let bytes = row.doc.ok_or(TooMuchChanged::Bytes(of, row.bytes))?;
        Ok(Doc { id: row.id, contract: row.contract, bytes })
    };
    Ok(rows.into_iter().map(doc).collect())
}

/// The plan of the statement of [`docs`]: the output of PostgreSQL's `explain (format json)`.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn plan(bounded: &mut BoundedQuery, of: Collection, time: DateTime<Utc>) -> Result<String, StoreError> {
    let statement = format!("explain (format json) {}", statement(of));
    let query = sqlx::query_as(AssertSqlSafe(statement)).bind(time).bind(1_i64).bind(1_i64).bind(of as i16);
    let plans: Vec<(sqlx::types::JsonValue,)> = bounded.fetch_all(query).await?;
    Ok(plans.into_iter().map(|(plan,)| plan.to_string()).collect())
}

/// The statement of [`docs`]: `$1` is the time, `$2` and `$3` the bounds, `$4` the collection.
fn statement(of: Collection) -> String {
    // The lateral join leaves out the reports that did not exist then. The subquery counts bytes without fetching any
    // TOASTed doc.
    let existed = match of {
        Collection::Reports => "revision > 1",
        _ => "create_time <= $1",
    };
    format!(
        "select id, contract, case when bytes <= $3 then doc end as doc, bytes::bigint as bytes
         from (
             select changed.id, version.contract, version.doc, sum(octet_length(version.doc)) over () as bytes
             from (
                 select id
                 from {}
                 where update_time > $1
                   and {existed}
                 limit $2 + 1
             ) as changed
             cross join lateral (
                 select contract, doc
                 from superseded
                 where superseded.collection = $4
                   and superseded.id = changed.id
                   and superseded.update_time <= $1
                 order by superseded.update_time desc, superseded.revision desc
                 limit 1
             ) as version
         ) as counted",
        table(of)
    )
}

/// The statement that reads records as of a time: `$1` is the collection, `$2` the ids, `$3` the time.
pub(super) fn docs_at(of: Collection) -> String {
    format!(
        "select input.id, version.contract, version.doc
         from unnest($2::uuid[]) as input (id)
         cross join lateral (
             (select revision, contract, doc
              from {} as current
              where current.id = input.id
                and current.update_time <= $3)
             union all
             (select revision, contract, doc
              from superseded
              where superseded.collection = $1
                and superseded.id = input.id
                and superseded.update_time <= $3
              order by superseded.update_time desc, superseded.revision desc
              limit 1)
             order by revision desc
             limit 1
         ) as version",
        table(of)
    )
}

/// The changed records that a list as of a time has, in its order.
#[derive(Debug)]
pub struct FormerRecords {
    /// The time of the list.
    pub time: DateTime<Utc>,
    /// The keysets of the records. A page reads the docs that it has.
    rows: Vec<Keyset>,
}

impl FormerRecords {
    /// Sorts records in the order of a list.
    pub fn new(time: DateTime<Utc>, order: OrderBy, mut rows: Vec<Keyset>) -> Arc<Self> {
        rows.sort_by(|left, right| compare(order, left, right));
        Arc::new(Self { time, rows })
    }

    /// The records between two keysets, both excluded.
    pub(super) fn between(&self, order: OrderBy, after: Option<Keyset>, before: Option<Keyset>) -> &[Keyset] {
        let start = after
            .map_or(0, |after| self.rows.partition_point(|keyset| compare(order, keyset, &after) != Ordering::Greater));
        let end = before.map_or(self.rows.len(), |before| {
            self.rows.partition_point(|keyset| compare(order, keyset, &before) == Ordering::Less)
        });
        &self.rows[start..end.max(start)]
    }
}

/// The values of the sort columns for a record, as `Keyset` has them. Ranks are read by [`ranks`].
pub fn sort_values(order: OrderBy, record: &Record) -> [i64; MAX_KEYS] {
    let mut keys = order.keys();
    std::array::from_fn(|_| keys.next().map_or(0, |key| sort_value(key.by, record)))
}

fn sort_value(by: SortField, record: &Record) -> i64 {
    let (created, updated) = match record {
        Record::Participant(record) => (&record.create_time, &record.update_time),
        Record::Article(record) => (&record.create_time, &record.update_time),
        Record::Report(record) => (&record.create_time, &record.update_time),
        Record::Meeting(record) => (&record.create_time, &record.update_time),
    };
    match (by, record) {
        (SortField::Name | SortField::Rank, _) => 0,
        (SortField::CreateTime, _) => micros(time(created.as_ref())),
        (SortField::UpdateTime, _) => micros(time(updated.as_ref())),
        (SortField::IndependentSourceCount, Record::Meeting(meeting)) => meeting.independent_source_count.into(),
        (SortField::EvidenceCoverage, Record::Meeting(meeting)) => thousandths(meeting.evidence_coverage),
        (SortField::Date, Record::Meeting(meeting)) => {
            let date = meeting.account.as_ref().and_then(|account| account.date.as_ref());
            days(date.and_then(dates::span).map(|(first, _)| first))
        }
        (SortField::Date, Record::Article(article)) => days(article.publish_date.as_ref().and_then(dates::first_day)),
        (SortField::Date | SortField::IndependentSourceCount | SortField::EvidenceCoverage, _) => 0,
    }
}

/// A time as PostgreSQL numbers it: microseconds since 2000-01-01.
fn micros(time: Option<DateTime<Utc>>) -> i64 {
    const YEAR_2000: i64 = 946_684_800_000_000;
    time.unwrap_or_default().timestamp_micros() - YEAR_2000
}

/// A day as PostgreSQL numbers it: days since 2000-01-01, the lowest number for `-infinity`.
pub(in crate::store) fn days(day: Option<NaiveDate>) -> i64 {
    const YEAR_2000: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a day");
    day.map_or(i32::MIN.into(), |day| (day - YEAR_2000).num_days())
}

/// Records of a time with the words that they are searched by.
#[derive(Debug, Default)]
pub struct FormerWords {
    ids: Vec<Uuid>,
    languages: Vec<Option<String>>,
    words: WordColumns,
}

impl FormerWords {
    /// Adds an article with the text that it may show.
    pub fn push_article(&mut self, id: Uuid, article: &Article) {
        self.push(id, &article.language_code);
        self.words.push_article(article, Some(&article.text));
    }

    /// Adds a participant.
    pub fn push_participant(&mut self, id: Uuid, participant: &Participant) {
        self.push(id, "");
        self.words.push_participant(participant);
    }

    /// Adds the own texts of a meeting.
    pub fn push_meeting(&mut self, id: Uuid, meeting: &Meeting) {
        self.push(id, MEETING_LANGUAGE);
        self.words.push_meeting(meeting);
    }

    /// Adds a statement of a meeting, or another text of a record.
    pub fn push_text(&mut self, id: Uuid, language: &str, text: &str) {
        self.push(id, language);
        self.words.push(None, [text]);
    }

    fn push(&mut self, id: Uuid, language: &str) {
        self.ids.push(id);
        self.languages.push(Some(language.to_owned()).filter(|language| !language.is_empty()));
    }

    /// Appends the rows `(id, number, search)`, where `number` counts from 1.
    fn push_rows(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(
            "select input.id, input.number,
                    search_vector(input.language_code, input.literal, input.title, input.words) as search
             from unnest(",
        );
        query.push_bind(self.ids.clone()).push("::uuid[], ").push_bind(self.languages.clone()).push("::text[], ");
        query.push_bind(self.words.literals.clone()).push("::text[], ");
        query.push_bind(self.words.titles.clone()).push("::text[], ");
        query.push_bind(self.words.texts.clone());
        query.push("::text[]) with ordinality as input (id, language_code, literal, title, words, number)");
    }
}

/// The records among these that a search finds by one vector: id, number from 1, and value of the order by rank.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn ranks(
    bounded: &mut BoundedQuery,
    question: &Question,
    words: &FormerWords,
) -> Result<Vec<(Uuid, i64, i64)>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new("select former.id, former.number, (");
    question.push_rank(&mut query, "former");
    query.push(" * -1e9)::bigint from (");
    words.push_rows(&mut query);
    query.push(") as former where ");
    question.push_match(&mut query, "former");
    bounded.fetch_all(query.build_query_as()).await
}

/// The meetings among these that a search finds, each with the value of the order by rank. The words of a meeting are in
/// several vectors.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn meeting_ranks(
    bounded: &mut BoundedQuery,
    question: &Question,
    words: &FormerWords,
) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let terms: BTreeSet<&String> =
        question.terms().iter().flat_map(|terms| terms.required.iter().chain(&terms.excluded)).collect();
    let terms: Vec<&String> = terms.into_iter().collect();
    let mut query = QueryBuilder::<Postgres>::new("with former as materialized (");
    words.push_rows(&mut query);
    // The rank of the first vector, which has the own texts, and the best rank of a statement.
    query.push(
        "), ranked as (
             select id,
                    sum(case when is_own then rank else 0 end) + max(case when is_own then 0 else rank end) as rank
             from (
                 select former.id, former.number = min(former.number) over (partition by former.id) as is_own, ",
    );
    question.push_rank(&mut query, "former");
    query.push(
        "::float8 as rank
                 from former
             ) as each_vector
             group by id
         )
         select ranked.id, (ranked.rank * -1e9)::bigint,
                array(
                    select exists (
                        select from former where former.id = ranked.id and former.search @@ term.query::tsquery
                    )
                    from unnest(",
    );
    query.push_bind(&terms);
    query.push("::text[]) with ordinality as term (query, number) order by term.number) from ranked");
    let rows: Vec<(Uuid, i64, Vec<bool>)> = bounded.fetch_all(query.build_query_as()).await?;
    let found = rows.into_iter().filter(|(_, _, has)| {
        let holds = |term: &String| terms.binary_search(&term).is_ok_and(|number| has[number]);
        question.terms().iter().any(|terms| terms.required.iter().all(holds) && !terms.excluded.iter().any(holds))
    });
    Ok(found.map(|(id, rank, _)| (id, rank)).collect())
}
