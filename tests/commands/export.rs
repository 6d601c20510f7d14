//! `readout export`: an export that is imported into an empty service is exported from there with the same bytes.

use std::fs;

use prost_types::Timestamp;
use readout::{
    model::rules::ClearOutput,
    pb::{
        Account, AddReportRequest, Article, CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest, Date,
        Evidence, ExternalId, IngestStoryRequest, Link, ListMeetingsRequest, ListReportsRequest, Meeting, OfficeTerm,
        Participant, ParticipantName, Participation, Report, Story, StoryReport, account::Kind, article::TextRights,
        link, participant, participant_name,
    },
};
use tempfile::tempdir;

use crate::{
    ingest::registers::register,
    support::{
        Service,
        make::{self, article, talks},
        program::{Ran, run},
        stories,
    },
};

/// An id that sorts by its letter, and so fixes the place of a record in an export.
fn id(letter: char) -> String {
    "00000000-0000-4000-8000-000000000000".replace('0', &letter.to_string())
}

fn labels(label: &str) -> std::collections::BTreeMap<String, String> {
    ["z", "a", "m"].map(|key| (key.to_owned(), label.to_owned())).into()
}

async fn export(service: &Service) -> Ran {
    run(["export", "--server", &service.address.to_string()]).await
}

async fn import(service: &Service, file: &std::path::Path) -> Ran {
    run(["import", "--server", &service.address.to_string(), "--output", "json", file.to_str().unwrap()]).await
}

/// Creates participants whose parents come later in an export.
async fn participants(service: &mut Service) {
    let mut parent = String::new();
    // Parents are written first, but exported last.
    for letter in ['f', 'b', '1', '0'] {
        let participant = Participant {
            kind: participant::Kind::Organization.into(),
            display_name: format!("Ministry {letter} \u{202e}\"ñ\"\\\n"),
            names: vec![ParticipantName {
                text: "Müdafiə Nazirliyi".into(),
                language_code: "az-Latn".into(),
                kind: participant_name::Kind::Official.into(),
            }],
            region_code: "AZ".into(),
            offices: vec![OfficeTerm {
                title: "Minister".into(),
                start: Some(Date { year: 2013, month: 10, day: 0 }),
                ..Default::default()
            }],
            parent,
            external_ids: vec![ExternalId { scheme: "wikidata".into(), value: format!("Q{letter}") }],
            note: "Two\nlines.".into(),
            labels: labels("participant"),
            ..Default::default()
        };
        let participant_id = id(letter);
        let participant = Some(participant);
        let request = CreateParticipantRequest { participant, participant_id, ..Default::default() };
        parent = service.participants.create_participant(request).await.unwrap().into_inner().name;
    }
}

/// Creates copies of an article that comes later in an export, and meetings that several of the copies report.
async fn articles_and_meetings(service: &mut Service) {
    let mut source = String::new();
    for letter in ['f', 'b', '0'] {
        let article = Article {
            uri: format!("urn:copy:{letter}"),
            alternate_uris: vec![format!("urn:mirror:{letter}")],
            text: "Veliyev met Tsalikov. They agreed.".into(),
            publish_time: Some(Timestamp { seconds: 1_599_220_800, nanos: 123_000_000 }),
            syndicated_from: source,
            labels: labels("article"),
            ..Default::default()
        };
        let request = CreateArticleRequest { article: Some(article), article_id: id(letter), ..Default::default() };
        source = service.articles.create_article(request).await.unwrap().into_inner().name;
    }
    for (letter, first) in [('e', 'b'), ('1', '0')] {
        let account = |title: &str| Account { kind: Kind::Talks.into(), title: title.into(), ..Default::default() };
        let quote = |quote: &str| Evidence { field: "title".into(), quote: quote.into(), ..Default::default() };
        let meeting = Meeting { labels: labels("meeting"), account: Some(account("met")), ..Default::default() };
        let request = CreateMeetingRequest {
            meeting: Some(meeting),
            meeting_id: id(letter),
            source_article: format!("articles/{}", id(first)),
            // The text has another spelling, which is exported.
            evidence: vec![quote("veliyev\u{a0}MET")],
            ..Default::default()
        };
        let meeting = service.meetings.create_meeting(request).await.unwrap().into_inner().name;
        for (letter, title) in [('f', "Tsalikov"), ('0', "agreed")] {
            let article = format!("articles/{}", id(letter));
            let mut account = account(title);
            // The meetings link to each other, so that an import meets a link to a meeting that does not exist yet.
            let link = |letter| Link {
                kind: link::Kind::Precedes.into(),
                meeting: format!("meetings/{}", id(letter)),
                ..Default::default()
            };
            account.links = if first == '0' { vec![link('e')] } else { vec![] };
            account.participations = vec![Participation {
                id: "p".into(),
                participant: format!("participants/{}", id('f')),
                ..Default::default()
            }];
            let report = Report {
                article,
                account: Some(account),
                evidence: vec![quote(title)],
                labels: labels(&format!("{meeting} {title}")),
                ..Default::default()
            };
            let request = AddReportRequest { meeting: meeting.clone(), report: Some(report), ..Default::default() };
            service.meetings.add_report(request).await.unwrap();
        }
    }
}

