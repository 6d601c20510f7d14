//! Reads that share a query, and connections that are cut under them.

use futures_util::future::join_all;
use readout::pb::{
    Account, CreateArticleRequest, CreateMeetingRequest, GetArticleRequest, GetMeetingRequest, GetParticipantRequest,
    Meeting, Statement, View,
};
use tonic::Code;

use crate::support::{Service, make};

#[tokio::test]
async fn reads_at_the_same_time_are_each_answered_with_their_own() {
    let service = Service::start().await;
    let (article, meeting) = service.article_and_meeting().await;
    let mut people = Vec::new();
    for number in 0..20 {
        people.push(service.add_person(&format!("Person {number}")).await.0);
    }
    let read = |number: usize| {
        let (mut client, person) = (service.participants.clone(), &people[number % people.len()]);
        async move {
            let request = GetParticipantRequest { name: person.name.clone(), ..Default::default() };
            assert_eq!(client.get_participant(request).await.expect("it is there").get_ref(), person);
        }
    };
    let missing = |_| async {
        let request = GetParticipantRequest { name: article.replace("articles", "participants"), ..Default::default() };
        let missing = service.participants.clone().get_participant(request).await.expect_err("of an article");
        assert_eq!(missing.code(), Code::NotFound);
    };
    let of_article = |_| async {
        let request = GetArticleRequest { name: article.clone(), ..Default::default() };
        let read = service.articles.clone().get_article(request).await.expect("it is there").into_inner();
        assert_eq!((read.name, read.text.as_str()), (article.clone(), make::TEXT));
    };
    let of_meeting = |number: usize| {
        let (service, name) = (&service, meeting.clone());
        async move {
            let view = if number.is_multiple_of(2) { View::Full } else { View::Basic };
            let request = GetMeetingRequest { name: name.clone(), view: view.into(), ..Default::default() };
            assert_eq!(service.meetings.clone().get_meeting(request).await.expect("it is there").get_ref().name, name);
        }
    };
    tokio::join!(
        join_all((0..300).map(read)),
        join_all((0..20).map(missing)),
        join_all((0..20).map(of_article)),
        join_all((0..20).map(of_meeting)),
    );
}

/// Together these are more than a batch may have.
#[tokio::test]
async fn large_meetings_are_read_whole_at_the_same_time() {
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
async fn connections_that_were_cut_fail_neither_reads_of_one_record_nor_writes() {
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
        let read = service.participants.clone().get_participant(request).await.expect("it is there");
        assert_eq!(*read.get_ref(), person);
        service.add_person(&format!("Person {number}")).await;
    }
}
