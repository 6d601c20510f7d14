//! The ids of an account that a caller may leave out: those of participations, delegations and statements.

use std::collections::{HashMap, HashSet};

use crate::{model::text::names, pb::Account};

/// Maximum number of characters of a name that becomes an id. The contract declares it for names.
const MAX_NAME_CHARS: usize = 256;

/// Adds the ids that a canonical account leaves out. They depend on the account alone, and never equal a given id of
/// their list.
pub fn complete_ids(account: &mut Account) {
    let mut taken: TakenIds = account.participations.iter().map(|item| item.id.as_str()).collect();
    for (index, item) in account.participations.iter_mut().enumerate().filter(|(_, item)| item.id.is_empty()) {
        let participant = item.participant.strip_prefix('#').unwrap_or(&item.participant);
        let office = item.office.iter().flat_map(|office| [office.title.as_str(), office.organization.as_str()]);
        let names = [item.name_as_written.as_str(), participant, item.delegation.as_str()].into_iter().chain(office);
        let name = names.into_iter().find_map(usable);
        item.id = taken.free(name.unwrap_or(&format!("participation-{}", index + 1)));
    }
    let mut taken: TakenIds = account.delegations.iter().map(|item| item.id.as_str()).collect();
    for (index, item) in account.delegations.iter_mut().enumerate().filter(|(_, item)| item.id.is_empty()) {
        item.id = taken.free(usable(&item.label).unwrap_or(&format!("delegation-{}", index + 1)));
    }
    let mut taken: TakenIds = account.statements.iter().map(|item| item.id.as_str()).collect();
    for (index, item) in account.statements.iter_mut().enumerate().filter(|(_, item)| item.id.is_empty()) {
        item.id = taken.free(&format!("statement-{}", index + 1));
    }
}

/// The name without white space around it, if it can be an id. An id from a name that breaks a rule would break the rule
/// again, in a field that the caller did not send.
pub fn usable(name: &str) -> Option<&str> {
    let name = name.trim();
    let is_short = name.len() <= MAX_NAME_CHARS || name.chars().count() <= MAX_NAME_CHARS;
    (is_short && !name.contains(char::is_control) && !names::key(name).is_empty()).then_some(name)
}

/// The ids of a list.
#[derive(Debug, Default)]
pub struct TakenIds {
    ids: HashSet<String>,
    /// The last number that was tried behind a name.
    numbers: HashMap<String, usize>,
}

impl<'a> FromIterator<&'a str> for TakenIds {
    fn from_iter<T: IntoIterator<Item = &'a str>>(ids: T) -> Self {
        let ids = ids.into_iter().filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Self { ids, ..Default::default() }
    }
}

impl TakenIds {
    /// The name, or the name with the first number from 2 that is free. Takes the id.
    pub fn free(&mut self, name: &str) -> String {
        if self.ids.insert(name.to_owned()) {
            return name.to_owned();
        }
        // A list of equal names takes time linear in its length.
        let number = self.numbers.entry(name.to_owned()).or_insert(1);
        loop {
            *number += 1;
            let id = format!("{name}-{number}");
            if self.ids.insert(id.clone()) {
                return id;
            }
        }
    }
}
