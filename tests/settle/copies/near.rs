//! Near copies: reprints with another lead or a shortened end count as one source.

use std::time::{Duration, Instant};

use readout::pb::{Article, Date, article::TextRights};

use super::{fast_heartbeats, on, printed, settlings, wait_until_settled};
use crate::support::{
    Service,
    make::{article, talks},
};

/// `count` distinct words, from this one on.
pub fn words(from: usize, count: usize) -> String {
    (from..from + count).map(|number| format!("word{number} ")).collect()
}

/// An article with this text, published on this day of August.
fn with_text(uri: &str, text: String, day: i32) -> Article {
    Article { text, ..printed(uri, day) }
}

impl Service {
    async fn sketches(&self) -> i64 {
        self.count("select count(*) from text_sketch").await
    }
}

#[tokio::test]
async fn reprints_with_another_lead_or_a_shortened_end_get_the_origin_of_their_source() {
    let service = fast_heartbeats().await;
    let first = service.create_article(with_text("urn:agency", words(0, 200), 3)).await;
    let mut watch = settlings(&service).await;
    let begun = Instant::now();
    let lead = service.create_article(with_text("urn:lead", words(900, 40) + &words(40, 160), 4)).await;
    let end = service.create_article(with_text("urn:end", words(0, 70), 4)).await;
    let other = service.create_article(with_text("urn:other", words(900, 120) + &words(30, 80), 4)).await;
    assert_eq!([&lead.origin, &end.origin], [&lead.name, &end.name], "they are compared soon");
    let changes = watch.changes(2).await;
    assert!(changes.iter().all(|change| [&lead.name, &end.name].contains(&&change.name)), "{changes:?}");
    assert!(begun.elapsed() < Duration::from_secs(6));
    wait_until_settled(&service).await;
    for (article, origin, overlap) in
        [(&first, &first, 0.0), (&lead, &first, 156.0 / 196.0), (&end, &first, 1.0), (&other, &other, 0.0)]
    {
        let article = service.article(&article.name).await;
        assert_eq!((&article.origin, article.origin_overlap), (&origin.name, overlap), "{}", article.uri);
    }
    // A later reprint of a text that was compared is a copy when it is created.
    let late = service.create_article(with_text("urn:late", words(0, 70), 9)).await;
    assert_eq!((late.origin, late.origin_overlap), (first.name.clone(), 1.0));
    let again = service.create_article(with_text("urn:again", words(0, 200), 9)).await;
    assert_eq!((again.origin, again.origin_overlap), (first.name.clone(), 1.0));
}

#[tokio::test]
async fn near_copies_are_stored_texts_of_40_words_published_within_a_week() {
    let service = fast_heartbeats().await;
    service.create_article(with_text("urn:first", words(0, 100), 3)).await;
    let withheld = Article { text_rights: TextRights::Withheld.into(), ..with_text("urn:withheld", words(0, 90), 3) };
    let undated = Article { publish_date: None, ..with_text("urn:undated", words(0, 80), 3) };
    let month = Article { publish_date: Some(Date { year: 2020, month: 8, day: 0 }), ..undated.clone() };
    for (article, is_copy) in [
        (with_text("urn:within", words(0, 70), 10), true),
        (with_text("urn:outside", words(0, 72), 25), false),
        (with_text("urn:40", words(60, 40), 4), true),
        (with_text("urn:39", words(61, 39), 4), false),
        (with_text("urn:39:other-lead", words(900, 20) + &words(61, 39), 4), false),
        (withheld, false),
        (undated, false),
        (Article { uri: "urn:month".into(), ..month }, false),
    ] {
        let uri = article.uri.clone();
        let created = service.create_article(article).await;
        wait_until_settled(&service).await;
        assert_eq!(service.origin(&created).await != created.name, is_copy, "{uri}");
    }
}

