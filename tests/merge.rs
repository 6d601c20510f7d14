//! Meetings that are one: their reports move to the meeting that stays, and back.

use std::collections::BTreeSet;

use readout::pb::{
    Account, Article, ErrorReason, ListMeetingsRequest, Meeting, MergeMeetingsRequest, SplitMeetingRequest, Statement,
    change::Kind, meeting::Review,
};
use tonic::Code;

use crate::support::{
    Refused, Service,
    follow::{all, now},
    make::{article, ingest, labels, named, story, talks, told},
    metadata_of, refused,
};

fn with(name: &str, title: &str) -> Account {
    Account { participations: vec![named("x", name)], ..talks(title) }
}

/// A meeting as it is told, without the marks that every revision changes.
fn content(meeting: Meeting) -> Meeting {
    Meeting { etag: String::new(), revision: 0, update_time: None, ..meeting }
}

/// Two meetings that are one, with two reports and one; and an article more.
struct Twins {
    service: Service,
    articles: Vec<Article>,
    stays: Meeting,
    goes: Meeting,
}

impl Twins {
    async fn start() -> Self {
        let service = Service::start().await;
        let mut articles = Vec::new();
        for at in 0..4 {
            articles.push(service.create_article(article(&format!("urn:{at}"))).await);
        }
        let stays = service.create_meeting(&articles[0], with("Kerim Veliyev", "Talks in Baku")).await.unwrap();
        let goes = service.create_meeting(&articles[1], with("Karim Valiyev", "Gespräch in Baku")).await.unwrap();
        service.add_report(&goes.name, &articles[2].name, with("Ruslan Tsalikov", "Gespräch in Baku")).await.unwrap();
        let goes = service.meeting(&goes.name).await;
        Self { service, articles, stays, goes }
    }
}

#[tokio::test]
async fn a_merge_moves_all_reports_under_their_names() {
    let Twins { service, stays, goes, .. } = Twins::start().await;
    let moved = service.names_of_reports(&goes.name).await;
    let own = service.names_of_reports(&stays.name).await;
    let first = moved.first().unwrap();
    service.retract_report(first).await.unwrap();

    let merged = service.merge(&stays.name, &[&goes.name]).await.unwrap();
    assert_eq!(service.names_of_reports(&stays.name).await, &own | &moved);
    assert_eq!((merged.report_count, merged.article_count), (2, 2));
    assert_eq!(merged.account.as_ref().unwrap().participations.len(), 2);
    assert_eq!(service.meeting(&stays.name).await, merged);

    let source = service.meeting(&goes.name).await;
    assert_eq!(source.merged_into, stays.name);
    assert_eq!((source.account, source.report_count), (Some(Account::default()), 0));
    assert_eq!(BTreeSet::from_iter(source.merged_reports), moved);
    let listed = async |show_deleted| {
        let request = ListMeetingsRequest { show_deleted, ..Default::default() };
        let page = service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        page.meetings.into_iter().map(|one| (one.name, one.merged_reports.len())).collect::<Vec<_>>()
    };
    assert_eq!(listed(false).await, [(stays.name.clone(), 0)]);
    assert_eq!(listed(true).await.len(), 2);
    assert!(listed(true).await.iter().all(|(_, merged_reports)| *merged_reports == 0), "the BASIC view has none");
}

#[tokio::test]
async fn a_merge_is_one_write_with_a_change_for_each_record() {
    let Twins { service, stays, goes, .. } = Twins::start().await;
    let mut watch = service.watch(all(now())).await;
    watch.caught_up().await;
    service.merge(&stays.name, &[&goes.name]).await.unwrap();
    service.split(&stays.name, &[], &goes.name).await.unwrap();
    let changes = watch.changes(8).await;
    let kinds: Vec<Kind> = changes.iter().map(|change| change.kind()).collect();
    let expected = [Kind::Moved, Kind::Moved, Kind::Merged, Kind::Merged];
    assert_eq!(kinds[..4], expected);
    assert_eq!(kinds[4..], expected.map(|kind| if kind == Kind::Merged { Kind::Split } else { kind }));
    let last: Vec<bool> = changes.iter().map(|change| change.last).collect();
    assert_eq!(last, [false, false, false, true, false, false, false, true]);
}

