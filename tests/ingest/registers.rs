//! Registers: official lists of meetings, of which each row is a report of one article.

use std::collections::BTreeMap;

use readout::{
    cli::json,
    pb::{
        Account, AggregateMeetingsRequest, ErrorReason, GetMeetingRequest, IngestStoryRequest, IngestStoryResponse,
        ListMeetingsRequest, ListReportsRequest, Meeting, ParticipantMatching, Statement, Story, StoryReport,
        ingest_story_request::MeetingMatching, ingest_story_response::Outcome, report::Prominence,
    },
};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Refused, Service,
    make::{article, day, ingest, keyed, person, present, settled_person, story, talks},
    reason_of,
};

fn parse(story: &Value) -> Story {
    json::parse("readout.v1.Story", &story.to_string()).unwrap()
}

async fn send(service: &Service, story: Story) -> IngestStoryResponse {
    service.ingest.clone().ingest_story(ingest(story)).await.unwrap().into_inner()
}

async fn refused(service: &Service, story: Story) -> Refused {
    service.ingest.clone().ingest_story(ingest(story)).await.unwrap_err().into()
}

async fn meeting(service: &Service, name: &str) -> Meeting {
    let request = GetMeetingRequest { name: name.into(), ..Default::default() };
    service.meetings.clone().get_meeting(request).await.unwrap().into_inner()
}

async fn count(service: &Service, filter: &str) -> usize {
    let request = ListMeetingsRequest { filter: filter.into(), page_size: 1_000, ..Default::default() };
    service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings.len()
}

/// The number of meetings of each group.
async fn groups(service: &Service, word: &str) -> BTreeMap<String, i32> {
    let request = AggregateMeetingsRequest { group_by: vec![word.into()], ..Default::default() };
    let groups = service.meetings.clone().aggregate_meetings(request).await.unwrap().into_inner().groups;
    groups.into_iter().map(|mut group| (group.keys.remove(word).unwrap(), group.meeting_count)).collect()
}

/// A register of a minister, who meets another organization in each row.
pub fn register(uri: &str, rows: usize) -> Story {
    let mut story = Story { article: Some(article(uri)), ..Default::default() };
    let organization = |at: usize| {
        let kind = readout::pb::participant::Kind::Organization.into();
        readout::pb::Participant { kind, ..person(&format!("Council of Example {at}"), "AU") }
    };
    story.participants.push(keyed("m", person("Minister for Trade", "AU")));
    // A story has at most 1,000 participants.
    story.participants.extend((1..rows.min(1_000)).map(|at| keyed(&format!("o{at}"), organization(at))));
    let participants = story.participants.len();
    story.reports = (0..rows)
        .map(|row| {
            let other = format!("#o{}", 1 + row % (participants - 1));
            let participations = vec![present("m", "#m"), present("o", &other)];
            let date = day(2016, 1 + (row / 28 % 12) as i32, 1 + (row % 28) as i32);
            let account = Account { participations, date, ..talks(&format!("row {row}")) };
            StoryReport { key: format!("r{row}"), account: Some(account), ..Default::default() }
        })
        .collect();
    story
}

#[tokio::test]
async fn register_of_a_thousand_rows_is_one_article() {
    let service = Service::start().await;
    let begun = std::time::Instant::now();
    let answer = send(&service, register("urn:register", 1_000)).await;
    println!("1,000 rows were written in {:?}", begun.elapsed());
    assert_eq!(answer.meetings.len(), 1_000);
    assert!(answer.meetings.iter().all(|meeting| meeting.outcome() == Outcome::Created));
    assert_eq!(count(&service, "").await, 1_000);
    let request = ListReportsRequest { article: answer.article.clone(), page_size: 1_000, ..Default::default() };
    let listed = service.meetings.clone().list_reports(request).await.unwrap().into_inner();
    assert_eq!(listed.reports.len(), 1_000);
    let last = meeting(&service, &answer.meetings[999].meeting).await;
    assert_eq!(last.account.unwrap().title, "row 999");

    let begun = std::time::Instant::now();
    let again = send(&service, register("urn:register", 1_000)).await;
    println!("1,000 rows were matched in {:?}", begun.elapsed());
    assert!(again.meetings.iter().zip(&answer.meetings).all(|(again, first)| again.report == first.report));

    // The same meetings, told by another register.
    let same = MeetingMatching::Same.into();
    let request = IngestStoryRequest { meeting_matching: same, ..ingest(register("urn:copy", 1_000)) };
    let begun = std::time::Instant::now();
    let copy = service.ingest.clone().ingest_story(request).await.unwrap().into_inner();
    println!("1,000 rows were added to their meetings in {:?}", begun.elapsed());
    assert_eq!(copy.meetings.len(), 1_000);

    let refused = refused(&service, register("urn:long", 1_001)).await;
    assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::InvalidField));
    assert_eq!(refused.fields, ["story.reports"]);
}

