//! Full-text search: the condition and the rank of a query, and the stems of words.

use std::collections::{BTreeSet, HashMap};

use sqlx::{Postgres, QueryBuilder};

use super::BoundedQuery;
use crate::{
    model::{
        query::search::{SearchQuery, Stems, TermQueries},
        resource::Collection,
    },
    store::StoreError,
};

/// A search query with the stems of its words.
#[derive(Debug, Clone)]
pub struct Question {
    /// The query on one vector.
    tsquery: String,
    /// The terms, for meetings: the words of one are in several vectors.
    terms: Vec<TermQueries>,
}

impl Question {
    /// Looks up the stems of a query.
    ///
    /// # Errors
    /// `OutOfTime` at the deadline, or the database fails.
    pub async fn of(bounded: &mut BoundedQuery, query: &SearchQuery) -> Result<Self, StoreError> {
        let stems = stems_of(bounded, query).await?;
        Ok(Self { tsquery: query.to_tsquery(&stems), terms: query.to_term_queries(&stems) })
    }

    /// The query on one vector, as text of a `tsquery`.
    pub fn tsquery(&self) -> &str {
        &self.tsquery
    }

    /// The terms of the alternatives.
    pub fn terms(&self) -> &[TermQueries] {
        &self.terms
    }

    /// The query that one of the required terms matches; `None` if there is none.
    pub fn any_term(&self) -> Option<String> {
        let required: Vec<&str> = self.terms.iter().flat_map(|terms| &terms.required).map(String::as_str).collect();
        (!required.is_empty()).then(|| required.join(" | "))
    }

    /// Appends the condition that a row of this collection matches. For participants, also by the names of an alias.
    pub fn push_condition(&self, query: &mut QueryBuilder<Postgres>, of: Collection) {
        match of {
            Collection::Meetings => {
                query.push("meeting.id in (");
                self.push_meetings(query);
                query.push(")");
            }
            Collection::Participants => {
                query.push("participant.id in (select named.id from participant as named where named.search @@ ");
                self.push_tsquery(query);
                query.push(
                    " union select named.merged_into from participant as named
                      where named.merged_into is not null and named.delete_time is null and named.search @@ ",
                );
                self.push_tsquery(query);
                query.push(")");
            }
            Collection::Articles | Collection::Reports => self.push_match(query, "article"),
        }
    }

    /// Appends the condition that a row of this table matches by its own vector.
    pub fn push_match(&self, query: &mut QueryBuilder<Postgres>, table: &'static str) {
        query.push(table).push(".search @@ ");
        self.push_tsquery(query);
    }

    /// Appends the query of the meetings that match: each word is in the meeting's own texts or in a statement.
    fn push_meetings(&self, query: &mut QueryBuilder<Postgres>) {
        if self.terms.is_empty() {
            query.push("select null::uuid where false");
        }
        for (number, terms) in self.terms.iter().enumerate() {
            query.push(if number == 0 { "(" } else { " union (" });
            for (number, term) in terms.required.iter().enumerate() {
                query.push(if number == 0 { "" } else { " intersect " });
                push_term(query, term);
            }
            if terms.required.is_empty() {
                query.push("(select any_meeting.id from meeting as any_meeting)");
            }
            for term in &terms.excluded {
                query.push(" except ");
                push_term(query, term);
            }
            query.push(")");
        }
    }

    /// Appends the rank of a row of this table: a better match has a greater rank.
    pub fn push_rank(&self, query: &mut QueryBuilder<Postgres>, table: &'static str) {
        query.push("ts_rank(").push(table).push(".search, ");
        self.push_tsquery(query);
        query.push(")");
        if table == "meeting" {
            query.push(" + coalesce((select max(ts_rank(said.search, ");
            self.push_tsquery(query);
            query.push(")) from statement as said where said.meeting = meeting.id), 0)");
        }
    }

    fn push_tsquery(&self, query: &mut QueryBuilder<Postgres>) {
        query.push_bind(self.tsquery.clone()).push("::tsquery");
    }
}

/// Appends the query of the meetings that have a term.
fn push_term(query: &mut QueryBuilder<Postgres>, term: &str) {
    query.push("(select named.id from meeting as named where named.search @@ ").push_bind(term.to_owned());
    query.push("::tsquery union select said.meeting from statement as said where said.search @@ ");
    query.push_bind(term.to_owned()).push("::tsquery)");
}

/// The stems of the words of a query.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn stems_of(bounded: &mut BoundedQuery, query: &SearchQuery) -> Result<Stems, StoreError> {
    let words = query.stemmed_words();
    match query.config {
        Some(config) if !words.is_empty() => stems(bounded, config, &words).await,
        _ => Ok(Stems::new()),
    }
}

/// The stems of the words of texts, by configuration.
///
/// # Errors
/// `OutOfTime` at the deadline, or the database fails.
pub async fn stems_by_config(
    bounded: &mut BoundedQuery,
    words: HashMap<&'static str, BTreeSet<&str>>,
) -> Result<HashMap<&'static str, Stems>, StoreError> {
    let mut all = HashMap::new();
    for (config, words) in words {
        let words: Vec<&str> = words.into_iter().collect();
        all.insert(config, stems(bounded, config, &words).await?);
    }
    Ok(all)
}

/// The stems of the words that differ from them, by a configuration of PostgreSQL.
async fn stems(bounded: &mut BoundedQuery, config: &str, words: &[&str]) -> Result<Stems, StoreError> {
    let stems = sqlx::query_as(
        "select input.word, stems.tokens
         from unnest($2::text[]) as input (word)
         cross join lateral (select tsvector_to_array(to_tsvector($1::regconfig, input.word)) as tokens) as stems
         where stems.tokens <> array[input.word]",
    );
    let rows: Vec<(String, Vec<String>)> = bounded.fetch_all(stems.bind(config).bind(words)).await?;
    Ok(rows.into_iter().collect())
}
