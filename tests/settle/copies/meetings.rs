//! Meetings are settled on the current state of the articles that report them, also under concurrent writes.

use readout::pb::{Account, Article, Place};
use sqlx::Connection;

use super::{fast_heartbeats, on, printed, settlings, text, wait_until_settled};
use crate::support::{
    Service,
    block_commits::{after, block_commits, waiting},
    make::{article, talks},
};

fn in_place(locality: &str, title: &str) -> Account {
    let place = Place { locality: locality.into(), ..Default::default() };
    Account { place: Some(place), ..talks(title) }
}

#[tokio::test]
async fn a_meeting_is_settled_again_when_its_articles_become_copies() {
    let service = Service::start().await;
    let mut settlings = settlings(&service).await;
    let early = service.create_article(Article { publish_date: on(1), ..article("urn:early") }).await;
    let first = service.create_article(printed("urn:first", 5)).await;
    let second = service.create_article(Article { text: text(500), ..printed("urn:second", 6) }).await;
    let meeting = service.create_meeting(&early, in_place("Ganja", "Talks")).await.unwrap();
    let quiet = service.create_article(Article { publish_date: on(1), ..article("urn:quiet") }).await;
    let untouched = service.create_meeting(&quiet, in_place("Ganja", "Others")).await.unwrap();
    let alone = service.create_meeting(&second, in_place("Baku", "Alone")).await.unwrap();
    service.add_report(&meeting.name, &first.name, in_place("Baku", "Talks")).await.unwrap();
    service.add_report(&meeting.name, &second.name, in_place("Baku", "Talks")).await.unwrap();
    let locality = async || service.meeting(&meeting.name).await.account.unwrap().place.unwrap().locality;
    // Two sources report Baku, one Ganja.
    assert_eq!(locality().await, "Baku");

    let copy = Article { name: second.name.clone(), text: text(600), ..Default::default() };
    let copy = service.update_article(copy, &["text"]).await.unwrap();
    assert_eq!(copy.origin, first.name);
    let change = settlings.change().await;
    assert_eq!((&change.name, change.revision, change.last), (&meeting.name, 4, true));
    assert_eq!(change.actor, "readout");
    // One source each, and the earlier one wins.
    assert_eq!(locality().await, "Ganja");

    // The copies get the earliest date, so that they win.
    let dated = Article { name: first.name.clone(), publish_date: on(1), ..Default::default() };
    service.update_article(dated, &["publish_date"]).await.unwrap();
    let dated = Article { name: early.name.clone(), publish_date: on(9), ..Default::default() };
    service.update_article(dated, &["publish_date"]).await.unwrap();
    while locality().await != "Baku" {
        assert_eq!(settlings.change().await.name, meeting.name);
    }
    for unaffected in [untouched, alone] {
        assert_eq!(service.meeting(&unaffected.name).await, unaffected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meeting_is_settled_on_the_current_articles_under_concurrent_writes() {
    let service = fast_heartbeats().await;
    let other = Service::start_on(service.database.clone()).await;
    let dated = |uri: &str, day| Article { publish_date: on(day), ..article(uri) };
    for round in 0..12 {
        let [first, second, third] =
            [(1, 4), (2, 8), (3, 6)].map(|(number, day)| dated(&format!("urn:{round}:{number}"), day));
        let (first, second) = (service.create_article(first).await, service.create_article(second).await);
        let third = service.create_article(third).await;
        let meeting = service.create_meeting(&first, talks("first")).await.unwrap();
        service.add_report(&meeting.name, &second.name, talks("second")).await.unwrap();
        // Each title has one source, so that the title of the earliest article wins.
        let later = Article { publish_date: on(20), ..first.clone() };
        let earlier = Article { publish_date: on(2), ..second.clone() };
        let (moved, added, again) = tokio::join!(
            service.update_article(later, &["publish_date"]),
            other.add_report(&meeting.name, &third.name, talks("third")),
            other.update_article(earlier, &["publish_date"]),
        );
        moved.unwrap();
        added.unwrap();
        again.unwrap();
        wait_until_settled(&service).await;
        let meeting = service.meeting(&meeting.name).await;
        assert_eq!((meeting.report_count, meeting.account.unwrap().title.as_str()), (3, "second"));
    }
}

#[tokio::test]
async fn a_merge_that_was_prepared_on_outdated_articles_is_retried() {
    let service = fast_heartbeats().await;
    let other = Service::start_on(service.database.clone()).await;
    let dated = |uri: &str, day| Article { publish_date: on(day), ..article(uri) };
    let first = service.create_article(dated("urn:1", 4)).await;
    let second = service.create_article(dated("urn:2", 8)).await;
    let source = service.create_meeting(&first, talks("first")).await.unwrap();
    let target = service.create_meeting(&second, talks("second")).await.unwrap();

    let later = Article { publish_date: on(20), ..first.clone() };
    let sources = [source.name.as_str()];
    let held_up = block_commits(&service).await;
    let (moved, merged, ()) = tokio::join!(
        service.update_article(later, &["publish_date"]),
        after(&service, other.merge(&target.name, &sources)),
        async {
            waiting(&service, 2).await;
            held_up.close().await.unwrap();
        }
    );
    moved.unwrap();
    assert_eq!(merged.unwrap().account.unwrap().title, "second");
    wait_until_settled(&service).await;
    assert_eq!(service.meeting(&target.name).await.account.unwrap().title, "second");
}
