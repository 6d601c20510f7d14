//! Valid requests in which every field is set somewhere; `declared` breaks them one field at a time.
//!
//! A field is broken in the last list item that has it set. Last items therefore hold little but an id that nothing
//! refers to, so breaking a field breaks no reference.

use std::collections::BTreeMap;

use readout::pb::{
    account::*,
    date_span::{Basis, Extent},
    evidence::Match,
    extractor,
    ingest_story_request::MeetingMatching,
    meeting::Review,
    outcome, participant,
    report::Prominence,
    *,
};

use super::world::{TEXT, World};

const UUID: &str = "0198f2d1-7c0e-7000-8000-0123456789ab";

fn labels() -> BTreeMap<String, String> {
    [("desk".to_owned(), "foreign".to_owned())].into()
}

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

fn span() -> Option<DateSpan> {
    let time = |hours| Some(TimeOfDay { hours, minutes: 30, seconds: 1, nanos: 1 });
    Some(DateSpan {
        start: date(2020, 8, 24),
        end: date(2020, 8, 26),
        start_time: time(14),
        end_time: time(16),
        time_zone: "Asia/Baku".into(),
        approximate: true,
        basis: Basis::Stated.into(),
        literal: "on August 24".into(),
        extent: Extent::Throughout.into(),
    })
}

fn place() -> Option<Place> {
    Some(Place {
        venue: "Headquarters".into(),
        locality: "Baku".into(),
        region_code: "AZ".into(),
        location: Some(LatLng { latitude: 40.4, longitude: 49.9 }),
    })
}

fn external_ids() -> Vec<ExternalId> {
    vec![ExternalId { scheme: "wikidata".into(), value: "Q1".into() }]
}

pub fn article(world: &World) -> Option<Article> {
    let time = Some(prost_types::Timestamp { seconds: 1_598_270_400, nanos: 1 });
    Some(Article {
        name: format!("articles/{UUID}"),
        labels: labels(),
        uri: "urn:base".into(),
        alternate_uris: vec!["urn:base:1".into(), "urn:base:2".into()],
        title: "Talks".into(),
        authors: vec!["A".into(), "B".into()],
        publisher: Some(Publisher { display_name: "Azernews".into(), region_code: "AZ".into() }),
        section: "Politics".into(),
        language_code: "en".into(),
        publish_date: date(2020, 8, 24),
        publish_time: time,
        retrieve_time: time,
        dateline: place(),
        text: TEXT.into(),
        text_rights: article::TextRights::FullText.into(),
        syndicated_from: world.articles[0].clone(),
        external_ids: external_ids(),
        ..Default::default()
    })
}

pub fn participant(world: &World) -> Option<Participant> {
    Some(Participant {
        name: format!("participants/{UUID}"),
        labels: labels(),
        kind: participant::Kind::Organization.into(),
        display_name: "Ministry of Defence".into(),
        names: vec![ParticipantName {
            text: "MoD".into(),
            language_code: "en".into(),
            kind: participant_name::Kind::Abbreviation.into(),
        }],
        region_code: "AZ".into(),
        offices: vec![OfficeTerm {
            title: "Minister".into(),
            organization: "Government".into(),
            region_code: "AZ".into(),
            seniority: 2,
            start: date(2013, 0, 0),
            end: date(2024, 1, 0),
        }],
        parent: world.participants[0].clone(),
        external_ids: external_ids(),
        note: "A remark.".into(),
        exact_only: true,
        ..Default::default()
    })
}

fn external_id(value: &str) -> Option<ExternalId> {
    Some(ExternalId { scheme: "register".into(), value: value.into() })
}

pub fn account(world: &World, title: &str) -> Option<Account> {
    use participation::{Presence, Role};
    let head = Participation {
        id: "head".into(),
        name_as_written: "Karim Veliyev".into(),
        roles: vec![Role::HeadOfDelegation.into()],
        delegation: "delegation".into(),
        ..Default::default()
    };
    let member = Participation {
        id: "member".into(),
        participant: world.participants[0].clone(),
        name_as_written: "Aleksandr Fomin".into(),
        roles: vec![Role::Member.into(), Role::Speaker.into()],
        presence: Presence::Present.into(),
        office: Some(Office {
            title: "Deputy Minister".into(),
            organization: "Ministry of Defence".into(),
            region_code: "RU".into(),
            seniority: 3,
        }),
        rank: "Colonel General".into(),
        region_code: "RU".into(),
        delegation: "delegation".into(),
        on_behalf_of: "head".into(),
        participant_kind: 0,
    };
    let delegation = Delegation {
        id: "delegation".into(),
        label: "the Azerbaijani delegation".into(),
        region_code: "AZ".into(),
        organization: "Ministry of Defence".into(),
        kind: delegation::Kind::Military.into(),
        head: "head".into(),
        stated_size: 5,
        complete: true,
    };
    let statement = Statement {
        id: "second".into(),
        speaker_kind: statement::SpeakerKind::Joint.into(),
        speakers: vec!["head".into(), "member".into()],
        addressees: vec!["member".into(), "head".into()],
        speaker_as_written: "the sides".into(),
        verb: "noted".into(),
        act: statement::Act::Note.into(),
        quotation: statement::Quotation::Indirect.into(),
        text: "It went well.".into(),
        language_code: "en".into(),
        topics: vec!["peace".into(), "military-cooperation".into()],
        continues: "first".into(),
        ..Default::default()
    };
    let brief = |id: &str| Statement { id: id.into(), text: "It went well.".into(), ..Default::default() };
    Some(Account {
        kind: Kind::Talks.into(),
        status: Status::Held.into(),
        title: title.into(),
        summary: "They talked.".into(),
        topics: vec!["peace".into(), "military-cooperation".into()],
        date: span(),
        place: place(),
        announcement: Some(Announcement {
            by: "the ministry".into(),
            participation: "head".into(),
            verb: "said".into(),
            date: span(),
        }),
        delegations: vec![delegation, Delegation { id: "last".into(), ..Default::default() }],
        participations: vec![
            head,
            member,
            Participation { id: "last".into(), name_as_written: "others".into(), ..Default::default() },
        ],
        initiator: "head".into(),
        statements: vec![brief("first"), statement, brief("last")],
        outcomes: vec![Outcome {
            kind: outcome::Kind::Plan.into(),
            title: "A plan".into(),
            uri: "urn:plan".into(),
            date: span(),
            ..Default::default()
        }],
        links: vec![
            Link { kind: link::Kind::PartOf.into(), meeting: format!("meetings/{UUID}"), ..Default::default() },
            Link { kind: link::Kind::Precedes.into(), external_id: external_id("2"), ..Default::default() },
        ],
        external_ids: external_id("1").into_iter().collect(),
        stops: vec![Stop { place: place(), date: span() }],
        visit_type: VisitType::Working.into(),
    })
}

