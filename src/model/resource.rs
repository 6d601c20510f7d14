//! The common parts of all resources: the collection, the name, the revision and the fields that the service sets.

use std::time::SystemTime;

use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

use super::{canonical::Canonical, evidence};
use crate::pb::{self, evidence::Match};

/// The collections of resources. The order is that of the changes of one write in the feed. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum Collection {
    /// `participants/{uuid}`
    Participants = 1,
    /// `articles/{uuid}`
    Articles = 2,
    /// `reports/{uuid}`
    Reports = 3,
    /// `meetings/{uuid}`
    Meetings = 4,
}

impl Collection {
    /// All collections, in order.
    pub const ALL: [Self; 4] = [Self::Participants, Self::Articles, Self::Reports, Self::Meetings];

    /// The first segment of the resource names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Participants => "participants",
            Self::Articles => "articles",
            Self::Reports => "reports",
            Self::Meetings => "meetings",
        }
    }

    /// The name of a resource of this collection (AIP-122).
    pub fn name(self, id: Uuid) -> String {
        format!("{}/{id}", self.as_str())
    }

    /// The id in a resource name. `None` for the name of another collection, and for a malformed name.
    pub fn id(self, name: &str) -> Option<Uuid> {
        let id = name.strip_prefix(self.as_str())?.strip_prefix('/')?;
        Uuid::try_parse(id).ok().filter(|_| id.len() == 36)
    }

    /// The collection and the id in a resource name. `None` for a malformed name.
    pub fn of(name: &str) -> Option<(Self, Uuid)> {
        Self::ALL.into_iter().find_map(|collection| Some((collection, collection.id(name)?)))
    }
}

impl TryFrom<i16> for Collection {
    type Error = ();

    fn try_from(number: i16) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|collection| *collection as i16 == number).ok_or(())
    }
}

/// The version of the contract that this binary writes. Incremented when a field or enum value is added, because an
/// older binary would drop the data that it does not know.
pub const CONTRACT_VERSION: i16 = 8;

/// A record that has a name and revisions.
pub trait Resource: Message + Canonical + Default + Clone + 'static {
    /// The collection of the resource.
    const COLLECTION: Collection;
    /// Full name of the message type.
    const MESSAGE: &'static str;

    /// The resource name; empty before the first revision.
    fn name(&self) -> &str;
    /// The etag; empty before the first revision.
    fn etag(&self) -> &str;
    /// The revision, from 1; 0 before the first.
    fn revision(&self) -> i64;
    /// The time at which this revision was written; `None` before the first.
    fn update_time(&self) -> Option<&Timestamp>;
    /// The fields that the service sets.
    fn service_fields(&mut self) -> ServiceFields<'_>;

    /// Sets the fields that follow from the others of the record alone.
    fn derive(&mut self);

    /// Sets the fields that an older release did not write, to the values that such a record has.
    fn complete(&mut self);

    /// The id in the name.
    fn id(&self) -> Option<Uuid> {
        Self::COLLECTION.id(self.name())
    }

    /// Turns the record into the first revision of a new resource.
    fn make_first_revision(&mut self, id: Uuid, now: SystemTime) {
        let marks = self.service_fields();
        *marks.name = Self::COLLECTION.name(id);
        *marks.revision = 1;
        *marks.create_time = Some(timestamp(now));
        *marks.update_time = Some(timestamp(now));
        self.derive();
        self.set_etag();
    }

    /// Turns the record into the revision after `previous`. Its update time is later than that of `previous`, even if
    /// the clock went back, so that a read by time finds every revision.
    fn make_next_revision(&mut self, previous: &Self, now: SystemTime) {
        let mut previous = previous.clone();
        let before = previous.service_fields();
        let marks = self.service_fields();
        *marks.name = before.name.clone();
        *marks.revision = *before.revision + 1;
        *marks.create_time = *before.create_time;
        let earliest = before.update_time.map(just_after).unwrap_or_default();
        *marks.update_time = Some(later(timestamp(now), earliest));
        self.derive();
        self.set_etag();
    }

    /// Sets the etag: a hash over all other fields. Equal etags mean equal records.
    fn set_etag(&mut self) {
        self.service_fields().etag.clear();
        let hash = blake3::hash(&self.encode_to_vec());
        *self.service_fields().etag = hash.to_hex()[..16].to_owned();
    }
}

