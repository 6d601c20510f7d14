//! Deleting and undeleting in every collection.

use readout::pb::{
    Article, CreateArticleRequest, CreateParticipantRequest, DeleteParticipantRequest, ErrorReason, GetArticleRequest,
    ListArticlesRequest, ListMeetingsRequest, ListParticipantsRequest, Participant, UndeleteParticipantRequest,
    ingest_story_response::Outcome,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::support::{
    Refused, Service,
    make::{TEXT, article, ingest, person, present, story, talks, talks_of, wikidata},
    metadata_of, reason_of, refused,
};

#[track_caller]
fn refused_as_deleted(status: Status, name: &str) {
    refused(status, Code::FailedPrecondition, ErrorReason::ResourceDeleted, name);
}

/// The subjects of a `STILL_NAMED` error: the records that refer to the record to be deleted.
#[track_caller]
fn still_named_by(status: &Status) -> Vec<String> {
    assert_eq!((status.code(), reason_of(status)), (Code::FailedPrecondition, ErrorReason::StillNamed));
    let failure = status.get_details_precondition_failure().expect("the referring records");
    assert!(failure.violations.iter().all(|violation| violation.r#type == "STILL_NAMED"), "{failure:?}");
    failure.violations.into_iter().map(|violation| violation.subject).collect()
}

#[tokio::test]
async fn deleted_article_can_be_read_but_is_listed_only_with_show_deleted() {
    let mut service = Service::start().await;
    let (kept, gone) = (service.create_article(article("urn:a")).await, service.create_article(article("urn:b")).await);
    let deleted = service.delete_article(&gone.name).await.unwrap();
    let expected = Article {
        etag: deleted.etag.clone(),
        revision: 2,
        update_time: deleted.update_time,
        delete_time: deleted.update_time,
        text: String::new(),
        ..gone.clone()
    };
    assert_eq!(deleted, expected);
    assert_ne!(deleted.etag, gone.etag);
    let get = GetArticleRequest { name: gone.name.clone(), ..Default::default() };
    let read = service.articles.get_article(get).await.unwrap().into_inner();
    assert_eq!(read, Article { text: TEXT.into(), ..deleted });
    let names = async |service: &mut Service, show_deleted| {
        let request = ListArticlesRequest { show_deleted, ..Default::default() };
        let articles = service.articles.list_articles(request.clone()).await.unwrap().into_inner().articles;
        let mut stream = service.articles.stream_articles(request).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().articles, articles);
        articles.into_iter().map(|article| article.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut service, false).await, [kept.name.as_str()]);
    assert_eq!(names(&mut service, true).await, [kept.name.clone(), gone.name.clone()]);
    let again = service.undelete_article(&gone.name).await.unwrap();
    assert_eq!((again.revision, again.delete_time), (3, None));
    assert_eq!(names(&mut service, false).await, [kept.name, gone.name]);
}

#[tokio::test]
async fn deleted_participants_and_meetings_are_listed_only_with_show_deleted() {
    let mut service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let article = service.create_article(article("urn:a")).await;
    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    let deleted = service.delete_participant(&veliyev.name).await.unwrap();
    assert_eq!((deleted.revision, deleted.delete_time), (2, deleted.update_time));
    let deleted = service.delete_meeting(&meeting.name).await.unwrap();
    assert_eq!((deleted.revision, deleted.delete_time, deleted.report_count), (2, deleted.update_time, 1));
    assert!(service.meeting(&meeting.name).await.delete_time.is_some());
    for (show_deleted, count) in [(false, 0), (true, 1)] {
        let request = ListParticipantsRequest { show_deleted, ..Default::default() };
        let list = service.participants.list_participants(request).await.unwrap().into_inner();
        let request = ListMeetingsRequest { show_deleted, filter: "kind = TALKS".into(), ..Default::default() };
        let meetings = service.meetings.list_meetings(request).await.unwrap().into_inner();
        assert_eq!((list.participants.len(), meetings.meetings.len()), (count, count));
    }
    service.undelete_participant(&veliyev.name).await.unwrap();
    let again = service.undelete_meeting(&meeting.name).await.unwrap();
    assert_eq!((again.revision, again.delete_time), (3, None));
    assert_eq!(service.count("select count(*) from change where kind = 4").await, 2);
    assert_eq!(service.count("select count(*) from change where kind = 5").await, 2);
    assert_eq!(service.contents().await.meetings.len(), 1);
}

#[tokio::test]
async fn page_token_is_bound_to_show_deleted() {
    let mut service = Service::start().await;
    for uri in ["urn:a", "urn:b"] {
        service.create_article(article(uri)).await;
    }
    let request = ListArticlesRequest { page_size: 1, show_deleted: true, ..Default::default() };
    let page_token = service.articles.list_articles(request.clone()).await.unwrap().into_inner().next_page_token;
    let other = ListArticlesRequest { show_deleted: false, page_token, ..request };
    let refused = service.articles.list_articles(other).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidPageToken, ["page_token"]));
}

