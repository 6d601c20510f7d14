use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor};

use super::*;
use crate::pb;

fn descriptor(name: &str) -> MessageDescriptor {
    pb::pool().get_message_by_name(name).expect("a message of the contract")
}

fn printed(name: &str, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    from_wire(bytes, &descriptor(name), &mut out).expect("a message");
    String::from_utf8(out).expect("text")
}

fn wire(name: &str, json: &str) -> Result<Vec<u8>, Fault> {
    to_wire(json.as_bytes(), &descriptor(name), JsonLimits::NONE)
}

fn mismatch_of(json: &str) -> String {
    let story = wire("readout.v1.Story", json);
    story.expect_err(json).to_string()
}

#[test]
fn mismatch_has_its_path_its_value_and_advice() {
    for (json, expected) in [
        (r#"{"article":{"titel":"x"}}"#, "article.titel is not a field of Article: title is the nearest"),
        (
            r#"{"article":{"language-code":"x"}}"#,
            "article.\"language-code\" is not a field of Article: languageCode is the nearest",
        ),
        (r#"{"artikel":{}}"#, "artikel is not a field of Story: article is the nearest"),
        (r#"{"weather":"fine"}"#, "weather is not a field of Story"),
        (
            r#"{"extractor":{"kind":"ROBOT"}}"#,
            "extractor.kind must be a value of Extractor.Kind (HUMAN, MODEL, RULES, IMPORT, …), not \"ROBOT\"",
        ),
        (
            r#"{"extractor":{"kind":"humann"}}"#,
            "extractor.kind must be a value of Extractor.Kind, not \"humann\": HUMAN is the nearest",
        ),
        (r#"{"extractor":{"kind":true}}"#, "extractor.kind must be the name of a value, not true"),
        (r#"{"extractor":{"confidence":"high"}}"#, "extractor.confidence must be a number, not \"high\""),
        (r#"{"article":{"uri":5}}"#, "article.uri must be a string, not 5"),
        (r#"{"article":"urn:x"}"#, "article must be an object, not \"urn:x\""),
        (r#"{"reports":{"key":"a"}}"#, "reports must be a list, not {\"key\":\"a\"}"),
        (r#"{"reports":[{"account":{"topics":["a",1]}}]}"#, "reports[0].account.topics[1] must be a string, not 1"),
        (r#"{"article":{"labels":{"a":1}}}"#, "article.labels[\"a\"] must be a string, not 1"),
        (r#"{"article":{"labels":["a"]}}"#, "article.labels must be an object of keys and values, not [\"a\"]"),
        (
            r#"{"article":{"publishDate":{"year":"MMXX"}}}"#,
            "article.publishDate.year must be a whole number, not \"MMXX\"",
        ),
        (
            r#"{"article":{"publishDate":{"year":2020.5}}}"#,
            "article.publishDate.year must be a whole number, not 2020.5",
        ),
        (
            r#"{"article":{"publishDate":{"year":99999999999}}}"#,
            "article.publishDate.year must be a whole number from -2147483648 to 2147483647, not 99999999999",
        ),
        (r#"{"article":{"publishDate":"2020-09-04"}}"#, "article.publishDate must be an object, not \"2020-09-04\""),
    ] {
        assert_eq!(mismatch_of(json), expected, "{json}");
    }
}

#[test]
fn mismatch_names_the_fault_of_a_time() {
    for (time, why) in [
        ("2016-12-31T23:59:60Z", "has a leap second"),
        ("2016-12-31T23:59:60.500+02:00", "has a leap second"),
        ("2020-09-04T12:00:00", "has no time zone"),
        ("2020-09-04", "is a day without a time"),
        ("2020-09-04 12:00:00Z", "must have T before its time"),
        ("2020-09-04t12:00:00z", "must have T before its time"),
        ("2020-02-30T12:00:00Z", "not in the calendar"),
        ("yesterday", "must begin with its day"),
    ] {
        let mismatch = mismatch_of(&format!(r#"{{"article":{{"publishTime":"{time}"}}}}"#));
        assert!(mismatch.starts_with("article.publishTime ") && mismatch.contains(why), "{mismatch}");
        assert!(mismatch.ends_with(&format!("sent was \"{time}\"")), "{mismatch}");
    }
    assert_eq!(
        mismatch_of(r#"{"article":{"publishTime":5}}"#),
        "article.publishTime must be a time as a string, not 5"
    );
}

#[test]
fn mismatch_cuts_a_long_value() {
    let mismatch = mismatch_of(&format!(r#"{{"article":{{"publishDate":"{}"}}}}"#, "é".repeat(9_000)));
    assert!(mismatch.chars().count() < 120, "{mismatch}");
}

#[test]
fn fields_have_both_names_and_enums_both_forms() {
    let written = |json: &str| wire("readout.v1.Story", json).unwrap();
    let json = r#"{"article":{"languageCode":"en","textRights":"FULL_TEXT"},"extractor":{"confidence":"0.5"}}"#;
    let proto = r#"{"extractor":{"confidence":0.5},"article":{"text_rights":3,"language_code":"en"}}"#;
    let [json, proto] = [json, proto].map(|text| pb::Story::decode(written(text).as_slice()).unwrap());
    assert_eq!(json.article.as_ref().map(|article| article.language_code.as_str()), Some("en"));
    assert_eq!(json.extractor, proto.extractor);
    let article = |text: &str| pb::Article::decode(wire("readout.v1.Article", text).unwrap().as_slice()).unwrap();
    let number = pb::article::TextRights::FullText as i32;
    assert_eq!(article(r#"{"textRights":"FULL_TEXT"}"#), article(&format!(r#"{{"text_rights":{number}}}"#)));
    for revision in ["9007199254740993", "\"9007199254740993\""] {
        assert_eq!(article(&format!(r#"{{"revision":{revision}}}"#)).revision, 9_007_199_254_740_993);
    }
}

#[test]
fn mismatch_names_fields_that_are_given_twice_or_exclude_each_other() {
    for (name, json, expected) in [
        ("readout.v1.Article", r#"{"uri":"a","uri":"b"}"#, "uri is given twice"),
        ("readout.v1.Article", r#"{"languageCode":"a","language_code":"b"}"#, "languageCode is given twice"),
        ("readout.v1.Article", r#"{"labels":{"a":"b","a":"c"}}"#, "labels[\"a\"] is given twice"),
        ("readout.v1.WatchChangesRequest", r#"{"cursor":"a","after":"1"}"#, "must have only one of cursor, after"),
    ] {
        let fault = wire(name, json).expect_err(json).to_string();
        assert!(fault.contains(expected), "{fault}");
    }
    assert!(wire("readout.v1.Article", r#"{"uri":null,"uri":"b"}"#).is_ok());
}

#[test]
fn malformed_json_has_its_place() {
    for (json, expected) in [
        ("", "EOF while parsing a value, column 0"),
        ("{", "EOF while parsing an object, column 1"),
        (r#"{"uri":}"#, "expected value, column 8"),
        ("{\n  \"uri\": \"a\",\n}", "trailing comma at line 3 column 1"),
        ("{} {}", "trailing characters, column 4"),
        ("[]", "must be an object, not []"),
        ("5", "must be an object, not 5"),
        ("null", "must be an object, not null"),
    ] {
        assert_eq!(wire("readout.v1.Article", json).expect_err(json).to_string(), expected, "{json}");
    }
    let invalid = to_wire(b"{\"uri\":\"\xff\"}", &descriptor("readout.v1.Article"), JsonLimits::NONE);
    assert!(invalid.unwrap_err().to_string().contains("invalid unicode"));
}

/// Items are counted before anything is made of them.
#[test]
fn limits_end_the_conversion() {
    let of = descriptor("readout.v1.Story");
    let story = |items: usize| format!(r#"{{"reports":[{}]}}"#, vec!["{}"; items].join(","));
    let limits = JsonLimits { bytes: 100, items: 10 };
    assert!(to_wire(story(10).as_bytes(), &of, limits).is_ok());
    assert_eq!(to_wire(story(11).as_bytes(), &of, limits), Err(Fault::TooManyItems));
    // The rest is not even read.
    assert_eq!(to_wire(format!("{}{{", story(11)).as_bytes(), &of, limits), Err(Fault::TooManyItems));
    let article = |letters: usize| format!(r#"{{"article":{{"title":"{}"}}}}"#, "x".repeat(letters));
    assert_eq!(to_wire(article(96).as_bytes(), &of, limits).map(|bytes| bytes.len()), Ok(100));
    assert_eq!(to_wire(article(97).as_bytes(), &of, limits), Err(Fault::TooLarge));
    let nested = format!("{}{}", r#"{"article":"#.repeat(10_000), "}".repeat(10_000));
    assert!(to_wire(nested.as_bytes(), &of, JsonLimits::NONE).is_err());
    let values = format!(r#"{{"values":[{{"value":{}}}]}}"#, "[".repeat(100_000));
    let nested = to_wire(values.as_bytes(), &descriptor("readout.v1.Dispute"), JsonLimits::NONE);
    assert!(nested.unwrap_err().to_string().contains("nested more than 30 levels deep"));
}

#[test]
fn part_of_any_length_is_written_and_read() {
    for letters in [0, 1, 123, 124, 125, 126, 127, 128, 129, 16_379, 16_380, 16_384, 3_000_000] {
        let json = format!(r#"{{"article":{{"title":"{}"}}}}"#, "é".repeat(letters));
        let bytes = wire("readout.v1.Story", &json).unwrap();
        let story = pb::Story::decode(bytes.as_slice()).unwrap();
        assert_eq!(story.article.as_ref().map(|article| article.title.chars().count()), Some(letters));
        assert_eq!(story.encoded_len() + usize::from(letters == 0) * 2, bytes.len());
    }
}

#[test]
fn values_of_any_type_survive() {
    let json = r#"{"values":[{"value":{"a":[1.0,null,"x",{"b":true}],"c":-2.5}},{"value":null},{"value":"é"}]}"#;
    let bytes = wire("readout.v1.Dispute", json).unwrap();
    assert_eq!(printed("readout.v1.Dispute", &bytes), json);
    let reference = DynamicMessage::decode(descriptor("readout.v1.Dispute"), bytes.as_slice()).unwrap();
    let reference = serde_json::to_value(&reference).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(json).unwrap(), reference);
}

#[test]
fn mask_has_json_names() {
    let json = r#"{"updateMask":"article.languageCode,labels.`someKey_x`"}"#;
    let name = "readout.v1.UpdateArticleRequest";
    let bytes = wire(name, json).unwrap();
    let request = pb::UpdateArticleRequest::decode(bytes.as_slice()).unwrap();
    assert_eq!(request.update_mask.unwrap().paths, ["article.language_code", "labels.`someKey_x`"]);
    assert_eq!(printed(name, &bytes), json);
    let empty = wire(name, r#"{"updateMask":""}"#).unwrap();
    assert_eq!(pb::UpdateArticleRequest::decode(empty.as_slice()).unwrap().update_mask, Some(Default::default()));
}

#[test]
fn status_is_printed_with_its_details() {
    use tonic_types::StatusExt;
    let mut details = tonic_types::ErrorDetails::with_error_info("A_REASON", "readout.v1", [("a".into(), "b".into())]);
    details.set_retry_info(Some(std::time::Duration::from_millis(1_500)));
    let status = tonic::Status::with_error_details(tonic::Code::NotFound, "text", details);
    assert_eq!(
        printed("google.rpc.Status", status.details()),
        concat!(
            r#"{"code":5,"message":"text","details":["#,
            r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500000000s"},"#,
            r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","#,
            r#""reason":"A_REASON","domain":"readout.v1","metadata":{"a":"b"}}]}"#
        )
    );
}

/// A message with every field set, or with every other one.
fn filled(of: &MessageDescriptor, depth: usize, odd: bool) -> DynamicMessage {
    use prost_reflect::{MapKey, Value};
    let mut message = DynamicMessage::new(of.clone());
    if of.package_name() == "google.protobuf" {
        match of.name() {
            "Timestamp" => message.set_field_by_name("seconds", Value::I64(1_599_220_800)),
            "FieldMask" => message.set_field_by_name("paths", Value::List(vec![Value::String("a_b.c".into())])),
            "Value" => message.set_field_by_name("string_value", Value::String("x".into())),
            _ => {}
        }
        return message;
    }
    let value = |kind: &Kind| match kind {
        Kind::Message(of) => Value::Message(filled(of, depth + 1, odd)),
        Kind::String => Value::String("a\"é\u{1}".into()),
        Kind::Bytes => Value::Bytes(vec![0, 255, 62, 63].into()),
        Kind::Bool => Value::Bool(true),
        Kind::Enum(of) => Value::EnumNumber(of.values().last().map_or(0, |value| value.number())),
        Kind::Int32 => Value::I32(-5),
        Kind::Int64 => Value::I64(i64::MIN),
        Kind::Float => Value::F32(0.5),
        Kind::Double => Value::F64(-2.5e300),
        kind => panic!("{kind:?}: add a value"),
    };
    for (index, field) in of.fields().enumerate() {
        let kind = field.kind();
        // Only answers have details of any type.
        let is_any = matches!(&kind, Kind::Message(of) if of.full_name() == "google.protobuf.Any");
        if is_any || depth > 4 || (odd && index % 2 == 0) {
            continue;
        }
        let value = match (field.is_map(), field.is_list()) {
            (true, _) => {
                let Kind::Message(entry) = &kind else { unreachable!("a map has entries") };
                let value = value(&entry.map_entry_value_field().kind());
                Value::Map([(MapKey::String("k".into()), value)].into())
            }
            (_, true) => Value::List(vec![value(&kind), value(&kind)]),
            _ => value(&kind),
        };
        message.set_field(&field, value);
    }
    message
}

/// The reference is prost-reflect, which makes messages.
#[test]
fn every_message_of_the_contract_is_converted_as_the_reference_converts_it() {
    let pool: &DescriptorPool = pb::pool();
    let mut seen = 0;
    for of in pool.all_messages().filter(|of| of.package_name() == "readout.v1" && !of.is_map_entry()) {
        for odd in [false, true] {
            let message = filled(&of, 0, odd);
            let bytes = message.encode_to_vec();
            let json = printed(of.full_name(), &bytes);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(value, serde_json::to_value(&message).unwrap(), "{}", of.full_name());
            let back =
                to_wire(json.as_bytes(), &of, JsonLimits::NONE).unwrap_or_else(|fault| panic!("{fault}: {json}"));
            assert_eq!(DynamicMessage::decode(of.clone(), back.as_slice()).unwrap(), message, "{}", of.full_name());
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn bytes_that_are_no_message_are_an_error() {
    let of = descriptor("readout.v1.Story");
    for bytes in [&[0x0a][..], &[0x0a, 5, 1], &[0xff; 11], &[0x0b], &[0x08, 1]] {
        assert_eq!(from_wire(bytes, &of, &mut Vec::new()), Err(Malformed), "{bytes:?}");
    }
}
