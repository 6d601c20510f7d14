//! Rules on participants.

use std::collections::BTreeSet;

use super::text::names;
use crate::pb::Participant;

/// The name keys of a participant's display name and other names. Empty keys are left out.
pub fn keys(participant: &Participant) -> BTreeSet<String> {
    let aliases = participant.names.iter().map(|name| name.text.as_str());
    let mut keys: BTreeSet<_> =
        std::iter::once(participant.display_name.as_str()).chain(aliases).map(names::key).collect();
    keys.remove("");
    keys
}