#[tokio::test]
async fn debate_of_two_thousand_statements_is_read_back_whole() {
    let service = Service::start().await;
    let sitting = |uri: &str, count: usize| {
        let mut story = story(uri, &[person("Speaker of the House", "GB"), person("Member for Example", "GB")]);
        let account = story.reports[0].account.as_mut().unwrap();
        account.statements = (0..count)
            .map(|at| Statement {
                speakers: vec![format!("p{}", at % 2)],
                text: format!("Statement {at} of the debate. {}", "My honourable friend is right. ".repeat(8)),
                ..Default::default()
            })
            .collect();
        story
    };
    for count in [1_611, 2_000] {
        let answer = send(&service, sitting(&format!("urn:sitting:{count}"), count)).await;
        let meeting = meeting(&service, &answer.meetings[0].meeting).await;
        assert_eq!(meeting.omission, None);
        assert_eq!(meeting.account.unwrap().statements.len(), count);
    }
    let refused = refused(&service, sitting("urn:long", 2_001)).await;
    assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::InvalidField));
    assert_eq!(refused.fields, ["story.reports[0].account.statements"]);
}

/// The rows r1 and r3 are equal.
fn repeated_row() -> Story {
    let row = |key: &str, other: &str| {
        json!({"key": key, "account": {
            "kind": "TALKS", "status": "HELD", "title": "Local government reform",
            "date": {"start": {"year": 2015, "month": 11, "day": 5}},
            "participations": [{"id": "m", "participant": "#m"}, {"id": "o", "participant": other}],
        }})
    };
    parse(&json!({
        "article": {"uri": "urn:repeats", "text": "5 November: Urana Shire Council. 5 November: Urana Shire Council."},
        "participants": [
            {"key": "m", "participant": {"kind": "PERSON", "displayName": "Minister for Local Government"}},
            {"key": "o", "participant": {"kind": "ORGANIZATION", "displayName": "Urana Shire Council"}},
            {"key": "q", "participant": {"kind": "ORGANIZATION", "displayName": "Another Council"}},
        ],
        "reports": [row("r1", "#o"), row("r2", "#q"), row("r3", "#o")],
    }))
}

fn quote(story: &mut Story, report: usize, start: i32) {
    let evidence = json!({"field": "date", "quote": "5 November", "start": start, "end": start + 10});
    let evidence = json::parse("readout.v1.Evidence", &evidence.to_string()).unwrap();
    story.reports[report].evidence.push(evidence);
}

