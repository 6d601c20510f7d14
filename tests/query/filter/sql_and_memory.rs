//! A list and a watch with the same filter find the same meetings: filters have the same meaning in SQL and when they
//! are evaluated on a record in memory.

use std::collections::{BTreeMap, BTreeSet};

use readout::pb::{
    Account, AddReportRequest, Announcement, Article, CreateMeetingRequest, Date, DateSpan, Delegation, Evidence,
    ExternalId, ListMeetingsRequest, Meeting, Office, Participant, Participation, Place, Report, Stop, TimeOfDay,
    account::{Kind, Status, VisitType},
    date_span::Extent,
    participation::{Presence, Role},
};

use crate::{
    faults::rng::Chance,
    support::{
        Service,
        follow::{beginning, matching},
        make,
        random_filter::{Askable, Asker, EQUAL, HAS, ORDERED},
    },
};

const MEETINGS: u64 = 60;
const QUESTIONS: usize = 250;

/// Values that occur in the meetings, and in each list one or more that do not.
const REGIONS: [&str; 4] = ["AZ", "RU", "XK", "FR"];
const TOPICS: [&str; 3] = ["trade", "security", "sport"];
const DATES: [&str; 8] = ["2019", "2020", "2020-08", "2020-09", "2020-08-24", "2020-08-25", "2020-09-01", "2021-01-01"];

/// Generates meetings in which every field is sometimes unset.
struct Generator {
    chance: Chance,
    people: Vec<Participant>,
}

impl Generator {
    fn one_of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.chance.below(values.len() as u64) as usize]
    }

    fn date(&mut self) -> Option<Date> {
        let (month, day) = *self.one_of(&[(0, 0), (8, 0), (8, 24), (8, 25), (9, 1), (9, 0)]);
        let year = *self.one_of(&[2019, 2020, 2020]);
        (!self.chance.once_in(4)).then_some(Date { year, month, day })
    }

    fn span(&mut self) -> Option<DateSpan> {
        let start = self.date()?;
        // Never before the start.
        let end = self.chance.once_in(4).then_some(Date { year: start.year + 1, month: 1, day: 1 });
        let start_time = self.chance.once_in(2).then(|| TimeOfDay { hours: 10, ..Default::default() });
        let time_zone = (*self.one_of(&["", "UTC", "Asia/Baku"])).into();
        // An unknown day within the span, which has several days.
        if self.chance.once_in(4) && (start.day == 0 || end.is_some()) {
            let extent = Extent::SometimeWithin.into();
            return Some(DateSpan { start: Some(start), end, time_zone, extent, ..Default::default() });
        }
        Some(DateSpan { start: Some(start), end, start_time, time_zone, ..Default::default() })
    }

    fn participation(&mut self, at: usize) -> Participation {
        let presence = Presence::try_from(self.chance.below(6) as i32).unwrap();
        let roles: BTreeSet<Role> =
            [Role::Host, Role::Visitor, Role::Chair].into_iter().filter(|_| self.chance.once_in(2)).collect();
        let participant = self.people[at].name.clone();
        let participant = if self.chance.once_in(3) { String::new() } else { participant };
        let region_code = if self.chance.once_in(4) { "" } else { self.one_of(&REGIONS[..3]) };
        Participation {
            id: format!("p{at}"),
            participant,
            name_as_written: format!("Person {at}"),
            presence: presence.into(),
            roles: roles.into_iter().map(Into::into).collect(),
            region_code: region_code.into(),
            office: Some(Office {
                seniority: self.chance.below(5) as i32,
                title: (*self.one_of(&["", "Minister", "MINISTER", "President"])).into(),
                organization: (*self.one_of(&["", "Ministry of Defence"])).into(),
                ..Default::default()
            }),
            rank: (*self.one_of(&["", "General", "general", "Colonel"])).into(),
            ..Default::default()
        }
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let labels = [("priority", "high"), ("priority", "low"), ("a b", "x"), ("draft", "")];
        let labels = labels.into_iter().filter(|_| self.chance.once_in(3));
        labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn account(&mut self, number: u64) -> Account {
        let participations: Vec<_> = (0..self.chance.below(4) as usize).map(|at| self.participation(at)).collect();
        let announcement = (!self.chance.once_in(3)).then(|| Announcement {
            by: (*self.one_of(&["", "The Ministry", "the  ministry", "A_source%"])).into(),
            participation: participations.first().map(|participation| participation.id.clone()).unwrap_or_default(),
            date: self.span(),
            ..Default::default()
        });
        let place = (!self.chance.once_in(3)).then(|| Place {
            region_code: (*self.one_of(&["", "AZ", "RU"])).into(),
            locality: (*self.one_of(&["", "Baku", "BAKU", "Moscow"])).into(),
            venue: (*self.one_of(&["", "The Kremlin", "THE  KREMLIN"])).into(),
            ..Default::default()
        });
        let delegation = |stated_size: u64| Delegation {
            label: format!("the delegation of {stated_size}"),
            stated_size: stated_size as i32,
            ..Default::default()
        };
        Account {
            delegations: (0..self.chance.below(3)).map(|_| delegation(self.chance.below(4) * 5)).collect(),
            kind: (*self.one_of(&[Kind::Unspecified, Kind::Talks, Kind::Visit])).into(),
            status: (*self.one_of(&[Status::Unspecified, Status::Held, Status::Planned])).into(),
            title: format!("Meeting {}", number % 7),
            topics: TOPICS[..2].iter().filter(|_| self.chance.once_in(2)).map(|topic| (*topic).to_owned()).collect(),
            date: self.span(),
            place,
            announcement,
            participations,
            external_ids: self.external_ids(number),
            stops: self.stops(),
            visit_type: (*self.one_of(&[VisitType::Unspecified, VisitType::State, VisitType::Private])).into(),
            ..Default::default()
        }
    }

    /// Ids that no other meeting has.
    fn external_ids(&mut self, number: u64) -> Vec<ExternalId> {
        let values = [number.to_string(), format!("other {number}")];
        let told = values.into_iter().filter(|_| self.chance.once_in(2));
        told.map(|value| ExternalId { scheme: "register".into(), value }).collect()
    }

    fn stops(&mut self) -> Vec<Stop> {
        let count = self.chance.below(3);
        let stop = |_| Stop {
            place: Some(Place {
                region_code: (*self.one_of(&["XK", "AZ", "RU"])).into(),
                locality: (*self.one_of(&["", "Baku", "Pristina"])).into(),
                ..Default::default()
            }),
            date: self.span(),
        };
        (0..count).map(stop).collect()
    }
}

