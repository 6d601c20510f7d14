//! `readout watch` and `readout admin new-epoch`: the real program, as scripts use it.

use std::{fs, net::TcpListener};

use readout::pb::{CreateParticipantRequest, participant_service_client::ParticipantServiceClient};
use serde_json::Value;
use sqlx::ConnectOptions;
use tempfile::tempdir;

use crate::support::{
    Service,
    data_dir::DataDir,
    make::person,
    program::{Program, Ran, Reader, run},
};

/// The names of the resources in printed lines.
fn names(ran: &Ran) -> Vec<String> {
    let line = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    ran.stdout.lines().map(|text| line(text)["name"].as_str().expect("a name").to_owned()).collect()
}

async fn add(service: &Service, name: &str) -> String {
    service.add_person(name).await.0.name
}

#[tokio::test]
async fn watch_with_a_cursor_file_prints_every_change_once() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("cursor");
    let address = service.address.to_string();
    let args = ["watch", "--server", &address, "--from", "beginning", "--until-caught-up", "--cursor-file"];
    let watch = async || {
        let ran = run(args.iter().copied().chain([file.to_str().unwrap()])).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        names(&ran)
    };
    let first = [add(&service, "A").await, add(&service, "B").await];
    assert_eq!(watch().await, first);
    assert_eq!(watch().await, [""; 0]);
    let next = [add(&service, "C").await];
    assert_eq!(watch().await, next);
}

#[tokio::test]
async fn watch_prints_each_change_as_a_line_of_canonical_json() {
    let service = Service::start().await;
    let (person, position) = service.add_person("Kerim Veliyev").await;
    let address = service.address.to_string();
    let ran =
        run(["watch", "--server", &address, "--from", "beginning", "--until-caught-up", "--include-resource"]).await;
    let line: Value = serde_json::from_str(ran.stdout.trim_end()).unwrap();
    assert_eq!(line["position"], position);
    assert_eq!((&line["kind"], &line["revision"], &line["last"]), (&"CREATED".into(), &"1".into(), &true.into()));
    assert_eq!((&line["name"], &line["participant"]["name"]), (&person.name.clone().into(), &person.name.into()));
    assert_eq!(line["participant"]["displayName"], "Kerim Veliyev");
}

#[tokio::test]
async fn watch_starts_at_the_given_position_and_applies_the_filter() {
    let service = Service::start().await;
    let (_, first) = service.add_person("A").await;
    let second = add(&service, "B").await;
    let address = service.address.to_string();
    let watch =
        async |args: &[&str]| run(["watch", "--server", &address, "--until-caught-up"].iter().chain(args)).await;
    assert_eq!(names(&watch(&["--from", &first]).await), [second.as_str()]);
    assert_eq!(names(&watch(&["--from", "now"]).await), [""; 0]);
    assert_eq!(names(&watch(&["--from", "2020-09-04T12:00:00Z", "--filter", "participant.name = b"]).await), [second]);
    for (arguments, message) in [
        (["--from", "yesterday"], "is none of beginning, now, a position"),
        (["--from", "a.b"], "INVALID_POSITION"),
        (["--filter", "knd = CREATED"], "UNKNOWN_FILTER_FIELD"),
    ] {
        let ran = watch(&arguments).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn watch_survives_service_restarts_and_omits_nothing_after_a_kill() {
    let dir = DataDir::with_database().await;
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let file = dir.path().join("cursor");
    let args = ["watch", "--server", &listen, "--from", "beginning", "--cursor-file", file.to_str().unwrap()];
    let serve = async || {
        let service = Program::start(&dir, &["--listen", &listen]);
        service.address().await;
        service
    };
    let add = async |service: &Program, name: &str| {
        let request = CreateParticipantRequest { participant: Some(person(name, "AZ")), ..Default::default() };
        ParticipantServiceClient::new(service.channel().await)
            .create_participant(request)
            .await
            .unwrap()
            .into_inner()
            .name
    };

    let mut watch = Reader::start(args);
    let service = serve().await;
    let name = add(&service, "A").await;
    assert_eq!(watch.line().await["name"], name);
    service.kill().await;
    let service = serve().await;
    let name = add(&service, "B").await;
    assert_eq!(watch.line().await["name"], name);
    watch.kill().await;

    let name = add(&service, "C").await;
    let mut watch = Reader::start(args);
    let next = watch.line().await;
    // A line whose cursor was not saved before the kill is printed twice.
    assert!(next["name"] == name || watch.line().await["name"] == name);
    service.stop().await;
}

#[tokio::test]
async fn admin_new_epoch_starts_an_epoch_and_invalidates_cursors() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join("cursor");
    let (address, url) = (service.address.to_string(), service.database.to_url_lossy().to_string());
    let (_, before) = service.add_person("A").await;
    let args = ["watch", "--server", &address, "--until-caught-up", "--cursor-file", file.to_str().unwrap()];
    assert_eq!(run(args).await.code, Some(0));

    let ran = run(["admin", "new-epoch", "--database-url", &url]).await;
    let epoch = ran.stdout.trim_end().to_owned();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(epoch.len(), 8);
    assert!(!before.starts_with(&epoch));
    let kept = fs::read_to_string(&file).unwrap();
    let ran = run(args).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("EPOCH_CHANGED"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), kept);
    let (_, after) = service.add_person("B").await;
    assert_eq!(after, format!("{epoch}.2"));
}
