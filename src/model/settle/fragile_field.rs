//! The fragile fields of a settled meeting: those that `fragility` found, or all set ones if it has one source.

use std::collections::BTreeSet;

use super::{
    VERSION_OF_FRAGILE_FIELDS,
    disputes::{Field, ParticipationField},
};
use crate::pb::{Account, Meeting};

/// Maximum number of fragile fields of participations that are listed.
pub const MAX_OF_PARTICIPATIONS: usize = 100;
/// Maximum bytes of the paths of fragile fields of participations. Ids of participations can be long.
pub const MAX_BYTES_OF_PARTICIPATIONS: usize = 16_000;

const OF_PARTICIPATIONS: &str = "account.participations[";

/// The fields that can be fragile, without those of participations.
pub const OWN_FIELDS: [Field<'static>; 7] =
    [Field::Kind, Field::Status, Field::Date, Field::PlaceRegion, Field::Locality, Field::Initiator, Field::VisitType];

/// The fields that filters distinguish. The number is stored, as the number of a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FragileField {
    /// `account.kind`
    Kind = 1,
    /// `account.status`
    Status = 2,
    /// `account.date`
    Date = 3,
    /// `account.place.region_code`
    PlaceRegion = 4,
    /// `account.place.locality`
    Locality = 5,
    /// `account.initiator`
    Initiator = 6,
    /// Any field of any participation.
    Participations = 7,
    /// `account.visit_type`
    VisitType = 8,
}

impl FragileField {
    /// All fields.
    pub const ALL: [Self; 8] = [
        Self::Kind,
        Self::Status,
        Self::Date,
        Self::PlaceRegion,
        Self::Locality,
        Self::Initiator,
        Self::Participations,
        Self::VisitType,
    ];

    /// The name in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Status => "status",
            Self::Date => "date",
            Self::PlaceRegion => "place.region_code",
            Self::Locality => "place.locality",
            Self::Initiator => "initiator",
            Self::Participations => "participations",
            Self::VisitType => "visit_type",
        }
    }

    /// The bit of the field in the fragile fields of a meeting.
    pub fn bit(self) -> i16 {
        1 << self as i16
    }

    /// The fragile fields of a meeting, a bit for each.
    pub fn bits(meeting: &Meeting) -> i16 {
        let fragile = Self::ALL.into_iter().filter(|field| field.is_fragile_in(meeting));
        fragile.fold(0, |bits, field| bits | field.bit())
    }

    /// True if the field is fragile in a meeting.
    pub fn is_fragile_in(self, meeting: &Meeting) -> bool {
        if let Some(account) = account_of_one_source(meeting) {
            return self.is_set_in(account);
        }
        meeting.fragile_fields.iter().any(|path| match self {
            Self::Participations => path.starts_with(OF_PARTICIPATIONS),
            _ => path.strip_prefix("account.") == Some(self.as_str()),
        })
    }

    fn is_set_in(self, account: &Account) -> bool {
        let own = match self {
            Self::Kind => Field::Kind,
            Self::Status => Field::Status,
            Self::Date => Field::Date,
            Self::PlaceRegion => Field::PlaceRegion,
            Self::Locality => Field::Locality,
            Self::Initiator => Field::Initiator,
            Self::VisitType => Field::VisitType,
            Self::Participations => {
                let mut people = account.participations.iter();
                return people.any(|person| ParticipationField::ALL.iter().any(|field| field.read(person).is_some()));
            }
        };
        own.read_own(account).is_some()
    }
}

/// The fragile fields of a meeting with one source: all that are set, because the account is empty without the source.
/// They are not stored. Empty for other meetings, which have theirs in `fragile_fields`.
pub fn fragile_of_one_source(meeting: &Meeting) -> Vec<String> {
    let Some(account) = account_of_one_source(meeting) else { return Vec::new() };
    let own = OWN_FIELDS.into_iter().filter(|field| field.read_own(account).is_some());
    let of_participations = account.participations.iter().flat_map(|person| {
        let set = ParticipationField::ALL.into_iter().filter(|field| field.read(person).is_some());
        set.map(|field| Field::Participation(&person.id, field))
    });
    listed(own.chain(of_participations).map(|field| path(&field)).collect())
}

/// True for a meeting with one source, by the rule that has fragile fields: those of the meeting are not stored.
pub fn has_one_source(meeting: &Meeting) -> bool {
    meeting.independent_source_count == 1 && meeting.settle_version >= VERSION_OF_FRAGILE_FIELDS
}

fn account_of_one_source(meeting: &Meeting) -> Option<&Account> {
    meeting.account.as_ref().filter(|_| has_one_source(meeting))
}

/// The path of a field, from the meeting.
pub fn path(field: &Field<'_>) -> String {
    format!("account.{}", field.name())
}

/// The paths that are listed, sorted.
pub fn listed(paths: BTreeSet<String>) -> Vec<String> {
    let (mut count, mut bytes) = (0, 0);
    let is_listed = |path: &String| {
        if !path.starts_with(OF_PARTICIPATIONS) {
            return true;
        }
        count += 1;
        bytes += path.len();
        count <= MAX_OF_PARTICIPATIONS && bytes <= MAX_BYTES_OF_PARTICIPATIONS
    };
    paths.into_iter().filter(is_listed).collect()
}
