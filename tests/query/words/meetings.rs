//! ListMeetings with a query: the own texts of meetings and their statements, now and as of a time.

use std::time::SystemTime;

use readout::pb::{Account, ListMeetingsRequest, ListMeetingsResponse, Meeting, Statement, View, snippet::Source};

use super::highlighted;
use crate::support::{Refused, Service, make};

fn request(query: &str) -> ListMeetingsRequest {
    ListMeetingsRequest { query: query.into(), ..Default::default() }
}

impl Service {
    async fn find_meetings(&self, request: ListMeetingsRequest) -> ListMeetingsResponse {
        let query = request.query.clone();
        let page = self.meetings.clone().list_meetings(request).await;
        let page = page.unwrap_or_else(|status| panic!("{query}: {status}")).into_inner();
        assert_eq!(page.snippets.len(), if query.is_empty() { 0 } else { page.meetings.len() });
        page
    }

    /// The titles of the meetings that a query finds, sorted.
    async fn titles(&self, request: ListMeetingsRequest) -> Vec<String> {
        let mut titles: Vec<String> =
            self.find_meetings(request).await.meetings.iter().map(|meeting| title(meeting).to_owned()).collect();
        titles.sort_unstable();
        titles
    }
}

fn title(meeting: &Meeting) -> &str {
    &meeting.account.as_ref().unwrap().title
}

