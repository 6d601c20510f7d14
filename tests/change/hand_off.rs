//! The hand-off from a list to a watch without a gap, and reads at a minimum position.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use readout::pb::{
    ErrorReason, GetParticipantRequest, ListParticipantsRequest, ListReportsRequest, Participant, WatchChangesRequest,
    change::{Kind, Resource},
    watch_changes_request::Start,
};
use tonic::{Code, Request, Status};

use crate::support::{
    Service, cluster,
    follow::{Watch, all, beginning, matching, now, position},
    make::person,
    metadata_of, reason_of,
};

/// A client's copy of the live participants.
type Replica = BTreeMap<String, Participant>;

/// Applies a change to a listed state.
fn apply(replica: &mut Replica, change: readout::pb::Change) {
    let Some(Resource::Participant(participant)) = change.resource else { panic!("{change:?}") };
    let is_older = replica.get(&participant.name).is_some_and(|current| current.revision >= participant.revision);
    match (is_older, participant.delete_time) {
        (true, _) => {}
        (false, None) => drop(replica.insert(participant.name.clone(), participant)),
        (false, Some(_)) => drop(replica.remove(&participant.name)),
    }
}

/// Lists page by page, then watches from `as_of`.
async fn list_then_watch(service: &Service, page_size: i32, order_by: &str) -> (Replica, Watch) {
    let mut request = ListParticipantsRequest { page_size, order_by: order_by.into(), ..Default::default() };
    let (mut replica, mut as_of) = (Replica::new(), String::new());
    loop {
        let page = service.participants.clone().list_participants(request.clone()).await.unwrap().into_inner();
        assert!(as_of.is_empty() || as_of == page.as_of, "all pages have the same position");
        as_of = page.as_of;
        replica.extend(page.participants.into_iter().map(|participant| (participant.name.clone(), participant)));
        if page.next_page_token.is_empty() {
            let start = matching(Start::After(as_of), "collection = participants");
            return (replica, service.watch(WatchChangesRequest { include_resource: true, ..start }).await);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_and_the_changes_after_it_give_the_current_state() {
    let database = cluster::database().await;
    let (service, other) = (Service::start_on(database.clone()).await, Service::start_on(database).await);
    service.add_many(200).await;
    let is_over = AtomicBool::new(false);
    let is_over = &is_over;
    let write = async |service: &Service, seed: usize| {
        let mut number = seed;
        while !is_over.load(Ordering::Relaxed) {
            let added = service.create_participant(person(&format!("New {number}"), "AZ")).await;
            let renamed = Participant { display_name: format!("Newer {number}"), ..added.clone() };
            service.update_participant(renamed, &["display_name"]).await.expect("updated");
            if number.is_multiple_of(3) {
                service.delete_participant(&added.name).await.expect("deleted");
            }
            if number.is_multiple_of(6) {
                service.undelete_participant(&added.name).await.expect("undeleted");
            }
            number += 1;
        }
    };
    let follow = async |service: &Service, page_size: i32| {
        let mut followed = Vec::new();
        // In time order, records move between pages while they are listed.
        for order_by in ["", "update_time", "update_time desc", "create_time"] {
            followed.push(list_then_watch(service, page_size, order_by).await);
        }
        followed
    };
    let followers = async {
        let followed = tokio::join!(follow(&service, 7), follow(&other, 50), follow(&other, 1_000));
        is_over.store(true, Ordering::Relaxed);
        followed
    };
    let (_, _, (small, medium, large)) = tokio::join!(write(&service, 0), write(&other, 100_000), followers);

    let (_, last) = service.add_person("Last").await;
    let state: Replica = service
        .contents()
        .await
        .participants
        .into_iter()
        .map(|participant| (participant.name.clone(), participant))
        .collect();
    for (mut replica, mut watch) in small.into_iter().chain(medium).chain(large) {
        loop {
            let change = watch.change().await;
            let is_last = change.position == last;
            apply(&mut replica, change);
            if is_last {
                break;
            }
        }
        assert_eq!(replica, state);
    }
}

#[tokio::test]
async fn a_streamed_list_has_the_same_as_of_position_in_every_chunk() {
    let service = Service::start().await;
    let (_, last) = service.add_person("A").await;
    service.add_person("B").await;
    let (_, head) = service.add_person("C").await;
    let request = ListParticipantsRequest { page_size: 2, ..Default::default() };
    let mut chunks = service.participants.clone().stream_participants(request).await.unwrap().into_inner();
    let first = chunks.message().await.unwrap().unwrap();
    assert_eq!(first.as_of, head);
    assert_ne!(first.as_of, last);
    service.add_person("D").await;
    assert_eq!(chunks.message().await.unwrap().unwrap().as_of, head);
}

#[tokio::test]
async fn a_list_of_reports_has_an_as_of_position() {
    let service = Service::start().await;
    let (article, _) = service.article_and_meeting().await;
    let request = ListReportsRequest { article, ..Default::default() };
    let list = service.meetings.clone().list_reports(request).await.unwrap().into_inner();
    assert_eq!(position(&list.as_of).1, 3);
}

/// A read that requires a minimum position.
async fn read_at(service: &Service, name: &str, position: &str) -> Result<Participant, Status> {
    let mut request = Request::new(GetParticipantRequest { name: name.into(), ..Default::default() });
    request.metadata_mut().insert("readout-min-position", position.parse().expect("ASCII"));
    service.participants.clone().get_participant(request).await.map(|answer| answer.into_inner())
}

#[tokio::test]
async fn a_read_waits_until_its_minimum_position_is_reached() {
    let database = cluster::database().await;
    let (service, other) = (Service::start_on(database.clone()).await, Service::start_on(database).await);
    for _ in 0..20 {
        let (added, position) = service.add_person("Kerim Veliyev").await;
        assert_eq!(read_at(&other, &added.name, &position).await.unwrap(), added);
    }
}

#[tokio::test]
async fn a_read_with_an_unreachable_minimum_position_is_refused() {
    let service = Service::start().await;
    let (added, last) = service.add_person("Kerim Veliyev").await;
    let (epoch, _) = position(&last);
    for (wrong, code, reason, key, value) in [
        ("7", Code::InvalidArgument, ErrorReason::InvalidPosition, "position", "7"),
        ("abcdef01.1", Code::FailedPrecondition, ErrorReason::EpochChanged, "epoch", epoch),
        (&format!("{epoch}.2"), Code::Unavailable, ErrorReason::PositionNotReached, "position", &last),
    ] {
        let status = read_at(&service, &added.name, wrong).await.unwrap_err();
        assert_eq!((status.code(), reason_of(&status)), (code, reason), "{wrong}");
        assert_eq!(metadata_of(&status, key), value);
    }
}

#[tokio::test]
async fn a_watch_delivers_updates_deletions_and_undeletions() {
    let service = Service::start().await;
    let mut watch = service.watch(WatchChangesRequest { include_resource: true, ..all(now()) }).await;
    watch.caught_up().await;
    let added = service.create_participant(person("Kerim Veliyev", "AZ")).await;
    let renamed = Participant { display_name: "Karim Valiyev".into(), etag: String::new(), ..added.clone() };
    service.update_participant(renamed.clone(), &["display_name"]).await.unwrap();
    // A repeated update changes nothing and adds no change.
    service.update_participant(renamed, &["display_name"]).await.unwrap();
    service.delete_participant(&added.name).await.unwrap();
    service.undelete_participant(&added.name).await.unwrap();
    let changes: Vec<_> = watch.changes(4).await.into_iter().map(|change| (change.kind(), change.revision)).collect();
    assert_eq!(changes, [(Kind::Created, 1), (Kind::Updated, 2), (Kind::Deleted, 3), (Kind::Undeleted, 4)]);

    let filter = |filter: &str| matching(beginning(), filter);
    let mut deleted = service.watch(filter("kind = DELETED")).await;
    assert_eq!(deleted.caught_up().await.len(), 1);
    // Matches changes that have the name before, after, or both.
    let mut named = service.watch(filter("participant.name = \"kerim veliyev\"")).await;
    let revisions: Vec<_> = named.caught_up().await.iter().map(|change| change.revision).collect();
    assert_eq!(revisions, [1, 2]);
}
