//! A story that is sent a second time in another spelling is matched and writes nothing.

use readout::pb::{IngestStoryResponse, Story};

use super::{matched, random, respell};
use crate::{
    faults::rng::Chance,
    support::{
        Service,
        make::streamed,
        stories::{azernews_line, lines, story},
        story_stream::{ingest_all, outcome},
    },
};

async fn ingest_stories(service: &Service, stories: Vec<Story>) -> Vec<IngestStoryResponse> {
    let answers = ingest_all(&service.ingest, stories.into_iter().map(streamed)).await;
    answers.into_iter().map(|answer| outcome(answer).unwrap()).collect()
}

/// Ingests stories, then respelled ones, and asserts that those are matched and write nothing.
async fn assert_respelled_match(stories: Vec<Story>, chance: &mut Chance) {
    let service = Service::start().await;
    let first = ingest_stories(&service, stories.clone()).await;
    let before = service.contents().await;
    assert_eq!(before.reports.len(), stories.iter().map(|story| story.reports.len()).sum::<usize>());
    for _ in 0..3 {
        let respelled: Vec<Story> = stories.iter().map(|story| respell::respelled(story, chance)).collect();
        assert!(respelled.iter().zip(&stories).all(|(respelled, story)| respelled != story));
        let again = ingest_stories(&service, respelled.clone()).await;
        for ((first, again), respelled) in first.iter().zip(again).zip(respelled) {
            assert_eq!(again, matched(first.clone()), "{respelled:?}");
        }
        assert_eq!(service.contents().await, before);
    }
}

#[tokio::test]
async fn a_random_story_is_matched_in_every_spelling() {
    let mut chance = Chance::of(1, "stories");
    let stories = (0..150).map(|at| respell::accented(&random::story(&format!("urn:{at}"), &mut chance)));
    assert_respelled_match(stories.collect(), &mut chance).await;
}

#[tokio::test]
async fn a_real_story_is_matched_in_every_spelling() {
    let mut chance = Chance::of(1, "respelled");
    let lines = lines().into_iter().step_by(40).chain([azernews_line()]);
    assert_respelled_match(lines.map(|line| respell::accented(&story(&line))).collect(), &mut chance).await;
}

#[tokio::test]
async fn a_story_stored_in_an_odd_spelling_is_matched_in_a_plain_spelling() {
    let service = Service::start().await;
    let mut chance = Chance::of(1, "odd");
    let stories: Vec<Story> =
        (0..50).map(|at| respell::accented(&random::story(&format!("urn:{at}"), &mut chance))).collect();
    let odd = stories.iter().map(|story| respell::respelled(story, &mut chance)).collect();
    let first = ingest_stories(&service, odd).await;
    let before = service.contents().await;
    let again = ingest_stories(&service, stories).await;
    for (first, again) in first.into_iter().zip(again) {
        assert_eq!(again, matched(first));
    }
    assert_eq!(service.contents().await, before);
}
