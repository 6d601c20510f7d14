//! `ListStatements`: statements found by speaker, act, date, topic and words, as their meetings have them.

use std::collections::BTreeMap;

use readout::{
    cli::json,
    pb::{
        Account, Date, DateSpan, ListStatementsRequest, ListStatementsResponse, Participation, Statement, Story,
        article::TextRights,
        date_span::Basis,
        list_statements_response::Result as Found,
        snippet::Source,
        statement::{Act, Quotation, SpeakerKind},
    },
};
use tonic::{Response, Status};

use crate::support::{
    Refused, Service,
    make::{article, ingest, named, person, present, talks},
};

fn query_request(filter: &str, query: &str) -> ListStatementsRequest {
    ListStatementsRequest { filter: filter.into(), query: query.into(), ..Default::default() }
}

impl Service {
    async fn statements(&self, request: ListStatementsRequest) -> Result<ListStatementsResponse, Status> {
        self.meetings.clone().list_statements(request).await.map(Response::into_inner)
    }

    async fn found_statements(&self, filter: &str, query: &str) -> Vec<Found> {
        let page = self.statements(query_request(filter, query)).await;
        page.unwrap_or_else(|status| panic!("{filter} {query}: {status}")).results
    }

    /// The texts of the statements that are found, in order.
    async fn statement_texts(&self, filter: &str, query: &str) -> Vec<String> {
        self.found_statements(filter, query)
            .await
            .into_iter()
            .filter_map(|found| found.statement)
            .map(|statement| statement.text)
            .collect()
    }
}

fn statement(id: &str, speakers: &[&str], text: &str) -> Statement {
    let speakers = speakers.iter().map(|id| (*id).to_owned()).collect();
    Statement { id: id.into(), speakers, text: text.into(), ..Default::default() }
}

fn of_region(participation: Participation, region: &str) -> Participation {
    Participation { region_code: region.into(), ..participation }
}

/// Talks with these participations and statements on a day of September 2020, or without a date if `day` is 0.
fn talks_on(day: i32, participations: &[Participation], statements: &[Statement]) -> Account {
    let start = Some(Date { year: 2020, month: 9, day }).filter(|_| day > 0);
    Account {
        date: Some(DateSpan { start, basis: Basis::Stated.into(), ..Default::default() }),
        participations: participations.into(),
        statements: statements.into(),
        ..talks("Talks")
    }
}

#[tokio::test]
async fn list_statements_answers_what_azerbaijani_officials_said_about_nagorno_karabakh() {
    let service = Service::start().await;
    let story: Story = json::parse("readout.v1.Story", include_str!("data/azernews.story.json")).unwrap();
    let answer = service.ingest.clone().ingest_story(ingest(story)).await.unwrap().into_inner();
    let participant =
        |key: &str| answer.participants.iter().find(|participant| participant.key == key).unwrap().name.clone();
    let talks = answer.meetings.iter().find(|meeting| meeting.key == "talks").unwrap();

    let about = service.found_statements("region = AZ topic = nagorno-karabakh", "").await;
    let texts: Vec<_> = about.iter().map(|found| found.statement.as_ref().unwrap().text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].ends_with("Nagorno-Karabakh conflict remains major threat to peace and stability in the region"));
    assert!(texts[1].starts_with("the importance of the settlement the conflict within the framework"));
    for found in &about {
        let statement = found.statement.as_ref().unwrap();
        assert_eq!(statement.speakers, [participant("veliyev").strip_prefix("participants/").unwrap()]);
        assert_eq!((&found.meeting, &found.report, &found.article), (&talks.meeting, &talks.report, &answer.article));
        assert_eq!(found.date.as_ref().unwrap().start, Some(Date { year: 2020, month: 9, day: 3 }));
        assert!(found.snippet.is_none());
    }

    // The statements are also found by their words and by their speaker.
    let named = service.found_statements("region = AZ", "\"Nagorno-Karabakh\"").await;
    assert_eq!(named.iter().map(|found| &found.statement).collect::<Vec<_>>(), [&about[0].statement]);
    let snippet = named[0].snippet.as_ref().unwrap();
    assert_eq!((snippet.source(), snippet.highlights.len()), (Source::Text, 2));
    assert_eq!(
        service.found_statements(&format!("speaker = \"{}\" act = POINT_OUT", participant("veliyev")), "").await.len(),
        1
    );
    assert_eq!(
        service.statement_texts(&format!("speaker = \"{}\"", participant("tsalikov")), "conflicts").await.len(),
        0
    );
    assert_eq!(service.statement_texts("region = RU region = AZ", "").await.len(), 2);
    assert_eq!(service.statement_texts("speaker_kind = JOINT", "military").await.len(), 1);

    // The statements are those of the settled accounts of their meetings.
    let all = service.found_statements("", "").await;
    assert_eq!(all.len(), 10);
    let mut by_meeting: BTreeMap<&str, Vec<Statement>> = BTreeMap::new();
    for found in &all {
        by_meeting.entry(&found.meeting).or_default().extend(found.statement.clone());
    }
    for (meeting, statements) in by_meeting {
        assert_eq!(service.meeting(meeting).await.account.unwrap().statements, statements);
    }
}

