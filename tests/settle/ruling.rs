//! `MeetingService.UpdateMeeting`: rulings, which decide fields of the settled account, and the meeting's own fields.

use readout::pb::{
    Account, Date, DateSpan, Delegation, ErrorReason, Meeting, Participation, Place, UpdateMeetingRequest,
    account::Kind, change, date_span::Basis, meeting::Review, report::State,
};
use tonic::{Code, Response, Status};

use crate::support::{
    Refused, Service,
    calls::mask,
    follow::{all, now},
    make::{article, labels, named, person, present, talks},
    refused,
};

fn on(day: i32) -> Option<DateSpan> {
    let start = Some(Date { year: 2020, month: 8, day });
    Some(DateSpan { start, basis: Basis::Stated.into(), ..Default::default() })
}

fn dated(day: i32) -> Account {
    Account { date: on(day), ..talks("Visit") }
}

/// A meeting with reports of two articles: the first dates it to the 24th, the second to the 25th.
async fn visit(service: &Service) -> Meeting {
    let (first, second) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let meeting = service.create_meeting(&first, dated(24)).await.unwrap();
    service.add_report(&meeting.name, &second.name, dated(25)).await.unwrap();
    service.meeting(&meeting.name).await
}

fn day(meeting: &Meeting) -> i32 {
    let date = meeting.account.as_ref().and_then(|account| account.date.as_ref());
    date.and_then(|date| date.start.as_ref()).map_or(0, |start| start.day)
}

#[tokio::test]
async fn ruling_decides_its_fields_and_is_stored_as_a_report_with_a_reason() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    assert_eq!(day(&meeting), 24);
    let mut watch = service.watch(all(now())).await;
    watch.caught_up().await;
    // Fields outside of the mask are ignored.
    let sent = Account { kind: Kind::Summit.into(), ..dated(25) };
    let ruled = service.rule(&meeting.name, sent, &["account.date"]).await.unwrap();
    assert_eq!((day(&ruled), ruled.account.as_ref().unwrap().kind()), (25, Kind::Talks));
    assert_eq!((ruled.report_count, ruled.article_count), (2, 2));
    assert_eq!(ruled, service.meeting(&meeting.name).await);
    let kinds: Vec<_> = watch.changes(2).await.iter().map(|change| change.kind()).collect();
    assert_eq!(kinds, [change::Kind::Created, change::Kind::Ruled]);

    let ruling = service.reports_of(&meeting.name).await.pop().unwrap();
    assert_eq!((ruling.article.as_str(), ruling.state()), ("", State::Active));
    assert_eq!(ruling.account, Some(Account { date: on(25), ..Default::default() }));
    let details = ruling.ruling.clone().unwrap();
    assert_eq!(details.mask, mask(&["account.date"]));
    assert_eq!(details.reason, "the ministry's own calendar");

    // The newest active ruling decides. When it is retracted, the one before it decides again.
    let again = service.rule(&meeting.name, dated(26), &["account.date"]).await.unwrap();
    assert_eq!(day(&again), 26);
    let newest = service.reports_of(&meeting.name).await.pop().unwrap();
    for (withdrawn, left) in [(newest, 25), (ruling, 24)] {
        service.retract_report(&withdrawn.name).await.unwrap();
        assert_eq!(day(&service.meeting(&meeting.name).await), left);
    }
}

#[tokio::test]
async fn ruling_prevails_over_later_reports() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    service.rule(&meeting.name, dated(25), &["account.date"]).await.unwrap();
    for uri in ["urn:3", "urn:4"] {
        let source = service.create_article(article(uri)).await;
        service.add_report(&meeting.name, &source.name, dated(24)).await.unwrap();
    }
    assert_eq!(day(&service.meeting(&meeting.name).await), 25);
}

#[tokio::test]
async fn ruling_can_unset_a_field_and_replaces_lists_as_sent() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    let topics = vec!["peace".to_owned(), "energy".to_owned()];
    let participations = vec![Participation { rank: "Major".into(), ..named("guest", "Ruslan Tsalikov") }];
    let sent = Account { topics: topics.clone(), participations: participations.clone(), ..Default::default() };
    let paths = ["account.date", "account.topics", "account.participations"];
    let ruled = service.rule(&meeting.name, sent, &paths).await.unwrap().account.unwrap();
    assert_eq!((ruled.date, ruled.topics, ruled.participations), (None, topics, participations));
    assert_eq!(ruled.title, "Visit");
}

#[tokio::test]
async fn ruling_on_a_subfield_ignores_the_other_subfields_sent() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    let place = Place { locality: "Baku".into(), region_code: "AZ".into(), ..Default::default() };
    let sent = Account { place: Some(place), ..Default::default() };
    let ruled = service.rule(&meeting.name, sent, &["account.place.region_code"]).await.unwrap();
    let place = ruled.account.unwrap().place.unwrap();
    assert_eq!((place.region_code.as_str(), place.locality.as_str()), ("AZ", ""));
}

