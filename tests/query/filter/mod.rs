//! Filters, against records that differ in every field. The grammar is tested with the parser, in `src/model`.

mod fields;
mod functions;
mod sql_and_memory;
mod suggestions;
mod write_times;

use std::collections::BTreeSet;

use readout::pb::{
    Account, Article, Date, DateSpan, DeleteArticleRequest, ErrorReason, ListArticlesRequest, ListMeetingsRequest,
    ListParticipantsRequest, Participant, ParticipantName, Participation, Place, Publisher, Story,
    account::{Kind, Status},
    participation::Presence,
};

use crate::support::{Refused, Service, make, metadata_of};

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

fn span(start: Option<Date>, end: Option<Date>) -> Option<DateSpan> {
    Some(DateSpan { start, end, ..Default::default() })
}

/// A participation without a participant.
fn unresolved(region: &str, presence: Presence) -> Participation {
    let id = format!("{region}-{presence:?}");
    Participation { region_code: region.into(), presence: presence.into(), ..make::named(&id, &id) }
}

struct World {
    service: Service,
    /// The article name of each story, in the order of titles.
    articles: Vec<String>,
    /// The participant name of Veliyev.
    veliyev: String,
}

impl World {
    /// Creates meetings `a` to `f`, with one article each.
    async fn new() -> Self {
        let mut service = Service::start().await;
        let place = |region: &str| Some(Place { region_code: region.into(), ..Default::default() });
        let (talks, visit) = (Kind::Talks.into(), Kind::Visit.into());
        let (held, planned) = (Status::Held.into(), Status::Planned.into());
        let accounts = [
            Account {
                kind: talks,
                status: held,
                place: place("AZ"),
                date: span(date(2020, 8, 24), None),
                topics: vec!["military-cooperation".into(), "trade".into()],
                participations: vec![
                    make::present("veliyev", "#p0"),
                    unresolved("AZ", Presence::Present),
                    unresolved("RU", Presence::Remote),
                ],
                ..Default::default()
            },
            Account {
                kind: visit,
                status: held,
                place: place("RU"),
                date: span(date(2020, 8, 0), None),
                topics: vec!["trade".into()],
                participations: vec![unresolved("AZ", Presence::Represented), unresolved("RU", Presence::Referenced)],
                ..Default::default()
            },
            Account {
                kind: talks,
                status: planned,
                date: span(date(2020, 8, 20), date(2020, 9, 3)),
                participations: vec![unresolved("XK", Presence::Present)],
                ..Default::default()
            },
            Account { kind: visit, status: planned, date: span(date(2019, 0, 0), None), ..Default::default() },
            Account { status: held, participations: vec![unresolved("AZ", Presence::Absent)], ..Default::default() },
            Account { kind: talks, ..Default::default() },
        ];
        let mut articles = Vec::new();
        let mut veliyev = String::new();
        for (title, account) in ["a", "b", "c", "d", "e", "f"].into_iter().zip(accounts) {
            let names = vec![ParticipantName { text: "Karim Valiyev".into(), ..Default::default() }];
            let person = Participant { names, ..make::person("Kerim Veliyev", "AZ") };
            let people = if title == "a" { vec![person] } else { Vec::new() };
            let mut story = Story { article: Some(article(title)), ..make::story("", &people) };
            story.reports[0].account = Some(Account { title: title.into(), ..account });
            let answer = service.ingest.ingest_story(make::ingest(story)).await.unwrap().into_inner();
            articles.push(answer.article);
            veliyev = answer.participants.into_iter().next().map_or(veliyev, |participant| participant.name);
        }
        Self { service, articles, veliyev }
    }

