//! Meetings are settled on the articles that tell of them as these are, whatever comes between.

use readout::pb::{Account, Article, Place};
use sqlx::Connection;

use super::{impatient, on, printed, settled, settlings, text};
use crate::support::{
    Service,
    hold_up::{after, hold_up, waiting},
    make::{article, talks},
};

fn in_place(locality: &str, title: &str) -> Account {
    let place = Place { locality: locality.into(), ..Default::default() };
    Account { place: Some(place), ..talks(title) }
}

#[tokio::test]
async fn meetings_are_settled_anew_when_their_sources_turn_out_to_be_one() {
    let service = Service::start().await;
    let mut settlings = settlings(&service).await;
    let early = service.create_article(Article { publish_date: on(1), ..article("urn:early") }).await;
    let one = service.create_article(printed("urn:one", 5)).await;
    let two = service.create_article(Article { text: text(500), ..printed("urn:two", 6) }).await;
    let meeting = service.create_meeting(&early, in_place("Ganja", "Talks")).await.unwrap();
    let quiet = service.create_article(Article { publish_date: on(1), ..article("urn:quiet") }).await;
    let untouched = service.create_meeting(&quiet, in_place("Ganja", "Others")).await.unwrap();
    let alone = service.create_meeting(&two, in_place("Baku", "Alone")).await.unwrap();
    service.add_report(&meeting.name, &one.name, in_place("Baku", "Talks")).await.unwrap();
    service.add_report(&meeting.name, &two.name, in_place("Baku", "Talks")).await.unwrap();
    let locality = async || service.meeting(&meeting.name).await.account.unwrap().place.unwrap().locality;
    // Two against one.
    assert_eq!(locality().await, "Baku");

    let copy = Article { name: two.name.clone(), text: text(600), ..Default::default() };
    let copy = service.update_article(copy, &["text"]).await.unwrap();
    assert_eq!(copy.origin, one.name);
    let change = settlings.change().await;
    assert_eq!((&change.name, change.revision, change.last), (&meeting.name, 4, true));
    assert_eq!(change.actor, "readout");
    // One against one, and the earlier is believed.
    assert_eq!(locality().await, "Ganja");

    // The copy is dated before all others.
    let dated = Article { name: one.name.clone(), publish_date: on(1), ..Default::default() };
    service.update_article(dated, &["publish_date"]).await.unwrap();
    let dated = Article { name: early.name.clone(), publish_date: on(9), ..Default::default() };
    service.update_article(dated, &["publish_date"]).await.unwrap();
    while locality().await != "Baku" {
        assert_eq!(settlings.change().await.name, meeting.name);
    }
    for other in [untouched, alone] {
        assert_eq!(service.meeting(&other.name).await, other);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meeting_is_settled_on_articles_as_they_are_whoever_comes_first() {
    let service = impatient().await;
    let other = Service::start_on(service.database.clone()).await;
    let dated = |uri: &str, day| Article { publish_date: on(day), ..article(uri) };
    for round in 0..12 {
        let [first, second, third] =
            [(1, 4), (2, 8), (3, 6)].map(|(nth, day)| dated(&format!("urn:{round}:{nth}"), day));
        let (first, second) = (service.create_article(first).await, service.create_article(second).await);
        let third = service.create_article(third).await;
        let meeting = service.create_meeting(&first, talks("first")).await.unwrap();
        service.add_report(&meeting.name, &second.name, talks("second")).await.unwrap();
        // Of titles that one source each tells, the one that was published first counts.
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
        settled(&service).await;
        let meeting = service.meeting(&meeting.name).await;
        assert_eq!((meeting.report_count, meeting.account.unwrap().title.as_str()), (3, "second"));
    }
}

#[tokio::test]
async fn a_merge_that_was_made_on_articles_as_they_were_is_made_again() {
    let service = impatient().await;
    let other = Service::start_on(service.database.clone()).await;
    let dated = |uri: &str, day| Article { publish_date: on(day), ..article(uri) };
    let first = service.create_article(dated("urn:1", 4)).await;
    let second = service.create_article(dated("urn:2", 8)).await;
    let goes = service.create_meeting(&first, talks("first")).await.unwrap();
    let stays = service.create_meeting(&second, talks("second")).await.unwrap();

    let later = Article { publish_date: on(20), ..first.clone() };
    let sources = [goes.name.as_str()];
    let held_up = hold_up(&service).await;
    let (moved, merged, ()) = tokio::join!(
        service.update_article(later, &["publish_date"]),
        after(&service, other.merge(&stays.name, &sources)),
        async {
            waiting(&service, 2).await;
            held_up.close().await.unwrap();
        }
    );
    moved.unwrap();
    assert_eq!(merged.unwrap().account.unwrap().title, "second");
    settled(&service).await;
    assert_eq!(service.meeting(&stays.name).await.account.unwrap().title, "second");
}
