//! The provenance of a revision: who made it, when, and why. It is stored in the record's row, and in `superseded` for
//! former revisions.

use std::ops::Deref;

use chrono::{DateTime, Utc};

use super::{Put, PutArticle, PutParticipant, Write, columns::Columns};
use crate::{
    model::resource::Resource,
    store::{StoreError, time},
};

/// A record to be written, with the write that it is part of.
#[derive(Debug)]
pub struct Attributed<'a, P> {
    inner: &'a P,
    write: &'a Write,
}

impl<P> Clone for Attributed<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Attributed<'_, P> {}

impl<P> Deref for Attributed<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        self.inner
    }
}

/// The records of one collection that the writes of a batch put.
pub(in crate::store) fn attributed<'a, P>(
    batch: &[&'a Write],
    of: impl Fn(&'a Write) -> &'a [P],
) -> Vec<Attributed<'a, P>> {
    batch.iter().flat_map(|write| of(write).iter().map(|inner| Attributed { inner, write })).collect()
}

/// A type that contains a `Put`.
pub(in crate::store) trait Puts {
    type Record: Resource;

    fn put(&self) -> &Put<Self::Record>;
}

impl<R: Resource> Puts for Put<R> {
    type Record = R;

    fn put(&self) -> &Put<R> {
        self
    }
}

impl Puts for PutArticle {
    type Record = crate::pb::Article;

    fn put(&self) -> &Put<Self::Record> {
        &self.put
    }
}

impl Puts for PutParticipant {
    type Record = crate::pb::Participant;

    fn put(&self) -> &Put<Self::Record> {
        &self.put
    }
}

/// The columns of provenance that all records have, one entry per record.
pub(in crate::store) struct Attributions<'a> {
    update_times: Vec<DateTime<Utc>>,
    kinds: Vec<i16>,
    actors: Vec<&'a str>,
    request_ids: Vec<&'a str>,
    reasons: Vec<&'a str>,
}

impl<'a> Attributions<'a> {
    pub fn of<P: Puts>(puts: &[Attributed<'a, P>]) -> Self {
        let update_time = |put: &Attributed<'a, P>| time(put.put().record.update_time()).unwrap_or_default();
        Self {
            update_times: puts.iter().map(update_time).collect(),
            // The contract has few kinds: the cast cannot overflow.
            kinds: puts.iter().map(|put| put.put().kind as i16).collect(),
            actors: puts.iter().map(|put| put.write.actor.as_str()).collect(),
            request_ids: puts.iter().map(|put| put.write.request_id.as_str()).collect(),
            reasons: puts.iter().map(|put| put.write.reason.as_str()).collect(),
        }
    }

    /// Adds the columns to the rows of the records.
    pub fn columns(self, rows: Columns) -> Result<Columns, StoreError> {
        rows.with("update_time", "timestamptz", self.update_times)?
            .with("change_kind", "smallint", self.kinds)?
            .with("actor", "text", self.actors)?
            .with("request_id", "text", self.request_ids)?
            .with("reason", "text", self.reasons)
    }
}
