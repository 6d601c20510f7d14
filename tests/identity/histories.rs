//! Random histories: stories arrive through two instances, which are killed, while curators merge participants, judge
//! them, bind participations, and undo it. Once all is undone, the service says the same as one that received only the
//! stories. READOUT_SEED repeats the choices of a run. READOUT_HISTORIES sets the number of long histories; without it,
//! one short is run.

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use readout::pb::{
    ErrorReason, IngestStoriesRequest, Participant, ParticipantMatching, Story,
    ingest_service_client::IngestServiceClient,
};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt;

use super::curator::curate;
use crate::{
    faults::{
        instances::{Fleet, InstanceAddress},
        rng::Chance,
    },
    support::{
        Service,
        make::{day, settled_person, story},
        story_stream::{ingest_all, outcome},
    },
};

/// The size of a history.
#[derive(Debug, Clone, Copy)]
struct Size {
    stories: usize,
    kills: usize,
}

const SHORT: Size = Size { stories: 80, kills: 2 };
const LONG: Size = Size { stories: 1_000, kills: 12 };

/// Streams of stories, and curators, that work at the same time.
const STREAMS: usize = 4;
const CURATORS: usize = 2;

/// Names that are one person by the rule, and others that are nearly so.
const NAMES: [(&str, &str); 22] = [
    ("Sergei Lavrov", "RU"),
    ("Sergey Lavrov", "RU"),
    ("Sergey Lavrov", ""),
    ("Sergej Lawrow", "RU"),
    ("Muhammad Tahir Khan", "PK"),
    ("Mohammed Tahir Khan", "PK"),
    ("Muhammad Tahir Khan", "GB"),
    ("Mohamed Tahir Khan", "PK"),
    ("Yong Il Kim", "KP"),
    ("Kim Yong-il", "KP"),
    ("Wen Jiabao", "CN"),
    ("Jiabao Wen", "CN"),
    ("Hu Jintao", "CN"),
    ("Hu Jintao", ""),
    ("Ban Ki-moon", "KR"),
    ("Ban Ki Mun", "KR"),
    ("Kerim Veliyev", "AZ"),
    ("Karim Valiyev", "AZ"),
    ("Kərim Vəliyev", "AZ"),
    ("Ann Lee", "GB"),
    ("Anne Lee", "GB"),
    ("Azerbaijan", "AZ"),
];

/// Stories of two to four of these people each, with a text, a title and a day of their own.
fn random_stories(chance: &mut Chance, count: usize) -> Vec<IngestStoriesRequest> {
    let mut random_story = |number: usize| {
        let mut people: Vec<(&str, &str)> = Vec::new();
        let size = 2 + chance.below(3) as usize;
        while people.len() < size {
            let person = NAMES[chance.below(NAMES.len() as u64) as usize];
            if !people.contains(&person) {
                people.push(person);
            }
        }
        let people: Vec<Participant> = people.into_iter().map(|(name, region)| settled_person(name, region)).collect();
        let mut story = story(&format!("urn:story:{number}"), &people);
        story.article.as_mut().unwrap().text = format!("Story {number}: they met.");
        let account = story.reports[0].account.as_mut().unwrap();
        account.title = format!("Talks {number}");
        account.date = day(2001 + (number / 336) as i32, 1 + (number / 28 % 12) as i32, 1 + (number % 28) as i32);
        for (participation, person) in account.participations.iter_mut().zip(&people) {
            participation.region_code.clone_from(&person.region_code);
        }
        request(story, chance.once_in(3))
    };
    (0..count).map(&mut random_story).collect()
}

fn request(story: Story, is_exact: bool) -> IngestStoriesRequest {
    let matching = if is_exact { ParticipantMatching::Exact } else { ParticipantMatching::Settled };
    IngestStoriesRequest { story: Some(story), participant_matching: matching.into(), ..Default::default() }
}

/// Sends stories in small streams to one of the instances, again and again until each is stored.
async fn ingest_until_stored(
    addresses: Vec<InstanceAddress>,
    mut stories: Vec<IngestStoriesRequest>,
    mut chance: Chance,
    stored: Arc<AtomicUsize>,
) {
    while !stories.is_empty() {
        let size = (1 + chance.below(6) as usize).min(stories.len());
        let address = *addresses[chance.below(2) as usize].borrow();
        let done = ingest_some(address, &stories[..size]).await;
        stored.fetch_add(done, Ordering::Relaxed);
        stories.drain(..done);
        sleep(Duration::from_millis(chance.below(20))).await;
    }
}

/// The number of stories at the beginning that were stored.
async fn ingest_some(address: std::net::SocketAddr, stories: &[IngestStoriesRequest]) -> usize {
    let Some(channel) = try_connect(address).await else { return 0 };
    let requests = tokio_stream::iter(stories.to_vec());
    let Ok(answers) = IngestServiceClient::new(channel).ingest_stories(requests).await else { return 0 };
    let mut answers = answers.into_inner();
    let mut done = 0;
    while let Ok(Some(answer)) = answers.message().await {
        match outcome(answer) {
            Ok(_) => done += 1,
            Err(status) if is_passing(&status) => return done,
            Err(status) => panic!("{status:?}"),
        }
    }
    done
}

