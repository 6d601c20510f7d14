//! The scan counts whatever the decoder stores, and does not depend on the chunks of a message.

use proptest::{collection::vec, prelude::*, sample::Index};
use prost::{Message, encoding::decode_varint};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::{
    super::check, STORY, check_bytes, delimited, descriptor, nested, request_type, requests, varint, violation,
    with_items,
};
use crate::{model::settle::tests::accounts::any_account, pb};

#[test]
fn nesting_beyond_the_limit_of_the_decoder_is_left_to_it() {
    let request = "readout.v1.UpdateMeetingRequest";
    // A dispute's value that is a list in a list.
    let list = |inner: &[u8]| delimited(6, &delimited(1, inner));
    for depth in [10, 40, 60, 10_000] {
        let value = (0..depth).fold(Vec::new(), |inner, _| list(&inner));
        let message = nested(request, "meeting.disputes.values.value", |number| delimited(number, &value));
        assert!(check_bytes(request, &message).is_ok(), "{depth}");
        assert_eq!(pb::UpdateMeetingRequest::decode(message.as_slice()).is_ok(), depth <= 40, "{depth}");
    }
}

/// The decoder notices only afterwards that a part reaches beyond the message that contains it.
#[test]
fn items_beyond_the_end_of_their_message_are_counted() {
    let mut message = with_items(STORY, "story.reports", 300);
    // The story claims to have three bytes.
    let content = message.split_off(1 + varint(600).len());
    let message = [delimited(1, &[]), vec![10, 3], content].concat();
    assert!(pb::IngestStoryRequest::decode(message.as_slice()).is_err());
    // The reports follow each other, so the end lies between two of them: the decoder stops there.
    assert!(check_bytes(STORY, &message).is_ok());
    let reports = delimited(3, &delimited(5, &[]).repeat(10_001));
    let overlong = [vec![10, 3], reports].concat();
    assert_eq!(violation(check_bytes(STORY, &overlong)).0, "story.reports[0].evidence");
}

/// The items of a message, as the decoder has stored them.
fn count(message: &DynamicMessage) -> usize {
    fn of_value(value: &Value) -> usize {
        match value {
            Value::Message(message) => count(message),
            Value::List(list) => list.len() + list.iter().map(of_value).sum::<usize>(),
            Value::Map(pairs) => pairs.len() + pairs.values().map(of_value).sum::<usize>(),
            _ => 0,
        }
    }
    message.fields().map(|(_, value)| of_value(value)).sum()
}

/// True if a pair of a map has another wire type than that of a message, at any depth. The decoder of the service refuses
/// it, so that the count ends there. A dynamic message takes it for a pair.
fn has_map_of_another_wire_type(of: &MessageDescriptor, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Ok(key) = decode_varint(&mut bytes) else { return false };
        let field = of.get_field((key >> 3) as u32);
        if field.as_ref().is_some_and(FieldDescriptor::is_map) && key & 7 != 2 {
            return true;
        }
        let length = match key & 7 {
            0 if decode_varint(&mut bytes).is_ok() => 0,
            1 => 8,
            2 => decode_varint(&mut bytes).unwrap_or(u64::MAX),
            5 => 4,
            _ => return false,
        };
        let Some((content, rest)) = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length))
        else {
            return false;
        };
        if let (2, Some(Kind::Message(part))) = (key & 7, field.map(|field| field.kind()))
            && has_map_of_another_wire_type(&part, content)
        {
            return true;
        }
        bytes = rest;
    }
    false
}

/// Any message of a type, with up to three items in each list.
fn any_message(of: &MessageDescriptor, depth: usize, random: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let value = |field: &FieldDescriptor, random: &mut dyn FnMut(usize) -> usize| match field.kind() {
        Kind::Message(_) if depth > 12 => delimited(field.number(), &[]),
        Kind::Message(part) => delimited(field.number(), &any_message(&part, depth + 1, random)),
        Kind::String => delimited(field.number(), &vec![b'a' + random(26) as u8; random(5)]),
        Kind::Float => [varint((field.number() << 3 | 5) as usize), vec![0; 4]].concat(),
        Kind::Double => [varint((field.number() << 3 | 1) as usize), vec![0; 8]].concat(),
        _ => [varint((field.number() << 3) as usize), varint(random(2))].concat(),
    };
    let mut bytes = Vec::new();
    for field in of.fields() {
        let most = if field.is_list() || field.is_map() { 4 } else { 2 };
        for _ in 0..random(most) {
            bytes.extend(value(&field, random));
        }
    }
    bytes
}

fn split<'a>(mut bytes: &'a [u8], at: &[Index]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for at in at {
        let (chunk, rest) = bytes.split_at(at.index(bytes.len() + 1));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks.push(bytes);
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn counts_are_those_of_the_decoder(accounts in vec(any_account(), 0..4), at in vec(any::<Index>(), 0..4)) {
        let report = |account| pb::StoryReport { account: Some(account), ..Default::default() };
        let story = pb::Story { reports: accounts.into_iter().map(report).collect(), ..Default::default() };
        let request = pb::IngestStoryRequest { story: Some(story), ..Default::default() };
        let bytes = request.encode_to_vec();
        let decoded = DynamicMessage::decode(descriptor(STORY), bytes.as_slice()).unwrap();
        let measured = check(request_type(STORY), &split(&bytes, &at));
        prop_assert_eq!(measured.map(|measure| measure.items), Ok(count(&decoded)));
    }

    /// Every message that is decoded was counted in full, also if it is damaged.
    #[test]
    fn no_damaged_message_is_decoded_with_more_items_than_were_counted(
        choice in any::<Index>(),
        seed in vec(any::<u16>(), 300),
        damage in vec((any::<Index>(), any::<u8>()), 0..3),
        at in vec(any::<Index>(), 0..4),
    ) {
        let requests: Vec<_> = requests().collect();
        let (name, request) = &requests[choice.index(requests.len())];
        let mut random = seed.iter().cycle();
        let mut budget = 3_000_usize;
        let mut bytes = any_message(&descriptor(name), 0, &mut |most| {
            budget = budget.saturating_sub(1);
            if budget == 0 { 0 } else { *random.next().unwrap() as usize % most }
        });
        for (at, byte) in damage.iter().filter(|_| !bytes.is_empty()).cloned().collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let measured = check(*request, &split(&bytes, &at));
        prop_assert_eq!(&measured, &check(*request, &[&bytes]));
        if let (Ok(decoded), Ok(measured)) = (DynamicMessage::decode(descriptor(name), bytes.as_slice()), measured) {
            let is_read_alike = !has_map_of_another_wire_type(&descriptor(name), &bytes);
            prop_assert!(!is_read_alike || measured.items >= count(&decoded), "{name}: {bytes:02x?}");
        }
    }
}
