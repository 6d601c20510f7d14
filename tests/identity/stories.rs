//! The real stories: how many people they have, in any order.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    time::Duration,
};

use flate2::read::GzDecoder;
use readout::{
    cli::json,
    pb::{IngestStoriesRequest, ListParticipantsRequest, Participant, Story},
};

use crate::support::{Service, story_stream::ingest_all};

fn settled(story: Story) -> IngestStoriesRequest {
    IngestStoriesRequest { story: Some(story), ..Default::default() }
}

fn stories() -> Vec<Story> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("../data/stories.ndjson.gz")[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| json::parse("readout.v1.Story", line).unwrap()).collect()
}

impl Service {
    /// Ingests stories through some streams at once.
    async fn ingest_through(&self, stories: &[Story], streams: usize) {
        let tasks: Vec<_> = (0..streams)
            .map(|stream| {
                let client = self.ingest.clone();
                let own: Vec<Story> = stories.iter().skip(stream).step_by(streams).cloned().collect();
                tokio::spawn(async move { ingest_all(&client, own.into_iter().map(settled)).await.len() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    /// Waits until all participants and meetings are settled.
    pub async fn await_rest(&self) {
        let unsettled = "select (select count(*) from unsettled where not settled)
             + (select count(*) from identity_progress
                where done is not null or position <> coalesce((select max(position) from change), 0))";
        while self.count(unsettled).await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn all_participants(&self) -> Vec<Participant> {
        let request = ListParticipantsRequest { page_size: 1_000, show_deleted: true, ..Default::default() };
        let mut pages = self.participants.clone().stream_participants(request).await.unwrap().into_inner();
        let mut all = Vec::new();
        while let Some(page) = pages.message().await.unwrap() {
            all.extend(page.participants);
        }
        all
    }

    /// The settled persons, each as the set of its names with their regions.
    async fn persons_by_names(&self) -> BTreeSet<BTreeSet<(String, String)>> {
        let mut persons: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
        for participant in self.all_participants().await {
            let person = if participant.merged_into.is_empty() { &participant.name } else { &participant.merged_into };
            let names = participant.names.iter().map(|name| &name.text).chain([&participant.display_name]);
            let names = names.map(|name| (name.clone(), participant.region_code.clone()));
            persons.entry(person.clone()).or_default().extend(names);
        }
        persons.into_values().collect()
    }
}

/// Moves the items in a fixed pseudo-random order.
fn shuffled(stories: &[Story], seed: u64) -> Vec<Story> {
    let mut state = seed;
    let mut order: Vec<(u64, usize)> = (0..stories.len())
        .map(|at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11, at)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| stories[at].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_the_real_stories_are_the_same_in_any_order() {
    let stories = stories();
    let mut expected = None;
    for (seed, streams) in [(0, 1), (7, 16)] {
        let service = Service::start().await;
        let ordered = if seed == 0 { stories.clone() } else { shuffled(&stories, seed) };
        service.ingest_through(&ordered, streams).await;
        service.await_rest().await;
        let persons = service.persons_by_names().await;
        println!("{} people with {streams} streams", persons.len());
        if let Ok(path) = std::env::var("READOUT_PEOPLE") {
            let text: String =
                persons.iter().filter(|names| names.len() > 1).map(|names| format!("{names:?}\n")).collect();
            std::fs::write(format!("{path}.{streams}"), text).unwrap();
        }
        assert!(persons.len() <= 1_600, "{}", persons.len());
        let expected = expected.get_or_insert_with(|| persons.clone());
        let missing: Vec<_> = expected.symmetric_difference(&persons).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
