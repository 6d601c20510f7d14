//! `evidence_coverage` of reports and meetings.

use readout::pb::{Article, GetMeetingRequest, ListMeetingsRequest, Meeting};

use super::{account, evidence, report, with_text};
use crate::support::{Service, data_dir::eventually};

/// The told fields of `account`: kind, status, title and date, the names and presence of two persons, and the role of one.
const TOLD: f32 = 4.0 + 5.0;

async fn settled(service: &Service, name: &str) -> Meeting {
    let request = GetMeetingRequest { name: name.into(), ..Default::default() };
    service.meetings.clone().get_meeting(request).await.unwrap().into_inner()
}

fn rounded_down(share: f32) -> f32 {
    (share * 1_000.0).floor() / 1_000.0
}

#[tokio::test]
async fn coverage_is_the_share_of_fields_with_evidence_and_follows_the_text_of_the_article() {
    let (service, article) = with_text("They met on Monday in Baku.").await;
    let cited = vec![evidence("date.literal", "on Monday", 0, 0), evidence("title", "Baku", 0, 0)];
    let stored = report(&service, &article, cited).await.unwrap();
    assert_eq!(stored.evidence_coverage, rounded_down(2.0 / TOLD));
    let meeting = settled(&service, &stored.meeting).await;
    assert_eq!(meeting.evidence_coverage, stored.evidence_coverage);
    let found = async |filter: &str| {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        !service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings.is_empty()
    };
    assert!(found("evidence_coverage = 0.222").await && !found("evidence_coverage >= 0.3").await);

    // A second report of the meeting, without evidence, halves the mean.
    let second = service.add_report(&stored.meeting, &article, account()).await.unwrap();
    assert_eq!(second.evidence_coverage, 0.0);
    let meeting = settled(&service, &stored.meeting).await;
    assert_eq!(meeting.evidence_coverage, rounded_down(stored.evidence_coverage / 2.0));
    service.retract_report(&second.name).await.unwrap();
    assert_eq!(settled(&service, &stored.meeting).await.evidence_coverage, stored.evidence_coverage);

    // The new text lacks one of the quotes. The meeting follows soon.
    let sent = Article { name: article.clone(), text: "In Baku.".into(), ..Default::default() };
    service.update_article(sent, &["text"]).await.unwrap();
    assert_eq!(service.report(&stored.name).await.evidence_coverage, rounded_down(1.0 / TOLD));
    eventually("the meeting is settled again", async || found("evidence_coverage = 0.111").await).await;
    assert_eq!(settled(&service, &stored.meeting).await.evidence_coverage, rounded_down(1.0 / TOLD));
}
