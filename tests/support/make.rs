//! Records to send, with only the fields that the contract or a test needs.

use std::collections::BTreeMap;

use readout::pb::{
    Account, Article, Date, DateSpan, ExternalId, IngestStoriesRequest, IngestStoryRequest, Participant,
    ParticipantMatching, Participation, Story, StoryParticipant, StoryReport,
    account::{Kind, Status},
    participant::Kind as ParticipantKind,
    participation::Presence,
};

/// The text of every article made here.
pub const TEXT: &str = "Kerim Veliyev met Ruslan Tsalikov in Baku. Veliyev stressed mutual trust.";

pub fn article(uri: &str) -> Article {
    Article { uri: uri.into(), text: TEXT.into(), language_code: "en".into(), ..Default::default() }
}

/// A person of whom the service makes no alias, so that it has the revisions that a test gives it.
pub fn person(name: &str, region: &str) -> Participant {
    Participant { exact_only: true, ..settled_person(name, region) }
}

/// A person of whom the service may make an alias.
pub fn settled_person(name: &str, region: &str) -> Participant {
    let kind = ParticipantKind::Person.into();
    Participant { kind, display_name: name.into(), region_code: region.into(), ..Default::default() }
}

/// Talks that were held, without participations.
pub fn talks(title: &str) -> Account {
    Account { kind: Kind::Talks.into(), status: Status::Held.into(), title: title.into(), ..Default::default() }
}

/// A full date.
pub fn day(year: i32, month: i32, day: i32) -> Option<DateSpan> {
    Some(DateSpan { start: Some(Date { year, month, day }), ..Default::default() })
}

/// A person who was present: the name of a participant, or a `#key`.
pub fn present(id: &str, participant: &str) -> Participation {
    let presence = Presence::Present.into();
    Participation { id: id.into(), participant: participant.into(), presence, ..Default::default() }
}

/// A person who was present, with a name as written and no participant record.
pub fn named(id: &str, name: &str) -> Participation {
    Participation { name_as_written: name.into(), ..present(id, "") }
}

/// A story of talks between these participants; their keys are `p0`, `p1`, ….
pub fn story(uri: &str, participants: &[Participant]) -> Story {
    let keyed_at = |(at, participant): (usize, &Participant)| keyed(&format!("p{at}"), participant.clone());
    let participants: Vec<_> = (0..).zip(participants).map(keyed_at).collect();
    let report = story_report("talks", &participants);
    Story { article: Some(article(uri)), participants, reports: vec![report], ..Default::default() }
}

/// A participant of a story.
pub fn keyed(key: &str, participant: Participant) -> StoryParticipant {
    StoryParticipant { key: key.into(), participant: Some(participant) }
}

/// A report in a story, of talks between all these participants.
pub fn story_report(key: &str, participants: &[StoryParticipant]) -> StoryReport {
    let participations =
        participants.iter().map(|StoryParticipant { key, .. }| present(key, &format!("#{key}"))).collect();
    let account = Account { participations, ..talks(key) };
    StoryReport { key: key.into(), account: Some(account), ..Default::default() }
}

/// A request whose participants are matched by their keys only.
pub fn ingest(story: Story) -> IngestStoryRequest {
    let participant_matching = ParticipantMatching::Exact.into();
    IngestStoryRequest { story: Some(story), participant_matching, ..Default::default() }
}

/// A request in a stream of stories.
pub fn streamed(story: Story) -> IngestStoriesRequest {
    let participant_matching = ParticipantMatching::Exact.into();
    IngestStoriesRequest { story: Some(story), participant_matching, ..Default::default() }
}

/// Talks with this participant.
pub fn talks_of(title: &str, participant: &Participant) -> Account {
    Account { participations: vec![present("p", &participant.name)], ..talks(title) }
}

pub fn wikidata(value: &str) -> Vec<ExternalId> {
    vec![ExternalId { scheme: "wikidata".into(), value: value.into() }]
}

pub fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
