//! An import keeps existing records unchanged and reports where they differ from its own.

use std::{fs, path::Path};

use readout::pb::{Article, Meeting, Participant};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{import, line};
use crate::support::{
    Service,
    make::{article, person},
    program::{Ran, run},
};

async fn export(service: &Service) -> String {
    run(["export", "--server", &service.address.to_string()]).await.stdout
}

/// A service with two stories, and its export as JSON values.
async fn exported() -> (Service, Vec<Value>) {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("stories");
    fs::write(&file, [line("urn:1", &["Aliyev", "Gul"]), line("urn:2", &["Gul"])].join("\n")).unwrap();
    assert_eq!(import(&service, &[&file]).await.code, Some(0));
    let records = export(&service).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (service, records)
}

async fn import_records(service: &Service, file: &Path, records: &[Value]) -> Ran {
    fs::write(file, records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
    import(service, &[file]).await
}

#[tokio::test]
async fn an_import_reports_a_record_with_other_content_and_keeps_the_stored_one() {
    let (service, records) = exported().await;
    let before = export(&service).await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("export");
    let position = |kind: &str| records.iter().position(|record| record.get(kind).is_some()).unwrap();
    let (participant, article, report) = (position("participant"), position("article"), position("report"));
    for (at, path, value, field) in [
        (participant, "/participant/displayName", json!("Another"), "display_name"),
        (participant, "/participant/note", json!("new"), "note"),
        (article, "/article/title", json!("Another"), "title"),
        (article, "/article/text", json!("Another text."), "text"),
        (article, "/article/labels", json!({"desk": "x"}), "labels.desk"),
        (report, "/report/report/account/kind", json!("SUMMIT"), "account.kind"),
        (report, "/report/report/prominence", json!("LEAD"), "prominence"),
        (report, "/report/meetingLabels", json!({"desk": "x"}), "labels.desk"),
    ] {
        let mut changed = records.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        changed[at].pointer_mut(parent).unwrap()[key] = value;
        let ran = import_records(&service, &file, &changed).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1), "{path}: {ran:?}");
        assert!(
            ran.stdout.contains(r#""created":0,"#) && ran.stdout.ends_with("\"failed\":0,\"differs\":1}\n"),
            "{ran:?}"
        );
        let place = format!("{}:{}: ", file.display(), at + 1);
        let names = match at == article {
            true => records[at]["article"]["uri"].as_str().unwrap().to_owned(),
            false => changed[at].to_string(),
        };
        let subject = ran.stderr.strip_prefix(&place).unwrap().split(": ").next().unwrap();
        assert!(names.contains(subject) && !subject.is_empty(), "{path}: {ran:?}");
        assert!(ran.stderr.trim_end().ends_with(&format!("which was left as it is: {field}")), "{path}: {ran:?}");
    }
    let same = import_records(&service, &file, &records).await;
    assert_eq!((same.code, same.stderr.as_str()), (Some(0), ""), "{same:?}");
    assert_eq!(export(&service).await, before);
}

