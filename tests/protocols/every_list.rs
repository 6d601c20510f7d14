//! Every list and map of every request, with as many items as fit into a message of JSON.

use std::{collections::HashSet, time::Instant};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use readout::{
    model::rules::wire_limits::{self, MAX_ITEMS, RequestType},
    pb,
    service::message_form::from_json,
};
use tonic::Code;

use crate::support::allocations;

/// Maximum bytes of a request.
const MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// A list, and the text around its value.
struct List {
    path: String,
    before: String,
    after: String,
    field: FieldDescriptor,
}

/// Finds the lists of a message, each type once.
fn lists(of: &MessageDescriptor, outer: (&str, &str, &str), seen: &mut HashSet<String>, found: &mut Vec<List>) {
    if !seen.insert(of.full_name().to_owned()) || of.package_name() == "google.protobuf" {
        return;
    }
    let (path, before, after) = outer;
    for field in of.fields() {
        let path = format!("{path}.{}", field.name());
        let before = format!("{before}{{\"{}\":", field.json_name());
        let after = format!("}}{after}");
        if let (false, Kind::Message(inner)) = (field.is_map(), field.kind()) {
            let (open, close) = if field.is_list() { ("[", "]") } else { ("", "") };
            let (before, after) = (format!("{before}{open}"), format!("{close}{after}"));
            lists(&inner, (&path, &before, &after), seen, found);
        }
        if field.is_list() || field.is_map() {
            found.push(List { path, before, after, field });
        }
    }
}

impl List {
    /// A message with this number of items.
    fn json(&self, items: usize) -> String {
        let kind = self.field.kind();
        let value = if self.field.is_map() {
            let pairs: Vec<String> = (0..items).map(|index| format!("\"{index}\":\"\"")).collect();
            format!("{{{}}}", pairs.join(","))
        } else {
            let item = match kind {
                Kind::Message(of) if of.full_name() == "google.protobuf.Value" => "0",
                Kind::Message(_) => "{}",
                Kind::String | Kind::Bytes => "\"\"",
                Kind::Bool => "true",
                _ => "0",
            };
            format!("[{}]", vec![item; items].join(","))
        };
        format!("{}{value}{}", self.before, self.after)
    }

    fn bytes_of_item(&self) -> usize {
        if self.field.is_map() { 11 } else { 3 }
    }
}

#[test]
fn list_of_json_is_refused_before_it_takes_memory() {
    let services = pb::pool().services().filter(|service| service.package_name() == "readout.v1");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let (mut count, mut seen) = (0, HashSet::new());
    for request in methods.map(|method| method.input()) {
        if !seen.insert(request.full_name().to_owned()) {
            continue;
        }
        let mut found = Vec::new();
        lists(&request, ("", "", ""), &mut HashSet::new(), &mut found);
        let of = RequestType::of(&request).expect("a request");
        for list in found {
            count += 1;
            // As many as there may be in all lists: the check of the wire format knows the limit of this list.
            let json = list.json(MAX_ITEMS - 100);
            let wire = from_json(json.as_bytes(), &request).unwrap_or_else(|status| panic!("{}: {status}", list.path));
            let _ = wire_limits::check(of, &[&wire]);
            let json = list.json(MAX_ITEMS + 1);
            let status = from_json(json.as_bytes(), &request).expect_err(&list.path);
            assert_eq!(status.code(), Code::ResourceExhausted, "{}: {status}", list.path);
            // As many as fit into a request.
            let json = list.json(MESSAGE_BYTES / list.bytes_of_item());
            let started = Instant::now();
            let peak = allocations::peak(|| {
                from_json(json.as_bytes(), &request).expect_err(&list.path);
            });
            assert!(peak <= MESSAGE_BYTES, "{}: {peak} bytes", list.path);
            assert!(started.elapsed().as_secs() < 2, "{}: {:?}", list.path, started.elapsed());
        }
    }
    assert!(count > 100, "{count} lists");
}
