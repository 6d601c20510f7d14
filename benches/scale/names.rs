//! MatchParticipants among N/10 and N names: `cargo bench --bench scale -- names 1000000`.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt, stream};
use readout::{
    model::{
        identity::{Profile, candidate_keys},
        resource::Resource,
    },
    pb::{
        MatchParticipantsRequest, Participant, participant::Kind, participant_service_client::ParticipantServiceClient,
    },
    store::{
        Store,
        epoch::KnownHead,
        participant::identity::replace_keys,
        retention::{Retention, extend},
        write::{BatchOutcome, Put, PutParticipant, Write, commit::commit},
    },
};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tonic::transport::Channel;

use super::{
    chance::{Chance, chance_of, one_of},
    cluster,
    latency::{millis, percentile},
    program::Program,
    stories,
    world::id_of,
};

/// Participants in a transaction.
const BATCH: usize = 2_000;
/// Participants whose keys are written at a time.
const KEYED: usize = 200;
const IN_FLIGHT: usize = 2;
const CALLS: usize = 1_000;
const WARM_UP: usize = 50;
/// The largest p95 over all N names.
const MAX_P95: Duration = Duration::from_millis(10);

/// Measures both numbers of names, and prints a line for each.
pub async fn measure(size: usize) {
    let database = cluster::database().await;
    let words = Words::read();
    println!("names | indexed in s | p50 ms | p95 ms | found among the first ten");
    for names in [0..size / 10, size / 10..size] {
        let (begin, count) = (Instant::now(), names.end);
        load(&database, &words, names).await;
        let loaded = begin.elapsed();
        let url = cluster::url(&database).await;
        let program = Program::serve_beside(cluster::directory().await, &url, &[]).await;
        let (mut latencies, found) = calls(&program.channel().await, &words, count).await;
        program.stop().await;
        let [p50, p95] = [0.5, 0.95].map(|part| percentile(&mut latencies, part));
        let verdict = if p95 <= MAX_P95 { "ok" } else { "SHORT" };
        let [p50, p95] = [p50, p95].map(millis);
        println!("{count} | {:.0} | {p50:.2} | {p95:.2} (<= 10: {verdict}) | {found:.3}", loaded.as_secs_f64());
    }
}

/// The words of the real names: any first words with any last word make a name.
struct Words {
    first: Vec<String>,
    last: Vec<String>,
    regions: Vec<String>,
}

impl Words {
    fn read() -> Self {
        let (mut first, mut last, mut regions) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for line in stories::lines() {
            for entry in stories::story(&line).participants {
                let Participant { display_name, region_code, .. } = entry.participant.unwrap_or_default();
                if let Some((given, family)) = display_name.rsplit_once(' ') {
                    first.insert(given.to_owned());
                    last.insert(family.to_owned());
                }
                regions.insert(region_code);
            }
        }
        let [first, last, regions] = [first, last, regions].map(|words| words.into_iter().collect());
        Self { first, last, regions }
    }

    fn participant(&self, number: usize) -> Participant {
        let chance = &mut chance_of("named", number);
        Participant {
            kind: Kind::Person.into(),
            display_name: format!("{} {}", one_of(chance, &self.first), one_of(chance, &self.last)),
            region_code: one_of(chance, &self.regions).clone(),
            ..Default::default()
        }
    }

    /// A stored participant with one letter of its name doubled.
    fn respelled(&self, number: usize, chance: &mut Chance) -> Participant {
        let mut participant = self.participant(number);
        let letters: Vec<char> = participant.display_name.chars().collect();
        let at = chance.below(letters.len() as u64) as usize;
        let spelled = letters.iter().enumerate();
        participant.display_name =
            spelled.flat_map(|(index, letter)| std::iter::repeat_n(*letter, 1 + usize::from(index == at))).collect();
        participant
    }
}

/// Writes the participants and their keys. No service settles them, so that nothing else runs while calls are measured.
async fn load(database: &PgConnectOptions, words: &Words, numbers: std::ops::Range<usize>) {
    let store = Store::new(database.clone());
    extend(store.writes(), Retention::default(), numbers.len()).await.expect("ranges");
    // In the service one job writes the keys, a chunk at a time.
    let one_job = &Mutex::new(());
    let batches = numbers.clone().step_by(BATCH).map(|first| {
        let store = &store;
        async move {
            let (mut write, mut keys) = (Write { actor: "scale".into(), ..Default::default() }, Vec::new());
            for number in first..numbers.end.min(first + BATCH) {
                let (id, mut record) = (id_of("named", number), words.participant(number));
                keys.push((id, candidate_keys(&Profile::of(&record))));
                record.make_first_revision(id, SystemTime::now());
                write.participants.push(PutParticipant { put: Put::new(id, record), absent: Vec::new(), former: None });
            }
            let outcome = commit(store.commits(), &[&write], &KnownHead::default()).await.expect("written");
            assert!(matches!(outcome, BatchOutcome::Committed(..)), "{outcome:?}");
            let _alone = one_job.lock().await;
            for keys in keys.chunks(KEYED) {
                replace_keys(store.writes(), keys).await.expect("indexed");
            }
        }
    });
    stream::iter(batches).buffer_unordered(IN_FLIGHT).collect::<()>().await;
    store.close().await;
    let mut connection = cluster::connect(database).await;
    cluster::execute(&mut connection, "update identity_progress set holder = gen_random_uuid(), expires = 'infinity'")
        .await;
    cluster::execute(&mut connection, "vacuum analyze").await;
}

/// Calls the method, one call at a time. Returns the latencies, and the share of calls that found the participant among
/// the first ten.
async fn calls(channel: &Channel, words: &Words, count: usize) -> (Vec<Duration>, f64) {
    let mut client = ParticipantServiceClient::new(channel.clone());
    let (mut latencies, mut found) = (Vec::new(), 0);
    for call in 0..WARM_UP + CALLS {
        let chance = &mut chance_of("match", call);
        let number = chance.below(count as u64) as usize;
        let request = MatchParticipantsRequest {
            participant: Some(words.respelled(number, chance)),
            page_size: 10,
            ..Default::default()
        };
        let sent = Instant::now();
        let answer = client.match_participants(request).await.expect("answered").into_inner();
        if call >= WARM_UP {
            latencies.push(sent.elapsed());
            let name = format!("participants/{}", id_of("named", number));
            found += usize::from(answer.candidates.iter().any(|candidate| candidate.participant == name));
        }
    }
    (latencies, found as f64 / CALLS as f64)
}
