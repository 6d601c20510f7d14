//! One real article as a whole: every fact that it reports is returned by the API.

use std::collections::{BTreeMap, BTreeSet};

use readout::{
    cli::json,
    pb::{
        Account, Date, DateSpan, GetArticleRequest, GetParticipantRequest, IngestStoryResponse, ListMeetingsRequest,
        Participation, Statement, Story,
        account::{Kind, Status},
        date_span::Basis,
        delegation, link,
        participant::Kind as ParticipantKind,
        participation::{Presence, Role},
        report::Prominence,
        statement::{Act, Quotation, SpeakerKind},
    },
};

use crate::support::{Service, make::ingest};

/// A service that holds only this story.
struct AzernewsFixture {
    service: Service,
    answer: IngestStoryResponse,
}

impl AzernewsFixture {
    async fn new() -> Self {
        let service = Service::start().await;
        let story: Story = json::parse("readout.v1.Story", include_str!("../data/azernews.story.json")).unwrap();
        let answer = service.ingest.clone().ingest_story(ingest(story)).await.unwrap().into_inner();
        Self { service, answer }
    }

    fn participant(&self, key: &str) -> &str {
        &self.answer.participants.iter().find(|participant| participant.key == key).expect("a key of the story").name
    }

    /// The id of a participant in settled accounts.
    fn id(&self, key: &str) -> &str {
        self.participant(key).strip_prefix("participants/").unwrap()
    }

    fn meeting(&self, key: &str) -> &str {
        &self.answer.meetings.iter().find(|meeting| meeting.key == key).expect("a key of the story").meeting
    }

    async fn account(&self, key: &str) -> Account {
        self.service.meeting(self.meeting(key)).await.account.unwrap()
    }

    /// The kind of relation and the key of the other meeting.
    async fn links(&self, key: &str) -> Vec<(link::Kind, &str)> {
        let links = self.account(key).await.links;
        let key_of = |name: &str| &self.answer.meetings.iter().find(|meeting| meeting.meeting == name).unwrap().key;
        links.iter().map(|link| (link.kind(), key_of(&link.meeting).as_str())).collect()
    }

    /// Keys of the meetings that match a filter.
    async fn matching(&self, filter: &str) -> BTreeSet<&str> {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let page = self.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        let key_of =
            |name: &str| self.answer.meetings.iter().find(|meeting| meeting.meeting == name).unwrap().key.as_str();
        page.meetings.iter().map(|meeting| key_of(&meeting.name)).collect()
    }
}

fn participation<'a>(account: &'a Account, id: &str) -> &'a Participation {
    account.participations.iter().find(|participation| participation.id == id).expect("takes part")
}

fn on(month: i32, day: i32, basis: Basis) -> (Option<Date>, Option<Date>, Basis) {
    (Some(Date { year: 2020, month, day }), None, basis)
}

fn when(span: &Option<DateSpan>) -> (Option<Date>, Option<Date>, Basis) {
    let span = span.clone().expect("a date");
    (span.start, span.end, span.basis())
}

#[tokio::test]
async fn azernews_talks_have_their_participants_place_and_date() {
    let fixture = AzernewsFixture::new().await;
    let talks = fixture.account("talks").await;
    assert_eq!((talks.kind(), talks.status()), (Kind::Talks, Status::Held));
    let report = fixture.service.reports_of(fixture.meeting("talks")).await.remove(0);
    assert_eq!(report.prominence(), Prominence::Lead);
    assert_eq!(talks.place.as_ref().unwrap().venue, "Headquarters of the Naval Forces of Azerbaijan");

    // The day is the announcement's, not the article's.
    assert_eq!(when(&talks.date), on(9, 3, Basis::InferredFromAnnouncement));
    assert!(talks.date.as_ref().unwrap().approximate);
    let announcement = talks.announcement.as_ref().unwrap();
    assert_eq!((announcement.by.as_str(), announcement.verb.as_str()), ("the ministry", "said"));
    assert_eq!(announcement.participation, fixture.id("defence-ministry"));
    assert_eq!(when(&announcement.date), on(9, 3, Basis::YearInferred));
    assert_eq!(announcement.date.as_ref().unwrap().literal, "September 3");

    let veliyev = participation(&talks, fixture.id("veliyev"));
    assert_eq!(veliyev.participant, fixture.participant("veliyev"));
    assert_eq!((veliyev.name_as_written.as_str(), veliyev.rank.as_str()), ("Kerim Veliyev", "Lieutenant General"));
    assert_eq!((veliyev.roles().collect::<Vec<_>>(), veliyev.presence()), (vec![Role::Host], Presence::Present));
    let office = veliyev.office.as_ref().unwrap();
    assert_eq!(
        (office.title.as_str(), office.region_code.as_str(), office.seniority),
        ("Deputy Defense Minister", "AZ", 3)
    );
    assert_eq!(veliyev.region_code, "AZ");

    let tsalikov = participation(&talks, fixture.id("tsalikov"));
    assert_eq!(tsalikov.roles().collect::<Vec<_>>(), [Role::Visitor, Role::HeadOfDelegation]);
    assert_eq!((tsalikov.name_as_written.as_str(), tsalikov.presence()), ("Ruslan Tsalikov", Presence::Present));
    let office = tsalikov.office.as_ref().unwrap();
    assert_eq!(
        (office.title.as_str(), office.region_code.as_str(), office.seniority),
        ("First Deputy Defense Minister", "RU", 3)
    );
    let delegation = &talks.delegations[0];
    assert_eq!((delegation.region_code.as_str(), delegation.head.as_str()), ("RU", fixture.id("tsalikov")));
    assert_eq!(tsalikov.delegation, delegation.id);

    for (key, words) in [
        ("defence-ministry", "the ministry"),
        ("leadership", "the leadership of Azerbaijan"),
        ("presidents", "the presidents of the two countries"),
    ] {
        let referenced = participation(&talks, fixture.id(key));
        assert_eq!((referenced.name_as_written.as_str(), referenced.presence()), (words, Presence::Referenced));
    }
    assert_eq!(talks.participations.len(), 5);
}

