//! `readout import` and `readout export`: the real program, its output and its exit codes.

pub mod connect;
mod cursor;
mod duplicates;
mod export;
mod export_omissions;
mod import_differences;
mod import_dry_run;
mod import_edition;
mod import_errors;
mod import_files;
mod import_formats;
mod import_order;
mod manual;
mod random_register;
mod retry_messages;
mod serve;
mod terminal;
mod watch;

use std::{fs, io::Write, net::TcpListener, path::Path};

use flate2::{Compression, write::GzEncoder};
use readout::pb::{ListArticlesRequest, article_service_client::ArticleServiceClient};
use tempfile::tempdir;

use crate::support::{
    Service,
    data_dir::{DataDir, eventually},
    program::{Program, Ran, run, run_with_input},
    stories,
};

/// A line with one story: a meeting of these people.
fn line(uri: &str, people: &[&str]) -> String {
    let participants: Vec<_> = people
        .iter()
        .map(|name| {
            let participant = serde_json::json!({"kind": "PERSON", "displayName": name});
            serde_json::json!({"key": name, "participant": participant})
        })
        .collect();
    let participations: Vec<_> =
        people.iter().map(|name| serde_json::json!({"id": name, "participant": format!("#{name}")})).collect();
    let account = serde_json::json!({"kind": "TALKS", "participations": participations});
    serde_json::json!({
        "article": {"uri": uri, "text": format!("Met: {}.", people.join(", "))},
        "participants": participants,
        "reports": [{"key": "talks", "account": account}],
    })
    .to_string()
}

/// Imports into a service and prints the totals as JSON.
async fn import(service: &Service, files: &[&Path]) -> Ran {
    let address = service.address.to_string();
    // With one stream the lines of one article are written in the order of the file.
    let options = ["import", "--server", &address, "--output", "json", "--concurrency", "1"];
    run(options.iter().map(Path::new).chain(files.iter().copied())).await
}

#[tokio::test]
async fn import_prints_totals_as_one_json_line_and_matches_everything_when_repeated() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("stories.ndjson");
    // Gul is in both stories.
    fs::write(&file, [line("urn:1", &["Aliyev", "Gul"]), line("urn:2", &["Gul", "Sargsyan"])].join("\n")).unwrap();

    let first = import(&service, &[&file]).await;
    let totals = r#"{"stories":2,"articles":2,"meetings":2,"reports":2,"participants":3,"created":9,"matched":0,"failed":0,"differs":0}"#;
    assert_eq!(first, Ran { code: Some(0), stdout: format!("{totals}\n"), stderr: String::new() });

    let again = import(&service, &[&file]).await;
    let totals = r#"{"stories":2,"articles":2,"meetings":2,"reports":2,"participants":3,"created":0,"matched":9,"failed":0,"differs":0}"#;
    assert_eq!(again, Ran { code: Some(0), stdout: format!("{totals}\n"), stderr: String::new() });

    let text = run(["import", "--server", &service.address.to_string(), file.to_str().unwrap()]).await;
    let totals =
        "2 stories: 2 articles, 2 meetings, 2 reports, 3 participants; 0 created, 9 matched, 0 failed, 0 differ\n";
    assert_eq!(text, Ran { code: Some(0), stdout: String::new(), stderr: totals.into() });
}

#[tokio::test]
async fn import_reports_each_bad_line_with_place_and_reason_and_imports_the_others() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let (file, more) = (dir.path().join("stories.ndjson"), dir.path().join("more.ndjson"));
    let invented = r#"{"article":{"uri":"urn:e","text":"They met."},"reports":[{"key":"a","account":{"kind":"TALKS"},"evidence":[{"field":"kind","quote":"quarrelled"}]}]}"#;
    let lines = [
        line("urn:1", &["Aliyev"]).as_bytes(),
        b"not json",
        br#"{"article":{"uri":"urn:x","titel":"Talks"}}"#,
        b"",
        b"\xff\xfe",
        br#"{"article":{"title":"Talks","languageCode":"?"}}"#,
        invented.as_bytes(),
        br#"{"article":{"uri":"urn:1","title":"Something else"}}"#,
        line("urn:2", &["Gul"]).as_bytes(),
    ]
    .join(&b'\n');
    fs::write(&file, lines).unwrap();
    fs::write(&more, format!("{{}}\n{}\n", line("urn:3", &["Gul"]))).unwrap();

    let ran = import(&service, &[&file, &more]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let totals = r#"{"stories":3,"articles":3,"meetings":3,"reports":3,"participants":2,"created":11,"matched":0,"failed":6,"differs":1}"#;
    assert_eq!(ran.stdout, format!("{totals}\n"));
    let mut messages: Vec<&str> = ran.stderr.lines().collect();
    messages.sort_by_key(|line| line.starts_with(more.to_str().unwrap()));
    let (file, more) = (file.display(), more.display());
    let expected = [
        (format!("{file}:2: "), vec!["line 2, column 1: expected a JSON object", "\"not json\""]),
        (format!("{file}:3: urn:x: "), vec!["article.titel is not a field of Article: title is the nearest"]),
        (format!("{file}:5: "), vec!["not UTF-8"]),
        (format!("{file}:6: "), vec!["INVALID_FIELD: ", "story.article.uri ", "story.article.language_code "]),
        (format!("{file}:7: urn:e: "), vec!["EVIDENCE_NOT_FOUND: ", "story.reports[0].evidence[0].quote "]),
        (format!("{file}:8: urn:1: "), vec!["ARTICLE_DIFFERS: "]),
        (format!("{more}:1: "), vec!["INVALID_FIELD: ", "story.article "]),
    ];
    assert_eq!(messages.len(), expected.len(), "{messages:#?}");
    for (place, parts) in expected {
        let line =
            messages.iter().find(|line| line.starts_with(&place)).unwrap_or_else(|| panic!("{place} {messages:#?}"));
        for part in parts {
            assert!(line.contains(part), "{part:?} is missing in: {line}");
        }
    }
}

