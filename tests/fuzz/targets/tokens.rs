//! Tokens that the service gives out and gets back, and the metadata of requests.

use readout::{
    access::Principal,
    feed::watcher::ResumePoint,
    model::{resource::Collection, role::Role},
    pb::ListMeetingsRequest,
    service::{
        change::cursor::Cursors,
        layer::request_id::RequestId,
        metadata,
        read::pagination::{self, TokenKey},
    },
    store::change::Position,
    telemetry::traceparent::Traceparent,
};
use tonic::{
    Request,
    codegen::http::{HeaderMap, HeaderName, HeaderValue},
};

const KEY: TokenKey = TokenKey([7; 32]);

/// Reads page tokens, cursors, positions and names. Only a token that this service wrote is accepted.
pub fn tokens(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(position) = Position::parse(&text) {
        assert_eq!(Position::parse(&position.to_string()), Some(position));
    }
    if let Some((collection, id)) = Collection::of(&text) {
        assert!(collection.name(id).eq_ignore_ascii_case(&text), "{text}");
    }
    let head = Position { epoch: "5c9e71d0".into(), number: 7 };
    let first = ListMeetingsRequest { filter: "kind = TALKS".into(), ..Default::default() };
    let request = ListMeetingsRequest { page_token: text.clone().into_owned(), ..first.clone() };
    let written = pagination::Cursor::of(&first, KEY, head.clone()).expect("a first page").token(keyset(input));
    if let Ok(page) = pagination::Cursor::of(&request, KEY, head) {
        assert!(page.after.is_none() == text.is_empty());
        let after = page.after.map(|after| page.token(after)).unwrap_or_default();
        assert!(after.eq_ignore_ascii_case(&text), "a page token that was not given out: {text}");
    }
    let altered = ListMeetingsRequest { page_token: written.clone() + &text, ..first };
    let head = Position { epoch: "5c9e71d0".into(), number: 7 };
    assert!(pagination::Cursor::of(&altered, KEY, head).is_ok() == text.is_empty(), "{text}");

    let cursors = Cursors::of("kind = CREATED", KEY);
    if let Ok(point) = cursors.read(&text) {
        assert_eq!(cursors.write(&point), text, "a cursor that was not given out");
    }
    let point = ResumePoint { epoch: "5c9e71d0".into(), position: 7, mark: [3; 8] };
    assert!(cursors.read(&(cursors.write(&point) + &text)).is_ok() == text.is_empty(), "{text}");
}

fn keyset(input: &[u8]) -> readout::store::query::list::Keyset {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(input).for_each(|(byte, from)| *byte = *from);
    readout::store::query::list::Keyset {
        values: bytes[..3].try_into().map_or([0; 3], |values: [u8; 3]| values.map(i64::from)),
        id: uuid::Uuid::from_bytes(bytes),
    }
}

/// Reads the metadata of a request: one entry a line, the name before the first colon.
pub fn metadata(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(64) {
        let Some(end) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..end]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[end + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    if let Err(violations) = metadata::timeout(&headers) {
        violations.iter().for_each(|violation| super::assert_printable(&violation.description));
    }
    let id = RequestId::of(&headers);
    assert!((1..=128).contains(&id.as_str().len()) && id.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    if let Some(parent) = Traceparent::of(&headers) {
        assert!(parent.trace != 0 && parent.span != 0);
    }
    for (role, is_open) in [(Role::Admin, true), (Role::Admin, false), (Role::Writer, false)] {
        let mut request = Request::new(());
        *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers.clone());
        request.extensions_mut().insert(Principal::anonymous(role, is_open));
        metadata::remaining_time(request.metadata());
        if let Ok(actor) = metadata::actor(&request) {
            super::assert_printable(&actor);
            assert!(is_open || actor.ends_with("anonymous"), "{actor}");
        }
    }
}
