//! `readout token`, run as the real program, and the absence of tokens from the log.

use std::fs;

use readout::pb::{ErrorReason, ListArticlesRequest, article_service_client::ArticleServiceClient};
use serde_json::Value;
use sqlx::ConnectOptions;
use tempfile::tempdir;

use super::{api_tokens, read, start, start_on, unauthenticated, with};
use crate::support::{
    cluster,
    data_dir::{DataDir, eventually},
    program::{Program, Ran, run, run_with},
};

#[tokio::test]
async fn token_commands_create_list_and_revoke_a_token() {
    let service = start(api_tokens()).await;
    let url = service.database.to_url_lossy().to_string();
    let made = run(["token", "create", "press-desk", "--role", "reader", "--database-url", &url]).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let token = made.stdout.strip_suffix('\n').expect("one line");
    assert!(token.starts_with("rdt_") && !token.contains(char::is_whitespace), "{token}");
    assert!(made.stderr.contains("press-desk, reader") && !made.stderr.contains(token), "{}", made.stderr);
    read(&service, Some(token)).await.expect("the token is accepted");

    let expiring = ["token", "create", "crawler", "--role", "writer", "--expires-in", "0.5", "--database-url", &url];
    assert_eq!(run(expiring).await.code, Some(0));
    let listed = run(["token", "list", "--output", "json", "--database-url", &url]).await;
    let lines: Vec<Value> = listed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let column = |key: &str| lines.iter().map(|line| line[key].as_str().unwrap_or("none")).collect::<Vec<_>>();
    assert_eq!(column("name"), ["press-desk", "crawler"]);
    assert_eq!(column("role"), ["reader", "writer"]);
    assert_eq!(column("state"), ["active", "active"]);
    assert!(lines[0]["expireTime"].is_null() && lines[1]["expireTime"].is_string(), "{lines:?}");
    let secret = token.rsplit('_').next().expect("rdt_id_secret");
    assert!(!listed.stdout.contains(secret));

    let id = lines[0]["id"].as_str().expect("an id");
    let revoked = run(["token", "revoke", id, "--database-url", &url]).await;
    assert_eq!((revoked.code, revoked.stdout.starts_with(&format!("{id}: revoked at "))), (Some(0), true));
    // The log has an event for the first revocation only.
    assert!(revoked.stderr.contains("readout/RevokeToken"), "{}", revoked.stderr);
    assert_eq!(
        run(["token", "revoke", id, "--database-url", &url]).await,
        Ran { stderr: String::new(), ..revoked },
        "a second revocation changes nothing"
    );
    eventually("the token is refused", async || read(&service, Some(token)).await.is_err()).await;
    unauthenticated(read(&service, Some(token)).await, ErrorReason::CredentialsRevoked, token);
    let listed = run(["token", "list", "--database-url", &url]).await.stdout;
    assert!(listed.lines().any(|line| line.contains("press-desk  reader  revoked")), "{listed}");
}

