//! Judgements from a file.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use readout::{model::role::Role, pb::judgement::Verdict};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{await_pairs, create_pairs, judge, judgements, names, pairs};
use crate::{
    access,
    support::{
        Service,
        data_dir::{DataDir, eventually},
        make::{person, settled_person},
        program::{Program, Ran, run, run_with_input},
    },
};

/// Applies a text as standard input, with these further arguments.
async fn apply(service: &Service, args: &[&str], input: &str) -> Ran {
    let address = service.address.to_string();
    let fixed = ["duplicates", "--server", &address, "--output", "json", "--apply", "-"];
    run_with_input(fixed.iter().chain(args), input.as_bytes()).await
}

fn totals(judged: u64, unchanged: u64, failed: u64) -> String {
    format!("{{\"judged\":{judged},\"unchanged\":{unchanged},\"failed\":{failed}}}\n")
}

fn line(participant: &str, other: &str, verdict: &str) -> String {
    json!({"participant": participant, "other": other, "verdict": verdict}).to_string() + "\n"
}

async fn create(service: &Service, name: &str) -> String {
    service.create_participant(person(name, "AZ")).await.name
}

#[tokio::test]
async fn printed_pairs_with_verdicts_are_judged_and_change_nothing_when_applied_again() {
    let service = Service::start().await;
    let pairs = create_pairs(&service, 3).await;
    let address = service.address.to_string();
    let printed = run(["duplicates", "--server", &address]).await.stdout;
    let lines = printed.lines().zip(["SAME", "DIFFERENT", "DIFFERENT"]).map(|(line, verdict)| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["verdict"] = verdict.into();
        line.to_string()
    });
    let input = lines.collect::<Vec<_>>().join("\n");

    let dry = apply(&service, &["--dry-run"], &input).await;
    assert_eq!(dry, Ran { code: Some(0), stdout: totals(3, 0, 0), stderr: String::new() });
    assert_eq!(judgements(&service.participants).await, []);

    let first = apply(&service, &[], &input).await;
    assert_eq!(first, Ran { code: Some(0), stdout: totals(3, 0, 0), stderr: String::new() });
    let stored = judgements(&service.participants).await;
    let verdicts = [Verdict::Same, Verdict::Different, Verdict::Different];
    let judged = pairs.iter().map(names).zip(verdicts).map(|((first, second), verdict)| {
        (first.to_owned(), second.to_owned(), verdict, "reviewed with readout duplicates".to_owned())
    });
    let mut expected: Vec<_> = judged.collect();
    expected.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    assert_eq!(stored, expected);
    await_pairs(&service.participants, 0).await;

    let changes = service.all_changes().await.len();
    for args in [&[][..], &["--dry-run"], &["--reason", "another one"]] {
        let again = apply(&service, args, &input).await;
        assert_eq!(again, Ran { code: Some(0), stdout: totals(0, 3, 0), stderr: String::new() });
    }
    assert_eq!(judgements(&service.participants).await, stored);
    assert_eq!(service.all_changes().await.len(), changes);
}

#[tokio::test]
async fn reasons_of_a_file_are_stored_and_replace_others() {
    let service = Service::start().await;
    let (a, b) = (create(&service, "Ann Lee").await, create(&service, "Anne Lee").await);
    judge(&service, (&a, &b), Verdict::Same, "known").await;
    let with = |reason: &str| json!({"participant": b, "other": {"name": a}, "verdict": "SAME", "reason": reason});
    // The first has no reason of its own: the stored one stays. The other one is equal to the stored one in NFC.
    for (input, args, expected, reason) in [
        (line(&a, &b, "SAME"), vec!["--reason", "from the command line"], totals(0, 1, 0), "known"),
        (with("the cafe\u{301}").to_string(), vec![], totals(1, 0, 0), "the caf\u{e9}"),
        (with("the caf\u{e9}").to_string(), vec![], totals(0, 1, 0), "the caf\u{e9}"),
        (
            line(&a, &b, "DIFFERENT"),
            vec!["--reason", "from the command line"],
            totals(1, 0, 0),
            "from the command line",
        ),
    ] {
        let ran = apply(&service, &args, &input).await;
        assert_eq!((ran.code, ran.stdout), (Some(0), expected), "{input}: {}", ran.stderr);
        assert_eq!(judgements(&service.participants).await[0].3, reason, "{input}");
    }
}

