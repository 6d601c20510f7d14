//! A scenario: a visit in six reports whose sources disagree, copy and correct each other, read at every step.
//!
//! In 2020 a Russian minister visits Baku. One newspaper dates the visit to 24 August; others, among them its own author,
//! date it to the 25th. The minister's deputy comes for talks, for which that newspaper only knows the date of the
//! announcement. The same two men met at the same place a year before.

use prost_types::{Timestamp, Value, value::Kind as Json};
use readout::pb::{
    Account, Article, Date, DateSpan, Dispute, ErrorReason, GetMeetingRequest, ListMeetingsRequest, Meeting, Office,
    Participant, Participation, Place, Report, RetractReportRequest, account::Kind, account::Status, date_span::Basis,
    dispute::Rule, participant_name, participation::Role,
};
use tonic::{Code, Response};

use crate::support::{
    Refused, Service,
    make::{person, present},
};

fn day(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

fn span(start: Option<Date>, basis: Basis) -> Option<DateSpan> {
    Some(DateSpan { start, basis: basis.into(), ..Default::default() })
}

/// The disputed days, the chosen one first: each with its number of reports and of independent sources.
fn days(dispute: &Dispute) -> Vec<(i32, usize, i32)> {
    let field = |value: &Value, name: &str| match &value.kind {
        Some(Json::StructValue(fields)) => fields.fields.get(name).cloned(),
        _ => None,
    };
    let day = |value: &Value| match field(&field(value, "start")?, "day")?.kind {
        Some(Json::NumberValue(day)) => Some(day as i32),
        _ => None,
    };
    let mut values = dispute.values.clone();
    values.swap(0, usize::try_from(dispute.chosen).expect("an index"));
    let counts = |value: &readout::pb::dispute::Value| {
        (value.value.as_ref().and_then(day).unwrap_or(0), value.reports.len(), value.independent_source_count)
    };
    values.iter().map(counts).collect()
}

fn start(meeting: &Meeting) -> (Option<Date>, Basis) {
    let date = meeting.account.as_ref().and_then(|account| account.date.clone()).unwrap_or_default();
    (date.start, date.basis())
}

/// A news desk: its service, the participants it knows, and the history of its meetings.
struct Desk {
    service: Service,
    shoigu: Participant,
    veliyev: Participant,
    tsalikov: Participant,
    /// All meetings after each step, with the time of the last update.
    history: Vec<(Timestamp, Vec<Meeting>)>,
}

impl Desk {
    async fn open() -> Self {
        let service = Service::start().await;
        let mut veliyev = person("Kerim Veliyev", "AZ");
        let german = readout::pb::ParticipantName {
            text: "Karim Valiyev".into(),
            language_code: "de".into(),
            ..Default::default()
        };
        veliyev
            .names
            .push(readout::pb::ParticipantName { kind: participant_name::Kind::Transliteration.into(), ..german });
        let shoigu = service.create_participant(person("Sergey Shoigu", "RU")).await;
        let veliyev = service.create_participant(veliyev).await;
        let tsalikov = service.create_participant(person("Ruslan Tsalikov", "RU")).await;
        Self { service, shoigu, veliyev, tsalikov, history: Vec::new() }
    }

    async fn publish(&self, uri: &str, published: Option<Date>, text: &str) -> Article {
        let article = Article { uri: uri.into(), publish_date: published, text: text.into(), ..Default::default() };
        self.service.create_article(article).await
    }

    fn visit(&self, start: Option<Date>) -> Account {
        Account {
            kind: Kind::Visit.into(),
            status: Status::Held.into(),
            title: "The minister visits Baku".into(),
            date: span(start, Basis::Stated),
            participations: vec![Participation {
                office: Some(Office { title: "Minister of Defence".into(), seniority: 2, ..Default::default() }),
                region_code: "RU".into(),
                ..present("guest", &self.shoigu.name)
            }],
            ..Default::default()
        }
    }

    fn talks(&self, host: &str, date: Option<DateSpan>) -> Account {
        let role = |role: Role| vec![role.into()];
        Account {
            kind: Kind::Talks.into(),
            status: Status::Held.into(),
            title: "Talks at the naval headquarters".into(),
            date,
            place: Some(Place { locality: "Baku".into(), region_code: "AZ".into(), ..Default::default() }),
            participations: vec![
                Participation {
                    name_as_written: host.into(),
                    roles: role(Role::Host),
                    region_code: "AZ".into(),
                    ..present("host", &self.veliyev.name)
                },
                Participation {
                    roles: role(Role::Visitor),
                    region_code: "RU".into(),
                    ..present("guest", &self.tsalikov.name)
                },
            ],
            ..Default::default()
        }
    }

    /// Records the state of all meetings after a step.
    async fn record_step(&mut self) {
        let request = ListMeetingsRequest { show_deleted: true, ..Default::default() };
        let list = self.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        let mut all = Vec::new();
        for meeting in list.meetings {
            all.push(self.service.meeting(&meeting.name).await);
        }
        let key = |time: &Timestamp| (time.seconds, time.nanos);
        let latest = all.iter().filter_map(|meeting| meeting.update_time).max_by_key(key).unwrap();
        self.history.push((latest, all));
    }

    async fn at(&self, name: &str, time: Timestamp) -> Result<Meeting, Refused> {
        let request = GetMeetingRequest { name: name.into(), read_time: Some(time), ..Default::default() };
        self.service.meetings.clone().get_meeting(request).await.map(Response::into_inner).map_err(Refused::from)
    }

    async fn report(&self, meeting: &Meeting, article: &Article, account: Account) -> Report {
        self.service.add_report(&meeting.name, &article.name, account).await.unwrap()
    }

    async fn matching(&self, filter: &str) -> Vec<String> {
        let request = ListMeetingsRequest { filter: filter.into(), ..Default::default() };
        let list = self.service.meetings.clone().list_meetings(request).await.unwrap().into_inner();
        list.meetings.into_iter().map(|meeting| meeting.name).collect()
    }
}

const AGENCY: &str = "The Russian defence minister came to Baku on 25 August and opened the Sea Cup contest together \
    with his host. The contest belongs to this year's army games, in which crews of several countries take part. At the \
    naval base the two ministers watched the parade of the ships, and spoke about the next steps of the cooperation \
    between their armies. In the afternoon the president received the guest and said that such contests bring those \
    together who take part in them. The delegation left in the evening, the ministry told the agency.";

#[tokio::test]
async fn visit_in_six_reports_settles_disputes_and_corrections_at_each_step() {
    let mut desk = Desk::open().await;

    // One: the newspaper of 4 September reports a visit on 24 August.
    let newspaper = desk
        .publish(
            "https://news.example/4",
            day(2020, 9, 4),
            "Veliyev received Tsalikov, the ministry said on September 3. Shoigu visited Baku on August 24.",
        )
        .await;
    let visit = desk.service.create_meeting(&newspaper, desk.visit(day(2020, 8, 24))).await.unwrap();
    desk.record_step().await;

    // Two: an agency reports the 25th. It was published first, so its date is chosen.
    let agency = desk.publish("https://agency.example/1", day(2020, 8, 26), AGENCY).await;
    desk.report(&visit, &agency, desk.visit(day(2020, 8, 25))).await;
    desk.record_step().await;
    let disputed = desk.service.meeting(&visit.name).await;
    assert_eq!((disputed.disputes.len(), disputed.disputes[0].field.as_str()), (1, "date"));
    assert_eq!(
        (days(&disputed.disputes[0]), disputed.disputes[0].rule()),
        (vec![(25, 1, 1), (24, 1, 1)], Rule::EarliestPublished)
    );
    assert_eq!(desk.matching("has_dispute = true").await, std::slice::from_ref(&visit.name));

    // Three: a copy of the agency's text is another report, but no other independent source.
    let copy = desk.publish("https://reprint.example/1", day(2020, 8, 27), &AGENCY.to_uppercase()).await;
    assert_eq!(copy.origin, agency.name);
    desk.report(&visit, &copy, desk.visit(day(2020, 8, 25))).await;
    desk.record_step().await;
    let copied = desk.service.meeting(&visit.name).await;
    assert_eq!((copied.report_count, copied.independent_source_count), (3, 2));
    assert_eq!(
        (days(&copied.disputes[0]), copied.disputes[0].rule()),
        (vec![(25, 2, 1), (24, 1, 1)], Rule::EarliestPublished)
    );

    // Four: the newspaper also reports talks, whose day is inferred from their announcement.
    let inferred = span(day(2020, 9, 3), Basis::InferredFromAnnouncement);
    let talks = desk.service.create_meeting(&newspaper, desk.talks("Kerim Veliyev", inferred)).await.unwrap();
    desk.record_step().await;
    assert_eq!(start(&talks), (day(2020, 9, 3), Basis::InferredFromAnnouncement));
    assert!(desk.matching("independent_source_count < 2").await.contains(&talks.name));

    // Five: a German article reports the same talks. It spells the host differently and states the day.
    let german =
        desk.publish("https://agentur.example/3", day(2020, 9, 3), "Valiyev empfing Zalikow am 3. September.").await;
    desk.report(&talks, &german, desk.talks("Karim Valiyev", span(day(2020, 9, 3), Basis::Stated))).await;
    desk.record_step().await;
    let twins = desk.service.meeting(&talks.name).await;
    assert_eq!(start(&twins), (day(2020, 9, 3), Basis::Stated));
    assert_eq!((twins.disputes.len(), twins.account.as_ref().unwrap().participations.len()), (0, 2));
    assert_eq!((twins.report_count, twins.independent_source_count), (2, 2));

    // Six: a report of the same men at the same place a year before is another meeting.
    let before =
        desk.publish("https://news.example/2019", day(2019, 8, 15), "Veliyev met Tsalikov on 14 August.").await;
    let lookalike = desk.talks("Kerim Veliyev", span(day(2019, 8, 14), Basis::Stated));
    let lookalike = desk.service.create_meeting(&before, lookalike).await.unwrap();
    desk.record_step().await;
    let of_both = format!("participant = \"{}\"", desk.veliyev.name);
    assert_eq!(desk.matching(&of_both).await, [talks.name.clone(), lookalike.name.clone()]);

    // A curator decides by a ruling with a reason. The dispute between the sources remains.
    let ruled = desk.service.rule(&visit.name, desk.visit(day(2020, 8, 24)), &["account.date"]).await.unwrap();
    desk.record_step().await;
    assert_eq!(start(&ruled).0, day(2020, 8, 24));
    assert_eq!((days(&ruled.disputes[0]), ruled.disputes[0].rule()), (vec![(24, 1, 1), (25, 2, 1)], Rule::Ruling));
    let ruling = desk.service.reports_of(&visit.name).await.into_iter().find(|report| report.ruling.is_some()).unwrap();
    assert_eq!(ruling.ruling.unwrap().reason, "the ministry's own calendar");

    // The retraction of the ruling restores the account and the dispute.
    desk.service.retract_report(&ruling.name).await.unwrap();
    desk.record_step().await;
    let withdrawn = desk.service.meeting(&visit.name).await;
    assert_eq!((&withdrawn.account, &withdrawn.disputes), (&copied.account, &copied.disputes));

    // The newspaper's report is retracted as wrong, which ends the dispute.
    let wrong =
        desk.service.reports_of(&newspaper.name).await.into_iter().find(|report| report.meeting == visit.name).unwrap();
    let request = RetractReportRequest {
        name: wrong.name,
        reason: "the author dates it otherwise".into(),
        correcting_article: agency.name.clone(),
        ..Default::default()
    };
    desk.service.meetings.clone().retract_report(request).await.unwrap();
    desk.record_step().await;
    let corrected = desk.service.meeting(&visit.name).await;
    assert_eq!((start(&corrected).0, corrected.disputes.len()), (day(2020, 8, 25), 0));
    assert_eq!((corrected.report_count, corrected.independent_source_count), (2, 1));

    // The two talks are merged by mistake, which causes a dispute, and split again.
    let merged = desk.service.merge(&talks.name, &[&lookalike.name]).await.unwrap();
    desk.record_step().await;
    assert_eq!((merged.report_count, merged.disputes[0].field.as_str()), (3, "date"));
    assert_eq!(desk.matching(&of_both).await, std::slice::from_ref(&talks.name));
    desk.service.split(&talks.name, &[], &lookalike.name).await.unwrap();
    desk.record_step().await;
    let plain = |meeting: Meeting| Meeting { etag: String::new(), revision: 0, update_time: None, ..meeting };
    assert_eq!(plain(desk.service.meeting(&talks.name).await), plain(twins));
    assert_eq!(plain(desk.service.meeting(&lookalike.name).await), plain(lookalike.clone()));

    // A read at the time of each step returns every meeting as it was.
    assert_eq!(desk.history.len(), 11);
    for (time, meetings) in &desk.history {
        for meeting in meetings {
            assert_eq!(desk.at(&meeting.name, *time).await.as_ref(), Ok(meeting));
        }
        let exists = meetings.iter().any(|meeting| meeting.name == lookalike.name);
        let not_found = Refused::with(Code::NotFound, ErrorReason::ResourceNotFound);
        assert_eq!(desk.at(&lookalike.name, *time).await.err(), (!exists).then_some(not_found));
    }
}
