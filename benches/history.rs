//! History: a meeting at its first revision compared with its thousandth, and the oldest page of revisions compared
//! with the newest.

use prost_types::Timestamp;
use readout::pb::{
    Account, CreateArticleRequest, CreateMeetingRequest, DeleteMeetingRequest, GetMeetingRequest,
    ListMeetingRevisionsRequest, Meeting, UndeleteMeetingRequest, meeting_service_client::MeetingServiceClient,
};

use super::{
    load::{Call, call, compare},
    make::{article, present, talks},
    participant::create_many,
    service::Service,
    table::{Table, Target},
    unary::channels,
};

const REVISIONS: i64 = 1_000;
const PAGE: i32 = 50;

pub async fn measure(table: &mut Table) {
    let service = Service::start().await;
    let (name, times) = meeting(&service).await;
    let (first, last) = (get(&service, &name, times.0).await, get(&service, &name, times.1).await);
    let [first, last] = compare(1, [&first, &last]).await;
    let figure = "GetMeeting FULL with read_time, 1 in flight, revision 1 / revision 1,000, p50";
    table.add(figure, (first.summary(), last.summary()), last.latency_speedup(&first), Target::AtMost(1.3));

    let oldest = page(&service, &name, token_of_oldest(&service, &name).await).await;
    let newest = page(&service, &name, String::new()).await;
    let [oldest, newest] = compare(1, [&oldest, &newest]).await;
    let figure = "ListMeetingRevisions, 1 in flight, the oldest 50 / the newest 50, p50";
    table.add(figure, (oldest.summary(), newest.summary()), newest.latency_speedup(&oldest), Target::AtMost(1.3));
    service.stop().await;
}

/// A meeting that was deleted and undeleted many times, with the times of its first and its last revision.
async fn meeting(service: &Service) -> (String, (Option<Timestamp>, Option<Timestamp>)) {
    let request = CreateArticleRequest { article: Some(article("urn:bench")), ..Default::default() };
    let source_article = service.articles.clone().create_article(request).await.expect("created").into_inner().name;
    let people = create_many(service, 3).await;
    let participations = people.iter().map(|person| present(&person.name[13..], &person.name)).collect();
    let account = Some(Account { participations, ..talks("Talks") });
    let meeting = Some(Meeting { account, ..Default::default() });
    let request = CreateMeetingRequest { meeting, source_article, ..Default::default() };
    let mut meetings = service.meetings.clone();
    let first = meetings.create_meeting(request).await.expect("created").into_inner();
    let mut last = first.clone();
    while last.revision < REVISIONS {
        let name = first.name.clone();
        let next = match last.delete_time {
            None => meetings.delete_meeting(DeleteMeetingRequest { name, ..Default::default() }).await,
            Some(_) => meetings.undelete_meeting(UndeleteMeetingRequest { name, ..Default::default() }).await,
        };
        last = next.expect("revised").into_inner();
    }
    (first.name, (first.update_time, last.update_time))
}

async fn get(service: &Service, name: &str, read_time: Option<Timestamp>) -> Call {
    let (name, channels) = (name.to_owned(), channels(service.address).await);
    call(move |number| {
        let mut client = MeetingServiceClient::new(channels.of(number));
        let request = GetMeetingRequest { name: name.clone(), read_time, ..Default::default() };
        async move { drop(client.get_meeting(request).await.expect("read")) }
    })
}

async fn page(service: &Service, name: &str, page_token: String) -> Call {
    let (name, channels) = (name.to_owned(), channels(service.address).await);
    call(move |number| {
        let mut client = MeetingServiceClient::new(channels.of(number));
        let page_token = page_token.clone();
        let request = ListMeetingRevisionsRequest { name: name.clone(), page_size: PAGE, page_token };
        async move { drop(client.list_meeting_revisions(request).await.expect("read")) }
    })
}

/// The token of the last page.
async fn token_of_oldest(service: &Service, name: &str) -> String {
    let mut request = ListMeetingRevisionsRequest { name: name.into(), page_size: PAGE, ..Default::default() };
    loop {
        let page = service.meetings.clone().list_meeting_revisions(request.clone()).await.expect("read").into_inner();
        if page.next_page_token.is_empty() {
            return request.page_token;
        }
        request.page_token = page.next_page_token;
    }
}
