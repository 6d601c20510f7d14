//! One real article, whole: every fact that it tells comes back through the calls.

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

/// The story in a service of its own.
struct Told {
    service: Service,
    answer: IngestStoryResponse,
}

impl Told {
    async fn new() -> Self {
        let service = Service::start().await;
        let story: Story = json::parse("readout.v1.Story", include_str!("data/azernews.story.json")).unwrap();
        let answer = service.ingest.clone().ingest_story(ingest(story)).await.unwrap().into_inner();
        Self { service, answer }
    }

    fn participant(&self, key: &str) -> &str {
        &self.answer.participants.iter().find(|one| one.key == key).expect("a key of the story").name
    }

    /// The id of a participant in settled accounts.
    fn id(&self, key: &str) -> &str {
        self.participant(key).strip_prefix("participants/").unwrap()
    }

    fn meeting(&self, key: &str) -> &str {
        &self.answer.meetings.iter().find(|one| one.key == key).expect("a key of the story").meeting
    }

    async fn account(&self, key: &str) -> Account {
        self.service.meeting(self.meeting(key)).await.account.unwrap()
    }

    /// The kind of relation and the key of the other meeting.
    async fn links(&self, key: &str) -> Vec<(link::Kind, &str)> {
        let links = self.account(key).await.links;
        let other = |name: &str| &self.answer.meetings.iter().find(|one| one.meeting == name).unwrap().key;
        links.iter().map(|one| (one.kind(), other(&one.meeting).as_str())).collect()
    }

    /// Keys of the meetings that a filter finds.
    async fn found(&self, filter: &str) -> BTreeSet<&str> {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let page = self.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        let key = |name: &str| self.answer.meetings.iter().find(|one| one.meeting == name).unwrap().key.as_str();
        page.meetings.iter().map(|one| key(&one.name)).collect()
    }
}

fn participation<'a>(account: &'a Account, id: &str) -> &'a Participation {
    account.participations.iter().find(|one| one.id == id).expect("takes part")
}

fn on(month: i32, day: i32, basis: Basis) -> (Option<Date>, Option<Date>, Basis) {
    (Some(Date { year: 2020, month, day }), None, basis)
}

fn when(span: &Option<DateSpan>) -> (Option<Date>, Option<Date>, Basis) {
    let span = span.clone().expect("a date");
    (span.start, span.end, span.basis())
}

#[tokio::test]
async fn the_talks_are_told_with_who_where_and_when() {
    let told = Told::new().await;
    let talks = told.account("talks").await;
    assert_eq!((talks.kind(), talks.status()), (Kind::Talks, Status::Held));
    let report = told.service.reports_of(told.meeting("talks")).await.remove(0);
    assert_eq!(report.prominence(), Prominence::Lead);
    assert_eq!(talks.place.as_ref().unwrap().venue, "Headquarters of the Naval Forces of Azerbaijan");

    // The day is that of the announcement, and not of the article.
    assert_eq!(when(&talks.date), on(9, 3, Basis::InferredFromAnnouncement));
    assert!(talks.date.as_ref().unwrap().approximate);
    let announcement = talks.announcement.as_ref().unwrap();
    assert_eq!((announcement.by.as_str(), announcement.verb.as_str()), ("the ministry", "said"));
    assert_eq!(announcement.participation, told.id("defence-ministry"));
    assert_eq!(when(&announcement.date), on(9, 3, Basis::YearInferred));
    assert_eq!(announcement.date.as_ref().unwrap().literal, "September 3");

    let veliyev = participation(&talks, told.id("veliyev"));
    assert_eq!(veliyev.participant, told.participant("veliyev"));
    assert_eq!((veliyev.name_as_written.as_str(), veliyev.rank.as_str()), ("Kerim Veliyev", "Lieutenant General"));
    assert_eq!((veliyev.roles().collect::<Vec<_>>(), veliyev.presence()), (vec![Role::Host], Presence::Present));
    let office = veliyev.office.as_ref().unwrap();
    assert_eq!(
        (office.title.as_str(), office.region_code.as_str(), office.seniority),
        ("Deputy Defense Minister", "AZ", 3)
    );
    assert_eq!(veliyev.region_code, "AZ");

    let tsalikov = participation(&talks, told.id("tsalikov"));
    assert_eq!(tsalikov.roles().collect::<Vec<_>>(), [Role::Visitor, Role::HeadOfDelegation]);
    assert_eq!((tsalikov.name_as_written.as_str(), tsalikov.presence()), ("Ruslan Tsalikov", Presence::Present));
    let office = tsalikov.office.as_ref().unwrap();
    assert_eq!(
        (office.title.as_str(), office.region_code.as_str(), office.seniority),
        ("First Deputy Defense Minister", "RU", 3)
    );
    let delegation = &talks.delegations[0];
    assert_eq!((delegation.region_code.as_str(), delegation.head.as_str()), ("RU", told.id("tsalikov")));
    assert_eq!(tsalikov.delegation, delegation.id);

    for (key, words) in [
        ("defence-ministry", "the ministry"),
        ("leadership", "the leadership of Azerbaijan"),
        ("presidents", "the presidents of the two countries"),
    ] {
        let one = participation(&talks, told.id(key));
        assert_eq!((one.name_as_written.as_str(), one.presence()), (words, Presence::Referenced));
    }
    assert_eq!(talks.participations.len(), 5);
}

