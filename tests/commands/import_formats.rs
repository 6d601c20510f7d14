//! `readout import --format`: the output of extractors becomes stories.

use std::{fs, path::Path};

use readout::{
    cli::json,
    pb::{Account, Evidence, Story},
};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{
    Service,
    make::ingest,
    program::{Ran, run},
};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/extractions");

fn sample(name: &str) -> String {
    fs::read_to_string(format!("{SAMPLES}/{name}")).unwrap()
}

/// Imports a file in a format. `options` are further arguments.
async fn import(service: &Service, format: &str, file: &Path, options: &[&str]) -> Ran {
    let address = service.address.to_string();
    let articles = format!("{SAMPLES}/articles.json");
    let fixed = ["import", "--server", &address, "--format", format, "--articles", &articles, file.to_str().unwrap()];
    run(fixed.iter().chain(options).copied()).await
}

/// The settled account of the only meeting, without the ids that differ between services, and its evidence.
async fn only_meeting(service: &Service) -> (Account, Vec<Evidence>) {
    let contents = service.contents().await;
    assert_eq!((contents.articles.len(), contents.meetings.len(), contents.reports.len()), (1, 1, 1));
    assert_eq!(contents.participants.len(), 2);
    let mut account = contents.meetings[0].account.clone().unwrap();
    for participation in &mut account.participations {
        assert!(participation.participant.starts_with("participants/"), "{participation:?}");
        (participation.id, participation.participant) = Default::default();
    }
    account.participations.sort_by(|left, right| left.name_as_written.cmp(&right.name_as_written));
    let report = contents.reports[0].account.clone().unwrap();
    account.statements = report.statements;
    let mut evidence = contents.reports[0].evidence.clone();
    evidence.sort_by_key(|cited| cited.start);
    for cited in &mut evidence {
        // The order of participations is that of the format.
        let is_name = cited.field.starts_with("participations[");
        cited.field = if is_name { "name".into() } else { cited.field.clone() };
    }
    (account, evidence)
}

#[tokio::test]
async fn each_sample_ends_as_the_meeting_of_its_story() {
    let service = Service::start().await;
    let story: Story = json::parse("readout.v1.Story", &sample("story.json")).unwrap();
    service.ingest.clone().ingest_story(ingest(story)).await.unwrap();
    let expected = only_meeting(&service).await;
    assert_eq!(expected.1.len(), 6);
    for (format, file, warnings) in [
        ("langextract", "langextract.jsonl", 0),
        ("instructor", "instructor.json", 0),
        // The line before the list.
        ("citations", "citations.json", 1),
        ("web-annotations", "web-annotations.jsonld", 0),
    ] {
        let service = Service::start().await;
        let file = Path::new(SAMPLES).join(file);
        let ran = import(&service, format, &file, &[]).await;
        assert_eq!(ran.code, Some(0), "{format}: {ran:?}");
        assert_eq!(ran.stderr.matches("warning").count(), warnings, "{format}: {ran:?}");
        assert_eq!(only_meeting(&service).await, expected, "{format}");
        let again = import(&service, format, &file, &[]).await;
        assert!(again.stderr.contains(" 0 created, 5 matched, 0 failed"), "{format}: {again:?}");
    }
}

#[tokio::test]
async fn wrong_extractions_fail_with_their_line_and_path() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let document: Value = serde_json::from_str(&sample("langextract.jsonl")).unwrap();
    let page: Value = serde_json::from_str(&sample("web-annotations.jsonld")).unwrap();
    let citations: Value = serde_json::from_str(&sample("citations.json")).unwrap();
    let instructor: Value = serde_json::from_str(&sample("instructor.json")).unwrap();
    let changed = |of: &Value, pointer: &str, value: Value| {
        let mut changed = of.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        changed.to_string()
    };
    for (format, line, message) in [
        ("langextract", "{\"text\": }".to_owned(), "malformed JSON in line 2"),
        (
            "langextract",
            changed(&document, "/extractions/0/extraction_class", json!("particpant")),
            "extractions[0].extraction_class must be one of meeting, participant, date, place, statement, outcome, not \"particpant\"; did you mean \"participant\"?",
        ),
        (
            "langextract",
            changed(&document, "/extractions/0/attributes/roles", json!(["BOSS"])),
            "extractions[0].attributes.roles must be one of",
        ),
        (
            "langextract",
            changed(&document, "/extractions/0/attributes", json!({"rolls": "HOST"})),
            "extractions[0].attributes.rolls is not a field of Participation; did you mean \"roles\"?",
        ),
        (
            "langextract",
            changed(&document, "/extractions/0/char_interval/start_pos", json!(3)),
            "extractions[0].char_interval has the words",
        ),
        (
            "langextract",
            changed(&document, "/extractions/0/char_interval/end_pos", json!(3000)),
            "extractions[0].char_interval has the offset 3000, and the text ends at 119",
        ),
        ("langextract", changed(&document, "/extractions/5/extraction_text", json!("Our trust")), "EVIDENCE_NOT_FOUND"),
        ("langextract", changed(&document, "/document_id", json!("doc_1a2b")), ""),
        (
            "langextract",
            changed(&document, "/text", json!("Another text.")),
            "text differs from the text of the article",
        ),
        ("web-annotations", changed(&page, "/items/1/target", Value::Null), "items[1].target is required"),
        (
            "web-annotations",
            changed(&page, "/items/1/target", json!("https://example.org/2020/talks-in-baku")),
            "items[1].target must have a source and a selector",
        ),
        (
            "web-annotations",
            changed(&page, "/items/1/target/source", json!("urn:unknown")),
            "urn:unknown: is not among the articles",
        ),
        (
            "web-annotations",
            changed(&page, "/items/1/body/0/value", json!("medication")),
            "items[1].body[0].value must be one of",
        ),
        ("web-annotations", changed(&page, "/items/1/body", json!([])), "items[1].body has no tag that is a class"),
        (
            "citations",
            changed(&citations, "/content/1/citations/0/document_index", json!(1)),
            "content[1].citations[0] has the document 1, and --articles has 1 articles",
        ),
        (
            "citations",
            changed(&citations, "/content/1/citations/0/type", json!("web_search_result_location")),
            "content[1].citations[0].type must be the location in a document",
        ),
        (
            "citations",
            changed(&citations, "/content/2/text", json!("\nparticpant: ")),
            "line 4 of the answer must be one of",
        ),
        (
            "instructor",
            changed(&instructor, "/meetings/0/participants/0/substring_quotes", json!(["Nobody"])),
            "EVIDENCE_NOT_FOUND",
        ),
        (
            "instructor",
            changed(&instructor, "/meetings/0/place", json!("Baku")),
            "meetings[0].place must name a field of Place",
        ),
    ] {
        fs::write(&file, format!("\n{line}\n")).unwrap();
        let ran = import(&service, format, &file, &[]).await;
        if message.is_empty() {
            // An id that LangExtract made: the only article of --articles is meant.
            assert_eq!(ran.code, Some(0), "{ran:?}");
            continue;
        }
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        let at = format!("{}:2: ", file.display());
        assert!(ran.stderr.lines().any(|line| line.starts_with(&at) && line.contains(message)), "{message}: {ran:?}");
    }
    // The accepted one, and the annotations that keep their source when another one gets a source of its own.
    assert_eq!(service.contents().await.reports.len(), 2);
}

