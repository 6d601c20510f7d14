//! The service, its database, or both are killed during an import: acknowledged stories are kept, other stories are
//! stored completely or not at all, and repeating the import gives the same result as an uninterrupted one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::{future::join_all, stream};
use readout::{
    model::{identity::name_key, text::names},
    pb::{
        BatchGetArticlesRequest, BatchGetMeetingsRequest, BatchGetParticipantsRequest, IngestStoryResponse,
        ListArticlesRequest, Story, article_service_client::ArticleServiceClient,
        ingest_service_client::IngestServiceClient, ingest_stories_response::Outcome,
        meeting_service_client::MeetingServiceClient, participant_service_client::ParticipantServiceClient,
    },
};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tonic::{Code, transport::Channel};

use crate::support::{
    data_dir::{DataDir, eventually, within_timeout},
    program::Program,
    stories,
};

const STORIES: usize = 1_200;
const STREAMS: usize = 4;
/// Unanswered stories per stream.
const WINDOW: usize = 100;
/// The number of acknowledged stories at each kill. After the second kill the earlier stories must still be found.
const KILLS: [usize; 2] = [150, 700];

#[tokio::test]
async fn import_loses_no_story_when_service_and_database_are_killed() {
    let dir = DataDir::with_database().await;
    let import = Import::new();
    for acknowledged in KILLS {
        let service = Program::serve(&dir).await;
        let streams = import.start(&service, acknowledged).await;
        import.wait_for(acknowledged).await;
        // The service is killed first because it would restart its database.
        service.kill().await;
        dir.kill_servers();
        join_streams(streams).await;

        let service = Program::serve(&dir).await;
        import.assert_complete(&service).await;
        service.stop().await;
    }
    import.finish(&Program::serve(&dir).await).await;
}

#[tokio::test]
async fn service_takes_over_the_database_of_a_killed_service() {
    let dir = DataDir::with_database().await;
    let import = Import::new();
    for acknowledged in KILLS {
        let service = Program::serve(&dir).await;
        let streams = import.start(&service, acknowledged).await;
        import.wait_for(acknowledged).await;
        service.kill().await;
        join_streams(streams).await;
        let orphan = dir.postmaster();

        let service = Program::serve(&dir).await;
        assert!(!dir.servers().contains(&orphan));
        import.assert_complete(&service).await;
        service.stop().await;
    }
    import.finish(&Program::serve(&dir).await).await;
}

#[tokio::test]
async fn service_recovers_when_its_database_is_killed() {
    let dir = DataDir::with_database().await;
    let import = Import::new();
    let service = Program::serve(&dir).await;
    for acknowledged in KILLS {
        let streams = import.start(&service, acknowledged).await;
        import.wait_for(acknowledged).await;
        dir.kill_servers();
        join_streams(streams).await;

        let mut articles = ArticleServiceClient::new(service.channel().await);
        eventually("the database is back", async || {
            articles.list_articles(ListArticlesRequest::default()).await.is_ok()
        })
        .await;
        import.assert_complete(&service).await;
    }
    import.finish(&service).await;
    service.stop().await;
}

/// Per acknowledged story: the response and its feed position.
type Acknowledged = BTreeMap<usize, (IngestStoryResponse, String)>;

struct Import {
    stories: Arc<Vec<Story>>,
    acknowledged: watch::Sender<Acknowledged>,
}

impl Import {
    /// Real stories, without those whose matching depends on the order of import: people who share a name and have
    /// different regions.
    fn new() -> Self {
        let all: Vec<_> = stories::lines().iter().map(|line| stories::story(line)).collect();
        let mut regions: HashMap<String, BTreeSet<&str>> = HashMap::new();
        for (name, region) in all.iter().flat_map(people) {
            regions.entry(names::key(name)).or_default().extend((!region.is_empty()).then_some(region));
        }
        let is_clear = |story: &&Story| people(story).all(|(name, _)| regions[&names::key(name)].len() < 2);
        let stories: Vec<_> = all.iter().filter(is_clear).take(STORIES).cloned().collect();
        assert_eq!(stories.len(), STORIES);
        Self { stories: Arc::new(stories), acknowledged: watch::Sender::default() }
    }

    /// Sends all stories over several streams, each until it ends or breaks. Stops once `most` are acknowledged.
    async fn start(&self, service: &Program, most: usize) -> Vec<JoinHandle<()>> {
        let channel = service.channel().await;
        let each = STORIES.div_ceil(STREAMS);
        let stream = |first| {
            let stories = self.stories[first..STORIES.min(first + each)].to_vec();
            tokio::spawn(send(channel.clone(), first, stories, self.acknowledged.clone(), most))
        };
        (0..STORIES).step_by(each).map(stream).collect()
    }

