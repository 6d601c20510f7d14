//! The answers to many questions as of a time, as text: to compare those that were given then with those of later.

use std::collections::BTreeSet;

use chrono::DateTime;
use prost::Message;
use prost_types::Timestamp;
use readout::{
    cli::json,
    pb::{
        AggregateMeetingsRequest, AggregateStatementsRequest, FindPathRequest, ListArticlesRequest,
        ListCounterpartsRequest, ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest,
        ListStatementsRequest, View, list_counterparts_request::GroupBy,
    },
};
use tonic::Status;
use tonic_types::StatusExt;

use crate::support::{Service, program::run};

/// The records that the questions are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    pub participants: BTreeSet<String>,
    pub articles: BTreeSet<String>,
    pub meetings: BTreeSet<String>,
    /// Names of participants, as they are written.
    pub names: Vec<String>,
}

/// The groupings that are counted.
const GROUPINGS: [&[&str]; 11] = [
    &[],
    &["kind"],
    &["year"],
    &["month", "status"],
    &["quarter", "region"],
    &["region_pair"],
    &["topic", "place.region"],
    &["seniority"],
    &["participant"],
    &["participant_pair"],
    &["participant", "year"],
];

/// The groupings of statements that are counted.
const STATEMENT_GROUPINGS: [&[&str]; 11] = [
    &[],
    &["speaker"],
    &["region"],
    &["topic", "act"],
    &["speaker", "topic"],
    &["month", "speaker"],
    &["quarter", "language"],
    &["year", "region"],
    &["meeting", "speaker_kind"],
    &["article", "quotation"],
    &["act"],
];