#[tokio::test]
async fn withdrawn_takes_a_judgement_back_and_changes_nothing_without_one() {
    let service = Service::start().await;
    let (a, b) = (create(&service, "Ann Lee").await, create(&service, "Anne Lee").await);
    let withdrawn = line(&a, &b, "WITHDRAWN");
    judge(&service, (&a, &b), Verdict::Different, "known").await;
    for (args, expected, left) in [
        (&["--dry-run"][..], totals(1, 0, 0), 1),
        (&[], totals(1, 0, 0), 0),
        (&[], totals(0, 1, 0), 0),
        (&["--dry-run"], totals(0, 1, 0), 0),
    ] {
        let ran = apply(&service, args, &withdrawn).await;
        assert_eq!((ran.code, ran.stdout), (Some(0), expected), "{args:?}: {}", ran.stderr);
        assert_eq!(judgements(&service.participants).await.len(), left);
    }
    let unknown = "participants/00000000-0000-0000-0000-000000000001";
    let ran = apply(&service, &[], &line(&a, unknown, "WITHDRAWN")).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), totals(0, 0, 1).as_str()), "{}", ran.stderr);
    assert!(ran.stderr.contains("RESOURCE_NOT_FOUND"), "{}", ran.stderr);
}

#[tokio::test]
async fn each_bad_line_is_printed_with_its_reason_and_the_others_are_judged() {
    let service = Service::start().await;
    let (a, b, c) =
        (create(&service, "Ann Lee").await, create(&service, "Bob Ray").await, create(&service, "Cat Day").await);
    let state = service
        .create_participant(readout::pb::Participant {
            kind: readout::pb::participant::Kind::State.into(),
            ..person("Azerbaijan", "AZ")
        })
        .await
        .name;
    let gone = create(&service, "Dan Fox").await;
    service.delete_participant(&gone).await.unwrap();
    let unknown = "participants/00000000-0000-0000-0000-000000000001";
    let input = [
        line(&a, &b, "DIFFERENT"),
        "not json\n".into(),
        json!({"participant": a, "other": c, "verdct": "SAME"}).to_string() + "\n",
        line(&a, &c, "SMAE"),
        "\n".into(),
        json!({"participant": a, "other": c}).to_string() + "\n",
        line("Ann Lee", &c, "SAME"),
        line(&a, unknown, "SAME"),
        line(&a, &gone, "SAME"),
        line(&a, &state, "SAME"),
        line(&a, &a, "SAME"),
        json!({"participant": a, "other": c, "verdict": "SAME", "reason": "x".repeat(1_001)}).to_string() + "\n",
        line(&a, &b, "DIFFERENT"),
        line(&b, &a, "SAME"),
        json!({"participant": b, "other": a, "verdict": "DIFFERENT", "reason": "another"}).to_string() + "\n",
        line(&b, &c, "DIFFERENT"),
    ]
    .concat();
    let expected = [
        (2, vec!["malformed JSON in line 2, column 1: expected a JSON object", "\"not json\""]),
        (3, vec!["verdct is not a field of a judgement: verdict is the nearest"]),
        (4, vec!["verdict must be a value of Judgement.Verdict, not \"SMAE\": SAME is the nearest"]),
        (6, vec!["INVALID_FIELD: verdict "]),
        (7, vec!["Ann Lee, participants/", "INVALID_FIELD: participant ", "\"Ann Lee\""]),
        (8, vec![&a, unknown, "RESOURCE_NOT_FOUND: "]),
        (9, vec![&a, &gone, "RESOURCE_DELETED: "]),
        (10, vec!["DIFFERENT_KINDS: "]),
        (11, vec!["SAME_PARTICIPANT: "]),
        (12, vec!["INVALID_FIELD: reason "]),
        (14, vec!["line 1 judges the pair already, with another verdict: DIFFERENT there, SAME here"]),
        (15, vec!["line 1 judges the pair already, with another reason"]),
    ];
    for (args, judged, unchanged) in [
        (vec!["--dry-run", "--all-errors"], 2, 1),
        (vec!["--all-errors"], 2, 1),
        (vec!["--all-errors"], 0, 3),
        (vec!["--dry-run", "--all-errors"], 0, 3),
    ] {
        let ran = apply(&service, &args, &input).await;
        let counts = totals(judged, unchanged, expected.len() as u64);
        assert_eq!((ran.code, &ran.stdout), (Some(1), &counts), "{args:?}: {}", ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{}", ran.stderr);
        for (line, (number, parts)) in lines.iter().zip(&expected) {
            assert!(line.starts_with(&format!("stdin:{number}: ")), "{number}: {line}");
            for part in parts {
                assert!(line.contains(*part), "{part:?} is missing in: {line}");
            }
        }
    }
    assert_eq!(judgements(&service.participants).await.len(), 2);
}

#[tokio::test]
async fn many_errors_of_a_kind_are_counted_and_the_totals_are_text() {
    let service = Service::start().await;
    let (a, b) = (create(&service, "Ann Lee").await, create(&service, "Bob Ray").await);
    let dir = tempdir().unwrap();
    let file = dir.path().join("judgements.ndjson.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(["{\"x\": 1}\n".repeat(9), line(&a, &b, "SAME")].concat().as_bytes()).unwrap();
    fs::write(&file, encoder.finish().unwrap()).unwrap();
    let (address, path) = (service.address.to_string(), file.to_str().unwrap());
    let args = ["duplicates", "--server", &address, "--apply", path];
    for (more, total) in [
        (&["--dry-run"][..], "1 judged, 0 unchanged, 9 failed (dry run: nothing is written)"),
        (&[], "1 judged, 0 unchanged, 9 failed"),
    ] {
        let ran = run(args.iter().chain(more)).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines[0], format!("{path}:1: x is not a field of a judgement"));
        assert_eq!(lines[4..], ["       9 an unknown field", total], "{}", ran.stderr);
    }
}

