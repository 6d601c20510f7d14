//! Reads with `read_time`: records as they were returned at that time.

use std::time::SystemTime;

use prost_types::Timestamp;
use readout::pb::{
    Account, Article, BatchGetArticlesRequest, BatchGetMeetingsRequest, BatchGetParticipantsRequest, Date,
    DeleteArticleRequest, ErrorReason, GetArticleRequest, GetMeetingRequest, GetParticipantRequest, GetReportRequest,
    ListReportsRequest, Meeting, Participant, Report, Statement, View, report::State,
};
use tonic::{Code, Response, Status};

use crate::support::{
    Refused, Service,
    data_dir::eventually,
    make::{TEXT, article, person, talks},
    refused,
};

type Time = Option<Timestamp>;

impl Service {
    async fn article_at(&self, name: &str, read_time: Time) -> Result<Article, Status> {
        let request = GetArticleRequest { name: name.into(), read_time, ..Default::default() };
        self.articles.clone().get_article(request).await.map(Response::into_inner)
    }

    async fn participant_at(&self, name: &str, read_time: Time) -> Result<Participant, Status> {
        let request = GetParticipantRequest { name: name.into(), read_time };
        self.participants.clone().get_participant(request).await.map(Response::into_inner)
    }

    async fn meeting_at(&self, name: &str, read_time: Time) -> Result<Meeting, Status> {
        let request = GetMeetingRequest { name: name.into(), read_time, ..Default::default() };
        self.meetings.clone().get_meeting(request).await.map(Response::into_inner)
    }

    async fn report_at(&self, name: &str, read_time: Time) -> Result<Report, Status> {
        let request = GetReportRequest { name: name.into(), read_time };
        self.meetings.clone().get_report(request).await.map(Response::into_inner)
    }

    async fn reports_at(&self, meeting: &str, read_time: Time) -> Vec<Report> {
        let request = ListReportsRequest { meeting: meeting.into(), read_time, ..Default::default() };
        self.meetings.clone().list_reports(request).await.expect("a list").into_inner().reports
    }

    async fn retract_all_of(&self, article: &Article) {
        let request = DeleteArticleRequest { name: article.name.clone(), force: true, ..Default::default() };
        self.articles.clone().delete_article(request).await.expect("deleted");
    }
}

/// The last microsecond before `time`.
fn before(time: Time) -> Time {
    let mut time = time.expect("a time");
    time.nanos -= 1_000;
    time.normalize();
    Some(time)
}

fn now() -> Time {
    Some(SystemTime::now().into())
}

fn talks_with_statement(text: &str) -> Account {
    let statement = Statement { id: "s".into(), text: text.into(), ..Default::default() };
    Account { statements: vec![statement], ..talks("Talks") }
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(read: Result<T, Status>, name: &str) {
    refused(read.unwrap_err(), Code::NotFound, ErrorReason::ResourceNotFound, name);
}

#[tokio::test]
async fn get_participant_returns_each_revision_at_its_read_time() {
    let service = Service::start().await;
    let mut steps = vec![service.create_participant(person("Kerim Veliyev", "AZ")).await];
    let name = steps[0].name.clone();
    for note in ["one", "two"] {
        let next = Participant { note: note.into(), ..steps[steps.len() - 1].clone() };
        steps.push(service.update_participant(next, &["note"]).await.unwrap());
    }
    steps.push(service.delete_participant(&name).await.unwrap());

    assert_not_found(service.participant_at(&name, before(steps[0].update_time)).await, &name);
    for (step, next) in steps.iter().zip(&steps[1..]) {
        for time in [step.update_time, before(next.update_time)] {
            assert_eq!(&service.participant_at(&name, time).await.unwrap(), step);
        }
    }
    assert_eq!(service.participant_at(&name, now()).await.unwrap(), steps[3]);
}

#[tokio::test]
async fn get_article_returns_the_text_of_its_read_time() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    let name = &first.name;
    let other = Article { text: "Another text.".into(), ..first.clone() };
    let second = service.update_article(other, &["text"]).await.unwrap();
    let deleted = service.delete_article(name).await.unwrap();

    assert_not_found(service.article_at(name, before(first.update_time)).await, name);
    let former = service.article_at(name, first.update_time).await.unwrap();
    assert_eq!((former.text.as_str(), &former), (TEXT, &first));
    assert_eq!(service.article_at(name, before(deleted.update_time)).await.unwrap(), second);
    let last = service.article_at(name, now()).await.unwrap();
    assert_eq!((last.delete_time, last.text.as_str()), (deleted.update_time, "Another text."));
    let view = View::Basic.into();
    let basic = GetArticleRequest { name: name.clone(), view, read_time: first.update_time };
    let basic = service.articles.clone().get_article(basic).await.unwrap().into_inner();
    assert_eq!(basic, Article { text: String::new(), ..first });
}

