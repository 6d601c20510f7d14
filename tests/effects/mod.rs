//! Effects: what a call with `validate_only` says that it would change is what it then changes. READOUT_EFFECTS sets the
//! number of random acts, READOUT_SEED repeats their choices.

mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Duration,
};

use prost_reflect::DynamicMessage;
use readout::{
    model::{
        mask::diff::{field_changes, read},
        resource::Collection,
    },
    pb::{Account, Article, Effect, Meeting, MergeParticipantsRequest, Participant, Report},
};
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;
use uuid::Uuid;

use self::world::World;
use crate::{
    faults::rng::Chance,
    support::{
        Service,
        make::{article, person, talks_of},
    },
};

/// A value that the call makes, such as a time.
const MADE: [&str; 8] =
    ["bindings", "delete_time", "judgements", "merge", "retraction", "retraction.time", "merge.time", "state"];

/// The fields that change, by resource and path, with their values.
type Changes = BTreeMap<(String, String), (String, String)>;

/// The records of a store, by name.
type Records = BTreeMap<String, DynamicMessage>;

async fn records(service: &Service) -> Records {
    let mut connection = PgConnection::connect_with(&service.database).await.expect("the database answers");
    let rows: Vec<(i16, Uuid, Vec<u8>)> = sqlx::query_as(
        "select 1::smallint, id, doc from participant
         union all select 2::smallint, id, doc from article
         union all select 3::smallint, id, doc from report
         union all select 4::smallint, id, doc from meeting",
    )
    .fetch_all(&mut connection)
    .await
    .expect("all records");
    connection.close().await.expect("closed");
    let record = |(collection, id, doc): (i16, Uuid, Vec<u8>)| {
        let collection = Collection::try_from(collection).expect("a collection");
        let record = match collection {
            Collection::Participants => read::<Participant>(&doc),
            Collection::Articles => read::<Article>(&doc),
            Collection::Reports => read::<Report>(&doc),
            Collection::Meetings => read::<Meeting>(&doc),
        };
        (collection.name(id), record.expect("a record"))
    };
    rows.into_iter().map(record).collect()
}

/// The changes of the records that exist before, without values that the call makes.
fn changes(before: &Records, after: &Records) -> Changes {
    let of_record = |(name, former): (&String, &DynamicMessage)| {
        let changes = field_changes(former, &after[name]).into_iter();
        changes.map(|change| ((name.clone(), change.path), (change.before, change.after))).collect::<Vec<_>>()
    };
    without_made(before.iter().flat_map(of_record))
}

fn as_changes(effects: &[Effect]) -> Changes {
    without_made(effects.iter().cloned().map(|effect| ((effect.resource, effect.field), (effect.before, effect.after))))
}

fn without_made(changes: impl Iterator<Item = ((String, String), (String, String))>) -> Changes {
    let values = |((name, field), values): ((String, String), _)| {
        let is_made = MADE.contains(&field.as_str());
        ((name, field), if is_made { Default::default() } else { values })
    };
    changes.map(values).collect()
}

async fn wait_until_settled(service: &Service) {
    let tasks = "select (select count(*) from unsettled where not settled)
        + (select count(*) from text_sketch where not compared)";
    while service.count(tasks).await > 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_of_random_acts_are_what_then_happens() {
    let acts = env::var("READOUT_EFFECTS").map_or(120, |acts| acts.parse().expect("READOUT_EFFECTS is a number"));
    let seed = Chance::seed();
    let mut world = World::new(Chance::of(seed, "effects")).await;
    wait_until_settled(&world.service).await;
    let (mut done, mut others) = (BTreeMap::new(), BTreeSet::new());
    let mut made = 0;
    while made < acts {
        // Fewer meetings than are listed as effects of one act.
        if world.meetings() == 60 {
            world = World::new(world.chance).await;
            wait_until_settled(&world.service).await;
        }
        if world.chance.once_in(8) {
            world.grow().await;
            wait_until_settled(&world.service).await;
        }
        let before = records(&world.service).await;
        let (act, foreseen) = world.act().await;
        wait_until_settled(&world.service).await;
        let happened = changes(&before, &records(&world.service).await);
        match foreseen {
            Ok((effects, omitted)) => {
                made += 1;
                *done.entry(act).or_insert(0) += 1;
                assert_eq!(omitted, 0, "{act}, seed {seed}");
                let [foreseen, happened] = [as_changes(&effects), happened].map(|changes| as_compared(changes, act));
                assert_eq!(foreseen, happened, "{act}, seed {seed}");
                let subjects: BTreeSet<&str> = effects.iter().map(|effect| effect.resource.as_str()).collect();
                others.extend((subjects.len() > 1).then_some(act));
            }
            Err(_) => assert_eq!(happened, Changes::new(), "{act} was refused"),
        }
    }
    println!("{done:?}; more than one resource: {others:?}");
}

/// A story's reports have names of their own in each call, which the account of a meeting can name.
fn as_compared(mut changes: Changes, act: &str) -> Changes {
    if act == "ingest a story" {
        changes.values_mut().for_each(|values| *values = Default::default());
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_are_bounded_and_the_rest_is_counted() {
    let service = Service::start().await;
    service.execute("update identity_progress set holder = gen_random_uuid(), expires = 'infinity'").await;
    let [ada, kofi] = [person("Ada Byron", "GB"), person("Kofi Mensah", "GH")];
    let [ada, kofi] = [service.create_participant(ada).await, service.create_participant(kofi).await];
    let source = service.create_article(article("urn:source")).await;
    for number in 0..103 {
        let account = Account { topics: vec![format!("topic-{number}")], ..talks_of("Talks", &kofi) };
        service.create_meeting(&source, account).await.unwrap();
    }
    let merge = MergeParticipantsRequest {
        name: ada.name.clone(),
        sources: vec![kofi.name.clone()],
        reason: "one".into(),
        validate_only: true,
        ..Default::default()
    };
    let answer = service.participants.clone().merge_participants(merge).await.unwrap().into_inner();
    let resources: BTreeSet<&str> = answer.effects.iter().map(|effect| effect.resource.as_str()).collect();
    let meetings = resources.iter().filter(|name| name.starts_with("meetings/")).count();
    assert_eq!((meetings, answer.omitted_effects), (100, 3), "100 meetings are settled");
    assert!(answer.effects.iter().any(|effect| effect.field == "account.participations"
        && effect.before.contains(&kofi.name)
        && effect.after.contains(&ada.name)));
    assert!(answer.etag.is_empty());
}

#[tokio::test]
async fn callers_cannot_store_effects() {
    let service = Service::start().await;
    let effects = vec![Effect { resource: "meetings/x".into(), ..Default::default() }];
    let sent = Article { effects, omitted_effects: 3, ..article("urn:a") };
    let stored = service.create_article(sent.clone()).await;
    assert_eq!((stored.effects.len(), stored.omitted_effects), (0, 0));
    let sent = Article { name: stored.name.clone(), title: "Talks".into(), ..sent };
    let updated = service.update_article(sent, &["title"]).await.unwrap();
    assert_eq!((updated.effects.len(), updated.omitted_effects), (0, 0));
    assert_eq!(service.article(&stored.name).await, updated);
}
