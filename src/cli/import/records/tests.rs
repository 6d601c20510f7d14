use std::collections::HashMap;

use tonic_types::ErrorDetails;

use super::*;
use crate::cli::import::reader::Location;

const ID: &str = "00000000-0000-7000-8000-000000000001";

fn parse(text: &str) -> Result<Option<Item>, String> {
    item(Location::default(), Ok(text.replace("ID", ID))).map_err(|fault| fault.text)
}

#[test]
fn item_has_the_name_of_its_record_and_a_report_has_the_key_of_its_meeting() {
    let report = r#"{"report":{"meeting":"meetings/ID","report":{"name":"reports/ID","account":{}}}}"#;
    let item = parse(report).expect("well formed").expect("a record");
    assert_eq!((item.kind, item.key), (RecordKind::Report, format!("meetings/{ID}")));
    assert_eq!(item.name, format!("reports/{ID}"));

    let article = r#"{"article":{"name":"articles/ID","uri":"urn:x"}}"#;
    let item = parse(article).expect("well formed").expect("a record");
    assert_eq!((item.kind, item.key), (RecordKind::Article, format!("articles/{ID}")));
}

#[test]
fn header_is_ignored_anywhere() {
    assert!(parse(r#"{"header":{"format":"readout.v1"}}"#).expect("well formed").is_none());
}

#[test]
fn item_without_a_name_of_its_collection_is_refused() {
    for line in [
        r#"{"article":{"uri":"urn:x"}}"#,
        r#"{"article":{"name":"articles/7","uri":"urn:x"}}"#,
        r#"{"participant":{"name":"articles/ID"}}"#,
        r#"{"report":{"meeting":"meetings/ID"}}"#,
    ] {
        assert!(parse(line).unwrap_err().starts_with("its name must be"), "{line}");
    }
    assert!(parse("{}").unwrap_err().starts_with("holds no record"));
}

#[tokio::test]
async fn outcome_compares_an_existing_record_and_fails_on_another_name() {
    let taken = |name: &str| {
        let metadata = HashMap::from([("name".to_owned(), name.to_owned())]);
        let details = ErrorDetails::with_error_info("DUPLICATE_ARTICLE", "readout.v1", metadata);
        Err::<(), _>(Status::with_error_details(Code::AlreadyExists, "taken", details))
    };
    let title = || Some("title".to_owned());
    let differs = RecordOutcome { difference: title(), ..Default::default() };
    assert_eq!(
        RecordOutcome::of("articles/1", taken("articles/1"), async || Ok(title())).await.expect("compared"),
        differs
    );
    let created = RecordOutcome { created: true, ..Default::default() };
    assert_eq!(RecordOutcome::of("articles/1", Ok(()), async || Ok(title())).await.expect("created"), created);
    let refused = RecordOutcome::of("articles/1", taken("articles/2"), async || Ok(None)).await;
    assert_eq!(refused.unwrap_err().code(), Code::AlreadyExists);
}