#[tokio::test]
async fn get_meeting_returns_each_settled_state_at_its_read_time() {
    let service = Service::start().await;
    let on = |uri: &str, day| Article { publish_date: Some(Date { year: 2020, month: 9, day }), ..article(uri) };
    let (first, second) = (service.create_article(on("urn:1", 5)).await, service.create_article(on("urn:2", 6)).await);
    let meeting = service.create_meeting(&first, talks_with_statement("first")).await.unwrap();
    let name = &meeting.name;
    let mut steps = vec![service.meeting(name).await];
    service.add_report(name, &second.name, talks_with_statement("second")).await.unwrap();
    steps.push(service.meeting(name).await);
    service.delete_meeting(name).await.unwrap();
    steps.push(service.meeting(name).await);
    // Statements are in the order of publication, which this update changes.
    let earlier = Article { name: second.name.clone(), ..on("", 4) };
    let earlier = service.update_article(earlier, &["publish_date"]).await.unwrap();
    let day = |meeting: &Meeting| meeting.publish_date.map(|date| date.day);
    assert_eq!(day(&steps[2]), Some(5));
    eventually("the meeting is settled again", async || day(&service.meeting(name).await) == Some(4)).await;
    let reordered = service.meeting(name).await;
    service.undelete_meeting(name).await.unwrap();
    steps.push(service.meeting(name).await);
    service.retract_all_of(&first).await;
    steps.push(service.meeting(name).await);

    assert_not_found(service.meeting_at(name, before(steps[0].update_time)).await, name);
    for step in &steps {
        assert_eq!(&service.meeting_at(name, step.update_time).await.unwrap(), step);
    }
    for (step, next) in [(0, 1), (1, 2), (3, 4)] {
        let time = before(steps[next].update_time);
        assert_eq!(service.meeting_at(name, time).await.unwrap(), steps[step]);
    }
    assert_eq!(service.meeting_at(name, before(earlier.update_time)).await.unwrap(), steps[2]);
    assert_eq!(service.meeting_at(name, reordered.update_time).await.unwrap(), reordered);
    let texts = |meeting: &Meeting| -> Vec<String> {
        meeting.account.as_ref().unwrap().statements.iter().map(|statement| statement.text.clone()).collect()
    };
    // Before it is settled again, the meeting has its former revision but already the new order of statements.
    let between = service.meeting_at(name, earlier.update_time).await.unwrap();
    assert_eq!((between.revision, day(&between)), (steps[2].revision, Some(5)));
    assert_eq!((reordered.revision, texts(&between)), (steps[2].revision + 1, texts(&reordered)));
    let statements: Vec<_> = steps.iter().map(texts).collect();
    assert_eq!(statements[0], ["first"]);
    assert_eq!(statements[1], ["first", "second"]);
    assert_eq!(statements[3], ["second", "first"]);
    assert_eq!(statements[4], ["second"]);

    let view = View::Basic.into();
    let basic = GetMeetingRequest { name: name.clone(), view, read_time: steps[1].update_time };
    let basic = service.meetings.clone().get_meeting(basic).await.unwrap().into_inner();
    assert_eq!((basic.revision, texts(&basic).len(), basic.report_count), (2, 0, 2));
}