#[tokio::test]
async fn list_statements_filters_by_each_field() {
    let service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await.name;
    let first = service.create_article(article("urn:first")).await;
    let other = service.create_article(readout::pb::Article { language_code: String::new(), ..article("urn:o") }).await;
    let participations = [
        of_region(present("v", &veliyev), "AZ"),
        of_region(named("t", "Ruslan Tsalikov"), "RU"),
        // This participation has no region, although the participant has one.
        present("w", &veliyev),
    ];
    let statements = [
        Statement {
            act: Act::Stress.into(),
            speaker_kind: SpeakerKind::Joint.into(),
            quotation: Quotation::Direct.into(),
            topics: vec!["trade".into(), "peace".into()],
            language_code: "ru".into(),
            ..statement("1", &["v", "t"], "one")
        },
        Statement { act: Act::Say.into(), topics: vec!["peace".into()], ..statement("2", &["t"], "two") },
        statement("3", &["w"], "three"),
    ];
    let meeting = service.create_meeting(&first, talks_on(3, &participations, &statements)).await.unwrap().name;
    let undated = service
        .create_meeting(&other, talks_on(0, &participations[1..2], &[statement("4", &["t"], "four")]))
        .await
        .unwrap()
        .name;
    for (filter, found) in [
        ("", &["one", "two", "three", "four"][..]),
        (&format!("speaker = \"{veliyev}\""), &["one", "three"]),
        (&format!("speaker != \"{veliyev}\""), &["two", "four"]),
        ("region = AZ", &["one"]),
        ("region = RU", &["one", "two", "four"]),
        ("NOT region = RU", &["three"]),
        ("act = STRESS", &["one"]),
        ("act != STRESS", &["two", "three", "four"]),
        ("speaker_kind = JOINT", &["one"]),
        ("quotation = DIRECT", &["one"]),
        ("topic = peace", &["one", "two"]),
        ("topic = peace AND topic != trade", &["two"]),
        ("language = ru", &["one"]),
        ("language = en", &["two", "three"]),
        ("language != en", &["one", "four"]),
        ("date = 2020-09", &["one", "two", "three"]),
        ("date > 2020-09-02 date <= 2020-09-03", &["one", "two", "three"]),
        ("date < 2020-09-03 OR date > 2020-09-03", &[]),
        ("date != 2020", &["four"]),
        (&format!("meeting = \"{undated}\""), &["four"]),
        (&format!("meeting != \"{undated}\" act = SAY"), &["two"]),
        (&format!("article = \"{}\"", first.name), &["one", "two", "three"]),
        ("act = SAY OR quotation = DIRECT", &["one", "two"]),
    ] {
        assert_eq!(service.statement_texts(filter, "").await, found, "{filter}");
    }
    for filter in ["act = SHOUT", "speakers = 1", "speaker = AZ", "kind = TALKS"] {
        assert_eq!(Refused::from(service.statements(query_request(filter, "")).await.unwrap_err()).fields, ["filter"]);
    }
    let dates: Vec<_> =
        service.found_statements("", "").await.into_iter().map(|found| (found.meeting, found.date.is_some())).collect();
    assert_eq!(dates[0], (meeting, true));
    assert_eq!(dates[3].0, undated);
}