#[tokio::test]
async fn repeated_ruling_makes_no_revision() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    let ruled = service.rule(&meeting.name, dated(25), &["account.date"]).await.unwrap();
    assert_eq!(service.rule(&meeting.name, dated(25), &["account.date"]).await.unwrap(), ruled);
    assert_eq!(service.reports_of(&meeting.name).await.len(), 3);
}

#[tokio::test]
async fn update_meeting_changes_labels_and_review_without_a_ruling() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    let sent = Meeting {
        name: meeting.name.clone(),
        etag: meeting.etag.clone(),
        labels: labels(&[("desk", "a")]),
        review: Review::Reviewed.into(),
        ..Default::default()
    };
    let updated = service.update_meeting(sent.clone(), &["labels.desk", "review"]).await.unwrap();
    assert_eq!((updated.revision, updated.review(), &updated.labels), (3, Review::Reviewed, &sent.labels));
    assert_eq!((&updated.account, updated.report_count), (&meeting.account, 2));
    let refused = service.update_meeting(sent, &["review"]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::Aborted, ErrorReason::EtagMismatch));
    let unset = Meeting { name: meeting.name.clone(), ..Default::default() };
    let updated = service.update_meeting(unset.clone(), &["labels", "review"]).await.unwrap();
    assert_eq!((updated.review(), updated.labels.len()), (Review::Unreviewed, 0));
    // The review is kept as long as an active report is left.
    let reviewed = Meeting { review: Review::Reviewed.into(), ..unset };
    service.update_meeting(reviewed, &["review"]).await.unwrap();
    for report in service.reports_of(&meeting.name).await {
        assert_eq!(service.meeting(&meeting.name).await.review(), Review::Reviewed);
        service.retract_report(&report.name).await.unwrap();
    }
    assert_eq!(service.meeting(&meeting.name).await.review(), Review::Retracted);
}

#[tokio::test]
async fn ruling_is_refused_without_an_active_report() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    service.rule(&meeting.name, dated(25), &["account.date"]).await.unwrap();
    for report in service.reports_of(&meeting.name).await.iter().filter(|report| report.ruling.is_none()) {
        service.retract_report(&report.name).await.unwrap();
    }
    let empty = service.meeting(&meeting.name).await;
    assert_eq!((empty.account.clone(), empty.review()), (Some(Account::default()), Review::Retracted));
    let ruling = service.rule(&meeting.name, dated(26), &["account.date"]).await.unwrap_err();
    refused(ruling, Code::FailedPrecondition, ErrorReason::NoActiveReport, &meeting.name);
    let sent = Meeting { name: meeting.name.clone(), review: Review::Reviewed.into(), ..Default::default() };
    let review = service.update_meeting(sent.clone(), &["review"]).await.unwrap_err();
    refused(review, Code::FailedPrecondition, ErrorReason::NoActiveReport, &meeting.name);
    service.update_meeting(Meeting { labels: labels(&[("a", "b")]), ..sent }, &["labels"]).await.unwrap();
    // The ruling applies again once there is an active report.
    let source = service.create_article(article("urn:3")).await;
    service.add_report(&meeting.name, &source.name, dated(24)).await.unwrap();
    assert_eq!(day(&service.meeting(&meeting.name).await), 25);
}