    /// Waits until `count` stories are acknowledged.
    async fn wait_for(&self, count: usize) {
        let mut acknowledged = self.acknowledged.subscribe();
        let all = acknowledged.wait_for(|all| all.len() >= count);
        let count = within_timeout("stories are acknowledged", all).await.expect("we hold the sender").len();
        assert!(count < STORIES, "the test needs an unfinished import");
    }

    /// Every acknowledged story is stored, and no story is stored in part.
    async fn assert_complete(&self, service: &Program) {
        let acknowledged = self.acknowledged.borrow().clone();
        let channel = service.channel().await;
        self.assert_readable(&channel, &acknowledged).await;
        let database: PgConnectOptions = database_url(service).await.parse().expect("a url");
        let mut database = database.connect().await.expect("the database answers");
        assert_no_partial_story(&mut database).await;
        for (_, position) in acknowledged.values() {
            let (epoch, number) = position.split_once('.').expect("an epoch and a number");
            let query = "select last and epoch = $2 from change, feed where position = $1::text::bigint";
            let row: Option<bool> =
                sqlx::query_scalar(query).bind(number).bind(epoch).fetch_optional(&mut database).await.expect(query);
            assert_eq!(row, Some(true), "{position} ends a write");
        }
    }

    /// Every acknowledged record can be read and equals the record that was sent.
    async fn assert_readable(&self, channel: &Channel, acknowledged: &Acknowledged) {
        let mut articles = ArticleServiceClient::new(channel.clone());
        let mut participants = ParticipantServiceClient::new(channel.clone());
        let mut meetings = MeetingServiceClient::new(channel.clone()).max_decoding_message_size(9 << 20);
        let all: Vec<_> = acknowledged.iter().collect();
        for chunk in all.chunks(200) {
            let names = chunk.iter().map(|(_, (answer, _))| answer.article.clone()).collect();
            let request = BatchGetArticlesRequest { names, ..Default::default() };
            let read = articles.batch_get_articles(request).await.expect("the records exist").into_inner();
            for ((index, _), article) in chunk.iter().zip(&read.articles) {
                let sent = self.stories[**index].article.as_ref().expect("required");
                assert_eq!((&article.uri, &article.title, &article.text), (&sent.uri, &sent.title, &sent.text));
            }
            let names = chunk.iter().map(|(_, (answer, _))| answer.meetings[0].meeting.clone()).collect();
            let request = BatchGetMeetingsRequest { names, ..Default::default() };
            let read = meetings.batch_get_meetings(request).await.expect("the records exist").into_inner();
            for ((index, _), meeting) in chunk.iter().zip(&read.meetings) {
                let sent = self.stories[**index].reports[0].account.as_ref().expect("required");
                let settled = meeting.account.as_ref().expect("settled");
                assert_eq!((meeting.report_count, &settled.title), (1, &sent.title));
            }
            let names: BTreeSet<_> = chunk
                .iter()
                .flat_map(|(_, (answer, _))| &answer.participants)
                .map(|entry| entry.name.clone())
                .collect();
            let request = BatchGetParticipantsRequest { names: names.into_iter().collect(), ..Default::default() };
            participants.batch_get_participants(request).await.expect("the records exist");
        }
    }

    /// Sends again until all stories are acknowledged, then checks that each is stored exactly once.
    async fn finish(&self, service: &Program) {
        eventually("all stories are acknowledged", async || {
            join_streams(self.start(service, usize::MAX).await).await;
            self.acknowledged.borrow().len() == STORIES
        })
        .await;
        self.assert_complete(service).await;

        let names: BTreeSet<_> =
            self.stories.iter().flat_map(people).map(|(name, region)| (name_key(name), region)).collect();
        let database: PgConnectOptions = database_url(service).await.parse().expect("a url");
        let mut database = database.connect().await.expect("the database answers");
        let stories = STORIES as i64;
        // A matched participant may have learned spellings.
        let learned = count(&mut database, "select from superseded where collection = 1").await;
        for (table, expected) in [
            ("article", stories),
            ("meeting", stories),
            ("report", stories),
            ("participant", names.len() as i64),
            ("change", 3 * stories + names.len() as i64 + learned),
            ("superseded", learned),
        ] {
            assert_eq!(count(&mut database, &format!("select from {table}")).await, expected, "{table}");
        }
    }
}

/// Names and regions of a story's participants.
fn people(story: &Story) -> impl Iterator<Item = (&String, &str)> {
    let participants = story.participants.iter().flat_map(|entry| &entry.participant);
    participants.map(|participant| (&participant.display_name, participant.region_code.as_str()))
}

