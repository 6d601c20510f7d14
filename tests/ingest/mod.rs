//! `IngestService.IngestStory`: single stories.

mod azernews;
mod brief;
mod dry_run;
mod external_ids;
mod matching;
mod meeting_figures;
mod meeting_matching;
pub mod registers;
mod stories;
mod stream;

use readout::pb::{
    CreateArticleRequest, ErrorReason, Evidence, GetArticleRequest, IngestStoryRequest, Link, Story, StoryReport,
    ingest_story_response::Outcome, link::Kind,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{article, ingest, keyed, person, present, story, story_report, talks},
    metadata_of, reason_of,
};

/// Two people and two meetings that link to each other.
fn two_meetings() -> Story {
    let mut story = story("urn:a", &[person("Kerim Veliyev", "AZ"), person("Ruslan Tsalikov", "RU")]);
    let link = |kind: Kind, key: &str| Link { kind: kind.into(), meeting: key.into(), ..Default::default() };
    story.reports.push(story_report("visit", &story.participants[1..]));
    let account = |at: usize, link| {
        story.reports[at].account.clone().map(|account| readout::pb::Account { links: vec![link], ..account })
    };
    let accounts = [account(0, link(Kind::PartOf, "#visit")), account(1, link(Kind::Precedes, "#talks"))];
    for (report, account) in story.reports.iter_mut().zip(accounts) {
        report.account = account;
    }
    story
}

#[tokio::test]
async fn ingest_story_creates_its_article_participants_meetings_and_reports() {
    let mut service = Service::start().await;
    let answer = service.ingest.ingest_story(ingest(two_meetings())).await.unwrap();
    assert!(answer.metadata().contains_key("readout-position"));
    let answer = answer.into_inner();
    assert_eq!(answer.article_outcome(), Outcome::Created);
    assert!(answer.warnings.is_empty());
    let contents = service.contents().await;
    assert_eq!(contents.changes, 1 + 2 + 2 + 2);
    assert_eq!(contents.articles[0].name, answer.article);

    let keys: Vec<_> =
        answer.participants.iter().map(|participant| (participant.key.as_str(), participant.outcome())).collect();
    assert_eq!(keys, [("p0", Outcome::Created), ("p1", Outcome::Created)]);
    let stored: Vec<_> = contents
        .participants
        .iter()
        .map(|participant| (&participant.name, participant.display_name.as_str()))
        .collect();
    let names: Vec<_> = answer.participants.iter().map(|participant| &participant.name).collect();
    assert_eq!(stored, [(names[0], "Kerim Veliyev"), (names[1], "Ruslan Tsalikov")]);

    let keys: Vec<_> = answer.meetings.iter().map(|meeting| (meeting.key.as_str(), meeting.outcome())).collect();
    assert_eq!(keys, [("talks", Outcome::Created), ("visit", Outcome::Created)]);
    for (at, other) in [(0, 1), (1, 0)] {
        let meeting = service.meeting(&answer.meetings[at].meeting).await;
        let account = meeting.account.unwrap();
        assert_eq!(account.links[0].meeting, answer.meetings[other].meeting);
        assert_eq!(account.links[0].report, answer.meetings[at].report);
        let participants: Vec<_> =
            account.participations.iter().map(|participation| &participation.participant).collect();
        assert_eq!(participants, names[at..]);
        let report = contents.reports.iter().find(|report| report.name == answer.meetings[at].report).unwrap();
        assert_eq!((&report.meeting, &report.article), (&answer.meetings[at].meeting, &answer.article));
    }
}

#[tokio::test]
async fn refused_story_writes_nothing() {
    let mut service = Service::start().await;
    let before = service.contents().await;

    let good = two_meetings();
    let last = |change: fn(&mut StoryReport)| {
        let mut story = good.clone();
        change(story.reports.last_mut().unwrap());
        story
    };
    let quote = |report: &mut StoryReport| {
        report.evidence = vec![Evidence { field: "title".into(), quote: "Lavrov".into(), ..Default::default() }];
    };
    let meeting = |report: &mut StoryReport| report.meeting = format!("meetings/{}", Uuid::now_v7());
    let participant = |report: &mut StoryReport| {
        let unknown = present("unknown", &format!("participants/{}", Uuid::now_v7()));
        report.account.as_mut().unwrap().participations.push(unknown);
    };
    let status = |report: &mut StoryReport| report.account.as_mut().unwrap().status = 99;
    let mut source = good.clone();
    source.article.as_mut().unwrap().syndicated_from = format!("articles/{}", Uuid::now_v7());
    let mut given = good.clone();
    given.participants[1].participant.as_mut().unwrap().name = format!("participants/{}", Uuid::now_v7());
    for (story, reason) in [
        (last(quote), ErrorReason::EvidenceNotFound),
        (last(meeting), ErrorReason::ResourceNotFound),
        (last(participant), ErrorReason::ResourceNotFound),
        (last(status), ErrorReason::InvalidField),
        (source, ErrorReason::ResourceNotFound),
        (given, ErrorReason::ResourceNotFound),
    ] {
        let request = IngestStoryRequest { request_id: "r-1".into(), ..ingest(story) };
        let refused = service.ingest.ingest_story(request).await.unwrap_err();
        assert_eq!(reason_of(&refused), reason);
        assert_eq!(service.contents().await, before);
    }
    let request = IngestStoryRequest { request_id: "r-1".into(), ..ingest(good) };
    service.ingest.ingest_story(request).await.unwrap();
}