fn line<M: Message>(question: &str, kind: &str, record: &M) -> String {
    format!("{question}: {}", json::print(&format!("readout.v1.{kind}"), record).expect("ProtoJSON"))
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

impl Service {
    /// Asks all questions about these records; with `read_time` as of this time.
    pub async fn answers(&self, of: &Subjects, read_time: Option<Timestamp>) -> Vec<String> {
        let mut lines = self.meeting_answers(of, read_time).await;
        lines.extend(self.article_answers(read_time).await);
        lines.extend(self.participant_answers(of, read_time).await);
        lines.extend(self.report_answers(of, read_time).await);
        lines.extend(self.statement_answers(of, read_time).await);
        lines.extend(self.counts_of(read_time).await);
        lines.extend(self.statement_counts_of(of, read_time).await);
        lines.extend(self.people_answers(of, read_time).await);
        lines.extend(self.exported_lines(read_time).await);
        lines
    }

    async fn exported_lines(&self, read_time: Option<Timestamp>) -> Vec<String> {
        let address = self.address.to_string();
        let time = read_time.and_then(|time| DateTime::from_timestamp(time.seconds, time.nanos as u32));
        let time = time.map(|time| time.to_rfc3339()).unwrap_or_default();
        let mut arguments = vec!["export", "--server", &address];
        if !time.is_empty() {
            arguments.extend(["--read-time", &time]);
        }
        let ran = run(arguments).await;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout.lines().map(|line| format!("export {line}")).collect()
    }

    async fn meeting_answers(&self, of: &Subjects, read_time: Option<Timestamp>) -> Vec<String> {
        let mut filters: Vec<String> =
            ["", "kind = TALKS", "NOT topic:\"peace\"", "date >= \"2003\" AND region = \"AZ\"", "has_dispute = true"]
                .map(str::to_owned)
                .into();
        filters.extend(["report_count > 1", "independent_source_count = 1", "review = REVIEWED"].map(str::to_owned));
        filters.extend(of.participants.iter().map(|name| format!("participant = \"{name}\"")));
        filters
            .extend(of.participants.iter().take(4).map(|name| format!("NOT participant((participant = \"{name}\"))")));
        filters.extend(of.articles.iter().take(8).map(|name| format!("article = \"{name}\"")));
        filters.extend(of.articles.iter().take(3).map(|name| format!("NOT article = \"{name}\"")));
        let orders = ["", "date desc", "update_time", "create_time desc", "independent_source_count desc"];
        let mut lines = Vec::new();
        for (number, filter) in filters.into_iter().enumerate() {
            let order_by = orders[number % orders.len()].to_owned();
            let view = if number % 3 == 0 { View::Full } else { View::Basic };
            let mut request = ListMeetingsRequest {
                filter,
                order_by,
                view: view.into(),
                show_deleted: number % 4 == 1,
                page_size: 1 + number as i32 % 7,
                read_time,
                ..Default::default()
            };
            let question = format!("meetings {} {}", request.filter, request.order_by);
            lines.push(question.clone());
            loop {
                let page = self.meetings.clone().list_meetings(request.clone()).await.expect("a page").into_inner();
                lines.extend(page.meetings.iter().map(|meeting| line(&question, "Meeting", meeting)));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            let request = ListMeetingsRequest { page_token: String::new(), page_size: 4, ..request };
            let mut pages = self.meetings.clone().stream_meetings(request).await.expect("a stream").into_inner();
            while let Some(page) = pages.message().await.expect("a page") {
                lines.extend(page.meetings.iter().map(|meeting| format!("streamed {}", meeting.etag)));
            }
        }
        lines
    }

    async fn article_answers(&self, read_time: Option<Timestamp>) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, (filter, query, order_by)) in [
            ("", "", "publish_date desc"),
            ("language = \"en\"", "", "update_time desc"),
            ("NOT section = \"sport\"", "", ""),
            ("", "met", ""),
            ("", "peace -war", ""),
            ("", "story or peace", "publish_date"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut request = ListArticlesRequest {
                filter: filter.into(),
                query: query.into(),
                order_by: order_by.into(),
                view: if number % 2 == 0 { View::Full } else { View::Basic }.into(),
                show_deleted: number == 2,
                page_size: 3 + number as i32,
                read_time,
                ..Default::default()
            };
            let question = format!("articles {filter} {query} {order_by}");
            loop {
                let page = self.articles.clone().list_articles(request.clone()).await.expect("a page").into_inner();
                lines.extend(page.articles.iter().map(|article| line(&question, "Article", article)));
                lines.extend(page.snippets.iter().map(|snippet| line(&question, "Snippet", snippet)));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
        }
        lines
    }

    async fn participant_answers(&self, of: &Subjects, read_time: Option<Timestamp>) -> Vec<String> {
        let mut filters: Vec<String> = ["", "region = \"RU\"", "NOT kind = PERSON"].map(str::to_owned).into();
        filters.extend(of.names.iter().map(|name| format!("name = \"{name}\"")));
        filters.extend(of.names.iter().take(2).map(|name| format!("NOT name = \"{name}\"")));
        let mut lines = Vec::new();
        for (number, filter) in filters.into_iter().enumerate() {
            let mut request = ListParticipantsRequest {
                filter,
                order_by: ["", "update_time desc", "create_time"][number % 3].to_owned(),
                show_deleted: number % 4 == 3,
                page_size: 5,
                read_time,
                ..Default::default()
            };
            let question = format!("participants {}", request.filter);
            loop {
                let page = self.participants.clone().list_participants(request.clone()).await.expect("a page");
                let page = page.into_inner();
                lines.extend(page.participants.iter().map(|person| line(&question, "Participant", person)));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
        }
        lines
    }

    async fn report_answers(&self, of: &Subjects, read_time: Option<Timestamp>) -> Vec<String> {
        let of_meetings = of.meetings.iter().map(|meeting| (meeting.clone(), String::new()));
        let of_articles = of.articles.iter().map(|article| (String::new(), article.clone()));
        let mut lines = Vec::new();
        for (meeting, article) in of_meetings.chain(of_articles) {
            let question = format!("reports {meeting} {article}");
            let request = ListReportsRequest { meeting, article, read_time, page_size: 1_000, ..Default::default() };
            let page = self.meetings.clone().list_reports(request).await.expect("a page").into_inner();
            lines.extend(page.reports.iter().map(|report| line(&question, "Report", report)));
        }
        lines
    }

    async fn statement_answers(&self, of: &Subjects, read_time: Option<Timestamp>) -> Vec<String> {
        let mut filters: Vec<String> =
            ["", "region = \"RU\"", "NOT topic:\"peace\"", "date >= \"2004\"", "act = STRESS", "language = \"en\""]
                .map(str::to_owned)
                .into();
        filters.extend(of.participants.iter().map(|name| format!("speaker = \"{name}\"")));
        filters.extend(of.participants.iter().take(2).map(|name| format!("NOT speaker = \"{name}\"")));
        filters.extend(of.meetings.iter().take(5).map(|name| format!("meeting = \"{name}\"")));
        let mut lines = Vec::new();
        for (number, filter) in filters.into_iter().enumerate() {
            let (query, order_by) =
                [("", ""), ("trust", ""), ("", "date desc"), ("peace or war", "date"), ("", "name desc")][number % 5];
            let mut request = ListStatementsRequest {
                filter,
                query: query.into(),
                order_by: order_by.into(),
                page_size: 1 + number as i32 % 6,
                read_time,
                ..Default::default()
            };
            let question = format!("statements {} {query} {order_by}", request.filter);
            loop {
                let page = self.meetings.clone().list_statements(request.clone()).await.expect("a page").into_inner();
                let kind = "ListStatementsResponse.Result";
                lines.extend(page.results.iter().map(|result| line(&question, kind, result)));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
        }
        lines
    }

    async fn counts_of(&self, read_time: Option<Timestamp>) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, words) in GROUPINGS.into_iter().enumerate() {
            for filter in ["", "NOT status = PLANNED", "region = \"RU\""] {
                let request = AggregateMeetingsRequest {
                    filter: filter.into(),
                    group_by: words.iter().map(|word| (*word).to_owned()).collect(),
                    order_by: ["", "key", "participant_count desc"][number % 3].into(),
                    count_participants: number % 2 == 0,
                    page_size: 40,
                    read_time,
                };
                let mut counted = self.meetings.clone().aggregate_meetings(request).await.expect("counts").into_inner();
                counted.as_of.clear();
                lines.push(line(&format!("counts {words:?} {filter}"), "AggregateMeetingsResponse", &counted));
            }
        }
        lines
    }

    async fn statement_counts_of(&self, of: &Subjects, read_time: Option<Timestamp>) -> Vec<String> {
        let speaker = of.participants.first().map(|name| format!("NOT speaker = \"{name}\"")).unwrap_or_default();
        let mut lines = Vec::new();
        for (number, words) in STATEMENT_GROUPINGS.into_iter().enumerate() {
            for (filter, query) in [("", ""), ("NOT topic:\"trade\"", "peace or war"), (&speaker, "")] {
                let request = AggregateStatementsRequest {
                    filter: filter.into(),
                    query: query.into(),
                    group_by: words.iter().map(|word| (*word).to_owned()).collect(),
                    order_by: ["", "key"][number % 2].into(),
                    page_size: 40,
                    read_time,
                    ..Default::default()
                };
                let counted = self.meetings.clone().aggregate_statements(request).await.expect("counts");
                let mut counted = counted.into_inner();
                counted.as_of.clear();
                let question = format!("statement counts {words:?} {filter} {query}");
                lines.push(line(&question, "AggregateStatementsResponse", &counted));
            }
        }
        lines
    }

    async fn people_answers(&self, of: &Subjects, read_time: Option<Timestamp>) -> Vec<String> {
        let mut lines = Vec::new();
        let participants: Vec<&String> = of.participants.iter().collect();
        for (number, participant) in participants.iter().enumerate() {
            for group_by in [GroupBy::Participant, GroupBy::Region] {
                let filter = if number % 3 == 0 { "status = HELD" } else { "" };
                let question = format!("counterparts {participant} {group_by:?}");
                let mut request = ListCounterpartsRequest {
                    participant: (*participant).clone(),
                    group_by: group_by.into(),
                    filter: filter.into(),
                    page_size: 3,
                    read_time,
                    ..Default::default()
                };
                loop {
                    let page = match self.participants.clone().list_counterparts(request.clone()).await {
                        Ok(page) => page.into_inner(),
                        Err(status) => {
                            lines.push(format!("{question}: {}", reason(&status)));
                            break;
                        }
                    };
                    let kind = "ListCounterpartsResponse.Counterpart";
                    lines.extend(page.counterparts.iter().map(|met| line(&question, kind, met)));
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
            }
            let target = participants[(number * 7 + 3) % participants.len()];
            let request = FindPathRequest {
                source: (*participant).clone(),
                target: target.clone(),
                filter: if number % 4 == 0 { "kind = TALKS" } else { "" }.into(),
                read_time,
                ..Default::default()
            };
            let question = format!("path {participant} {target}");
            lines.push(match self.participants.clone().find_path(request).await {
                Ok(path) => line(&question, "FindPathResponse", &path.into_inner()),
                Err(status) => format!("{question}: {}", reason(&status)),
            });
        }
        lines
    }
}
