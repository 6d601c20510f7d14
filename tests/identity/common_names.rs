//! Names that very many participants have, and persons with as many members as a person can have.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use readout::{
    model::identity::{Profile, candidate_keys},
    pb::{
        CreateParticipantRequest, ErrorReason, ListDuplicatesRequest, MatchParticipantsRequest, Participant,
        judgement::Verdict, participant_service_client::ParticipantServiceClient,
    },
    store::participant::identity::replace_keys,
};
use sqlx::{ConnectOptions, PgPool, postgres::PgConnectOptions};
use tonic::{Code, transport::Channel};
use uuid::Uuid;

use crate::support::{
    Refused, Service, cluster,
    data_dir::eventually,
    make::{person, settled_person},
    program::Program,
    stored_records::{execute, scalar},
};

/// Participants without a region, half of them with one name, the others with spellings that share its keys.
const NAMESAKES: usize = 10_000;
/// Much more than settling them takes, and much less than if all pairs of them were compared.
const MAX_SETTLING: Duration = Duration::from_secs(180);
const MAX_MEMORY_KIB: usize = 700 * 1024;
/// Much more than a page takes.
const MAX_PAGE: Duration = Duration::from_secs(2);

/// The names, each with another participant.
fn namesakes() -> impl Iterator<Item = String> {
    const VOWELS: [&str; 18] =
        ["a", "e", "i", "o", "u", "y", "aa", "ae", "ai", "ao", "au", "ee", "ei", "ia", "ie", "io", "oe", "oo"];
    let spelling = |number: usize| {
        let vowel = |place: u32| VOWELS[number / VOWELS.len().pow(place) % VOWELS.len()];
        format!("J{}hn Sm{}th{}", vowel(0), vowel(1), vowel(2))
    };
    (0..NAMESAKES).map(move |number| if number % 2 == 0 { "John Smith".into() } else { spelling(number / 2) })
}

async fn create_all(client: &ParticipantServiceClient<Channel>, people: impl Iterator<Item = Participant>) {
    let create = |participant| {
        let mut client = client.clone();
        async move {
            let request = CreateParticipantRequest { participant: Some(participant), ..Default::default() };
            client.create_participant(request).await.expect("created");
        }
    };
    stream::iter(people).map(create).buffer_unordered(20).collect::<Vec<_>>().await;
}

