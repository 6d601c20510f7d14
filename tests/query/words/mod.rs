//! Full text of all collections and languages: any part of a text without spaces, beginnings of words, meetings and
//! participants.

mod meetings;
mod participants;
mod recall;
mod sizes;

use readout::{
    model::query::search::{is_query_language, stem_config},
    pb::Snippet,
};
use sqlx::{ConnectOptions, Connection};

use crate::support::Service;

/// The highlighted parts of a text. Checks that the excerpt is a part of the text.
fn highlighted(snippet: &Snippet, text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let index = |offset: i32| usize::try_from(offset).unwrap();
    let end = index(snippet.start) + snippet.text.chars().count();
    assert_eq!(chars[index(snippet.start)..end].iter().collect::<String>(), snippet.text);
    snippet.highlights.iter().map(|range| chars[index(range.start)..index(range.end)].iter().collect()).collect()
}

#[tokio::test]
async fn service_and_database_know_the_same_languages() {
    let service = Service::start().await;
    let mut connection = service.database.connect().await.unwrap();
    let letters = || 'a'..='z';
    let two = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
    let three = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
    let codes: Vec<String> = two.chain(three).chain(["en-GB", "DE-at", "english"].map(str::to_owned)).collect();
    let query = "select code, search_config(code)::text from unnest($1::text[]) as input (code)";
    let configs: Vec<(String, Option<String>)> =
        sqlx::query_as(query).bind(&codes).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    for (code, config) in configs {
        assert_eq!(stem_config(&code), config.as_deref(), "{code}");
        assert!(config.is_none() || is_query_language(&code), "{code}");
    }
}