#[tokio::test]
async fn a_split_without_reports_undoes_the_merge_and_leaves_what_came_after() {
    let Twins { service, articles, stays, goes } = Twins::start().await;
    let goes = Meeting { name: goes.name, review: Review::Reviewed.into(), labels: labels(&[("desk", "a")]), ..goes };
    let goes = service.update_meeting(goes, &["review", "labels"]).await.unwrap();
    let (before_goes, reports_goes) = (service.meeting(&goes.name).await, service.names_of_reports(&goes.name).await);

    service.merge(&stays.name, &[&goes.name]).await.unwrap();
    let after = service.add_report(&stays.name, &articles[3].name, with("Zakir Hasanov", "Talks")).await.unwrap();
    let back = service.split(&stays.name, &[], &goes.name).await.unwrap();
    assert_eq!(back, service.meeting(&goes.name).await);
    assert_eq!(content(back), content(before_goes));
    assert_eq!(service.names_of_reports(&goes.name).await, reports_goes);
    assert!(service.names_of_reports(&stays.name).await.contains(&after.name));
    let rest = service.meeting(&stays.name).await;
    let names: Vec<_> = rest.account.unwrap().participations.into_iter().map(|one| one.name_as_written).collect();
    assert_eq!((rest.report_count, names.len()), (2, 2), "{names:?}");

    let again = service.split(&stays.name, &[], &goes.name).await.unwrap_err();
    refused(again, Code::FailedPrecondition, ErrorReason::NotMerged, &goes.name);
}

#[tokio::test]
async fn what_happened_to_a_report_meanwhile_it_brings_back() {
    let Twins { service, stays, goes, .. } = Twins::start().await;
    service.merge(&stays.name, &[&goes.name]).await.unwrap();
    let moved = service.meeting(&goes.name).await.merged_reports;
    service.retract_report(&moved[0]).await.unwrap();
    let elsewhere = service.split(&stays.name, &[&moved[1]], "").await.unwrap();
    let back = service.split(&stays.name, &[], &goes.name).await.unwrap();
    assert_eq!((back.report_count, back.review(), back.account), (0, Review::Retracted, Some(Account::default())));
    assert_eq!(service.names_of_reports(&goes.name).await, BTreeSet::from([moved[0].clone()]));
    assert_eq!(service.names_of_reports(&elsewhere.name).await, BTreeSet::from([moved[1].clone()]));
}

#[tokio::test]
async fn reports_that_are_named_move_to_a_new_meeting_or_to_another() {
    let Twins { service, stays, goes, .. } = Twins::start().await;
    let of_goes: Vec<String> = service.names_of_reports(&goes.name).await.into_iter().collect();
    let new = service.split(&goes.name, &[&of_goes[0]], "").await.unwrap();
    assert_eq!((new.revision, new.report_count, new.review()), (1, 1, Review::Unreviewed));
    assert_eq!(service.meeting(&goes.name).await.report_count, 1);
    let into = service.split(&stays.name, &[], &new.name).await.unwrap_err();
    refused(into, Code::FailedPrecondition, ErrorReason::NotMerged, &new.name);

    let own: Vec<String> = service.names_of_reports(&stays.name).await.into_iter().collect();
    for (from, report) in [(&goes, &of_goes[1]), (&stays, &own[0])] {
        let nothing = service.split(&from.name, &[report], &new.name).await.unwrap_err();
        refused(nothing, Code::FailedPrecondition, ErrorReason::LeavesNothing, &from.name);
    }
    let foreign = service.split(&stays.name, &[&own[0], &of_goes[0]], &goes.name).await.unwrap_err();
    assert_eq!(Refused::from(foreign), Refused::invalid(["reports[1]"]));

    service.merge(&stays.name, &[&goes.name]).await.unwrap();
    let other = service.split(&stays.name, &[&own[0]], &new.name).await.unwrap();
    assert_eq!((other.name.as_str(), other.report_count), (new.name.as_str(), 2));
}

