//! Meetings with one report and three participations: created, and read in full.

use futures_util::future::BoxFuture;
use readout::{
    model::{message_bound::DEFAULT_MESSAGE_BYTES, resource::Collection, rules::Check},
    pb::{
        Account, CreateArticleRequest, CreateMeetingRequest, GetMeetingRequest, Meeting, Statement,
        meeting_service_client::MeetingServiceClient,
    },
    service::{error::ServiceError, meeting::settle_inputs::SettleInputs, status::MESSAGE_BYTES},
    store::{Store, meeting, report},
};
use tonic::Status;

use super::{
    load::{IN_FLIGHT, call, compare, next_number},
    make::{TEXT, article, present, talks},
    participant::{compare_reads, create_many},
    service::Service,
    table::{Table, Target},
    unary::{baseline, channels, echo},
};

const ARTICLES: usize = 100;
const PARTICIPANTS: usize = 600;
const READ: usize = 1_000;

/// The articles and participants of the meetings, by name.
#[derive(Clone)]
pub struct World {
    pub articles: Vec<String>,
    pub participants: Vec<String>,
}

impl World {
    pub async fn make(service: &Service) -> Self {
        let mut articles = Vec::new();
        for number in 0..ARTICLES {
            let article = Some(article(&format!("urn:bench:{number}")));
            let request = CreateArticleRequest { article, ..Default::default() };
            articles.push(service.articles.clone().create_article(request).await.expect("created").into_inner().name);
        }
        let people = create_many(service, PARTICIPANTS).await;
        let participants = people.into_iter().map(|participant| participant.name).collect();
        Self { articles, participants }
    }

    /// The request that creates a meeting: talks of three people, with one statement.
    pub fn create(&self, number: u64) -> CreateMeetingRequest {
        let cycle = |names: &[String], at: u64| names[at as usize % names.len()].clone();
        let participations =
            (0..3).map(|at| present(&format!("p{at}"), &cycle(&self.participants, 3 * number + at))).collect();
        let statement = Statement {
            id: "s1".into(),
            speakers: vec!["p0".into()],
            text: TEXT.into(),
            verb: "stressed".into(),
            ..Default::default()
        };
        let account = Account { participations, statements: vec![statement], ..talks(&format!("Talks {number}")) };
        let meeting = Some(Meeting { account: Some(account), ..Default::default() });
        let source_article = cycle(&self.articles, number);
        CreateMeetingRequest { meeting, source_article, ..Default::default() }
    }
}

pub async fn measure(table: &mut Table) {
    let service = Service::start().await;
    let world = World::make(&service).await;
    let connections = channels(service.address).await;
    let (source, targets) = (world.clone(), connections.clone());
    let create = call(move |number| {
        let mut client = MeetingServiceClient::new(targets.of(number));
        let request = source.create(number);
        async move { drop(client.create_meeting(request).await.expect("created")) }
    });
    let source = world.clone();
    let echoed = echo(move |number| source.create(number)).await;
    let [created, echoed] = compare(IN_FLIGHT, [&create, &echoed]).await;
    let figure = "CreateMeeting, 3 participations, 64 in flight / echo";
    table.add(figure, (created.summary(), echoed.summary()), created.speedup(&echoed), Target::AtLeast(0.1));

    let mut meetings = Vec::new();
    while meetings.len() < READ {
        let create = (0..100).map(|_| {
            let (mut client, request) = (service.meetings.clone(), world.create(next_number()));
            async move { client.create_meeting(request).await.expect("created").into_inner() }
        });
        meetings.extend(futures_util::future::join_all(create).await);
    }
    let names: Vec<String> = meetings.iter().map(|meeting| meeting.name.clone()).collect();
    let request =
        move |number| GetMeetingRequest { name: names[number as usize % names.len()].clone(), ..Default::default() };
    let request_of = request.clone();
    let read = call(move |number| {
        let mut client = MeetingServiceClient::new(connections.of(number));
        let request = request_of(number);
        async move { drop(client.get_meeting(request).await.expect("read")) }
    });
    let each = baseline(one_by_one(Store::new(service.database.clone())), request).await;
    let echoed = echo(move |number| meetings[number as usize % meetings.len()].clone()).await;
    compare_reads("GetMeeting FULL", table, [&read, &each, &echoed]).await;
    service.stop().await;
}

/// The same checks and answer, but with separate queries for each request.
fn one_by_one(store: Store) -> impl Fn(GetMeetingRequest) -> BoxFuture<'static, Result<Meeting, Status>> + Send + Sync {
    move |request| {
        let store = store.clone();
        Box::pin(async move {
            request.violations().into_result().map_err(ServiceError::from)?;
            let id = [Collection::Meetings.id(&request.name).expect("checked")];
            let docs = meeting::get(store.reads(), &id).await?;
            let sizes = report::sizes(store.reads(), &id).await?;
            assert!(sizes.values().sum::<usize>() < MESSAGE_BYTES);
            let tellings = SettleInputs::to_view(&report::of_meetings(store.reads(), &id).await?)?;
            let meeting = docs.first().ok_or_else(|| Status::not_found(request.name))?.decode()?;
            Ok(tellings.full(meeting, DEFAULT_MESSAGE_BYTES))
        })
    }
}
