//! Records to send, with no more than what the contract requires and a test can hold on to.

use std::collections::BTreeMap;

use readout::pb::{
    Account, Article, ExternalId, IngestStoriesRequest, IngestStoryRequest, Participant, Participation, Story,
    StoryParticipant, StoryReport,
    account::{Kind, Status},
    participant::Kind as ParticipantKind,
    participation::Presence,
};

/// The text of every article here.
pub const TEXT: &str = "Kerim Veliyev met Ruslan Tsalikov in Baku. Veliyev stressed mutual trust.";

pub fn article(uri: &str) -> Article {
    Article { uri: uri.into(), text: TEXT.into(), language_code: "en".into(), ..Default::default() }
}

pub fn person(name: &str, region: &str) -> Participant {
    let kind = ParticipantKind::Person.into();
    Participant { kind, display_name: name.into(), region_code: region.into(), ..Default::default() }
}

/// Talks that were held, and nobody in them.
pub fn talks(title: &str) -> Account {
    Account { kind: Kind::Talks.into(), status: Status::Held.into(), title: title.into(), ..Default::default() }
}

/// Somebody who was there: the name of a participant, or a `#key`.
pub fn present(id: &str, participant: &str) -> Participation {
    let presence = Presence::Present.into();
    Participation { id: id.into(), participant: participant.into(), presence, ..Default::default() }
}

/// Somebody who was there, by name only.
pub fn named(id: &str, name: &str) -> Participation {
    Participation { name_as_written: name.into(), ..present(id, "") }
}

/// A story of talks that these had; their keys are `p0`, `p1`, ….
pub fn story(uri: &str, participants: &[Participant]) -> Story {
    let participants: Vec<_> = (0..).zip(participants).map(|(at, one)| keyed(&format!("p{at}"), one.clone())).collect();
    let report = told("talks", &participants);
    Story { article: Some(article(uri)), participants, reports: vec![report], ..Default::default() }
}

/// A participant of a story.
pub fn keyed(key: &str, participant: Participant) -> StoryParticipant {
    StoryParticipant { key: key.into(), participant: Some(participant) }
}

/// A report of a story, of talks that all these had.
pub fn told(key: &str, participants: &[StoryParticipant]) -> StoryReport {
    let participations = participants.iter().map(|one| present(&one.key, &format!("#{}", one.key))).collect();
    let account = Account { participations, ..talks(key) };
    StoryReport { key: key.into(), account: Some(account), ..Default::default() }
}

pub fn ingest(story: Story) -> IngestStoryRequest {
    IngestStoryRequest { story: Some(story), ..Default::default() }
}

/// The same in a stream.
pub fn streamed(story: Story) -> IngestStoriesRequest {
    IngestStoriesRequest { story: Some(story), ..Default::default() }
}

/// Talks that this participant had.
pub fn talks_of(title: &str, participant: &Participant) -> Account {
    Account { participations: vec![present("p", &participant.name)], ..talks(title) }
}

pub fn wikidata(value: &str) -> Vec<ExternalId> {
    vec![ExternalId { scheme: "wikidata".into(), value: value.into() }]
}

pub fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