#[tokio::test]
async fn azernews_statements_have_their_speakers_and_verbs() {
    let fixture = AzernewsFixture::new().await;
    let (v, t) = (fixture.id("veliyev"), fixture.id("tsalikov"));
    let relations = "the establishment of Azerbaijani-Russian relations";
    let spheres = "military and military-technical spheres and stressed the importance of its further strengthening";
    let law = "on the basis of the norms and principles of international law";
    let expected = [
        ("s1", vec![v], "Veliyev", "stressed", Act::Stress, "", relations),
        ("s2", vec![v], "He", "added", Act::Add, "s1", "developing on the basis of mutual trust"),
        ("s3", vec![v, t], "The sides", "stressed", Act::Stress, "", spheres),
        (
            "s4",
            vec![v],
            "the Azerbaijani deputy defence minister",
            "pointed out",
            Act::PointOut,
            "",
            "stability in the region",
        ),
        ("s5", vec![v], "Veliyev", "emphasized", Act::Stress, "", law),
        (
            "s6",
            vec![t],
            "Tsalikov",
            "thanking",
            Act::Thank,
            "",
            "organization of the \"Sea Cup\" contest and hospitality",
        ),
        ("s7", vec![t], "Tsalikov", "emphasized", Act::Stress, "", "strategic partners linked by historical roots"),
        ("s8", vec![t], "He", "added", Act::Add, "s7", "development of relations between the two countries"),
        ("s9", vec![v, t], "the sides", "noted", Act::Note, "", "part of the International Army Games - 2020"),
    ];
    let report = fixture.service.reports_of(fixture.meeting("talks")).await.remove(0).name;
    let id = |id: &str| format!("{}/{id}", report.strip_prefix("reports/").unwrap());
    let statements = fixture.account("talks").await.statements;
    assert_eq!(statements.len(), expected.len());
    for (statement, (key, speakers, written, verb, act, continues, end)) in statements.iter().zip(expected) {
        assert_eq!((statement.id.as_str(), statement.report.as_str()), (id(key).as_str(), report.as_str()));
        assert_eq!(statement.speakers, speakers, "{key}");
        let kind = if speakers.len() == 2 { SpeakerKind::Joint } else { SpeakerKind::Individual };
        assert_eq!((statement.speaker_kind(), statement.quotation()), (kind, Quotation::Indirect), "{key}");
        assert_eq!(
            (statement.speaker_as_written.as_str(), statement.verb.as_str(), statement.act()),
            (written, verb, act),
            "{key}"
        );
        assert_eq!(statement.continues, if continues.is_empty() { String::new() } else { id(continues) }, "{key}");
        let addressees: &[&str] = if key == "s6" { &[fixture.id("leadership")] } else { &[] };
        assert_eq!(statement.addressees, addressees, "{key}");
        assert!(statement.text.ends_with(end), "{key}: {}", statement.text);
    }
    let has_topic = |statement: &Statement, topic: &str| statement.topics.iter().any(|name| name == topic);
    assert!(has_topic(&statements[4], "territorial-integrity") && has_topic(&statements[6], "strategic-partnership"));

    let reception = fixture.account("reception").await;
    let [remark] = reception.statements.as_slice() else { panic!("one statement") };
    assert_eq!(remark.speakers, [fixture.id("aliyev")]);
    assert_eq!((remark.speaker_as_written.as_str(), remark.verb.as_str()), ("President Ilham Aliyev", "said"));
    assert_eq!(remark.act(), Act::Say);
    assert!(remark.text.ends_with("strengthen cooperation between the participating countries"));
}

