//! Retraction of reports: one by one, or by a forced deletion of their article. Meetings settle without them.

use readout::pb::{
    Account, Article, DeleteArticleRequest, ErrorReason, ListMeetingsRequest, Meeting, RetractReportRequest,
    change::Kind, meeting::Review, report::State,
};
use tonic::{Code, Response, Status};

use crate::support::{
    Refused, Service, cluster,
    follow::{all, now},
    make::{article, named, person, present, talks},
    program::run,
    reason_of, refused,
};

impl Service {
    async fn delete_by_force(&self, article: &Article) -> Result<Article, Status> {
        let request = DeleteArticleRequest { name: article.name.clone(), force: true, ..Default::default() };
        self.articles.clone().delete_article(request).await.map(Response::into_inner)
    }

    async fn listed_meetings(&self, show_deleted: bool) -> Vec<String> {
        let request = ListMeetingsRequest { show_deleted, ..Default::default() };
        let list = self.meetings.clone().list_meetings(request).await.expect("a list").into_inner();
        list.meetings.into_iter().map(|meeting| meeting.name).collect()
    }
}

fn with(name: &str, title: &str) -> Account {
    Account { participations: vec![named("x", name)], ..talks(title) }
}

/// Two articles that report the same meeting, the first of which also reports another one. Returns the articles and
/// both meetings.
async fn two_articles(service: &Service) -> (Article, Article, Meeting, Meeting) {
    let (first, second) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let both = service.create_meeting(&first, with("Kerim Veliyev", "Talks")).await.unwrap();
    service.add_report(&both.name, &second.name, with("Ruslan Tsalikov", "Talks")).await.unwrap();
    let alone = service.create_meeting(&first, talks("Others")).await.unwrap();
    (first, second, both, alone)
}

#[tokio::test]
async fn forced_article_deletion_retracts_its_reports_and_settles_their_meetings() {
    let service = Service::start().await;
    let (first, second, both, alone) = two_articles(&service).await;
    let refused = service.delete_article(&first.name).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::FailedPrecondition, ErrorReason::StillNamed));
    let of_first = service.reports_of(&first.name).await;
    assert!(of_first.iter().all(|report| report.state() == State::Active && report.retraction.is_none()));

    let deleted = service.delete_by_force(&first).await.unwrap();
    assert!(deleted.delete_time.is_some());
    let settled = service.meeting(&both.name).await;
    let account = settled.account.unwrap();
    assert_eq!((settled.report_count, settled.article_count, settled.review), (1, 1, Review::Unreviewed.into()));
    assert_eq!(account.participations.len(), 1);
    assert_eq!(account.participations[0].name_as_written, "Ruslan Tsalikov");
    let empty = service.meeting(&alone.name).await;
    assert_eq!((empty.report_count, empty.article_count, empty.review), (0, 0, Review::Retracted.into()));
    assert_eq!(empty.account, Some(Account::default()));

    // The reports can still be read and have the reason of their retraction.
    for before in of_first {
        let after = service.report(&before.name).await;
        let retraction = after.retraction.clone().unwrap();
        assert_eq!(
            (after.state(), after.revision, retraction.reason.as_str()),
            (State::Retracted, 2, "the article was deleted")
        );
        assert_eq!((retraction.time, &after.account), (after.update_time, &before.account));
    }
    assert_eq!(service.listed_meetings(false).await, [both.name.as_str()]);
    assert_eq!(service.listed_meetings(true).await, [both.name.as_str(), alone.name.as_str()]);
    assert_eq!(service.reports_of(&second.name).await[0].state(), State::Active);
}

