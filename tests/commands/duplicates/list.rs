//! The pairs as lines of JSON.

use std::net::TcpListener;

use readout::pb::{ErrorReason, ListDuplicatesRequest, Participant};
use serde_json::{Value, json};

use super::{REGIONS, create_pairs, names};
use crate::{
    access,
    support::{
        Service,
        data_dir::eventually,
        make::settled_person,
        program::{Reader, run},
        reason_of,
    },
};

#[tokio::test]
async fn duplicates_prints_the_pairs_of_all_pages_as_lines_of_json() {
    let service = Service::start().await;
    let address = service.address.to_string();
    let none = run(["duplicates", "--server", &address]).await;
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (Some(0), "", ""));

    // More than a page has.
    let pairs = create_pairs(&service, 16).await;
    assert_eq!(pairs.len(), 120);
    let ran = run(["duplicates", "--server", &address]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let printed = |line: &Value| (line["participant"]["name"].clone(), line["other"]["name"].clone());
    let expected: Vec<_> = pairs.iter().map(|pair| (json!(names(pair).0), json!(names(pair).1))).collect();
    assert_eq!(lines.iter().map(printed).collect::<Vec<_>>(), expected);
    let first = &lines[0];
    assert_eq!((&first["level"], &first["participant"]["displayName"]), (&"POSSIBLE".into(), &"Sergei Lavrov".into()));
    assert!(first["score"].is_number() && first["reasons"][0]["kind"].is_string(), "{first}");

    let filtered = run(["duplicates", "--server", &address, "--filter", "region = AZ", "--output", "json"]).await;
    assert_eq!((filtered.code, filtered.stdout.lines().count()), (Some(0), 15), "{}", filtered.stderr);
    for (filter, message) in [("regoin = AZ", "UNKNOWN_FILTER_FIELD"), ("region =", "INVALID_FILTER")] {
        let refused = run(["duplicates", "--server", &address, "--filter", filter]).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
        assert!(refused.stderr.contains(message) && refused.stderr.lines().count() == 1, "{}", refused.stderr);
    }

    // The reader closes the pipe, which has no room for all lines.
    let mut reader = Reader::start(["duplicates", "--server", &address]);
    reader.line().await;
    assert_eq!(reader.close().await, Some(1));
}

#[tokio::test]
async fn duplicates_reads_smaller_pages_if_a_page_is_larger_than_a_response() {
    let service = Service::start().await;
    // A page of 100 pairs would have 4.9 MB.
    let labels: Vec<_> = (0..64).map(|number| (format!("{number:0>128}"), "x".repeat(256))).collect();
    for region in REGIONS {
        let labels = labels.iter().cloned().collect();
        service.create_participant(Participant { labels, ..settled_person("Sergei Lavrov", region) }).await;
    }
    let page = async |page_size| {
        let request = ListDuplicatesRequest { page_size, ..Default::default() };
        service.participants.clone().list_duplicates(request).await.map(|page| page.into_inner().duplicates.len())
    };
    eventually("there are more pairs than in a page", async || match page(100).await {
        Ok(_) => false,
        Err(status) => reason_of(&status) == ErrorReason::MessageTooLarge,
    })
    .await;
    let address = service.address.to_string();
    eventually("all pairs are printed", async || {
        let ran = run(["duplicates", "--server", &address]).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.stdout.lines().count() == 120
    })
    .await;
}

#[tokio::test]
async fn duplicates_exits_with_2_if_it_cannot_start() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let running = access::start(access::api_tokens()).await;
    let service = running.address.to_string();
    for (args, message) in [
        (vec!["--server", &unused], format!("readout: no connection to http://{unused}: Connection refused")),
        (vec!["--server", &unused, "--apply", "-"], format!("readout: no connection to http://{unused}: Connection")),
        (vec!["--server", "a b"], "readout: --server \"a b\" is not the address of a service: ".into()),
        (vec!["--server", &service, "--apply", "/nowhere"], "readout: cannot read /nowhere: No such file".into()),
        (vec!["--server", &service], "readout: ".into()),
        (vec!["--dry-run"], "error: the following required arguments were not provided".into()),
        (vec!["--all-errors"], "error: the following required arguments were not provided".into()),
        (vec!["--apply", "-", "--filter", "region = AZ"], "error: the argument '--apply".into()),
        (vec!["--reason", " "], "error: invalid value ' ' for '--reason".into()),
        (vec!["--reason", &"x".repeat(1_001)], "error: invalid value".into()),
    ] {
        let ran = run(["duplicates"].iter().chain(&args)).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with(&message), "{args:?}: {ran:?}");
    }
    let refused = run(["duplicates", "--server", &service]).await;
    assert!(refused.stderr.contains("CREDENTIALS_MISSING"), "{refused:?}");
    running.stop().await;
}
