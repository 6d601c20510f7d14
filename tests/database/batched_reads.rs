//! Concurrent reads that share one database query, and database connections that are cut.

use futures_util::future::join_all;
use readout::pb::{
    Account, CreateArticleRequest, CreateMeetingRequest, GetArticleRequest, GetMeetingRequest, GetParticipantRequest,
    Meeting, Statement, View,
};
use tonic::Code;

use crate::support::{Service, make};

#[tokio::test]
async fn concurrent_reads_each_get_their_own_record() {
    let service = Service::start().await;
    let (article, meeting) = service.article_and_meeting().await;
    let mut people = Vec::new();
    for number in 0..20 {
        people.push(service.add_person(&format!("Person {number}")).await.0);
    }
    let read_person = |number: usize| {
        let (mut client, person) = (service.participants.clone(), &people[number % people.len()]);
        async move {
            let request = GetParticipantRequest { name: person.name.clone(), ..Default::default() };
            assert_eq!(client.get_participant(request).await.expect("the record exists").get_ref(), person);
        }
    };
    let read_missing = |_| async {
        let request = GetParticipantRequest { name: article.replace("articles", "participants"), ..Default::default() };
        let missing =
            service.participants.clone().get_participant(request).await.expect_err("the id belongs to an article");
        assert_eq!(missing.code(), Code::NotFound);
    };
    let read_article = |_| async {
        let request = GetArticleRequest { name: article.clone(), ..Default::default() };
        let read = service.articles.clone().get_article(request).await.expect("the record exists").into_inner();
        assert_eq!((read.name, read.text.as_str()), (article.clone(), make::TEXT));
    };
    let read_meeting = |number: usize| {
        let (service, name) = (&service, meeting.clone());
        async move {
            let view = if number.is_multiple_of(2) { View::Full } else { View::Basic };
            let request = GetMeetingRequest { name: name.clone(), view: view.into(), ..Default::default() };
            assert_eq!(
                service.meetings.clone().get_meeting(request).await.expect("the record exists").get_ref().name,
                name
            );
        }
    };
    tokio::join!(
        join_all((0..300).map(read_person)),
        join_all((0..20).map(read_missing)),
        join_all((0..20).map(read_article)),
        join_all((0..20).map(read_meeting)),
    );
}

/// Together these meetings exceed the size limit of a batch.
#[tokio::test]
async fn concurrent_reads_of_large_meetings_return_them_complete() {
    let service = Service::start().await;
    let article = CreateArticleRequest { article: Some(make::article("urn:large")), ..Default::default() };
    let source_article = service.articles.clone().create_article(article).await.expect("created").into_inner().name;
    let mut meetings = Vec::new();
    for number in 0..5 {
        let statement = |at| Statement { id: format!("s{at}"), text: "x".repeat(8_000), ..Default::default() };
        let statements = (0..300).map(statement).collect();
        let account = Account { statements, ..make::talks(&format!("Talks {number}")) };
        let meeting = Some(Meeting { account: Some(account), ..Default::default() });
        let request = CreateMeetingRequest { meeting, source_article: source_article.clone(), ..Default::default() };
        meetings.push(service.meetings.clone().create_meeting(request).await.expect("created").into_inner());
    }
    let read = join_all((0..20).map(|number| service.meeting(&meetings[number % 5].name))).await;
    assert!(read.iter().enumerate().all(|(number, meeting)| *meeting == meetings[number % 5]));
}

#[tokio::test]
async fn cut_connections_fail_neither_single_reads_nor_writes() {
    let service = Service::start().await;
    let (person, _) = service.add_person("Kerim Veliyev").await;
    for number in 0..5 {
        service
            .execute(
                "select pg_terminate_backend(pid, 10000)
                 from pg_stat_activity
                 where datname = current_database()
                   and application_name = 'readout'
                   and pid <> pg_backend_pid()",
            )
            .await;
        let request = GetParticipantRequest { name: person.name.clone(), ..Default::default() };
        let read = service.participants.clone().get_participant(request).await.expect("the record exists");
        assert_eq!(*read.get_ref(), person);
        service.add_person(&format!("Person {number}")).await;
    }
}