#[tokio::test]
async fn azernews_background_meetings_have_their_links_and_delegations() {
    let fixture = AzernewsFixture::new().await;
    for key in ["sea-cup", "army-games", "visit", "reception"] {
        let report = fixture.service.reports_of(fixture.meeting(key)).await.remove(0);
        assert_eq!(report.prominence(), Prominence::Background, "{key}");
        assert_eq!(fixture.account(key).await.status(), Status::Held, "{key}");
    }
    let (sea_cup, games) = (fixture.account("sea-cup").await, fixture.account("army-games").await);
    assert_eq!((sea_cup.kind(), sea_cup.title.as_str()), (Kind::Exercise, "Sea Cup contest"));
    assert_eq!(sea_cup.date, None);
    assert_eq!(sea_cup.place.unwrap().region_code, "AZ");
    assert_eq!(fixture.links("sea-cup").await, [(link::Kind::PartOf, "army-games")]);
    assert_eq!((games.kind(), games.title.as_str()), (Kind::Exercise, "International Army Games - 2020"));
    assert_eq!(when(&games.date), on(0, 0, Basis::Stated));

    let visit = fixture.account("visit").await;
    assert_eq!((visit.kind(), when(&visit.date)), (Kind::Visit, on(8, 24, Basis::YearInferred)));
    assert_eq!(visit.date.as_ref().unwrap().literal, "August 24");
    let expected = [(link::Kind::OccasionedBy, "sea-cup"), (link::Kind::BackgroundOf, "talks")];
    assert_eq!(fixture.links("visit").await, expected);
    let delegation = &visit.delegations[0];
    assert_eq!((delegation.kind(), delegation.region_code.as_str()), (delegation::Kind::Military, "RU"));
    assert_eq!(delegation.head, fixture.id("shoigu"));
    let shoigu = participation(&visit, fixture.id("shoigu"));
    assert_eq!(shoigu.roles().collect::<Vec<_>>(), [Role::Visitor, Role::HeadOfDelegation]);
    let office = shoigu.office.as_ref().unwrap();
    assert_eq!((office.title.as_str(), office.seniority), ("Defence Minister", 2));

    let reception = fixture.account("reception").await;
    assert_eq!((reception.kind(), when(&reception.date)), (Kind::Reception, on(8, 24, Basis::YearInferred)));
    assert_eq!(fixture.links("reception").await, [(link::Kind::PartOf, "visit")]);
    let aliyev = participation(&reception, fixture.id("aliyev"));
    assert_eq!(aliyev.roles().collect::<Vec<_>>(), [Role::Host, Role::Receiver]);
    let office = aliyev.office.as_ref().unwrap();
    assert_eq!((office.title.as_str(), office.region_code.as_str(), office.seniority), ("President", "AZ", 1));
    let is_received = |participation: &&Participation| participation.roles().any(|role| role == Role::Received);
    let received = reception.participations.iter().find(is_received).unwrap();
    assert_eq!((received.participant.as_str(), received.region_code.as_str()), ("", "RU"));
    assert_eq!(received.delegation, reception.delegations[0].id);
}

#[tokio::test]
async fn azernews_article_and_participants_are_stored() {
    let mut fixture = AzernewsFixture::new().await;
    let read = GetArticleRequest { name: fixture.answer.article.clone(), ..Default::default() };
    let article = fixture.service.articles.get_article(read).await.unwrap().into_inner();
    assert_eq!(article.title, "Azerbaijani, Russian deputy defence ministers discuss military cooperation");
    assert_eq!(article.authors, ["Akbar Mammadov"]);
    assert_eq!(article.publisher.unwrap().display_name, "Azernews");
    assert_eq!(article.publish_date, Some(Date { year: 2020, month: 9, day: 4 }));
    for (key, kind, name, region) in [
        ("veliyev", ParticipantKind::Person, "Kerim Veliyev", "AZ"),
        ("tsalikov", ParticipantKind::Person, "Ruslan Tsalikov", "RU"),
        ("shoigu", ParticipantKind::Person, "Sergey Shoigu", "RU"),
        ("aliyev", ParticipantKind::Person, "Ilham Aliyev", "AZ"),
        ("defence-ministry", ParticipantKind::Organization, "Ministry of Defence of Azerbaijan", "AZ"),
        ("leadership", ParticipantKind::Group, "Leadership of Azerbaijan", "AZ"),
        ("presidents", ParticipantKind::Group, "Presidents of Azerbaijan and Russia", ""),
    ] {
        let read = GetParticipantRequest { name: fixture.participant(key).into(), ..Default::default() };
        let participant = fixture.service.participants.get_participant(read).await.unwrap().into_inner();
        let found = (participant.kind(), participant.display_name.as_str(), participant.region_code.as_str());
        assert_eq!(found, (kind, name, region));
    }
}

