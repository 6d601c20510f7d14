//! Whose revisions are: who asked for each, when, and why. The row of a record says so, and `superseded` of former ones.

use std::ops::Deref;

use chrono::{DateTime, Utc};

use super::{Put, PutArticle, PutParticipant, Write, columns::Columns};
use crate::{
    model::resource::Resource,
    store::{StoreError, time},
};

/// Something to be written, and the write that it is part of.
#[derive(Debug)]
pub struct Attributed<'a, P> {
    one: &'a P,
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
        self.one
    }
}

/// All of one kind that the writes of a batch put.
pub(in crate::store) fn signed<'a, P>(
    batch: &[&'a Write],
    of: impl Fn(&'a Write) -> &'a [P],
) -> Vec<Attributed<'a, P>> {
    batch.iter().flat_map(|write| of(write).iter().map(|one| Attributed { one, write })).collect()
}

/// What is put with a record.
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

/// The columns that all records have of it, one entry a record.
pub(in crate::store) struct Attributions<'a> {
    pub update_times: Vec<DateTime<Utc>>,
    pub kinds: Vec<i16>,
    pub actors: Vec<&'a str>,
    pub request_ids: Vec<&'a str>,
    pub reasons: Vec<&'a str>,
}

impl<'a> Attributions<'a> {
    pub fn of<P: Puts>(puts: &[Attributed<'a, P>]) -> Self {
        let update_time = |one: &Attributed<'a, P>| time(one.put().record.update_time()).unwrap_or_default();
        Self {
            update_times: puts.iter().map(update_time).collect(),
            // The kinds of the contract are few: the number fits.
            kinds: puts.iter().map(|one| one.put().kind as i16).collect(),
            actors: puts.iter().map(|one| one.write.actor.as_str()).collect(),
            request_ids: puts.iter().map(|one| one.write.request_id.as_str()).collect(),
            reasons: puts.iter().map(|one| one.write.reason.as_str()).collect(),
        }
    }

    /// Adds them to the rows of the records.
    pub fn columns(self, rows: Columns) -> Result<Columns, StoreError> {
        rows.with("update_time", "timestamptz", self.update_times)?
            .with("change_kind", "smallint", self.kinds)?
            .with("actor", "text", self.actors)?
            .with("request_id", "text", self.request_ids)?
            .with("reason", "text", self.reasons)
    }
}