    /// The titles of the meetings that match, which a list and a stream must agree on.
    async fn meetings(&self, filter: &str) -> String {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let mut client = self.service.meetings.clone();
        let list = client.list_meetings(request.clone()).await.unwrap_or_else(|status| panic!("{filter}: {status}"));
        let titles = |meetings: Vec<readout::pb::Meeting>| -> BTreeSet<String> {
            meetings.into_iter().map(|meeting| meeting.account.unwrap().title).collect()
        };
        let listed = titles(list.into_inner().meetings);
        let mut stream = client.stream_meetings(request).await.unwrap().into_inner();
        let mut streamed = BTreeSet::new();
        while let Some(chunk) = stream.message().await.unwrap() {
            streamed.extend(titles(chunk.meetings));
        }
        assert_eq!(listed, streamed, "{filter}");
        listed.into_iter().collect()
    }

    async fn assert_found(&self, expected: &[(&str, &str)]) {
        for (filter, titles) in expected {
            assert_eq!(self.meetings(filter).await, *titles, "{filter}");
        }
    }
}

fn article(title: &str) -> Article {
    let (region, section, language, publish_date) = match title {
        "a" => ("AZ", "Politics", "en", date(2020, 9, 4)),
        "b" => ("AZ", "100%_\"*\\", "az-Latn", date(2020, 9, 0)),
        "c" => ("US", "Politics", "en", date(2019, 0, 0)),
        _ => ("", "", "", None),
    };
    Article {
        alternate_uris: vec![format!("urn:other:{title}")],
        title: title.into(),
        section: section.into(),
        language_code: language.into(),
        publish_date,
        publisher: Some(Publisher { region_code: region.into(), ..Default::default() }),
        ..make::article(&format!("urn:{title}"))
    }
}

#[tokio::test]
async fn a_filter_finds_meetings_by_each_field() {
    let world = World::new().await;
    let [first, ..] = world.articles.as_slice() else { unreachable!("there are six articles") };
    world
        .assert_found(&[
            ("", "abcdef"),
            ("kind = TALKS", "acf"),
            ("kind = \"VISIT\"", "bd"),
            ("kind != TALKS", "bde"),
            ("status = HELD", "abe"),
            ("status != HELD", "cdf"),
            ("region = \"AZ\"", "ab"),
            ("region = \"RU\"", "a"),
            ("region = \"XK\"", "c"),
            ("region != \"AZ\"", "cdef"),
            ("place.region = \"AZ\"", "a"),
            ("place.region != \"AZ\"", "bcdef"),
            ("topic = \"trade\"", "ab"),
            ("topic = trade", "ab"),
            ("topic != \"trade\"", "cdef"),
            (&format!("participant = \"{}\"", world.veliyev), "a"),
            (&format!("participant != \"{}\"", world.veliyev), "bcdef"),
            (&format!("article = \"{first}\""), "a"),
            (&format!("article != \"{first}\""), "bcdef"),
        ])
        .await;
}

/// Meeting `a` has two sources, which disagree; `b` two reports of one article; `c` to `e` a report each; `f` no active
/// report.
#[tokio::test]
async fn a_filter_finds_meetings_by_report_count_source_count_and_dispute() {
    let world = World::new().await;
    let [first, second, .., last] = world.articles.as_slice() else { unreachable!("there are six articles") };
    let visit = |title: &str| Account { kind: Kind::Visit.into(), title: title.into(), ..Default::default() };
    for (title, article) in [("b", second), ("a", first)] {
        let request = ListMeetingsRequest { filter: format!("article = \"{article}\""), ..Default::default() };
        let list = world.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        let again = Account { summary: "Again".into(), ..visit(title) };
        world.service.add_report(&list.meetings[0].name, second, again).await.unwrap();
    }
    let request = DeleteArticleRequest { name: last.clone(), force: true, ..Default::default() };
    world.service.articles.clone().delete_article(request).await.unwrap();
    world
        .assert_found(&[
            ("has_dispute = true", "a"),
            ("has_dispute = false", "bcde"),
            ("has_dispute != true", "bcde"),
            ("report_count = 2", "ab"),
            ("report_count != 2", "cde"),
            ("report_count > 1", "ab"),
            ("report_count <= 1", "cde"),
            ("independent_source_count >= 2", "a"),
            ("independent_source_count < 2", "bcde"),
            ("NOT independent_source_count < 2", "a"),
            ("review = UNREVIEWED", "abcde"),
            ("review != UNREVIEWED", ""),
            ("review = RETRACTED", ""),
        ])
        .await;
    let filter = "review = RETRACTED AND report_count = 0 AND has_dispute = false".into();
    let request = ListMeetingsRequest { filter, show_deleted: true, ..Default::default() };
    let list = world.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
    assert_eq!(list.meetings.len(), 1);
}

