//! Rules on reports: what makes two of them the same, and which records they name.

use prost::Message;
use uuid::Uuid;

use super::{resource::Collection, rules::ClearOutput};
use crate::pb::{Account, Report};

/// Identifies a report's content as it was sent, before `#keys` stand for names and offsets are filled in: the same
/// article and hash is the same report. BLAKE3 over the message without what the service sets, as 64 hexadecimal
/// digits.
pub fn content_hash(sent: &Report) -> String {
    let mut content = sent.clone();
    content.clear_output();
    content.name.clear();
    content.article.clear();
    blake3::hash(&content.encode_to_vec()).to_hex().to_string()
}

/// The participants that an account names.
pub fn participants(account: &Account) -> impl Iterator<Item = Uuid> {
    account.participations.iter().filter_map(|one| Collection::Participants.id(&one.participant))
}