#[tokio::test]
async fn languages_without_spaces_are_compared_by_characters() {
    let service = fast_heartbeats().await;
    let text: String =
        "外交部长王毅在北京会见了来访的法国总统特别代表双方就中法关系和共同关心的国际地区问题深入交换了意见王毅表示\
        今年是两国建交五十六周年希望双方落实两国元首达成的共识"
            .into();
    let first = service.create_article(with_text("urn:zh", text.clone(), 3)).await;
    let lead = format!("新华社快讯：{}", text.chars().skip(6).collect::<String>());
    let copy = service.create_article(with_text("urn:zh:lead", lead, 4)).await;
    wait_until_settled(&service).await;
    assert_eq!(service.origin(&copy).await, first.name);
}

#[tokio::test]
async fn near_copies_of_one_meeting_count_as_one_source() {
    let service = fast_heartbeats().await;
    let first = service.create_article(with_text("urn:first", words(0, 100), 3)).await;
    let meeting = service.create_meeting(&first, talks("Talks")).await.unwrap();
    let reprint = service.create_article(with_text("urn:reprint", words(900, 20) + &words(0, 90), 4)).await;
    service.add_report(&meeting.name, &reprint.name, talks("Talks")).await.unwrap();
    wait_until_settled(&service).await;
    let settled = service.meeting(&meeting.name).await;
    assert_eq!((settled.report_count, settled.independent_source_count), (2, 1));
    // Another text of the reprint is another source.
    let sent = Article { name: reprint.name.clone(), text: words(500, 100), ..Default::default() };
    service.update_article(sent, &["text"]).await.unwrap();
    wait_until_settled(&service).await;
    assert_eq!(service.meeting(&meeting.name).await.independent_source_count, 2);
    let reprint = service.article(&reprint.name).await;
    assert_eq!((&reprint.origin, reprint.origin_overlap), (&reprint.name, 0.0));
}

#[tokio::test]
async fn hidden_texts_count_as_near_copies_and_erased_ones_leave_no_sketch() {
    let service = fast_heartbeats().await;
    let first = service.create_article(with_text("urn:first", words(0, 100), 3)).await;
    let hidden = Article { name: first.name.clone(), text_rights: TextRights::Withheld.into(), ..Default::default() };
    service.update_article(hidden, &["text_rights"]).await.unwrap();
    let copy = service.create_article(with_text("urn:copy", words(900, 10) + &words(0, 90), 4)).await;
    wait_until_settled(&service).await;
    assert_eq!(service.origin(&copy).await, first.name);
    assert_eq!(service.sketches().await, 2);

    service.erase_article_text(&first.name).await.unwrap();
    wait_until_settled(&service).await;
    assert_eq!(service.origin(&copy).await, first.name, "the two stay copies");
    assert_eq!(service.sketches().await, 1);
    let later = service.create_article(with_text("urn:later", words(900, 100), 5)).await;
    wait_until_settled(&service).await;
    assert_eq!(service.origin(&later).await, later.name);

    let shared = service.create_article(with_text("urn:shared", words(900, 10) + &words(0, 90), 4)).await;
    service.erase_article_text(&copy.name).await.unwrap();
    assert_eq!(service.sketches().await, 2, "another article keeps the text");
    service.erase_article_text(&shared.name).await.unwrap();
    let sent = Article { name: later.name.clone(), text: words(300, 20), ..Default::default() };
    service.update_article(sent, &["text"]).await.unwrap();
    assert_eq!(service.sketches().await, 0, "a text that was replaced leaves no sketch either");
}

#[tokio::test(flavor = "multi_thread")]
async fn near_copies_that_are_written_at_two_instances_at_once_end_in_one_group() {
    let service = fast_heartbeats().await;
    let other = Service::start_on(service.database.clone()).await;
    for round in 0..5 {
        let sent = |number: usize| {
            let text = words(1_000 * round, 100 + number);
            Article { publish_date: on(3), text, ..article(&format!("urn:{round}:{number}")) }
        };
        let services = [&service, &other].into_iter().cycle();
        let created = services.zip(0..8).map(|(service, number)| service.create_article(sent(number)));
        let created = futures_util::future::join_all(created).await;
        wait_until_settled(&service).await;
        for article in &created {
            assert_eq!(service.origin(article).await, created[0].name, "{}", article.uri);
        }
    }
}