#[tokio::test]
async fn forced_article_deletion_is_one_write_with_a_change_for_each_record() {
    let service = Service::start().await;
    let (first, _, both, alone) = two_articles(&service).await;
    let mut watch = service.watch(all(now())).await;
    watch.caught_up().await;
    service.delete_by_force(&first).await.unwrap();
    let changes = watch.changes(5).await;
    let kinds: Vec<_> = changes.iter().map(|change| (change.name.split('/').next().unwrap(), change.kind())).collect();
    let retracted = Kind::Retracted;
    let expected = [
        ("articles", Kind::Deleted),
        ("reports", retracted),
        ("reports", retracted),
        ("meetings", retracted),
        ("meetings", retracted),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(changes.iter().map(|change| change.last).collect::<Vec<_>>(), [false, false, false, false, true]);
    let mut meetings: Vec<_> = changes[3..].iter().map(|change| change.name.as_str()).collect();
    meetings.sort_unstable();
    assert_eq!(meetings, [both.name.as_str(), alone.name.as_str()]);
}

#[tokio::test]
async fn delete_participant_succeeds_when_only_retracted_reports_name_it() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let account = Account { participations: vec![present("x", &veliyev.name)], ..talks("Talks") };
    service.create_meeting(&source, account).await.unwrap();
    service.delete_participant(&veliyev.name).await.unwrap_err();
    service.delete_by_force(&source).await.unwrap();
    service.delete_participant(&veliyev.name).await.unwrap();
}

#[tokio::test]
async fn meeting_without_an_active_report_is_listed_again_after_a_new_report() {
    let service = Service::start().await;
    let (first, second, _, alone) = two_articles(&service).await;
    service.delete_by_force(&first).await.unwrap();
    service.add_report(&alone.name, &second.name, talks("Others")).await.unwrap();
    let meeting = service.meeting(&alone.name).await;
    assert_eq!((meeting.report_count, meeting.review()), (1, Review::Unreviewed));
    assert_eq!(meeting.account.unwrap().title, "Others");
    assert_eq!(service.listed_meetings(false).await.len(), 2);
}

#[tokio::test]
async fn reports_stay_retracted_when_their_article_is_undeleted() {
    let service = Service::start().await;
    let (first, _, both, _) = two_articles(&service).await;
    service.delete_by_force(&first).await.unwrap();
    service.undelete_article(&first.name).await.unwrap();
    assert!(service.reports_of(&first.name).await.iter().all(|report| report.state() == State::Retracted));
    // A retracted report still counts as a duplicate of the same content.
    let again = service.add_report(&both.name, &first.name, with("Kerim Veliyev", "Talks")).await.unwrap_err();
    assert_eq!(Refused::from(again), Refused::with(Code::AlreadyExists, ErrorReason::DuplicateReport));
    // No active report is left, so the deletion needs no force.
    service.delete_article(&first.name).await.unwrap();
}

#[tokio::test]
async fn forced_article_deletion_is_refused_while_copies_exist() {
    let service = Service::start().await;
    let (first, ..) = two_articles(&service).await;
    let copy = Article { syndicated_from: first.name.clone(), ..article("urn:copy") };
    let copy = service.create_article(copy).await;
    let before = service.contents().await;
    let refused = service.delete_by_force(&first).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused)), (Code::FailedPrecondition, ErrorReason::StillNamed));
    assert_eq!(service.contents().await, before);
    service.delete_article(&copy.name).await.unwrap();
    service.delete_by_force(&first).await.unwrap();
}

