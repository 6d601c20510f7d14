//! Writes the records of a world to a database through the store.

use std::{
    ops::Range,
    sync::Arc,
    time::{Instant, SystemTime},
};

use futures_util::{StreamExt, stream};
use readout::{
    model::{
        article::take_text,
        report::{content, content_hash},
        resource::{Collection, Resource},
    },
    pb::{
        Article, Dispute, Meeting, Report, Statement,
        meeting::Review,
        report::{Prominence, State},
        statement::{Act, SpeakerKind},
    },
    store::{
        Store,
        epoch::KnownHead,
        retention::{Retention, extend},
        write::{BatchOutcome, Put, PutArticle, PutParticipant, Write, commit::commit},
    },
};
use sqlx::{PgConnection, postgres::PgConnectOptions};

use super::{
    chance::{Chance, chance_of, one_of},
    cluster::{connect, execute},
    world::{GeneratedMeeting, World, days_after, id_of},
};

/// Meetings or participants in a transaction.
const BATCH: usize = 1_000;
/// One batch is generated while another is written.
const IN_FLIGHT: usize = 2;
/// One meeting in this many has a report with a statement, from an article of its own.
const MEETINGS_PER_REPORT: u64 = 10;

/// Adds these participants and meetings, and prints the duration. Indexes are created afterwards, as in the restore of
/// a backup.
pub async fn load(world: &Arc<World>, database: &PgConnectOptions, participants: Range<usize>, meetings: Range<usize>) {
    let (begin, count) = (Instant::now(), meetings.len());
    let store = Store::new(database.clone());
    let changes = participants.len() + 3 * meetings.len();
    extend(store.writes(), Retention::default(), changes).await.expect("ranges");
    let mut connection = connect(database).await;
    let indexes = drop_indexes(&mut connection).await;
    write(&store, world, participants, add_participant).await;
    write(&store, world, meetings, add_meeting).await;
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!("{count} meetings written, {rate:.0} a second");
    store.close().await;
    // One meeting in ten has a report. The settler would retract the others after a change of an alias.
    execute(&mut connection, "update identity_progress set holder = gen_random_uuid(), expires = 'infinity'").await;
    let begin = Instant::now();
    for index in indexes {
        execute(&mut connection, &index).await;
    }
    execute(&mut connection, "vacuum analyze").await;
    println!("indexes made in {} s", begin.elapsed().as_secs());
}

/// Drops all indexes except those of constraints. Returns the statements that create them.
async fn drop_indexes(connection: &mut PgConnection) -> Vec<String> {
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "select indexname, indexdef
         from pg_indexes
         where schemaname = 'public'
           and tablename !~ '^change'
           and indexname not in (select conname from pg_constraint)",
    )
    .fetch_all(&mut *connection)
    .await
    .expect("listed");
    for (name, _) in &indexes {
        execute(connection, &format!("drop index {name}")).await;
    }
    indexes.into_iter().map(|(_, definition)| definition).collect()
}

/// Writes the records that `add` generates for these numbers.
async fn write(store: &Store, world: &Arc<World>, numbers: Range<usize>, add: fn(&mut Write, &World, usize)) {
    let batches = numbers.clone().step_by(BATCH).map(|first| {
        let (store, world, batch) = (store.clone(), Arc::clone(world), first..numbers.end.min(first + BATCH));
        tokio::spawn(async move {
            let mut write = Write { actor: "scale".into(), ..Default::default() };
            batch.for_each(|number| add(&mut write, &world, number));
            let outcome = commit(store.commits(), &[&write], &KnownHead::default()).await.expect("written");
            assert!(matches!(outcome, BatchOutcome::Committed(..)), "{outcome:?}");
        })
    });
    stream::iter(batches).buffer_unordered(IN_FLIGHT).for_each(async |written| written.expect("no panic")).await;
}

fn add_participant(write: &mut Write, world: &World, number: usize) {
    let (id, mut record) = (id_of("participant", number), world.participant(number));
    record.make_first_revision(id, SystemTime::now());
    write.participants.push(PutParticipant { put: Put::new(id, record), absent: Vec::new(), former: None });
}

fn add_meeting(write: &mut Write, world: &World, number: usize) {
    let chance = &mut chance_of("told", number);
    let (id, generated) = (id_of("meeting", number), world.meeting(chance));
    let sources = source_count(chance);
    let held = generated.account.date.as_ref().and_then(|date| date.start);
    let mut meeting = Meeting {
        account: Some(generated.account.clone()),
        report_count: sources,
        article_count: sources,
        independent_source_count: sources,
        review: Review::Unreviewed.into(),
        publish_date: held.map(|day| days_after(&day, chance.below(3))),
        ..Default::default()
    };
    if chance.once_in(50) {
        meeting.disputes.push(Dispute { field: "date".into(), ..Default::default() });
    }
    meeting.make_first_revision(id, SystemTime::now());
    if chance.once_in(MEETINGS_PER_REPORT) {
        add_report(write, number, generated, &meeting, chance);
    }
    write.meetings.push(Put::new(id, meeting));
}

/// Nine in ten meetings have one source.
fn source_count(chance: &mut Chance) -> i32 {
    let several = if chance.once_in(4) { 3 + chance.below(5) as i32 } else { 2 };
    if chance.once_in(10) { several } else { 1 }
}

/// The speech acts of statements, repeated by their weight.
const ACTS: [Act; 5] = [Act::Say, Act::Say, Act::Say, Act::Stress, Act::Condemn];

fn add_report(write: &mut Write, number: usize, generated: GeneratedMeeting, meeting: &Meeting, chance: &mut Chance) {
    let GeneratedMeeting { mut account, text } = generated;
    let (id, article_id) = (id_of("report", number), id_of("article", number));
    account.statements = vec![Statement {
        id: "s1".into(),
        speaker_kind: SpeakerKind::Individual.into(),
        speakers: account.participations.first().map(|person| person.id.clone()).into_iter().collect(),
        act: (*one_of(chance, &ACTS)).into(),
        text: text.clone(),
        language_code: "en".into(),
        topics: account.topics.clone(),
        ..Default::default()
    }];
    let mut article = Article {
        uri: format!("urn:scale:{number}"),
        title: account.title.clone(),
        language_code: "en".into(),
        publish_date: meeting.publish_date,
        text,
        origin: Collection::Articles.name(article_id),
        ..Default::default()
    };
    let text = Some(take_text(&mut article));
    article.make_first_revision(article_id, SystemTime::now());
    let mut report = Report {
        meeting: meeting.name.clone(),
        article: article.name.clone(),
        article_revision: article.revision,
        account: Some(account),
        prominence: Prominence::Lead.into(),
        state: State::Active.into(),
        ..Default::default()
    };
    report.content_hash = content_hash(&content(&report, None));
    report.make_first_revision(id, SystemTime::now());
    write.reports.push(Put::new(id, report));
    let put = Put::new(article_id, article);
    write.articles.push(PutArticle { put, text, text_key: None, former: None, compared: None });
}