#[tokio::test]
async fn all_ten_statements_are_told_with_their_speakers_and_verbs() {
    let told = Told::new().await;
    let (v, t) = (told.id("veliyev"), told.id("tsalikov"));
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
    let report = told.service.reports_of(told.meeting("talks")).await.remove(0).name;
    let id = |id: &str| format!("{}/{id}", report.strip_prefix("reports/").unwrap());
    let statements = told.account("talks").await.statements;
    assert_eq!(statements.len(), expected.len());
    for (one, (key, speakers, written, verb, act, continues, end)) in statements.iter().zip(expected) {
        assert_eq!((one.id.as_str(), one.report.as_str()), (id(key).as_str(), report.as_str()));
        assert_eq!(one.speakers, speakers, "{key}");
        let kind = if speakers.len() == 2 { SpeakerKind::Joint } else { SpeakerKind::Individual };
        assert_eq!((one.speaker_kind(), one.quotation()), (kind, Quotation::Indirect), "{key}");
        assert_eq!((one.speaker_as_written.as_str(), one.verb.as_str(), one.act()), (written, verb, act), "{key}");
        assert_eq!(one.continues, if continues.is_empty() { String::new() } else { id(continues) }, "{key}");
        let addressees: &[&str] = if key == "s6" { &[told.id("leadership")] } else { &[] };
        assert_eq!(one.addressees, addressees, "{key}");
        assert!(one.text.ends_with(end), "{key}: {}", one.text);
    }
    let has_topic = |one: &Statement, topic: &str| one.topics.iter().any(|it| it == topic);
    assert!(has_topic(&statements[4], "territorial-integrity") && has_topic(&statements[6], "strategic-partnership"));

    let reception = told.account("reception").await;
    let [said] = reception.statements.as_slice() else { panic!("one statement") };
    assert_eq!(said.speakers, [told.id("aliyev")]);
    assert_eq!((said.speaker_as_written.as_str(), said.verb.as_str()), ("President Ilham Aliyev", "said"));
    assert_eq!(said.act(), Act::Say);
    assert!(said.text.ends_with("strengthen cooperation between the participating countries"));
}

#[tokio::test]
async fn the_background_is_told_with_what_belongs_to_what() {
    let told = Told::new().await;
    for key in ["sea-cup", "army-games", "visit", "reception"] {
        let report = told.service.reports_of(told.meeting(key)).await.remove(0);
        assert_eq!(report.prominence(), Prominence::Background, "{key}");
        assert_eq!(told.account(key).await.status(), Status::Held, "{key}");
    }
    let (sea_cup, games) = (told.account("sea-cup").await, told.account("army-games").await);
    assert_eq!((sea_cup.kind(), sea_cup.title.as_str()), (Kind::Exercise, "Sea Cup contest"));
    assert_eq!(sea_cup.date, None);
    assert_eq!(sea_cup.place.unwrap().region_code, "AZ");
    assert_eq!(told.links("sea-cup").await, [(link::Kind::PartOf, "army-games")]);
    assert_eq!((games.kind(), games.title.as_str()), (Kind::Exercise, "International Army Games - 2020"));
    assert_eq!(when(&games.date), on(0, 0, Basis::Stated));

    let visit = told.account("visit").await;
    assert_eq!((visit.kind(), when(&visit.date)), (Kind::Visit, on(8, 24, Basis::YearInferred)));
    assert_eq!(visit.date.as_ref().unwrap().literal, "August 24");
    let expected = [(link::Kind::OccasionedBy, "sea-cup"), (link::Kind::BackgroundOf, "talks")];
    assert_eq!(told.links("visit").await, expected);
    let delegation = &visit.delegations[0];
    assert_eq!((delegation.kind(), delegation.region_code.as_str()), (delegation::Kind::Military, "RU"));
    assert_eq!(delegation.head, told.id("shoigu"));
    let shoigu = participation(&visit, told.id("shoigu"));
    assert_eq!(shoigu.roles().collect::<Vec<_>>(), [Role::Visitor, Role::HeadOfDelegation]);
    let office = shoigu.office.as_ref().unwrap();
    assert_eq!((office.title.as_str(), office.seniority), ("Defence Minister", 2));

    let reception = told.account("reception").await;
    assert_eq!((reception.kind(), when(&reception.date)), (Kind::Reception, on(8, 24, Basis::YearInferred)));
    assert_eq!(told.links("reception").await, [(link::Kind::PartOf, "visit")]);
    let aliyev = participation(&reception, told.id("aliyev"));
    assert_eq!(aliyev.roles().collect::<Vec<_>>(), [Role::Host, Role::Receiver]);
    let office = aliyev.office.as_ref().unwrap();
    assert_eq!((office.title.as_str(), office.region_code.as_str(), office.seniority), ("President", "AZ", 1));
    let received = reception.participations.iter().find(|one| one.roles().any(|role| role == Role::Received)).unwrap();
    assert_eq!((received.participant.as_str(), received.region_code.as_str()), ("", "RU"));
    assert_eq!(received.delegation, reception.delegations[0].id);
}