fn account(title: &str, summary: &str, topics: &[&str], statements: &[(&str, &str)]) -> Account {
    let statement = |(number, (language, text)): (usize, &(&str, &str))| Statement {
        id: format!("s{number}"),
        text: (*text).into(),
        language_code: (*language).into(),
        ..Default::default()
    };
    Account {
        summary: summary.into(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        statements: statements.iter().enumerate().map(statement).collect(),
        ..make::talks(title)
    }
}

async fn world() -> (Service, Vec<Meeting>) {
    let service = Service::start().await;
    let article = service.create_article(make::article("urn:a")).await;
    let mut meetings = Vec::new();
    for account in [
        account(
            "Defence talks",
            "The ministers spoke in Baku.",
            &["gas-transit"],
            &[("en", "We shall build pipelines.")],
        ),
        account("Trade talks", "", &[], &[("de", "Die Verhandlungen über Gas begannen."), ("zh", "双方将深化合作")]),
        account("会谈", "总书记苏林访华", &["energy"], &[]),
    ] {
        meetings.push(service.create_meeting(&article, account).await.unwrap());
    }
    (service, meetings)
}

#[tokio::test]
async fn meetings_are_found_by_title_summary_topics_and_statements() {
    let (service, _) = world().await;
    let (defence, trade, chinese) = ("Defence talks", "Trade talks", "会谈");
    for (query, language, expected) in [
        ("talks", "", &[defence, trade][..]),
        ("talk", "", &[defence, trade]),
        ("minister", "", &[defence]),
        ("minister", "simple", &[]),
        ("minist*", "", &[defence]),
        ("transit", "", &[defence]),
        ("pipeline", "", &[defence]),
        ("gas", "", &[defence, trade]),
        ("Verhandlung", "de", &[trade]),
        ("Verhandlung", "", &[]),
        // The words are in different texts of a meeting.
        ("defence pipelines baku", "", &[defence]),
        ("the pipelines", "", &[defence]),
        ("trade pipelines", "", &[]),
        ("\"defence pipelines\"", "", &[]),
        ("talks -pipelines", "", &[trade]),
        ("talks -gas", "", &[]),
        ("-talks", "", &[chinese]),
        ("pipelines or 苏林", "", &[defence, chinese]),
        ("苏林", "zh", &[chinese]),
        ("访", "", &[chinese]),
        ("深化合作", "", &[trade]),
        ("合", "", &[trade]),
        ("!?", "", &[]),
        ("", "", &[defence, trade, chinese]),
    ] {
        let request = ListMeetingsRequest { query_language: language.into(), ..request(query) };
        assert_eq!(service.titles(request).await, expected, "{query}");
    }
    let filtered = ListMeetingsRequest { filter: "topic = \"gas-transit\"".into(), ..request("gas") };
    assert_eq!(service.titles(filtered).await, [defence]);
    for (query, language, field) in [("*", "", "query"), ("talks", "klingon", "query_language")] {
        let request = ListMeetingsRequest { query_language: language.into(), ..request(query) };
        let refused = service.meetings.clone().list_meetings(request).await.unwrap_err();
        assert_eq!(Refused::from(refused).fields, [field]);
    }
}

#[tokio::test]
async fn meetings_have_snippets_of_the_text_that_matches() {
    let (service, meetings) = world().await;
    let report =
        async |meeting: &Meeting| service.report_names_of(&meeting.name).await.first().unwrap().replace("reports/", "");
    for (query, language, source, text, shown, place) in [
        (
            "ministers talks",
            "",
            Source::Summary,
            "The ministers spoke in Baku.",
            &["ministers"][..],
            (0, String::new()),
        ),
        ("defence", "", Source::Title, "Defence talks", &["Defence"], (0, String::new())),
        ("transit", "", Source::Topic, "gas-transit", &["transit"], (0, String::new())),
        (
            "pipeline",
            "",
            Source::Statement,
            "We shall build pipelines.",
            &["pipelines"],
            (0, format!("{}/s0", report(&meetings[0]).await)),
        ),
        (
            "Verhandlung",
            "de",
            Source::Statement,
            "Die Verhandlungen über Gas begannen.",
            &["Verhandlungen"],
            (0, format!("{}/s0", report(&meetings[1]).await)),
        ),
        ("深化", "", Source::Statement, "双方将深化合作", &["深化"], (0, format!("{}/s1", report(&meetings[1]).await))),
        ("总书记", "", Source::Summary, "总书记苏林访华", &["总书记"], (0, String::new())),
    ] {
        for view in [View::Basic, View::Full] {
            let request = ListMeetingsRequest { query_language: language.into(), view: view.into(), ..request(query) };
            let found = service.find_meetings(request).await;
            let snippet = &found.snippets[0];
            assert_eq!((snippet.source(), &*snippet.text), (source, text), "{query}");
            assert_eq!(highlighted(snippet, text), shown, "{query}");
            assert_eq!((snippet.index, snippet.statement.clone()), place, "{query}");
            if view == View::Full && source == Source::Statement {
                let statements = &found.meetings[0].account.as_ref().unwrap().statements;
                assert!(statements.iter().any(|statement| statement.id == snippet.statement && statement.text == text));
            }
        }
    }
}

#[tokio::test]
async fn meetings_are_ranked_paged_and_streamed() {
    let service = Service::start().await;
    let article = service.create_article(make::article("urn:a")).await;
    for number in 0..9 {
        let said = format!("{} number {number}", "peace ".repeat(1 + number % 3));
        let title = if number == 8 { "Peace" } else { "Talks" };
        service.create_meeting(&article, account(title, "", &[], &[("en", &said)])).await.unwrap();
    }
    let all: Vec<String> =
        service.find_meetings(request("peace")).await.meetings.into_iter().map(|meeting| meeting.name).collect();
    assert_eq!(all.len(), 9);
    assert_eq!(title(&service.find_meetings(request("peace")).await.meetings[0]), "Peace");
    for page_size in [1, 4] {
        let mut request = ListMeetingsRequest { page_size, ..request("peace") };
        let mut paged = Vec::new();
        loop {
            let page = service.find_meetings(request.clone()).await;
            paged.extend(page.meetings.into_iter().map(|meeting| meeting.name));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(paged, all);
        let request = ListMeetingsRequest { page_size, ..self::request("peace") };
        let mut chunks = service.meetings.clone().stream_meetings(request).await.unwrap().into_inner();
        let mut streamed = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            assert_eq!(chunk.snippets.len(), chunk.meetings.len());
            streamed.extend(chunk.meetings.into_iter().map(|meeting| meeting.name));
        }
        assert_eq!(streamed, all);
    }
    let by_name = ListMeetingsRequest { order_by: "name".into(), ..request("peace") };
    assert!(service.find_meetings(by_name).await.meetings.is_sorted_by_key(|meeting| meeting.name.clone()));
}

#[tokio::test]
async fn meetings_of_a_time_are_found_by_the_words_of_then() {
    let (service, meetings) = world().await;
    let queries = [
        "talks",
        "pipelines",
        "talk pipeline",
        "-pipelines",
        "summit",
        "gas -summit",
        "Verhandlung*",
        "苏林",
        "合作",
        "the of",
    ];
    let mut before = Vec::new();
    for query in queries {
        before.push(service.find_meetings(request(query)).await);
    }
    let read_time = Some(SystemTime::now().into());
    let article = service.create_article(make::article("urn:b")).await;
    let later = account("Summit", "A summit in Ganja.", &[], &[("en", "The summit ended: no pipelines.")]);
    service.add_report(&meetings[1].name, &article.name, later).await.unwrap();
    let report = service.report_names_of(&meetings[0].name).await.first().unwrap().clone();
    service.retract_report(&report).await.unwrap();
    service.delete_meeting(&meetings[2].name).await.unwrap();
    assert_eq!(service.titles(request("pipelines")).await.len(), 1);
    for (query, before) in queries.iter().zip(before) {
        let request = ListMeetingsRequest { read_time, ..request(query) };
        let then = service.find_meetings(request.clone()).await;
        assert_eq!(then.meetings, before.meetings, "{query}");
        let mut paged = Vec::new();
        let mut request = ListMeetingsRequest { page_size: 1, ..request };
        loop {
            let page = service.find_meetings(request.clone()).await;
            paged.extend(page.meetings);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(paged, before.meetings, "{query}");
    }
}