/// A service with generated meetings, some of them with two reports.
async fn service(seed: u64) -> (Service, Vec<Participant>) {
    let service = Service::start().await;
    let mut people = Vec::new();
    for name in ["Kerim Veliyev", "Ruslan Tsalikov", "Sergey Shoigu"] {
        people.push(service.create_participant(make::person(name, "AZ")).await);
    }
    let mut generator = Generator { chance: Chance::of(seed, "meetings"), people: people.clone() };
    for number in 0..MEETINGS {
        let article = Article { publish_date: generator.date(), ..make::article(&format!("urn:{number}")) };
        let article = service.create_article(article).await;
        let account = generator.account(number);
        let labels = generator.labels();
        let request = CreateMeetingRequest {
            meeting: Some(Meeting { labels, account: Some(account), ..Default::default() }),
            source_article: article.name.clone(),
            ..Default::default()
        };
        let meeting = service.meetings.clone().create_meeting(request).await.unwrap().into_inner();
        if generator.chance.once_in(4) {
            let other = service.create_article(make::article(&format!("urn:other:{number}"))).await;
            let account = Some(generator.account(number));
            let evidence = vec![Evidence { field: "title".into(), quote: "in Baku".into(), ..Default::default() }];
            let report = Report { article: other.name, account, evidence, ..Default::default() };
            let request = AddReportRequest { meeting: meeting.name, report: Some(report), ..Default::default() };
            service.meetings.clone().add_report(request).await.unwrap();
        }
    }
    (service, people)
}

