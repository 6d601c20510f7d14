//! Every refusal fits into the 8 KiB of headers that common clients accept.

use readout::pb::{
    Account, Article, CreateArticleRequest, CreateMeetingRequest, CreateParticipantRequest, ErrorReason, ExternalId,
    ListMeetingsRequest, Meeting, Participant, Participation, participant::Kind,
};
use tonic::Status;
use tonic_types::StatusExt;

use super::world::World;
use crate::support::{Refused, reason_of};

/// Size of the header list as HTTP/2 counts it (RFC 9113, 6.5.2), which grpcio bounds by 8 KiB.
fn header_bytes(status: &Status) -> usize {
    let response = status.clone().into_http::<String>();
    let status_line = ":status".len() + "200".len() + 32;
    response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum::<usize>() + status_line
}

#[track_caller]
fn assert_fits(status: &Status) {
    let bytes = header_bytes(status);
    assert!(bytes < 8 * 1024, "{bytes} bytes of headers for {}", status.message());
}

fn article(article: Article) -> CreateArticleRequest {
    CreateArticleRequest { article: Some(article), ..Default::default() }
}

#[tokio::test]
async fn a_refusal_counts_the_violations_that_do_not_fit() {
    let mut world = World::new().await;
    // Each participation has an unknown region and names no participant: two violations each.
    let nobody = Participation { region_code: "XX".into(), ..Default::default() };
    let account = Account { participations: vec![nobody; 500], ..Default::default() };
    let request = CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(account), ..Default::default() }),
        source_article: world.articles[0].clone(),
        ..Default::default()
    };
    let status = world.service.meetings.create_meeting(request).await.unwrap_err();
    assert_fits(&status);
    let mut violations = status.get_details_bad_request().unwrap().field_violations;
    let rest = violations.pop().unwrap();
    assert!(violations.len() > 20, "only {} are reported", violations.len());
    assert_eq!(violations[0].field, "meeting.account.participations[0].region_code");
    assert_eq!(violations[1].field, "meeting.account.participations[0]");
    assert_eq!((rest.field, rest.description), (String::new(), format!("and {} more", 1_000 - violations.len())));
}

#[tokio::test]
async fn a_refusal_fits_into_headers_when_its_paths_have_long_keys() {
    let mut world = World::new().await;
    for letter in ["k", "é", "東", "🕊", "\n", "\u{1}", "\"", "\u{e000}", "\u{200b}"] {
        for length in [120, 128, 20_000] {
            let labels = (0..64).map(|index| (format!("{}{index}", letter.repeat(length)), "v".repeat(257)));
            let labels = labels.collect();
            let request = article(Article { uri: "urn:long".into(), labels, ..Default::default() });
            let status = world.service.articles.create_article(request).await.unwrap_err();
            assert_fits(&status);
            let fields = Refused::from(status).fields;
            assert!(fields[0].starts_with("article.labels[\""), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_fits_into_headers_when_it_repeats_long_values() {
    let mut world = World::new().await;
    let uri = "🕊".repeat(512);
    let dove = Article { uri: uri.clone(), ..Default::default() };
    world.service.articles.create_article(article(dove.clone())).await.unwrap();
    let status = world.service.articles.create_article(article(dove)).await.unwrap_err();
    assert_eq!(reason_of(&status), ErrorReason::DuplicateArticle);
    assert_fits(&status);

    let id = ExternalId { scheme: "x".repeat(64), value: "🕊".repeat(256) };
    let mut participant = Participant { display_name: "D".into(), external_ids: vec![id], ..Default::default() };
    participant.set_kind(Kind::Group);
    let request = CreateParticipantRequest { participant: Some(participant), ..Default::default() };
    world.service.participants.create_participant(request.clone()).await.unwrap();
    let status = world.service.participants.create_participant(request).await.unwrap_err();
    assert_eq!(reason_of(&status), ErrorReason::DuplicateExternalId);
    assert_fits(&status);

    let mut request = article(Article { uri: "urn:once".into(), ..Default::default() });
    request.request_id = "🕊".repeat(64);
    world.service.articles.create_article(request.clone()).await.unwrap();
    request.article = Some(Article { uri: "urn:twice".into(), ..Default::default() });
    let status = world.service.articles.create_article(request).await.unwrap_err();
    assert_eq!(reason_of(&status), ErrorReason::RequestIdReused);
    assert_fits(&status);

    let request = ListMeetingsRequest { filter: format!("{} = 1", "🕊".repeat(2_000)), ..Default::default() };
    let status = world.service.meetings.list_meetings(request).await.unwrap_err();
    assert_eq!(reason_of(&status), ErrorReason::UnknownFilterField);
    assert_fits(&status);
}
