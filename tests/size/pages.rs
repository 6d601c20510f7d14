//! Pages whose records grow when they are answered stay within the bound.

use readout::pb::{
    Account, ListMeetingRevisionsRequest, ListMeetingsRequest, Meeting, Statement, StoryReport, UpdateMeetingRequest,
    View,
};

use super::assert_fits;
use crate::support::{
    Service,
    calls::mask,
    make::{article, ingest, labels, story, talks},
};

#[tokio::test]
async fn page_of_full_views_is_cut_by_the_size_of_the_views() {
    let service = Service::start().await;
    // A statement has 6 bytes in its report, and more than 90 in the FULL view.
    let statement = |at: usize| Statement { id: at.to_string(), text: "x".into(), ..Default::default() };
    let report = |at: usize| StoryReport {
        key: format!("r{at}"),
        account: Some(Account { statements: (0..500).map(statement).collect(), ..talks(&format!("Talks {at}")) }),
        ..Default::default()
    };
    for chunk in 0..10 {
        let mut many = story(&format!("urn:{chunk}"), &[]);
        many.reports = (10 * chunk..10 * (chunk + 1)).map(report).collect();
        service.ingest.clone().ingest_story(ingest(many)).await.unwrap();
    }

    let mut request = ListMeetingsRequest { view: View::Full.into(), page_size: 1_000, ..Default::default() };
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let page = service.meetings.clone().list_meetings(request.clone()).await.unwrap().into_inner();
        assert_fits(&page);
        assert!(page.meetings.iter().all(|meeting| meeting.account.as_ref().unwrap().statements.len() == 500));
        names.extend(page.meetings.into_iter().map(|meeting| meeting.name));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert!(names.is_sorted() && pages > 1, "{pages} pages");
    assert_eq!(names.len(), 100);
}

#[tokio::test]
async fn page_of_revisions_is_cut_by_its_own_size() {
    const REVISIONS: usize = 600;
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let name = service.create_meeting(&source, talks("Talks")).await.unwrap().name;
    for at in 1..REVISIONS {
        let meeting = Meeting { name: name.clone(), labels: labels(&[("n", &at.to_string())]), ..Default::default() };
        let request = UpdateMeetingRequest {
            meeting: Some(meeting),
            update_mask: mask(&["labels"]),
            // 1,000 characters of four bytes.
            reason: "\u{10000}".repeat(1_000),
            ..Default::default()
        };
        service.meetings.clone().update_meeting(request).await.unwrap();
    }
    let mut request = ListMeetingRevisionsRequest { name, page_size: 1_000, ..Default::default() };
    let (mut revisions, mut pages) = (Vec::new(), 0);
    loop {
        let page = service.meetings.clone().list_meeting_revisions(request.clone()).await.unwrap().into_inner();
        assert_fits(&page);
        revisions.extend(page.revisions.into_iter().map(|revision| revision.revision));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(revisions, (1..=REVISIONS as i64).rev().collect::<Vec<_>>());
    assert!(pages > 1, "{pages} pages");
}