#[tokio::test]
async fn list_statements_keeps_the_requested_order() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    for (day, text) in [(9, "peace on the ninth"), (2, "peace and more peace on the second"), (0, "peace, some day")] {
        let statements = [statement("1", &[], text), statement("2", &[], &format!("then {text}"))];
        service.create_meeting(&article, talks_on(day, &[], &statements)).await.unwrap();
    }
    let texts = async |request: ListStatementsRequest| {
        let found = service.statements(request).await.unwrap().results;
        found.into_iter().map(|found| found.statement.unwrap().text).collect::<Vec<_>>()
    };
    let ordered =
        |order: &str, query: &str| ListStatementsRequest { order_by: order.into(), ..query_request("", query) };
    let [ninth, then_ninth] = ["peace on the ninth", "then peace on the ninth"];
    let [second, then_second] = ["peace and more peace on the second", "then peace and more peace on the second"];
    let [some, then_some] = ["peace, some day", "then peace, some day"];
    assert_eq!(texts(ordered("", "")).await, [ninth, then_ninth, second, then_second, some, then_some]);
    assert_eq!(texts(ordered("name desc", "")).await, [then_some, some, then_second, second, then_ninth, ninth]);
    let by_date = [some, then_some, second, then_second, ninth, then_ninth];
    assert_eq!(texts(ordered("date", "")).await, by_date);
    let reversed: Vec<_> = by_date.iter().rev().copied().collect();
    assert_eq!(texts(ordered("date desc", "")).await, reversed);
    let best = texts(ordered("", "peace")).await;
    assert_eq!(best[..2], [second, then_second]);
    assert_eq!(texts(ordered("date", "peace")).await, by_date);

    for order in ["", "name desc", "date", "date desc"] {
        for query in ["", "peace"] {
            let all = texts(ordered(order, query)).await;
            for page_size in [1, 2, 4] {
                let mut request = ListStatementsRequest { page_size, ..ordered(order, query) };
                let mut paged = Vec::new();
                loop {
                    let page = service.statements(request.clone()).await.unwrap();
                    paged.extend(page.results.into_iter().map(|found| found.statement.unwrap().text));
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                assert_eq!(paged, all, "{order} {query} by {page_size}");
            }
        }
    }
    assert_eq!(Refused::from(service.statements(ordered("text", "")).await.unwrap_err()).fields, ["order_by"]);
}

#[tokio::test]
async fn statements_follow_their_report_and_their_meeting() {
    let service = Service::start().await;
    let [a, b] = [service.create_article(article("urn:a")).await, service.create_article(article("urn:b")).await];
    let first = service.create_meeting(&a, talks_on(3, &[], &[statement("1", &[], "one")])).await.unwrap().name;
    let second = service.create_meeting(&b, talks_on(9, &[], &[statement("1", &[], "two")])).await.unwrap().name;
    let of = async |meeting: &str| service.statement_texts(&format!("meeting = \"{meeting}\""), "").await;

    // Another report may change the date of the first meeting; then its earlier statements have that date, too.
    service.add_report(&first, &b.name, talks_on(4, &[], &[statement("1", &[], "three")])).await.unwrap();
    assert_eq!(of(&first).await, ["one", "three"]);
    service.rule(&first, talks_on(5, &[], &[]), &["account.date"]).await.unwrap();
    assert_eq!(service.statement_texts("date = 2020-09-05", "").await, ["one", "three"]);
    assert_eq!(service.statement_texts("date = 2020-09-03 OR date = 2020-09-04", "").await.len(), 0);

    service.merge(&first, &[&second]).await.unwrap();
    assert_eq!((of(&first).await.len(), of(&second).await.len()), (3, 0));
    assert_eq!(service.statement_texts("date = 2020-09-05", "").await.len(), 3);
    service.split(&first, &[], &second).await.unwrap();
    assert_eq!((of(&first).await, of(&second).await), (vec!["one".into(), "three".into()], vec!["two".into()]));
    assert_eq!(service.statement_texts("date = 2020-09-09", "").await, ["two"]);

    service.delete_meeting(&second).await.unwrap();
    assert_eq!(service.statement_texts("", "").await, ["one", "three"]);
    service.undelete_meeting(&second).await.unwrap();
    assert_eq!(service.statement_texts("", "").await.len(), 3);
    let retracted = service.reports_of(&second).await.remove(0).name;
    service.retract_report(&retracted).await.unwrap();
    assert_eq!(service.statement_texts("", "").await, ["one", "three"]);
    assert_eq!(service.statement_texts("", "two").await.len(), 0);
    for table in ["statement", "statement_speaker", "statement_region", "statement_topic"] {
        let rows = service.count(match table {
            "statement" => "select count(*) from statement",
            "statement_speaker" => "select count(*) from statement_speaker",
            "statement_region" => "select count(*) from statement_region",
            _ => "select count(*) from statement_topic",
        });
        assert_eq!(rows.await, if table == "statement" { 2 } else { 0 }, "{table}");
    }
}

