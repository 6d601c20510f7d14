//! Field masks: read, applied, and compared with the differences that they make.

use prost::Message;
use prost_types::FieldMask;
use readout::{
    model::{
        mask::{Mask, diff},
        resource::Resource,
        rules::{ClearOutput, Path, Violations},
    },
    pb::*,
};

use super::named;

/// The requests with a mask. A test compares them with the contract.
pub const UPDATES: [&str; 3] = ["UpdateArticleRequest", "UpdateMeetingRequest", "UpdateParticipantRequest"];

/// Applies the mask of an update to an empty record, and to the sent one.
pub fn masks(input: &[u8]) {
    let Some((name, bytes)) = named(input) else { return };
    match UPDATES.iter().position(|update| *update == name) {
        Some(0) => {
            let Ok(UpdateArticleRequest { article, update_mask, .. }) = Message::decode(bytes) else { return };
            apply(article.unwrap_or_default(), update_mask);
        }
        Some(1) => {
            let Ok(UpdateMeetingRequest { meeting, update_mask, .. }) = Message::decode(bytes) else { return };
            apply(meeting.unwrap_or_default(), update_mask);
        }
        Some(_) => {
            let Ok(UpdateParticipantRequest { participant, update_mask, .. }) = Message::decode(bytes) else { return };
            apply(participant.unwrap_or_default(), update_mask);
        }
        None => {}
    }
}

fn apply<R: Resource + ClearOutput>(mut sent: R, mask: Option<FieldMask>) {
    sent.canonicalize();
    sent.clear_output();
    let read = |mask: Option<&FieldMask>| {
        let mut out = Violations::default();
        let read = Mask::read::<R>(mask, &Path::ROOT, &mut out);
        out.iter().for_each(|violation| super::assert_printable(&violation.description));
        (read, out.is_empty())
    };
    let (mask, is_valid) = match mask {
        Some(mask) => {
            let renamed = Mask::in_proto_names::<R>(mask.clone());
            let (_, is_valid) = read(Some(&renamed));
            let (mask, was_valid) = read(Some(&mask));
            assert_eq!(is_valid, was_valid, "proto names are as valid as the names that were sent: {renamed:?}");
            (mask, is_valid)
        }
        None => read(None),
    };
    mask.names("display_name", &Path::ROOT);
    for current in [R::default(), sent.clone()] {
        let Ok(resolved) = mask.with_resolved_keys(&current, &sent, &Path::ROOT) else { continue };
        let applied = resolved.apply(&current, &sent);
        let again = resolved.apply(&applied, &sent);
        assert!(
            !is_valid || again.encode_to_vec() == applied.encode_to_vec(),
            "an update that is repeated changes nothing"
        );
    }

    // A mask of the paths that differ makes one record the other. A path with a control character is never in a mask.
    let (empty, doc) = (diff::read::<R>(&[]), diff::read::<R>(&sent.encode_to_vec()));
    let (empty, doc) = (empty.expect("an empty message"), doc.expect("a message that was encoded"));
    let paths = diff::changed_paths(&empty, &doc);
    let (mask, is_valid) = read(Some(&FieldMask { paths: paths.clone() }));
    if is_valid && !paths.is_empty() && !paths.iter().any(|path| path.contains(char::is_control)) {
        let mut applied = mask.apply(&R::default(), &sent);
        applied.canonicalize();
        assert_eq!(applied.encode_to_vec(), sent.encode_to_vec(), "{paths:?}");
    }
}