/// A story that quotes its article.
fn quoting_story(uri: &str, text: &str, quote: &str) -> Story {
    let account = Account { kind: Kind::Talks.into(), title: quote.into(), ..Default::default() };
    let evidence = Evidence { field: "title".into(), quote: quote.into(), ..Default::default() };
    Story {
        article: Some(Article { uri: uri.into(), text: text.into(), ..Default::default() }),
        reports: vec![StoryReport {
            key: "talks".into(),
            account: Some(account),
            evidence: vec![evidence],
            ..Default::default()
        }],
        ..Default::default()
    }
}

async fn ingest(service: &mut Service, story: Story) {
    let request = IngestStoryRequest { story: Some(story), allow_update: true, ..Default::default() };
    service.ingest.ingest_story(request).await.unwrap();
}

/// Ingests an article that was rewritten, so that one of its quotes is stale, and an article with a withheld text.
async fn unverifiable_quotes(service: &mut Service) {
    ingest(service, quoting_story("urn:rewritten", "They met at noon.", "noon")).await;
    ingest(service, quoting_story("urn:rewritten", "They met, and met again: déjà vu at six.", "déjà vu")).await;
    let mut withheld = quoting_story("urn:withheld", "They met in secret.", "in secret");
    withheld.article.as_mut().unwrap().set_text_rights(TextRights::Withheld);
    ingest(service, withheld).await;
}

/// The meetings of a service without output-only fields, except their counts.
async fn settled(service: &mut Service) -> Vec<Meeting> {
    let request = ListMeetingsRequest { page_size: 1_000, ..Default::default() };
    let mut meetings = service.meetings.list_meetings(request).await.unwrap().into_inner().meetings;
    for meeting in &mut meetings {
        let counts = (meeting.report_count, meeting.article_count);
        meeting.clear_output();
        (meeting.report_count, meeting.article_count) = counts;
    }
    meetings
}

