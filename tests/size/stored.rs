//! Records that are too large already: reads by name answer with their size, all others name them and continue.

use prost::Message;
use readout::pb::{
    Account, BatchGetMeetingsRequest, Change, ErrorReason, Evidence, GetMeetingRequest, GetReportRequest,
    ListChangesRequest, ListMeetingsRequest, ListReportsRequest, Meeting, Report, View, change::Resource,
    evidence::Match, list_changes_request,
};
use tonic::Code;

use super::{assert_fits, crowd, figure, generous, record_bytes, store_meeting, store_report};
use crate::support::{
    Service,
    follow::{all, beginning},
    make::{article, talks},
    program::run,
    refused,
};

/// Three meetings. The second one, and the report of the third, have more bytes than an answer can carry.
struct Oversized {
    service: Service,
    meetings: Vec<Meeting>,
    report: Report,
}

impl Oversized {
    async fn start() -> Self {
        let service = Service::start().await;
        let mut meetings = Vec::new();
        for number in 0..3 {
            let source = service.create_article(article(&format!("urn:{number}"))).await;
            let meeting = service.create_meeting(&source, talks(&format!("Talks {number}"))).await.unwrap();
            meetings.push(meeting);
        }
        // The fragile fields of a meeting with one source are not stored.
        let mut large = Meeting { fragile_fields: Vec::new(), ..meetings[1].clone() };
        let account = large.account.get_or_insert_default();
        for number in 0..14 {
            account.participations.extend(crowd(number, '名').participations);
        }
        store_meeting(&service, &large).await;
        let mut report = service.reports_of(&meetings[2].name).await.remove(0);
        let (field, quote, end) = ("title".into(), "q".repeat(8_000), 8_000);
        let quote = Evidence { field, quote, end, stale: true, r#match: Match::Exact.into(), ..Default::default() };
        report.evidence = vec![quote; 550];
        store_report(&service, &report).await;
        meetings[1] = large;
        Self { service, meetings, report }
    }
}

#[tokio::test]
async fn reads_by_name_answer_with_the_size() {
    let Oversized { service, meetings, report } = Oversized::start().await;
    for view in [View::Basic, View::Full] {
        let request = GetMeetingRequest { name: meetings[1].name.clone(), view: view.into(), ..Default::default() };
        let refusal = service.meetings.clone().get_meeting(request).await.unwrap_err();
        assert_eq!(
            (figure(&refusal, "bytes"), figure(&refusal, "limit_bytes")),
            (meetings[1].encoded_len(), 4_000_000)
        );
        refused(refusal, Code::ResourceExhausted, ErrorReason::MessageTooLarge, &meetings[1].name);
        let names = meetings.iter().map(|meeting| meeting.name.clone()).collect();
        let batch = BatchGetMeetingsRequest { names, view: view.into(), ..Default::default() };
        let refusal = service.meetings.clone().batch_get_meetings(batch).await.unwrap_err();
        refused(refusal, Code::ResourceExhausted, ErrorReason::MessageTooLarge, &meetings[1].name);
    }
    let request = GetReportRequest { name: report.name.clone(), ..Default::default() };
    let refusal = service.meetings.clone().get_report(request).await.unwrap_err();
    assert_eq!(figure(&refusal, "bytes"), report.encoded_len());
    refused(refusal, Code::ResourceExhausted, ErrorReason::MessageTooLarge, &report.name);

    // A larger bound makes them readable.
    let large = generous(&service.database).await;
    let request = GetMeetingRequest { name: meetings[1].name.clone(), view: View::Basic.into(), ..Default::default() };
    let read = large.meetings.clone().max_decoding_message_size(16 << 20).get_meeting(request).await.unwrap();
    assert_eq!(read.into_inner().account.unwrap().participations.len(), 7_000);
}

#[tokio::test]
async fn lists_streams_and_watches_name_the_record_and_continue() {
    let Oversized { service, meetings, report } = Oversized::start().await;
    let names: Vec<&str> = meetings.iter().map(|meeting| meeting.name.as_str()).collect();
    let check = |listed: &[Meeting]| {
        assert_eq!(listed.iter().map(|meeting| meeting.name.as_str()).collect::<Vec<_>>(), names);
        let sizes: Vec<i64> = listed.iter().map(|meeting| record_bytes(meeting.omission)).collect();
        assert_eq!((sizes[0], sizes[2]), (0, 0));
        assert!(sizes[1] > 5_000_000);
        let named = &listed[1];
        assert_eq!((named.account.as_ref(), &named.etag, named.revision), (None, &meetings[1].etag, 1));
        assert!(listed[0].account.is_some() && listed[2].account.is_some());
    };
    for view in [View::Basic, View::Full] {
        let mut request = ListMeetingsRequest { view: view.into(), ..Default::default() };
        let mut stream = service.meetings.clone().stream_meetings(request.clone()).await.unwrap().into_inner();
        let mut streamed = Vec::new();
        while let Some(page) = stream.message().await.unwrap() {
            assert_fits(&page);
            streamed.extend(page.meetings);
        }
        check(&streamed);
        let mut listed = Vec::new();
        loop {
            let page = service.meetings.clone().list_meetings(request.clone()).await.unwrap().into_inner();
            listed.extend(page.meetings);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        check(&listed);
    }

    let request = ListReportsRequest { meeting: report.meeting.clone(), ..Default::default() };
    let listed = service.meetings.clone().list_reports(request).await.unwrap().into_inner().reports;
    assert_eq!(record_bytes(listed[0].omission), report.encoded_len() as i64);
    assert_eq!((listed[0].account.clone(), listed[0].evidence.len()), (None::<Account>, 0));
    assert_eq!((&listed[0].name, &listed[0].article), (&report.name, &report.article));

    let mut request = all(beginning());
    request.include_resource = true;
    let watched = service.watch(request).await.caught_up().await;
    let request = ListChangesRequest {
        start: Some(list_changes_request::Start::Origin(readout::pb::Origin::Beginning.into())),
        include_resource: true,
        page_size: 1_000,
        ..Default::default()
    };
    let page = service.changes.clone().list_changes(request).await.unwrap().into_inner();
    assert_fits(&page);
    for changes in [watched, page.changes] {
        assert_eq!(changes.len(), 9);
        let size = |change: &Change| match change.resource.as_ref().unwrap() {
            Resource::Meeting(meeting) => record_bytes(meeting.omission),
            Resource::Report(report) => record_bytes(report.omission),
            _ => 0,
        };
        let named = |change: &Change| (change.name.clone(), size(change));
        let mut oversized: Vec<_> = changes.iter().map(named).filter(|(_, bytes)| *bytes > 0).collect();
        oversized.sort_unstable();
        assert_eq!(oversized.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&meetings[1].name, &report.name]);
    }
}

#[tokio::test]
async fn export_and_watch_name_the_record_on_standard_error() {
    let Oversized { service, meetings, report } = Oversized::start().await;
    let server = service.address.to_string();
    let exported = run(["export", "--server", &server]).await;
    assert_eq!(exported.code, Some(1), "{}", exported.stderr);
    for name in [&meetings[1].name, &report.name] {
        assert!(exported.stderr.contains(&format!("{name} has ")), "{}", exported.stderr);
    }
    // A header, three articles, and the two reports that fit.
    assert_eq!(exported.stdout.lines().count(), 6, "{}", exported.stderr);
    assert!(exported.stdout.contains(&meetings[1].name));

    let args = ["watch", "--server", &server, "--from", "beginning", "--include-resource", "--until-caught-up"];
    let watched = run(args).await;
    assert_eq!((watched.code, watched.stdout.lines().count()), (Some(0), 9), "{}", watched.stderr);
    for name in [&meetings[1].name, &report.name] {
        assert!(watched.stderr.contains(&format!("{name} has ")), "{}", watched.stderr);
    }
}