#[tokio::test]
async fn azernews_evidence_quotes_the_text_at_its_offsets() {
    let mut fixture = AzernewsFixture::new().await;
    let read = GetArticleRequest { name: fixture.answer.article.clone(), ..Default::default() };
    let text: Vec<char> = fixture.service.articles.get_article(read).await.unwrap().into_inner().text.chars().collect();
    let reports = fixture.service.reports_of(&fixture.answer.article).await;
    let evidence: Vec<_> = reports.iter().flat_map(|report| &report.evidence).collect();
    assert_eq!(evidence.len(), 115);
    for quoted in evidence {
        let (start, end) = (usize::try_from(quoted.start).unwrap(), usize::try_from(quoted.end).unwrap());
        assert_eq!(text[start..end].iter().collect::<String>(), quoted.quote, "{}", quoted.field);
    }
    // Each statement's evidence quotes exactly the statement's text.
    for report in &reports {
        for (at, statement) in report.account.as_ref().unwrap().statements.iter().enumerate() {
            let field = format!("statements[{at}].text");
            let quoted = report.evidence.iter().find(|evidence| evidence.field == field).expect("evidence");
            assert_eq!(quoted.quote, statement.text);
        }
    }
}

#[tokio::test]
async fn azernews_meetings_are_found_by_filters_on_their_facts() {
    let fixture = AzernewsFixture::new().await;
    let all: &[&str] = &["talks", "sea-cup", "army-games", "visit", "reception"];
    let by_participant = |key: &str| format!("participant = \"{}\"", fixture.participant(key));
    let filters: BTreeMap<String, &[&str]> = [
        ("kind = TALKS".to_owned(), &["talks"] as &[&str]),
        ("kind = VISIT".to_owned(), &["visit"]),
        ("kind = RECEPTION".to_owned(), &["reception"]),
        ("kind = EXERCISE".to_owned(), &["sea-cup", "army-games"]),
        ("status = HELD".to_owned(), all),
        ("status = PLANNED".to_owned(), &[]),
        ("region = \"RU\"".to_owned(), &["talks", "visit", "reception"]),
        ("region = \"AZ\"".to_owned(), &["talks", "reception"]),
        ("place.region = \"AZ\"".to_owned(), &["talks", "sea-cup", "visit"]),
        ("topic = \"sea-cup\"".to_owned(), &["talks", "sea-cup", "visit", "reception"]),
        ("topic = \"nagorno-karabakh\"".to_owned(), &["talks"]),
        ("topic = \"international-army-games\"".to_owned(), &["sea-cup", "army-games"]),
        (format!("article = \"{}\"", fixture.answer.article), all),
        (by_participant("veliyev"), &["talks"]),
        (by_participant("tsalikov"), &["talks"]),
        (by_participant("leadership"), &["talks"]),
        (by_participant("shoigu"), &["visit"]),
        (by_participant("aliyev"), &["reception"]),
        // The article dates the games to the whole year and gives no date for the contest.
        ("date = \"2020-09-03\"".to_owned(), &["talks", "army-games"]),
        ("date = \"2020-08\"".to_owned(), &["visit", "reception", "army-games"]),
        ("date >= \"2020-09\"".to_owned(), &["talks", "army-games"]),
        ("date < \"2020-09\"".to_owned(), &["visit", "reception", "army-games"]),
        ("date = \"2020\" AND kind = EXERCISE".to_owned(), &["army-games"]),
        (format!("{} AND {} AND region = \"RU\"", by_participant("veliyev"), by_participant("tsalikov")), &["talks"]),
        (
            format!("({} OR {}) AND date = \"2020-08-24\"", by_participant("veliyev"), by_participant("aliyev")),
            &["reception"],
        ),
    ]
    .into();
    for (filter, expected) in filters {
        assert_eq!(fixture.matching(&filter).await, expected.iter().copied().collect(), "{filter}");
    }
}