#[tokio::test]
async fn export_of_an_imported_export_has_the_same_bytes_and_meetings() {
    let mut source = Service::start().await;
    let dir = tempdir().unwrap();
    let (file, sample) = (dir.path().join("export.ndjson"), dir.path().join("stories.ndjson"));
    let lines = [vec![stories::azernews_line()], stories::lines()[..150].to_vec()].concat();
    fs::write(&sample, lines.join("\n")).unwrap();
    assert_eq!(import(&source, &sample).await.code, Some(0));
    participants(&mut source).await;
    articles_and_meetings(&mut source).await;
    unverifiable_quotes(&mut source).await;

    let exported = export(&source).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    assert!(exported.stderr.contains("left out 1 quotes that are no longer in their article's text\n"));
    assert!(exported.stderr.contains("left out 1 quotes of articles whose text is withheld\n"));
    assert_eq!(export(&source).await.stdout, exported.stdout);
    fs::write(&file, &exported.stdout).unwrap();

    let mut copy = Service::start().await;
    let imported = import(&copy, &file).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let records = exported.stdout.lines().count() - 1;
    let meetings = settled(&mut source).await;
    let created = records + meetings.len();
    assert!(
        imported.stdout.contains(&format!(r#","created":{created},"matched":0,"failed":0,"differs":0}}"#)),
        "{imported:?}"
    );

    let again = export(&copy).await;
    assert_eq!(again.code, Some(0));
    let differing = exported.stdout.lines().zip(again.stdout.lines()).find(|(exported, again)| exported != again);
    assert_eq!(differing, None);
    assert!(again.stdout == exported.stdout, "the bytes are the same");
    assert_eq!(settled(&mut copy).await, meetings);

    let repeated = import(&copy, &file).await;
    assert!(
        repeated.stdout.contains(&format!(r#","created":0,"matched":{created},"failed":0,"differs":0}}"#)),
        "{repeated:?}"
    );
    assert!(export(&copy).await.stdout == exported.stdout, "a repeated import changes nothing");
}

#[tokio::test]
async fn export_of_an_empty_service_is_the_header_only() {
    let service = Service::start().await;
    let exported = export(&service).await;
    assert_eq!(
        (exported.code, exported.stdout.as_str()),
        (Some(0), "{\"header\":{\"format\":\"readout.v1\",\"contractVersion\":8}}\n")
    );
}

#[tokio::test]
async fn export_refuses_a_malformed_read_time_and_one_in_the_future() {
    let service = Service::start().await;
    let address = service.address.to_string();
    let at = async |time| run(["export", "--server", &address, "--read-time", time]).await;
    let malformed = at("yesterday").await;
    assert_eq!((malformed.code, malformed.stdout.as_str()), (Some(2), ""));
    assert!(malformed.stderr.contains("--read-time \"yesterday\" must begin with its day"), "{}", malformed.stderr);
    let future = at("2999-01-01T00:00:00Z").await;
    assert_ne!(future.code, Some(0));
    assert!(future.stderr.contains("read_time"), "{}", future.stderr);
}

#[tokio::test]
async fn export_keeps_rulings_and_their_order() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let meeting = service.create_meeting(&source, talks("Talks")).await.unwrap();
    for kind in [Kind::Summit, Kind::Visit, Kind::Consultation, Kind::Negotiation] {
        let account = Account { kind: kind.into(), ..Default::default() };
        service.rule(&meeting.name, account, &["account.kind"]).await.unwrap();
    }
    let newest = service.reports_of(&meeting.name).await.pop().unwrap();
    service.retract_report(&newest.name).await.unwrap();
    let ruled = service.meeting(&meeting.name).await;
    assert_eq!(ruled.account.as_ref().unwrap().kind(), Kind::Consultation);

    let exported = export(&service).await;
    assert_eq!((exported.code, exported.stdout.lines().count()), (Some(0), 6), "{}", exported.stderr);
    let (directory, other) = (tempdir().unwrap(), Service::start().await);
    let file = directory.path().join("export.ndjson");
    fs::write(&file, &exported.stdout).unwrap();
    // The second import finds everything and changes nothing.
    for _ in 0..2 {
        let imported = import(&other, &file).await;
        assert_eq!(imported.code, Some(0), "{}", imported.stderr);
        let restored = other.meeting(&meeting.name).await;
        assert_eq!((&restored.account, &restored.disputes), (&ruled.account, &ruled.disputes));
        assert_eq!(export(&other).await.stdout, exported.stdout);
    }
}

#[tokio::test]
async fn export_of_a_story_with_a_thousand_reports_is_imported_without_loss() {
    let service = Service::start().await;
    let register = make::ingest(register("urn:register", 1_000));
    let answer = service.ingest.clone().ingest_story(register).await.unwrap().into_inner();
    assert_eq!(answer.meetings.len(), 1_000);
    let exported = export(&service).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let (directory, copy) = (tempdir().unwrap(), Service::start().await);
    let file = directory.path().join("export.ndjson");
    fs::write(&file, &exported.stdout).unwrap();
    let imported = import(&copy, &file).await;
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert!(export(&copy).await.stdout == exported.stdout, "the bytes are the same");
    let request = ListReportsRequest { article: answer.article, page_size: 1_000, ..Default::default() };
    let listed = copy.meetings.clone().list_reports(request).await.unwrap().into_inner();
    assert_eq!(listed.reports.len(), 1_000);
}
