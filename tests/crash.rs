//! The service, its database, or both are killed in the middle of an import: what was acknowledged is there, what was
//! not is there as a whole or not at all, and the same import goes on to the same end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::{future::join_all, stream};
use readout::{
    model::text::names,
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
    data_dir::{DataDir, eventually, patiently},
    program::Program,
    stories,
};

const STORIES: usize = 1_200;
const STREAMS: usize = 4;
/// Stories of a stream that are on their way at a time.
const WINDOW: usize = 100;
/// So many stories are acknowledged when something is killed; the second time the first ones are found again.
const KILLS: [usize; 2] = [150, 700];

#[tokio::test]
async fn service_and_database_killed_together_lose_nothing_and_leave_nothing_half() {
    let dir = DataDir::with_database().await;
    let import = Import::new();
    for acknowledged in KILLS {
        let service = Program::serve(&dir).await;
        let streams = import.start(&service, acknowledged).await;
        import.reaches(acknowledged).await;
        // The service first: it would bring its database back.
        service.kill().await;
        dir.kill_servers();
        ended(streams).await;

        let service = Program::serve(&dir).await;
        import.is_kept_whole(&service).await;
        service.stop().await;
    }
    import.comes_to_its_end(&Program::serve(&dir).await).await;
}

#[tokio::test]
async fn a_killed_service_leaves_a_database_that_the_next_one_takes_over() {
    let dir = DataDir::with_database().await;
    let import = Import::new();
    for acknowledged in KILLS {
        let service = Program::serve(&dir).await;
        let streams = import.start(&service, acknowledged).await;
        import.reaches(acknowledged).await;
        service.kill().await;
        ended(streams).await;
        let orphan = dir.postmaster();

        let service = Program::serve(&dir).await;
        assert!(!dir.servers().contains(&orphan));
        import.is_kept_whole(&service).await;
        service.stop().await;
    }
    import.comes_to_its_end(&Program::serve(&dir).await).await;
}

#[tokio::test]
async fn a_service_outlives_its_database() {
    let dir = DataDir::with_database().await;
    let import = Import::new();
    let service = Program::serve(&dir).await;
    for acknowledged in KILLS {
        let streams = import.start(&service, acknowledged).await;
        import.reaches(acknowledged).await;
        dir.kill_servers();
        ended(streams).await;

        let mut articles = ArticleServiceClient::new(service.channel().await);
        eventually("the database is back", async || {
            articles.list_articles(ListArticlesRequest::default()).await.is_ok()
        })
        .await;
        import.is_kept_whole(&service).await;
    }
    import.comes_to_its_end(&service).await;
    service.stop().await;
}

/// What was acknowledged of each story: the answer, and the position.
type Acknowledged = BTreeMap<usize, (IngestStoryResponse, String)>;

struct Import {
    stories: Arc<Vec<Story>>,
    acknowledged: watch::Sender<Acknowledged>,
}

impl Import {
    /// Real stories, without those whose participants could be matched in another way in another order: people who
    /// share a name and have different regions.
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

    /// Sends all stories, over several streams, each until it ends or breaks; no more once so many are acknowledged.
    async fn start(&self, service: &Program, most: usize) -> Vec<JoinHandle<()>> {
        let channel = service.channel().await;
        let each = STORIES.div_ceil(STREAMS);
        let stream = |first| {
            let stories = self.stories[first..STORIES.min(first + each)].to_vec();
            tokio::spawn(send(channel.clone(), first, stories, self.acknowledged.clone(), most))
        };
        (0..STORIES).step_by(each).map(stream).collect()
    }

    /// Waits until so many stories are acknowledged.
    async fn reaches(&self, count: usize) {
        let mut acknowledged = self.acknowledged.subscribe();
        let all = acknowledged.wait_for(|all| all.len() >= count);
        let count = patiently("stories are acknowledged", all).await.expect("we hold the sender").len();
        assert!(count < STORIES, "the test needs an unfinished import");
    }

    /// What was acknowledged is there, and nothing is there in part.
    async fn is_kept_whole(&self, service: &Program) {
        let acknowledged = self.acknowledged.borrow().clone();
        let channel = service.channel().await;
        self.answers_all(&channel, &acknowledged).await;
        let database: PgConnectOptions = url(service).await.parse().expect("a url");
        let mut database = database.connect().await.expect("it answers");
        nothing_is_half(&mut database).await;
        for (_, position) in acknowledged.values() {
            let (epoch, number) = position.split_once('.').expect("an epoch and a number");
            let query = "select last and epoch = $2 from change, feed where position = $1::text::bigint";
            let row: Option<bool> =
                sqlx::query_scalar(query).bind(number).bind(epoch).fetch_optional(&mut database).await.expect(query);
            assert_eq!(row, Some(true), "{position} ends a write");
        }
    }