pub fn evidence() -> Vec<Evidence> {
    let ((prefix, quote), suffix) = (TEXT.split_at(6), "Baku.");
    let quote = quote.strip_suffix(suffix).unwrap_or(quote);
    vec![Evidence {
        field: "title".into(),
        quote: quote.into(),
        start: 6,
        end: (6 + quote.len()) as i32,
        stale: false,
        r#match: Match::Unspecified.into(),
        prefix: prefix.into(),
        suffix: suffix.into(),
    }]
}

pub fn extractor() -> Option<Extractor> {
    Some(Extractor { name: "reader".into(), version: "1".into(), kind: extractor::Kind::Model.into(), confidence: 0.5 })
}

pub fn story(world: &World) -> Option<Story> {
    let report = |key: &str| StoryReport {
        key: key.into(),
        account: account(world, key),
        evidence: evidence(),
        ..Default::default()
    };
    let mut first = report("first");
    if let Some(account) = &mut first.account {
        let head = account.participations.iter_mut().find(|participation| participation.id == "head");
        head.expect("the head").participant_kind = participant::Kind::Person.into();
        for key in ["given", "new"] {
            let participation = Participation { id: key.into(), participant: format!("#{key}"), ..Default::default() };
            account.participations.insert(0, participation);
        }
        account.links[0].meeting = "#second".into();
    }
    let given = Participant { name: world.participants[0].clone(), ..Default::default() };
    Some(Story {
        article: article(world),
        participants: vec![
            StoryParticipant { key: "given".into(), participant: Some(given) },
            StoryParticipant {
                key: "new".into(),
                participant: participant(world).map(|described| Participant { name: String::new(), ..described }),
            },
        ],
        reports: vec![
            first,
            report("second"),
            StoryReport { meeting: world.meetings[0].clone(), prominence: Prominence::Lead.into(), ..report("third") },
        ],
        extractor: extractor(),
    })
}

pub fn ingest(world: &World) -> IngestStoryRequest {
    IngestStoryRequest {
        story: story(world),
        request_id: "r".into(),
        validate_only: true,
        allow_update: true,
        participant_matching: ParticipantMatching::None.into(),
        meeting_matching: MeetingMatching::Same.into(),
        offset_encoding: OffsetEncoding::Byte.into(),
        require_evidence: vec!["title".into()],
    }
}

pub fn create_meeting(world: &World) -> CreateMeetingRequest {
    CreateMeetingRequest {
        meeting: Some(Meeting {
            name: format!("meetings/{UUID}"),
            labels: labels(),
            account: account(world, "Talks"),
            review: Review::Unreviewed.into(),
            ..Default::default()
        }),
        meeting_id: UUID.into(),
        request_id: "r".into(),
        validate_only: true,
        source_article: world.articles[0].clone(),
        evidence: evidence(),
        prominence: Prominence::Lead.into(),
        extractor: extractor(),
        report_id: UUID.into(),
        offset_encoding: OffsetEncoding::Utf16.into(),
    }
}

pub fn add_report(world: &World) -> AddReportRequest {
    AddReportRequest {
        meeting: world.meetings[0].clone(),
        report: Some(Report {
            name: format!("reports/{UUID}"),
            labels: labels(),
            article: world.articles[0].clone(),
            account: account(world, "Talks"),
            prominence: Prominence::Lead.into(),
            evidence: evidence(),
            extractor: extractor(),
            ..Default::default()
        }),
        report_id: UUID.into(),
        request_id: "r".into(),
        validate_only: true,
        allow_missing: true,
        meeting_labels: labels(),
        offset_encoding: OffsetEncoding::CodePoint.into(),
    }
}

pub fn create_article(world: &World) -> CreateArticleRequest {
    let (article, article_id) = (article(world), UUID.into());
    CreateArticleRequest { article, article_id, request_id: "r".into(), validate_only: true }
}

pub fn create_participant(world: &World) -> CreateParticipantRequest {
    let (participant, participant_id) = (participant(world), UUID.into());
    CreateParticipantRequest { participant, participant_id, request_id: "r".into(), validate_only: true }
}
