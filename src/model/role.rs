//! What a caller may do.

use std::{fmt, str::FromStr};

use crate::pb;

/// What a caller may do: each also what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads, searches, counts and watches.
    Reader,
    /// Writes articles, participants and reports.
    Writer,
    /// Rules, retracts, merges and deletes.
    Curator,
    /// Speaks for others.
    Admin,
}

impl Role {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Writer, Self::Curator, Self::Admin];

    /// Its name in configuration, in claims and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Curator => "curator",
            Self::Admin => "admin",
        }
    }

    /// Its name in the contract.
    pub fn as_contract(self) -> &'static str {
        match self {
            Self::Reader => pb::Role::Reader,
            Self::Writer => pb::Role::Writer,
            Self::Curator => pb::Role::Curator,
            Self::Admin => pb::Role::Admin,
        }
        .as_str_name()
    }

    /// That of a number of the contract.
    pub fn of(number: i32) -> Option<Self> {
        match pb::Role::try_from(number).ok()? {
            pb::Role::Unspecified => None,
            pb::Role::Reader => Some(Self::Reader),
            pb::Role::Writer => Some(Self::Writer),
            pb::Role::Curator => Some(Self::Curator),
            pb::Role::Admin => Some(Self::Admin),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// It is none of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be reader, writer, curator or admin")]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(name: &str) -> Result<Self, NoRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or(NoRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_those_of_the_contract_in_its_order() {
        let numbers: Vec<_> = (0..=5).filter_map(Role::of).collect();
        assert_eq!(numbers, Role::ALL);
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(role.as_contract().to_lowercase(), role.as_str());
        }
        assert_eq!("Reader".parse::<Role>(), Err(NoRole));
    }
}
