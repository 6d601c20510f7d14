//! Typical questions of analysts, each answered by a single filter.

use readout::pb::{
    Account, Announcement, Article, Date, DateSpan, IngestStoryResponse, ListMeetingsRequest, Meeting, Office,
    Participant, Participation,
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

/// A service that holds the Azernews story of the talks in Baku.
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
        &self.answer.participants.iter().find(|participant| participant.key == key).expect("a key of the story").name
    }

    async fn person(&self, name: &str, region: &str) -> Participant {
        self.service.create_participant(person(name, region)).await
    }

    async fn report(&self, published: Option<Date>, account: Account) {
        let uri = format!("urn:of:{}", account.title);
        let article = Article { publish_date: published, ..article(&uri) };
        let article = self.service.create_article(article).await;
        self.service.create_meeting(&article, account).await.unwrap();
    }

    /// The meetings that match a filter: their keys in the story, or else their titles.
    async fn matching(&self, filter: &str) -> Vec<String> {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let list = self.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        let key = |name: &str| {
            let entry = self.answer.meetings.iter().find(|entry| entry.meeting == name)?;
            Some(entry.key.clone())
        };
        let label = |meeting: Meeting| key(&meeting.name).unwrap_or_else(|| meeting.account.unwrap().title);
        let mut labels: Vec<String> = list.meetings.into_iter().map(label).collect();
        labels.sort();
        labels
    }
}

fn official(participant: &Participant, region: &str, seniority: i32, roles: &[Role]) -> Participation {
    Participation {
        region_code: region.into(),
        office: Some(Office { seniority, ..Default::default() }),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        ..present(&participant.display_name, &participant.name)
    }
}

#[tokio::test]
async fn filter_finds_meetings_where_a_russian_deputy_minister_or_higher_led_a_delegation() {
    let room = Newsroom::open().await;
    let georgian = room.person("A Minister", "GE").await;
    let russian = room.person("Another Minister", "RU").await;
    let director = room.person("A Director", "RU").await;
    let head = &[Role::HeadOfDelegation];
    let both = vec![official(&georgian, "GE", 2, head), official(&russian, "RU", 2, &[Role::Member])];
    room.report(day(9, 1), Account { participations: both, ..talks("Led by another") }).await;
    let led = vec![official(&director, "RU", 4, head)];
    room.report(day(9, 1), Account { participations: led, ..talks("Led by a director") }).await;
    let filter = r#"participant((region = "RU" AND role = HEAD_OF_DELEGATION AND seniority <= 3))"#;
    assert_eq!(room.matching(filter).await, ["talks", "visit"]);
    assert_eq!(room.matching(&format!("{filter} AND between(\"AZ\", \"RU\")")).await, ["talks"]);
}

#[tokio::test]
async fn filter_finds_meetings_announced_by_the_ministry_between_two_days() {
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
    // Announced in the period, but held and published outside of it.
    room.report(day(9, 10), announced("Announced late", day(7, 1), day(9, 1))).await;
    // Held and published in the period, but announced before it.
    room.report(day(9, 3), announced("Announced before", day(9, 2), day(8, 28))).await;
    // Announced in the period, but by another body.
    let other = Account { date: on(day(9, 2)), ..announced("Announced by others", day(9, 2), day(9, 2)) };
    let by =
        Announcement { by: "the embassy".into(), participation: String::new(), ..other.announcement.clone().unwrap() };
    room.report(day(9, 3), Account { announcement: Some(by), ..other }).await;

    let period = r#"announcement.date >= "2020-09-01" AND announcement.date <= "2020-09-05""#;
    let expected = ["Announced late", "talks"];
    assert_eq!(room.matching(&format!("announcement.by = \"The Ministry\" AND {period}")).await, expected);
    assert_eq!(room.matching(&format!("announcement.participant = \"{ministry}\" AND {period}")).await, expected);
    // Filters on the date of the event or of the article give another result.
    let ministry = "announcement.by = \"the ministry\"";
    let event = r#"date >= "2020-09-01" AND date <= "2020-09-05""#;
    assert_eq!(room.matching(&format!("{ministry} AND {event}")).await, ["Announced before", "talks"]);
    let published = r#"publish_date >= "2020-09-01" AND publish_date <= "2020-09-05""#;
    assert_eq!(room.matching(&format!("{ministry} AND {published}")).await, ["Announced before", "talks"]);
}

#[tokio::test]
async fn filter_finds_meetings_with_a_single_independent_source() {
    let room = Newsroom::open().await;
    let talks_held = room.answer.meetings.iter().find(|entry| entry.key == "talks").unwrap().meeting.clone();
    let visit = room.answer.meetings.iter().find(|entry| entry.key == "visit").unwrap().meeting.clone();
    let agency = room.service.create_article(article("urn:agency")).await;
    let reprint = Article { syndicated_from: room.answer.article.clone(), ..article("urn:reprint") };
    let reprint = room.service.create_article(reprint).await;
    // The talks get a report from an independent source, the visit one from a copy only.
    room.service.add_report(&talks_held, &agency.name, talks("The talks")).await.unwrap();
    room.service.add_report(&visit, &reprint.name, talks("The visit")).await.unwrap();
    let single_source = "independent_source_count = 1";
    assert_eq!(room.matching(single_source).await, ["army-games", "reception", "sea-cup", "visit"]);
    assert_eq!(room.matching(&format!("{single_source} AND report_count > 1")).await, ["visit"]);
    assert_eq!(room.matching("independent_source_count > 1").await, ["talks"]);
}
