//! The OpenAPI document of the calls in JSON, made from the descriptors of the contract and their comments.

mod comments;
mod schemas;

use std::sync::LazyLock;

use prost_reflect::{MethodDescriptor, ServiceDescriptor};
use serde_json::{Map, Value, json};
use tonic::codegen::Bytes;

use self::{comments::comment, schemas::Schemas};
use super::rpc::Rpc;
use crate::pb;

/// The path of the document.
pub const PATH: &str = "/openapi.json";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The document as JSON.
pub fn text() -> Bytes {
    DOCUMENT.clone()
}

/// The document. A method has a path if its request is one message.
pub fn document() -> Value {
    let (mut schemas, mut paths, mut tags) = (Schemas::default(), Map::new(), Vec::new());
    for service in pb::pool().services().filter(|service| service.package_name() == "readout.v1") {
        tags.push(json!({ "name": service.name(), "description": service_comment(&service) }));
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let Some(rpc) = Rpc::of(&path).filter(|rpc| !rpc.receives_stream) else { continue };
            let mut operations = Map::new();
            operations.insert("post".to_owned(), post(&method, rpc, &mut schemas));
            if rpc.allows_get() {
                operations.insert("get".to_owned(), get(&method, &mut schemas));
            }
            paths.insert(path, operations.into());
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Readout",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": "Each method of the contract as a call of Connect in JSON. IngestStories sends and receives \
                            at the same time, and has no path here: call it with gRPC or Connect over HTTP/2.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "security": [{}, { "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "responses": { "Error": error_response() },
            "schemas": schemas.finish(),
        },
    })
}

fn service_comment(service: &ServiceDescriptor) -> String {
    comment(&service.parent_file(), service.path())
}

/// The parts that both operations of a method have.
fn operation(method: &MethodDescriptor, schemas: &mut Schemas, suffix: &str) -> Map<String, Value> {
    let service = method.parent_service();
    let description = comment(&method.parent_service().parent_file(), method.path());
    let summary = description.split_inclusive(". ").next().unwrap_or_default();
    let summary = summary.lines().next().unwrap_or_default().trim_end_matches([' ', '.']).to_owned();
    let is_stream = method.is_server_streaming();
    let content_type = if is_stream { "application/x-ndjson" } else { "application/json" };
    let of_answer = if is_stream { "A message on each line. The last line may be an error." } else { "The answer." };
    let operation = json!({
        "operationId": format!("{}_{}{suffix}", service.name(), method.name()),
        "summary": summary,
        "description": description,
        "tags": [service.name()],
        "responses": {
            "200": {
                "description": of_answer,
                "content": { content_type: { "schema": answer(method, schemas) } },
            },
            "default": { "$ref": "#/components/responses/Error" },
        },
    });
    match operation {
        Value::Object(operation) => operation,
        _ => Map::new(),
    }
}

fn answer(method: &MethodDescriptor, schemas: &mut Schemas) -> Value {
    let message = schemas.reference(&method.output());
    match method.is_server_streaming() {
        true => json!({ "anyOf": [message, { "$ref": "#/components/schemas/ErrorLine" }] }),
        false => message,
    }
}

fn timeout() -> Value {
    json!({
        "name": "connect-timeout-ms",
        "in": "header",
        "description": "Milliseconds that the caller waits for the answer.",
        "schema": { "type": "integer", "minimum": 0, "maximum": 9_999_999_999_u64 },
    })
}

fn post(method: &MethodDescriptor, _: &Rpc, schemas: &mut Schemas) -> Value {
    let mut operation = operation(method, schemas, "");
    operation.insert("parameters".to_owned(), json!([timeout()]));
    let schema = schemas.reference(&method.input());
    let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    operation.insert("requestBody".to_owned(), body);
    operation.into()
}

fn get(method: &MethodDescriptor, schemas: &mut Schemas) -> Value {
    let mut operation = operation(method, schemas, "_get");
    let schema = schemas.reference(&method.input());
    let parameters = json!([
        timeout(),
        { "name": "encoding", "in": "query", "required": true, "schema": { "const": "json" } },
        {
            "name": "message",
            "in": "query",
            "required": true,
            "description": "The request message.",
            "content": { "application/json": { "schema": schema } },
        },
    ]);
    operation.insert("parameters".to_owned(), parameters);
    operation.into()
}

fn error_response() -> Value {
    json!({
        "description": "The call failed. Its error has a code and a reason; those of a request that is no call are \
                        plain text.",
        "content": {
            "application/json": { "schema": { "$ref": "#/components/schemas/Error" } },
            "text/plain": { "schema": { "type": "string" } },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::service::method::Method;

    #[test]
    fn document_has_every_method_with_one_request_and_its_comment() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let expected: HashSet<&str> =
            Method::all().filter(|method| !method.sends_stream).map(|method| method.path.as_str()).collect();
        assert_eq!(paths.keys().map(String::as_str).collect::<HashSet<_>>(), expected);
        for (path, operations) in paths {
            let post = &operations["post"];
            assert!(!post["summary"].as_str().unwrap().is_empty(), "{path}");
            assert_eq!(operations.get("get").is_some(), Rpc::of(path).is_some_and(Rpc::allows_get), "{path}");
        }
        let watch = &paths["/readout.v1.ChangeService/WatchChanges"]["post"];
        assert!(watch["responses"]["200"]["content"].get("application/x-ndjson").is_some());
    }

    #[test]
    fn references_have_their_schemas() {
        let document = document();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let names = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        for name in names {
            assert!(schemas.contains_key(name), "{name}");
        }
        let article = &schemas["readout.v1.Article"];
        assert_eq!(article["additionalProperties"], false);
        assert_eq!(article["properties"]["revision"]["type"], "string");
        assert!(article["properties"]["uri"]["description"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(schemas["readout.v1.GetArticleRequest"]["required"], json!(["name"]));
    }
}
