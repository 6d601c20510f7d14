//! Commands escape control characters in data, so that the data cannot control the terminal.

use std::fs;

use readout::pb::{Article, CreateArticleRequest};
use tempfile::tempdir;

use super::import;
use crate::support::{Service, make::person, program::run};

/// Sequences that clear the screen, change colours and reorder words.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{61c}\u{200f}\u{2028}\u{85}";

fn is_harmless(printed: &str) -> bool {
    let is_control = |letter: char| {
        (letter.is_control() && letter != '\n' && letter != '\t')
            || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !printed.contains(is_control)
}

#[tokio::test]
async fn watch_and_export_escape_terminal_control_characters() {
    let service = Service::start().await;
    let address = service.address.to_string();
    let name = format!("Aliyev {HOSTILE}");
    service.create_participant(person(&name, "AZ")).await;
    let article = Article { uri: format!("urn:{HOSTILE}"), title: HOSTILE.into(), ..Default::default() };
    let request = CreateArticleRequest { article: Some(article), ..Default::default() };
    service.articles.clone().create_article(request).await.unwrap();

    let watched =
        run(["watch", "--server", &address, "--from", "beginning", "--until-caught-up", "--include-resource"]);
    let watched = watched.await;
    assert_eq!((watched.code, watched.stdout.lines().count()), (Some(0), 2), "{watched:?}");
    assert!(is_harmless(&watched.stdout), "{:?}", watched.stdout);
    let line: serde_json::Value = serde_json::from_str(watched.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["participant"]["displayName"], name);

    let exported = run(["export", "--server", &address]).await;
    assert!(is_harmless(&exported.stdout), "{:?}", exported.stdout);
    let (dir, copy) = (tempdir().unwrap(), Service::start().await);
    let file = dir.path().join("export");
    fs::write(&file, &exported.stdout).unwrap();
    assert_eq!(import(&copy, &[&file]).await.code, Some(0));
    assert_eq!(run(["export", "--server", &copy.address.to_string()]).await.stdout, exported.stdout);
}

#[tokio::test]
async fn an_import_escapes_control_characters_in_its_errors() {
    let service = Service::start().await;
    let dir = tempdir().unwrap();
    let file = dir.path().join(format!("file{}", HOSTILE.replace('/', "")));
    let article =
        |uri: &str, more: &str| format!("{{\"article\": {{\"uri\": {}{more}}}}}", serde_json::to_string(uri).unwrap());
    let lines = [
        // Refused by the service, by the contract and by the JSON parser; then no JSON at all, and a forged line.
        article(&format!("urn:{HOSTILE}"), ", \"languageCode\": \"\u{202e}\u{9b}\""),
        article(&format!("urn:2{HOSTILE}"), ", \"\u{202e}\u{9b}titel\": \"x\""),
        article(&format!("urn:3{HOSTILE}"), ", \"title\": \u{202e}\u{9b}"),
        HOSTILE.to_owned(),
        article("urn:4\nforged:1: line", ", \"title\": 5"),
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let ran = import(&service, &[&file]).await;
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 5), "{ran:?}");
    assert!(is_harmless(&ran.stderr), "{:?}", ran.stderr);
    assert!(ran.stderr.contains("\\u{1b}[2J") && ran.stderr.contains("\\u{202e}"), "{}", ran.stderr);
}

#[tokio::test]
async fn an_error_escapes_control_characters_of_arguments() {
    let ran = run(["watch", "--server", "http://\u{1b}[31m:1"]).await;
    assert!(ran.code == Some(2) && is_harmless(&ran.stderr), "{ran:?}");
    let ran = run(["import", "--server", "127.0.0.1:1", "/no\u{1b}[31m"]).await;
    assert!(ran.code == Some(2) && is_harmless(&ran.stderr), "{ran:?}");
}
