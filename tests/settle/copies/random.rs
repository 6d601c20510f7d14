//! Random edits of articles at two instances at once: the settler ends at the origins that `model::copies` computes.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use readout::{
    model::article_copies::{CopyCandidate, near::NearCopy, origins, text_key},
    pb::Article,
};
use uuid::Uuid;

use super::{fast_heartbeats, near::words, on, printed, text, wait_until_settled};
use crate::support::Service;

/// An edit of one article: its date, its text, its syndication source, its deletion or undeletion.
#[derive(Debug, Clone)]
enum Step {
    Date(usize, Option<i32>),
    Text(usize, usize),
    From(usize, Option<usize>),
    Delete(usize),
    Undelete(usize),
}

fn any_step(count: usize) -> impl Strategy<Value = Step> {
    let at = 0..count;
    prop_oneof![
        3 => (at.clone(), proptest::option::of(1..29)).prop_map(|(at, day)| Step::Date(at, day)),
        3 => (at.clone(), 0..6usize).prop_map(|(at, text)| Step::Text(at, text)),
        2 => (at.clone(), proptest::option::weighted(0.7, at.clone())).prop_map(|(at, source)| Step::From(at, source)),
        1 => at.clone().prop_map(Step::Delete),
        1 => at.prop_map(Step::Undelete),
    ]
}

/// The texts of articles: three that are only equal to themselves, and three of which the first is a near copy of the two
/// others, which are none of each other.
fn variant_text(variant: usize) -> String {
    match variant {
        0..3 => text(450 + variant),
        3 => words(0, 200),
        4 => words(0, 120),
        _ => words(80, 120),
    }
}

fn near_copies() -> [NearCopy; 2] {
    let key = |variant| text_key(&variant_text(variant)).unwrap();
    [4, 5].map(|variant| NearCopy { texts: [key(3), key(variant)], overlap: 1.0 })
}

impl Service {
    /// Applies the step. Refusals are ignored: a syndication cycle, the deletion of a referenced article.
    async fn step(&self, articles: &[Article], step: &Step) {
        let name = |at: &usize| articles[*at].name.clone();
        let _ = match step {
            Step::Date(at, day) => {
                let publish_date = day.and_then(on);
                self.update_article(Article { name: name(at), publish_date, ..Default::default() }, &["publish_date"])
                    .await
            }
            Step::Text(at, variant) => {
                let text = variant_text(*variant);
                self.update_article(Article { name: name(at), text, ..Default::default() }, &["text"]).await
            }
            Step::From(at, source) => {
                let syndicated_from = source.as_ref().map(name).unwrap_or_default();
                let sent = Article { name: name(at), syndicated_from, ..Default::default() };
                self.update_article(sent, &["syndicated_from"]).await
            }
            Step::Delete(at) => self.delete_article(&name(at)).await,
            Step::Undelete(at) => self.undelete_article(&name(at)).await,
        };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn articles_end_in_the_group_of_their_copies_after_random_edits() {
    const COUNT: usize = 24;
    let service = fast_heartbeats().await;
    let other = Service::start_on(service.database.clone()).await;
    let mut articles = Vec::new();
    for at in 0..COUNT {
        let sent =
            Article { text: variant_text(at % 6), ..printed(&format!("urn:{:02}", at * 7 % COUNT), 1 + at as i32) };
        articles.push(service.create_article(sent).await);
    }
    // Deterministic, so that a failure can be reproduced.
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    for round in 0..10 {
        let steps = proptest::collection::vec(any_step(COUNT), 12).new_tree(&mut runner).unwrap().current();
        let assigned = steps.iter().zip([&service, &other].into_iter().cycle());
        futures_util::future::join_all(assigned.map(|(step, service)| service.step(&articles, step))).await;
        wait_until_settled(&service).await;

        let mut copies = Vec::new();
        let mut stored = Vec::new();
        for article in &articles {
            let article = service.article(&article.name).await;
            let id: Uuid = article.name["articles/".len()..].parse().unwrap();
            if article.delete_time.is_none() {
                copies.push(CopyCandidate::of(id, &article, text_key(&article.text)));
            }
            stored.push((id, article));
        }
        let origins = origins(&copies, &near_copies());
        for (id, article) in stored {
            let expected = format!("articles/{}", origins.get(&id).copied().unwrap_or(id));
            assert_eq!(article.origin, expected, "round {round}: {article:?} after {steps:?}");
        }
    }
}