/// A resource that can be deleted, and undeleted again.
pub trait Deletable: Resource {
    /// The time at which the resource was deleted; `None` while it is live.
    fn delete_time(&self) -> Option<&Timestamp>;
    /// Sets the time of deletion.
    fn set_delete_time(&mut self, time: Option<Timestamp>);
    /// The name of the resource that this one was merged into; empty if it is not merged.
    fn merged_into(&self) -> &str;

    /// True if the resource is deleted.
    fn is_deleted(&self) -> bool {
        self.delete_time().is_some()
    }

    /// The next revision, in which the resource is deleted.
    fn deleted(&self, now: SystemTime) -> Self {
        let mut deleted = self.clone();
        deleted.make_next_revision(self, now);
        deleted.set_delete_time(deleted.update_time().copied());
        deleted.set_etag();
        deleted
    }

    /// The next revision, in which the resource is live again.
    fn undeleted(&self, now: SystemTime) -> Self {
        let mut undeleted = self.clone();
        undeleted.set_delete_time(None);
        undeleted.make_next_revision(self, now);
        undeleted
    }
}

/// Mutable access to the fields that the service sets in every resource.
pub struct ServiceFields<'a> {
    /// Resource name.
    pub name: &'a mut String,
    /// Etag (AIP-154).
    pub etag: &'a mut String,
    /// Revision, from 1.
    pub revision: &'a mut i64,
    /// The time at which the resource was first written.
    pub create_time: &'a mut Option<Timestamp>,
    /// The time at which this revision was written.
    pub update_time: &'a mut Option<Timestamp>,
}

macro_rules! resource {
    ($message:ident, $collection:ident, $derive:expr, $complete:expr) => {
        impl Resource for pb::$message {
            const COLLECTION: Collection = Collection::$collection;
            const MESSAGE: &'static str = concat!("readout.v1.", stringify!($message));

            fn name(&self) -> &str {
                &self.name
            }

            fn etag(&self) -> &str {
                &self.etag
            }

            fn revision(&self) -> i64 {
                self.revision
            }

            fn update_time(&self) -> Option<&Timestamp> {
                self.update_time.as_ref()
            }

            fn service_fields(&mut self) -> ServiceFields<'_> {
                ServiceFields {
                    name: &mut self.name,
                    etag: &mut self.etag,
                    revision: &mut self.revision,
                    create_time: &mut self.create_time,
                    update_time: &mut self.update_time,
                }
            }

            fn derive(&mut self) {
                let derive: fn(&mut Self) = $derive;
                derive(self);
            }

            fn complete(&mut self) {
                let complete: fn(&mut Self) = $complete;
                complete(self);
            }
        }
    };
}

macro_rules! deletable {
    ($message:ident, $merged_into:expr) => {
        impl Deletable for pb::$message {
            fn delete_time(&self) -> Option<&Timestamp> {
                self.delete_time.as_ref()
            }

            fn set_delete_time(&mut self, time: Option<Timestamp>) {
                self.delete_time = time;
            }

            fn merged_into(&self) -> &str {
                let merged_into: fn(&Self) -> &str = $merged_into;
                merged_into(self)
            }
        }
    };
}

resource!(Participant, Participants, |_| (), |_| ());
resource!(Article, Articles, |_| (), |_| ());
resource!(Report, Reports, evidence::set_coverage, |report| {
    // Before there was a tolerant lookup, every quote was found as it was sent.
    let cited = report.evidence.iter_mut().filter(|cited| cited.r#match() == Match::Unspecified);
    cited.for_each(|cited| cited.set_match(Match::Exact));
    if report.evidence_coverage == 0.0 {
        evidence::set_coverage(report);
    }
});
resource!(Meeting, Meetings, |_| (), |_| ());

deletable!(Participant, |_| "");
deletable!(Article, |_| "");
deletable!(Meeting, |meeting| &meeting.merged_into);

/// A record of any collection.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A participant.
    Participant(Box<pb::Participant>),
    /// An article.
    Article(Box<pb::Article>),
    /// A report.
    Report(Box<pb::Report>),
    /// A meeting.
    Meeting(Box<pb::Meeting>),
}