#[tokio::test]
async fn delete_refuses_a_record_that_is_missing_or_deleted() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    let copied = service.create_article(Article { uri: "urn:b".into(), ..Default::default() }).await;
    let (article_name, participant, meeting) = (copied.name, veliyev.name, meeting.name);
    service.delete_article(&article_name).await.unwrap();
    service.delete_participant(&participant).await.unwrap();
    service.delete_meeting(&meeting).await.unwrap();
    let before = ErrorReason::AlreadyDeleted;
    refused(service.delete_article(&article_name).await.unwrap_err(), Code::NotFound, before, &article_name);
    refused(service.delete_participant(&participant).await.unwrap_err(), Code::NotFound, before, &participant);
    refused(service.delete_meeting(&meeting).await.unwrap_err(), Code::NotFound, before, &meeting);

    let missing = ErrorReason::ResourceNotFound;
    let (a, p, m) = ("articles", "participants", "meetings");
    let unknown = |collection: &str| format!("{collection}/{}", Uuid::nil());
    refused(service.delete_article(&unknown(a)).await.unwrap_err(), Code::NotFound, missing, &unknown(a));
    refused(service.delete_participant(&unknown(p)).await.unwrap_err(), Code::NotFound, missing, &unknown(p));
    refused(service.delete_meeting(&unknown(m)).await.unwrap_err(), Code::NotFound, missing, &unknown(m));
    refused(service.undelete_meeting(&unknown(m)).await.unwrap_err(), Code::NotFound, missing, &unknown(m));
}

#[tokio::test]
async fn undelete_refuses_a_record_that_is_not_deleted() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    let (code, reason) = (Code::AlreadyExists, ErrorReason::NotDeleted);
    refused(service.undelete_article(&article.name).await.unwrap_err(), code, reason, &article.name);
    refused(service.undelete_participant(&veliyev.name).await.unwrap_err(), code, reason, &veliyev.name);
    refused(service.undelete_meeting(&meeting.name).await.unwrap_err(), code, reason, &meeting.name);
}

#[tokio::test]
async fn delete_and_undelete_refuse_an_outdated_etag() {
    let mut service = Service::start().await;
    let first = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let other = service.create_participant(person("Ruslan Tsalikov", "RU")).await;
    let delete =
        |etag: &str| DeleteParticipantRequest { name: first.name.clone(), etag: etag.into(), ..Default::default() };
    let status = service.participants.delete_participant(delete(&other.etag)).await.unwrap_err();
    assert_eq!(metadata_of(&status, "etag"), first.etag);
    refused(status, Code::Aborted, ErrorReason::EtagMismatch, &first.name);
    let deleted = service.participants.delete_participant(delete(&first.etag)).await.unwrap().into_inner();

    let undelete =
        |etag: &str| UndeleteParticipantRequest { name: first.name.clone(), etag: etag.into(), ..Default::default() };
    let status = service.participants.undelete_participant(undelete(&first.etag)).await.unwrap_err();
    assert_eq!(metadata_of(&status, "etag"), deleted.etag);
    refused(status, Code::Aborted, ErrorReason::EtagMismatch, &first.name);
    service.participants.undelete_participant(undelete(&deleted.etag)).await.unwrap();
}

#[tokio::test]
async fn undelete_article_is_refused_while_another_article_has_its_uri() {
    let mut service = Service::start().await;
    let first = Article { alternate_uris: vec!["urn:b".into()], ..article("urn:a") };
    let first = service.create_article(first).await;
    service.delete_article(&first.name).await.unwrap();
    let ingested =
        service.ingest.ingest_story(ingest(story("urn:b", &[person("V", "AZ")]))).await.unwrap().into_inner();
    assert_eq!(ingested.article_outcome(), Outcome::Created);
    assert_ne!(ingested.article, first.name);
    let status = service.undelete_article(&first.name).await.unwrap_err();
    assert_eq!(metadata_of(&status, "uri"), "urn:b");
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateArticle, &ingested.article);

    let second = service.create_article(article("urn:a")).await;
    service.delete_article(&second.name).await.unwrap();
    service.undelete_article(&second.name).await.unwrap();
    let create = CreateArticleRequest { article: Some(article("urn:a")), ..Default::default() };
    let status = service.articles.create_article(create).await.unwrap_err();
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateArticle, &second.name);
}

