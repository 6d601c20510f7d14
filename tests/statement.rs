//! What was said: found by who said it, how, when and what about, and told as the meeting tells it.

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

fn asked(filter: &str, query: &str) -> ListStatementsRequest {
    ListStatementsRequest { filter: filter.into(), query: query.into(), ..Default::default() }
}

impl Service {
    async fn statements(&self, request: ListStatementsRequest) -> Result<ListStatementsResponse, Status> {
        self.meetings.clone().list_statements(request).await.map(Response::into_inner)
    }

    async fn said(&self, filter: &str, query: &str) -> Vec<Found> {
        let page = self.statements(asked(filter, query)).await;
        page.unwrap_or_else(|status| panic!("{filter} {query}: {status}")).results
    }

    /// Texts of the statements that are found, in their order.
    async fn words_said(&self, filter: &str, query: &str) -> Vec<String> {
        self.said(filter, query).await.into_iter().filter_map(|one| one.statement).map(|one| one.text).collect()
    }
}

fn says(id: &str, speakers: &[&str], text: &str) -> Statement {
    let speakers = speakers.iter().map(|one| (*one).to_owned()).collect();
    Statement { id: id.into(), speakers, text: text.into(), ..Default::default() }
}

fn of_region(participation: Participation, region: &str) -> Participation {
    Participation { region_code: region.into(), ..participation }
}

/// Talks of these, who say this, on a day of September 2020.
fn told(day: i32, participations: &[Participation], statements: &[Statement]) -> Account {
    let start = Some(Date { year: 2020, month: 9, day }).filter(|_| day > 0);
    Account {
        date: Some(DateSpan { start, basis: Basis::Stated.into(), ..Default::default() }),
        participations: participations.into(),
        statements: statements.into(),
        ..talks("Talks")
    }
}

#[tokio::test]
async fn what_azerbaijani_officials_said_about_nagorno_karabakh() {
    let service = Service::start().await;
    let story: Story = json::parse("readout.v1.Story", include_str!("data/azernews.story.json")).unwrap();
    let answer = service.ingest.clone().ingest_story(ingest(story)).await.unwrap().into_inner();
    let participant = |key: &str| answer.participants.iter().find(|one| one.key == key).unwrap().name.clone();
    let talks = answer.meetings.iter().find(|one| one.key == "talks").unwrap();

    let about = service.said("region = AZ topic = nagorno-karabakh", "").await;
    let texts: Vec<_> = about.iter().map(|one| one.statement.as_ref().unwrap().text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].ends_with("Nagorno-Karabakh conflict remains major threat to peace and stability in the region"));
    assert!(texts[1].starts_with("the importance of the settlement the conflict within the framework"));
    for one in &about {
        let statement = one.statement.as_ref().unwrap();
        assert_eq!(statement.speakers, [participant("veliyev").strip_prefix("participants/").unwrap()]);
        assert_eq!((&one.meeting, &one.report, &one.article), (&talks.meeting, &talks.report, &answer.article));
        assert_eq!(one.date.as_ref().unwrap().start, Some(Date { year: 2020, month: 9, day: 3 }));
        assert!(one.snippet.is_none());
    }

    // By the words, too, and by who said it.
    let named = service.said("region = AZ", "\"Nagorno-Karabakh\"").await;
    assert_eq!(named.iter().map(|one| &one.statement).collect::<Vec<_>>(), [&about[0].statement]);
    let snippet = named[0].snippet.as_ref().unwrap();
    assert_eq!((snippet.source(), snippet.highlights.len()), (Source::Text, 2));
    assert_eq!(service.said(&format!("speaker = \"{}\" act = POINT_OUT", participant("veliyev")), "").await.len(), 1);
    assert_eq!(service.words_said(&format!("speaker = \"{}\"", participant("tsalikov")), "conflicts").await.len(), 0);
    assert_eq!(service.words_said("region = RU region = AZ", "").await.len(), 2);
    assert_eq!(service.words_said("speaker_kind = JOINT", "military").await.len(), 1);

    // All of them are those of their meetings, as these tell them.
    let all = service.said("", "").await;
    assert_eq!(all.len(), 10);
    let mut by_meeting: BTreeMap<&str, Vec<Statement>> = BTreeMap::new();
    for one in &all {
        by_meeting.entry(&one.meeting).or_default().extend(one.statement.clone());
    }
    for (meeting, statements) in by_meeting {
        assert_eq!(service.meeting(meeting).await.account.unwrap().statements, statements);
    }
}

