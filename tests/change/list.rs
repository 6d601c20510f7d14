//! ListChanges: page sizes, cursors and bounds.

use readout::pb::{ListChangesRequest, Origin, change::Resource, list_changes_request::Start};

use crate::support::{
    Service,
    follow::{all, number},
};

fn list(start: Start) -> ListChangesRequest {
    ListChangesRequest { start: Some(start), ..Default::default() }
}

fn beginning() -> Start {
    Start::Origin(Origin::Beginning.into())
}

#[tokio::test]
async fn change_pages_of_any_size_concatenate_to_the_whole_feed() {
    let service = Service::start().await;
    service.add_many(120).await;
    for page_size in [1, 7, 119, 120, 121, 5_000] {
        let mut request = ListChangesRequest { page_size, ..list(beginning()) };
        let mut numbers = Vec::new();
        loop {
            let page = service.changes.clone().list_changes(request.clone()).await.unwrap().into_inner();
            assert!(page.changes.len() <= page_size as usize);
            numbers.extend(page.changes.iter().map(number));
            request.start = Some(Start::Cursor(page.cursor));
            if page.caught_up {
                break;
            }
            assert!(!page.changes.is_empty());
        }
        assert_eq!(numbers, (1..=120).collect::<Vec<_>>(), "pages of {page_size}");
    }
}

#[tokio::test]
async fn a_page_of_changes_has_50_entries_by_default() {
    let service = Service::start().await;
    service.add_many(60).await;
    let page = service.changes.clone().list_changes(list(beginning())).await.unwrap().into_inner();
    assert_eq!((page.changes.len(), page.caught_up), (50, false));
}

#[tokio::test]
async fn an_empty_feed_returns_a_cursor_to_continue_from() {
    let service = Service::start().await;
    let page = service.changes.clone().list_changes(list(beginning())).await.unwrap().into_inner();
    assert_eq!((page.changes.len(), page.caught_up), (0, true));
    let (person, _) = service.add_person("Kerim Veliyev").await;
    let page = service.changes.clone().list_changes(list(Start::Cursor(page.cursor))).await.unwrap().into_inner();
    assert_eq!(page.changes[0].name, person.name);
}

#[tokio::test]
async fn list_changes_and_watch_changes_accept_the_same_cursors() {
    let service = Service::start().await;
    service.add_people(4).await;
    let first = ListChangesRequest { page_size: 2, ..list(beginning()) };
    let page = service.changes.clone().list_changes(first).await.unwrap().into_inner();
    let start = readout::pb::watch_changes_request::Start::Cursor(page.cursor);
    let mut watch = service.watch(all(start)).await;
    assert_eq!(number(&watch.change().await), 3);
    let rest = list(Start::Cursor(watch.cursor));
    let page = service.changes.clone().list_changes(rest).await.unwrap().into_inner();
    assert_eq!(page.changes.iter().map(number).collect::<Vec<_>>(), [4]);
}

#[tokio::test]
async fn a_page_of_changes_scans_a_bounded_number_and_returns_where_it_stopped() {
    let service = Service::start().await;
    service.fill_feed(12_000).await;
    let request = ListChangesRequest { filter: "kind = DELETED".into(), ..list(beginning()) };
    let page = service.changes.clone().list_changes(request.clone()).await.unwrap().into_inner();
    assert_eq!((page.changes.len(), page.caught_up), (0, false));
    let request = ListChangesRequest { start: Some(Start::Cursor(page.cursor)), ..request };
    let page = service.changes.clone().list_changes(request).await.unwrap().into_inner();
    assert_eq!((page.changes.len(), page.caught_up), (0, true));
}

#[tokio::test]
async fn a_page_of_changes_with_resources_ends_at_2_mib_and_omits_nothing() {
    let service = Service::start().await;
    let (article, meeting) = service.article_and_meeting().await;
    // Summaries of 8 KB, in each report and in each revision of the meeting.
    for number in 0..200 {
        let mut account = crate::support::make::talks(&format!("Talks {number}"));
        account.summary = "x".repeat(8_000);
        service.add_report(&meeting, &article, account).await.unwrap();
    }
    let mut request = ListChangesRequest { page_size: 1_000, include_resource: true, ..list(beginning()) };
    let (mut numbers, mut pages) = (Vec::new(), 0);
    loop {
        let page = service.changes.clone().list_changes(request.clone()).await.unwrap().into_inner();
        assert!(prost::Message::encoded_len(&page) <= (2 << 20) + 1_000);
        assert!(page.changes.iter().all(|change| !matches!(change.resource, None | Some(Resource::Participant(_)))));
        numbers.extend(page.changes.iter().map(number));
        pages += 1;
        request.start = Some(Start::Cursor(page.cursor));
        if page.caught_up {
            break;
        }
    }
    assert_eq!(numbers, (1..=403).collect::<Vec<_>>());
    assert!(pages > 1);
}