#[tokio::test]
async fn offsets_count_in_the_unit_of_the_extractor() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    // In UTF-16 the first letter of the text has two units.
    let document = |shift: i64, start: Option<i64>| {
        let mut document: Value = serde_json::from_str(&sample("langextract.jsonl")).unwrap();
        for extraction in document["extractions"].as_array_mut().unwrap() {
            for key in ["start_pos", "end_pos"] {
                if let Some(offset) = extraction["char_interval"][key].as_i64() {
                    extraction["char_interval"][key] = (offset + shift).into();
                }
            }
        }
        if let Some(start) = start {
            document["extractions"][0]["char_interval"]["start_pos"] = start.into();
        }
        document.to_string()
    };
    let service = Service::start().await;
    fs::write(&file, document(1, None)).unwrap();
    let ran = import(&service, "langextract", &file, &["--offset-unit", "utf16"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    only_meeting(&service).await;
    fs::write(&file, document(1, Some(1))).unwrap();
    let ran = import(&service, "langextract", &file, &["--offset-unit", "utf16"]).await;
    assert!(ran.stderr.contains("char_interval has the offset 1, which is within a surrogate pair"), "{ran:?}");
    fs::write(&file, document(3, Some(2))).unwrap();
    let ran = import(&service, "langextract", &file, &["--offset-unit", "byte"]).await;
    assert!(ran.stderr.contains("char_interval has the offset 2, which is within a code point"), "{ran:?}");
}

#[tokio::test]
async fn annotations_of_one_article_are_one_story_in_any_file() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let page: Value = serde_json::from_str(&sample("web-annotations.jsonld")).unwrap();
    let items = page["items"].as_array().unwrap();
    let lines: Vec<String> = items.iter().map(Value::to_string).collect();
    let collection = json!({"type": "AnnotationCollection", "label": "Talks", "first": page});
    for content in [lines.join("\n"), page["items"].to_string(), collection.to_string()] {
        let service = Service::start().await;
        fs::write(&file, content).unwrap();
        let ran = import(&service, "web-annotations", &file, &[]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        only_meeting(&service).await;
    }
    // A refused annotation refuses the story of its article: a report is never edited.
    let service = Service::start().await;
    let mut wrong = items.clone();
    wrong[2]["body"] = json!([]);
    let lines: Vec<String> = wrong.iter().map(Value::to_string).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let ran = import(&service, "web-annotations", &file, &["--output", "json"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("file:3: body has no tag that is a class"), "{ran:?}");
    assert!(
        ran.stderr.contains("file:1: ") && ran.stderr.contains("is refused, or one without a source, in line 3"),
        "{ran:?}"
    );
    assert!(service.contents().await.articles.is_empty());
}

#[tokio::test]
async fn answer_of_facts_is_a_meeting_for_each_fact() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    // The example of the documentation of Instructor.
    let answer = json!({
        "question": "Who met whom?",
        "answer": [{"fact": "Veliyev received Tsalikov", "substring_quote": ["Kerim Veliyev received Ruslan Tsalikov"]}],
    });
    fs::write(&file, answer.to_string()).unwrap();
    let ran = import(&service, "instructor", &file, &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("warning: question is not imported"), "{ran:?}");
    let contents = service.contents().await;
    assert_eq!(contents.meetings[0].account.as_ref().unwrap().title, "Veliyev received Tsalikov");
    assert_eq!(contents.reports[0].evidence[0].field, "title");
}
