//! All that a service says of its records, by names instead of ids: two services that received the same stories say the
//! same.

use std::{collections::BTreeMap, fmt::Write};

use prost::Message;
use readout::{
    cli::json,
    model::identity::door_keys,
    pb::{
        AggregateMeetingsRequest, ListCounterpartsRequest, ListMeetingsRequest, Participant,
        list_counterparts_request::GroupBy,
    },
};
use serde_json::Value;

use crate::support::{Service, program::run};

/// The fields that the order of writes decides.
const OMITTED: [&str; 9] =
    ["etag", "revision", "createTime", "updateTime", "reportedTime", "time", "displayName", "names", "articleRevision"];

/// The lines of a service, sorted.
pub type Picture = Vec<String>;

impl Service {
    /// Reads everything at rest.
    pub async fn picture(&self) -> Picture {
        let participants = self.all_participants().await;
        let contents = self.contents().await;
        let mut names = Names::default();
        participants.iter().for_each(|participant| names.add(&participant.name, described(participant)));
        for article in &contents.articles {
            names.add(&article.name, article.uri.clone());
        }
        for report in &contents.reports {
            names.add(&report.name, format!("report in {}", names.of(&report.article)));
        }
        for meeting in &contents.meetings {
            names.add(&meeting.name, meeting.account.clone().unwrap_or_default().title);
        }

        let mut lines = Vec::new();
        participants.iter().for_each(|record| lines.push(names.line("readout.v1.Participant", record)));
        contents.articles.iter().for_each(|record| lines.push(names.line("readout.v1.Article", record)));
        contents.reports.iter().for_each(|record| lines.push(names.line("readout.v1.Report", record)));
        contents.meetings.iter().for_each(|record| lines.push(names.line("readout.v1.Meeting", record)));
        for participant in &participants {
            lines.extend(self.answers_about(participant, &names).await);
        }
        lines.extend(self.counts(&names).await);
        lines.extend(self.exported(&names).await);
        lines.sort();
        lines
    }

    async fn answers_about(&self, participant: &Participant, names: &Names) -> Vec<String> {
        let of = names.of(&participant.name);
        let mut lines = Vec::new();
        let filters = ["participant = \"NAME\"", "participant((participant = \"NAME\"))"];
        for filter in filters.map(|filter| filter.replace("NAME", &participant.name)) {
            let mut request = ListMeetingsRequest { filter, page_size: 1_000, ..Default::default() };
            request.order_by = "date".into();
            let page = self.meetings.clone().list_meetings(request).await.unwrap().into_inner();
            let mut titles: Vec<String> = page.meetings.iter().map(|meeting| names.of(&meeting.name)).collect();
            titles.sort();
            lines.push(format!("meetings of {of}: {titles:?}"));
        }
        for group_by in [GroupBy::Participant, GroupBy::Region] {
            let request = ListCounterpartsRequest {
                participant: participant.name.clone(),
                group_by: group_by.into(),
                page_size: 1_000,
                ..Default::default()
            };
            let page = self.participants.clone().list_counterparts(request).await.unwrap().into_inner();
            let kind = "readout.v1.ListCounterpartsResponse.Counterpart";
            lines.extend(page.counterparts.iter().map(|met| format!("{of} met {}", names.line(kind, met))));
        }
        lines
    }

    async fn counts(&self, names: &Names) -> Vec<String> {
        let mut lines = Vec::new();
        for words in [&["region"][..], &["participant"], &["participant_pair"], &["year"]] {
            let request = AggregateMeetingsRequest {
                group_by: words.iter().map(|word| (*word).to_owned()).collect(),
                page_size: 1_000,
                count_participants: true,
                ..Default::default()
            };
            let counted = self.meetings.clone().aggregate_meetings(request).await.unwrap().into_inner();
            for group in counted.groups {
                let mut keys: Vec<String> =
                    group.keys.values().flat_map(|key| key.split(',')).map(|key| names.of(key)).collect();
                keys.sort();
                lines.push(format!("{words:?} {keys:?}: {} and {}", group.meeting_count, group.participant_count));
            }
        }
        lines
    }

    async fn exported(&self, names: &Names) -> Vec<String> {
        let ran = run(["export", "--server", &self.address.to_string()]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let records = ran.stdout.lines().filter(|line| !line.contains("\"header\""));
        records.map(|line| format!("export {}", names.text(serde_json::from_str(line).unwrap()))).collect()
    }
}

/// The names of a participant, with its region. No two participants of these tests have the same.
fn described(participant: &Participant) -> String {
    let mut text = door_keys(participant).into_iter().collect::<Vec<_>>().join("/");
    let _ = write!(text, " [{}]", participant.region_code);
    text
}

/// The descriptions of records, by resource name.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn add(&mut self, name: &str, description: String) {
        // The id of a settled participation is the uuid of its participant.
        let uuid = name.split_once('/').map_or(name, |(_, uuid)| uuid);
        self.0.extend([name, uuid].map(|name| (name.to_owned(), description.clone())));
    }

    fn of(&self, name: &str) -> String {
        if let Some((before, rest)) = name.split_once('[')
            && let Some((id, after)) = rest.split_once(']')
        {
            return format!("{before}[{}]{after}", self.0.get(id).map_or(id, String::as_str));
        }
        self.0.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    fn line<M: Message>(&self, kind: &str, record: &M) -> String {
        let text = json::print(kind, record).unwrap();
        format!("{kind} {}", self.text(serde_json::from_str(&text).unwrap()))
    }

    fn text(&self, mut value: Value) -> String {
        self.replace(&mut value);
        value.to_string()
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.of(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(fields) => {
                OMITTED.iter().for_each(|omitted| drop(fields.remove(*omitted)));
                fields.values_mut().for_each(|value| self.replace(value));
                // Its order is that of ids.
                if let Some(Value::Array(paths)) = fields.get_mut("fragileFields") {
                    paths.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                }
            }
            _ => {}
        }
    }
}
