//! The bound on what a meeting is settled on, at every call that adds to it, and on a report.

use readout::{
    model::{meeting::settled_bytes, report::reported_bytes},
    pb::{
        Account, AddReportRequest, Article, ErrorReason, GetMeetingRequest, Meeting, Office, Participation, Report,
        Statement, StoryReport, View, meeting::Review,
    },
};
use tonic::{Code, Status};

use super::{MAX_STORED, assert_fits, crowd, figure, generous, ranked};
use crate::support::{
    Refused, Service, cluster,
    make::{article, ingest, labels, named, story, streamed, talks},
    refused,
    story_stream::{ingest_all, outcome},
};

/// Asserts that a call was refused because of the size of this meeting; returns the size that it would have had.
#[track_caller]
fn too_large(status: Status, meeting: &str) -> usize {
    let (bytes, max_bytes) = (figure(&status, "bytes"), figure(&status, "max_bytes"));
    refused(status, Code::FailedPrecondition, ErrorReason::MeetingTooLarge, meeting);
    assert!(bytes > max_bytes && max_bytes == MAX_STORED, "{bytes} {max_bytes}");
    bytes
}

/// A meeting of five crowds, which has room for less than one more.
async fn nearly_full(service: &Service, uri: &str) -> (Article, Meeting) {
    let source = service.create_article(article(uri)).await;
    let meeting = service.create_meeting(&source, crowd(0, '名')).await.unwrap();
    for number in 1..5 {
        service.add_report(&meeting.name, &source.name, crowd(number, '名')).await.unwrap();
    }
    (source, service.meeting(&meeting.name).await)
}

/// Fills a meeting nearly up to the bound. Returns the report that reaches it, with this many bytes more.
async fn filler(service: &Service, source: &Article, meeting: &Meeting) -> impl Fn(isize) -> Account + use<> {
    let left = async || MAX_STORED - settled_bytes(&service.meeting(&meeting.name).await);
    let mut round = 0;
    while left().await > 21_000 {
        let person = |at: usize| named(&at.to_string(), &format!("{round} {at:04}{}", "y".repeat(230)));
        let participations = (0..((left().await - 20_000) / 510).max(1)).map(person).take(500).collect();
        // All titles have the same length: which of them is chosen does not change the size.
        let account = Account { participations, ..talks("Talks 8") };
        service.add_report(&meeting.name, &source.name, account).await.unwrap();
        round += 1;
    }
    // A name has each byte twice: as written, and in the settled id.
    let name_bytes = (left().await - 2_000) / 80 - 9;
    let sent = service.validated(&meeting.name, source, ranked(4_000, name_bytes)).await.unwrap_err();
    let excess = too_large(sent, &meeting.name) - MAX_STORED;
    move |more| ranked((4_000 - excess).strict_add_signed(more), name_bytes)
}

impl Service {
    async fn validated(&self, meeting: &str, source: &Article, account: Account) -> Result<Report, Status> {
        let report = Report { article: source.name.clone(), account: Some(account), ..Default::default() };
        let (meeting, report) = (meeting.to_owned(), Some(report));
        let request = AddReportRequest { meeting, report, validate_only: true, ..Default::default() };
        self.meetings.clone().add_report(request).await.map(tonic::Response::into_inner)
    }

    async fn in_view(&self, name: &str, view: View) -> Result<Meeting, Status> {
        let request = GetMeetingRequest { name: name.into(), view: view.into(), ..Default::default() };
        self.meetings.clone().get_meeting(request).await.map(tonic::Response::into_inner)
    }
}