#[tokio::test]
async fn token_without_the_role_of_a_curator_ends_the_command() {
    let service = access::start(access::api_tokens()).await;
    let dir = tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, access::token(&service.database, "desk", Role::Writer).await.reveal()).unwrap();
    let unknown = |last: u8| format!("participants/00000000-0000-0000-0000-00000000000{last}");
    let input = [line(&unknown(1), &unknown(2), "SAME"), line(&unknown(1), &unknown(3), "SAME")].concat();
    for args in [vec![], vec!["--dry-run"]] {
        let args = [&["--token-file", token.to_str().unwrap()], &args[..]].concat();
        let ran = apply(&service, &args, &input).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), totals(0, 0, 0).as_str()), "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with("readout: the service cannot be used: ROLE_TOO_LOW: "), "{}", ran.stderr);
    }
    let address = service.address.to_string();
    let listed = run(["duplicates", "--server", &address, "--token-file", token.to_str().unwrap()]);
    assert_eq!(listed.await.code, Some(0));
}

#[tokio::test]
async fn file_is_applied_completely_although_the_service_is_killed_and_restarted() {
    let dir = DataDir::with_database().await;
    let service = Program::serve(&dir).await;
    let address = service.address().await.to_string();
    let mut participants = super::Participants::new(service.channel().await);
    let mut created = Vec::new();
    for number in 0..25 {
        let participant = Some(settled_person(&format!("Person {number}"), "AZ"));
        let request = readout::pb::CreateParticipantRequest { participant, ..Default::default() };
        created.push(participants.create_participant(request).await.unwrap().into_inner().name);
    }
    let of_each = |(at, first): (usize, &String)| -> String {
        created[at + 1..].iter().map(|second| line(first, second, "DIFFERENT")).collect()
    };
    let input: String = created.iter().enumerate().map(of_each).collect();
    let args = ["duplicates", "--server", &address, "--output", "json", "--apply", "-"];
    let apply = async || run_with_input(args, input.as_bytes()).await;
    let restart = async {
        eventually("some pairs are judged", async || judgements(&participants).await.len() >= 30).await;
        service.kill().await;
        let service = Program::start(&dir, &["--listen", &address]);
        service.address().await;
        service
    };
    let (ran, service) = tokio::join!(apply(), restart);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.lines().all(|line| line.starts_with("waiting for ")), "{ran:?}");
    assert_eq!(ran.stdout, totals(300, 0, 0));
    let again = apply().await;
    assert_eq!((again.code, again.stdout), (Some(0), totals(0, 300, 0)));
    let left = pairs(&super::Participants::new(service.channel().await)).await;
    assert!(left.is_empty(), "{left:?}");
    service.stop().await;
}