#[tokio::test]
async fn merged_meetings_name_the_survivor_and_take_no_writes() {
    let Twins { service, articles, stays, goes } = Twins::start().await;
    let last = service.create_meeting(&articles[3], talks("Visit")).await.unwrap();
    service.merge(&stays.name, &[&goes.name]).await.unwrap();
    service.merge(&last.name, &[&stays.name]).await.unwrap();
    assert_eq!(service.meeting(&goes.name).await.merged_into, stays.name);

    let mut given = story("urn:story", &[]);
    given.reports[0].meeting.clone_from(&goes.name);
    let refusals = [
        service.add_report(&goes.name, &articles[3].name, talks("Talks")).await.unwrap_err(),
        service.delete_meeting(&goes.name).await.unwrap_err(),
        service
            .update_meeting(Meeting { name: goes.name.clone(), ..Default::default() }, &["labels"])
            .await
            .unwrap_err(),
        service.merge(&last.name, &[&goes.name]).await.unwrap_err(),
        service.merge(&goes.name, &[&last.name]).await.unwrap_err(),
        service.split(&goes.name, &[], &last.name).await.unwrap_err(),
        service.ingest.clone().ingest_story(ingest(given)).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(metadata_of(&refusal, "survivor"), last.name);
        refused(refusal, Code::FailedPrecondition, ErrorReason::MergedAway, &goes.name);
    }
    // A circle would begin like this.
    let circle = service.merge(&stays.name, &[&last.name]).await.unwrap_err();
    refused(circle, Code::FailedPrecondition, ErrorReason::MergedAway, &stays.name);

    // The way back is the way there.
    let early = service.split(&last.name, &[], &goes.name).await.unwrap_err();
    refused(early, Code::FailedPrecondition, ErrorReason::NotMerged, &goes.name);
    service.split(&last.name, &[], &stays.name).await.unwrap();
    let back = service.split(&stays.name, &[], &goes.name).await.unwrap();
    assert_eq!(content(back), content(goes));
    assert_eq!(content(service.meeting(&stays.name).await), content(stays));
    assert_eq!(content(service.meeting(&last.name).await), content(last));
}