fn asker(seed: u64, people: &[Participant]) -> Asker {
    let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    // Far from the current time, at which the test writes its records.
    let times = ["2000", "2020-09-04T12:00:00Z", "9999-12-31"];
    Asker {
        chance: Chance::of(seed, "questions"),
        fields: vec![
            Askable::new("kind", EQUAL, &["TALKS", "VISIT", "SUMMIT"]),
            Askable::new("status", EQUAL, &["HELD", "PLANNED", "DENIED"]),
            Askable::new("region", HAS, &REGIONS),
            Askable::new("visit_type", EQUAL, &["STATE", "PRIVATE", "TRANSIT"]),
            Askable::new("external_id", HAS, &["register:0", "register:5", "register:other 8", "other:0"]),
            Askable::new("place.region", HAS, &["AZ", "RU", "FR", "XK"]),
            Askable::new("place.locality", HAS, &["baku", "MOSCOW", "", "B%", "_aku"]),
            Askable::new("title", EQUAL, &["meeting 1", "MEETING  2", "Meeting", ""]),
            Askable::new("place.venue", HAS, &["the kremlin", "Kremlin"]),
            Askable::new("start_time", ORDERED, &["2020-08-24T06:00:00Z", "2020-08-24T10:00:00Z", "2020", "2021"]),
            Askable::new("delegation.stated_size", ORDERED, &["0", "5", "9", "10", "15"]),
            Askable::new("labels.KEY", EQUAL, &["", "x"]),
            Askable::new("labels.priority", EQUAL, &["high", "low", ""]),
            Askable::new("labels.\"a b\"", EQUAL, &["x", ""]),
            Askable::new("participant", HAS, &names),
            Askable::new("topic", HAS, &TOPICS),
            Askable::new("date", ORDERED, &DATES),
            Askable::new("has_dispute", EQUAL, &["true", "false"]),
            Askable::new(
                "fragile",
                HAS,
                &["date", "kind", "place.region_code", "place.locality", "participations", "visit_type"],
            ),
            Askable::new("report_count", ORDERED, &["0", "1", "2"]),
            Askable::new("independent_source_count", ORDERED, &["1", "2", "3"]),
            Askable::new("evidence_coverage", ORDERED, &["0", "0.05", "0.062", "0.1", "1"]),
            Askable::new("review", EQUAL, &["UNREVIEWED", "REVIEWED"]),
            Askable::new("announcement.by", EQUAL, &["THE MINISTRY", "a_source%", "A source%", ""]),
            Askable::new("announcement.participant", EQUAL, &names),
            Askable::new("announcement.date", ORDERED, &DATES),
            Askable::new("publish_date", ORDERED, &DATES),
            Askable::new("create_time", ORDERED, &times),
            Askable::new("update_time", ORDERED, &times),
        ],
        participations: vec![
            Askable::new("participant", EQUAL, &names),
            Askable::new("region", EQUAL, &REGIONS),
            Askable::new("role", HAS, &["HOST", "VISITOR", "CHAIR", "CALLER"]),
            Askable::new("name", EQUAL, &["person 0", "PERSON-1", "Person"]),
            Askable::new("office.title", EQUAL, &["minister", "Minister of Defence"]),
            Askable::new("office.organization", EQUAL, &["ministry of  defence", ""]),
            Askable::new("rank", EQUAL, &["general", "Lieutenant"]),
            Askable::new("seniority", ORDERED, &["0", "1", "2", "3", "9"]),
            Askable::new("presence", EQUAL, &["PRESENT", "REMOTE", "REPRESENTED", "ABSENT", "REFERENCED"]),
        ],
        regions: REGIONS.map(str::to_owned).to_vec(),
    }
}

async fn listed(service: &Service, filter: &str) -> BTreeSet<String> {
    let request = ListMeetingsRequest { filter: filter.into(), page_size: 1_000, ..Default::default() };
    let list =
        service.meetings.clone().list_meetings(request).await.unwrap_or_else(|status| panic!("{filter}: {status}"));
    list.into_inner().meetings.into_iter().map(|meeting| meeting.name).collect()
}

/// The names of all meetings with a change that matches the filter.
async fn watched(service: &Service, filter: &str) -> BTreeSet<String> {
    let changes = service.watch(matching(beginning(), filter)).await.caught_up().await;
    changes.into_iter().map(|change| change.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_and_a_watch_agree_on_every_filter() {
    let seed = Chance::seed();
    let (service, people) = service(seed).await;
    // A change matches if its resource matches before or after it, so that only meetings with a single change are
    // compared for equality.
    let changed_once: BTreeSet<String> = listed(&service, "report_count = 1").await;
    let mut asker = asker(seed, &people);
    let (mut selective, mut results) = (0, BTreeSet::new());
    for _ in 0..QUESTIONS {
        let question = asker.ask(3);
        let found = listed(&service, &question.to_string()).await;
        let filter = format!("collection = meetings AND {}", question.text("meeting."));
        let delivered = watched(&service, &filter).await;
        let of_changed_once =
            |names: &BTreeSet<String>| names.intersection(&changed_once).cloned().collect::<BTreeSet<_>>();
        assert_eq!(of_changed_once(&found), of_changed_once(&delivered), "READOUT_SEED={seed} {question}");
        assert!(found.is_subset(&delivered), "READOUT_SEED={seed} {question}");
        selective += usize::from(!found.is_empty() && found.len() < MEETINGS as usize);
        results.insert(found);
    }
    assert!(selective > QUESTIONS / 3 && results.len() > QUESTIONS / 4, "too few selective filters: {selective}");
}
