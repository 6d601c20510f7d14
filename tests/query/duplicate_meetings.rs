//! `MeetingService.ListDuplicateMeetings`: pairs of meetings that may be one event.

use std::collections::BTreeSet;

use readout::pb::{
    ErrorReason, ListDuplicateMeetingsRequest,
    list_duplicate_meetings_response::Pair,
    meeting_match::{Level, reason::Kind as ReasonKind},
    participation::Role,
};
use tonic::Code;

use super::match_meetings::{account, people, with_role};
use crate::support::{
    Refused, Service,
    make::{article, talks},
};

/// All pairs of a filter, read in pages of this size.
async fn pairs(service: &Service, filter: &str, page_size: i32) -> Vec<Pair> {
    let mut request = ListDuplicateMeetingsRequest { filter: filter.into(), page_size, ..Default::default() };
    let mut pairs = Vec::new();
    loop {
        let page = service.meetings.clone().list_duplicate_meetings(request.clone()).await.unwrap().into_inner();
        assert!(page.pairs.len() <= usize::try_from(page_size).unwrap());
        pairs.extend(page.pairs);
        if page.next_page_token.is_empty() {
            return pairs;
        }
        request.page_token = page.next_page_token;
    }
}

fn names(pairs: &[Pair]) -> BTreeSet<(&str, &str)> {
    fn both(pair: &Pair) -> (&str, &str) {
        let (a, b) = (pair.meeting.as_str(), pair.other.as_str());
        (a.min(b), a.max(b))
    }
    pairs.iter().map(both).collect()
}

#[tokio::test]
async fn list_has_each_pair_once_in_pages_of_any_size() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, third] = people(&service).await;
    let pair = [host.as_str(), visitor.as_str()];
    let mut meetings = Vec::new();
    for (title, date) in [("a", 20), ("b", 20), ("c", 21), ("d", 22), ("e", 26)] {
        meetings.push(service.create_meeting(&source, account(title, date, pair)).await.unwrap().name);
    }
    let mut trilateral = account("three", 26, pair);
    trilateral.participations.push(with_role(&third, Role::Visitor, "TR"));
    meetings.push(service.create_meeting(&source, trilateral).await.unwrap().name);
    service.create_meeting(&source, talks("unrelated")).await.unwrap();

    let all = pairs(&service, "", 1_000).await;
    assert!(all.is_sorted_by_key(|pair| (pair.meeting.clone(), pair.other.clone())));
    let expected = [(0, 1), (0, 2), (1, 2), (2, 3), (4, 5)].map(|(a, b)| (&*meetings[a], &*meetings[b]));
    assert_eq!(names(&all), BTreeSet::from(expected));
    assert_eq!(all.len(), expected.len());
    let same: Vec<_> = all.iter().filter(|pair| pair.level() == Level::Same).collect();
    assert_eq!(same.len(), 1);
    assert_eq!((&same[0].meeting, &same[0].other), (&meetings[0], &meetings[1]));
    for size in [1, 2, 3] {
        assert_eq!(pairs(&service, "", size).await, all, "{size}");
    }
    // A pair is listed if one of its meetings matches, also the second one.
    let with_c = pairs(&service, "date = 2020-08-21", 1).await;
    assert_eq!(names(&with_c), BTreeSet::from([(0, 2), (1, 2), (2, 3)].map(|(a, b)| (&*meetings[a], &*meetings[b]))));
    assert_eq!(with_c.len(), 3);
    assert_eq!(pairs(&service, "kind = VISIT", 10).await, []);
    assert_eq!(pairs(&service, "date <= 2020-08-22", 2).await.len(), 4);

    service.merge(&meetings[0], &[&meetings[1]]).await.unwrap();
    let merged = pairs(&service, "", 2).await;
    assert_eq!(names(&merged), BTreeSet::from([(0, 2), (2, 3), (4, 5)].map(|(a, b)| (&*meetings[a], &*meetings[b]))));
}

#[tokio::test]
async fn list_lowers_pairs_of_three_equal_meetings() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, _] = people(&service).await;
    for title in ["a", "b", "c"] {
        service.create_meeting(&source, account(title, 20, [&host, &visitor])).await.unwrap();
    }
    let pairs = pairs(&service, "", 10).await;
    assert_eq!(pairs.len(), 3);
    for pair in pairs {
        assert_eq!(pair.level(), Level::Candidate);
        assert!(pair.reasons.iter().any(|reason| reason.kind() == ReasonKind::NotUnique), "{pair:?}");
    }
}

#[tokio::test]
async fn list_continues_after_a_page_without_pairs() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let [host, visitor, _] = people(&service).await;
    for at in 0..501 {
        service.create_meeting(&source, talks(&format!("unrelated {at}"))).await.unwrap();
    }
    for title in ["a", "b"] {
        service.create_meeting(&source, account(title, 20, [&host, &visitor])).await.unwrap();
    }
    let request = ListDuplicateMeetingsRequest::default();
    let page = service.meetings.clone().list_duplicate_meetings(request.clone()).await.unwrap().into_inner();
    assert_eq!(page.pairs, []);
    let next = ListDuplicateMeetingsRequest { page_token: page.next_page_token, ..request };
    let page = service.meetings.clone().list_duplicate_meetings(next).await.unwrap().into_inner();
    assert_eq!((page.pairs.len(), page.next_page_token.as_str()), (1, ""));
}

#[tokio::test]
async fn list_refuses_filters_and_tokens_of_others() {
    let service = Service::start().await;
    let ask = |filter: &str, page_token: &str| {
        let request =
            ListDuplicateMeetingsRequest { filter: filter.into(), page_token: page_token.into(), ..Default::default() };
        let mut client = service.meetings.clone();
        async move { client.list_duplicate_meetings(request).await.unwrap_err() }
    };
    let reason = |status| Refused::from(status).reason;
    assert_eq!(reason(ask("kind = ", "").await), ErrorReason::InvalidFilter);
    assert_eq!(reason(ask("colour = RED", "").await), ErrorReason::UnknownFilterField);
    let status = ask("", "x").await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason(status), ErrorReason::InvalidPageToken);
}