#[tokio::test]
async fn undelete_participant_is_refused_while_another_participant_has_its_external_id() {
    let mut service = Service::start().await;
    let veliyev = || Participant { external_ids: wikidata("Q1"), ..person("Kerim Veliyev", "AZ") };
    let first = service.create_participant(veliyev()).await;
    service.delete_participant(&first.name).await.unwrap();
    let second = service.create_participant(veliyev()).await;
    let status = service.undelete_participant(&first.name).await.unwrap_err();
    assert_eq!((metadata_of(&status, "scheme"), metadata_of(&status, "value")), ("wikidata".into(), "Q1".into()));
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateExternalId, &second.name);
    service.delete_participant(&second.name).await.unwrap();
    service.undelete_participant(&first.name).await.unwrap();
    let create = CreateParticipantRequest { participant: Some(veliyev()), ..Default::default() };
    let status = service.participants.create_participant(create).await.unwrap_err();
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateExternalId, &first.name);
}

#[tokio::test]
async fn ingest_story_does_not_match_a_deleted_participant() {
    let mut service = Service::start().await;
    let veliyev = Participant { external_ids: wikidata("Q1"), ..person("Kerim Veliyev", "AZ") };
    let first = service.create_participant(veliyev.clone()).await;
    service.delete_participant(&first.name).await.unwrap();
    let ingested = service.ingest.ingest_story(ingest(story("urn:a", &[person("Kerim Veliyev", "AZ")]))).await.unwrap();
    assert_eq!(ingested.get_ref().participants[0].outcome(), Outcome::Created);
    let by_id = Participant { display_name: "K. Veliyev".into(), ..veliyev };
    let ingested = service.ingest.ingest_story(ingest(story("urn:b", &[by_id]))).await.unwrap();
    assert_eq!(ingested.get_ref().participants[0].outcome(), Outcome::Created);
}

#[tokio::test]
async fn ingest_story_matches_an_undeleted_participant() {
    let mut service = Service::start().await;
    let first = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    service.delete_participant(&first.name).await.unwrap();
    service.undelete_participant(&first.name).await.unwrap();
    let ingested = service.ingest.ingest_story(ingest(story("urn:a", &[person("Kerim Veliyev", "AZ")]))).await.unwrap();
    assert_eq!(ingested.get_ref().participants[0].name, first.name);
}

#[tokio::test]
async fn delete_participant_is_refused_while_reports_name_it() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let mut meetings = Vec::new();
    for number in 0..12 {
        meetings.push(service.create_meeting(&article, talks_of(&number.to_string(), &veliyev)).await.unwrap().name);
    }
    let status = service.delete_participant(&veliyev.name).await.unwrap_err();
    assert_eq!(metadata_of(&status, "name"), veliyev.name);
    assert_eq!(still_named_by(&status), meetings[..10]);
    // A deleted meeting can be undeleted and then names the participant again.
    for meeting in &meetings {
        service.delete_meeting(meeting).await.unwrap();
    }
    assert_eq!(still_named_by(&service.delete_participant(&veliyev.name).await.unwrap_err()), meetings[..10]);
}

#[tokio::test]
async fn delete_article_is_refused_while_it_has_reports() {
    let service = Service::start().await;
    let article = service.create_article(article("urn:a")).await;
    let meeting = service.create_meeting(&article, talks("Talks")).await.unwrap();
    service.add_report(&meeting.name, &article.name, talks("More talks")).await.unwrap();
    let reports: Vec<_> = service.reports_of(&article.name).await.into_iter().map(|report| report.name).collect();
    assert_eq!(still_named_by(&service.delete_article(&article.name).await.unwrap_err()), reports);
}

