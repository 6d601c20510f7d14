//! Revisions: who wrote each, when, why, and which fields.

use readout::pb::{
    Account, Article, DeleteArticleRequest, ErrorReason, ListArticleRevisionsRequest, ListArticleRevisionsResponse,
    ListMeetingRevisionsRequest, ListParticipantRevisionsRequest, Place, Revision, UpdateArticleRequest, change::Kind,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Service,
    calls::{of_article, said},
    make::{article, labels, named, person, talks},
    refused,
};

impl Service {
    async fn article_revisions(&self, name: &str) -> Vec<Revision> {
        let request = ListArticleRevisionsRequest { name: name.into(), ..Default::default() };
        self.articles.clone().list_article_revisions(request).await.expect("revisions").into_inner().revisions
    }

    async fn participant_revisions(&self, name: &str) -> Vec<Revision> {
        let request = ListParticipantRevisionsRequest { name: name.into(), ..Default::default() };
        self.participants.clone().list_participant_revisions(request).await.expect("revisions").into_inner().revisions
    }

    async fn meeting_revisions(&self, name: &str) -> Vec<Revision> {
        let request = ListMeetingRevisionsRequest { name: name.into(), ..Default::default() };
        self.meetings.clone().list_meeting_revisions(request).await.expect("revisions").into_inner().revisions
    }
}

fn fields<const N: usize>(fields: [&str; N]) -> Vec<String> {
    fields.map(str::to_owned).into()
}

/// The kind of each, and its changed fields.
fn told(revisions: &[Revision]) -> Vec<(Kind, Vec<String>)> {
    let told = |one: &Revision| (one.kind(), one.changed_fields.clone());
    revisions.iter().map(told).collect()
}

#[tokio::test]
async fn the_revisions_of_an_article_say_who_wrote_what_and_why() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    service.create_meeting(&first, talks("Talks")).await.unwrap();
    let titled = Article { title: "Talks".into(), labels: labels(&[("desk", "foreign")]), ..first.clone() };
    let request = UpdateArticleRequest { request_id: "u1".into(), ..of_article(titled, &["title", "labels"]) };
    service.articles.clone().update_article(said(request, "editor")).await.unwrap();
    let corrected = Article { etag: String::new(), text: "Another text.".into(), ..first.clone() };
    service.update_article(corrected, &["text"]).await.unwrap();
    let delete = DeleteArticleRequest { name: first.name.clone(), force: true, ..Default::default() };
    service.articles.clone().delete_article(said(delete, "legal")).await.unwrap();
    service.undelete_article(&first.name).await.unwrap();

    let revisions = service.article_revisions(&first.name).await;
    let expected = [
        (Kind::Undeleted, fields(["delete_time"])),
        (Kind::Deleted, fields(["delete_time"])),
        (Kind::Updated, fields(["text"])),
        (Kind::Updated, fields(["labels.desk", "title"])),
        (Kind::Created, fields([])),
    ];
    assert_eq!(told(&revisions), expected);
    let who: Vec<_> = revisions.iter().map(|one| (one.revision, one.actor.as_str(), one.request_id.as_str())).collect();
    let anonymous = "anonymous";
    assert_eq!(
        who,
        [(5, anonymous, ""), (4, "legal", ""), (3, anonymous, ""), (2, "editor", "u1"), (1, anonymous, "")]
    );
    let why: Vec<_> = revisions.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(why, ["", "the article was deleted", "", "", ""]);
    assert_eq!(revisions[4].update_time, first.update_time);
    assert!(revisions.is_sorted_by_key(|one| one.update_time.map(|time| (-time.seconds, -time.nanos))));
    assert_eq!(revisions[0].update_time, service.article(&first.name).await.update_time);
}