#[tokio::test]
async fn meeting_is_accepted_at_the_bound_and_refused_one_byte_above() {
    let service = Service::start().await;
    let (source, meeting) = nearly_full(&service, "urn:a").await;
    let fill = filler(&service, &source, &meeting).await;
    let before = service.contents().await;

    let over = service.add_report(&meeting.name, &source.name, fill(1)).await.unwrap_err();
    assert_eq!(too_large(over, &meeting.name), MAX_STORED + 1);
    let over = service.validated(&meeting.name, &source, fill(1)).await.unwrap_err();
    assert_eq!(too_large(over, &meeting.name), MAX_STORED + 1);
    assert_eq!(service.contents().await, before);

    service.validated(&meeting.name, &source, fill(0)).await.unwrap();
    service.add_report(&meeting.name, &source.name, fill(0)).await.unwrap();
    let full = service.meeting(&meeting.name).await;
    assert_eq!(settled_bytes(&full), MAX_STORED);
    assert!(!full.fragile_fields.is_empty(), "they are not stored, and fit into the answer");
    let basic = Meeting { fragile_fields: Vec::new(), ..full.clone() };
    assert_eq!(service.in_view(&meeting.name, View::Basic).await.unwrap(), basic);
    assert_fits(&full);

    // It is full: labels do not fit, but all that takes nothing is possible.
    let labelled = Meeting { labels: labels(&[("desk", "a")]), ..full.clone() };
    too_large(service.update_meeting(labelled, &["labels"]).await.unwrap_err(), &meeting.name);
    let reviewed = Meeting { review: Review::Reviewed.into(), ..full.clone() };
    assert_fits(&service.update_meeting(reviewed, &["review"]).await.unwrap());
    service.delete_meeting(&meeting.name).await.unwrap();
    service.undelete_meeting(&meeting.name).await.unwrap();
    let first = service.report_names_of(&meeting.name).await.pop_first().unwrap();
    service.retract_report(&first).await.unwrap();
    assert!(settled_bytes(&service.meeting(&meeting.name).await) < MAX_STORED);
}

#[tokio::test]
async fn story_merge_and_split_refuse_a_meeting_above_the_bound() {
    let service = Service::start().await;
    let (source, meeting) = nearly_full(&service, "urn:a").await;

    let of = |uri: &str, name: &str| {
        let report =
            StoryReport { meeting: name.into(), key: "r".into(), account: Some(crowd(5, '名')), ..Default::default() };
        let mut story = story(uri, &[]);
        story.reports = vec![report];
        story
    };
    let before = service.contents().await;
    let refusal = service.ingest.clone().ingest_story(ingest(of("urn:b", &meeting.name))).await.unwrap_err();
    too_large(refusal, &meeting.name);
    assert_eq!(service.contents().await, before);

    // In a stream, the other stories are written.
    let stories = [of("urn:c", ""), of("urn:d", &meeting.name), of("urn:e", "")];
    let mut outcomes = ingest_all(&service.ingest, stories.map(streamed)).await.into_iter().map(outcome);
    let other = outcomes.next().unwrap().unwrap().meetings[0].meeting.clone();
    too_large(outcomes.next().unwrap().unwrap_err(), &meeting.name);
    outcomes.next().unwrap().unwrap();

    too_large(service.merge(&meeting.name, &[&other]).await.unwrap_err(), &meeting.name);
    let moved = service.report_names_of(&other).await;
    service.add_report(&other, &source.name, talks("Talks")).await.unwrap();
    let names: Vec<&str> = moved.iter().map(String::as_str).collect();
    too_large(service.split(&other, &names, &meeting.name).await.unwrap_err(), &meeting.name);

    // A ruling on a list replaces all of it, and can make room.
    let one = Account { participations: vec![named("p", "Kerim Veliyev")], ..Default::default() };
    assert_fits(&service.rule(&meeting.name, one, &["account.participations"]).await.unwrap());
    assert_fits(&service.merge(&meeting.name, &[&other]).await.unwrap());
}

