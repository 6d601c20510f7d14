//! Revisions: the actor, the time, the reason and the changed fields of each.

mod as_of;
mod erase;
mod hidden_races;
mod hide;
mod read_time;

use readout::pb::{
    Account, Article, DeleteArticleRequest, ErrorReason, ListArticleRevisionsRequest, ListArticleRevisionsResponse,
    ListMeetingRevisionsRequest, ListParticipantRevisionsRequest, Place, Revision, UpdateArticleRequest, change::Kind,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Service,
    calls::{as_actor, of_article},
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

/// The kind and the changed fields of each revision.
fn changed_fields(revisions: &[Revision]) -> Vec<(Kind, Vec<String>)> {
    revisions.iter().map(|revision| (revision.kind(), revision.changed_fields.clone())).collect()
}

#[tokio::test]
async fn article_revisions_have_their_actor_request_reason_and_changed_fields() {
    let service = Service::start().await;
    let first = service.create_article(article("urn:a")).await;
    service.create_meeting(&first, talks("Talks")).await.unwrap();
    let titled = Article { title: "Talks".into(), labels: labels(&[("desk", "foreign")]), ..first.clone() };
    let request = UpdateArticleRequest { request_id: "u1".into(), ..of_article(titled, &["title", "labels"]) };
    service.articles.clone().update_article(as_actor(request, "editor")).await.unwrap();
    let corrected = Article { etag: String::new(), text: "Another text.".into(), ..first.clone() };
    service.update_article(corrected, &["text"]).await.unwrap();
    let delete = DeleteArticleRequest { name: first.name.clone(), force: true, ..Default::default() };
    service.articles.clone().delete_article(as_actor(delete, "legal")).await.unwrap();
    service.undelete_article(&first.name).await.unwrap();

    let revisions = service.article_revisions(&first.name).await;
    let expected = [
        (Kind::Undeleted, fields(["delete_time"])),
        (Kind::Deleted, fields(["delete_time"])),
        (Kind::Updated, fields(["text"])),
        (Kind::Updated, fields(["labels.desk", "title"])),
        (Kind::Created, fields([])),
    ];
    assert_eq!(changed_fields(&revisions), expected);
    let authors: Vec<_> = revisions
        .iter()
        .map(|revision| (revision.revision, revision.actor.as_str(), revision.request_id.as_str()))
        .collect();
    let anonymous = "anonymous";
    assert_eq!(
        authors,
        [(5, anonymous, ""), (4, "legal", ""), (3, anonymous, ""), (2, "editor", "u1"), (1, anonymous, "")]
    );
    let reasons: Vec<_> = revisions.iter().map(|revision| revision.reason.as_str()).collect();
    assert_eq!(reasons, ["", "the article was deleted", "", "", ""]);
    assert_eq!(revisions[4].update_time, first.update_time);
    assert!(revisions.is_sorted_by_key(|revision| revision.update_time.map(|time| (-time.seconds, -time.nanos))));
    assert_eq!(revisions[0].update_time, service.article(&first.name).await.update_time);
}

#[tokio::test]
async fn meeting_revisions_have_the_fields_that_reports_changed() {
    let service = Service::start().await;
    let (first, second) =
        (service.create_article(article("urn:1")).await, service.create_article(article("urn:2")).await);
    let meeting = service.create_meeting(&first, talks("Talks")).await.unwrap();
    let place = Some(Place { region_code: "AZ".into(), ..Default::default() });
    let more = Account { place, participations: vec![named("x", "Kerim Veliyev")], ..talks("Talks") };
    service.add_report(&meeting.name, &second.name, more).await.unwrap();
    let delete = DeleteArticleRequest { name: second.name, force: true, ..Default::default() };
    service.articles.clone().delete_article(as_actor(delete, "legal")).await.unwrap();

    let revisions = service.meeting_revisions(&meeting.name).await;
    let more = fields([
        "account.place",
        "account.participations",
        "report_count",
        "article_count",
        "independent_source_count",
        "fragile_fields",
    ]);
    let expected = [(Kind::Retracted, more.clone()), (Kind::Reported, more), (Kind::Created, fields([]))];
    assert_eq!(changed_fields(&revisions), expected);
    assert_eq!((revisions[0].actor.as_str(), revisions[0].reason.as_str()), ("legal", "the article was deleted"));
}

#[tokio::test]
async fn revisions_are_listed_in_pages_with_the_newest_first() {
    let service = Service::start().await;
    let mut person = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    for number in 2..=7 {
        person.note = format!("{number}");
        person = service.update_participant(person, &["note"]).await.unwrap();
    }
    let whole = service.participant_revisions(&person.name).await;
    assert_eq!(whole.iter().map(|revision| revision.revision).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1]);
    assert!(whole[..6].iter().all(|revision| revision.changed_fields == ["note"]));
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
async fn revision_pages_are_shorter_when_revisions_are_large() {
    let service = Service::start().await;
    let uris = (0..100).map(|number| format!("urn:{number}:{}", "x".repeat(2_000))).collect();
    let mut article = service.create_article(Article { alternate_uris: uris, ..article("urn:a") }).await;
    for number in 0..14 {
        article.title = format!("{number}");
        article = service.update_article(article, &["title"]).await.unwrap();
    }
    let mut request = ListArticleRevisionsRequest { name: article.name, ..Default::default() };
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
    // A revision has about 200 KiB. Ten are read for a page of nine.
    assert_eq!(sizes, [9, 6]);
}

#[tokio::test]
async fn list_revisions_refuses_a_record_that_does_not_exist() {
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