    /// Every acknowledged name can be read, with what was sent.
    async fn answers_all(&self, channel: &Channel, acknowledged: &Acknowledged) {
        let mut articles = ArticleServiceClient::new(channel.clone());
        let mut participants = ParticipantServiceClient::new(channel.clone());
        let mut meetings = MeetingServiceClient::new(channel.clone()).max_decoding_message_size(9 << 20);
        let all: Vec<_> = acknowledged.iter().collect();
        for some in all.chunks(200) {
            let names = some.iter().map(|(_, (answer, _))| answer.article.clone()).collect();
            let request = BatchGetArticlesRequest { names, ..Default::default() };
            let read = articles.batch_get_articles(request).await.expect("they are there").into_inner();
            for ((index, _), article) in some.iter().zip(&read.articles) {
                let sent = self.stories[**index].article.as_ref().expect("required");
                assert_eq!((&article.uri, &article.title, &article.text), (&sent.uri, &sent.title, &sent.text));
            }
            let names = some.iter().map(|(_, (answer, _))| answer.meetings[0].meeting.clone()).collect();
            let request = BatchGetMeetingsRequest { names, ..Default::default() };
            let read = meetings.batch_get_meetings(request).await.expect("they are there").into_inner();
            for ((index, _), meeting) in some.iter().zip(&read.meetings) {
                let sent = self.stories[**index].reports[0].account.as_ref().expect("required");
                let settled = meeting.account.as_ref().expect("settled");
                assert_eq!((meeting.report_count, &settled.title), (1, &sent.title));
            }
            let names: BTreeSet<_> =
                some.iter().flat_map(|(_, (answer, _))| &answer.participants).map(|one| one.name.clone()).collect();
            let request = BatchGetParticipantsRequest { names: names.into_iter().collect(), ..Default::default() };
            participants.batch_get_participants(request).await.expect("they are there");
        }
    }

    /// Sent again until all is acknowledged, the stories are there once.
    async fn comes_to_its_end(&self, service: &Program) {
        eventually("all stories are acknowledged", async || {
            ended(self.start(service, usize::MAX).await).await;
            self.acknowledged.borrow().len() == STORIES
        })
        .await;
        self.is_kept_whole(service).await;

        let names: BTreeSet<_> = self.stories.iter().flat_map(people).map(|(name, _)| names::key(name)).collect();
        let database: PgConnectOptions = url(service).await.parse().expect("a url");
        let mut database = database.connect().await.expect("it answers");
        let stories = STORIES as i64;
        for (table, expected) in [
            ("article", stories),
            ("meeting", stories),
            ("report", stories),
            ("participant", names.len() as i64),
            ("change", 3 * stories + names.len() as i64),
            ("superseded", 0),
        ] {
            assert_eq!(count(&mut database, &format!("select from {table}")).await, expected, "{table}");
        }
    }
}

/// Names and regions of a story's participants.
fn people(story: &Story) -> impl Iterator<Item = (&String, &str)> {
    story.participants.iter().flat_map(|one| &one.participant).map(|one| (&one.display_name, one.region_code.as_str()))
}

async fn ended(streams: Vec<JoinHandle<()>>) {
    for stream in patiently("the streams end", join_all(streams)).await {
        stream.expect("what was answered is right");
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
    // A stream that breaks is what the test is about.
    let Ok(answers) = IngestServiceClient::new(channel).ingest_stories(requests).await else { return };
    let mut answers = answers.into_inner();
    while let Ok(Some(answer)) = answers.message().await {
        let index = first + answer.index as usize;
        match answer.outcome.expect("one of two") {
            Outcome::Result(result) => acknowledged.send_modify(|all| {
                let names = |answer: &IngestStoryResponse| {
                    let participants = answer.participants.iter().map(|one| one.name.clone());
                    let meetings = answer.meetings.iter().flat_map(|one| [one.meeting.clone(), one.report.clone()]);
                    [answer.article.clone()].into_iter().chain(participants).chain(meetings).collect::<Vec<_>>()
                };
                if let Some((before, _)) = all.get(&index) {
                    assert_eq!(names(&result), names(before), "what was acknowledged is found again");
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

/// Where the database of a service is.
async fn url(service: &Program) -> String {
    service.logged("the embedded database runs").await["url"].as_str().expect("a url").to_owned()
}

async fn count(database: &mut PgConnection, rows: &str) -> i64 {
    let query = format!("select count(*) from ({rows}) as row");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(database).await.expect(rows)
}

/// Every story wrote one article with its text, one report and one meeting, and whom it named; the change log has all
/// of it, without a hole.
async fn nothing_is_half(database: &mut PgConnection) {
    for (what, rows) in [
        ("report without its article", "select from report where article not in (select id from article)"),
        ("report without its meeting", "select from report where meeting not in (select id from meeting)"),
        ("meeting without a report", "select from meeting where id not in (select meeting from report)"),
        ("article without a report", "select from article where id not in (select article from report)"),
        ("article without its uri", "select from article where id not in (select article from article_uri)"),
        ("uri without its article", "select from article_uri where article not in (select id from article)"),
        ("article without its text", "select from article where text_sha256 not in (select sha256 from article_text)"),
        ("meeting with nobody", "select from meeting where id not in (select meeting from meeting_participant)"),
        (
            "somebody at a meeting who is nobody",
            "select from meeting_participant where participant not in (select id from participant)",
        ),
        (
            "somebody at no meeting",
            "select from participant where id not in (select participant from meeting_participant)",
        ),
        (
            "somebody without a name",
            "select from participant where id not in (select participant from participant_name)",
        ),
        ("name of nobody", "select from participant_name where participant not in (select id from participant)"),
        (
            "hole in the changes",
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
            "change of nothing, or nothing of a change",
            "select from (select collection, id, revision from change) as change
             full join (
                 select 1::smallint as collection, id, revision from participant
                 union all select 2, id, revision from article
                 union all select 3, id, revision from report
                 union all select 4, id, revision from meeting
             ) as record using (collection, id, revision)
             where change is null or record is null",
        ),
    ] {
        assert_eq!(count(database, rows).await, 0, "{what}");
    }
}
