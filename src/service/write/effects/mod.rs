//! Effects: what a call with `validate_only` would change in existing records.
//!
//! The plan of the call has its own writes. `resettle` adds what the service would settle again because of them.

mod resettle;

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::DynamicMessage;
use uuid::Uuid;

use self::resettle::resettle;
use crate::{
    model::{
        mask::diff::{field_changes, read},
        resource::{Collection, Resource},
    },
    pb::{Article, Effect, IngestStoryResponse, JudgeParticipantsResponse, Meeting, Participant, Report},
    service::{Api, error::ServiceError},
    store::{Doc, StoreError, docs, write::Write},
};

/// Maximum number of effects in an answer, and their maximum bytes.
const MAX_EFFECTS: usize = 1_000;
const MAX_BYTES: usize = 256 * 1024;
/// Maximum number of characters of a value.
const MAX_VALUE: usize = 2_000;

/// The effects of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// In the order of collections, ids and fields.
    pub listed: Vec<Effect>,
    /// The number of further records that would change or may change.
    pub omitted: i32,
}

/// The answer to a write.
pub trait WriteAnswer: Message {
    /// Adds the effects of a call with `validate_only`. Answers of methods that list none leave them out.
    fn show(&mut self, effects: Effects);
}

macro_rules! write_answers {
    ($($message:ident),+) => {
        $(impl WriteAnswer for $message {
            fn show(&mut self, effects: Effects) {
                (self.effects, self.omitted_effects) = (effects.listed, effects.omitted);
            }
        })+
    };
}

write_answers!(Article, IngestStoryResponse, JudgeParticipantsResponse, Meeting, Participant, Report);

/// The records that a call would change, as they would then be, by collection and id.
type Changed = BTreeMap<(Collection, Uuid), DynamicMessage>;

/// The effects of writes that are not made.
///
/// # Errors
/// `Damaged` for a record that cannot be decoded, or the database fails.
pub async fn of(api: &Api, writes: &[&Write], room: usize) -> Result<Effects, ServiceError> {
    let mut changed = Changed::new();
    for write in writes {
        let participants = write.participants.iter().map(|participant| &participant.put);
        add(&mut changed, participants.filter(|put| put.replaces.is_some()).map(|put| &put.record))?;
        let articles = write.articles.iter().map(|article| &article.put);
        add(&mut changed, articles.filter(|put| put.replaces.is_some()).map(|put| &put.record))?;
        add(&mut changed, write.reports.iter().filter(|put| put.replaces.is_some()).map(|put| &put.record))?;
        add(&mut changed, write.meetings.iter().filter(|put| put.replaces.is_some()).map(|put| &put.record))?;
    }
    let resettled = resettle(api, writes).await?;
    add(&mut changed, resettled.articles.iter())?;
    add(&mut changed, resettled.meetings.iter())?;
    let mut effects = Effects { listed: Vec::new(), omitted: resettled.omitted };
    let mut bytes = 0;
    let max_bytes = MAX_BYTES.min(room);
    for collection in Collection::ALL {
        let ids: Vec<Uuid> = changed.keys().filter(|key| key.0 == collection).map(|key| key.1).collect();
        let formers = docs(api.store.reads(), collection, &ids).await?;
        for former in &formers {
            let Some(after) = changed.get(&(collection, former.id)) else { continue };
            let name = collection.name(former.id);
            let before = current(collection, former)?;
            let changes = field_changes(&before, after).into_iter().map(|change| Effect {
                resource: name.clone(),
                field: change.path,
                before: cut(change.before),
                after: cut(change.after),
            });
            let of_record: Vec<Effect> = changes.collect();
            let size: usize = of_record.iter().map(|effect| effect.encoded_len() + 8).sum();
            if effects.listed.len() + of_record.len() > MAX_EFFECTS || bytes + size > max_bytes {
                effects.omitted = effects.omitted.saturating_add(1);
                continue;
            }
            bytes += size;
            effects.listed.extend(of_record);
        }
    }
    Ok(effects)
}

/// Adds the next revisions of records.
fn add<'a, R: Resource>(changed: &mut Changed, records: impl Iterator<Item = &'a R>) -> Result<(), StoreError> {
    for record in records {
        let id = record.id().unwrap_or_default();
        changed.insert((R::COLLECTION, id), dynamic(record)?);
    }
    Ok(())
}

fn dynamic<R: Resource>(record: &R) -> Result<DynamicMessage, StoreError> {
    read::<R>(&record.encode_to_vec()).map_err(|_| StoreError::Damaged(record.name().to_owned()))
}

/// A stored record, with the fields that an older release did not write.
fn current(collection: Collection, doc: &Doc) -> Result<DynamicMessage, StoreError> {
    match collection {
        Collection::Participants => dynamic(&doc.decode::<Participant>()?),
        Collection::Articles => dynamic(&doc.decode::<Article>()?),
        Collection::Reports => dynamic(&doc.decode::<Report>()?),
        Collection::Meetings => dynamic(&doc.decode::<Meeting>()?),
    }
}

fn cut(mut value: String) -> String {
    if let Some((end, _)) = value.char_indices().nth(MAX_VALUE) {
        value.truncate(end);
    }
    value
}
