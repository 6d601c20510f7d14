//! Errors of a call as such: page sizes, page tokens, resource names.

use readout::pb::{
    ErrorReason, GetArticleRequest, GetMeetingRequest, GetParticipantRequest, GetReportRequest, ListArticlesRequest,
    ListMeetingsRequest, ListParticipantsRequest, ListReportsRequest,
};

use super::world::World;
use crate::support::Refused;

/// Calls every list and every stream with this page size and page token, and collects the refusals.
async fn lists_and_streams(world: &mut World, page_size: i32, page_token: &str) -> Vec<Refused> {
    let service = &mut world.service;
    let token = || page_token.to_owned();
    let articles = ListArticlesRequest { page_size, page_token: token(), ..Default::default() };
    let participants = ListParticipantsRequest { page_size, page_token: token(), ..Default::default() };
    let meetings = ListMeetingsRequest { page_size, page_token: token(), ..Default::default() };
    let meeting = world.meetings[0].clone();
    let reports = ListReportsRequest { meeting, page_size, page_token: token(), ..Default::default() };
    [
        service.articles.list_articles(articles.clone()).await.unwrap_err(),
        service.articles.stream_articles(articles).await.unwrap_err(),
        service.participants.list_participants(participants.clone()).await.unwrap_err(),
        service.participants.stream_participants(participants).await.unwrap_err(),
        service.meetings.list_meetings(meetings.clone()).await.unwrap_err(),
        service.meetings.stream_meetings(meetings).await.unwrap_err(),
        service.meetings.list_reports(reports).await.unwrap_err(),
    ]
    .map(Refused::from)
    .into()
}

#[tokio::test]
async fn a_negative_page_size_is_refused_by_every_list_and_stream() {
    let mut world = World::new().await;
    for page_size in [-1, i32::MIN] {
        for refused in lists_and_streams(&mut world, page_size, "").await {
            assert_eq!(refused, Refused::invalid(["page_size"]));
        }
    }
}

#[tokio::test]
async fn a_forged_page_token_is_refused_by_every_list_and_stream() {
    let mut world = World::new().await;
    let id = world.articles[0].split_once('/').unwrap().1.replace('-', "");
    for forged in ["x".to_owned(), format!("{id}{}", "0".repeat(64)), "🕊".repeat(24), id] {
        for refused in lists_and_streams(&mut world, 0, &forged).await {
            assert_eq!(refused, Refused::fields(ErrorReason::InvalidPageToken, ["page_token"]));
        }
    }
}

#[tokio::test]
async fn a_resource_name_of_another_collection_is_invalid_rather_than_not_found() {
    let mut world = World::new().await;
    let service = &mut world.service;
    let (article, meeting) = (world.articles[0].clone(), world.meetings[0].clone());
    let article_of = |name: &str| GetArticleRequest { name: name.into(), ..Default::default() };
    for refused in [
        service.articles.get_article(article_of(&meeting)).await.unwrap_err(),
        service.articles.get_article(article_of("")).await.unwrap_err(),
        service.articles.get_article(article_of(&article.to_uppercase())).await.unwrap_err(),
        service
            .participants
            .get_participant(GetParticipantRequest { name: article.clone(), ..Default::default() })
            .await
            .unwrap_err(),
        service
            .meetings
            .get_meeting(GetMeetingRequest { name: world.report.clone(), ..Default::default() })
            .await
            .unwrap_err(),
        service.meetings.get_report(GetReportRequest { name: meeting, ..Default::default() }).await.unwrap_err(),
    ] {
        assert_eq!(Refused::from(refused), Refused::invalid(["name"]));
    }
}

#[tokio::test]
async fn list_reports_requires_a_meeting_or_an_article() {
    let mut world = World::new().await;
    let refused = world.service.meetings.list_reports(ListReportsRequest::default()).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["meeting"]));
}

#[tokio::test]
async fn create_article_refuses_a_repeated_external_id() {
    let mut world = World::new().await;
    let mut request = super::base::create_article(&world);
    let ids = &mut request.article.as_mut().unwrap().external_ids;
    ids.extend([readout::pb::ExternalId { scheme: "wikidata".into(), value: "Q2".into() }, ids[0].clone()]);
    let refused = world.service.articles.create_article(request).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["article.external_ids[2]"]));
}