#[tokio::test]
async fn a_filter_joins_its_terms_as_aip_160_specifies() {
    let world = World::new().await;
    world
        .assert_found(&[
            ("kind = TALKS AND status = HELD", "a"),
            ("kind = TALKS status = HELD", "a"),
            ("kind = VISIT OR status = HELD", "abde"),
            // OR binds more tightly than AND (AIP-160).
            ("status = HELD AND kind = TALKS OR kind = VISIT", "ab"),
            ("(status = HELD AND kind = TALKS) OR kind = VISIT", "abd"),
            ("NOT kind = TALKS", "bde"),
            ("-kind = TALKS", "bde"),
            ("NOT (kind = TALKS OR region = \"AZ\")", "de"),
            ("NOT (NOT kind = TALKS)", "acf"),
            ("region = \"AZ\" AND region = \"RU\"", "a"),
            // An unset field satisfies no comparison, so that the negation is true.
            ("NOT place.region = \"AZ\" AND NOT place.region = \"RU\"", "cdef"),
            ("NOT date >= \"0001\"", "ef"),
        ])
        .await;
}

/// Dates of the meetings: `a` 24 August 2020, `b` August 2020, `c` 20 August to 3 September 2020, `d` 2019, `e` and `f`
/// none.
#[tokio::test]
async fn a_filter_compares_dates_as_spans() {
    let world = World::new().await;
    world
        .assert_found(&[
            ("date = \"2020\"", "abc"),
            ("date = \"2020-08\"", "abc"),
            ("date = \"2020-09\"", "c"),
            ("date = \"2020-08-24\"", "abc"),
            ("date = \"2020-08-01\"", "b"),
            ("date = \"2019-06-01\"", "d"),
            ("date != \"2020-08-24\"", "def"),
            ("date >= \"2020-08-24\"", "abc"),
            ("date >= \"2020-08-25\"", "bc"),
            ("date >= \"2020-09\"", "c"),
            ("date >= \"2020-09-04\"", ""),
            ("date > \"2020-08-24\"", "bc"),
            ("date > \"2020-08\"", "c"),
            ("date <= \"2020-08-01\"", "bd"),
            ("date <= \"2020-08-24\"", "abcd"),
            ("date <= \"2019\"", "d"),
            ("date < \"2020-08-24\"", "bcd"),
            ("date < \"2020\"", "d"),
            ("date < \"2019-06\"", "d"),
            ("date < \"2019\"", ""),
            ("date >= \"2020-08-21\" AND date <= \"2020-08-23\"", "bc"),
        ])
        .await;
}