#[tokio::test]
async fn ingest_story_reports_all_violations_at_once() {
    let mut service = Service::start().await;
    let mut wrong = two_meetings();
    wrong.article.as_mut().unwrap().uri.clear();
    wrong.participants.push(keyed("p0", person("", "")));
    wrong.participants.push(keyed("unused", person("A", "")));
    wrong.reports[0].meeting = "meetings/1".into();
    let account = wrong.reports[1].account.as_mut().unwrap();
    account.participations.push(present("x", "#nobody"));
    account.links[0].meeting = "#nothing".into();
    wrong.reports.push(StoryReport { key: "talks".into(), ..Default::default() });
    let mut refused = Refused::from(service.ingest.ingest_story(ingest(wrong)).await.unwrap_err());
    refused.fields.sort();
    let expected = [
        "story.article.uri",
        "story.participants[2].key",
        "story.participants[2].participant.display_name",
        "story.participants[3].key",
        "story.reports[0].meeting",
        "story.reports[1].account.links[0].meeting",
        "story.reports[1].account.participations[1].participant",
        "story.reports[2].account",
        "story.reports[2].key",
    ];
    assert_eq!(refused, Refused::invalid(expected));
    let missing = service.ingest.ingest_story(IngestStoryRequest::default()).await.unwrap_err();
    assert_eq!(Refused::from(missing), Refused::invalid(["story"]));
}

#[tokio::test]
async fn repeated_story_writes_nothing_and_returns_the_same_names() {
    let mut service = Service::start().await;
    let first = service.ingest.ingest_story(ingest(two_meetings())).await.unwrap();
    let before = service.contents().await;
    let mut later = two_meetings();
    later.article.as_mut().unwrap().retrieve_time = Some(std::time::SystemTime::now().into());
    for story in [two_meetings(), later] {
        let again = service.ingest.ingest_story(ingest(story)).await.unwrap();
        assert_eq!(again.metadata().get("readout-position"), first.metadata().get("readout-position"));
        let mut expected = first.get_ref().clone();
        expected.set_article_outcome(Outcome::Matched);
        expected.participants.iter_mut().for_each(|participant| participant.set_outcome(Outcome::Matched));
        expected.meetings.iter_mut().for_each(|meeting| meeting.set_outcome(Outcome::Matched));
        assert_eq!(again.into_inner(), expected);
        assert_eq!(service.contents().await, before);
    }
}

#[tokio::test]
async fn concurrent_equal_stories_are_written_once() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    let calls = (0..32).map(|number| {
        let mut ingest_service = if number % 2 == 0 { &service } else { &other }.ingest.clone();
        async move { ingest_service.ingest_story(ingest(two_meetings())).await.unwrap().into_inner() }
    });
    let answers = futures_util::future::join_all(calls).await;
    let created = answers.iter().filter(|answer| answer.article_outcome() == Outcome::Created);
    assert_eq!(created.count(), 1);
    for answer in &answers {
        assert_eq!(answer.article, answers[0].article);
        assert_eq!(answer.meetings[1].report, answers[0].meetings[1].report);
        assert_eq!(answer.participants[1].name, answers[0].participants[1].name);
    }
    assert_eq!(service.count("select count(*) from change").await, 7);
}