#[tokio::test]
async fn statement_speakers_are_those_of_the_settled_account() {
    let service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await.name;
    let article = service.create_article(article("urn:a")).await;
    let participations = [present("v", &veliyev), named("t", "Ruslan Tsalikov"), named("x", "Somebody")];
    let statements = [
        Statement { addressees: vec!["x".into()], ..statement("1", &["v", "t"], "one") },
        Statement { continues: "1".into(), ..statement("2", &["t"], "two") },
    ];
    let meeting = service.create_meeting(&article, talks_on(3, &participations, &statements)).await.unwrap();
    let found = async || {
        let found = service.found_statements("", "").await;
        found.into_iter().filter_map(|found| found.statement).collect::<Vec<_>>()
    };
    assert_eq!(found().await, meeting.account.as_ref().unwrap().statements);
    assert_eq!(found().await[0].speakers[1], "name:ruslan tsalikov");
    // A participant that a ruling removes is no longer a speaker.
    let account = meeting.account.unwrap();
    let ruled = Account { participations: account.participations[..1].to_vec(), ..Default::default() };
    let ruled = service.rule(&meeting.name, ruled, &["account.participations"]).await.unwrap();
    assert_eq!(found().await, ruled.account.unwrap().statements);
    assert_eq!(found().await[1].speakers.len(), 0);
}

#[tokio::test]
async fn list_statements_searches_by_words() {
    let service = Service::start().await;
    let article = readout::pb::Article {
        language_code: "de".into(),
        // Statements of a report are shown even if the text of the article is withheld.
        text_rights: TextRights::Withheld.into(),
        ..article("urn:a")
    };
    let article = service.create_article(article).await;
    let long = format!("{}die Häuser der Präsidenten. {}", "Nichts. ".repeat(100), "Nichts. ".repeat(100));
    let statements = [
        statement("1", &[], "Die Verhandlungen beginnen"),
        Statement { language_code: "ru".into(), ..statement("2", &[], "Переговоры начались") },
        statement("3", &[], &long),
    ];
    service.create_meeting(&article, talks_on(3, &[], &statements)).await.unwrap();
    let in_language = async |query: &str, language: &str| {
        let request = ListStatementsRequest { query_language: language.into(), ..query_request("", query) };
        service.statements(request).await.unwrap().results
    };
    let ids = |found: &[Found]| {
        let ids = found
            .iter()
            .filter_map(|found| found.statement.as_ref())
            .map(|statement| statement.id.rsplit('/').next().unwrap());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    for (query, language, expected) in [
        ("Verhandlung", "de", &["1"][..]),
        ("Verhandlung", "", &[]),
        ("VERHANDLUNGEN", "", &["1"]),
        ("переговоров", "ru", &["2"]),
        ("haus", "de", &["3"]),
        ("-nichts", "de", &["1", "2"]),
        ("the of", "", &[]),
    ] {
        assert_eq!(ids(&in_language(query, language).await), expected, "{query}");
    }
    let found = in_language("haus prasident", "de").await.remove(0);
    let snippet = found.snippet.unwrap();
    let chars: Vec<char> = long.chars().collect();
    let word = |range: &readout::pb::snippet::Highlight| {
        chars[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].iter().collect::<String>()
    };
    assert_eq!(snippet.highlights.iter().map(word).collect::<Vec<_>>(), ["Häuser", "Präsidenten"]);
    assert!(snippet.text.contains("die Häuser der Präsidenten.") && snippet.text.chars().count() <= 240);
}

#[tokio::test]
async fn list_statements_page_ends_at_two_mebibytes() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let text = "й".repeat(8_000);
    for _ in 0..3 {
        let statements: Vec<Statement> = (0..150).map(|number| statement(&format!("s{number}"), &[], &text)).collect();
        let account = Account { title: uuid::Uuid::now_v7().to_string(), ..talks_on(3, &[], &statements) };
        service.create_meeting(&article, account).await.unwrap();
    }
    let mut request = ListStatementsRequest { page_size: 1_000, ..query_request("", "") };
    let (mut pages, mut count) = (0, 0);
    loop {
        let page = service.statements(request.clone()).await.unwrap();
        assert!(prost::Message::encoded_len(&page) <= 2 * 1024 * 1024 + 64 * 1024);
        pages += 1;
        count += page.results.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(count, 450);
    assert!(pages > 3);
}
