//! What analysts ask of the record, each as one filter.

use readout::pb::{
    Account, Announcement, Article, Date, DateSpan, IngestStoryResponse, ListMeetingsRequest, Office, Participant,
    Participation,
    participation::{Presence, Role},
};

use crate::support::{
    Service,
    make::{article, ingest, person, present, talks},
    stories::{azernews_line, story},
};

fn day(month: i32, day: i32) -> Option<Date> {
    Some(Date { year: 2020, month, day })
}

fn on(start: Option<Date>) -> Option<DateSpan> {
    Some(DateSpan { start, ..Default::default() })
}

/// A service that was told the story of the talks in Baku.
struct Newsroom {
    service: Service,
    answer: IngestStoryResponse,
}

impl Newsroom {
    async fn open() -> Self {
        let service = Service::start().await;
        let answer = service.ingest.clone().ingest_story(ingest(story(&azernews_line()))).await.unwrap().into_inner();
        Self { service, answer }
    }

    fn participant(&self, key: &str) -> &str {
        &self.answer.participants.iter().find(|one| one.key == key).expect("a key of the story").name
    }

    async fn person(&self, name: &str, region: &str) -> Participant {
        self.service.create_participant(person(name, region)).await
    }

    async fn tell(&self, published: Option<Date>, account: Account) {
        let uri = format!("urn:of:{}", account.title);
        let article = Article { publish_date: published, ..article(&uri) };
        let article = self.service.create_article(article).await;
        self.service.create_meeting(&article, account).await.unwrap();
    }

    /// Keys of the story, or titles, of the meetings that a filter finds.
    async fn found(&self, filter: &str) -> Vec<String> {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let list = self.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        let key = |name: &str| self.answer.meetings.iter().find(|one| one.meeting == name).map(|one| one.key.clone());
        let called = list.meetings.into_iter().map(|one| key(&one.name).unwrap_or_else(|| one.account.unwrap().title));
        let mut called: Vec<String> = called.collect();
        called.sort();
        called
    }
}

fn official(who: &Participant, region: &str, seniority: i32, roles: &[Role]) -> Participation {
    Participation {
        region_code: region.into(),
        office: Some(Office { seniority, ..Default::default() }),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        ..present(&who.display_name, &who.name)
    }
}

#[tokio::test]
async fn where_a_russian_deputy_minister_or_higher_led_a_delegation() {
    let room = Newsroom::open().await;
    let georgian = room.person("A Minister", "GE").await;
    let russian = room.person("Another Minister", "RU").await;
    let director = room.person("A Director", "RU").await;
    let head = &[Role::HeadOfDelegation];
    let both = vec![official(&georgian, "GE", 2, head), official(&russian, "RU", 2, &[Role::Member])];
    room.tell(day(9, 1), Account { participations: both, ..talks("Led by another") }).await;
    let led = vec![official(&director, "RU", 4, head)];
    room.tell(day(9, 1), Account { participations: led, ..talks("Led by a director") }).await;
    let filter = r#"participant((region = "RU" AND role = HEAD_OF_DELEGATION AND seniority <= 3))"#;
    assert_eq!(room.found(filter).await, ["talks", "visit"]);
    assert_eq!(room.found(&format!("{filter} AND between(\"AZ\", \"RU\")")).await, ["talks"]);
}

#[tokio::test]
async fn what_was_announced_by_the_ministry_between_two_days() {
    let room = Newsroom::open().await;
    let ministry = room.participant("defence-ministry").to_owned();
    let referenced = Participation { presence: Presence::Referenced.into(), ..present("ministry", &ministry) };
    let announced = |title: &str, date: Option<Date>, announced: Option<Date>| Account {
        date: on(date),
        participations: vec![referenced.clone()],
        announcement: Some(Announcement {
            by: "the ministry".into(),
            participation: "ministry".into(),
            date: on(announced),
            ..Default::default()
        }),
        ..talks(title)
    };
    // Announced then; took place and was told of at other times.
    room.tell(day(9, 10), announced("Announced late", day(7, 1), day(9, 1))).await;
    // Took place and was told of then; announced before.
    room.tell(day(9, 3), announced("Announced before", day(9, 2), day(8, 28))).await;
    // Announced then, by somebody else.
    let other = Account { date: on(day(9, 2)), ..announced("Announced by others", day(9, 2), day(9, 2)) };
    let by =
        Announcement { by: "the embassy".into(), participation: String::new(), ..other.announcement.clone().unwrap() };
    room.tell(day(9, 3), Account { announcement: Some(by), ..other }).await;

    let then = r#"announcement.date >= "2020-09-01" AND announcement.date <= "2020-09-05""#;
    let expected = ["Announced late", "talks"];
    assert_eq!(room.found(&format!("announcement.by = \"The Ministry\" AND {then}")).await, expected);
    assert_eq!(room.found(&format!("announcement.participant = \"{ministry}\" AND {then}")).await, expected);
    // Neither the date of the event nor that of the article.
    let ministry = "announcement.by = \"the ministry\"";
    let event = r#"date >= "2020-09-01" AND date <= "2020-09-05""#;
    assert_eq!(room.found(&format!("{ministry} AND {event}")).await, ["Announced before", "talks"]);
    let published = r#"publish_date >= "2020-09-01" AND publish_date <= "2020-09-05""#;
    assert_eq!(room.found(&format!("{ministry} AND {published}")).await, ["Announced before", "talks"]);
}

#[tokio::test]
async fn what_rests_on_a_single_independent_source() {
    let room = Newsroom::open().await;
    let talks_held = room.answer.meetings.iter().find(|one| one.key == "talks").unwrap().meeting.clone();
    let visit = room.answer.meetings.iter().find(|one| one.key == "visit").unwrap().meeting.clone();
    let agency = room.service.create_article(article("urn:agency")).await;
    let reprint = Article { syndicated_from: room.answer.article.clone(), ..article("urn:reprint") };
    let reprint = room.service.create_article(reprint).await;
    // Another source tells of the talks; of the visit only a copy does.
    room.service.add_report(&talks_held, &agency.name, talks("The talks")).await.unwrap();
    room.service.add_report(&visit, &reprint.name, talks("The visit")).await.unwrap();
    let rest = "independent_source_count = 1";
    assert_eq!(room.found(rest).await, ["army-games", "reception", "sea-cup", "visit"]);
    assert_eq!(room.found(&format!("{rest} AND report_count > 1")).await, ["visit"]);
    assert_eq!(room.found("independent_source_count > 1").await, ["talks"]);
}