#[tokio::test]
async fn ingest_story_changes_a_known_article_only_with_allow_update() {
    let mut service = Service::start().await;
    let first = service.ingest.ingest_story(ingest(two_meetings())).await.unwrap().into_inner();
    let before = service.contents().await;
    let mut changed = two_meetings();
    changed.article.as_mut().unwrap().text += " Corrected.";
    changed.reports.push(story_report("added", &changed.participants));
    let refused = service.ingest.ingest_story(ingest(changed.clone())).await.unwrap_err();
    assert_eq!((metadata_of(&refused, "name"), metadata_of(&refused, "uri")), (first.article.clone(), "urn:a".into()));
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::ArticleDiffers));
    assert_eq!(service.contents().await, before);

    let request = IngestStoryRequest { allow_update: true, ..ingest(changed) };
    let updated = service.ingest.ingest_story(request.clone()).await.unwrap().into_inner();
    assert_eq!((updated.article_outcome(), &updated.article), (Outcome::Updated, &first.article));
    let outcomes: Vec<_> = updated.meetings.iter().map(|meeting| meeting.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Matched, Outcome::Matched, Outcome::Created]);
    let after = service.contents().await;
    let (former, article) = (&before.articles[0], &after.articles[0]);
    assert_eq!((article.revision, article.create_time), (2, former.create_time));
    assert!(article.text.ends_with("trust. Corrected."));
    assert_ne!(article.etag, former.etag);
    let revisions: Vec<_> = after.reports.iter().map(|report| report.article_revision).collect();
    assert_eq!(revisions, [1, 1, 2]);
    assert_eq!(after.changes, before.changes + 3);
    // The former revision is kept together with its text.
    assert_eq!(service.count("select count(*) from superseded where revision = 1").await, 1);
    assert_eq!(service.count("select count(*) from article_text").await, 2);

    let again = service.ingest.ingest_story(request).await.unwrap().into_inner();
    assert_eq!(again.article_outcome(), Outcome::Matched);
    assert_eq!(service.contents().await, after);
}

#[tokio::test]
async fn ingest_story_matches_an_article_by_any_of_its_uris() {
    let mut service = Service::start().await;
    let with_uris = |uri: &str, alternates: &[&str]| {
        let mut story = story(uri, &[]);
        story.article.as_mut().unwrap().alternate_uris = alternates.iter().map(|uri| (*uri).to_owned()).collect();
        story
    };
    let first = service.ingest.ingest_story(ingest(with_uris("urn:a", &["urn:b"]))).await.unwrap().into_inner();
    let refused = service.ingest.ingest_story(ingest(with_uris("urn:x", &["urn:y", "urn:a"]))).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "name"), first.article);
    assert_eq!(reason_of(&refused), ErrorReason::ArticleDiffers);
    let same = service.ingest.ingest_story(ingest(with_uris("urn:b", &[]))).await.unwrap().into_inner();
    assert_eq!((same.article_outcome(), &same.article), (Outcome::Matched, &first.article));
    let moved = IngestStoryRequest { allow_update: true, ..ingest(with_uris("urn:b", &["urn:c"])) };
    let moved = service.ingest.ingest_story(moved).await.unwrap().into_inner();
    assert_eq!((moved.article_outcome(), &moved.article), (Outcome::Updated, &first.article));
    let read = GetArticleRequest { name: first.article.clone(), ..Default::default() };
    let stored = service.articles.get_article(read).await.unwrap().into_inner();
    assert_eq!((stored.uri.as_str(), stored.alternate_uris), ("urn:a", vec!["urn:b".into(), "urn:c".into()]));

    // A story whose URIs belong to two articles is refused.
    let request = CreateArticleRequest { article: Some(article("urn:d")), ..Default::default() };
    let other = service.articles.create_article(request).await.unwrap().into_inner();
    let both = IngestStoryRequest { allow_update: true, ..ingest(with_uris("urn:c", &["urn:d"])) };
    let refused = service.ingest.ingest_story(both).await.unwrap_err();
    assert_eq!((metadata_of(&refused, "name"), metadata_of(&refused, "uri")), (other.name, "urn:d".into()));
    assert_eq!(Refused::from(refused), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateArticle));
}

