//! Meetings: created, and read whole, with one report and three who took part.

use futures_util::future::BoxFuture;
use readout::{
    model::{resource::Collection, rules::Check},
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
    participant::{reads, some},
    service::Service,
    table::{Table, Wanted},
    unary::{baseline, channels, echo},
};

const ARTICLES: usize = 100;
const PARTICIPANTS: usize = 600;
const READ: usize = 1_000;

/// What meetings are made of: names of articles and of participants.
#[derive(Clone)]
struct World {
    articles: Vec<String>,
    participants: Vec<String>,
}

impl World {
    async fn make(service: &Service) -> Self {
        let mut articles = Vec::new();
        for number in 0..ARTICLES {
            let article = Some(article(&format!("urn:bench:{number}")));
            let request = CreateArticleRequest { article, ..Default::default() };
            articles.push(service.articles.clone().create_article(request).await.expect("created").into_inner().name);
        }
        let participants = some(service, PARTICIPANTS).await.into_iter().map(|one| one.name).collect();
        Self { articles, participants }
    }

    /// The request that creates a meeting: talks of three, one of whom says something.
    fn create(&self, number: u64) -> CreateMeetingRequest {
        let one_of = |names: &[String], at: u64| names[at as usize % names.len()].clone();
        let participations =
            (0..3).map(|at| present(&format!("p{at}"), &one_of(&self.participants, 3 * number + at))).collect();
        let statement = Statement {
            id: "s1".into(),
            speakers: vec!["p0".into()],
            text: TEXT.into(),
            verb: "stressed".into(),
            ..Default::default()
        };
        let account = Account { participations, statements: vec![statement], ..talks(&format!("Talks {number}")) };
        let meeting = Some(Meeting { account: Some(account), ..Default::default() });
        let source_article = one_of(&self.articles, number);
        CreateMeetingRequest { meeting, source_article, ..Default::default() }
    }
}

pub async fn measure(table: &mut Table) {
    let service = Service::start().await;
    let world = World::make(&service).await;
    let to = channels(service.address).await;
    let (of, with) = (world.clone(), to.clone());
    let created = call(move |number| {
        let mut client = MeetingServiceClient::new(with.of(number));
        let request = of.create(number);
        async move { drop(client.create_meeting(request).await.expect("created")) }
    });
    let of = world.clone();
    let echoed = echo(move |number| of.create(number)).await;
    let [mine, echoed] = compare(IN_FLIGHT, [&created, &echoed]).await;
    let figure = "CreateMeeting, 3 participations, 64 in flight / echo";
    table.add(figure, (mine.words(), echoed.words()), mine.times(&echoed), Wanted::AtLeast(0.1));

    let mut meetings = Vec::new();
    while meetings.len() < READ {
        let create = (0..100).map(|_| {
            let (mut client, request) = (service.meetings.clone(), world.create(next_number()));
            async move { client.create_meeting(request).await.expect("created").into_inner() }
        });
        meetings.extend(futures_util::future::join_all(create).await);
    }
    let names: Vec<String> = meetings.iter().map(|one| one.name.clone()).collect();
    let request =
        move |number| GetMeetingRequest { name: names[number as usize % names.len()].clone(), ..Default::default() };
    let asked = request.clone();
    let read = call(move |number| {
        let mut client = MeetingServiceClient::new(to.of(number));
        let request = asked(number);
        async move { drop(client.get_meeting(request).await.expect("read")) }
    });
    let each = baseline(one_by_one(Store::new(service.database.clone())), request).await;
    let echoed = echo(move |number| meetings[number as usize % meetings.len()].clone()).await;
    reads("GetMeeting FULL", table, [&read, &each, &echoed]).await;
    service.stop().await;
}

/// The same checks and the same answer, with queries of their own for each request.
fn one_by_one(store: Store) -> impl Fn(GetMeetingRequest) -> BoxFuture<'static, Result<Meeting, Status>> + Send + Sync {
    move |request| {
        let store = store.clone();
        Box::pin(async move {
            request.violations().into_result().map_err(ServiceError::from)?;
            let id = [Collection::Meetings.id(&request.name).expect("checked")];
            let docs = meeting::get(store.reads(), &id).await?;
            let sizes = report::sizes(store.reads(), &id).await?;
            assert!(sizes.values().sum::<usize>() < MESSAGE_BYTES);
            let tellings = SettleInputs::of(&report::of_meetings(store.reads(), &id).await?)?;
            Ok(tellings.full(docs.first().ok_or_else(|| Status::not_found(request.name))?.decode()?))
        })
    }
}
