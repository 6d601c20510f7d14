//! The FULL view of a meeting has as many statements as fit; ListStatements has all.

use prost::Message;
use readout::pb::{
    Account, BatchGetMeetingsRequest, ErrorReason, Link, ListMeetingsRequest, ListStatementsRequest, Meeting, Outcome,
    Statement, View, link, outcome,
};
use tonic::Code;

use super::{MAX_MESSAGE, assert_fits, figure};
use crate::support::{
    Refused, Service,
    make::{article, labels, talks},
};

fn statement(id: usize, bytes: usize) -> Statement {
    Statement { id: id.to_string(), text: "s".repeat(bytes), ..Default::default() }
}

/// A meeting of six reports of 100 statements: 4.9 MB.
async fn talkative(service: &Service, uri: &str) -> Meeting {
    let mut meeting = Meeting::default();
    for report in 0..6 {
        let source = service.create_article(article(&format!("{uri}:{report}"))).await;
        let statements = (0..100).map(|id| statement(id, 8_000)).collect();
        let outcomes = vec![Outcome { kind: outcome::Kind::Plan.into(), ..Default::default() }];
        let link = Link {
            kind: link::Kind::PartOf.into(),
            meeting: format!("meetings/{}", uuid::Uuid::nil()),
            ..Default::default()
        };
        let account = Account { statements, outcomes, links: vec![link], ..talks("Talks") };
        if report == 0 {
            meeting = service.create_meeting(&source, account).await.unwrap();
        } else {
            service.add_report(&meeting.name, &source.name, account).await.unwrap();
        }
    }
    meeting
}

/// Asserts that the view has all that fits, and says what it lacks.
#[track_caller]
fn assert_is_cut(meeting: &Meeting) {
    assert_fits(meeting);
    assert!(meeting.encoded_len() > MAX_MESSAGE - 20_000, "{} bytes", meeting.encoded_len());
    let (account, omission) = (meeting.account.as_ref().unwrap(), meeting.omission.unwrap());
    let counts = |taken: usize, omitted: i32| taken + omitted as usize;
    assert_eq!(counts(account.statements.len(), omission.statement_count), 600);
    assert_eq!(counts(account.outcomes.len(), omission.outcome_count), 6);
    assert_eq!(counts(account.links.len(), omission.link_count), 6);
    // The first four reports are whole, the fifth is cut, the sixth has nothing.
    assert_eq!((account.outcomes.len(), account.links.len(), omission.record_bytes), (4, 4, 0));
    assert!((401..500).contains(&account.statements.len()));
    let sixth = &account.statements[0].report;
    assert!(account.statements[..100].iter().all(|statement| statement.report == *sixth));
}

#[tokio::test]
async fn full_view_has_the_statements_that_fit_and_counts_the_others() {
    let service = Service::start().await;
    let name = talkative(&service, "urn:a").await.name;
    let whole = service.meeting(&name).await;
    assert_is_cut(&whole);

    // The answer to a write, a page and a stream have the same.
    let labelled = Meeting { labels: labels(&[("desk", "a")]), ..whole.clone() };
    assert_is_cut(&service.update_meeting(labelled, &["labels"]).await.unwrap());
    let request = ListMeetingsRequest { view: View::Full.into(), ..Default::default() };
    let page = service.meetings.clone().list_meetings(request.clone()).await.unwrap().into_inner();
    assert_fits(&page);
    assert_is_cut(&page.meetings[0]);
    let mut stream = service.meetings.clone().stream_meetings(request).await.unwrap().into_inner();
    let page = stream.message().await.unwrap().unwrap();
    assert_fits(&page);
    assert_is_cut(&page.meetings[0]);

    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListStatementsRequest { page_size: 1_000, page_token, ..Default::default() };
        let page = service.meetings.clone().list_statements(request).await.unwrap().into_inner();
        assert_fits(&page);
        ids.extend(page.results.into_iter().map(|result| result.statement.unwrap().id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 600);
    // The omission is not stored: the revisions that the label made differ in the label only.
    let stored = service.count("select max(octet_length(doc))::bigint from meeting").await;
    assert!(stored < 1_000, "{stored}");
}

#[tokio::test]
async fn batch_get_refuses_full_views_that_do_not_fit_together() {
    let service = Service::start().await;
    let first = talkative(&service, "urn:a").await.name;
    let source = service.create_article(article("urn:b")).await;
    let small = service.create_meeting(&source, talks("Small")).await.unwrap().name;
    let batch = async |names: &[&String], view: View| {
        let names = names.iter().map(|name| (*name).clone()).collect();
        let request = BatchGetMeetingsRequest { names, view: view.into(), ..Default::default() };
        service.meetings.clone().batch_get_meetings(request).await
    };
    let both = batch(&[&first, &small], View::Basic).await.unwrap().into_inner();
    assert_eq!(both.meetings.len(), 2);
    let refusal = batch(&[&first, &first], View::Full).await.unwrap_err();
    assert!(figure(&refusal, "bytes") > 7_900_000);
    assert_eq!(figure(&refusal, "limit_bytes"), MAX_MESSAGE);
    assert_eq!(Refused::from(refusal), Refused::with(Code::ResourceExhausted, ErrorReason::MessageTooLarge));
}

#[tokio::test]
async fn full_view_leaves_out_report_names_of_disputes_that_do_not_fit() {
    use readout::pb::{Participation, StoryReport};

    use crate::support::make::{ingest, named, story};

    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    // 300 people whose ranks and regions 150 reports dispute: 90,000 report names of 47 bytes.
    let account = |number: usize| {
        let person = |at: usize| Participation {
            rank: format!("rank {}", number % 2),
            region_code: if number.is_multiple_of(2) { "AZ" } else { "TR" }.into(),
            ..named(&at.to_string(), &format!("Person {at}"))
        };
        Account { participations: (0..300).map(person).collect(), ..talks(&format!("Talks {number}")) }
    };
    let meeting = service.create_meeting(&source, account(0)).await.unwrap().name;
    for chunk in 0..15 {
        let mut more = story(&format!("urn:{chunk}"), &[]);
        let report = |at: usize| StoryReport {
            meeting: meeting.clone(),
            key: format!("r{at}"),
            account: Some(account(1 + chunk * 10 + at)),
            ..Default::default()
        };
        more.reports = (0..10).map(report).collect();
        service.ingest.clone().ingest_story(ingest(more)).await.unwrap();
    }
    let full = service.meeting(&meeting).await;
    assert_fits(&full);
    let named: usize = full.disputes.iter().flat_map(|dispute| &dispute.values).map(|value| value.reports.len()).sum();
    assert_eq!(full.disputes.len(), 600);
    assert!(named > 10_000, "{named}");
    assert_eq!(named + full.omission.unwrap().dispute_report_count as usize, 600 * 151);
}
