//! The cost of settling alone, without a service: 200 reports of ten participations each.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use chrono::NaiveDate;
use readout::{
    model::{
        participant::NO_PERSONS,
        settle::{SourceReport, settle},
    },
    pb::{Account, Date, DateSpan, Delegation, Office, Participation, Place, Report},
};
use uuid::Uuid;

use super::table::Table;

const REPORTS: u32 = 200;
const PARTICIPATIONS: u128 = 10;
const RUNS: usize = 51;

/// The report with this number. `own` varies its words.
fn report(number: u32, own: impl Fn(&str) -> String) -> Report {
    let participations = (0..PARTICIPATIONS).map(|number| Participation {
        id: format!("p{number}"),
        participant: format!("participants/{}", Uuid::from_u128(number)),
        name_as_written: own(&format!("Kərim Vəliyev {number}")),
        office: Some(Office {
            title: own("First Deputy Minister of Defense, Chief of the General Staff"),
            organization: "Ministry of Defense of the Republic of Azerbaijan".into(),
            region_code: "AZ".into(),
            seniority: 3,
        }),
        rank: own("Colonel General"),
        region_code: "AZ".into(),
        presence: 1,
        delegation: format!("d{}", number % 2),
        ..Default::default()
    });
    let delegations = ["AZ", "RU"].iter().enumerate().map(|(at, region)| Delegation {
        id: format!("d{at}"),
        label: own("the delegation"),
        region_code: (*region).into(),
        ..Default::default()
    });
    let day = Some(Date { year: 2020, month: 8, day: 24 });
    let account = Account {
        kind: 1,
        status: 2,
        title: own("Talks on military cooperation"),
        summary: own("They discussed military and technical cooperation, and praised mutual trust."),
        topics: vec!["military-cooperation".into()],
        date: Some(DateSpan { start: day, ..Default::default() }),
        place: Some(Place { locality: own("Baku"), region_code: "AZ".into(), ..Default::default() }),
        delegations: delegations.collect(),
        participations: participations.collect(),
        initiator: "p0".into(),
        ..Default::default()
    };
    let content_hash = format!("{number:064x}");
    Report { name: format!("reports/{number}"), content_hash, account: Some(account), ..Default::default() }
}

fn measure_reports(table: &mut Table, figure: &str, own: impl Fn(u32, &str) -> String) {
    let reports: Vec<Report> = (0..REPORTS).map(|number| report(number, |words| own(number, words))).collect();
    let uris: Vec<String> = (0..REPORTS).map(|number| format!("https://example.org/{number}")).collect();
    let inputs: Vec<SourceReport<'_>> = (0..)
        .zip(reports.iter().zip(&uris))
        .map(|(number, (report, uri))| SourceReport {
            report,
            origin: Uuid::from_u128(number),
            publish_date: NaiveDate::from_ymd_opt(2020, 9, 4),
            uri,
            persons: &NO_PERSONS,
        })
        .collect();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            black_box(settle(black_box(&inputs), &[]));
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    table.bound(figure, times[RUNS / 2].as_secs_f64() * 1_000.0, "ms", 1.0);
}

pub fn measure(table: &mut Table) {
    measure_reports(table, "settle of 200 reports that agree", |_, words| words.to_owned());
    measure_reports(table, "settle of 200 reports in ten wordings", |number, words| format!("{words} {}", number % 10));
    measure_reports(table, "settle of 200 reports, each in words of its own", |number, words| {
        format!("{words} {number}")
    });
}
