//! GET of Connect: the message and its encoding are in the query.

use percent_encoding::percent_decode_str;
use tonic::{
    Status,
    body::Body,
    codegen::http::{
        self, HeaderMap, HeaderValue, Method,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
};

use super::headers::invalid;
use crate::{
    json::to_bytes,
    model::text::quoted::quoted,
    service::http::{once::Once, protocol::Codec},
};

/// The parameters of a query.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    codec: Option<Codec>,
    message: Option<Vec<u8>>,
    compression: Option<String>,
}

/// Converts a request to the POST that it stands for.
///
/// # Errors
/// A parameter is missing, malformed or given twice.
pub fn to_post(request: http::Request<Body>) -> Result<(http::Request<Body>, Codec), Status> {
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let missing = |name: &str, what: &str| invalid(name, format!("is required in the query of GET: {what}"));
    let codec = query.codec.ok_or_else(|| missing("encoding", "json or proto"))?;
    let message = query.message.ok_or_else(|| missing("message", "the request message, such as %7B%7D"))?;
    let (mut head, _) = request.into_parts();
    head.method = Method::POST;
    let headers: &mut HeaderMap = &mut head.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.remove(CONTENT_ENCODING);
    if let Some(compression) = query.compression {
        let value = HeaderValue::try_from(&compression);
        headers.insert(CONTENT_ENCODING, value.map_err(|_| invalid("compression", not_one(&compression)))?);
    }
    Ok((http::Request::from_parts(head, Body::new(Once::of(message))), codec))
}

fn not_one(sent: &str) -> String {
    format!("must be gzip, zstd or identity, not {}", quoted(sent))
}

impl Query {
    fn parse(query: &str) -> Result<Self, Status> {
        let (mut version, mut encoding, mut message, mut is_base64, mut compression) = (None, None, None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "connect" => &mut version,
                "encoding" => &mut encoding,
                "message" => &mut message,
                "base64" => &mut is_base64,
                "compression" => &mut compression,
                // Such as one that makes a cached response another one.
                _ => continue,
            };
            if place.replace(decoded(value)).is_some() {
                return Err(invalid(name, "is given twice in the query".to_owned()));
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if let Some(version) = version.map(text).filter(|version| version != "v1") {
            return Err(invalid("connect", format!("must be v1, not {}", quoted(&version))));
        }
        let codec = match encoding.map(text).as_deref().map(Codec::of) {
            Some(Codec::Other(name)) => {
                return Err(invalid("encoding", format!("must be json or proto, not {}", quoted(&name))));
            }
            codec => codec,
        };
        let is_base64 = match is_base64.map(text).as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => return Err(invalid("base64", format!("must be 0 or 1, not {}", quoted(other)))),
        };
        let message = match message {
            Some(sent) if is_base64 => {
                let bytes = std::str::from_utf8(&sent).ok().and_then(to_bytes);
                Some(bytes.ok_or_else(|| invalid("message", "is not base64".to_owned()))?)
            }
            message => message,
        };
        Ok(Self { codec, message, compression: compression.map(text).filter(|name| name != "identity") })
    }
}

/// A value of a query. A plus sign stands for a space, as in forms.
fn decoded(value: &str) -> Vec<u8> {
    percent_decode_str(&value.replace('+', "%20")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_has_the_message_and_its_encoding() {
        let query = |codec, message: &[u8], compression: Option<&str>| {
            let compression = compression.map(str::to_owned);
            Query { codec: Some(codec), message: Some(message.to_vec()), compression }
        };
        for (text, expected) in [
            ("encoding=json&message=%7B%7D", query(Codec::Json, b"{}", None)),
            ("message={}&connect=v1&encoding=json&_=5", query(Codec::Json, b"{}", None)),
            ("encoding=json&message=%22a+b%2B%22", query(Codec::Json, b"\"a b+\"", None)),
            ("encoding=proto&message=%0A%01%FF", query(Codec::Proto, b"\x0a\x01\xff", None)),
            ("encoding=proto&base64=1&message=_-8", query(Codec::Proto, b"\xff\xef", None)),
            ("encoding=proto&base64=1&message=_-8%3D", query(Codec::Proto, b"\xff\xef", None)),
            ("encoding=proto&message=", query(Codec::Proto, b"", None)),
            ("encoding=json&message={}&compression=gzip", query(Codec::Json, b"{}", Some("gzip"))),
            ("encoding=json&message={}&compression=identity", query(Codec::Json, b"{}", None)),
        ] {
            assert_eq!(Query::parse(text).unwrap(), expected, "{text}");
        }
        for (text, expected) in [
            ("encoding=xml&message={}", "encoding: must be json or proto, not \"xml\""),
            ("encoding=json&encoding=json", "encoding: is given twice in the query"),
            ("encoding=json&message={}&connect=v2", "connect: must be v1"),
            ("encoding=proto&base64=yes&message=AA", "base64: must be 0 or 1"),
            ("encoding=proto&base64=1&message=%21", "message: is not base64"),
        ] {
            let status = Query::parse(text).unwrap_err();
            assert!(status.message().contains(expected), "{status}");
        }
    }
}
