//! `MergeMeetings` and `SplitMeeting`: the reports of duplicate meetings move to the survivor, and back.

use std::collections::BTreeSet;

use readout::pb::{
    Account, Article, ErrorReason, ListMeetingsRequest, Meeting, MergeMeetingsRequest, SplitMeetingRequest, Statement,
    change::Kind, meeting::Review,
};
use tonic::Code;

use crate::support::{
    Refused, Service,
    follow::{all, now},
    make::{article, ingest, labels, named, story, story_report, talks},
    metadata_of, refused,
};

fn with(name: &str, title: &str) -> Account {
    Account { participations: vec![named("x", name)], ..talks(title) }
}

/// A meeting without the fields that every revision changes.
fn content(meeting: Meeting) -> Meeting {
    Meeting { etag: String::new(), revision: 0, update_time: None, ..meeting }
}

/// Two duplicate meetings: `survivor` with one report and `source` with two. A fourth article has no report.
struct Duplicates {
    service: Service,
    articles: Vec<Article>,
    survivor: Meeting,
    source: Meeting,
}

impl Duplicates {
    async fn start() -> Self {
        let service = Service::start().await;
        let mut articles = Vec::new();
        for at in 0..4 {
            articles.push(service.create_article(article(&format!("urn:{at}"))).await);
        }
        let survivor = service.create_meeting(&articles[0], with("Kerim Veliyev", "Talks in Baku")).await.unwrap();
        let source = service.create_meeting(&articles[1], with("Karim Valiyev", "Gespräch in Baku")).await.unwrap();
        service.add_report(&source.name, &articles[2].name, with("Ruslan Tsalikov", "Gespräch in Baku")).await.unwrap();
        let source = service.meeting(&source.name).await;
        Self { service, articles, survivor, source }
    }
}

#[tokio::test]
async fn merge_moves_all_reports_and_keeps_their_names() {
    let Duplicates { service, survivor, source, .. } = Duplicates::start().await;
    let moved = service.report_names_of(&source.name).await;
    let own = service.report_names_of(&survivor.name).await;
    let first = moved.first().unwrap();
    service.retract_report(first).await.unwrap();

    let merged = service.merge(&survivor.name, &[&source.name]).await.unwrap();
    assert_eq!(service.report_names_of(&survivor.name).await, &own | &moved);
    assert_eq!((merged.report_count, merged.article_count), (2, 2));
    assert_eq!(merged.account.as_ref().unwrap().participations.len(), 2);
    assert_eq!(service.meeting(&survivor.name).await, merged);

    let merged_away = service.meeting(&source.name).await;
    assert_eq!(merged_away.merged_into, survivor.name);
    assert_eq!((merged_away.account, merged_away.report_count), (Some(Account::default()), 0));
    assert_eq!(BTreeSet::from_iter(merged_away.merged_reports), moved);
    let listed = async |show_deleted| {
        let request = ListMeetingsRequest { show_deleted, ..Default::default() };
        let page = service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        page.meetings.into_iter().map(|meeting| (meeting.name, meeting.merged_reports.len())).collect::<Vec<_>>()
    };
    assert_eq!(listed(false).await, [(survivor.name.clone(), 0)]);
    assert_eq!(listed(true).await.len(), 2);
    assert!(
        listed(true).await.iter().all(|(_, merged_reports)| *merged_reports == 0),
        "the BASIC view has no merged reports"
    );
}

#[tokio::test]
async fn merge_is_one_write_with_a_change_for_each_record() {
    let Duplicates { service, survivor, source, .. } = Duplicates::start().await;
    let mut watch = service.watch(all(now())).await;
    watch.caught_up().await;
    service.merge(&survivor.name, &[&source.name]).await.unwrap();
    service.split(&survivor.name, &[], &source.name).await.unwrap();
    let changes = watch.changes(8).await;
    let kinds: Vec<Kind> = changes.iter().map(|change| change.kind()).collect();
    let expected = [Kind::Moved, Kind::Moved, Kind::Merged, Kind::Merged];
    assert_eq!(kinds[..4], expected);
    assert_eq!(kinds[4..], expected.map(|kind| if kind == Kind::Merged { Kind::Split } else { kind }));
    let last: Vec<bool> = changes.iter().map(|change| change.last).collect();
    assert_eq!(last, [false, false, false, true, false, false, false, true]);
}

