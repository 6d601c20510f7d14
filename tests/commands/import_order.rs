//! The outcome of an import does not depend on the number of its streams.

use std::{collections::BTreeMap, fs, path::Path};

use readout::pb::{ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest};
use serde_json::json;
use tempfile::tempdir;

use super::{
    import_dry_run::{import_with, meeting_line, person},
    random_register::{self, anonymous, assert_same_lines},
};
use crate::support::Service;

/// The records of a service, without their ids: participants, articles, and meetings with their participants.
async fn records(service: &Service) -> Vec<String> {
    let all = ListParticipantsRequest { page_size: 1000, ..Default::default() };
    let participants = service.participants.clone().list_participants(all).await.unwrap().into_inner().participants;
    let mut names = BTreeMap::new();
    let mut records = Vec::new();
    for participant in participants {
        let mut others: Vec<String> = participant.names.iter().map(|name| name.text.clone()).collect();
        others.extend(participant.external_ids.iter().map(|id| format!("{}:{}", id.scheme, id.value)));
        others.sort();
        let text = format!("{} {} {others:?}", participant.display_name, participant.region_code);
        names.insert(participant.name, text.clone());
        records.push(text);
    }
    let all = ListArticlesRequest { page_size: 1000, ..Default::default() };
    for article in service.articles.clone().list_articles(all).await.unwrap().into_inner().articles {
        records.push(format!("{} {} {:?}", article.uri, article.title, article.alternate_uris));
    }
    let all = ListMeetingsRequest { page_size: 1000, ..Default::default() };
    for meeting in service.meetings.clone().list_meetings(all).await.unwrap().into_inner().meetings {
        let account = meeting.account.unwrap_or_default();
        let participants = account.participations.iter().map(|participation| &names[&participation.participant]);
        let mut participants: Vec<&String> = participants.collect();
        participants.sort();
        records.push(format!("{} reports {:?} {participants:?}", meeting.report_count, account.date));
    }
    records.sort();
    records
}

/// Imports a file with 1 and with 8 streams, and compares the output and the records.
async fn compare(file: &Path, options: &[&str]) -> Vec<String> {
    let mut outcomes: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for streams in ["1", "8"] {
        let service = Service::start().await;
        let ran = import_with(&service, &[options, &["--concurrency", streams]].concat(), &[file]).await;
        outcomes.push((anonymous(&ran), records(&service).await));
    }
    let (other, first) = (outcomes.pop().expect("two"), outcomes.pop().expect("two"));
    assert_same_lines(&first.0, &other.0, &format!("{options:?}"));
    assert_same_lines(&first.1, &other.1, &format!("{options:?}"));
    first.1
}

#[tokio::test]
async fn import_of_people_with_and_without_a_region_does_not_depend_on_the_number_of_streams() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("people");
    let regions = ["", "JO", "SA"];
    let line = |number: usize| {
        let region = regions[(number * 7 + number / 3) % 3];
        meeting_line(
            &format!("urn:{number}"),
            &[person(&format!("Abdullah {}", number / 3), &json!({"regionCode": region}))],
            1,
        )
    };
    fs::write(&file, (0..600).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let records = compare(&file, &[]).await;
    let count = (0..600).map(|number: usize| (number / 3, (number * 7 + number / 3) % 3));
    let count = count.collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(records.iter().filter(|record| record.starts_with("Abdullah")).count(), count);
}

#[tokio::test]
async fn import_of_random_registers_does_not_depend_on_the_number_of_streams() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("lines");
    // Not SETTLED: the settling of persons would depend on the time.
    for (seed, options) in [
        (100, &["--participant-matching", "exact"][..]),
        (101, &["--participant-matching", "exact", "--meeting-matching", "same"]),
        (102, &["--participant-matching", "exact", "--allow-update"]),
        (103, &["--participant-matching", "exact", "--allow-update", "--meeting-matching", "same"]),
        (104, &["--participant-matching", "none"]),
    ] {
        fs::write(&file, random_register::lines(seed, 250).join("\n")).unwrap();
        compare(&file, options).await;
    }
}
