//! Queries as of a time. The records that have not changed since are read from the tables and indexes of current ones,
//! the others as they were then (`store/query/former.rs`), on which the filter is evaluated in memory.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    fairness::{Call, Permit},
    model::{
        meeting::is_listed,
        query::{
            filter::{Comparison, Filter, FilterInput, PersonKey},
            order::SortField,
        },
        report::{Aliases, participants},
        resource::{Collection, Deletable, Record, Resource},
    },
    pb::{Article, Participant, Report, change, participant::Kind, report::State},
    service::{Api, article::view::with_texts, error::ServiceError},
    store::{
        Doc, StoreError, docs, participant,
        query::{
            BoundedQuery, QueryClass,
            former::{self, FormerRecords, FormerWords, MAX_FORMER, TooMuchChanged, sort_values},
            history,
            list::{Keyset, ListQuery},
            question::Question,
        },
    },
};

/// Number of records after which the work on them lets other tasks run.
pub const RECORDS_AT_ONCE: usize = 256;
/// Number of articles whose texts are searched at once.
const ARTICLES_AT_ONCE: usize = 32;
/// Maximum number of rows that changed records add to a count: a group, or a participant of a group.
pub const MAX_FORMER_ROWS: usize = 1_000_000;
/// Maximum number of participants that have a name of the filter.
const MAX_NAMED: usize = 10_000;

/// Calls a function with each record of a collection that has changed since `time`, as it was then. The caller holds a
/// permit of [`Api::begin_former`].
///
/// # Errors
/// `TooMuchChanged`, `Damaged` for a record that cannot be decoded, `OutOfTime` at the deadline.
pub async fn for_each_former(
    db: &mut BoundedQuery,
    of: Collection,
    time: DateTime<Utc>,
    mut call: impl FnMut(&Doc, Record) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let docs = former::docs(db, of, time, MAX_FORMER).await?.map_err(ServiceError::TooMuchChanged)?;
    for (number, doc) in docs.into_iter().enumerate() {
        if number % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let record = Record::decode(of, &doc.bytes).map_err(|_| StoreError::Damaged(of.name(doc.id)))?;
        call(&doc, record)?;
    }
    Ok(())
}

/// The records with these ids as they are, or as they were at `time`, in no order. Unknown ids are left out.
///
/// # Errors
/// `Damaged` for a record that cannot be decoded, or the database fails.
pub async fn records_at<R: Resource>(
    api: &Api,
    ids: &[Uuid],
    time: Option<DateTime<Utc>>,
) -> Result<HashMap<Uuid, R>, StoreError> {
    let docs = match time {
        Some(time) => history::docs(api.store.reads(), R::COLLECTION, ids, time).await?,
        None => docs(api.store.reads(), R::COLLECTION, ids).await?,
    };
    docs.iter().map(|doc| Ok((doc.id, doc.decode()?))).collect()
}

/// True if a filter matches a record.
pub fn holds(filter: &Filter, collection: Collection, id: Uuid, record: &Record) -> bool {
    filter.holds(&FilterInput { collection, id, kind: change::Kind::Unspecified, record: Some(record) })
}

/// Adds the records that have changed since `time` to a list as of that time. `filter` is evaluated as of that time.
///
/// # Errors
/// Those of [`for_each_former`], and the errors of the database.
pub async fn with_former(
    api: &Api,
    db: &mut BoundedQuery,
    of: Collection,
    query: ListQuery,
    time: DateTime<Utc>,
) -> Result<ListQuery, ServiceError> {
    let mut rows = former_rows(db, of, &query, time).await?;
    let Some(search) = &query.question else {
        return Ok(ListQuery { former: Some(FormerRecords::new(time, query.order, rows)), ..query });
    };
    let (question, by) = (Question::of(db, search).await?, query.order.first.by);
    let mut filter = query.filter;
    rows = match of {
        Collection::Participants => {
            let (persons, ranks) = persons_at(api, db, &question, time).await?;
            rows.retain(|keyset| persons.contains(&keyset.id));
            if by == SortField::Rank {
                rows.iter_mut().for_each(|keyset| keyset.values[0] = ranks.get(&keyset.id).copied().unwrap_or(0));
            }
            let found = Filter::Compare(Comparison::OneOf(of, persons.into_iter().collect()));
            filter = Filter::And(vec![filter, found]);
            rows
        }
        Collection::Articles => searched(api, db, &question, (by, time), rows).await?,
        // `meeting_search` searches meetings.
        Collection::Meetings | Collection::Reports => rows,
    };
    Ok(ListQuery { filter, former: Some(FormerRecords::new(time, query.order, rows)), ..query })
}