#[tokio::test]
async fn what_cannot_be_merged_is_refused_and_nothing_moves() {
    let Twins { service, articles, stays, goes } = Twins::start().await;
    let deleted = service.create_meeting(&articles[3], talks("Visit")).await.unwrap();
    service.delete_meeting(&deleted.name).await.unwrap();
    let before = service.contents().await;
    let itself = service.merge(&stays.name, &[&goes.name, &stays.name]).await.unwrap_err();
    assert_eq!(Refused::from(itself), Refused::invalid(["sources[1]"]));
    let twice = service.merge(&stays.name, &[&goes.name, &goes.name]).await.unwrap_err();
    assert_eq!(Refused::from(twice), Refused::invalid(["sources[1]"]));
    let none = service.merge(&stays.name, &[]).await.unwrap_err();
    assert_eq!(Refused::from(none), Refused::invalid(["sources"]));
    for (name, source) in [(&stays, &deleted), (&deleted, &stays)] {
        let gone = service.merge(&name.name, &[&source.name]).await.unwrap_err();
        refused(gone, Code::FailedPrecondition, ErrorReason::ResourceDeleted, &deleted.name);
    }
    let missing = "meetings/00000000-0000-7000-8000-000000000000";
    let unknown = service.merge(&stays.name, &[&goes.name, missing]).await.unwrap_err();
    refused(unknown, Code::NotFound, ErrorReason::ResourceNotFound, missing);
    let stale = MergeMeetingsRequest {
        name: stays.name.clone(),
        sources: vec![goes.name.clone()],
        etag: goes.etag.clone(),
        ..Default::default()
    };
    let stale = service.meetings.clone().merge_meetings(stale).await.unwrap_err();
    assert_eq!(Refused::from(stale), Refused::with(Code::Aborted, ErrorReason::EtagMismatch));
    let whole = service.split(&stays.name, &[], "").await.unwrap_err();
    assert_eq!(Refused::from(whole), Refused::invalid(["into"]));
    let itself = service.split(&stays.name, &[], &stays.name).await.unwrap_err();
    assert_eq!(Refused::from(itself), Refused::invalid(["into"]));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn a_merge_that_is_only_validated_answers_what_would_be() {
    let Twins { service, stays, goes, .. } = Twins::start().await;
    let before = service.contents().await;
    let request = MergeMeetingsRequest {
        name: stays.name.clone(),
        sources: vec![goes.name.clone()],
        validate_only: true,
        ..Default::default()
    };
    let answer = service.meetings.clone().merge_meetings(request).await.unwrap().into_inner();
    assert_eq!((answer.report_count, answer.etag.as_str()), (3, ""));
    assert_eq!(service.contents().await, before);
    let reports: Vec<String> = service.names_of_reports(&goes.name).await.into_iter().collect();
    let request = SplitMeetingRequest {
        name: goes.name.clone(),
        reports: vec![reports[0].clone()],
        validate_only: true,
        ..Default::default()
    };
    let answer = service.meetings.clone().split_meeting(request).await.unwrap().into_inner();
    assert_eq!((answer.report_count, answer.name.as_str()), (1, ""));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn a_merged_meeting_has_at_most_1000_reports() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:first")).await;
    let stays = service.create_meeting(&first, talks("Talks")).await.unwrap();
    let mut meetings = Vec::new();
    for (uri, count) in [("urn:999", 999), ("urn:1", 1)] {
        let source = service.create_article(article(uri)).await;
        let meeting = service.create_meeting(&source, talks("Talks 0")).await.unwrap();
        // A story brings up to 100 at once.
        for first in (1..count).step_by(100) {
            let mut more = story(&format!("{uri}:{first}"), &[]);
            more.reports = (first..count.min(first + 100)).map(|at| told(&format!("talks {at}"), &[])).collect();
            more.reports.iter_mut().for_each(|one| one.meeting.clone_from(&meeting.name));
            service.ingest.clone().ingest_story(ingest(more)).await.unwrap();
        }
        meetings.push(meeting.name);
    }
    let both = service.merge(&stays.name, &[&meetings[0], &meetings[1]]).await.unwrap_err();
    refused(both, Code::FailedPrecondition, ErrorReason::TooManyReports, &stays.name);
    assert_eq!(service.merge(&stays.name, &[&meetings[0]]).await.unwrap().report_count, 1_000);
    let more = service.merge(&stays.name, &[&meetings[1]]).await.unwrap_err();
    refused(more, Code::FailedPrecondition, ErrorReason::TooManyReports, &stays.name);
    assert_eq!(service.split(&stays.name, &[], &meetings[0]).await.unwrap().report_count, 999);
}

#[tokio::test]
async fn a_meeting_too_large_for_a_message_is_merged_and_answered_in_the_basic_view() {
    let service = Service::start().await;
    let said = |at| Statement { id: format!("s{at}"), text: "said".repeat(2_000), ..Default::default() };
    let long = |title: &str| Account { statements: (0..300).map(said).collect(), ..talks(title) };
    let mut names = Vec::new();
    for uri in ["urn:1", "urn:2", "urn:3", "urn:4"] {
        let source = service.create_article(article(uri)).await;
        names.push(service.create_meeting(&source, long(uri)).await.unwrap().name);
    }
    let sources: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let merged = service.merge(&names[0], &sources).await.unwrap();
    assert_eq!((merged.report_count, merged.account.as_ref().unwrap().statements.len()), (4, 0));
    let labelled = Meeting { labels: labels(&[("desk", "a")]), ..merged };
    let labelled = service.update_meeting(labelled, &["labels"]).await.unwrap();
    assert_eq!((labelled.revision, labelled.account.unwrap().statements.len()), (3, 0));
}
