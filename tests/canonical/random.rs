//! Random stories in which every field of the contract is set somewhere.

use readout::pb::{
    Account, Announcement, Article, Date, DateSpan, Delegation, Evidence, ExternalId, Extractor, LatLng, Link, Office,
    OfficeTerm, Outcome, Participant, ParticipantName, Participation, Place, Publisher, Statement, Stop, Story,
    StoryParticipant, StoryReport, TimeOfDay, link, outcome, participant, participation::Role,
};

use crate::faults::rng::Chance;

const TEXT: &str = "The ministers met in Baku on Monday. They spoke of peace, and of trade.";
const WORDS: [&str; 6] = ["Ali", "Ministers", "peace", "the ministry", "Naval Forces", "stressed"];
const TOPICS: [&str; 4] = ["peace", "trade", "arms", "visits"];

/// A random story whose article has this URI.
pub fn story(uri: &str, chance: &mut Chance) -> Story {
    Random(chance).story(uri)
}

struct Random<'a>(&'a mut Chance);

impl Random<'_> {
    fn maybe<T: Default>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        if self.0.once_in(2) { T::default() } else { make(self) }
    }

    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.0.once_in(2)).then(|| make(self))
    }

    fn number(&mut self, below: u64) -> i32 {
        self.0.below(below) as i32
    }

    fn word(&mut self) -> String {
        let word = WORDS[self.0.below(6) as usize];
        if self.0.once_in(3) { String::new() } else { format!("{word} {}", self.0.below(9)) }
    }

    fn region(&mut self) -> String {
        ["", "AZ", "RU"][self.0.below(3) as usize].to_owned()
    }

    fn subset<T: Clone>(&mut self, all: &[T]) -> Vec<T> {
        all.iter().filter(|_| self.0.once_in(2)).cloned().collect()
    }

    fn topics(&mut self) -> Vec<String> {
        self.subset(&TOPICS.map(str::to_owned))
    }

    fn date(&mut self) -> Date {
        Date { year: 2020, month: 1 + self.number(12), day: self.number(28) }
    }

    fn span(&mut self) -> DateSpan {
        let time = |hours| Some(TimeOfDay { hours, ..Default::default() });
        DateSpan {
            start: self.some(Self::date),
            start_time: self.maybe(|random| time(random.number(12))),
            end_time: self.maybe(|random| time(12 + random.number(12))),
            time_zone: ["", "Asia/Baku", "UTC"][self.0.below(3) as usize].into(),
            approximate: self.0.once_in(2),
            basis: self.number(6),
            literal: self.word(),
            ..Default::default()
        }
    }

    fn place(&mut self) -> Place {
        let location = LatLng { latitude: 40.4, longitude: f64::from(self.number(90)) };
        Place {
            venue: self.word(),
            locality: self.word(),
            region_code: self.region(),
            location: self.some(|_| location),
        }
    }

    fn office(&mut self) -> Office {
        Office { title: self.word(), organization: self.word(), region_code: self.region(), seniority: self.number(7) }
    }

    fn ids(&mut self, uri: &str) -> Vec<ExternalId> {
        let id = |at: usize| ExternalId { scheme: "isni".into(), value: format!("{uri} e{at}") };
        self.subset(&[id(0), id(1), id(2)])
    }

    fn article(&mut self, uri: &str) -> Article {
        Article {
            uri: uri.into(),
            alternate_uris: self.subset(&[format!("{uri}:e\u{301}"), format!("{uri}:1"), format!("{uri}:0")]),
            title: self.word(),
            authors: self.subset(&["Zoe".into(), "Abel".into()]),
            publisher: self.some(|random| Publisher { display_name: random.word(), region_code: random.region() }),
            section: self.word(),
            language_code: self.maybe(|_| "en".into()),
            publish_date: self.some(Self::date),
            publish_time: self.some(|_| prost_types::Timestamp::default()),
            dateline: self.some(Self::place),
            text: TEXT.into(),
            labels: self.maybe(|random| [(format!("some {}", random.word()), random.word())].into()),
            external_ids: self.ids(uri),
            ..Default::default()
        }
    }

    fn participant(&mut self, name: &str) -> Participant {
        let variant =
            |text: &str, kind| ParticipantName { text: format!("{text} {name}"), language_code: "en".into(), kind };
        let offices = self.maybe(|random| {
            let Office { title, organization, region_code, seniority } = random.office();
            vec![OfficeTerm { title, organization, region_code, seniority, start: random.some(Self::date), end: None }]
        });
        Participant {
            kind: participant::Kind::Person.into(),
            display_name: name.into(),
            names: self.subset(&[variant("Mr", 1), variant("Der", 2), variant("El", 0)]),
            region_code: self.region(),
            offices,
            external_ids: self.ids(name),
            note: self.word(),
            ..Default::default()
        }
    }

    fn participation(&mut self, id: &str) -> Participation {
        let roles = [Role::Visitor, Role::Speaker, Role::Host].map(i32::from);
        Participation {
            id: id.into(),
            participant: format!("#{id}"),
            name_as_written: self.word(),
            roles: self.subset(&roles),
            presence: self.number(6),
            office: self.some(Self::office),
            rank: self.word(),
            region_code: self.region(),
            delegation: self.maybe(|_| "side".into()),
            ..Default::default()
        }
    }

    fn account(&mut self, uri: &str, title: &str, people: &[String]) -> Account {
        let statement = |random: &mut Self, id: &str| Statement {
            id: id.into(),
            speakers: random.subset(people),
            text: "spoke of peace".into(),
            verb: random.word(),
            topics: random.topics(),
            ..Default::default()
        };
        Account {
            kind: self.number(17),
            status: self.number(6),
            title: title.into(),
            summary: self.word(),
            topics: self.topics(),
            date: self.some(Self::span),
            place: self.some(Self::place),
            announcement: self.some(|random| Announcement {
                by: random.word(),
                verb: random.word(),
                date: random.some(Self::span),
                ..Default::default()
            }),
            delegations: vec![Delegation {
                id: "side".into(),
                label: self.word(),
                region_code: self.region(),
                ..Default::default()
            }],
            participations: people.iter().map(|id| self.participation(id)).collect(),
            initiator: self.maybe(|_| people[0].clone()),
            statements: vec![statement(self, "first"), statement(self, "second")],
            outcomes: self.maybe(|random| {
                vec![Outcome {
                    kind: outcome::Kind::Plan.into(),
                    title: random.word(),
                    date: random.some(Self::span),
                    ..Default::default()
                }]
            }),
            links: self.maybe(|random| {
                let kind = link::Kind::PartOf.into();
                let by_id = Link { kind, external_id: random.ids("register").pop(), ..Default::default() };
                let by_key = Link { kind, meeting: "#first".into(), ..Default::default() };
                if by_id.external_id.is_some() { vec![by_key, by_id] } else { vec![by_key] }
            }),
            external_ids: self.ids(&format!("{uri} {title}")),
            stops: self.maybe(|random| {
                let stop = |random: &mut Self| Stop {
                    place: Some(Place { locality: "Ganja".into(), ..random.place() }),
                    date: random.some(Self::span),
                };
                vec![stop(random), stop(random)]
            }),
            visit_type: self.number(6),
        }
    }

    fn evidence(&mut self, account: &Account) -> Vec<Evidence> {
        let citation =
            |field: &str, quote: &str| Evidence { field: field.into(), quote: quote.into(), ..Default::default() };
        let mut evidence = vec![citation("title", "ministers met"), citation("statements[1].text", "spoke of peace")];
        if self.0.once_in(2) {
            let start = TEXT.find("met").unwrap_or_default() as i32;
            evidence.push(Evidence { start, end: start + 3, ..citation("participations[0].participant", "met") });
        }
        evidence.extend((0..account.topics.len()).map(|at| citation(&format!("topics[{at}]"), "trade")));
        let roles = account.participations.first().map_or(0, |part| part.roles.len());
        evidence.extend((0..roles).map(|at| citation(&format!("participations[0].roles[{at}]"), "Baku")));
        evidence
    }

    fn story(&mut self, uri: &str) -> Story {
        let people: Vec<String> = (0..=self.number(3)).map(|at| format!("person {at}")).collect();
        let participants = people.iter().map(|key| StoryParticipant {
            key: key.clone(),
            participant: Some(self.participant(&format!("{key} of {uri}"))),
        });
        let participants = participants.collect();
        let reports = ["first", "second"].map(|key| {
            let account = self.account(uri, key, &people);
            StoryReport {
                key: key.into(),
                evidence: self.evidence(&account),
                account: Some(account),
                prominence: self.number(4),
                ..Default::default()
            }
        });
        let extractor =
            self.some(|random| Extractor { name: random.word(), kind: random.number(5), ..Default::default() });
        Story { article: Some(self.article(uri)), participants, reports: reports.into(), extractor }
    }
}
