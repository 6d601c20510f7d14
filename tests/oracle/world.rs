//! A third of the real stories and the one that the service was conceived from, told to a service; some of them altered,
//! so that they tell what the real ones never do.

use serde_json::{Value, json};

use super::json::{Told, list, text};
use crate::support::{
    Service,
    make::streamed,
    stories::{azernews_line, lines, story},
    stream::{ingest_all, outcome},
};

/// A service, and what it was told.
pub struct World {
    pub service: Service,
    pub told: Vec<Told>,
}

impl World {
    /// Of a third of the stories, altered.
    pub async fn new() -> Self {
        let mut stories: Vec<Value> = lines().iter().step_by(3).map(read).collect();
        stories.iter_mut().zip(0..).for_each(|(story, number)| alter(story, number));
        stories.push(read(azernews_line()));
        Self::telling(stories).await
    }

    /// Of all stories, as they are.
    pub async fn whole() -> Self {
        Self::telling(lines().iter().map(read).collect()).await
    }

    async fn telling(stories: Vec<Value>) -> Self {
        let service = Service::start().await;
        let requests: Vec<_> = stories.iter().map(|one| streamed(story(&one.to_string()))).collect();
        let answers = ingest_all(&service.ingest, requests).await;
        let mut told = Vec::new();
        for (story, answer) in stories.iter().zip(answers) {
            let answer = outcome(answer).expect("a story");
            for (report, settled) in list(&story["reports"]).iter().zip(&answer.meetings) {
                assert_eq!(text(&report["key"]), settled.key);
                told.push(Told {
                    meeting: settled.meeting.clone(),
                    article: answer.article.clone(),
                    source: story["article"].clone(),
                    account: report["account"].clone(),
                    names: answer.participants.iter().map(|one| (one.key.clone(), one.name.clone())).collect(),
                });
            }
        }
        Self { service, told }
    }
}

fn read(line: impl AsRef<str>) -> Value {
    serde_json::from_str(line.as_ref()).expect("JSON")
}

/// Makes some of the stories less exact, or tell more than they do.
fn alter(story: &mut Value, number: usize) {
    let account = &mut story["reports"][0]["account"];
    let day = account["date"]["start"].clone();
    let forget = |date: &mut Value, parts: &[&str]| {
        let date = date.as_object_mut().expect("a date");
        parts.iter().for_each(|part| drop(date.remove(*part)));
    };
    match number % 15 {
        1 | 6 => forget(&mut account["date"]["start"], &["day"]),
        2 => forget(&mut account["date"]["start"], &["day", "month"]),
        3 => drop(account.as_object_mut().expect("an account").remove("date")),
        4 => account["date"]["end"] = json!({"year": day["year"].as_i64().map(|year| year + 1)}),
        _ => {}
    }
    if number % 7 == 3 {
        let by = if number.is_multiple_of(2) { "The  Ministry" } else { "Xinhua_100%" };
        let who = account["participations"][0]["id"].clone();
        account["announcement"] = json!({"by": by, "participation": who, "date": {"start": day}});
    }
    if let Some(last) = account["participations"].as_array_mut().and_then(|all| all.last_mut()) {
        match number % 13 {
            4 => last["presence"] = json!("REFERENCED"),
            5 => last["presence"] = json!("REMOTE"),
            6 => last["presence"] = json!("REPRESENTED"),
            7 => last["roles"] = json!(["HEAD_OF_DELEGATION", "SIGNATORY"]),
            8 => drop(last.as_object_mut().expect("a participation").remove("roles")),
            _ => {}
        }
    }
    if number % 17 == 6 {
        account["status"] = json!("PLANNED");
    }
    match number % 9 {
        7 => forget(&mut story["article"]["publishDate"], &["day"]),
        8 => drop(story["article"].as_object_mut().expect("an article").remove("publishDate")),
        _ => {}
    }
}
