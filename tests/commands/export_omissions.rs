//! An export contains the records that users wrote, and counts the records that it leaves out.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use readout::pb::{Account, Article, Link, Meeting, account::Kind, link, meeting::Review};
use tempfile::tempdir;

use super::{import, line};
use crate::support::{
    Service,
    make::{article, ingest, person, talks},
    program::{Ran, run},
    stories,
};

async fn export(service: &Service) -> Ran {
    run(["export", "--server", &service.address.to_string()]).await
}

#[tokio::test]
async fn a_review_is_exported_and_imported() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let mut meetings = Vec::new();
    for title in ["One", "Two", "Three"] {
        meetings.push(service.create_meeting(&source, talks(title)).await.unwrap());
    }
    for meeting in &meetings[..2] {
        let reviewed = Meeting { name: meeting.name.clone(), review: Review::Reviewed.into(), ..Default::default() };
        service.update_meeting(reviewed, &["review"]).await.unwrap();
    }
    let account = Account { kind: Kind::Summit.into(), ..Default::default() };
    service.rule(&meetings[0].name, account, &["account.kind"]).await.unwrap();
    let exported = export(&service).await;
    assert_eq!((exported.code, exported.stderr.as_str()), (Some(0), "7 records\n"));
    let mut reviewed: Vec<&str> = meetings[..2].iter().map(|meeting| meeting.name.as_str()).collect();
    reviewed.sort_unstable();
    let lines: Vec<&str> = exported.stdout.lines().collect();
    let review = |name: &str| format!(r#"{{"review":{{"meeting":"{name}","review":"REVIEWED"}}}}"#);
    assert_eq!(lines[lines.len() - 2..], [review(reviewed[0]), review(reviewed[1])]);

    let (dir, copy) = (tempdir().unwrap(), Service::start().await);
    let file = dir.path().join("export");
    fs::write(&file, &exported.stdout).unwrap();
    for _ in 0..2 {
        let imported = import(&copy, &[&file]).await;
        assert_eq!((imported.code, imported.stderr.as_str()), (Some(0), ""), "{imported:?}");
        assert_eq!(export(&copy).await.stdout, exported.stdout);
    }
    for (meeting, review) in meetings.iter().zip([Review::Reviewed, Review::Reviewed, Review::Unreviewed]) {
        assert_eq!(copy.meeting(&meeting.name).await.review(), review);
    }
}

#[tokio::test]
async fn an_export_counts_the_records_that_it_leaves_out() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let mut names = Vec::new();
    for title in ["One", "Two", "Three", "Four", "Five"] {
        names.push(service.create_meeting(&source, talks(title)).await.unwrap().name);
    }
    let unused = service.create_participant(person("Unused", "AZ")).await;
    service.delete_participant(&unused.name).await.unwrap();
    let gone = service.create_article(article("urn:gone")).await;
    service.delete_article(&gone.name).await.unwrap();
    service.merge(&names[0], &[&names[1]]).await.unwrap();
    service.delete_meeting(&names[2]).await.unwrap();
    let only = service.reports_of(&names[3]).await.pop().unwrap();
    service.retract_report(&only.name).await.unwrap();
    let account = Account { kind: Kind::Summit.into(), ..Default::default() };
    service.rule(&names[4], account, &["account.kind"]).await.unwrap();
    let ruling = service.reports_of(&names[4]).await.into_iter().find(|report| report.ruling.is_some()).unwrap();
    service.retract_report(&ruling.name).await.unwrap();
    let linked = Account {
        links: vec![Link { kind: link::Kind::Precedes.into(), meeting: names[1].clone(), ..Default::default() }],
        ..talks("Linked")
    };
    service.add_report(&names[4], &source.name, linked).await.unwrap();

    let exported = export(&service).await;
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let messages: Vec<&str> = exported.stderr.lines().collect();
    assert_eq!(
        messages,
        [
            "5 records",
            "left out 1 participants that are deleted",
            "left out 1 articles that are deleted",
            "left out 1 meetings that are deleted, with their reports",
            "left out 1 meetings that were merged into others, where their reports stand",
            "left out 1 meetings whose reports were all retracted",
            "left out 1 reports that were retracted and rulings that were withdrawn",
            "1 links lead to meetings that are not in the export",
        ]
    );
}

/// Creates articles that fill a pipe several times over.
async fn fill(service: &Service) {
    for number in 0..40 {
        let text = format!("{number} {}", "words ".repeat(2_000));
        service.create_article(Article { uri: format!("urn:{number}"), text, ..Default::default() }).await;
    }
}

/// Runs an export, calls `write` once the export has read all articles and is blocked by its pipe, then reads the rest.
async fn export_during(service: &Service, write: impl AsyncFnOnce()) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_readout"))
        .args(["export", "--server", &service.address.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut lines = String::new();
    let (mut stdout, mut lines) = tokio::task::spawn_blocking(move || {
        while !lines.contains(r#"{"article":"#) {
            assert!(stdout.read_line(&mut lines).unwrap() > 0, "{lines}");
        }
        (stdout, lines)
    })
    .await
    .unwrap();
    write().await;
    tokio::task::spawn_blocking(move || {
        stdout.read_to_string(&mut lines).unwrap();
        let output = child.wait_with_output().unwrap();
        Ran { code: output.status.code(), stdout: lines, stderr: String::from_utf8(output.stderr).unwrap() }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn an_export_that_lacks_a_referenced_record_fails_with_advice() {
    let service = Service::start().await;
    fill(&service).await;
    let whole = export_during(&service, async || {}).await;
    assert_eq!((whole.code, whole.stderr.as_str()), (Some(0), "40 records\n"));
    let story = stories::story(&line("urn:late", &["Late"]));
    let ran = export_during(&service, async || {
        service.ingest.clone().ingest_story(ingest(story)).await.unwrap();
    })
    .await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let message = ran.stderr.lines().find(|line| line.contains("export again")).expect("a line");
    assert!(message.starts_with("2 records that others name were written during the export"), "{message}");
    assert!(message.contains(" names articles/") && message.contains(" names participants/"), "{message}");
    assert_eq!(export(&service).await.code, Some(0));
}

#[tokio::test]
async fn an_export_during_a_merge_fails_because_it_may_lack_reports() {
    let service = Service::start().await;
    fill(&service).await;
    let article = service.create_article(article("urn:a")).await;
    let target = service.create_meeting(&article, talks("One")).await.unwrap().name;
    let source = service.create_meeting(&article, talks("Two")).await.unwrap().name;
    let ran = export_during(&service, async || {
        service.merge(&target, &[&source]).await.unwrap();
    })
    .await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("meetings were merged or split during the export"), "{}", ran.stderr);
    assert_eq!(export(&service).await.code, Some(0));
}