#[tokio::test]
async fn split_without_reports_undoes_the_merge_and_keeps_later_reports() {
    let Duplicates { service, articles, survivor, source } = Duplicates::start().await;
    let source =
        Meeting { name: source.name, review: Review::Reviewed.into(), labels: labels(&[("desk", "a")]), ..source };
    let source = service.update_meeting(source, &["review", "labels"]).await.unwrap();
    let (before_source, reports_of_source) =
        (service.meeting(&source.name).await, service.report_names_of(&source.name).await);

    service.merge(&survivor.name, &[&source.name]).await.unwrap();
    let after = service.add_report(&survivor.name, &articles[3].name, with("Zakir Hasanov", "Talks")).await.unwrap();
    let back = service.split(&survivor.name, &[], &source.name).await.unwrap();
    assert_eq!(back, service.meeting(&source.name).await);
    assert_eq!(content(back), content(before_source));
    assert_eq!(service.report_names_of(&source.name).await, reports_of_source);
    assert!(service.report_names_of(&survivor.name).await.contains(&after.name));
    let rest = service.meeting(&survivor.name).await;
    let names: Vec<_> =
        rest.account.unwrap().participations.into_iter().map(|participation| participation.name_as_written).collect();
    assert_eq!((rest.report_count, names.len()), (2, 2), "{names:?}");

    let again = service.split(&survivor.name, &[], &source.name).await.unwrap_err();
    refused(again, Code::FailedPrecondition, ErrorReason::NotMerged, &source.name);
}

#[tokio::test]
async fn split_keeps_the_changes_made_to_reports_after_the_merge() {
    let Duplicates { service, survivor, source, .. } = Duplicates::start().await;
    service.merge(&survivor.name, &[&source.name]).await.unwrap();
    let moved = service.meeting(&source.name).await.merged_reports;
    service.retract_report(&moved[0]).await.unwrap();
    let elsewhere = service.split(&survivor.name, &[&moved[1]], "").await.unwrap();
    let back = service.split(&survivor.name, &[], &source.name).await.unwrap();
    assert_eq!((back.report_count, back.review(), back.account), (0, Review::Retracted, Some(Account::default())));
    assert_eq!(service.report_names_of(&source.name).await, BTreeSet::from([moved[0].clone()]));
    assert_eq!(service.report_names_of(&elsewhere.name).await, BTreeSet::from([moved[1].clone()]));
}

#[tokio::test]
async fn split_moves_named_reports_to_a_new_or_another_meeting() {
    let Duplicates { service, survivor, source, .. } = Duplicates::start().await;
    let of_source: Vec<String> = service.report_names_of(&source.name).await.into_iter().collect();
    let new = service.split(&source.name, &[&of_source[0]], "").await.unwrap();
    assert_eq!((new.revision, new.report_count, new.review()), (1, 1, Review::Unreviewed));
    assert_eq!(service.meeting(&source.name).await.report_count, 1);
    let into = service.split(&survivor.name, &[], &new.name).await.unwrap_err();
    refused(into, Code::FailedPrecondition, ErrorReason::NotMerged, &new.name);

    let own: Vec<String> = service.report_names_of(&survivor.name).await.into_iter().collect();
    for (from, report) in [(&source, &of_source[1]), (&survivor, &own[0])] {
        let emptying = service.split(&from.name, &[report], &new.name).await.unwrap_err();
        refused(emptying, Code::FailedPrecondition, ErrorReason::LeavesNothing, &from.name);
    }
    let foreign = service.split(&survivor.name, &[&own[0], &of_source[0]], &source.name).await.unwrap_err();
    assert_eq!(Refused::from(foreign), Refused::invalid(["reports[1]"]));

    service.merge(&survivor.name, &[&source.name]).await.unwrap();
    let other = service.split(&survivor.name, &[&own[0]], &new.name).await.unwrap();
    assert_eq!((other.name.as_str(), other.report_count), (new.name.as_str(), 2));
}