#[tokio::test]
async fn reports_are_read_and_listed_in_their_state_at_the_read_time() {
    let service = Service::start().await;
    let (first, second) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let meeting = service.create_meeting(&first, talks_with_statement("first")).await.unwrap();
    let first_report = service.reports_of(&meeting.name).await.remove(0);
    let second_report = service.add_report(&meeting.name, &second.name, talks_with_statement("second")).await.unwrap();
    service.retract_all_of(&first).await;
    let retracted = service.reports_of(&meeting.name).await.remove(0);
    assert_eq!((retracted.state(), &retracted.name), (State::Retracted, &first_report.name));

    assert_not_found(service.report_at(&first_report.name, before(first_report.update_time)).await, &first_report.name);
    assert_eq!(service.report_at(&first_report.name, before(retracted.update_time)).await.unwrap(), first_report);
    assert_eq!(service.report_at(&first_report.name, retracted.update_time).await.unwrap(), retracted);

    let at = async |time| service.reports_at(&meeting.name, time).await;
    assert_eq!(at(before(first_report.update_time)).await, []);
    assert_eq!(at(first_report.update_time).await, std::slice::from_ref(&first_report));
    assert_eq!(at(second_report.update_time).await, [first_report.clone(), second_report.clone()]);
    assert_eq!(at(retracted.update_time).await, [retracted.clone(), second_report.clone()]);
    assert_eq!(at(now()).await, service.reports_of(&meeting.name).await);
    let of_second = ListReportsRequest {
        meeting: meeting.name.clone(),
        article: second.name.clone(),
        read_time: second_report.update_time,
        ..Default::default()
    };
    let of_second = service.meetings.clone().list_reports(of_second).await.unwrap().into_inner();
    assert_eq!(of_second.reports, [second_report]);
}

#[tokio::test]
async fn list_reports_page_token_is_bound_to_its_read_time() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let meeting = service.create_meeting(&source, talks_with_statement("0")).await.unwrap();
    let mut last = None;
    for number in 1..7 {
        last = service
            .add_report(&meeting.name, &source.name, talks_with_statement(&format!("{number}")))
            .await
            .unwrap()
            .update_time;
    }
    let whole = service.reports_of(&meeting.name).await;
    service.add_report(&meeting.name, &source.name, talks_with_statement("later")).await.unwrap();
    service.retract_all_of(&source).await;
    let mut meetings = service.meetings.clone();
    for page_size in [1, 3, 7, 8] {
        let mut request =
            ListReportsRequest { meeting: meeting.name.clone(), read_time: last, page_size, ..Default::default() };
        let mut all = Vec::new();
        loop {
            let page = meetings.list_reports(request.clone()).await.unwrap().into_inner();
            all.extend(page.reports);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            let other_time = ListReportsRequest { read_time: now(), ..request.clone() };
            let refused = meetings.list_reports(other_time).await.unwrap_err();
            assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidPageToken, ["page_token"]));
        }
        assert_eq!(all, whole);
    }
}

#[tokio::test]
async fn moved_report_is_listed_in_its_meeting_at_the_read_time() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let from = service.create_meeting(&source, talks_with_statement("moves")).await.unwrap();
    let report = service.reports_of(&from.name).await.remove(0);
    let to = service.create_meeting(&source, talks_with_statement("stays")).await.unwrap();
    let stays = service.reports_of(&to.name).await.remove(0);
    service
        .execute(
            "insert into superseded (collection, id, revision, contract, doc, update_time, meeting)
             select 3, id, revision, contract, doc, update_time, meeting
             from report;
             update report
             set revision = 2, update_time = now(), meeting = (select max(meeting::text)::uuid from report);",
        )
        .await;

    let before_move = to.update_time;
    assert_eq!(service.reports_at(&from.name, before_move).await, std::slice::from_ref(&report));
    assert_eq!(service.reports_at(&to.name, before_move).await, std::slice::from_ref(&stays));
    assert_eq!(service.reports_at(&from.name, now()).await, []);
    assert_eq!(service.reports_at(&to.name, now()).await, [report, stays]);
    let texts = async |name: &str, time| {
        let account = service.meeting_at(name, time).await.unwrap().account.unwrap();
        account.statements.into_iter().map(|statement| statement.text).collect::<Vec<_>>()
    };
    assert_eq!(texts(&from.name, before_move).await, ["moves"]);
    assert_eq!(texts(&to.name, before_move).await, ["stays"]);
    assert_eq!(texts(&from.name, now()).await, [""; 0]);
    assert_eq!(texts(&to.name, now()).await.len(), 2);
}

