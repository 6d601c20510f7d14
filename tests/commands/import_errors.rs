//! The errors of `readout import`: each names its message and its cause, and repeated ones are counted by kind.

use std::{fs, path::Path};

use tempfile::tempdir;

use super::{import, line};
use crate::support::{Service, program::run};

/// Pseudo-random bytes (xorshift32), the same in each run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(|_| next()).collect()
}

#[tokio::test]
async fn import_errors_are_short_for_any_file() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let many = 30_000;
    let lines = |line: fn(usize) -> String| (0..many).map(line).collect::<String>().into_bytes();
    for (content, bytes, failed) in [
        ("this program", fs::read(env!("CARGO_BIN_EXE_readout")).unwrap()[..1 << 20].to_vec(), None),
        ("noise", noise(1 << 20), None),
        ("control characters", b"\x1b[2J\x9b\x07\n".repeat(many), Some(many)),
        ("zero bytes", vec![0; 1 << 20], Some(1)),
        ("no JSON", lines(|number| format!("line {number}\n")), Some(many)),
        ("malformed JSON", lines(|number| format!("{{\"uri\": \"urn:{number}\", }}\n")), Some(many)),
        ("unfinished JSON", lines(|number| format!("{{\"article\": {{\"uri\": \"urn:{number}\",\n")), Some(many)),
        ("unknown fields", lines(|number| format!("{{\"field{number}\": 1}}\n")), Some(many)),
        ("numbers", lines(|number| format!("{number}\n")), Some(many)),
    ] {
        fs::write(&file, bytes).unwrap();
        let ran = import(&service, &[&file]).await;
        assert_eq!(ran.code, Some(1), "{content}");
        assert!(ran.stderr.len() < 8_000, "{content}: {}", ran.stderr);
        assert!(!ran.stderr.contains(['\u{1b}', '\u{9b}', '\u{7}']), "{content}: {}", ran.stderr);
        if let Some(failed) = failed {
            assert!(ran.stdout.contains(&format!(r#""failed":{failed},"#)), "{content}: {ran:?}");
        }
        if failed == Some(many) {
            let kinds = ran.stderr.lines().skip_while(|line| !line.ends_with("by kind:")).skip(1);
            let counts = kinds.map(|line| line.split_whitespace().next().unwrap().parse::<usize>().unwrap());
            assert_eq!(counts.sum::<usize>(), many, "{content}: {}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn import_with_a_policy_refuses_stories_without_its_evidence_and_no_export() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let (stories, export) = (dir.path().join("stories"), dir.path().join("export"));
    let proven = r##"{"article":{"uri":"urn:p","text":"Aliyev came."},"participants":[{"key":"a","participant":{"kind":"PERSON","displayName":"Aliyev"}}],
        "reports":[{"key":"a","account":{"participations":[{"id":"a","participant":"#a","nameAsWritten":"Aliyev"}]},
        "evidence":[{"field":"participations[0].nameAsWritten","quote":"Aliyev"}]}]}"##;
    fs::write(&stories, [&line("urn:1", &["Aliyev"]), proven].join("\n")).unwrap();
    fs::write(&export, r#"{"header":{"format":"readout.v1","contractVersion":5}}"#).unwrap();
    let address = service.address.to_string();
    let import = async |policy: &str, file: &Path| {
        let args = ["import", "--server", &address, "--output", "json", "--policy", policy, file.to_str().unwrap()];
        run(args).await
    };
    let ran = import("date,participations.participant", &stories).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains(r#""failed":1,"#), "{ran:?}");
    assert!(ran.stderr.contains("EVIDENCE_MISSING"), "{ran:?}");
    assert!(ran.stderr.contains("story.reports[0].account.participations[0].participant"), "{ran:?}");
    assert_eq!(service.contents().await.reports.len(), 1);
    let ran = import("date,plaxe", &stories).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("did you mean \"place\"?"), "{ran:?}");
    let ran = import("date", &export).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("is an export: --policy is for stories"), "{ran:?}");
}

#[tokio::test]
async fn import_counts_errors_of_the_service_by_reason_and_field() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let bad = |number: usize| format!(r#"{{"article":{{"uri":"urn:{number}","languageCode":"no {number}"}}}}"#);
    let lines: Vec<String> =
        (0..50).map(|number| if number % 2 == 0 { bad(number) } else { "{}".to_owned() }).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let ran = import(&service, &[&file]).await;
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 3 + 3 + 1 + 2, "{lines:#?}");
    assert_eq!(
        lines[7..],
        ["      25 INVALID_FIELD: story.article.language_code", "      25 INVALID_FIELD: story.article",]
    );
    assert!(lines[6].starts_with("6 of 50 errors and warnings are printed above"), "{lines:#?}");

    let address = service.address.to_string();
    let all = run(["import", "--server", &address, "--all-errors", file.to_str().unwrap()]).await;
    assert_eq!(all.stderr.lines().count(), 50 + 1, "{all:?}");
}

/// The service refuses such a message before it decodes it, which ends a stream with all of its stories.
#[tokio::test]
async fn story_with_too_many_items_fails_as_its_line() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let story = |number: usize, reports: usize| {
        let reports = vec!["{}"; reports].join(",");
        format!(r#"{{"article":{{"uri":"urn:{number}"}},"reports":[{reports}]}}"#)
    };
    let names = vec![r#"{"key":"a","participant":{"names":[{},{},{},{},{},{},{},{},{},{}]}}"#; 1_900].join(",");
    let many = format!(r#"{{"article":{{"uri":"urn:many"}},"participants":[{names}]}}"#);
    fs::write(&file, [story(1, 0), story(2, 2_001), many, story(3, 0)].join("\n")).unwrap();
    let ran = import(&service, &[&file]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains(r#""articles":2,"#) && ran.stdout.contains(r#""failed":2,"#), "{ran:?}");
    let errors: Vec<&str> = ran.stderr.lines().collect();
    assert!(
        errors[0].ends_with(":2: urn:2: story.reports must have at most 1000 items, but has more than 2000"),
        "{ran:?}"
    );
    assert!(errors[1].ends_with(":3: urn:many: has more than 20000 items in total: split it"), "{ran:?}");
}

#[tokio::test]
async fn an_import_error_names_file_line_uri_path_value_and_advice_once() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let error_of = async |text: String| {
        fs::write(&file, text).unwrap();
        let ran = import(&service, &[&file]).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1), "{ran:?}");
        ran.stderr.trim_end().strip_prefix(file.to_str().unwrap()).expect("the file").to_owned()
    };
    let article = |field: &str| format!("\n\n{{\n \"article\": {{\n  \"uri\": \"urn:x\",\n  {field}\n }}\n}}");
    for (field, expected) in [
        ("\"titel\": \"x\"", ":3: urn:x: article.titel is not a field of Article: title is the nearest"),
        ("\"title\": 5", ":3: urn:x: article.title must be a string, not 5"),
        (
            "\"publishTime\": \"2016-12-31T23:59:60Z\"",
            ":3: urn:x: article.publishTime has a leap second (60), which cannot be stored: write the second before or after \
             it; sent was \"2016-12-31T23:59:60Z\"",
        ),
        (
            "\"publishTime\": \"2020-09-04T12:00:00\"",
            ":3: urn:x: article.publishTime has no time zone: add Z for UTC, or an offset such as +04:00; sent was \
             \"2020-09-04T12:00:00\"",
        ),
        ("\"title\" \"x\"", ":3: urn:x: malformed JSON in line 6, column 11: expected `:`; nothing after it is read"),
    ] {
        assert_eq!(error_of(article(field)).await, expected, "{field}");
    }
    let refused = error_of(article("\"languageCode\": \"Azeri language\"")).await;
    assert!(refused.starts_with(":3: urn:x: INVALID_FIELD: story.article.language_code must be "), "{refused}");
    assert_eq!(refused.matches("Azeri language").count(), 1, "{refused}");
    assert_eq!(refused.matches("story.article.language_code").count(), 1, "{refused}");
    let kind = error_of(line("urn:k", &["Aliyev"]).replace("TALKS", "TALK")).await;
    assert_eq!(
        kind,
        ":1: urn:k: reports[0].account.kind must be a value of Account.Kind, not \"TALK\": TALKS is the nearest"
    );
}

#[tokio::test]
async fn an_import_continues_after_a_malformed_message() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let pretty = |uri: &str| {
        let value: serde_json::Value = serde_json::from_str(&line(uri, &["Aliyev"])).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    let broken = pretty("urn:broken").replace(r#""kind": "TALKS","#, r#""kind": TALKS,"#);
    for (number, text) in [
        [line("urn:1", &["Aliyev"]), "{\"article\": tru}".into(), line("urn:2", &["Aliyev"])].join("\n"),
        [line("urn:1", &["Aliyev"]), line("urn:broken", &[])[..40].to_owned(), line("urn:2", &["Aliyev"])].join("\n"),
        [pretty("urn:1"), broken.clone(), pretty("urn:2")].join("\n"),
        format!("[\n{}\n]", [pretty("urn:1"), broken, pretty("urn:2")].join(",\n")),
        format!("[{},\n{{\"article\"}},\n{}]", line("urn:1", &["Aliyev"]), line("urn:2", &["Aliyev"])),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(&file, text).unwrap();
        let ran = import(&service, &[&file]).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1), "{number}: {ran:?}");
        assert!(
            ran.stdout.starts_with(r#"{"stories":2,"#) && ran.stdout.contains(r#""failed":1,"#),
            "{number}: {ran:?}"
        );
    }
}

#[tokio::test]
async fn an_import_refuses_other_compression_formats_with_advice() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    for (bytes, advice) in [
        (&b"BZh91AY&SY\x00"[..], "bzip2 -dc"),
        (b"\xfd7zXZ\0\0\x04", "xz -dc"),
        (b"PK\x03\x04\x14\0", "unzip -p"),
        (b"\xff\xfe{\0}\0", "iconv -f UTF-16"),
    ] {
        fs::write(&file, bytes).unwrap();
        let ran = import(&service, &[Path::new(&file)]).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1), "{ran:?}");
        assert!(ran.stderr.contains(advice) && ran.stdout.contains(r#""failed":1,"#), "{ran:?}");
    }
}