/// The records that have changed since `time` and that a list as of that time has, without its search.
///
/// # Errors
/// Those of [`for_each_former`].
pub async fn former_rows(
    db: &mut BoundedQuery,
    of: Collection,
    query: &ListQuery,
    time: DateTime<Utc>,
) -> Result<Vec<Keyset>, ServiceError> {
    let mut rows = Vec::new();
    for_each_former(db, of, time, |doc, record| {
        if (query.show_deleted || has_lists(&record)) && holds(&query.filter, of, doc.id, &record) {
            rows.push(Keyset { values: sort_values(query.order, &record), id: doc.id });
        }
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// The participants that a search found at a time, by their own names of then or by those of an alias, and the values of
/// the order by rank for those that have changed since.
async fn persons_at(
    api: &Api,
    db: &mut BoundedQuery,
    question: &Question,
    time: DateTime<Utc>,
) -> Result<(BTreeSet<Uuid>, HashMap<Uuid, i64>), ServiceError> {
    let mut words = FormerWords::default();
    let mut persons_of = HashMap::new();
    for_each_former(db, Collection::Participants, time, |doc, record| {
        if let Record::Participant(participant) = record {
            words.push_participant(doc.id, &participant);
            let person = Collection::Participants.id(&participant.merged_into);
            persons_of.extend(person.filter(|_| !participant.is_deleted()).map(|person| (doc.id, person)));
        }
        Ok(())
    })
    .await?;
    let unchanged = participant::unchanged_with_words(api.store.reads(), question, time, MAX_NAMED + 1).await?;
    let mut ranks = HashMap::new();
    for (id, _, rank) in former::ranks(db, question, &words).await? {
        ranks.insert(id, rank);
    }
    let mut persons: BTreeSet<Uuid> = ranks.keys().copied().collect();
    persons.extend(ranks.keys().filter_map(|id| persons_of.get(id)));
    persons.extend(unchanged);
    if persons.len() > MAX_NAMED {
        return Err(ServiceError::TooMuchChanged(TooMuchChanged::Rows(MAX_NAMED)));
    }
    // A changed participant that an alias has found has a rank of none of its own words.
    Ok((persons, ranks))
}

/// True if lists have the record without `show_deleted`.
fn has_lists(record: &Record) -> bool {
    match record {
        Record::Meeting(meeting) => is_listed(meeting),
        Record::Article(article) => !article.is_deleted(),
        Record::Participant(participant) => !participant.is_deleted() && participant.merged_into.is_empty(),
        Record::Report(_) => true,
    }
}

/// The articles that a search finds in the texts that may be shown at present.
async fn searched(
    api: &Api,
    db: &mut BoundedQuery,
    question: &Question,
    (by, time): (SortField, DateTime<Utc>),
    rows: Vec<Keyset>,
) -> Result<Vec<Keyset>, ServiceError> {
    let mut found = Vec::new();
    for rows in rows.chunks(ARTICLES_AT_ONCE) {
        let ids: Vec<Uuid> = rows.iter().map(|keyset| keyset.id).collect();
        let docs = history::docs(api.store.reads(), Collection::Articles, &ids, time).await?;
        let articles: Vec<Article> = docs.iter().map(|doc| doc.decode()).collect::<Result<_, _>>()?;
        let articles = with_texts(api, articles).await?;
        let mut words = FormerWords::default();
        docs.iter().zip(&articles).for_each(|(doc, article)| words.push_article(doc.id, article));
        let ranks = former::ranks(db, question, &words).await?;
        found.extend(ranked(rows, by, ranks.into_iter().map(|(id, _, rank)| (id, rank))));
    }
    Ok(found)
}

/// Those of these rows that a search has found with these ranks, in no order. Rows of an order by rank get their ranks.
pub fn ranked(rows: &[Keyset], by: SortField, ranks: impl IntoIterator<Item = (Uuid, i64)>) -> Vec<Keyset> {
    let row = |(id, rank): (Uuid, i64)| {
        let keyset = rows.iter().find(|keyset| keyset.id == id)?;
        Some(if by == SortField::Rank { Keyset::single(rank, id) } else { *keyset })
    };
    ranks.into_iter().filter_map(row).collect()
}

impl Api {
    /// Waits until the call may read former records. They can be as large as the reports of large meetings, which are
    /// read for few calls at a time.
    pub async fn begin_former(&self) -> Permit {
        self.large_reads.acquire_patiently(Call::current().caller(), 1).await
    }

    /// The aliases among these participants as of a time. Unknown ids stand for themselves.
    ///
    /// # Errors
    /// `Damaged` for a participant that cannot be decoded, or the database fails.
    pub async fn aliases_at(&self, ids: &[Uuid], time: DateTime<Utc>) -> Result<Aliases, ServiceError> {
        let mut aliases = Aliases::new();
        for doc in history::docs(self.store.reads(), Collection::Participants, ids, time).await? {
            let Participant { merged_into, .. } = doc.decode()?;
            aliases.extend(Collection::Participants.id(&merged_into).map(|person| (doc.id, person)));
        }
        Ok(aliases)
    }

    /// Replaces the conditions of a filter on meetings that depend on other records by what they were true for at a
    /// time: the participants by those that they were settled as, the articles by the meetings with their reports.
    ///
    /// # Errors
    /// `Damaged` for a record that cannot be decoded, or the database fails.
    pub async fn resolve_meetings_at(&self, filter: &mut Filter, time: DateTime<Utc>) -> Result<(), ServiceError> {
        let (mut named, mut articles) = (Vec::new(), Vec::new());
        filter.for_each_participant(&mut |id| named.push(*id));
        let aliases = self.aliases_at(&named, time).await?;
        filter.for_each_participant(&mut |id| *id = aliases.get(id).copied().unwrap_or(*id));
        filter.for_each_comparison(&mut |comparison| {
            if let Comparison::Article(id) = comparison {
                articles.push(*id);
            }
        });
        let mut meetings = Vec::new();
        for article in articles {
            let mut of_article = BTreeSet::new();
            for doc in history::reports_of_article(self.store.reads(), article, time).await? {
                let report: Report = doc.decode()?;
                let meeting = Collection::Meetings.id(&report.meeting).filter(|_| report.state() == State::Active);
                of_article.extend(meeting);
            }
            meetings.push(of_article);
        }
        let mut meetings = meetings.into_iter();
        filter.for_each_comparison(&mut |comparison| {
            if let Comparison::Article(_) = comparison {
                let of_article = meetings.next().unwrap_or_default();
                *comparison = Comparison::OneOf(Collection::Meetings, of_article.into_iter().collect());
            }
        });
        Ok(())
    }

    /// Replaces the kinds of the participants of participations by the participants that had them at a time, where these
    /// may differ from those that have them now, or where the filter is evaluated in memory.
    ///
    /// # Errors
    /// Those of [`for_each_former`], and `Overloaded` without a permit.
    pub async fn resolve_kinds_at(
        &self,
        filter: &mut Filter,
        time: DateTime<Utc>,
        budget: Duration,
    ) -> Result<(), ServiceError> {
        let mut has_kind = false;
        filter.for_each_part_kind(&mut |_, _| has_kind = true);
        if !has_kind {
            return Ok(());
        }
        let mut db = self.store.bounded_query(QueryClass::Page, budget).await?;
        let _permit = self.begin_former().await;
        let mut changed: HashMap<Uuid, Kind> = HashMap::new();
        for_each_former(&mut db, Collection::Participants, time, |doc, record| {
            if let Record::Participant(participant) = record {
                changed.insert(doc.id, participant.kind());
            }
            Ok(())
        })
        .await?;
        let mut unchanged = BTreeSet::new();
        for_each_former(&mut db, Collection::Meetings, time, |_, record| {
            if let Record::Meeting(meeting) = record {
                let named = meeting.account.iter().flat_map(participants);
                unchanged.extend(named.filter(|id| !changed.contains_key(id)));
            }
            Ok(())
        })
        .await?;
        let unchanged = participant::persons(self.store.reads(), &Vec::from_iter(unchanged)).await?;
        let changed_ids: BTreeSet<Uuid> = changed.keys().copied().collect();
        let mut kinds = changed;
        kinds.extend(unchanged.into_iter().map(|(id, facts)| (id, facts.kind)));
        filter.for_each_part_kind(&mut |part, kind| {
            let had = kinds.iter().filter(|(_, known)| **known == kind).map(|(id, _)| *id).collect();
            let changed = Filter::Compare(Comparison::PartOneOf(changed_ids.clone()));
            let still = vec![Filter::Compare(Comparison::PartKind(kind)), Filter::Not(Box::new(changed))];
            *part = Filter::Or(vec![Filter::Compare(Comparison::PartOneOf(had)), Filter::And(still)]);
        });
        Ok(())
    }

    /// Replaces the names and external ids in a filter on participants by the persons who had them at a time.
    ///
    /// # Errors
    /// Those of [`for_each_former`].
    pub async fn resolve_names_at(
        &self,
        db: &mut BoundedQuery,
        filter: &mut Filter,
        time: DateTime<Utc>,
    ) -> Result<(), ServiceError> {
        let keys = filter.named().keys;
        if keys.is_empty() {
            return Ok(());
        }
        let mut named: BTreeSet<(PersonKey, Uuid)> =
            participant::unchanged_persons_named(self.store.reads(), &keys, time, MAX_NAMED + 1).await?;
        if named.len() > MAX_NAMED {
            return Err(ServiceError::TooMuchChanged(TooMuchChanged::Rows(MAX_NAMED)));
        }
        for_each_former(db, Collection::Participants, time, |doc, record| {
            let Record::Participant(participant) = record else { return Ok(()) };
            if !participant.is_deleted() {
                let alias_of = Collection::Participants.id(&participant.merged_into);
                let person = alias_of.unwrap_or(doc.id);
                let is_asked =
                    |key: &PersonKey| keys.contains(key) && (*key != PersonKey::AnyExternalId || alias_of.is_some());
                named.extend(PersonKey::of(&participant).into_iter().filter(is_asked).map(|key| (key, person)));
            }
            Ok(())
        })
        .await?;
        filter.for_each_part(&mut |part| {
            if let Filter::Compare(comparison) = part
                && let Some(key) = PersonKey::in_comparison(comparison)
            {
                let persons = named.iter().filter(|(known, _)| *known == key).map(|(_, person)| *person).collect();
                let persons = Filter::Compare(Comparison::OneOf(Collection::Participants, persons));
                *part = match key {
                    PersonKey::AnyExternalId => Filter::Or(vec![Filter::Compare(Comparison::OwnExternalId), persons]),
                    PersonKey::Name(_) | PersonKey::ExternalId(..) => persons,
                };
            }
        });
        Ok(())
    }
}