#[tokio::test]
async fn merged_meeting_refuses_writes_and_names_its_survivor() {
    let Duplicates { service, articles, survivor, source } = Duplicates::start().await;
    let last = service.create_meeting(&articles[3], talks("Visit")).await.unwrap();
    service.merge(&survivor.name, &[&source.name]).await.unwrap();
    service.merge(&last.name, &[&survivor.name]).await.unwrap();
    assert_eq!(service.meeting(&source.name).await.merged_into, survivor.name);

    let mut given = story("urn:story", &[]);
    given.reports[0].meeting.clone_from(&source.name);
    let refusals = [
        service.add_report(&source.name, &articles[3].name, talks("Talks")).await.unwrap_err(),
        service.delete_meeting(&source.name).await.unwrap_err(),
        service
            .update_meeting(Meeting { name: source.name.clone(), ..Default::default() }, &["labels"])
            .await
            .unwrap_err(),
        service.merge(&last.name, &[&source.name]).await.unwrap_err(),
        service.merge(&source.name, &[&last.name]).await.unwrap_err(),
        service.split(&source.name, &[], &last.name).await.unwrap_err(),
        service.ingest.clone().ingest_story(ingest(given)).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(metadata_of(&refusal, "survivor"), last.name);
        refused(refusal, Code::FailedPrecondition, ErrorReason::MergedAway, &source.name);
    }
    // This merge would create a cycle.
    let cycle = service.merge(&survivor.name, &[&last.name]).await.unwrap_err();
    refused(cycle, Code::FailedPrecondition, ErrorReason::MergedAway, &survivor.name);

    // Merges are undone in reverse order.
    let early = service.split(&last.name, &[], &source.name).await.unwrap_err();
    refused(early, Code::FailedPrecondition, ErrorReason::NotMerged, &source.name);
    service.split(&last.name, &[], &survivor.name).await.unwrap();
    let back = service.split(&survivor.name, &[], &source.name).await.unwrap();
    assert_eq!(content(back), content(source));
    assert_eq!(content(service.meeting(&survivor.name).await), content(survivor));
    assert_eq!(content(service.meeting(&last.name).await), content(last));
}

