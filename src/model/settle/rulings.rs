//! Rulings: decisions on fields of the settled account, which override the reports.

use crate::pb::{Account, Place, Report};

/// A field that can be ruled on: its path in the mask of a ruling, and a function that copies it from the ruling's
/// account.
type Rulable = (&'static str, fn(&mut Account, &Account));

/// The fields that can be ruled on. A date, an announcement and a list are each ruled on as a whole, so that the
/// settled value is never a mixture of two accounts. Statements, outcomes and links cannot be ruled on: they belong to
/// reports.
static RULABLE: [Rulable; 18] = [
    ("account.kind", |to, from| to.kind = from.kind),
    ("account.status", |to, from| to.status = from.status),
    ("account.title", |to, from| to.title.clone_from(&from.title)),
    ("account.summary", |to, from| to.summary.clone_from(&from.summary)),
    ("account.topics", |to, from| to.topics.clone_from(&from.topics)),
    ("account.date", |to, from| to.date.clone_from(&from.date)),
    ("account.place", |to, from| to.place.clone_from(&from.place)),
    ("account.place.venue", |to, from| place(to).venue = place_field(from, |place| place.venue.clone())),
    ("account.place.locality", |to, from| place(to).locality = place_field(from, |place| place.locality.clone())),
    ("account.place.region_code", |to, from| {
        place(to).region_code = place_field(from, |place| place.region_code.clone())
    }),
    ("account.place.location", |to, from| place(to).location = place_field(from, |place| place.location)),
    ("account.announcement", |to, from| to.announcement.clone_from(&from.announcement)),
    (DELEGATIONS, |to, from| to.delegations.clone_from(&from.delegations)),
    (PARTICIPATIONS, |to, from| to.participations.clone_from(&from.participations)),
    ("account.initiator", |to, from| to.initiator.clone_from(&from.initiator)),
    ("account.external_ids", |to, from| to.external_ids.clone_from(&from.external_ids)),
    ("account.stops", |to, from| to.stops.clone_from(&from.stops)),
    ("account.visit_type", |to, from| to.visit_type = from.visit_type),
];

const DELEGATIONS: &str = "account.delegations";
const PARTICIPATIONS: &str = "account.participations";

/// The paths of a meeting that can be ruled on.
pub fn rulable_paths() -> impl Iterator<Item = &'static str> {
    RULABLE.iter().map(|(path, _)| *path)
}

fn place(account: &mut Account) -> &mut Place {
    account.place.get_or_insert_default()
}

fn place_field<T: Default>(account: &Account, field: fn(&Place) -> T) -> T {
    account.place.as_ref().map(field).unwrap_or_default()
}

/// Rulings, oldest first: by `create_time`, then by name.
pub struct Rulings<'a>(Vec<&'a Report>);

/// The field by which heads of delegations were ruled on: `head` of a delegation or a role of a participation. The
/// newer ruling counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heads {
    NotRuled,
    ByDelegation,
    ByRole,
}

impl<'a> Rulings<'a> {
    pub fn of(rulings: &[&'a Report]) -> Self {
        let mut rulings = rulings.to_vec();
        rulings.sort_unstable_by_key(|ruling| {
            let time = ruling.create_time.map(|time| (time.seconds, time.nanos));
            (time, ruling.name.as_str())
        });
        Self(rulings)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Overwrites the ruled fields of an account. Of several rulings on one field the newest counts.
    pub fn apply(&self, account: &mut Account) {
        let empty = Account::default();
        for ruling in &self.0 {
            let ruled = ruling.account.as_ref().unwrap_or(&empty);
            for path in paths(ruling) {
                if let Some((_, copy)) = RULABLE.iter().find(|(rulable, _)| *rulable == path) {
                    copy(account, ruled);
                }
            }
        }
    }

    /// The newest ruling on a field, or on a field that contains it.
    pub fn on(&self, path: &str) -> Option<&'a Report> {
        self.newest(path).map(|at| self.0[at])
    }

    /// The newest ruling on participations or delegations.
    pub fn on_participants(&self) -> Option<&'a Report> {
        self.newest(PARTICIPATIONS).max(self.newest(DELEGATIONS)).map(|at| self.0[at])
    }

    /// The field by which heads of delegations were ruled on. If one ruling has both lists, its delegations decide.
    pub fn heads(&self) -> Heads {
        match (self.newest(DELEGATIONS), self.newest(PARTICIPATIONS)) {
            (None, None) => Heads::NotRuled,
            (delegations, participations) if participations > delegations => Heads::ByRole,
            _ => Heads::ByDelegation,
        }
    }

    fn newest(&self, path: &str) -> Option<usize> {
        let covers =
            |masked: &str| path.strip_prefix(masked).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.0.iter().rposition(|ruling| paths(ruling).any(covers))
    }
}

fn paths(ruling: &Report) -> impl Iterator<Item = &str> {
    let mask = ruling.ruling.as_ref().and_then(|ruling| ruling.mask.as_ref());
    mask.into_iter().flat_map(|mask| mask.paths.iter().map(String::as_str))
}
