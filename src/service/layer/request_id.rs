//! Request ids, by which a call is found in logs: the caller's, or a generated one.

use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// Maximum length of an id, in characters.
const MAX_ID_LENGTH: usize = 128;

/// The id of a call: visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The metadata key, in requests and responses.
    pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    /// The caller's id if it is well formed, else a generated one.
    pub fn of(headers: &HeaderMap) -> Self {
        let is_well_formed = |id: &&HeaderValue| {
            let bytes = id.as_bytes();
            (1..=MAX_ID_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        headers.get(Self::HEADER).filter(is_well_formed).map_or_else(Self::generate, |id| Self(id.clone()))
    }

    fn generate() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let id = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        // A UUID consists of digits, letters and hyphens: the conversion does not fail.
        Self(HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("-")))
    }

    /// The id as text.
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
    fn request_id_is_the_callers_if_well_formed_else_generated() {
        let of = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(RequestId::HEADER, HeaderValue::from_bytes(id).unwrap());
            RequestId::of(&headers)
        };
        for id in ["a", "job-7/3", &"x".repeat(MAX_ID_LENGTH)] {
            assert_eq!(of(id.as_bytes()).as_str(), id);
        }
        for id in [&b""[..], b"two words", "ü".as_bytes(), "x".repeat(MAX_ID_LENGTH + 1).as_bytes()] {
            assert!(Uuid::try_parse(of(id).as_str()).is_ok(), "{id:?}");
        }
        let generated = RequestId::of(&HeaderMap::new());
        assert_ne!(generated, RequestId::of(&HeaderMap::new()));
        assert_eq!(Uuid::try_parse(generated.as_str()).unwrap().get_version_num(), 7);
    }
}
