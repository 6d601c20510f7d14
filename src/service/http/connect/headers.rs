//! The headers of Connect as those of gRPC, and back.

use tonic::{
    Status,
    codegen::http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{
            ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, EXPECT, HOST, TE,
            TRANSFER_ENCODING, UPGRADE,
        },
    },
};

use crate::{
    model::{rules::Violations, text::quoted::quoted},
    service::{error::ServiceError, http::GRPC},
};

const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
const STREAM_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const STREAM_ACCEPT: HeaderName = HeaderName::from_static("connect-accept-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Headers of a request that are of this hop, or that the conversion replaces.
const REPLACED: [HeaderName; 15] = [
    VERSION,
    TIMEOUT,
    STREAM_ENCODING,
    STREAM_ACCEPT,
    GRPC_TIMEOUT,
    GRPC_ENCODING,
    GRPC_ACCEPT,
    ACCEPT_ENCODING,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONNECTION,
    EXPECT,
    TRANSFER_ENCODING,
    UPGRADE,
    HOST,
];

/// The headers of a response by which gRPC describes the call itself.
const OF_GRPC: [&str; 5] =
    ["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "grpc-accept-encoding"];

/// Maximum digits of a timeout.
const MAX_TIMEOUT_DIGITS: usize = 10;

/// Converts the headers of a request. Those of a stream name the compression in other headers.
///
/// # Errors
/// The status of a request with another version of the protocol or a malformed timeout.
pub fn to_grpc(headers: &mut HeaderMap, is_stream: bool) -> Result<(), Status> {
    let version = headers.get(&VERSION).map(HeaderValue::as_bytes);
    if let Some(version) = version.filter(|version| *version != b"1") {
        let sent = quoted(&String::from_utf8_lossy(version));
        return Err(invalid(VERSION.as_str(), format!("must be 1, not {sent}")));
    }
    let timeout = headers.get(&TIMEOUT).map(grpc_timeout).transpose()?;
    let (encoding, accept) = match is_stream {
        true => (STREAM_ENCODING, STREAM_ACCEPT),
        false => (CONTENT_ENCODING, ACCEPT_ENCODING),
    };
    let encoding = headers.get(encoding).cloned();
    let accept = accepted(headers, &accept);
    for name in REPLACED {
        headers.remove(name);
    }
    for (name, value) in [(GRPC_TIMEOUT, timeout), (GRPC_ENCODING, encoding), (GRPC_ACCEPT, accept)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    as_grpc(headers);
    Ok(())
}

/// Adds the headers that every call of gRPC has.
pub fn as_grpc(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(TE, HeaderValue::from_static("trailers"));
}

/// A violation of a header.
pub fn invalid(name: &str, description: String) -> Status {
    let mut violations = Violations::default();
    violations.add(&crate::model::rules::Path::ROOT.field(name), description);
    ServiceError::from(violations).into()
}

/// Converts a timeout in milliseconds. gRPC has eight digits and units.
fn grpc_timeout(value: &HeaderValue) -> Result<HeaderValue, Status> {
    let text = value.to_str().unwrap_or_default();
    let is_number = (1..=MAX_TIMEOUT_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let timeout = text.parse::<u64>().ok().filter(|_| is_number).map(|milliseconds| match milliseconds {
        0..=99_999_999 => format!("{milliseconds}m"),
        _ => format!("{}S", milliseconds.div_ceil(1_000)),
    });
    timeout.and_then(|timeout| HeaderValue::try_from(timeout).ok()).ok_or_else(|| {
        let sent = quoted(&String::from_utf8_lossy(value.as_bytes()));
        let description = format!("must be up to {MAX_TIMEOUT_DIGITS} digits: milliseconds, as 1500, not {sent}");
        invalid(TIMEOUT.as_str(), description)
    })
}

/// The compressions of gRPC among those that the client accepts.
fn accepted(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let sent = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let mut accepted = Vec::new();
    for entry in sent {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        // A weight of zero refuses a compression (RFC 9110, 12.5.3).
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.and_then(|weight| weight.trim().parse::<f32>().ok()) == Some(0.0)
        });
        if !is_refused && matches!(name.as_str(), "gzip" | "zstd") && !accepted.contains(&name) {
            accepted.push(name);
        }
    }
    HeaderValue::try_from(accepted.join(",")).ok().filter(|value| !value.is_empty())
}

/// The headers of a unary response: those of the call, and its trailers with a prefix.
pub fn response_headers(headers: &HeaderMap, trailers: &HeaderMap) -> HeaderMap {
    let mut all = metadata(headers);
    for (name, value) in &metadata(trailers) {
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            all.append(name, value.clone());
        }
    }
    all
}

/// The headers without those that describe the call itself.
pub fn metadata(headers: &HeaderMap) -> HeaderMap {
    let is_kept =
        |name: &HeaderName| !OF_GRPC.contains(&name.as_str()) && ![CONTENT_TYPE, CONTENT_LENGTH, DATE].contains(name);
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    let mut metadata = HeaderMap::new();
    for (name, value) in kept {
        metadata.append(name.clone(), value.clone());
    }
    metadata
}

/// The compression that the response names.
pub fn encoding(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(GRPC_ENCODING).filter(|value| *value != "identity").cloned()
}

/// Names the compression of the messages of a stream.
pub fn set_stream_encoding(headers: &mut HeaderMap, encoding: HeaderValue) {
    headers.insert(STREAM_ENCODING, encoding);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(pairs: &[(&'static str, &str)], is_stream: bool) -> Result<HeaderMap, Status> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        to_grpc(&mut headers, is_stream).map(|()| headers)
    }

    #[test]
    fn timeout_in_milliseconds_becomes_one_of_grpc() {
        for (sent, expected) in [
            ("0", "0m"),
            ("1", "1m"),
            ("99999999", "99999999m"),
            ("100000000", "100000S"),
            ("100000001", "100001S"),
            ("9999999999", "10000000S"),
        ] {
            let headers = converted(&[("connect-timeout-ms", sent)], false).unwrap();
            assert_eq!(headers["grpc-timeout"], expected);
            assert!(!headers.contains_key("connect-timeout-ms"));
        }
        for wrong in ["", "-1", "1.5", "1s", "10000000000", "ten"] {
            let status = converted(&[("connect-timeout-ms", wrong)], false).unwrap_err();
            assert!(status.message().contains("connect-timeout-ms: must be up to 10 digits"), "{status}");
        }
    }

    #[test]
    fn compression_is_named_as_grpc_names_it() {
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", Some("gzip,zstd")),
            ("GZIP;q=0.5, zstd;q=0", Some("gzip")),
            ("gzip; q=0.000", None),
            ("br", None),
            ("*", None),
        ] {
            let headers = converted(&[("accept-encoding", accept)], false).unwrap();
            assert_eq!(headers.get("grpc-accept-encoding").map(|value| value.to_str().unwrap()), expected, "{accept}");
            let headers = converted(&[("connect-accept-encoding", accept)], true).unwrap();
            assert_eq!(headers.get("grpc-accept-encoding").map(|value| value.to_str().unwrap()), expected, "{accept}");
        }
        assert_eq!(converted(&[("content-encoding", "gzip")], false).unwrap()["grpc-encoding"], "gzip");
        assert_eq!(converted(&[("connect-content-encoding", "br")], true).unwrap()["grpc-encoding"], "br");
        assert!(!converted(&[("content-encoding", "gzip")], true).unwrap().contains_key("grpc-encoding"));
    }

    #[test]
    fn other_versions_of_the_protocol_are_refused() {
        assert!(converted(&[("connect-protocol-version", "1")], false).is_ok());
        let status = converted(&[("connect-protocol-version", "2")], false).unwrap_err();
        assert!(status.message().contains("connect-protocol-version: must be 1, not \"2\""), "{status}");
    }

    #[test]
    fn metadata_passes_and_trailers_get_a_prefix() {
        let headers = converted(&[("readout-actor", "a"), ("x-bin", "AAE"), ("te", "gzip"), ("host", "a")], true);
        let headers = headers.unwrap();
        assert_eq!(
            (headers["readout-actor"].clone(), headers["x-bin"].clone()),
            ("a".parse().unwrap(), "AAE".parse().unwrap())
        );
        assert_eq!((headers["te"].clone(), headers["content-type"].clone()), ("trailers".parse().unwrap(), GRPC));
        assert!(!headers.contains_key("host"));
        let trailers = HeaderMap::from_iter([
            (HeaderName::from_static("grpc-status"), "5".parse().unwrap()),
            (HeaderName::from_static("a"), "b".parse().unwrap()),
        ]);
        let all = response_headers(&headers, &trailers);
        assert_eq!(
            (all.get("trailer-a").unwrap(), all.contains_key("trailer-grpc-status")),
            (&"b".parse::<HeaderValue>().unwrap(), false)
        );
    }
}
