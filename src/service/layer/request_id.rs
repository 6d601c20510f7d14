//! The id by which a call is found in logs: its caller's, or one of ours.

use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// An id has at most so many characters.
const LONGEST: usize = 128;

/// The id of a call: visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The metadata that hold it, of requests and of their answers.
    pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    /// The caller's, if it is well formed.
    pub fn of(headers: &HeaderMap) -> Self {
        let is_fit = |id: &&HeaderValue| {
            let bytes = id.as_bytes();
            (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        headers.get(Self::HEADER).filter(is_fit).map_or_else(Self::make, |id| Self(id.clone()))
    }

    fn make() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let id = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        // Digits, letters and hyphens.
        Self(HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("-")))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl From<RequestId> for HeaderValue {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_id_is_kept_if_it_is_well_formed() {
        let of = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(RequestId::HEADER, HeaderValue::from_bytes(id).unwrap());
            RequestId::of(&headers)
        };
        for id in ["a", "job-7/3", &"x".repeat(LONGEST)] {
            assert_eq!(of(id.as_bytes()).as_str(), id);
        }
        for id in [&b""[..], b"two words", "ü".as_bytes(), "x".repeat(LONGEST + 1).as_bytes()] {
            assert!(Uuid::try_parse(of(id).as_str()).is_ok(), "{id:?}");
        }
        let ours = RequestId::of(&HeaderMap::new());
        assert_ne!(ours, RequestId::of(&HeaderMap::new()));
        assert_eq!(Uuid::try_parse(ours.as_str()).unwrap().get_version_num(), 7);
    }
}
