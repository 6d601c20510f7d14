//! `readout import --edition` lists the records that a later edition of a register does not have.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::tempdir;

use super::import_dry_run::import_with;
use crate::support::Service;

/// A line with a person, on a page of its own.
fn line(number: u32) -> String {
    let ids = |value: &str| json!([{"scheme": "register", "value": value}]);
    let person =
        json!({"kind": "PERSON", "displayName": format!("Person {number}"), "externalIds": ids(&format!("p{number}"))});
    json!({
        "article": {"uri": format!("urn:{number}"), "externalIds": ids(&format!("a{number}"))},
        "participants": [{"key": "p", "participant": person}],
    })
    .to_string()
}

/// A line with a meeting.
fn meeting(number: u32) -> String {
    let account = json!({
        "kind": "VISIT", "status": "HELD", "title": format!("Visit {number}"),
        "externalIds": [
            {"scheme": "other", "value": format!("o{number}")}, {"scheme": "register", "value": format!("m{number}")},
        ],
    });
    json!({"article": {"uri": format!("urn:{number}")}, "reports": [{"key": "r", "account": account}]}).to_string()
}

async fn import_edition(service: &Service, file: &Path, lines: &[String]) -> (Option<i32>, Vec<Value>, String) {
    fs::write(file, lines.join("\n")).unwrap();
    let ran = import_with(service, &["--edition", "register"], &[file]).await;
    let lines = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (ran.code, lines, ran.stderr)
}

#[tokio::test]
async fn edition_lists_the_records_that_the_files_no_longer_have_and_retracts_none() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("register");
    let (code, lines, said) = import_edition(&service, &file, &[line(1), line(2), line(3)]).await;
    assert_eq!(
        (code, lines.len(), said.as_str()),
        (Some(0), 1, "edition register: 0 of 6 records are not in the files\n")
    );

    for _ in 0..2 {
        let (code, lines, said) = import_edition(&service, &file, &[line(1), line(4), line(3)]).await;
        assert_eq!((code, lines.len()), (Some(0), 3));
        assert_eq!(said, "edition register: 2 of 8 records are not in the files\n");
        let absent = |index: usize| {
            let absent = &lines[index]["absent"];
            (absent["label"].as_str().unwrap(), absent["externalId"]["value"].as_str().unwrap())
        };
        assert_eq!((absent(0), absent(1)), (("Person 2", "p2"), ("urn:2", "a2")));
        assert_eq!(lines[2]["stories"], 3, "the totals are the last line");
        assert!(lines[0]["absent"]["name"].as_str().unwrap().starts_with("participants/"));
    }

    // A line that cannot be read may have any id.
    let (code, lines, said) = import_edition(&service, &file, &[line(1), "{".to_owned()]).await;
    assert_eq!((code, lines.len()), (Some(1), 1));
    assert!(said.contains("1 messages could not be read: their external ids are unknown"), "{said}");
}

#[tokio::test]
async fn edition_lists_the_meetings_that_the_files_no_longer_have() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("register");
    let without_id = meeting(5).replace("\"register\"", "\"third\"");
    let (code, lines, said) =
        import_edition(&service, &file, &[meeting(1), meeting(2), line(3), without_id.clone()]).await;
    assert_eq!((code, lines.len()), (Some(0), 1), "{said}");
    assert_eq!(said, "edition register: 0 of 4 records are not in the files\n");
    let (_, lines, said) = import_edition(&service, &file, &[meeting(1), line(3), without_id]).await;
    assert_eq!(said, "edition register: 1 of 4 records are not in the files\n");
    let absent = &lines[0]["absent"];
    assert_eq!((&absent["label"], &absent["externalId"]["value"]), (&json!("Visit 2"), &json!("m2")));
    assert!(absent["name"].as_str().unwrap().starts_with("meetings/"));
}

#[tokio::test]
async fn edition_with_a_malformed_scheme_is_refused() {
    let service = Service::start().await;
    for scheme in ["", "Wikidata", "a b", "-a", &"a".repeat(65)] {
        let ran = import_with(&service, &[&format!("--edition={scheme}")], &[Path::new("-")]).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("--edition") && ran.stderr.contains("lower-case"), "{ran:?}");
    }
}