pub async fn try_connect(address: std::net::SocketAddr) -> Option<Channel> {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a url");
    match endpoint.connect().await {
        Ok(channel) => Some(channel),
        Err(_) => {
            sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// True if the call can succeed later: the instance was killed, or the write met another one.
pub fn is_passing(status: &Status) -> bool {
    let reason = status.get_details_error_info().and_then(|info| ErrorReason::from_str_name(&info.reason));
    reason.is_none_or(|reason| {
        matches!(reason, ErrorReason::Contention | ErrorReason::DatabaseUnavailable | ErrorReason::ShuttingDown)
    })
}

/// Aliases whose person is an alias itself or deleted.
const ALIASES_OF_NOBODY: &str = "select count(*)
    from participant as alias
    left join participant as person on person.id = alias.merged_into
    where alias.merged_into is not null
      and alias.delete_time is null
      and (person.id is null or person.merged_into is not null or person.delete_time is not null)";

/// Participations of settled accounts that name an alias.
const ALIASES_IN_ACCOUNTS: &str = "select count(*)
    from participation
    join participant on participant.id = participation.participant
    where participant.merged_into is not null";

/// Looks until the end for an alias whose person does not stand for itself.
async fn watch_aliases(pool: PgPool, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        let wrong: i64 = sqlx::query_scalar(ALIASES_OF_NOBODY).fetch_one(&pool).await.expect("an answer");
        assert_eq!(wrong, 0, "an alias of an alias");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a history, and returns the service on its database after all decisions were undone.
async fn history(stories: &[IngestStoriesRequest], size: Size, seed: u64) -> (Service, BTreeMap<&'static str, usize>) {
    let mut fleet = Fleet::start().await;
    let (is_over, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let streams: Vec<_> = (0..STREAMS)
        .map(|stream| {
            let own = stories.iter().skip(stream).step_by(STREAMS).cloned().collect();
            let chance = Chance::of(seed, &format!("stream {stream}"));
            tokio::spawn(ingest_until_stored(fleet.addresses(), own, chance, Arc::clone(&stored)))
        })
        .collect();
    let curators: Vec<_> = (0..CURATORS)
        .map(|number| {
            let chance = Chance::of(seed, &format!("curator {number}"));
            tokio::spawn(curate(fleet.addresses(), chance, Arc::clone(&is_over)))
        })
        .collect();
    let watching = tokio::spawn(watch_aliases(fleet.pool().await, Arc::clone(&is_over)));
    let mut chance = Chance::of(seed, "kills");
    for kill in 1..=size.kills {
        let due = stories.len() * kill / (size.kills + 1);
        while stored.load(Ordering::Relaxed) < due {
            sleep(Duration::from_millis(5)).await;
        }
        let instance = &mut fleet.instances[chance.below(2) as usize];
        instance.kill().await;
        instance.restart().await;
    }
    for stream in streams {
        stream.await.expect("all stories are stored");
    }
    is_over.store(true, Ordering::Relaxed);
    let mut outcomes = BTreeMap::new();
    for curator in curators {
        for (outcome, count) in curator.await.expect("no unexpected refusal") {
            *outcomes.entry(outcome).or_default() += count;
        }
    }
    watching.await.expect("no alias of an alias");
    let database = fleet.database.clone();
    fleet.stop().await;
    let service = Service::start_on(database).await;
    service.undo_all_decisions().await;
    (service, outcomes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stories_mean_the_same_after_all_decisions_are_undone() {
    let seed = Chance::seed();
    println!("READOUT_SEED={seed}");
    let long = env::var("READOUT_HISTORIES").ok().filter(|count| !count.is_empty());
    let long: Option<u64> = long.map(|count| count.parse().expect("READOUT_HISTORIES is a number"));
    let size = if long.is_some() { LONG } else { SHORT };
    for number in 0..long.unwrap_or(1) {
        let started = Instant::now();
        let seed = if number == 0 { seed } else { Chance::of(seed, &number.to_string()).below(u64::MAX) };
        let stories = random_stories(&mut Chance::of(seed, "stories"), size.stories);
        let (service, outcomes) = history(&stories, size, seed).await;
        service.await_rest().await;
        assert_eq!(service.count(ALIASES_OF_NOBODY).await, 0);
        assert_eq!(service.count(ALIASES_IN_ACCOUNTS).await, 0);
        let twin = Service::start().await;
        ingest_all(&twin.ingest, stories.clone()).await;
        twin.await_rest().await;
        let (picture, expected) = (service.picture().await, twin.picture().await);
        let seconds = started.elapsed().as_secs_f64();
        let people = service.persons(false).await.len();
        println!("history {seed}: {people} people, {} lines, {outcomes:?}, {seconds:.1} s", picture.len());
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|line| those.binary_search(line).is_err()).take(8).cloned().collect()
        };
        let (extra, missing) = (only(&picture, &expected), only(&expected, &picture));
        assert!(picture == expected, "READOUT_SEED={seed}\n{extra:#?}\ninstead of\n{missing:#?}");
        service.stop().await;
        twin.stop().await;
    }
}
