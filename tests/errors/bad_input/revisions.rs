//! Valid requests that add a revision to an existing record, with its etag.

use prost_reflect::DynamicMessage;
use readout::pb::*;

use super::{base, requests::of, world::World};
use crate::support::make;

/// Updates of all fields, deletions of records that nothing references, undeletions, and the operations on meetings.
pub async fn all(world: &World) -> Vec<(&'static str, DynamicMessage)> {
    let request_id = || "r".to_owned();
    let validate_only = true;
    let live = [&world.articles[1], &world.participants[1], &world.meetings[1]].map(String::clone);
    let [article, participant, meeting] = world.named_with_etags(live).await;
    let everything = || Some(prost_types::FieldMask { paths: vec!["*".into()] });
    let first = world.participants[0].clone();
    let merged = world.service.create_participant(make::person("Ri Man-gap", "KP")).await.name;
    let request = MergeParticipantsRequest {
        name: first.clone(),
        sources: vec![merged.clone()],
        reason: "why".into(),
        ..Default::default()
    };
    world.service.participants.clone().merge_participants(request).await.unwrap();
    let source = world.service.create_participant(make::person("Zhao Qizheng", "CN")).await.name;
    let report = world.service.report(&world.report).await;
    let mut requests = vec![
        of(
            "ParticipantService/MergeParticipants",
            &MergeParticipantsRequest {
                name: participant.0.clone(),
                sources: vec![source],
                reason: "why".into(),
                etag: participant.1.clone(),
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "ParticipantService/UnmergeParticipant",
            &UnmergeParticipantRequest {
                etag: world.service.participant(&merged).await.etag,
                name: merged,
                reason: "why".into(),
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "ParticipantService/JudgeParticipants",
            &JudgeParticipantsRequest {
                participant: participant.0.clone(),
                other: first.clone(),
                verdict: judgement::Verdict::Same.into(),
                reason: "why".into(),
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "MeetingService/BindParticipation",
            &BindParticipationRequest {
                report: report.name.clone(),
                participation: "somebody".into(),
                participant: first,
                reason: "why".into(),
                etag: report.etag.clone(),
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "ArticleService/UpdateArticle",
            &UpdateArticleRequest {
                article: base::article(world).map(|valid| Article { name: article.0.clone(), ..valid }),
                update_mask: everything(),
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "ArticleService/EraseArticleText",
            &EraseArticleTextRequest {
                name: article.0.clone(),
                etag: article.1.clone(),
                request_id: request_id(),
                validate_only,
                reason: "why".into(),
            },
        ),
        of(
            "ParticipantService/UpdateParticipant",
            &UpdateParticipantRequest {
                participant: base::participant(world).map(|valid| Participant { name: participant.0.clone(), ..valid }),
                update_mask: everything(),
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "ArticleService/DeleteArticle",
            &DeleteArticleRequest {
                name: article.0,
                etag: article.1,
                request_id: request_id(),
                validate_only,
                force: false,
            },
        ),
        of(
            "ParticipantService/DeleteParticipant",
            &DeleteParticipantRequest {
                name: participant.0,
                etag: participant.1,
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "MeetingService/UpdateMeeting",
            &UpdateMeetingRequest {
                meeting: Some(Meeting {
                    name: meeting.0.clone(),
                    labels: [("a".to_owned(), "b".to_owned())].into(),
                    review: meeting::Review::Reviewed.into(),
                    ..Default::default()
                }),
                update_mask: Some(prost_types::FieldMask { paths: vec!["labels".into(), "review".into()] }),
                request_id: request_id(),
                validate_only,
                reason: "why".into(),
                report_id: "0198f2d1-7c0e-7000-8000-0123456789ab".into(),
            },
        ),
        of(
            "MeetingService/MergeMeetings",
            &MergeMeetingsRequest {
                name: meeting.0.clone(),
                etag: meeting.1.clone(),
                request_id: request_id(),
                validate_only,
                sources: vec![world.meetings[0].clone()],
                reason: "why".into(),
            },
        ),
        of(
            "MeetingService/SplitMeeting",
            &SplitMeetingRequest {
                name: world.meetings[0].clone(),
                etag: world.service.meeting(&world.meetings[0]).await.etag,
                request_id: request_id(),
                validate_only,
                reports: vec![world.report.clone()],
                into: meeting.0.clone(),
                reason: "why".into(),
            },
        ),
        of(
            "MeetingService/RetractReport",
            &RetractReportRequest {
                name: world.report.clone(),
                etag: world.service.report(&world.report).await.etag,
                request_id: request_id(),
                validate_only,
                reason: "why".into(),
                correcting_article: world.articles[1].clone(),
            },
        ),
        of(
            "MeetingService/DeleteMeeting",
            &DeleteMeetingRequest { name: meeting.0, etag: meeting.1, request_id: request_id(), validate_only },
        ),
    ];
    let [article, participant, meeting] = world.named_with_etags(world.deleted.clone()).await;
    requests.extend([
        of(
            "ArticleService/UndeleteArticle",
            &UndeleteArticleRequest { name: article.0, etag: article.1, request_id: request_id(), validate_only },
        ),
        of(
            "ParticipantService/UndeleteParticipant",
            &UndeleteParticipantRequest {
                name: participant.0,
                etag: participant.1,
                request_id: request_id(),
                validate_only,
            },
        ),
        of(
            "MeetingService/UndeleteMeeting",
            &UndeleteMeetingRequest { name: meeting.0, etag: meeting.1, request_id: request_id(), validate_only },
        ),
    ]);
    requests
}