#[tokio::test]
async fn an_import_reports_a_moved_or_retracted_report_as_different() {
    let (service, records) = exported().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("export");
    let names = |kind: &str, pointer: &str| -> Vec<String> {
        let of_kind = records.iter().filter(|record| record.get(kind).is_some());
        of_kind.map(|record| record.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let (reports, meetings) = (names("report", "/report/report/name"), names("report", "/report/meeting"));
    service.merge(&meetings[0], &[&meetings[1]]).await.unwrap();
    let ran = import_records(&service, &file, &records).await;
    assert!(ran.code == Some(1) && ran.stdout.ends_with("\"failed\":0,\"differs\":1}\n"), "{ran:?}");
    assert!(ran.stderr.contains(&format!("{}: differs", reports[1])), "{ran:?}");
    assert!(ran.stderr.contains(&format!("it belongs to {} here", meetings[0])), "{ran:?}");

    service.retract_report(&reports[0]).await.unwrap();
    let ran = import_records(&service, &file, &records).await;
    assert!(ran.code == Some(1) && ran.stdout.ends_with("\"failed\":0,\"differs\":2}\n"), "{ran:?}");
    assert!(ran.stderr.contains(&format!("{}: differs", reports[0])), "{ran:?}");
    assert!(ran.stderr.contains("it is retracted here"), "{ran:?}");
}

#[tokio::test]
async fn an_import_reports_a_story_of_an_article_with_other_content_as_different() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("stories");
    let stories = |title: &str| {
        let story = |number: u32| format!(r#"{{"article":{{"uri":"urn:{number}","title":"{title}"}}}}"#);
        (0..3).map(story).collect::<Vec<_>>().join("\n")
    };
    fs::write(&file, stories("One")).unwrap();
    assert_eq!(import(&service, &[&file]).await.code, Some(0));
    fs::write(&file, stories("Other")).unwrap();
    let ran = import(&service, &[&file]).await;
    assert!(ran.code == Some(1) && ran.stdout.ends_with("\"failed\":0,\"differs\":3}\n"), "{ran:?}");
    for number in 0..3 {
        let prefix = format!("{}:{}: urn:{number}: ARTICLE_DIFFERS: ", file.display(), number + 1);
        assert!(ran.stderr.contains(&prefix), "{prefix} {ran:?}");
    }
}

#[tokio::test]
async fn an_import_ignores_evidence_that_the_export_left_out() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let story = |text: &str| {
        let account = json!({"kind": "TALKS", "title": "Talks at noon"});
        let evidence = json!([{"field": "title", "quote": "at noon"}]);
        json!({"article": {"uri": "urn:1", "text": text}, "reports": [{"key": "a", "account": account, "evidence": evidence}]})
    };
    fs::write(&file, story("They met at noon.").to_string()).unwrap();
    assert_eq!(import(&service, &[&file]).await.code, Some(0));
    let article: Article = service.article(&article_name(&export(&service).await)).await;
    let rewritten = Article { text: "They met.".into(), ..article };
    service.update_article(rewritten, &["text"]).await.unwrap();
    fs::write(&file, export(&service).await).unwrap();
    let ran = import(&service, &[&file]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
}

fn article_name(export: &str) -> String {
    let line = export.lines().find(|line| line.starts_with(r#"{"article""#)).unwrap();
    serde_json::from_str::<Value>(line).unwrap()["article"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_import_reports_a_deleted_record_as_different() {
    let (service, records) = exported().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("export");
    let unused: Participant = service.create_participant(person("Unused", "AZ")).await;
    let unreported = service.create_article(article("urn:unread")).await;
    let records_with_both: Vec<Value> =
        export(&service).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    service.delete_participant(&unused.name).await.unwrap();
    service.delete_article(&unreported.name).await.unwrap();
    let ran = import_records(&service, &file, &records_with_both).await;
    assert!(ran.code == Some(1) && ran.stdout.ends_with("\"failed\":0,\"differs\":2}\n"), "{ran:?}");
    assert!(ran.stderr.contains(&format!("{}: differs", unused.name)), "{ran:?}");
    assert!(ran.stderr.contains(&format!("urn:unread: differs from {}", unreported.name)), "{ran:?}");

    let meeting = records.last().unwrap()["report"]["meeting"].as_str().unwrap();
    let _: Meeting = service.delete_meeting(meeting).await.unwrap();
    let ran = import_records(&service, &file, &records).await;
    assert!(ran.code == Some(1) && ran.stderr.contains(&format!("{meeting}: differs")), "{ran:?}");
    assert!(ran.stderr.contains("it is deleted here"), "{ran:?}");
}

#[tokio::test]
async fn an_import_reports_a_refused_record_with_its_name_path_and_value() {
    let (_, records) = exported().await;
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("export");
    let position = |kind: &str| records.iter().position(|record| record.get(kind).is_some()).unwrap();
    let mut changed = records.clone();
    changed[position("participant")]["participant"]["regionCode"] = json!("XX");
    changed[position("article")]["article"]["languageCode"] = json!("no language");
    changed[position("report")]["report"]["report"]["account"]["topics"] = json!(["Not A Slug"]);
    let ran = import_records(&service, &file, &changed).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = changed[position("report")]["report"]["report"]["name"].as_str().unwrap();
    for (subject, path, value) in [
        ("participants/", "participant.region_code", "\"XX\""),
        ("urn:", "article.language_code", "\"no language\""),
        (report, "report.account.topics[0]", "\"Not A Slug\""),
    ] {
        let error = ran.stderr.lines().find(|line| line.contains(path)).unwrap_or_else(|| panic!("{path}: {ran:?}"));
        assert!(error.contains(subject) && error.contains(value), "{error}");
        assert_eq!((error.matches(path).count(), error.matches(value).count()), (1, 1), "{error}");
    }
}