impl Record {
    /// Decodes a record of this collection.
    ///
    /// # Errors
    /// If the bytes are not an encoded record of the collection.
    pub fn decode(collection: Collection, bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(match collection {
            Collection::Participants => Self::Participant(Box::new(decode(bytes)?)),
            Collection::Articles => Self::Article(Box::new(decode(bytes)?)),
            Collection::Reports => Self::Report(Box::new(decode(bytes)?)),
            Collection::Meetings => Self::Meeting(Box::new(decode(bytes)?)),
        })
    }
}

/// Decodes a stored record.
///
/// # Errors
/// If the bytes are not an encoded record of this type.
pub fn decode<R: Resource>(bytes: &[u8]) -> Result<R, prost::DecodeError> {
    let mut record = R::decode(bytes)?;
    record.complete();
    Ok(record)
}

/// Truncates to microseconds, the precision of PostgreSQL.
/// The timestamp of a time.
pub fn timestamp(time: SystemTime) -> Timestamp {
    let mut timestamp = Timestamp::from(time);
    timestamp.nanos -= timestamp.nanos % 1_000;
    timestamp
}

/// The next microsecond.
fn just_after(time: Timestamp) -> Timestamp {
    let mut next = Timestamp { nanos: time.nanos + 1_000, ..time };
    next.normalize();
    next
}

fn later(left: Timestamp, right: Timestamp) -> Timestamp {
    std::cmp::max_by_key(left, right, |time| (time.seconds, time.nanos))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn id_is_none_for_a_name_of_another_collection() {
        let id = Uuid::now_v7();
        let name = Collection::Articles.name(id);
        assert_eq!(Collection::Articles.id(&name), Some(id));
        assert_eq!(Collection::Meetings.id(&name), None);
        assert_eq!(Collection::Articles.id(&format!("articles/{}", id.simple())), None);
        assert_eq!(Collection::Articles.id("articles/"), None);
    }

    #[test]
    fn etag_changes_with_the_content() {
        let now = SystemTime::now();
        let id = Uuid::now_v7();
        let mut first = pb::Participant { display_name: "Kerim Veliyev".into(), ..Default::default() };
        let mut second = pb::Participant { display_name: "Karim Valiyev".into(), ..Default::default() };
        first.make_first_revision(id, now);
        second.make_first_revision(id, now);
        assert_ne!(first.etag, second.etag);
        let mut next = first.clone();
        next.make_next_revision(&first, now);
        assert_eq!(next.revision, 2);
        assert_ne!(next.etag, first.etag);
    }

    #[test]
    fn make_next_revision_sets_a_later_time_even_if_the_clock_goes_back() {
        let now = SystemTime::UNIX_EPOCH + Duration::new(5, 999_999_000);
        let mut participant = pb::Participant::default();
        participant.make_first_revision(Uuid::now_v7(), now);
        for earlier in [now, now - Duration::from_secs(3)] {
            let mut next = participant.clone();
            next.make_next_revision(&participant, earlier);
            assert_eq!(next.update_time, Some(Timestamp { seconds: 6, nanos: 0 }));
        }
        let mut next = participant.clone();
        next.make_next_revision(&participant, now + Duration::from_secs(1));
        assert_eq!(next.update_time, Some(Timestamp { seconds: 6, nanos: 999_999_000 }));
    }

    #[test]
    fn delete_and_undelete_each_write_a_revision() {
        let now = SystemTime::now();
        let mut participant = pb::Participant { display_name: "Kerim Veliyev".into(), ..Default::default() };
        participant.make_first_revision(Uuid::now_v7(), now);
        let deleted = participant.deleted(now);
        assert!(deleted.is_deleted() && !participant.is_deleted());
        assert_eq!((deleted.revision, deleted.delete_time), (2, deleted.update_time));
        let again = deleted.undeleted(now);
        assert_eq!((again.revision, again.delete_time), (3, None));
        assert_eq!((&again.name, again.create_time), (&participant.name, participant.create_time));
        assert_ne!(again.etag, deleted.etag);
    }
}
