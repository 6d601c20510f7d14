//! A service with a third of the real stories and the article that the project started from. Some stories are altered,
//! so that they cover cases which no real story has.

use serde_json::{Value, json};

use super::json::{StoryMeeting, in_json_names, list, text};
use crate::support::{
    Service,
    make::streamed,
    stories::{azernews_line, lines, story},
    story_stream::{ingest_all, outcome},
};

/// A service, and the meetings of the stories that it ingested.
pub struct World {
    pub service: Service,
    pub meetings: Vec<StoryMeeting>,
}

impl World {
    /// Ingests a third of the stories, some altered.
    pub async fn new() -> Self {
        let mut stories: Vec<Value> = lines().iter().step_by(3).map(read).collect();
        stories.iter_mut().zip(0..).for_each(|(story, number)| alter(story, number));
        stories.push(read(azernews_line()));
        Self::ingesting(stories).await
    }

    /// Ingests all stories unaltered.
    pub async fn whole() -> Self {
        Self::ingesting(lines().iter().map(read).collect()).await
    }

    async fn ingesting(stories: Vec<Value>) -> Self {
        let service = Service::start().await;
        let requests: Vec<_> = stories.iter().map(|value| streamed(story(&value.to_string()))).collect();
        let answers = ingest_all(&service.ingest, requests).await;
        let mut meetings = Vec::new();
        for (story, answer) in stories.iter().zip(answers) {
            let answer = outcome(answer).expect("a story");
            for (report, settled) in list(&story["reports"]).iter().zip(&answer.meetings) {
                assert_eq!(text(&report["key"]), settled.key);
                meetings.push(StoryMeeting {
                    name: settled.meeting.clone(),
                    article: answer.article.clone(),
                    source: story["article"].clone(),
                    account: report["account"].clone(),
                    kinds: list(&story["participants"])
                        .iter()
                        .map(|sent| (text(&sent["key"]).to_owned(), text(&sent["participant"]["kind"]).to_owned()))
                        .collect(),
                    cited: list(&report["evidence"]).iter().map(|cited| in_json_names(text(&cited["field"]))).collect(),
                    participants: answer
                        .participants
                        .iter()
                        .map(|result| (result.key.clone(), result.name.clone()))
                        .collect(),
                });
            }
        }
        Self { service, meetings }
    }
}

fn read(line: impl AsRef<str>) -> Value {
    serde_json::from_str(line.as_ref()).expect("JSON")
}

/// Makes some of the stories less exact, or adds fields to them.
fn alter(story: &mut Value, number: usize) {
    let account = &mut story["reports"][0]["account"];
    let day = account["date"]["start"].clone();
    let remove = |date: &mut Value, parts: &[&str]| {
        let date = date.as_object_mut().expect("a date");
        parts.iter().for_each(|part| drop(date.remove(*part)));
    };
    match number % 15 {
        1 | 6 => remove(&mut account["date"]["start"], &["day"]),
        2 => remove(&mut account["date"]["start"], &["day", "month"]),
        3 => drop(account.as_object_mut().expect("an account").remove("date")),
        4 => account["date"]["end"] = json!({"year": day["year"].as_i64().map(|year| year + 1)}),
        // Some time within a month, within a year, and over the turn of a year.
        7..=9 => {
            let (year, month) = (day["year"].as_i64().unwrap_or(2008), day["month"].as_i64().unwrap_or(1));
            let of_month = json!({"year": year, "month": month});
            let (start, end) = match number % 15 {
                7 => (json!({"year": year, "month": month, "day": 2}), of_month),
                8 => (of_month, json!({"year": year, "month": 12})),
                _ => (of_month, json!({"year": year + 1, "month": 2, "day": 3})),
            };
            account["date"] = json!({"start": start, "end": end, "extent": "SOMETIME_WITHIN"});
        }
        _ => {}
    }
    if number % 7 == 3 {
        let by = if number.is_multiple_of(2) { "The  Ministry" } else { "Xinhua_100%" };
        let participation = account["participations"][0]["id"].clone();
        account["announcement"] = json!({"by": by, "participation": participation, "date": {"start": day}});
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
    if number % 7 == 1 {
        account["externalIds"] = json!([{"scheme": "register", "value": number.to_string()},
            {"scheme": "register", "value": format!("{number}:x")}]);
    }
    match number % 11 {
        3 => account["visitType"] = json!("STATE"),
        4 => account["visitType"] = json!("WORKING"),
        5 => {
            let place = |region: &str, locality: &str| json!({"regionCode": region, "locality": locality});
            account["stops"] =
                json!([{"place": place("JP", "Nara")}, {"place": place("XK", "Pristina"), "date": {"start": day}}]);
        }
        _ => {}
    }
    if number % 17 == 6 {
        account["status"] = json!("PLANNED");
    }
    match number % 9 {
        7 => remove(&mut story["article"]["publishDate"], &["day"]),
        8 => drop(story["article"].as_object_mut().expect("an article").remove("publishDate")),
        _ => {}
    }
}