#[tokio::test]
async fn each_field_finds_what_has_it() {
    let service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await.name;
    let first = service.create_article(article("urn:first")).await;
    let other = service.create_article(readout::pb::Article { language_code: String::new(), ..article("urn:o") }).await;
    let who = [
        of_region(present("v", &veliyev), "AZ"),
        of_region(named("t", "Ruslan Tsalikov"), "RU"),
        // A region that the report does not tell is none.
        present("w", &veliyev),
    ];
    let said = [
        Statement {
            act: Act::Stress.into(),
            speaker_kind: SpeakerKind::Joint.into(),
            quotation: Quotation::Direct.into(),
            topics: vec!["trade".into(), "peace".into()],
            language_code: "ru".into(),
            ..says("1", &["v", "t"], "one")
        },
        Statement { act: Act::Say.into(), topics: vec!["peace".into()], ..says("2", &["t"], "two") },
        says("3", &["w"], "three"),
    ];
    let meeting = service.create_meeting(&first, told(3, &who, &said)).await.unwrap().name;
    let undated = service.create_meeting(&other, told(0, &who[1..2], &[says("4", &["t"], "four")])).await.unwrap().name;
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
        assert_eq!(service.words_said(filter, "").await, found, "{filter}");
    }
    for filter in ["act = SHOUT", "speakers = 1", "speaker = AZ", "kind = TALKS"] {
        assert_eq!(Refused::from(service.statements(asked(filter, "")).await.unwrap_err()).fields, ["filter"]);
    }
    let dates: Vec<_> = service.said("", "").await.into_iter().map(|one| (one.meeting, one.date.is_some())).collect();
    assert_eq!(dates[0], (meeting, true));
    assert_eq!(dates[3].0, undated);
}

#[tokio::test]
async fn statements_come_in_the_order_that_is_asked_for() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    for (day, text) in [(9, "peace on the ninth"), (2, "peace and more peace on the second"), (0, "peace, some day")] {
        let said = [says("1", &[], text), says("2", &[], &format!("then {text}"))];
        service.create_meeting(&article, told(day, &[], &said)).await.unwrap();
    }
    let texts = async |request: ListStatementsRequest| {
        let found = service.statements(request).await.unwrap().results;
        found.into_iter().map(|one| one.statement.unwrap().text).collect::<Vec<_>>()
    };
    let by = |order: &str, query: &str| ListStatementsRequest { order_by: order.into(), ..asked("", query) };
    let [ninth, then_ninth] = ["peace on the ninth", "then peace on the ninth"];
    let [second, then_second] = ["peace and more peace on the second", "then peace and more peace on the second"];
    let [some, then_some] = ["peace, some day", "then peace, some day"];
    assert_eq!(texts(by("", "")).await, [ninth, then_ninth, second, then_second, some, then_some]);
    assert_eq!(texts(by("name desc", "")).await, [then_some, some, then_second, second, then_ninth, ninth]);
    let by_date = [some, then_some, second, then_second, ninth, then_ninth];
    assert_eq!(texts(by("date", "")).await, by_date);
    let backwards: Vec<_> = by_date.iter().rev().copied().collect();
    assert_eq!(texts(by("date desc", "")).await, backwards);
    let best = texts(by("", "peace")).await;
    assert_eq!(best[..2], [second, then_second]);
    assert_eq!(texts(by("date", "peace")).await, by_date);

    for order in ["", "name desc", "date", "date desc"] {
        for query in ["", "peace"] {
            let all = texts(by(order, query)).await;
            for page_size in [1, 2, 4] {
                let mut request = ListStatementsRequest { page_size, ..by(order, query) };
                let mut paged = Vec::new();
                loop {
                    let page = service.statements(request.clone()).await.unwrap();
                    paged.extend(page.results.into_iter().map(|one| one.statement.unwrap().text));
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                assert_eq!(paged, all, "{order} {query} by {page_size}");
            }
        }
    }
    assert_eq!(Refused::from(service.statements(by("text", "")).await.unwrap_err()).fields, ["order_by"]);
}

