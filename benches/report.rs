//! Reports: one more is added to meetings that have two hundred, each from an article of its own.

use std::time::{Duration, Instant};

use readout::pb::{
    Account, AddReportRequest, CreateArticleRequest, CreateMeetingRequest, Meeting, Office, Participation, Report,
    Statement,
};

use super::{
    load::{millis, next_number, percentile},
    make::{TEXT, article, present, talks},
    participant::create_many,
    service::Service,
    table::Table,
};

const MEETINGS: usize = 5;
const REPORTS: usize = 200;
/// Reports that are added to each meeting and measured: few compared with those that it has.
const ADDED: usize = 40;

pub async fn measure(table: &mut Table) {
    let service = Service::start().await;
    let people = create_many(&service, 5).await;
    let people: Vec<String> = people.into_iter().take(5).map(|person| person.name).collect();
    let mut latencies: Vec<Duration> = Vec::new();
    for _ in 0..MEETINGS {
        let meeting = meeting(&service, &people).await;
        for at in 1..REPORTS + ADDED {
            let request = report(&service, &people, &meeting).await;
            let begin = Instant::now();
            service.meetings.clone().add_report(request).await.expect("added");
            if at >= REPORTS {
                latencies.push(begin.elapsed());
            }
        }
    }
    let figure = "AddReport to a meeting of 200 reports, 1 in flight, p50";
    table.bound(figure, millis(percentile(&mut latencies, 0.5)), "ms", 5.0);
    service.stop().await;
}

async fn source(service: &Service) -> String {
    let article = Some(article(&format!("urn:bench:{}", next_number())));
    let request = CreateArticleRequest { article, ..Default::default() };
    service.articles.clone().create_article(request).await.expect("created").into_inner().name
}

/// Talks of five people with three statements. Some fields differ from report to report.
fn account(people: &[String]) -> Account {
    let number = next_number();
    let participation = |(at, name): (usize, &String)| Participation {
        name_as_written: format!("Spelling {}", number % 7),
        office: Some(Office { title: format!("Minister {}", number % 5), seniority: 2, ..Default::default() }),
        ..present(&format!("p{at}"), name)
    };
    let statement = |id: &str| Statement {
        id: id.into(),
        speakers: vec!["p0".into()],
        text: TEXT.into(),
        verb: "stressed".into(),
        ..Default::default()
    };
    Account {
        participations: people.iter().enumerate().map(participation).collect(),
        statements: ["s1", "s2", "s3"].map(statement).into(),
        ..talks(&format!("Talks {number}"))
    }
}

async fn meeting(service: &Service, people: &[String]) -> String {
    let meeting = Some(Meeting { account: Some(account(people)), ..Default::default() });
    let request = CreateMeetingRequest { meeting, source_article: source(service).await, ..Default::default() };
    service.meetings.clone().create_meeting(request).await.expect("created").into_inner().name
}

async fn report(service: &Service, people: &[String], meeting: &str) -> AddReportRequest {
    let report = Report { article: source(service).await, account: Some(account(people)), ..Default::default() };
    AddReportRequest { meeting: meeting.into(), report: Some(report), ..Default::default() }
}