#[tokio::test]
async fn largest_account_of_one_report_is_accepted_and_answered() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    // Letters of four bytes. A settled id has the name once more, and so has each reference to it.
    let text = |length: usize| "\u{10428}".repeat(length);
    let person = |at: usize| {
        let office = Office { title: text(400), organization: text(200), ..Default::default() };
        let on_behalf_of = ((at + 1) % 500).to_string();
        Participation {
            office: Some(office),
            rank: text(100),
            on_behalf_of,
            ..named(&at.to_string(), &format!("{at:03}{}", text(253)))
        }
    };
    let account = Account { participations: (0..500).map(person).collect(), ..talks("Talks") };
    let meeting = service.create_meeting(&source, account).await.unwrap();
    assert!((2_900_000..=MAX_STORED).contains(&settled_bytes(&meeting)), "{}", settled_bytes(&meeting));
    assert_fits(&service.meeting(&meeting.name).await);
    assert_fits(&service.in_view(&meeting.name, View::Basic).await.unwrap());
}

#[tokio::test]
async fn report_is_accepted_at_the_bound_and_refused_one_byte_above() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let account = |bytes: usize| {
        let text = |bytes: usize| "s".repeat(bytes);
        let mut statements: Vec<Statement> =
            (0..495).map(|at| Statement { id: format!("{at:03}"), text: text(8_000), ..Default::default() }).collect();
        statements.push(Statement { id: "last".into(), text: text(bytes), ..Default::default() });
        Account { statements, ..talks("Talks") }
    };
    let meeting = service.create_meeting(&source, account(1_000)).await.unwrap();
    let stored = service.report(service.report_names_of(&meeting.name).await.first().unwrap()).await;
    let left = MAX_STORED - reported_bytes(&stored) + 1_000;
    service.add_report(&meeting.name, &source.name, account(left)).await.unwrap();
    let over = service.add_report(&meeting.name, &source.name, account(left + 1)).await.unwrap_err();
    assert_eq!((figure(&over, "bytes"), figure(&over, "limit_bytes")), (MAX_STORED + 1, MAX_STORED));
    assert_eq!(Refused::from(over), Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge));
    for report in service.reports_of(&meeting.name).await {
        assert_fits(&report);
    }
    assert_fits(&service.meeting(&meeting.name).await);
}

#[tokio::test]
async fn meeting_of_a_larger_bound_answers_with_its_size_and_can_become_smaller() {
    let database = cluster::database().await;
    let large = generous(&database).await;
    let (source, meeting) = nearly_full(&large, "urn:a").await;
    large.add_report(&meeting.name, &source.name, crowd(5, '名')).await.unwrap();
    large.add_report(&meeting.name, &source.name, crowd(6, '名')).await.unwrap();
    large.stop().await;

    let service = Service::start_on(database).await;
    for view in [View::Basic, View::Full] {
        let refusal = service.in_view(&meeting.name, view).await.unwrap_err();
        assert!(figure(&refusal, "bytes") > 5_000_000 && figure(&refusal, "limit_bytes") == 4_000_000, "{refusal:?}");
        refused(refusal, Code::ResourceExhausted, ErrorReason::MessageTooLarge, &meeting.name);
    }
    let refusal = service.add_report(&meeting.name, &source.name, talks("More")).await;
    // The report adds nothing to the account, and the count of reports is no longer.
    refusal.unwrap();
    too_large(service.add_report(&meeting.name, &source.name, crowd(7, '名')).await.unwrap_err(), &meeting.name);

    // The answers to writes are named, not refused.
    let reviewed = Meeting { name: meeting.name.clone(), review: Review::Reviewed.into(), ..Default::default() };
    let answer = service.update_meeting(reviewed, &["review"]).await.unwrap();
    assert_eq!((answer.review(), answer.account), (Review::Reviewed, None));
    assert!(answer.omission.unwrap().record_bytes > 5_000_000);

    // Two retractions bring it below the bound.
    let mut names = service.report_names_of(&meeting.name).await;
    for _ in 0..2 {
        service.retract_report(&names.pop_last().unwrap()).await.unwrap();
    }
    service.retract_report(&names.pop_last().unwrap()).await.unwrap();
    assert_fits(&service.meeting(&meeting.name).await);
}