async fn await_rest(database: &PgConnectOptions) {
    let unsettled = "select count(*) from identity_progress
         where done is not null or position <> (select max(position) from change)";
    while scalar::<i64>(database, unsettled).await > 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_namesakes_are_settled_in_bounded_time_and_memory() {
    let database = cluster::database().await;
    let program = Program::serve_on(database.to_url_lossy().as_str()).await;
    let client = ParticipantServiceClient::new(program.channel().await);
    let begun = Instant::now();
    create_all(&client, namesakes().map(|name| settled_person(&name, ""))).await;
    let created = begun.elapsed();
    await_rest(&database).await;
    let settled = begun.elapsed() - created;
    let memory = program.memory_kib("VmHWM");
    println!("created in {created:.1?}, at rest {settled:.1?} later, {} MiB", memory / 1024);
    assert!(settled < MAX_SETTLING, "{settled:?}");
    assert!(memory < MAX_MEMORY_KIB, "{memory} KiB");
    program.logged("parts of names have become too common: participants that share only these are not compared").await;

    let begun = Instant::now();
    let request = ListDuplicatesRequest { page_size: 1_000, ..Default::default() };
    let page = client.clone().list_duplicates(request).await.unwrap().into_inner();
    let listed = begun.elapsed();
    let pairs: i64 = scalar(&database, "select count(*) from participant_duplicate").await;
    println!("{pairs} pairs to review, the first {} in {listed:.1?}", page.duplicates.len());
    assert!(listed < MAX_PAGE, "{listed:?}");
    assert!(pairs <= 50 * NAMESAKES as i64 / 2, "{pairs}");

    for name in ["John Smith", "Jahn Smathe"] {
        let begun = Instant::now();
        let participant = Some(settled_person(name, ""));
        let request = MatchParticipantsRequest { participant, page_size: 100, ..Default::default() };
        let found = client.clone().match_participants(request).await.unwrap().into_inner();
        println!("{} candidates for {name} in {:.1?}", found.candidates.len(), begun.elapsed());
        assert!(begun.elapsed() < MAX_PAGE);
        // The participants of the same name are found even if the name is common.
        assert!(found.candidates.iter().any(|candidate| candidate.display_name == name), "{name}");
    }
    program.stop().await;
}

#[tokio::test]
async fn aliases_depend_on_the_participants_of_a_name_and_not_on_their_order() {
    const LIMIT: usize = 200;
    let service = Service::start().await;
    let khan = || settled_person("Muhammad Tahir Khan", "PK");
    let aliases = "select count(*) from participant where merged_into is not null";
    create_all(&service.participants, (1..LIMIT).map(|_| khan())).await;
    service.create_participant(khan()).await;
    service.await_rest().await;
    assert_eq!(service.count(aliases).await, LIMIT as i64 - 1);
    // One more makes the name too common.
    let other = service.create_participant(khan()).await.name;
    service.await_rest().await;
    assert_eq!(service.count(aliases).await, 0);
    service.delete_participant(&other).await.unwrap();
    service.await_rest().await;
    assert_eq!(service.count(aliases).await, LIMIT as i64 - 1);
    // At once, and in another order.
    let service = Service::start().await;
    create_all(&service.participants, (0..=LIMIT).map(|_| khan())).await;
    service.await_rest().await;
    assert_eq!(service.count(aliases).await, 0);
}

#[tokio::test]
async fn participants_are_settled_although_the_service_ends_after_storing_the_keys_of_another() {
    const LIMIT: usize = 200;
    let service = Service::start().await;
    let khan = settled_person("Muhammad Tahir Khan", "PK");
    create_all(&service.participants, (0..LIMIT).map(|_| khan.clone())).await;
    service.await_rest().await;
    let database = service.database.clone();
    service.stop().await;
    // The keys of one more are stored, and the job has not advanced.
    let keys = candidate_keys(&Profile::of(&khan));
    let pool = PgPool::connect_with(database.clone()).await.unwrap();
    assert!(replace_keys(&pool, &[(Uuid::now_v7(), keys)]).await.unwrap() > 0);
    execute(&database, "update identity_progress set position = position - 1").await;
    let service = Service::start_on(database).await;
    service.await_rest().await;
    assert_eq!(service.count("select count(*) from participant where merged_into is not null").await, 0);
    assert_eq!(service.count("select count(*) from identity_seed").await, 0);
}

/// The largest number of participants that are one person.
const MAX_MEMBERS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn person_has_at_most_a_thousand_members_by_hand_and_by_rule() {
    let service = Service::start().await;
    let sergei = service.create_participant(settled_person("Sergei Lavrov", "RU")).await.name;
    create_all(&service.participants, (0..MAX_MEMBERS).map(|number| person(&format!("Alias {number}"), "RU"))).await;
    let all = service.all_participants().await;
    let mut others: Vec<&str> = all.iter().map(|participant| participant.name.as_str()).collect();
    others.retain(|name| *name != sergei);
    let (members, rest) = others.split_at(MAX_MEMBERS - 1);
    for sources in members.chunks(100) {
        service.merge_participants(&sergei, sources).await.unwrap();
    }
    let count = "select count(*) from participant where merged_into is not null";
    assert_eq!(service.count(count).await, MAX_MEMBERS as i64 - 1);
    let too_large = || Refused::with(Code::FailedPrecondition, ErrorReason::ClusterTooLarge);
    assert_eq!(Refused::from(service.merge_participants(&sergei, rest).await.unwrap_err()), too_large());
    assert_eq!(Refused::from(service.merge_participants(rest[0], &[&sergei]).await.unwrap_err()), too_large());
    assert_eq!(Refused::from(service.judge(&sergei, rest[0], Verdict::Same).await.unwrap_err()), too_large());

    // By rule there is room for one more after one has left.
    let sergey = service.create_participant(settled_person("Sergey Lavrov", "RU")).await.name;
    service.await_rest().await;
    assert_eq!(service.participant(&sergey).await.merged_into, "");
    service.unmerge_participant(members[0]).await.unwrap();
    service.await_person(&sergey, &sergei).await;
    assert_eq!(service.count(count).await, MAX_MEMBERS as i64 - 1);
    assert_eq!(Refused::from(service.merge_participants(&sergei, rest).await.unwrap_err()), too_large());
    let sergej = service.create_participant(settled_person("Serguei Lavrov", "RU")).await.name;
    service.await_rest().await;
    assert_eq!(service.participant(&sergej).await.merged_into, "");
    service.unmerge_participant(members[1]).await.unwrap();
    eventually("another member", async || service.participant(&sergej).await.merged_into == sergei).await;
}
