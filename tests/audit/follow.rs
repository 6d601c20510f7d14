//! `readout audit`, as scripts and log collectors use it.

use std::{net::TcpListener, time::Duration};

use readout::{
    model::role::Role,
    pb::{CreateParticipantRequest, participant_service_client::ParticipantServiceClient},
};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    access,
    support::{
        Service,
        data_dir::DataDir,
        make::person,
        program::{Program, Ran, Reader, run, run_with},
    },
};

/// The minute of a refusal, the time in which its count is stored and found, and time for a busy machine.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(100);

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn audit_prints_the_newest_events_that_match_as_lines_of_json() {
    let service = Service::start().await;
    for number in 0..5 {
        service.create_participant(person(&format!("Person {number}"), "AZ")).await;
    }
    let article = service.create_article(crate::support::make::article("urn:a")).await;
    let address = service.address.to_string();
    let audit = async |args: &[&str]| run(["audit", "--server", &address].iter().chain(args)).await;
    let all = audit(&[]).await;
    assert_eq!((all.code, all.stderr.as_str(), lines(&all).len()), (Some(0), "", 6));
    let newest = &lines(&all)[0];
    assert_eq!(newest["names"], serde_json::json!([article.name]));
    assert_eq!(
        (&newest["principal"], &newest["outcome"], &newest["count"]),
        (&"anonymous".into(), &"OK".into(), &"1".into())
    );
    assert_eq!(lines(&audit(&["--limit", "2"]).await), lines(&all)[..2]);
    assert_eq!(lines(&audit(&["--filter", "method = CreateArticle"]).await), lines(&all)[..1]);
    for (args, message) in [
        (["--filter", "mthod = CreateArticle"], "UNKNOWN_FILTER_FIELD"),
        (["--follow", "--from=yesterday"], "is not beginning"),
    ] {
        let refused = audit(&args).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn followed_log_prints_each_event_once_over_restarts_and_ends_at_sigterm() {
    let dir = DataDir::with_database().await;
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let serve = async || {
        let service = Program::start(&dir, &["--listen", &listen]);
        service.address().await;
        service
    };
    let add = async |service: &Program, request_id: &str| {
        let participant = Some(person("Kerim Veliyev", "AZ"));
        let request = CreateParticipantRequest { participant, request_id: request_id.into(), ..Default::default() };
        ParticipantServiceClient::new(service.channel().await).create_participant(request).await.unwrap();
    };
    let args = ["audit", "--server", &listen, "--follow", "--filter", "method = CreateParticipant"];
    let mut follow = Reader::start(args);
    let service = serve().await;
    add(&service, "A").await;
    let first = follow.line().await;
    assert_eq!(first["requestId"], "A");
    add(&service, "B").await;
    assert_eq!(follow.line().await["requestId"], "B");
    service.kill().await;
    let service = serve().await;
    add(&service, "C").await;
    assert_eq!(follow.line().await["requestId"], "C");
    assert_eq!(follow.terminate().await, (Some(0), String::new()));

    // A collector continues from the time of its last line, and skips the ids that it has.
    add(&service, "D").await;
    let from = first["time"].as_str().unwrap();
    let mut follow = Reader::start(args.into_iter().chain(["--from", from]));
    for id in ["A", "B", "C", "D"] {
        assert_eq!(follow.line().await["requestId"], id);
    }
    // The reader closes the pipe: the command ends with the next line.
    let closed = follow.close();
    add(&service, "E").await;
    assert_eq!(closed.await, Some(1));
    service.stop().await;
}

#[tokio::test]
async fn followed_log_prints_a_refusal_at_once_and_again_when_its_count_is_final() {
    let service = access::start(access::api_tokens()).await;
    let admin = access::token(&service.database, "auditor", Role::Admin).await.reveal();
    access::read(&service, None).await.unwrap_err();
    let address = service.address.to_string();
    let args = ["audit", "--server", &address, "--follow", "--filter", "outcome = CREDENTIALS_MISSING"];
    let mut follow = Reader::start_with(("READOUT_TOKEN", &admin), args);
    let first = follow.line().await;
    assert_eq!(first["count"], "1");
    for _ in 0..6 {
        access::read(&service, None).await.unwrap_err();
    }
    let last = timeout(REFUSAL_PATIENCE, follow.next_line()).await.expect("the final count");
    assert_eq!((&last["count"], &last["id"], &last["time"]), (&"7".into(), &first["id"], &first["time"]));
    assert_eq!(follow.terminate().await, (Some(0), String::new()));
    let ran = run_with(("READOUT_TOKEN", "wrong"), ["audit", "--server", &address]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
}
