//! The protocol of a request, which its content type names.

use tonic::codegen::http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

/// The content types that the port accepts.
pub const ACCEPTED: HeaderValue = HeaderValue::from_static(
    "application/json, application/proto, application/connect+json, application/connect+proto, application/grpc, \
     application/grpc+proto, application/grpc+json, application/grpc-web, application/grpc-web+proto, \
     application/grpc-web+json, application/grpc-web-text, application/grpc-web-text+proto",
);

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallProtocol {
    Grpc,
    GrpcWeb {
        /// True if the bodies are in base64.
        is_text: bool,
    },
    /// Connect with one message in each body.
    ConnectUnary,
    /// Connect with a message in each envelope.
    ConnectStream,
}

/// The encoding of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codec {
    Proto,
    Json,
    Other(String),
}

impl Codec {
    /// The codec of this name.
    pub fn of(name: &str) -> Self {
        match name {
            "proto" => Self::Proto,
            "json" => Self::Json,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name of the codec in content types.
    pub fn name(&self) -> &str {
        match self {
            Self::Proto => "proto",
            Self::Json => "json",
            Self::Other(name) => name,
        }
    }
}

/// The protocol and the encoding that the content type names. `None` for any other content type. Parameters are
/// ignored.
pub fn spoken(headers: &HeaderMap) -> Option<(CallProtocol, Codec)> {
    let sent = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/")?;
    match subtype {
        "json" => return Some((CallProtocol::ConnectUnary, Codec::Json)),
        "proto" => return Some((CallProtocol::ConnectUnary, Codec::Proto)),
        _ => {}
    }
    let (protocol, codec) = subtype.split_once('+').unwrap_or((subtype, "proto"));
    let protocol = match protocol {
        "grpc" => CallProtocol::Grpc,
        "grpc-web" => CallProtocol::GrpcWeb { is_text: false },
        "grpc-web-text" => CallProtocol::GrpcWeb { is_text: true },
        "connect" if subtype.contains('+') => CallProtocol::ConnectStream,
        _ => return None,
    };
    Some((protocol, Codec::of(codec)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_is_parsed_as_each_protocol_specifies() {
        let other = |name: &str| Codec::Other(name.to_owned());
        let web = |is_text| CallProtocol::GrpcWeb { is_text };
        for (content_type, expected) in [
            ("application/grpc", Some((CallProtocol::Grpc, Codec::Proto))),
            ("application/grpc+proto", Some((CallProtocol::Grpc, Codec::Proto))),
            ("Application/gRPC", Some((CallProtocol::Grpc, Codec::Proto))),
            ("application/grpc; charset=utf-8", Some((CallProtocol::Grpc, Codec::Proto))),
            ("application/grpc+proto;a=b", Some((CallProtocol::Grpc, Codec::Proto))),
            ("application/grpc+json", Some((CallProtocol::Grpc, Codec::Json))),
            ("application/grpc+thrift", Some((CallProtocol::Grpc, other("thrift")))),
            ("application/grpc-web", Some((web(false), Codec::Proto))),
            ("application/grpc-web+proto", Some((web(false), Codec::Proto))),
            ("application/grpc-web+json", Some((web(false), Codec::Json))),
            ("application/grpc-web-text", Some((web(true), Codec::Proto))),
            ("application/grpc-web-text+proto", Some((web(true), Codec::Proto))),
            ("application/json", Some((CallProtocol::ConnectUnary, Codec::Json))),
            ("application/json; charset=utf-8", Some((CallProtocol::ConnectUnary, Codec::Json))),
            ("application/proto", Some((CallProtocol::ConnectUnary, Codec::Proto))),
            ("application/connect+json", Some((CallProtocol::ConnectStream, Codec::Json))),
            ("application/connect+proto", Some((CallProtocol::ConnectStream, Codec::Proto))),
            ("application/connect+cbor", Some((CallProtocol::ConnectStream, other("cbor")))),
            ("application/connect", None),
            ("application/grpcx", None),
            ("application/x-www-form-urlencoded", None),
            ("text/plain", None),
            ("text/html", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(spoken(&headers), expected, "{content_type}");
        }
        assert_eq!(spoken(&HeaderMap::new()), None);
    }
}