#[tokio::test]
async fn parents_and_originals_are_deleted_last_and_undeleted_first() {
    let service = Service::start().await;
    let state = service.create_participant(person("State", "AZ")).await;
    let ministry = Participant { parent: state.name.clone(), ..person("Ministry", "AZ") };
    let ministry = service.create_participant(ministry).await;
    assert_eq!(still_named_by(&service.delete_participant(&state.name).await.unwrap_err()), [ministry.name.as_str()]);
    service.delete_participant(&ministry.name).await.unwrap();
    service.delete_participant(&state.name).await.unwrap();
    refused_as_deleted(service.undelete_participant(&ministry.name).await.unwrap_err(), &state.name);
    service.undelete_participant(&state.name).await.unwrap();
    service.undelete_participant(&ministry.name).await.unwrap();

    let first = service.create_article(article("urn:a")).await;
    let copy = Article { syndicated_from: first.name.clone(), ..article("urn:copy") };
    let copy = service.create_article(copy).await;
    assert_eq!(still_named_by(&service.delete_article(&first.name).await.unwrap_err()), [copy.name.as_str()]);
    service.delete_article(&copy.name).await.unwrap();
    service.delete_article(&first.name).await.unwrap();
    refused_as_deleted(service.undelete_article(&copy.name).await.unwrap_err(), &first.name);
}

#[tokio::test]
async fn writes_refuse_references_to_deleted_records() {
    let mut service = Service::start().await;
    let live = service.create_article(article("urn:live")).await;
    let gone = service.create_article(article("urn:gone")).await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let meeting = service.create_meeting(&live, talks("Talks")).await.unwrap();
    let closed = service.create_meeting(&live, talks("More talks")).await.unwrap();
    service.delete_article(&gone.name).await.unwrap();
    service.delete_participant(&veliyev.name).await.unwrap();
    service.delete_meeting(&closed.name).await.unwrap();
    let before = service.contents().await;

    let status = service.add_report(&meeting.name, &live.name, talks_of("x", &veliyev)).await.unwrap_err();
    refused_as_deleted(status, &veliyev.name);
    refused_as_deleted(service.create_meeting(&live, talks_of("x", &veliyev)).await.unwrap_err(), &veliyev.name);
    refused_as_deleted(service.create_meeting(&gone, talks("x")).await.unwrap_err(), &gone.name);
    refused_as_deleted(service.add_report(&meeting.name, &gone.name, talks("x")).await.unwrap_err(), &gone.name);
    refused_as_deleted(service.add_report(&closed.name, &live.name, talks("x")).await.unwrap_err(), &closed.name);
    let part = Participant { parent: veliyev.name.clone(), ..person("x", "") };
    let request = CreateParticipantRequest { participant: Some(part.clone()), ..Default::default() };
    refused_as_deleted(service.participants.create_participant(request).await.unwrap_err(), &veliyev.name);
    let copy = Article { syndicated_from: gone.name.clone(), ..article("urn:copy") };
    let request = CreateArticleRequest { article: Some(copy.clone()), ..Default::default() };
    refused_as_deleted(service.articles.create_article(request).await.unwrap_err(), &gone.name);

    let given = Participant { name: veliyev.name.clone(), ..Default::default() };
    let mut of_closed = story("urn:s", &[person("y", "")]);
    of_closed.reports[0].meeting.clone_from(&closed.name);
    let mut of_copy = story("urn:s", &[person("y", "")]);
    of_copy.article = Some(copy);
    let mut of_name = story("urn:s", &[person("y", "")]);
    of_name.reports[0].account.as_mut().unwrap().participations.push(present("z", &veliyev.name));
    let of_part = story("urn:s", &[part]);
    for (story, name) in [
        (story("urn:s", &[given]), &veliyev.name),
        (of_closed, &closed.name),
        (of_copy, &gone.name),
        (of_name, &veliyev.name),
        (of_part, &veliyev.name),
    ] {
        refused_as_deleted(service.ingest.ingest_story(ingest(story)).await.unwrap_err(), name);
    }
    assert_eq!(service.contents().await, before);
}

#[tokio::test]
async fn delete_participant_is_idempotent_by_request_id_and_writes_nothing_when_validate_only() {
    let mut service = Service::start().await;
    let veliyev = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let request = DeleteParticipantRequest { name: veliyev.name.clone(), request_id: "r".into(), ..Default::default() };
    let validate = DeleteParticipantRequest { validate_only: true, ..request.clone() };
    let validated = service.participants.delete_participant(validate).await.unwrap();
    assert!(!validated.metadata().contains_key("readout-position"));
    let validated = validated.into_inner();
    assert!(validated.delete_time.is_some() && validated.etag.is_empty());

    let first = service.participants.delete_participant(request.clone()).await.unwrap();
    assert!(first.metadata().contains_key("readout-position"));
    let first = first.into_inner();
    assert_eq!(first.revision, 2);
    service.undelete_participant(&veliyev.name).await.unwrap();
    let again = service.participants.delete_participant(request).await.unwrap().into_inner();
    assert_eq!(again, first);
}