#[tokio::test]
async fn forced_article_deletion_retracts_nothing_when_validate_only() {
    let service = Service::start().await;
    let (first, ..) = two_articles(&service).await;
    let before = service.contents().await;
    let request = DeleteArticleRequest { name: first.name, force: true, validate_only: true, ..Default::default() };
    let answer = service.articles.clone().delete_article(request).await.unwrap().into_inner();
    assert!(answer.delete_time.is_some());
    assert_eq!(service.contents().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn report_added_during_a_forced_article_deletion_never_counts() {
    let database = cluster::database().await;
    let (service, other) = (Service::start_on(database.clone()).await, Service::start_on(database).await);
    let kept = service.create_article(article("urn:kept")).await;
    for round in 0..15 {
        let source = service.create_article(article(&format!("urn:{round}"))).await;
        let meeting = service.create_meeting(&kept, talks(&format!("Talks {round}"))).await.unwrap();
        let add = async |service: &Service, title: &str| match service
            .add_report(&meeting.name, &source.name, talks(title))
            .await
        {
            Ok(report) => Some(report.name),
            Err(status) => {
                assert_eq!(reason_of(&status), ErrorReason::ResourceDeleted, "{status:?}");
                None
            }
        };
        let (first, second, deleted) =
            tokio::join!(add(&service, "A"), add(&other, "B"), other.delete_by_force(&source));
        deleted.unwrap();
        for name in [first, second].into_iter().flatten() {
            assert_eq!(service.report(&name).await.state(), State::Retracted);
        }
        let meeting = service.meeting(&meeting.name).await;
        assert_eq!((meeting.report_count, meeting.account.unwrap().title), (1, format!("Talks {round}")));
    }
}

#[tokio::test]
async fn export_omits_retracted_reports() {
    let service = Service::start().await;
    let (first, ..) = two_articles(&service).await;
    service.delete_by_force(&first).await.unwrap();
    service.undelete_article(&first.name).await.unwrap();
    let ran = run(["export", "--server", &service.address.to_string()]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // The header, two articles, and the remaining report.
    assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
}

#[tokio::test]
async fn retract_report_records_its_reason_and_the_correcting_article() {
    let service = Service::start().await;
    let (_, second, both, _) = two_articles(&service).await;
    let wrong = service.reports_of(&both.name).await.into_iter().find(|report| report.article != second.name).unwrap();
    let request = RetractReportRequest {
        name: wrong.name.clone(),
        etag: wrong.etag.clone(),
        reason: "the ministry corrected it".into(),
        correcting_article: second.name.clone(),
        ..Default::default()
    };
    let mut watch = service.watch(all(now())).await;
    watch.caught_up().await;
    let checked = RetractReportRequest { validate_only: true, ..request.clone() };
    let checked = service.meetings.clone().retract_report(checked).await.unwrap().into_inner();
    assert_eq!((checked.state(), checked.etag.as_str()), (State::Retracted, ""));
    let retracted = service.meetings.clone().retract_report(request.clone()).await.unwrap().into_inner();
    let retraction = retracted.retraction.clone().unwrap();
    assert_eq!((retracted.state(), retracted.revision), (State::Retracted, 2));
    assert_eq!((retraction.reason, retraction.correcting_article), (request.reason.clone(), second.name.clone()));
    assert_eq!(retracted, service.report(&wrong.name).await);
    let meeting = service.meeting(&both.name).await;
    assert_eq!((meeting.report_count, meeting.account.unwrap().participations.len()), (1, 1));
    let kinds: Vec<_> = watch.changes(2).await.iter().map(|change| (change.kind(), change.last)).collect();
    assert_eq!(kinds, [(Kind::Retracted, false), (Kind::Retracted, true)]);

    let again = service.meetings.clone().retract_report(RetractReportRequest { etag: String::new(), ..request }).await;
    refused(again.unwrap_err(), Code::FailedPrecondition, ErrorReason::AlreadyRetracted, &wrong.name);
}

#[tokio::test]
async fn retract_report_refuses_invalid_requests() {
    let service = Service::start().await;
    let (first, _, both, _) = two_articles(&service).await;
    let gone = service.create_article(article("urn:gone")).await;
    service.delete_article(&gone.name).await.unwrap();
    let report = service.reports_of(&both.name).await.remove(0);
    let before = service.contents().await;
    let retract = async |request: RetractReportRequest| {
        service.meetings.clone().retract_report(request).await.map(Response::into_inner).unwrap_err()
    };
    let request = RetractReportRequest { name: report.name, reason: "wrong".into(), ..Default::default() };
    for blank in ["", " \u{a0}"] {
        let status = retract(RetractReportRequest { reason: blank.into(), ..request.clone() }).await;
        assert_eq!(Refused::from(status), Refused::invalid(["reason"]));
    }
    let missing = "reports/00000000-0000-7000-8000-000000000000".to_owned();
    let missing = retract(RetractReportRequest { name: missing, ..request.clone() }).await;
    assert_eq!(Refused::from(missing), Refused::with(Code::NotFound, ErrorReason::ResourceNotFound));
    let stale = retract(RetractReportRequest { etag: first.etag, ..request.clone() }).await;
    assert_eq!(Refused::from(stale), Refused::with(Code::Aborted, ErrorReason::EtagMismatch));
    let deleted = retract(RetractReportRequest { correcting_article: gone.name.clone(), ..request }).await;
    refused(deleted, Code::FailedPrecondition, ErrorReason::ResourceDeleted, &gone.name);
    assert_eq!(service.contents().await, before);
}
