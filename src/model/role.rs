//! The roles of callers.

use std::{fmt, str::FromStr};

use crate::pb;

/// A set of permissions. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May read, search, count and watch.
    Reader,
    /// May write articles, participants and reports.
    Writer,
    /// May rule, retract, merge and delete.
    Curator,
    /// May act on behalf of others.
    Admin,
}

impl Role {
    /// All roles, lowest first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Writer, Self::Curator, Self::Admin];

    /// The name in configuration, in claims and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Curator => "curator",
            Self::Admin => "admin",
        }
    }

    /// The name of the enum value in the contract.
    pub fn as_contract(self) -> &'static str {
        match self {
            Self::Reader => pb::Role::Reader,
            Self::Writer => pb::Role::Writer,
            Self::Curator => pb::Role::Curator,
            Self::Admin => pb::Role::Admin,
        }
        .as_str_name()
    }

    /// The role with this enum number of the contract. `None` for `ROLE_UNSPECIFIED` and unknown numbers.
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

/// The error of parsing a name that is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be reader, writer, curator or admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_match_the_contract_in_order() {
        let numbers: Vec<_> = (0..=5).filter_map(Role::of).collect();
        assert_eq!(numbers, Role::ALL);
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(role.as_contract().to_lowercase(), role.as_str());
        }
        assert_eq!("Reader".parse::<Role>(), Err(UnknownRole));
    }
}