#[tokio::test]
async fn a_filter_finds_articles_by_each_field() {
    let world = World::new().await;
    for (filter, titles) in [
        ("uri = \"urn:a\"", "a"),
        ("uri = \"urn:other:b\"", "b"),
        ("uri = \"urn:*\"", ""),
        ("uri = \"urn:_\"", ""),
        ("publisher.region = \"AZ\"", "ab"),
        ("publisher.region != \"AZ\"", "cdef"),
        ("language = \"en\"", "ac"),
        ("language = \"az-Latn\"", "b"),
        ("section = \"Politics\"", "ac"),
        ("section = \"politics\"", ""),
        ("section = \"Pol*\"", ""),
        ("section = \"Pol%\"", ""),
        (r#"section = "100%_\"*\\""#, "b"),
        ("section != \"Politics\"", "bdef"),
        ("publish_date = \"2020-09-04\"", "ab"),
        ("publish_date > \"2020-09-04\"", "b"),
        ("publish_date <= \"2019-12-31\"", "c"),
        ("NOT publish_date >= \"2000\"", "def"),
    ] {
        let request = ListArticlesRequest { filter: filter.into(), ..Default::default() };
        let list = world.service.articles.clone().list_articles(request).await.unwrap().into_inner();
        let found: BTreeSet<_> = list.articles.into_iter().map(|article| article.title).collect();
        assert_eq!(found.into_iter().collect::<String>(), titles, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_finds_participants_by_each_field() {
    let world = World::new().await;
    for (filter, is_found) in [
        ("kind = PERSON", true),
        ("kind = STATE", false),
        ("kind != STATE", true),
        ("region = \"AZ\"", true),
        ("region != \"AZ\"", false),
        ("name = \"Kerim Veliyev\"", true),
        ("name = \"  KARIM   valiyev \"", true),
        ("name = \"Kerim\"", false),
        ("name = \"Kerim*\"", false),
        ("name != \"Kerim Veliyev\"", false),
    ] {
        let request = ListParticipantsRequest { filter: filter.into(), ..Default::default() };
        let list = world.service.participants.clone().list_participants(request).await.unwrap().into_inner();
        assert_eq!(list.participants.len(), usize::from(is_found), "{filter}");
    }
}

#[tokio::test]
async fn an_invalid_filter_is_refused_with_the_position_of_its_error() {
    let world = World::new().await;
    let refused = async |filter: String| {
        let request = ListMeetingsRequest { filter, ..Default::default() };
        let refused = world.service.meetings.clone().list_meetings(request.clone()).await.unwrap_err();
        let streamed = world.service.meetings.clone().stream_meetings(request).await.unwrap_err();
        assert_eq!(streamed.message(), refused.message());
        refused
    };
    for (filter, position) in [
        ("kind = TALKS AND", "13"),
        ("kind = NOTHING", "7"),
        ("kind > TALKS", "5"),
        ("region = \"ZZ\"", "9"),
        ("participant = \"articles/0198f2d1-0000-7000-8000-00000000000a\"", "14"),
        ("date = \"2020-02-30\"", "7"),
        ("has_dispute = maybe", "14"),
        ("report_count > few", "15"),
        ("review = GOOD", "9"),
        ("status = HELD AND date = \"yesterday\"", "25"),
    ] {
        let status = refused(filter.into()).await;
        assert_eq!(metadata_of(&status, "position"), position, "{filter}: {}", status.message());
        assert_eq!(Refused::from(status), Refused::fields(ErrorReason::InvalidFilter, ["filter"]), "{filter}");
    }
    let status = refused("status = HELD AND knd = TALKS".into()).await;
    assert_eq!(metadata_of(&status, "position"), "18");
    assert_eq!(metadata_of(&status, "field"), "knd");
    assert_eq!(metadata_of(&status, "nearest"), "kind");
    assert_eq!(Refused::from(status), Refused::fields(ErrorReason::UnknownFilterField, ["filter"]));

    let terms = |count: usize| vec!["kind = TALKS"; count].join(" OR ");
    assert_eq!(world.meetings(&terms(200)).await, "acf");
    assert_eq!(Refused::from(refused(terms(201)).await).reason, ErrorReason::InvalidFilter);
    let long = |bytes: usize| format!("kind = TALKS{}", " ".repeat(bytes - 12));
    assert_eq!(world.meetings(&long(8_192)).await, "acf");
    assert_eq!(Refused::from(refused(long(8_193)).await), Refused::invalid(["filter"]));
}