#[tokio::test]
async fn a_token_command_that_fails_prints_an_error_and_no_output() {
    let url = cluster::database().await.to_url_lossy().to_string();
    let unknown = "0198c0de-0000-7000-8000-000000000000";
    let Ran { code, stdout, stderr } = run(["token", "revoke", unknown, "--database-url", &url]).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("nothing was revoked"), "{stderr}");

    let empty = cluster::empty_database().await.to_url_lossy().to_string();
    for command in [&["create", "desk", "--role", "reader"][..], &["list"], &["revoke", unknown]] {
        let ran = run([&["token"], command, &["--database-url", &empty]].concat()).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{command:?}");
        assert!(ran.stderr.contains("readout migrate"), "{}", ran.stderr);
    }
    for wrong in [["a b", "reader"], ["", "reader"], ["-x", "reader"], ["desk", "boss"]] {
        let ran = run(["token", "create", "--role", wrong[1], "--database-url", &url, "--", wrong[0]]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_token_created_while_no_service_runs_is_accepted_by_a_later_one() {
    let database = cluster::database().await;
    let url = database.to_url_lossy().to_string();
    let token = run(["token", "create", "desk", "--role", "reader", "--database-url", &url]).await.stdout;
    let service = start_on(database, api_tokens()).await;
    read(&service, Some(token.trim())).await.expect("the token is accepted");
}

#[tokio::test]
async fn client_commands_send_their_token() {
    let database = cluster::database().await;
    let url = database.to_url_lossy().to_string();
    let token = run(["token", "create", "desk", "--role", "reader", "--database-url", &url]).await.stdout;
    let service = start_on(database, api_tokens()).await;
    let address = service.address.to_string();
    let export = ["export", "--server", &address];
    let refused = run(export).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("CREDENTIALS_MISSING"), "{refused:?}");
    for variable in ["READOUT_TOKEN", "READOUT_TOKEN_FILE"] {
        let dir = tempdir().expect("a directory");
        let file = dir.path().join("token");
        fs::write(&file, &token).expect("the file is written");
        let value = if variable.ends_with("FILE") { file.to_str().expect("ASCII") } else { token.trim() };
        let exported = run_with((variable, value), export).await;
        assert_eq!(exported.code, Some(0), "{variable}: {exported:?}");
    }
}

#[tokio::test]
async fn the_log_contains_no_token() {
    let dir = DataDir::new();
    let url = cluster::database().await.to_url_lossy().to_string();
    let token = run(["token", "create", "desk", "--role", "reader", "--database-url", &url]).await.stdout;
    let program = Program::serve_beside(&dir, &url, &["--api-tokens", "--log", "debug"]).await;
    let mut articles = ArticleServiceClient::new(program.channel().await);
    articles.list_articles(with(token.trim(), ListArticlesRequest::default())).await.expect("the token is accepted");
    let wrong = format!("{}x", token.trim());
    articles.list_articles(with(&wrong, ListArticlesRequest::default())).await.expect_err("the token is refused");
    program.signal("TERM");
    let (code, log) = program.ended().await;
    assert_eq!(code, Some(0));
    let secret = token.trim().rsplit('_').next().expect("rdt_id_secret").to_owned();
    assert!(log.iter().any(|line| line["message"] == "answered"), "{log:#?}");
    assert!(log.iter().all(|line| !line.to_string().contains(&secret)), "{log:#?}");
}

#[tokio::test]
async fn a_service_on_a_public_address_does_not_start_without_access_rules() {
    let url = cluster::database().await.to_url_lossy().to_string();
    let Ran { code, stderr, .. } = run(["serve", "--listen", "0.0.0.0:0", "--insecure", "--database-url", &url]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no access option is set: set --api-tokens"), "{stderr}");
}

#[tokio::test]
async fn an_import_by_a_writer_counts_reviews_as_failed() {
    let database = cluster::database().await;
    let url = database.to_url_lossy().to_string();
    let token = run(["token", "create", "desk", "--role", "writer", "--database-url", &url]).await.stdout;
    let service = start_on(database, api_tokens()).await;
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("export");
    let id = "00000000-0000-4000-8000-000000000001";
    let lines = [
        r#"{"header":{"format":"readout.v1"}}"#.to_owned(),
        format!(r#"{{"article":{{"name":"articles/{id}","uri":"urn:x"}}}}"#),
        format!(
            r#"{{"report":{{"meeting":"meetings/{id}","report":{{"name":"reports/{id}","article":"articles/{id}","account":{{"kind":"TALKS"}}}}}}}}"#
        ),
        format!(r#"{{"review":{{"meeting":"meetings/{id}","review":"REVIEWED"}}}}"#),
    ];
    fs::write(&file, lines.join("\n")).expect("the file is written");
    let file = file.to_str().expect("ASCII");
    let import = ["import", "--server", &service.address.to_string(), "--output", "json", file, file];
    let imported = run_with(("READOUT_TOKEN", token.trim()), import).await;
    assert_eq!(imported.code, Some(1), "{imported:?}");
    assert!(imported.stderr.contains(&format!("{file}:4: meetings/{id}: ROLE_TOO_LOW: ")), "{imported:?}");
    assert!(imported.stdout.contains(r#""articles":1,"meetings":1,"reports":1,"#), "{imported:?}");
    assert!(imported.stdout.ends_with("\"failed\":2,\"differs\":0}\n"), "{imported:?}");
}
