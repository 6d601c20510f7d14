//! The real stories: how many people they have, in any order. READOUT_SHUFFLES sets the number of random orders, each
//! with 1, 4 and 16 streams; READOUT_SEED repeats them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::Read,
    iter,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use readout::{
    cli::json,
    pb::{IngestStoriesRequest, ListParticipantsRequest, Participant, Story},
};

use crate::{
    faults::rng::Chance,
    support::{Service, story_stream::ingest_all},
};

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

    pub async fn all_participants(&self) -> Vec<Participant> {
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

/// Moves the items in a pseudorandom order.
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

/// An order of the stories, and the number of streams that ingest them.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// `None` for the order of the file.
    seed: Option<u64>,
    streams: usize,
}

/// The runs of an ordinary test run, or each of READOUT_SHUFFLES orders with 1, 4 and 16 streams.
fn runs() -> Vec<Run> {
    let first = Run { seed: None, streams: 1 };
    let Some(shuffles) = env::var("READOUT_SHUFFLES").ok().filter(|shuffles| !shuffles.is_empty()) else {
        return vec![first, Run { seed: Some(7), streams: 16 }];
    };
    let shuffles: u64 = shuffles.parse().expect("READOUT_SHUFFLES is a number");
    let seed = Chance::seed();
    println!("READOUT_SEED={seed}");
    let shuffled = (0..shuffles).flat_map(|number| {
        let seed = Chance::of(seed, &number.to_string()).below(u64::MAX);
        [1, 4, 16].map(|streams| Run { seed: Some(seed), streams })
    });
    iter::once(first).chain(shuffled).collect()
}

/// Ingests the stories, and returns the settled persons.
async fn people_of(stories: &[Story], Run { seed, streams }: Run) -> BTreeSet<BTreeSet<(String, String)>> {
    let service = Service::start().await;
    let ordered = seed.map_or_else(|| stories.to_vec(), |seed| shuffled(stories, seed));
    service.ingest_through(&ordered, streams).await;
    service.await_rest().await;
    let persons = service.persons_by_names().await;
    service.stop().await;
    persons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_the_real_stories_are_the_same_in_any_order() {
    let stories = stories();
    let mut expected = None;
    let mut different = Vec::new();
    for run in runs() {
        let started = Instant::now();
        let persons = people_of(&stories, run).await;
        let (count, seconds) = (persons.len(), started.elapsed().as_secs_f64());
        let order = run.seed.map_or("order of the file".to_owned(), |seed| format!("shuffle {seed}"));
        println!("{order}, {} streams: {count} people, {seconds:.1} s", run.streams);
        if let Ok(path) = env::var("READOUT_PEOPLE") {
            let text: String =
                persons.iter().filter(|names| names.len() > 1).map(|names| format!("{names:?}\n")).collect();
            std::fs::write(format!("{path}.{}", run.streams), text).unwrap();
        }
        assert!(persons.len() <= 1_600, "{}", persons.len());
        let expected = expected.get_or_insert_with(|| persons.clone());
        let missing: Vec<_> = expected.symmetric_difference(&persons).collect();
        if !missing.is_empty() {
            println!("{run:?} differs: {missing:?}");
            different.push(run);
        }
    }
    assert!(different.is_empty(), "{different:?}");
}
