//! The log of the service has a line for each event.

use readout::{
    model::role::Role,
    pb::{
        CreateArticleRequest, GetArticleRequest, RetractReportRequest, article_service_client::ArticleServiceClient,
        meeting_service_client::MeetingServiceClient,
    },
};
use serde_json::Value;
use sqlx::ConnectOptions;

use crate::{
    access,
    support::{
        Service, cluster,
        data_dir::DataDir,
        make,
        program::{Program, run},
    },
};

/// The lines of events: method, principal, outcome, names.
fn lines(log: &[Value]) -> Vec<[String; 4]> {
    let events = log.iter().filter(|line| line["target"] == "readout::audit");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.map(|line| ["method", "principal", "outcome", "names"].map(|field| text(&line[field]))).collect()
}

#[tokio::test]
async fn each_event_is_a_line_of_the_log_without_the_reason() {
    let database = cluster::database().await;
    let (dir, url) = (DataDir::new(), database.to_url_lossy().to_string());
    let token = access::token(&database, "desk", Role::Curator).await;
    let args = ["--api-tokens", "--audit", "reads", "--log", "info,readout::audit=debug"];
    let program = Program::serve_beside(&dir, &url, &args).await;
    let channel = program.channel().await;
    let mut articles = ArticleServiceClient::new(channel.clone());
    let create =
        CreateArticleRequest { article: Some(make::article("urn:a")), request_id: "r-1".into(), ..Default::default() };
    let created =
        articles.create_article(access::with(&token.reveal(), create.clone())).await.unwrap().into_inner().name;
    articles.create_article(create).await.unwrap_err();
    for name in [created.as_str(), "S3cretName"] {
        let get = GetArticleRequest { name: name.into(), ..Default::default() };
        let _ = articles.get_article(access::with(&token.reveal(), get)).await;
    }
    let retract = RetractReportRequest { name: "reports/S3cret".into(), reason: "S3cret".into(), ..Default::default() };
    let _ = MeetingServiceClient::new(channel).retract_report(access::with(&token.reveal(), retract)).await;
    program.signal("TERM");
    let (code, log) = program.ended().await;
    assert_eq!(code, Some(0));
    let mut found = lines(&log);
    found.sort();
    let line = |method: &str, principal: &str, outcome: &str, names: &str| {
        [method, principal, outcome, names].map(str::to_owned)
    };
    let [create, get] = ["CreateArticle", "GetArticle"].map(|method| format!("readout.v1.ArticleService/{method}"));
    assert_eq!(
        found,
        [
            line(&create, "127.0.0.1", "CREDENTIALS_MISSING", ""),
            line(&create, "token/desk", "OK", &created),
            line(&get, "token/desk", "INVALID_FIELD", ""),
            line(&get, "token/desk", "OK", &created),
            line("readout/UseToken", "token/desk", "OK", &format!("token/desk,tokens/{}", token.id)),
        ]
    );
    let written = log.iter().find(|line| line["outcome"] == "OK" && line["method"] == create.as_str()).unwrap();
    assert_eq!((&written["level"], &written["request_id"]), (&"INFO".into(), &"r-1".into()));
    assert_eq!((&written["peer"], &written["count"]), (&"127.0.0.1".into(), &1.into()));
    assert!(!log.iter().any(|line| line.to_string().contains("S3cret")), "{log:#?}");
}

#[tokio::test]
async fn commands_on_the_database_print_their_events() {
    let service = Service::start().await;
    let article = service.create_article(make::article("urn:a")).await;
    let url = service.database.to_url_lossy().to_string();
    let ran = run(["admin", "expunge", &article.name, "--reason", "Claim 7", "--database-url", &url]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let log: Vec<Value> = ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [[method, principal, outcome, names]] = &lines(&log)[..] else { panic!("{log:#?}") };
    assert_eq!((method.as_str(), outcome.as_str(), names), ("readout/ExpungeText", "OK", &article.name));
    assert!(principal.starts_with("database/") && principal.len() > "database/".len(), "{principal}");
    assert!(!ran.stderr.contains("Claim 7"), "{ran:?}");
    let stored = super::events(&service, None, "method = ExpungeText").await;
    assert_eq!((stored[0].reason.as_str(), &stored[0].principal), ("Claim 7", principal));
}