async fn join_streams(streams: Vec<JoinHandle<()>>) {
    for stream in within_timeout("the streams end", join_all(streams)).await {
        stream.expect("the responses are right");
    }
}

async fn send(
    channel: Channel,
    first: usize,
    stories: Vec<Story>,
    acknowledged: watch::Sender<Acknowledged>,
    most: usize,
) {
    let window = Arc::new(Semaphore::new(WINDOW));
    let requests = stream::unfold((stories.into_iter(), window.clone()), async |(mut stories, window)| {
        let story = stories.next()?;
        window.acquire().await.ok()?.forget();
        Some((stories::request(&story), (stories, window)))
    });
    // The test breaks streams on purpose.
    let Ok(answers) = IngestServiceClient::new(channel).ingest_stories(requests).await else { return };
    let mut answers = answers.into_inner();
    while let Ok(Some(answer)) = answers.message().await {
        let index = first + answer.index as usize;
        match answer.outcome.expect("one of two") {
            Outcome::Result(result) => acknowledged.send_modify(|all| {
                let names = |answer: &IngestStoryResponse| {
                    let participants = answer.participants.iter().map(|entry| entry.name.clone());
                    let meetings =
                        answer.meetings.iter().flat_map(|entry| [entry.meeting.clone(), entry.report.clone()]);
                    [answer.article.clone()].into_iter().chain(participants).chain(meetings).collect::<Vec<_>>()
                };
                if let Some((before, _)) = all.get(&index) {
                    assert_eq!(names(&result), names(before), "an acknowledged story is matched again");
                }
                all.insert(index, (result, answer.position));
            }),
            Outcome::Status(status) => assert_eq!(Code::from(status.code), Code::Unavailable, "{status:?}"),
        }
        match acknowledged.borrow().len() < most {
            true => window.add_permits(1),
            false => window.close(),
        }
    }
}

/// The URL of the service's embedded database.
async fn database_url(service: &Program) -> String {
    service.logged("the embedded database runs").await["url"].as_str().expect("a url").to_owned()
}

async fn count(database: &mut PgConnection, rows: &str) -> i64 {
    let query = format!("select count(*) from ({rows}) as row");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(database).await.expect(rows)
}

/// Every story wrote one article with its text, one report, one meeting and the participants that it names. The change
/// log has all of these records, without a gap.
async fn assert_no_partial_story(database: &mut PgConnection) {
    for (fault, rows) in [
        ("report without its article", "select from report where article not in (select id from article)"),
        ("report without its meeting", "select from report where meeting not in (select id from meeting)"),
        ("meeting without a report", "select from meeting where id not in (select meeting from report)"),
        ("article without a report", "select from article where id not in (select article from report)"),
        ("article without its uri", "select from article where id not in (select article from article_uri)"),
        ("uri without its article", "select from article_uri where article not in (select id from article)"),
        ("article without its text", "select from article where text_sha256 not in (select sha256 from article_text)"),
        (
            "meeting without a participant",
            "select from meeting where id not in (select meeting from meeting_participant)",
        ),
        (
            "participation of an unknown participant",
            "select from meeting_participant where participant not in (select id from participant)",
        ),
        (
            "participant without a meeting",
            "select from participant where id not in (select participant from meeting_participant)",
        ),
        (
            "participant without a name",
            "select from participant where id not in (select participant from participant_name)",
        ),
        (
            "name without a participant",
            "select from participant_name where participant not in (select id from participant)",
        ),
        (
            "gap in the changes",
            "select from change having count(*) <> coalesce(max(position), 0) or min(position) <> 1",
        ),
        (
            "unfinished write",
            "select from (select last from change order by position desc limit 1) as newest where not last",
        ),
        (
            "write that is not one story",
            "select from (
                 select collection, count(*) filter (where last) over (order by position desc) as write from change
             ) as change
             group by write
             having array_remove(array_agg(collection order by collection), 1) <> '{2,3,4}'",
        ),
        (
            "change without its record, or record without its change",
            "select from (select collection, id, revision from change) as change
             full join (
                 select 1::smallint as collection, id, revision from participant
                 union all select 2, id, revision from article
                 union all select 3, id, revision from report
                 union all select 4, id, revision from meeting
                 -- A matched participant may have learned a spelling.
                 union all select collection, id, revision from superseded where collection = 1
             ) as record using (collection, id, revision)
             where change is null or record is null",
        ),
    ] {
        assert_eq!(count(database, rows).await, 0, "{fault}");
    }
}
