//! Many copies of one text: each write changes a bounded number of articles, and the settler arrives at the origin.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use readout::pb::{Article, Date, ListArticlesRequest, change::Kind};

use crate::support::{
    Service,
    follow::{all, matching, now},
    make::article,
};

/// Copies of one text. The one with the greatest number has the smallest uri, so each new copy becomes the origin.
fn copy(number: usize) -> Article {
    let text = "Ministers met in Baku. They stressed mutual trust, and agreed to meet again. ".repeat(8);
    let publish_date = Some(Date { year: 2020, month: 8, day: 3 });
    Article { text, publish_date, ..article(&format!("urn:{:05}", 99_999 - number)) }
}

async fn origins(service: &Service) -> BTreeSet<String> {
    let request = ListArticlesRequest { page_size: 1_000, ..Default::default() };
    let mut pages = service.articles.clone().stream_articles(request).await.unwrap().into_inner();
    let mut origins = BTreeSet::new();
    while let Some(page) = pages.message().await.unwrap() {
        origins.extend(page.articles.into_iter().map(|article| article.origin));
    }
    origins
}

async fn wait_until_settled(service: &Service) {
    let begun = Instant::now();
    while service.count("select count(*) from unsettled where not settled").await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the settler ends");
        let mut watch = service.watch(all(now())).await;
        // A change or the next heartbeat.
        let _ = tokio::time::timeout(Duration::from_millis(200), watch.next()).await;
    }
}

#[tokio::test]
async fn a_thousand_copies_are_settled_in_steps() {
    const COUNT: usize = 1_000;
    let service = Service::start().await;
    let mut last = Article::default();
    for number in 0..COUNT {
        last = service.create_article(copy(number)).await;
    }
    wait_until_settled(&service).await;
    assert_eq!(origins(&service).await, BTreeSet::from([last.name.clone()]));
    // The tasks of the copies are joined: far fewer changes than the 500,000 of settling each of them by itself.
    let settled = service.count("select count(*) from change where actor = 'readout'").await;
    assert!(settled < 64 * COUNT as i64, "{settled} changes");

    // One more copy at rest: all follow, in steps.
    let mut watch = service.watch(matching(now(), "kind = SETTLED")).await;
    watch.caught_up().await;
    let before = service.count("select count(*) from change").await;
    let first = service.create_article(copy(COUNT)).await;
    let begun = Instant::now();
    assert_eq!(first.origin, first.name);
    assert_eq!(watch.change().await.kind(), Kind::Settled);
    wait_until_settled(&service).await;
    assert_eq!(origins(&service).await, BTreeSet::from([first.name]));
    let changes = service.count("select count(*) from change").await - before;
    assert_eq!(changes, COUNT as i64 + 1);
    // 16 steps, a quarter of a second apart.
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
}
