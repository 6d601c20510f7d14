//! The largest records that the rules allow, and answers that no handler bounds.

use readout::{
    model::message_bound::DEFAULT_MESSAGE_BYTES,
    pb::{
        Article, ErrorReason, ExternalId, GetArticleRequest, GetParticipantRequest, Meeting, OfficeTerm, Participant,
        ParticipantName, UpdateMeetingRequest, View,
    },
};
use tonic::Code;

use super::{MAX_MESSAGE, assert_fits, crowd, figure, generous};
use crate::support::{
    Refused, Service,
    calls::mask,
    cluster,
    make::{article, labels, person},
};

/// A text of this many letters of four bytes, which ends with a number.
fn long(length: usize, number: usize) -> String {
    format!("{}{number:04}", "\u{10428}".repeat(length - 4))
}

fn external_ids() -> Vec<ExternalId> {
    (0..50).map(|at| ExternalId { scheme: format!("{}{at:02}", "s".repeat(62)), value: long(256, at) }).collect()
}

#[tokio::test]
async fn largest_article_and_participant_are_answered() {
    assert_eq!(MAX_MESSAGE, DEFAULT_MESSAGE_BYTES);
    let service = Service::start().await;
    let pairs: Vec<(String, String)> = (0..64).map(|at| (long(128, at), long(256, at))).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let sent = Article {
        text: "x".repeat(1024 * 1024),
        labels: labels(&pairs),
        alternate_uris: (0..100).map(|at| format!("urn:{at:03}{}", "u".repeat(2_040))).collect(),
        title: long(1_000, 0),
        authors: (0..100).map(|at| long(256, at)).collect(),
        external_ids: external_ids(),
        ..article("urn:a")
    };
    let created = service.create_article(sent).await;
    let request = GetArticleRequest { name: created.name, view: View::Full.into(), ..Default::default() };
    let read = service.articles.clone().get_article(request).await.unwrap().into_inner();
    assert_eq!(read.text.len(), 1024 * 1024);
    assert_fits(&read);

    let name = |at: usize| ParticipantName { text: long(256, at), ..Default::default() };
    let office = |at: usize| OfficeTerm { title: long(512, at), organization: long(256, at), ..Default::default() };
    let sent = Participant {
        labels: labels(&pairs),
        names: (0..100).map(name).collect(),
        offices: (0..100).map(office).collect(),
        external_ids: external_ids(),
        note: long(4_000, 0),
        ..person(&long(256, 999), "AZ")
    };
    let created = service.create_participant(sent).await;
    let request = GetParticipantRequest { name: created.name, ..Default::default() };
    assert_fits(&service.participants.clone().get_participant(request).await.unwrap().into_inner());
}

#[tokio::test]
async fn stored_answer_above_the_bound_is_refused_with_its_size() {
    let database = cluster::database().await;
    let large = generous(&database).await;
    let source = large.create_article(article("urn:a")).await;
    let name = large.create_meeting(&source, crowd(0, '名')).await.unwrap().name;
    for number in 1..6 {
        large.add_report(&name, &source.name, crowd(number, '名')).await.unwrap();
    }
    let request = UpdateMeetingRequest {
        meeting: Some(Meeting { name, labels: labels(&[("desk", "a")]), ..Default::default() }),
        update_mask: mask(&["labels"]),
        request_id: "once".into(),
        ..Default::default()
    };
    let answer = large.meetings.clone().max_decoding_message_size(16 << 20).update_meeting(request.clone()).await;
    assert_eq!(answer.unwrap().into_inner().revision, 7);
    large.stop().await;

    let service = Service::start_on(database).await;
    let refusal = service.meetings.clone().update_meeting(request).await.unwrap_err();
    assert!(figure(&refusal, "bytes") > MAX_MESSAGE && figure(&refusal, "limit_bytes") == MAX_MESSAGE);
    assert_eq!(Refused::from(refusal), Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge));
}
