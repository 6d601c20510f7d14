//! Counterparts, chains of meetings and counts, in small worlds. `oracle` tests them on the real stories.

mod aggregate;
mod counterpart;
mod path;

use std::sync::atomic::{AtomicUsize, Ordering};

use readout::pb::{
    Account, AggregateMeetingsRequest, AggregateMeetingsResponse, Article, Date, DateSpan, FindPathRequest,
    FindPathResponse, ListCounterpartsRequest, ListCounterpartsResponse, Participation, participation::Presence,
};
use tonic::{Response, Status};

use crate::support::{
    Service,
    make::{article, person, present, talks},
};

/// A service with an article and eight people. Each is called by its initial and has a region with the same initial.
struct World {
    service: Service,
    article: Article,
    people: Vec<String>,
}

const LETTERS: [(&str, &str); 8] = [
    ("Ada", "AZ"),
    ("Ben", "BE"),
    ("Cem", "CZ"),
    ("Dan", "DK"),
    ("Eva", "EE"),
    ("Fay", "FI"),
    ("Gus", "GE"),
    ("Hal", "HU"),
];

impl World {
    /// The resource names of the people are in the order of their letters.
    async fn start() -> Self {
        let service = Service::start().await;
        let article = service.create_article(article("urn:people")).await;
        let mut people = Vec::new();
        for (name, region) in LETTERS {
            people.push(service.create_participant(person(name, region)).await.name);
        }
        assert!(people.is_sorted(), "ids are ordered by time");
        Self { service, article, people }
    }

    /// The resource name of the person with this letter.
    fn name(&self, letter: char) -> &str {
        &self.people[LETTERS.iter().position(|(name, _)| name.starts_with(letter)).unwrap()]
    }

    /// The letters of the people with these resource names.
    fn letters(&self, names: &[String]) -> String {
        let letter = |name: &String| {
            let at = self.people.iter().position(|person| person == name).expect("one of the people");
            LETTERS[at].0.chars().next().unwrap()
        };
        names.iter().map(letter).collect()
    }

    /// An account with the people of these letters as participants. A letter may be followed by a presence: `~` remote,
    /// `^` represented, `-` absent, `?` only mentioned.
    fn account(&self, title: &str, letters: &str) -> Account {
        let mut participations: Vec<Participation> = Vec::new();
        for letter in letters.chars() {
            let presence = match letter {
                '~' => Presence::Remote,
                '^' => Presence::Represented,
                '-' => Presence::Absent,
                '?' => Presence::Referenced,
                letter => {
                    let region = LETTERS.iter().find(|(name, _)| name.starts_with(letter)).unwrap().1;
                    let participation = present(&letter.to_string(), self.name(letter));
                    participations.push(Participation { region_code: region.into(), ..participation });
                    continue;
                }
            };
            participations.last_mut().unwrap().set_presence(presence);
        }
        Account { participations, ..talks(title) }
    }

    /// Creates a meeting of these people; returns its name.
    async fn meet(&self, letters: &str) -> String {
        self.meeting(self.account(letters, letters)).await
    }

    /// Creates a meeting of these people on a date; returns its name.
    async fn meet_on(&self, date: (i32, i32, i32), letters: &str) -> String {
        self.meeting(Account { date: on(date), ..self.account(letters, letters) }).await
    }

    async fn meeting(&self, account: Account) -> String {
        // A report with equal content would be refused as a duplicate.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let summary = format!("meeting {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let account = Account { summary, ..account };
        self.service.create_meeting(&self.article, account).await.expect("a new meeting").name
    }

    async fn counterparts(&self, request: ListCounterpartsRequest) -> Result<ListCounterpartsResponse, Status> {
        self.service.participants.clone().list_counterparts(request).await.map(Response::into_inner)
    }

    async fn find_path(&self, request: FindPathRequest) -> Result<FindPathResponse, Status> {
        self.service.participants.clone().find_path(request).await.map(Response::into_inner)
    }

    async fn aggregate(&self, request: AggregateMeetingsRequest) -> Result<AggregateMeetingsResponse, Status> {
        self.service.meetings.clone().aggregate_meetings(request).await.map(Response::into_inner)
    }
}

fn on((year, month, day): (i32, i32, i32)) -> Option<DateSpan> {
    Some(DateSpan { start: Some(Date { year, month, day }), ..Default::default() })
}

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}