#[tokio::test]
async fn a_statement_goes_with_its_report_and_its_meeting() {
    let service = Service::start().await;
    let [a, b] = [service.create_article(article("urn:a")).await, service.create_article(article("urn:b")).await];
    let first = service.create_meeting(&a, told(3, &[], &[says("1", &[], "one")])).await.unwrap().name;
    let second = service.create_meeting(&b, told(9, &[], &[says("1", &[], "two")])).await.unwrap().name;
    let of = async |meeting: &str| service.words_said(&format!("meeting = \"{meeting}\""), "").await;

    // Another report gives the first meeting another day: what was said before has that, too.
    service.add_report(&first, &b.name, told(4, &[], &[says("1", &[], "three")])).await.unwrap();
    assert_eq!(of(&first).await, ["one", "three"]);
    service.rule(&first, told(5, &[], &[]), &["account.date"]).await.unwrap();
    assert_eq!(service.words_said("date = 2020-09-05", "").await, ["one", "three"]);
    assert_eq!(service.words_said("date = 2020-09-03 OR date = 2020-09-04", "").await.len(), 0);

    service.merge(&first, &[&second]).await.unwrap();
    assert_eq!((of(&first).await.len(), of(&second).await.len()), (3, 0));
    assert_eq!(service.words_said("date = 2020-09-05", "").await.len(), 3);
    service.split(&first, &[], &second).await.unwrap();
    assert_eq!((of(&first).await, of(&second).await), (vec!["one".into(), "three".into()], vec!["two".into()]));
    assert_eq!(service.words_said("date = 2020-09-09", "").await, ["two"]);

    service.delete_meeting(&second).await.unwrap();
    assert_eq!(service.words_said("", "").await, ["one", "three"]);
    service.undelete_meeting(&second).await.unwrap();
    assert_eq!(service.words_said("", "").await.len(), 3);
    let retracted = service.reports_of(&second).await.remove(0).name;
    service.retract_report(&retracted).await.unwrap();
    assert_eq!(service.words_said("", "").await, ["one", "three"]);
    assert_eq!(service.words_said("", "two").await.len(), 0);
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
async fn speakers_are_those_of_the_settled_account() {
    let service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await.name;
    let article = service.create_article(article("urn:a")).await;
    let who = [present("v", &veliyev), named("t", "Ruslan Tsalikov"), named("x", "Somebody")];
    let said = [
        Statement { addressees: vec!["x".into()], ..says("1", &["v", "t"], "one") },
        Statement { continues: "1".into(), ..says("2", &["t"], "two") },
    ];
    let meeting = service.create_meeting(&article, told(3, &who, &said)).await.unwrap();
    let found = async || {
        let found = service.said("", "").await;
        found.into_iter().filter_map(|one| one.statement).collect::<Vec<_>>()
    };
    assert_eq!(found().await, meeting.account.as_ref().unwrap().statements);
    assert_eq!(found().await[0].speakers[1], "name:ruslan tsalikov");
    // Whom a ruling leaves out, nobody hears.
    let account = meeting.account.unwrap();
    let ruled = Account { participations: account.participations[..1].to_vec(), ..Default::default() };
    let ruled = service.rule(&meeting.name, ruled, &["account.participations"]).await.unwrap();
    assert_eq!(found().await, ruled.account.unwrap().statements);
    assert_eq!(found().await[1].speakers.len(), 0);
}

#[tokio::test]
async fn statements_are_found_by_their_words() {
    let service = Service::start().await;
    let article = readout::pb::Article {
        language_code: "de".into(),
        // What is said of it in a report was said, whatever may be shown of the article.
        text_rights: TextRights::Withheld.into(),
        ..article("urn:a")
    };
    let article = service.create_article(article).await;
    let long = format!("{}die Häuser der Präsidenten. {}", "Nichts. ".repeat(100), "Nichts. ".repeat(100));
    let said = [
        says("1", &[], "Die Verhandlungen beginnen"),
        Statement { language_code: "ru".into(), ..says("2", &[], "Переговоры начались") },
        says("3", &[], &long),
    ];
    service.create_meeting(&article, told(3, &[], &said)).await.unwrap();
    let in_language = async |query: &str, language: &str| {
        let request = ListStatementsRequest { query_language: language.into(), ..asked("", query) };
        service.statements(request).await.unwrap().results
    };
    let ids = |found: &[Found]| {
        let ids = found.iter().filter_map(|one| one.statement.as_ref()).map(|one| one.id.rsplit('/').next().unwrap());
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
    let word = |one: &readout::pb::snippet::Highlight| {
        chars[usize::try_from(one.start).unwrap()..usize::try_from(one.end).unwrap()].iter().collect::<String>()
    };
    assert_eq!(snippet.highlights.iter().map(word).collect::<Vec<_>>(), ["Häuser", "Präsidenten"]);
    assert!(snippet.text.contains("die Häuser der Präsidenten.") && snippet.text.chars().count() <= 240);
}

#[tokio::test]
async fn a_page_is_no_larger_than_a_message() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let text = "й".repeat(8_000);
    for _ in 0..3 {
        let said: Vec<Statement> = (0..150).map(|number| says(&format!("s{number}"), &[], &text)).collect();
        let account = Account { title: uuid::Uuid::now_v7().to_string(), ..told(3, &[], &said) };
        service.create_meeting(&article, account).await.unwrap();
    }
    let mut request = ListStatementsRequest { page_size: 1_000, ..asked("", "") };
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