#[tokio::test]
async fn import_reads_gzip_files_and_standard_input() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let packed = |uri: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(line(uri, &["Aliyev"]).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let (gz, plain) = (dir.path().join("a.ndjson.gz"), dir.path().join("b.ndjson"));
    fs::write(&gz, packed("urn:1")).unwrap();
    fs::write(&plain, stories::azernews_line()).unwrap();
    let ran = import(&service, &[&gz, &plain]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with(r#"{"stories":2,"articles":2,"meetings":6,"reports":6,"#), "{ran:?}");

    let address = service.address.to_string();
    let stdin = ["import", "--server", &address, "--output", "json", "-"];
    for input in [packed("urn:2"), line("urn:3", &["Aliyev"]).into_bytes()] {
        let ran = run_with_input(stdin, &input).await;
        let totals = r#"{"stories":1,"articles":1,"meetings":1,"reports":1,"participants":1,"created":3,"matched":1,"failed":0,"differs":0}"#;
        assert_eq!(ran, Ran { code: Some(0), stdout: format!("{totals}\n"), stderr: String::new() });
    }
    let ran = run_with_input(stdin, b"{").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("stdin:1: "), "{ran:?}");
}

#[tokio::test]
async fn import_and_export_exit_with_2_when_they_cannot_start() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let running = Service::start().await;
    let service = running.address.to_string();
    let dir = tempdir().unwrap();
    let foreign = dir.path().join("foreign.ndjson");
    fs::write(&foreign, r#"{"header":{"format":"readout.v9"}}"#).unwrap();
    let (dir, foreign) = (dir.path().to_str().unwrap(), foreign.to_str().unwrap());
    for (args, message) in [
        (
            vec!["import", "--server", &unused, "-"],
            format!("readout: no connection to http://{unused}: Connection refused"),
        ),
        (vec!["export", "--server", &unused], format!("readout: no connection to http://{unused}: Connection refused")),
        (vec!["export", "--server", "a b"], "readout: --server \"a b\" is not the address of a service: ".into()),
        (vec!["import", "--server", &service, "/nowhere"], "readout: cannot read /nowhere: No such file".into()),
        (vec!["import", "--server", &service, dir], format!("readout: cannot read {dir}: ")),
        (
            vec!["import", "--server", &service, foreign],
            format!("readout: {foreign} is an export of format \"readout.v9\", and only \"readout.v1\" can be read"),
        ),
    ] {
        let ran = run(&args).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.lines().last().unwrap().starts_with(&message), "{args:?}: {ran:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn import_completes_although_the_service_is_killed_and_restarted() {
    let dir = DataDir::with_database().await;
    let service = Program::serve(&dir).await;
    let address = service.address().await.to_string();
    let input = stories::lines()[..1_000].join("\n");
    let import =
        async || run_with_input(["import", "--server", &address, "--output", "json", "-"], input.as_bytes()).await;
    let restart = async {
        let mut articles = ArticleServiceClient::new(service.channel().await);
        let request = ListArticlesRequest { page_size: 1_000, ..Default::default() };
        eventually("the import has begun", async || {
            articles.list_articles(request.clone()).await.unwrap().into_inner().articles.len() >= 100
        })
        .await;
        service.kill().await;
        let service = Program::start(&dir, &["--listen", &address]);
        service.address().await;
        service
    };
    let (ran, service) = tokio::join!(import(), restart);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // The import reports that it waits when the restart takes long.
    assert!(ran.stderr.lines().all(|line| line.starts_with("waiting for ")), "{ran:?}");
    assert!(ran.stdout.starts_with(r#"{"stories":1000,"articles":1000,"meetings":1000,"reports":1000,"#), "{ran:?}");
    assert!(ran.stdout.ends_with(",\"failed\":0,\"differs\":0}\n"), "{ran:?}");

    let again = import().await;
    assert_eq!(again.code, Some(0));
    assert!(again.stdout.contains(r#","created":0,"#), "{again:?}");
    service.stop().await;
}