#[tokio::test]
async fn ingest_story_adds_a_report_to_a_given_meeting() {
    let mut service = Service::start().await;
    let first = service.ingest.ingest_story(ingest(two_meetings())).await.unwrap().into_inner();
    let meeting = first.meetings[0].meeting.clone();
    let mut second = story("urn:b", &[person("Kerim Veliyev", "AZ")]);
    second.reports[0].meeting.clone_from(&meeting);
    second.reports.push(story_report("other", &second.participants));
    let answer = service.ingest.ingest_story(ingest(second.clone())).await.unwrap().into_inner();
    let outcomes: Vec<_> = answer.meetings.iter().map(|meeting| meeting.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Given, Outcome::Created]);
    assert_eq!(answer.meetings[0].meeting, meeting);
    let settled = service.meeting(&meeting).await;
    assert_eq!((settled.revision, settled.report_count, settled.article_count), (2, 2, 2));
    let before = service.contents().await;
    let again = service.ingest.ingest_story(ingest(second)).await.unwrap().into_inner();
    assert_eq!(again.meetings[0].outcome(), Outcome::Matched);
    assert_eq!(again.meetings[0].report, answer.meetings[0].report);
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn ingest_story_writes_nothing_and_assigns_no_names_when_validate_only() {
    let mut service = Service::start().await;
    let first = service.ingest.ingest_story(ingest(two_meetings())).await.unwrap().into_inner();
    let before = service.contents().await;
    let mut new = story("urn:b", &[person("Kerim Veliyev", "AZ"), person("Somebody New", "")]);
    new.reports[0].meeting.clone_from(&first.meetings[0].meeting);
    new.reports.push(story_report("other", &new.participants));
    let request = IngestStoryRequest { validate_only: true, request_id: "r-1".into(), ..ingest(new) };
    let checked = service.ingest.ingest_story(request.clone()).await.unwrap();
    assert!(!checked.metadata().contains_key("readout-position"));
    let checked = checked.into_inner();
    assert_eq!((checked.article_outcome(), checked.article.as_str()), (Outcome::Created, ""));
    let participants: Vec<_> =
        checked.participants.iter().map(|participant| (participant.outcome(), participant.name.as_str())).collect();
    assert_eq!(participants, [(Outcome::Matched, first.participants[0].name.as_str()), (Outcome::Created, "")]);
    let meetings: Vec<_> = checked
        .meetings
        .iter()
        .map(|meeting| (meeting.outcome(), meeting.meeting.as_str(), meeting.report.as_str()))
        .collect();
    let given = first.meetings[0].meeting.as_str();
    assert_eq!(meetings, [(Outcome::Given, given, ""), (Outcome::Created, "", "")]);
    assert_eq!(service.contents().await, before);

    let repeated = IngestStoryRequest { validate_only: true, ..ingest(two_meetings()) };
    let checked = service.ingest.ingest_story(repeated).await.unwrap().into_inner();
    assert_eq!((checked.article_outcome(), checked.article), (Outcome::Matched, first.article));
    let written = IngestStoryRequest { validate_only: false, ..request };
    let written = service.ingest.ingest_story(written).await.unwrap().into_inner();
    assert_eq!(written.article_outcome(), Outcome::Created);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_ingest_story_duplicates_have_one_result() {
    let service = Service::start().await;
    let other = Service::start_on(service.database.clone()).await;
    // Many rounds, because the calls must overlap between reading and writing.
    for round in 0..20 {
        let story = story(&format!("urn:{round}"), &[person("Kerim Veliyev", "AZ")]);
        let request = IngestStoryRequest { request_id: format!("r-{round}"), ..ingest(story) };
        let calls = (0..32).map(|number| {
            let mut ingest = if number % 2 == 0 { &service } else { &other }.ingest.clone();
            let request = request.clone();
            tokio::spawn(async move { ingest.ingest_story(request).await.unwrap().into_inner() })
        });
        let answers = futures_util::future::try_join_all(calls).await.unwrap();
        assert_eq!(answers[0].article_outcome(), Outcome::Created);
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
    assert_eq!(service.contents().await.articles.len(), 20);
    let other = IngestStoryRequest { request_id: "r-1".into(), ..ingest(two_meetings()) };
    let refused = service.ingest.clone().ingest_story(other).await.unwrap_err();
    assert_eq!(metadata_of(&refused, "request_id"), "r-1");
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));
}

#[tokio::test]
async fn ingest_story_that_changes_nothing_still_records_its_request_id() {
    let mut service = Service::start().await;
    let story = story("urn:a", &[person("Kerim Veliyev", "AZ")]);
    service.ingest.ingest_story(ingest(story.clone())).await.unwrap();
    let before = service.contents().await;

    let request = IngestStoryRequest { request_id: "r-1".into(), ..ingest(story) };
    let matched = service.ingest.ingest_story(request.clone()).await.unwrap();
    // The position is that of the newest, fourth change: participant, article, report, meeting.
    let position = matched.metadata().get("readout-position").unwrap().to_str().unwrap();
    assert!(position.ends_with(".4"), "{position}");
    assert_eq!(matched.get_ref().article_outcome(), Outcome::Matched);
    let again = service.ingest.ingest_story(request.clone()).await.unwrap();
    assert_eq!(again.get_ref(), matched.get_ref());

    let other = IngestStoryRequest { story: ingest(two_meetings()).story, ..request };
    let refused = service.ingest.ingest_story(other).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::InvalidArgument, ErrorReason::RequestIdReused));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn ingest_story_accepts_an_article_without_reports() {
    let mut service = Service::start().await;
    let story = Story { article: Some(article("urn:a")), ..Default::default() };
    let answer = service.ingest.ingest_story(ingest(story)).await.unwrap().into_inner();
    assert!(answer.participants.is_empty() && answer.meetings.is_empty());
    let talks = talks("Talks");
    let report = StoryReport { key: "talks".into(), account: Some(talks), ..Default::default() };
    let more = Story { article: Some(article("urn:a")), reports: vec![report], ..Default::default() };
    let answer = service.ingest.ingest_story(ingest(more)).await.unwrap().into_inner();
    assert_eq!(answer.article_outcome(), Outcome::Matched);
    assert_eq!(answer.meetings[0].outcome(), Outcome::Created);
}
