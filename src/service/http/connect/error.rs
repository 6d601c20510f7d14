//! Errors of Connect: the HTTP status and the JSON of a gRPC status.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use prost::Message;
use serde_json::{Map, Value, json};
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{self, HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
};

use super::headers::response_headers;
use crate::{json::from_wire, pb, service::http::once::Once};

/// The name and the HTTP status of a code (Connect protocol, Error Codes).
fn code_names(code: Code) -> (&'static str, StatusCode) {
    match code {
        // No error is OK. 499 is no status of a standard.
        Code::Cancelled => ("canceled", StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)),
        Code::Ok | Code::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
        Code::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
        Code::DeadlineExceeded => ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT),
        Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
        Code::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
        Code::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
        Code::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
        Code::FailedPrecondition => ("failed_precondition", StatusCode::BAD_REQUEST),
        Code::Aborted => ("aborted", StatusCode::CONFLICT),
        Code::OutOfRange => ("out_of_range", StatusCode::BAD_REQUEST),
        Code::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Code::DataLoss => ("data_loss", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
    }
}

/// The JSON of an error. Besides the fields of the protocol it has the reason, and each detail has its fields.
pub fn error_json(status: &Status) -> Value {
    let mut error = Map::new();
    error.insert("code".to_owned(), code_names(status.code()).0.into());
    error.insert("message".to_owned(), status.message().into());
    let details = tonic_types::pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    let details: Vec<Value> = details.iter().map(detail_json).collect();
    if let Some(reason) = details.iter().find_map(|detail| detail["debug"].get("reason")) {
        error.insert("reason".to_owned(), reason.clone());
    }
    if !details.is_empty() {
        error.insert("details".to_owned(), details.into());
    }
    Value::Object(error)
}

fn detail_json(detail: &prost_types::Any) -> Value {
    let name = detail.type_url.rsplit('/').next().unwrap_or_default();
    let mut json = json!({ "type": name, "value": BASE64_STANDARD_NO_PAD.encode(&detail.value) });
    let mut fields = Vec::new();
    if let Some(of) = pb::pool().get_message_by_name(name)
        && from_wire(&detail.value, &of, &mut fields).is_ok()
        && let Ok(debug) = serde_json::from_slice(&fields)
    {
        let debug: Value = debug;
        json["debug"] = debug;
    }
    json
}

/// The response for an error. `headers` and `trailers` are those of the call.
pub fn error_response(status: &Status, headers: &HeaderMap, trailers: &HeaderMap) -> http::Response<Body> {
    let mut response = http::Response::new(Body::new(Once::of(error_json(status).to_string())));
    *response.status_mut() = code_names(status.code()).1;
    *response.headers_mut() = response_headers(headers, trailers);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn error_has_its_code_message_reason_and_readable_details() {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "readout.v1", []);
        details.add_bad_request_violation("name", "is required");
        let status = Status::with_error_details(Code::InvalidArgument, "INVALID_FIELD: name: is required", details);
        let error = error_json(&status);
        assert_eq!(error["code"], "invalid_argument");
        assert_eq!(error["message"], "INVALID_FIELD: name: is required");
        assert_eq!(error["reason"], "INVALID_FIELD");
        assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
        assert_eq!(error["details"][0]["debug"], json!({"reason": "INVALID_FIELD", "domain": "readout.v1"}));
        let violations = json!({"fieldViolations": [{"field": "name", "description": "is required"}]});
        assert_eq!(error["details"][1]["debug"], violations);
        let value = error["details"][0]["value"].as_str().unwrap();
        assert!(!value.is_empty() && !value.ends_with('='));
    }

    #[test]
    fn error_without_details_has_its_code_and_message() {
        let error = error_json(&Status::new(Code::Unavailable, ""));
        assert_eq!(error, json!({"code": "unavailable", "message": ""}));
    }
}