#[tokio::test]
async fn invalid_merge_or_split_is_refused_and_moves_nothing() {
    let Duplicates { service, articles, survivor, source } = Duplicates::start().await;
    let deleted = service.create_meeting(&articles[3], talks("Visit")).await.unwrap();
    service.delete_meeting(&deleted.name).await.unwrap();
    let before = service.contents().await;
    let itself = service.merge(&survivor.name, &[&source.name, &survivor.name]).await.unwrap_err();
    assert_eq!(Refused::from(itself), Refused::invalid(["sources[1]"]));
    let twice = service.merge(&survivor.name, &[&source.name, &source.name]).await.unwrap_err();
    assert_eq!(Refused::from(twice), Refused::invalid(["sources[1]"]));
    let none = service.merge(&survivor.name, &[]).await.unwrap_err();
    assert_eq!(Refused::from(none), Refused::invalid(["sources"]));
    for (target, other) in [(&survivor, &deleted), (&deleted, &survivor)] {
        let gone = service.merge(&target.name, &[&other.name]).await.unwrap_err();
        refused(gone, Code::FailedPrecondition, ErrorReason::ResourceDeleted, &deleted.name);
    }
    let missing = "meetings/00000000-0000-7000-8000-000000000000";
    let unknown = service.merge(&survivor.name, &[&source.name, missing]).await.unwrap_err();
    refused(unknown, Code::NotFound, ErrorReason::ResourceNotFound, missing);
    let stale = MergeMeetingsRequest {
        name: survivor.name.clone(),
        sources: vec![source.name.clone()],
        etag: source.etag.clone(),
        ..Default::default()
    };
    let stale = service.meetings.clone().merge_meetings(stale).await.unwrap_err();
    assert_eq!(Refused::from(stale), Refused::with(Code::Aborted, ErrorReason::EtagMismatch));
    let whole = service.split(&survivor.name, &[], "").await.unwrap_err();
    assert_eq!(Refused::from(whole), Refused::invalid(["into"]));
    let itself = service.split(&survivor.name, &[], &survivor.name).await.unwrap_err();
    assert_eq!(Refused::from(itself), Refused::invalid(["into"]));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn merge_and_split_return_the_result_and_write_nothing_when_validate_only() {
    let Duplicates { service, survivor, source, .. } = Duplicates::start().await;
    let before = service.contents().await;
    let request = MergeMeetingsRequest {
        name: survivor.name.clone(),
        sources: vec![source.name.clone()],
        validate_only: true,
        ..Default::default()
    };
    let answer = service.meetings.clone().merge_meetings(request).await.unwrap().into_inner();
    assert_eq!((answer.report_count, answer.etag.as_str()), (3, ""));
    assert_eq!(service.contents().await, before);
    let reports: Vec<String> = service.report_names_of(&source.name).await.into_iter().collect();
    let request = SplitMeetingRequest {
        name: source.name.clone(),
        reports: vec![reports[0].clone()],
        validate_only: true,
        ..Default::default()
    };
    let answer = service.meetings.clone().split_meeting(request).await.unwrap().into_inner();
    assert_eq!((answer.report_count, answer.name.as_str()), (1, ""));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn merge_refuses_more_than_1000_reports() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:first")).await;
    let survivor = service.create_meeting(&first, talks("Talks")).await.unwrap();
    let mut meetings = Vec::new();
    for (uri, count) in [("urn:999", 999), ("urn:1", 1)] {
        let source = service.create_article(article(uri)).await;
        let meeting = service.create_meeting(&source, talks("Talks 0")).await.unwrap();
        // A story has at most 100 reports.
        for first in (1..count).step_by(100) {
            let mut more = story(&format!("{uri}:{first}"), &[]);
            more.reports =
                (first..count.min(first + 100)).map(|at| story_report(&format!("talks {at}"), &[])).collect();
            more.reports.iter_mut().for_each(|report| report.meeting.clone_from(&meeting.name));
            service.ingest.clone().ingest_story(ingest(more)).await.unwrap();
        }
        meetings.push(meeting.name);
    }
    let both = service.merge(&survivor.name, &[&meetings[0], &meetings[1]]).await.unwrap_err();
    refused(both, Code::FailedPrecondition, ErrorReason::TooManyReports, &survivor.name);
    assert_eq!(service.merge(&survivor.name, &[&meetings[0]]).await.unwrap().report_count, 1_000);
    let more = service.merge(&survivor.name, &[&meetings[1]]).await.unwrap_err();
    refused(more, Code::FailedPrecondition, ErrorReason::TooManyReports, &survivor.name);
    assert_eq!(service.split(&survivor.name, &[], &meetings[0]).await.unwrap().report_count, 999);
}

#[tokio::test]
async fn merged_meeting_too_large_for_a_message_is_returned_without_the_last_statements() {
    let service = Service::start().await;
    let statement = |at| Statement { id: format!("s{at}"), text: "said".repeat(2_000), ..Default::default() };
    let long = |title: &str| Account { statements: (0..300).map(statement).collect(), ..talks(title) };
    let mut names = Vec::new();
    for uri in ["urn:1", "urn:2", "urn:3", "urn:4"] {
        let source = service.create_article(article(uri)).await;
        names.push(service.create_meeting(&source, long(uri)).await.unwrap().name);
    }
    let sources: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let merged = service.merge(&names[0], &sources).await.unwrap();
    let statements = |meeting: &Meeting| {
        let omitted = meeting.omission.unwrap_or_default().statement_count;
        assert!(prost::Message::encoded_len(meeting) <= 4_000_000);
        (meeting.account.as_ref().unwrap().statements.len(), omitted)
    };
    let (returned, omitted) = statements(&merged);
    assert!(returned > 450, "{returned}");
    assert_eq!((merged.report_count, returned + omitted as usize), (4, 1_200));
    let labelled = Meeting { labels: labels(&[("desk", "a")]), ..merged };
    let labelled = service.update_meeting(labelled, &["labels"]).await.unwrap();
    assert_eq!((labelled.revision, statements(&labelled)), (3, (returned, omitted)));
}
