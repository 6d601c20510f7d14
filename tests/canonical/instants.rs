//! Times that denote the same instant are one value in every time zone.

use readout::pb::{Account, Article, Date, DateSpan, Dispute, Meeting, TimeOfDay, date_span::Basis};

use crate::support::{
    Refused, Service,
    make::{article, talks},
};

fn day(month: i32, day: i32) -> Option<Date> {
    Some(Date { year: 2020, month, day })
}

fn time(hours: i32) -> Option<TimeOfDay> {
    Some(TimeOfDay { hours, ..Default::default() })
}

fn at(start: Option<Date>, hours: i32, zone: &str) -> DateSpan {
    DateSpan { start, start_time: time(hours), time_zone: zone.into(), ..Default::default() }
}

fn talks_on(date: DateSpan) -> Account {
    Account { date: Some(date), ..talks("Talks") }
}

/// A meeting with one report for each date, of articles published a day apart.
async fn dated(service: &Service, uri: &str, dates: &[DateSpan]) -> Meeting {
    let mut meeting = String::new();
    for (number, date) in (1..).zip(dates) {
        let article = Article { publish_date: day(9, number), ..article(&format!("{uri}:{number}")) };
        let article = service.create_article(article).await;
        match meeting.as_str() {
            "" => meeting = service.create_meeting(&article, talks_on(date.clone())).await.unwrap().name,
            name => drop(service.add_report(name, &article.name, talks_on(date.clone())).await.unwrap()),
        }
    }
    service.meeting(&meeting).await
}

fn fields(disputes: &[Dispute]) -> Vec<&str> {
    disputes.iter().map(|dispute| dispute.field.as_str()).collect()
}

#[tokio::test]
async fn equal_instants_are_not_disputed_and_keep_the_first_wording() {
    let service = Service::start().await;
    let from_to = |start, end, times: [i32; 2], zone: &str| DateSpan {
        end,
        end_time: time(times[1]),
        ..at(start, times[0], zone)
    };
    for (number, dates) in [
        [at(day(9, 4), 10, "Asia/Baku"), at(day(9, 4), 6, "UTC")],
        [at(day(9, 3), 23, "UTC"), at(day(9, 4), 3, "Asia/Baku")],
        [at(day(9, 4), 10, "Asia/Calcutta"), at(day(9, 4), 10, "Asia/Kolkata")],
        [at(day(9, 4), 10, "GMT"), at(day(9, 4), 10, "Etc/UTC")],
        [at(day(9, 4), 10, "Europe/Kiev"), at(day(9, 4), 10, "Europe/Kyiv")],
        [at(day(9, 0), 10, "Europe/Kiev"), at(day(9, 0), 10, "Europe/Kyiv")],
        [at(None, 10, "GMT"), at(None, 10, "UTC")],
        [at(None, 10, "Asia/Calcutta"), at(None, 10, "Asia/Kolkata")],
        [from_to(day(9, 3), day(9, 4), [23, 1], "UTC"), from_to(day(9, 4), None, [3, 5], "Asia/Baku")],
        [
            at(day(12, 31), 20, "America/New_York"),
            DateSpan { start: Some(Date { year: 2021, month: 1, day: 1 }), ..at(None, 1, "UTC") },
        ],
        // A local time that does not occur, and one that occurs twice, at clock changes.
        [DateSpan { start: day(3, 29), ..at(None, 2, "Europe/Berlin") }, at(day(3, 29), 1, "UTC")],
        [at(day(10, 25), 2, "Europe/Berlin"), at(day(10, 25), 0, "UTC")],
    ]
    .into_iter()
    .enumerate()
    {
        let meeting = dated(&service, &format!("urn:{number}"), &dates).await;
        assert_eq!(fields(&meeting.disputes), [""; 0], "{dates:?}");
        assert_eq!(meeting.account.unwrap().date.unwrap(), dates[0]);
        assert_eq!(meeting.settle_version, 4);
    }
}

#[tokio::test]
async fn different_instants_are_disputed() {
    let service = Service::start().await;
    for (number, dates) in [
        [at(day(9, 4), 10, "Asia/Baku"), at(day(9, 4), 10, "UTC")],
        [at(day(9, 4), 3, "Asia/Baku"), at(day(9, 4), 23, "UTC")],
        [at(day(9, 4), 10, "Asia/Baku"), at(day(9, 5), 10, "Asia/Baku")],
        [at(None, 10, "Asia/Baku"), at(None, 10, "Europe/Berlin")],
    ]
    .into_iter()
    .enumerate()
    {
        let meeting = dated(&service, &format!("urn:{number}"), &dates).await;
        assert_eq!(fields(&meeting.disputes), ["date"], "{dates:?}");
    }
}