#[tokio::test]
async fn batch_get_with_read_time_keeps_the_requested_order() {
    let service = Service::start().await;
    let (source, other) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let first = service.create_meeting(&source, talks_with_statement("first")).await.unwrap();
    let second = service.create_meeting(&other, talks_with_statement("second")).await.unwrap();
    let (a, b) = (service.meeting(&first.name).await, service.meeting(&second.name).await);
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let read_time = veliyev.update_time;
    service.update_participant(Participant { note: "later".into(), ..veliyev.clone() }, &["note"]).await.unwrap();
    service.add_report(&first.name, &other.name, talks_with_statement("third")).await.unwrap();
    service.update_article(Article { title: "later".into(), ..source.clone() }, &["title"]).await.unwrap();

    let names = vec![second.name.clone(), first.name.clone(), second.name.clone()];
    let request = BatchGetMeetingsRequest { names, read_time, ..Default::default() };
    let read = service.meetings.clone().batch_get_meetings(request.clone()).await.unwrap().into_inner();
    assert_eq!(read.meetings, [b.clone(), a, b]);
    let too_early = BatchGetMeetingsRequest { read_time: first.update_time, ..request };
    assert_not_found(service.meetings.clone().batch_get_meetings(too_early).await, &second.name);

    let names = vec![other.name.clone(), source.name.clone()];
    let request = BatchGetArticlesRequest { names, read_time, ..Default::default() };
    let read = service.articles.clone().batch_get_articles(request).await.unwrap().into_inner();
    assert_eq!(read.articles, [other, source]);
    let request = BatchGetParticipantsRequest { names: vec![veliyev.name.clone()], read_time };
    let read = service.participants.clone().batch_get_participants(request).await.unwrap().into_inner();
    assert_eq!(read.participants, [veliyev]);
}

#[tokio::test]
async fn read_time_in_the_future_is_refused() {
    let service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let mut read_time = now().unwrap();
    read_time.seconds += 60;
    let refused = service.participant_at(&veliyev.name, Some(read_time)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["read_time"]));
    // The violation is reported together with all others.
    let refused = service.participant_at("participants/x", Some(read_time)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["name", "read_time"]));
}

#[tokio::test]
async fn reports_of_an_article_are_listed_in_their_state_at_the_read_time() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let before = now();
    for number in 0..3 {
        service.create_meeting(&source, talks_with_statement(&format!("{number}"))).await.unwrap();
    }
    let list = async |read_time, page_token| {
        let article = source.name.clone();
        let request = ListReportsRequest { article, read_time, page_size: 2, page_token, ..Default::default() };
        service.meetings.clone().list_reports(request).await.unwrap().into_inner()
    };
    let first = list(None, String::new()).await;
    let whole = [first.reports, list(None, first.next_page_token).await.reports].concat();
    let read_time = now();
    service.retract_all_of(&source).await;
    let first = list(read_time, String::new()).await;
    assert_eq!([first.reports, list(read_time, first.next_page_token).await.reports].concat(), whole);
    assert_eq!(list(before, String::new()).await.reports, []);
}

#[tokio::test]
async fn batch_get_with_read_time_refuses_a_response_above_the_message_limit() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let statements =
        (0..160).map(|id| Statement { id: format!("{id}"), text: "x".repeat(8_000), ..Default::default() });
    let long = Account { statements: statements.collect(), ..talks("Talks") };
    let name = service.create_meeting(&source, long).await.unwrap().name;
    let request =
        |times| BatchGetMeetingsRequest { names: vec![name.clone(); times], read_time: now(), ..Default::default() };
    // The meeting has about 1.3 MB each time.
    let three = service.meetings.clone().batch_get_meetings(request(3)).await.unwrap();
    assert_eq!(three.into_inner().meetings.len(), 3);
    let refused = service.meetings.clone().batch_get_meetings(request(4)).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge));
}