#[tokio::test]
async fn the_revisions_of_a_meeting_tell_what_its_reports_changed() {
    let service = Service::start().await;
    let (first, second) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let meeting = service.create_meeting(&first, talks("Talks")).await.unwrap();
    let place = Some(Place { region_code: "AZ".into(), ..Default::default() });
    let more = Account { place, participations: vec![named("x", "Kerim Veliyev")], ..talks("Talks") };
    service.add_report(&meeting.name, &second.name, more).await.unwrap();
    let delete = DeleteArticleRequest { name: second.name, force: true, ..Default::default() };
    service.articles.clone().delete_article(said(delete, "legal")).await.unwrap();

    let revisions = service.meeting_revisions(&meeting.name).await;
    let more = fields([
        "account.place",
        "account.participations",
        "report_count",
        "article_count",
        "independent_source_count",
    ]);
    let expected = [(Kind::Retracted, more.clone()), (Kind::Reported, more), (Kind::Created, fields([]))];
    assert_eq!(told(&revisions), expected);
    assert_eq!((revisions[0].actor.as_str(), revisions[0].reason.as_str()), ("legal", "the article was deleted"));
}

#[tokio::test]
async fn revisions_come_in_pages_the_newest_first() {
    let service = Service::start().await;
    let mut person = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    for number in 2..=7 {
        person.note = format!("{number}");
        person = service.update_participant(person, &["note"]).await.unwrap();
    }
    let whole = service.participant_revisions(&person.name).await;
    assert_eq!(whole.iter().map(|one| one.revision).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1]);
    assert!(whole[..6].iter().all(|one| one.changed_fields == ["note"]));
    for size in [1, 2, 3, 6, 7, 8] {
        let mut request =
            ListParticipantRevisionsRequest { name: person.name.clone(), page_size: size, ..Default::default() };
        let (mut all, mut pages, mut as_of) = (Vec::new(), 0, String::new());
        loop {
            let page =
                service.participants.clone().list_participant_revisions(request.clone()).await.unwrap().into_inner();
            all.extend(page.revisions);
            pages += 1;
            assert!(as_of.is_empty() || as_of == page.as_of);
            as_of = page.as_of;
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!((all, pages), (whole.clone(), (7 + size - 1) / size), "{size}");
    }
}

#[tokio::test]
async fn a_page_ends_where_the_revisions_are_large() {
    let service = Service::start().await;
    let uris = (0..100).map(|number| format!("urn:{number}:{}", "x".repeat(2_000))).collect();
    let mut one = service.create_article(Article { alternate_uris: uris, ..article("urn:a") }).await;
    for number in 0..14 {
        one.title = format!("{number}");
        one = service.update_article(one, &["title"]).await.unwrap();
    }
    let mut request = ListArticleRevisionsRequest { name: one.name, ..Default::default() };
    let mut sizes = Vec::new();
    loop {
        let page: ListArticleRevisionsResponse =
            service.articles.clone().list_article_revisions(request.clone()).await.unwrap().into_inner();
        sizes.push(page.revisions.len());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    // Of 200 KiB each, ten are read to tell nine.
    assert_eq!(sizes, [9, 6]);
}

#[tokio::test]
async fn what_is_not_there_has_no_revisions() {
    let service = Service::start().await;
    let (articles, participants, meetings) = (&service.articles, &service.participants, &service.meetings);
    let name = |collection| format!("{collection}/{}", Uuid::now_v7());
    let not_found = |status, name: &str| refused(status, Code::NotFound, ErrorReason::ResourceNotFound, name);
    let request = ListArticleRevisionsRequest { name: name("articles"), ..Default::default() };
    not_found(articles.clone().list_article_revisions(request.clone()).await.unwrap_err(), &request.name);
    let request = ListParticipantRevisionsRequest { name: name("participants"), ..Default::default() };
    not_found(participants.clone().list_participant_revisions(request.clone()).await.unwrap_err(), &request.name);
    let request = ListMeetingRevisionsRequest { name: name("meetings"), ..Default::default() };
    not_found(meetings.clone().list_meeting_revisions(request.clone()).await.unwrap_err(), &request.name);
}
