//! An entry of the feed: a change, with the record before and after it if a watcher needs them.

use std::{collections::VecDeque, sync::Arc};

use sqlx::PgPool;

use crate::{
    model::{
        query::filter::{Filter, FilterInput},
        resource::Record,
    },
    store::{
        StoreError,
        change::StoredChange,
        write::revision::{self, Version},
    },
};

/// A change that is held in memory.
#[derive(Debug)]
pub struct FeedEntry {
    /// The change.
    pub change: StoredChange,
    /// The changed resource. `None` if no watcher needs it.
    pub records: Option<Records>,
    bytes: usize,
}

/// The two revisions of a resource around a change.
#[derive(Debug)]
pub struct Records {
    /// The revision before. `None` for a new resource.
    pub before: Option<Record>,
    /// The revision that the change created.
    pub after: Record,
}

impl FeedEntry {
    /// A change without its resource.
    pub fn bare(change: StoredChange) -> Self {
        Self { change, records: None, bytes: 0 }
    }

    /// The approximate memory use, in bytes. A decoded message takes a few times its encoded length.
    pub fn weight(&self) -> usize {
        const BARE: usize = 320;
        const PER_BYTE: usize = 4;
        BARE + PER_BYTE * self.bytes
    }

    /// True if the filter matches the resource before the change. False for a new resource.
    pub fn matches_before(&self, filter: &Filter) -> bool {
        let before = self.records.as_ref().and_then(|records| records.before.as_ref());
        before.is_some_and(|before| filter.holds(&self.input(Some(before))))
    }

    /// True if the filter matches the resource after the change, or the change itself if its resource is not known.
    pub fn matches_after(&self, filter: &Filter) -> bool {
        filter.holds(&self.input(self.records.as_ref().map(|records| &records.after)))
    }

    fn input<'a>(&self, record: Option<&'a Record>) -> FilterInput<'a> {
        let StoredChange { collection, id, kind, .. } = self.change;
        FilterInput { collection, id, kind, record }
    }
}

/// Reads the records of the changes. Returns the longest prefix whose records have at most `max_bytes` in total, and at
/// least one entry.
///
/// # Errors
/// `Damaged` for a record that is missing or cannot be decoded, or the database fails.
pub async fn with_records(
    pool: &PgPool,
    changes: Vec<StoredChange>,
    max_bytes: i64,
) -> Result<VecDeque<Arc<FeedEntry>>, StoreError> {
    // Two revisions per change. The one before a new resource does not exist.
    let versions: Vec<Version> = changes
        .iter()
        .flat_map(|change| {
            let version = |revision| Version { collection: change.collection, id: change.id, revision };
            [version(change.revision - 1), version(change.revision)]
        })
        .collect();
    let docs = revision::docs(pool, &versions, max_bytes).await?;
    let mut entries = VecDeque::with_capacity(docs.len() / 2);
    for (change, docs) in changes.into_iter().zip(docs.chunks_exact(2)) {
        let read = |doc: &Option<Vec<u8>>| doc.as_ref().map(|doc| Record::decode(change.collection, doc)).transpose();
        let damaged = || StoreError::Damaged(change.collection.name(change.id));
        let before = read(&docs[0]).map_err(|_| damaged())?;
        let after = read(&docs[1]).map_err(|_| damaged())?.ok_or_else(damaged)?;
        let bytes = docs.iter().flatten().map(Vec::len).sum();
        entries.push_back(Arc::new(FeedEntry { change, records: Some(Records { before, after }), bytes }));
    }
    Ok(entries)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{model::resource::Collection, pb::change::Kind};

    pub fn entry(position: i64, with_records: bool) -> Arc<FeedEntry> {
        let change = StoredChange {
            position,
            collection: Collection::Meetings,
            id: uuid::Uuid::from_u128(position as u128),
            kind: Kind::Created,
            revision: 1,
            time: Default::default(),
            actor: "anonymous".to_owned(),
            request_id: String::new(),
            last: true,
        };
        let after = Record::Meeting(Box::default());
        Arc::new(FeedEntry { change, records: with_records.then_some(Records { before: None, after }), bytes: 0 })
    }
}