#[tokio::test]
async fn sources_that_report_the_same_instant_are_counted_together() {
    let service = Service::start().await;
    let dates = [at(day(9, 5), 9, ""), at(day(9, 4), 10, "Asia/Baku"), at(day(9, 4), 6, "UTC")];
    let meeting = dated(&service, "urn", &dates).await;
    assert_eq!(meeting.account.unwrap().date.unwrap(), dates[1]);
    let dispute = &meeting.disputes[0];
    assert_eq!(dispute.values.iter().map(|value| value.independent_source_count).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(dispute.values[0].reports.len(), 2);
}

#[tokio::test]
async fn a_finer_date_of_another_zone_replaces_a_coarse_date() {
    let service = Service::start().await;
    let in_baku = |span: DateSpan| DateSpan { start_time: None, ..span };
    let night = DateSpan { end_time: time(5), ..at(day(9, 4), 3, "Asia/Baku") };
    for (number, dates) in [
        // The date is a day in Baku; only one of the two spellings of the instant has that day.
        vec![in_baku(at(day(9, 4), 0, "Asia/Baku")), at(day(9, 3), 23, "UTC")],
        vec![in_baku(at(day(9, 4), 0, "")), at(day(9, 3), 23, "UTC"), at(day(9, 4), 3, "Asia/Baku")],
        vec![at(day(9, 3), 23, "UTC"), night.clone()],
        vec![at(day(9, 0), 10, "Asia/Baku"), at(day(9, 4), 10, "Asia/Baku")],
    ]
    .into_iter()
    .enumerate()
    {
        let meeting = dated(&service, &format!("urn:{number}"), &dates).await;
        assert_eq!(fields(&meeting.disputes), [""; 0], "{dates:?}");
        assert_eq!(meeting.account.unwrap().date.unwrap(), dates[1]);
    }
}

#[tokio::test]
async fn a_ruling_on_the_same_instant_creates_no_dispute() {
    let service = Service::start().await;
    let meeting = dated(&service, "urn", &[at(day(9, 4), 10, "Asia/Baku")]).await;
    let ruled = service.rule(&meeting.name, talks_on(at(day(9, 4), 6, "UTC")), &["account.date"]).await.unwrap();
    assert_eq!(fields(&ruled.disputes), [""; 0]);
    assert_eq!(ruled.account.unwrap().date.unwrap(), at(day(9, 4), 6, "UTC"));
}

#[tokio::test]
async fn a_span_past_midnight_is_refused_only_on_a_single_full_date() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:a")).await;
    let night = |start, end| DateSpan { start, end, start_time: time(22), end_time: time(2), ..Default::default() };
    for (number, span) in [
        night(None, None),
        night(day(9, 0), None),
        night(day(0, 0), None),
        night(day(9, 0), day(9, 0)),
        night(day(9, 4), day(9, 5)),
        night(day(9, 4), day(9, 0)),
        DateSpan { time_zone: "Asia/Baku".into(), ..night(day(9, 0), None) },
        // Clocks go back from 3 to 2.
        DateSpan {
            start: day(10, 25),
            start_time: Some(TimeOfDay { hours: 2, minutes: 50, ..Default::default() }),
            end_time: time(2),
            time_zone: "Europe/Berlin".into(),
            basis: Basis::Stated.into(),
            ..Default::default()
        },
    ]
    .into_iter()
    .enumerate()
    {
        let account = Account { title: format!("Talks {number}"), ..talks_on(span.clone()) };
        let meeting = service.create_meeting(&source, account).await.unwrap();
        assert_eq!(meeting.account.unwrap().date, Some(span));
    }
    for span in [
        night(day(9, 4), None),
        night(day(9, 4), day(9, 4)),
        DateSpan { time_zone: "Asia/Baku".into(), ..night(day(10, 25), None) },
    ] {
        let refused = service.create_meeting(&source, talks_on(span)).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::invalid(["meeting.account.date.end_time"]));
    }
}