#[tokio::test]
async fn rows_of_equal_accounts_are_one_report_with_all_their_keys() {
    let service = Service::start().await;
    let mut sent = repeated_row();
    let link = json::parse("readout.v1.Link", r##"{"kind": "PRECEDES", "meeting": "#r3"}"##).unwrap();
    sent.reports[1].account.as_mut().unwrap().links.push(link);

    let preview = IngestStoryRequest { validate_only: true, ..ingest(sent.clone()) };
    let preview = service.ingest.clone().ingest_story(preview).await.unwrap().into_inner();
    assert!(preview.meetings.iter().all(|result| result.meeting.is_empty() && result.report.is_empty()));
    assert_eq!(preview.meetings[2].outcome(), Outcome::Matched);

    let first = send(&service, sent.clone()).await;
    let keys: Vec<_> = first.meetings.iter().map(|result| (result.key.as_str(), result.outcome())).collect();
    assert_eq!(keys, [("r1", Outcome::Created), ("r2", Outcome::Created), ("r3", Outcome::Matched)]);
    let names = |at: usize| (&first.meetings[at].meeting, &first.meetings[at].report);
    assert_eq!(names(0), names(2));
    assert_ne!(names(0), names(1));
    assert_eq!(
        first.warnings,
        [r#"report "r3": tells the same account as report "r1"; they are stored as one report"#]
    );
    assert_eq!(count(&service, "date = 2015-11-05").await, 2);
    let linked = meeting(&service, &first.meetings[1].meeting).await.account.unwrap();
    assert_eq!(linked.links[0].meeting, first.meetings[2].meeting);

    let again = send(&service, sent).await;
    assert_eq!(
        again.meetings.iter().map(|result| &result.report).collect::<Vec<_>>(),
        [names(0).1, names(1).1, names(0).1]
    );
    assert!(again.meetings.iter().all(|result| result.outcome() == Outcome::Matched));
}

#[tokio::test]
async fn report_of_equal_accounts_has_the_evidence_of_all_and_the_stated_prominence() {
    let service = Service::start().await;
    let mut sent = repeated_row();
    quote(&mut sent, 0, 0);
    quote(&mut sent, 2, 33);
    sent.reports[2].prominence = Prominence::Lead.into();
    let first = send(&service, sent.clone()).await;
    let report = service.report(&first.meetings[2].report).await;
    assert_eq!(report.evidence.iter().map(|cited| cited.start).collect::<Vec<_>>(), [0, 33]);
    assert_eq!(report.prominence(), Prominence::Lead);
    let again = send(&service, sent).await;
    assert_eq!(again.meetings[2].report, first.meetings[2].report);
    assert_eq!(service.contents().await.reports.len(), 2);
}

#[tokio::test]
async fn report_of_equal_accounts_goes_to_the_meeting_that_one_of_them_names() {
    let service = Service::start().await;
    let other = send(&service, story("urn:other", &[person("Kerim Veliyev", "AZ")])).await;
    let another = send(&service, story("urn:another", &[person("Ruslan Tsalikov", "RU")])).await;
    let (other, another) = (&other.meetings[0].meeting, &another.meetings[0].meeting);

    let mut sent = repeated_row();
    sent.reports[2].meeting.clone_from(other);
    let answer = send(&service, sent.clone()).await;
    assert_eq!(answer.meetings[0].outcome(), Outcome::Given);
    assert_eq!((&answer.meetings[0].meeting, &answer.meetings[2].meeting), (other, other));

    // Equal reports for two meetings cannot both be stored.
    sent.article.as_mut().unwrap().uri = "urn:two".into();
    sent.reports[0].meeting.clone_from(another);
    let refused = refused(&service, sent.clone()).await;
    assert_eq!((refused.code, refused.reason), (Code::InvalidArgument, ErrorReason::InvalidField));
    assert_eq!(refused.fields, ["story.reports[2]"]);

    // With other evidence they are two reports.
    quote(&mut sent, 0, 0);
    quote(&mut sent, 2, 33);
    let answer = send(&service, sent).await;
    assert_eq!((&answer.meetings[0].meeting, &answer.meetings[2].meeting), (another, other));
    assert!(answer.warnings.iter().all(|warning| !warning.contains("same account")), "{:?}", answer.warnings);
}

#[tokio::test]
async fn region_of_a_state_that_was_is_stored_and_found() {
    let service = Service::start().await;
    let visit = |region: &str| {
        parse(&json!({
            "article": {"uri": format!("urn:{region}")},
            "participants": [{"key": "v", "participant": {
                "kind": "PERSON", "displayName": "Josip Broz Tito", "regionCode": region}}],
            "reports": [{"key": "m", "account": {
                "kind": "VISIT", "status": "HELD", "date": {"start": {"year": 1971, "month": 10, "day": 28}},
                "participations": [{"id": "v", "participant": "#v", "roles": ["VISITOR"], "presence": "PRESENT"}]}}],
        }))
    };
    for region in ["YU", "SU", "EU", "UN", "XK"] {
        send(&service, visit(region)).await;
        assert_eq!(count(&service, &format!("region = \"{region}\"")).await, 1, "{region}");
    }
    for (region, says) in [("UK", "not \"UK\"; did you mean \"GB\"?"), ("ZZ", "not \"ZZ\""), ("YUG", "not \"YUG\"")] {
        let refused = service.ingest.clone().ingest_story(ingest(visit(region))).await.unwrap_err();
        assert_eq!((refused.code(), reason_of(&refused)), (Code::InvalidArgument, ErrorReason::InvalidField));
        assert!(refused.message().contains(says), "{}", refused.message());
    }
}

#[tokio::test]
async fn event_some_time_within_a_span_is_counted_under_the_periods_that_contain_it() {
    let service = Service::start().await;
    let row = |key: &str, date: Value| json!({"key": key, "account": {"title": key, "date": date, "participations": [{"nameAsWritten": "Minister"}]}});
    let within = |start: Value, end: Value| json!({"start": start, "end": end, "extent": "SOMETIME_WITHIN"});
    send(
        &service,
        parse(&json!({
            "article": {"uri": "urn:quarter"},
            "reports": [
                row("quarter", within(json!({"year": 2014, "month": 10}), json!({"year": 2014, "month": 12}))),
                row("decade", within(json!({"year": 1950}), json!({"year": 1959}))),
                row("week", within(json!({"year": 2014, "month": 3, "day": 3}), json!({"year": 2014, "month": 3, "day": 9}))),
                row("winter", within(json!({"year": 2013, "month": 12}), json!({"year": 2014, "month": 2}))),
                row("visit", json!({"start": {"year": 2014, "month": 5, "day": 30}, "end": {"year": 2014, "month": 6, "day": 2}})),
            ],
        })),
    )
    .await;
    let expected = |pairs: &[(&str, i32)]| pairs.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect();
    assert_eq!(groups(&service, "year").await, expected(&[("", 2), ("2014", 3)]));
    assert_eq!(groups(&service, "quarter").await, expected(&[("", 2), ("2014-Q1", 1), ("2014-Q2", 1), ("2014-Q4", 1)]));
    assert_eq!(groups(&service, "month").await, expected(&[("", 3), ("2014-03", 1), ("2014-05", 1)]));
    // Filters compare by overlap.
    for (filter, found) in [("date = 2014-11", 1), ("date = 1955", 1), ("date = 2014-01", 1), ("date = 2014-09", 0)] {
        assert_eq!(count(&service, filter).await, found, "{filter}");
    }
}

#[tokio::test]
async fn date_within_a_span_of_another_report_contradicts_nothing() {
    let service = Service::start().await;
    let within =
        json!({"start": {"year": 2014, "month": 10}, "end": {"year": 2014, "month": 12}, "extent": "SOMETIME_WITHIN"});
    let exact = json!({"start": {"year": 2014, "month": 11, "day": 5}});
    let told = |uri: &str, date: &Value, meeting: &str| {
        let account = json!({"date": date, "participations": [{"nameAsWritten": "Minister"}]});
        parse(&json!({"article": {"uri": uri}, "reports": [{"meeting": meeting, "account": account}]}))
    };
    let first = send(&service, told("urn:quarter", &within, "")).await;
    let name = &first.meetings[0].meeting;
    // Two sources for the span, one for the day.
    send(&service, told("urn:again", &within, name)).await;
    send(&service, told("urn:day", &exact, name)).await;
    let meeting = meeting(&service, name).await;
    assert_eq!(meeting.disputes, []);
    let date = meeting.account.unwrap().date.unwrap();
    assert_eq!(date.start.map(|day| (day.year, day.month, day.day)), Some((2014, 11, 5)));
}

#[tokio::test]
async fn participants_of_one_name_and_two_regions_stay_two_in_any_order() {
    // The row without a region comes first, in the middle and last.
    for regions in [["", "JO", "SA"], ["JO", "", "SA"], ["JO", "SA", ""]] {
        let service = Service::start().await;
        let mut found = BTreeMap::new();
        for (at, region) in regions.iter().enumerate() {
            let sent = story(&format!("urn:{at}"), &[settled_person("Abdullah", region)]);
            let matching = ParticipantMatching::Settled.into();
            let request = IngestStoryRequest { participant_matching: matching, ..ingest(sent) };
            let answer = service.ingest.clone().ingest_story(request).await.unwrap().into_inner();
            found.insert((*region).to_owned(), answer.participants[0].name.clone());
        }
        assert_ne!(found["JO"], found["SA"], "{regions:?}");
    }
}

#[tokio::test]
async fn markup_is_stored_as_given_with_a_warning() {
    let service = Service::start().await;
    let told = |uri: &str, title: &str, said: &str| {
        parse(&json!({"article": {"uri": uri, "title": title}, "reports": [{"account": {
            "title": title, "participations": [{"id": "a", "nameAsWritten": "Kerim Veliyev"}],
            "statements": [{"speakers": ["a"], "text": said}]}}]}))
    };
    let answer = send(&service, told("urn:markup", "Trade &amp; Industry", "<b>Mutual</b> trust.")).await;
    assert_eq!(
        answer.warnings,
        [
            r#"markup is stored as text: texts are plain text, unlike story.article.title ("&amp;"), story.reports[0].account.title ("&amp;"), story.reports[0].account.statements[0].text ("<b>")"#
        ]
    );
    let stored = meeting(&service, &answer.meetings[0].meeting).await.account.unwrap();
    assert_eq!(
        (stored.title.as_str(), stored.statements[0].text.as_str()),
        ("Trade &amp; Industry", "<b>Mutual</b> trust.")
    );
    let plain = send(&service, told("urn:plain", "AT&T and R&D", "We hold that a < b and c > d.")).await;
    assert!(plain.warnings.is_empty(), "{:?}", plain.warnings);
}