#[tokio::test]
async fn the_article_and_its_participants_are_told() {
    let mut told = Told::new().await;
    let read = GetArticleRequest { name: told.answer.article.clone(), ..Default::default() };
    let article = told.service.articles.get_article(read).await.unwrap().into_inner();
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
        let read = GetParticipantRequest { name: told.participant(key).into(), ..Default::default() };
        let one = told.service.participants.get_participant(read).await.unwrap().into_inner();
        assert_eq!((one.kind(), one.display_name.as_str(), one.region_code.as_str()), (kind, name, region));
    }
}

#[tokio::test]
async fn all_evidence_stands_in_the_text_at_its_place() {
    let mut told = Told::new().await;
    let read = GetArticleRequest { name: told.answer.article.clone(), ..Default::default() };
    let text: Vec<char> = told.service.articles.get_article(read).await.unwrap().into_inner().text.chars().collect();
    let reports = told.service.reports_of(&told.answer.article).await;
    let evidence: Vec<_> = reports.iter().flat_map(|one| &one.evidence).collect();
    assert_eq!(evidence.len(), 115);
    for one in evidence {
        let (start, end) = (usize::try_from(one.start).unwrap(), usize::try_from(one.end).unwrap());
        assert_eq!(text[start..end].iter().collect::<String>(), one.quote, "{}", one.field);
    }
    // Every statement rests on the words that it has.
    for report in &reports {
        for (at, statement) in report.account.as_ref().unwrap().statements.iter().enumerate() {
            let field = format!("statements[{at}].text");
            let one = report.evidence.iter().find(|one| one.field == field).expect("evidence");
            assert_eq!(one.quote, statement.text);
        }
    }
}

#[tokio::test]
async fn each_meeting_is_found_by_what_is_told_of_it() {
    let told = Told::new().await;
    let all: &[&str] = &["talks", "sea-cup", "army-games", "visit", "reception"];
    let who = |key: &str| format!("participant = \"{}\"", told.participant(key));
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
        (format!("article = \"{}\"", told.answer.article), all),
        (who("veliyev"), &["talks"]),
        (who("tsalikov"), &["talks"]),
        (who("leadership"), &["talks"]),
        (who("shoigu"), &["visit"]),
        (who("aliyev"), &["reception"]),
        // The games took the whole year, as far as is told, and the contest has no date.
        ("date = \"2020-09-03\"".to_owned(), &["talks", "army-games"]),
        ("date = \"2020-08\"".to_owned(), &["visit", "reception", "army-games"]),
        ("date >= \"2020-09\"".to_owned(), &["talks", "army-games"]),
        ("date < \"2020-09\"".to_owned(), &["visit", "reception", "army-games"]),
        ("date = \"2020\" AND kind = EXERCISE".to_owned(), &["army-games"]),
        (format!("{} AND {} AND region = \"RU\"", who("veliyev"), who("tsalikov")), &["talks"]),
        (format!("({} OR {}) AND date = \"2020-08-24\"", who("veliyev"), who("aliyev")), &["reception"]),
    ]
    .into();
    for (filter, expected) in filters {
        assert_eq!(told.found(&filter).await, expected.iter().copied().collect(), "{filter}");
    }
}