#[tokio::test]
async fn update_meeting_refuses_invalid_rulings() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    let gone = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    service.delete_participant(&gone.name).await.unwrap();
    let before = service.contents().await;
    let update = async |sent: Account, paths: &[&str], reason: &str| -> Result<Meeting, Status> {
        let request = UpdateMeetingRequest {
            meeting: Some(Meeting { name: meeting.name.clone(), account: Some(sent), ..Default::default() }),
            update_mask: mask(paths),
            reason: reason.into(),
            ..Default::default()
        };
        service.meetings.clone().update_meeting(request).await.map(Response::into_inner)
    };
    for (paths, fields) in [
        (&[][..], vec!["update_mask"]),
        (&["*"], vec!["update_mask.paths[0]"]),
        (&["account"], vec!["update_mask.paths[0]"]),
        (&["account.date", "labels"], vec!["update_mask"]),
        (&["account.dat"], vec!["update_mask.paths[0]"]),
        (&["account.participations[0].rank"], vec!["update_mask.paths[0]"]),
        (&["account.participations.rank"], vec!["update_mask.paths[0]"]),
        (&["account.statements"], vec!["update_mask.paths[0]"]),
        (&["report_count"], vec!["update_mask.paths[0]"]),
        (&["disputes", "merged_into"], vec!["update_mask.paths[0]", "update_mask.paths[1]"]),
    ] {
        let refused = Refused::from(update(dated(25), paths, "why").await.unwrap_err());
        let expected =
            Refused { fields: fields.iter().map(|path| (*path).to_owned()).collect(), ..Refused::invalid([]) };
        assert_eq!(refused, expected, "{paths:?}");
    }
    let blank = update(dated(25), &["account.date"], " ").await.unwrap_err();
    assert_eq!(Refused::from(blank), Refused::invalid(["reason"]));
    let initiator = Account { initiator: "nobody".into(), ..Default::default() };
    let initiator = update(initiator, &["account.initiator"], "why").await.unwrap_err();
    assert_eq!(Refused::from(initiator), Refused::invalid(["meeting.account.initiator"]));
    let delegations = vec![Delegation { id: "d".into(), head: "nobody".into(), ..Default::default() }];
    let delegations = update(Account { delegations, ..Default::default() }, &["account.delegations"], "why").await;
    let delegations = delegations.unwrap_err();
    assert_eq!(Refused::from(delegations), Refused::invalid(["meeting.account.delegations[0].head"]));
    let deleted = Account { participations: vec![present("x", &gone.name)], ..Default::default() };
    let deleted = update(deleted, &["account.participations"], "why").await.unwrap_err();
    refused(deleted, Code::FailedPrecondition, ErrorReason::ResourceDeleted, &gone.name);
    let retracted = Meeting { name: meeting.name.clone(), review: Review::Retracted.into(), ..Default::default() };
    let retracted = service.update_meeting(retracted, &["review"]).await.unwrap_err();
    assert_eq!(Refused::from(retracted), Refused::invalid(["meeting.review"]));
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn delete_participant_is_refused_while_a_report_names_it_despite_a_ruling() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let account = Account { participations: vec![present("x", &veliyev.name)], ..talks("Talks") };
    let meeting = service.create_meeting(&source, account).await.unwrap();
    let ruled = service.rule(&meeting.name, Account::default(), &["account.participations"]).await.unwrap();
    assert!(ruled.account.unwrap().participations.is_empty());
    let named = service.delete_participant(&veliyev.name).await.unwrap_err();
    assert_eq!(Refused::from(named), Refused::with(Code::FailedPrecondition, ErrorReason::StillNamed));
    // A revision that does not settle the meeting again changes nothing of this.
    service.delete_meeting(&meeting.name).await.unwrap();
    service.delete_participant(&veliyev.name).await.unwrap_err();
    service.undelete_meeting(&meeting.name).await.unwrap();
    for report in service.reports_of(&meeting.name).await {
        service.retract_report(&report.name).await.unwrap();
    }
    service.delete_participant(&veliyev.name).await.unwrap();
}

#[tokio::test]
async fn update_meeting_accepts_settled_lists_above_the_input_limit() {
    let service = Service::start().await;
    let topics = |desk: &str| Account { topics: (0..64).map(|at| format!("{desk}-{at}")).collect(), ..talks("Visit") };
    let (first, second) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let meeting = service.create_meeting(&first, topics("a")).await.unwrap();
    service.add_report(&meeting.name, &second.name, topics("b")).await.unwrap();
    let labelled = Meeting { name: meeting.name.clone(), labels: labels(&[("desk", "a")]), ..Default::default() };
    let labelled = service.update_meeting(labelled, &["labels"]).await.unwrap();
    assert_eq!(labelled.account.unwrap().topics.len(), 128);
    let ruled =
        service.rule(&meeting.name, Account { kind: Kind::Summit.into(), ..topics("c") }, &["account.kind"]).await;
    assert_eq!(ruled.unwrap().account.unwrap().topics.len(), 128);

    let too_many = Account { topics: (0..65).map(|at| format!("c-{at}")).collect(), ..Default::default() };
    let refused = service.rule(&meeting.name, too_many, &["account.topics"]).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["meeting.account.topics"]));
    let ruled = service.rule(&meeting.name, topics("c"), &["account.topics"]).await.unwrap();
    assert_eq!(ruled.account.unwrap().topics.len(), 64);
}

#[tokio::test]
async fn ruling_has_no_report_name_when_validate_only() {
    let service = Service::start().await;
    let meeting = visit(&service).await;
    let request = UpdateMeetingRequest {
        meeting: Some(Meeting { account: Some(dated(26)), ..meeting.clone() }),
        update_mask: mask(&["account.date"]),
        reason: "the ministry's own calendar".into(),
        validate_only: true,
        ..Default::default()
    };
    let answer = service.meetings.clone().update_meeting(request).await.unwrap().into_inner();
    let dispute = &answer.disputes[0];
    assert_eq!((day(&answer), dispute.values[dispute.chosen as usize].reports.as_slice()), (26, &[String::new()][..]));
    assert_eq!(service.meeting(&meeting.name).await, meeting);
}
