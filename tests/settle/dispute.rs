//! Disputes: the values that sources report, the reports behind each value, and the value that the meeting has.

use prost_types::value::Kind as Json;
use readout::pb::{
    Account, BatchGetMeetingsRequest, Date, DateSpan, DeleteArticleRequest, Dispute, GetMeetingRequest,
    ListMeetingsRequest, Meeting, View, WatchChangesRequest, account::Kind, change::Resource, dispute::Rule,
};

use crate::support::{
    Service,
    follow::{all, beginning},
    make::{article, talks},
};

fn visit(day: i32) -> Account {
    let start = Some(Date { year: 2020, month: 8, day });
    let date = Some(DateSpan { start, literal: format!("on August {day}"), ..Default::default() });
    Account { kind: Kind::Visit.into(), date, ..talks("A visit") }
}

/// A meeting whose first article and that article's copy date it to the 24th, and two other articles to the 25th.
/// Returns the meeting, the names of its four reports, and the name of the third article.
async fn disputed(service: &Service) -> (Meeting, Vec<String>, String) {
    let mut articles = Vec::new();
    for uri in ["urn:a", "urn:b", "urn:c"] {
        articles.push(service.create_article(article(uri)).await);
    }
    let mut copy = article("urn:copy");
    copy.syndicated_from = articles[0].name.clone();
    let copy = service.create_article(copy).await;
    let meeting = service.create_meeting(&articles[0], visit(24)).await.unwrap();
    let mut reports = vec![service.reports_of(&meeting.name).await.remove(0).name];
    for (article, day) in [(&articles[1], 25), (&articles[2], 25), (&copy, 24)] {
        reports.push(service.add_report(&meeting.name, &article.name, visit(day)).await.unwrap().name);
    }
    (service.meeting(&meeting.name).await, reports, articles.remove(2).name)
}

/// For each date: its literal words, its reports, and its number of independent sources.
fn dates(dispute: &Dispute) -> Vec<(String, &[String], i32)> {
    let literal = |value: &prost_types::Value| match &value.kind {
        Some(Json::StructValue(date)) => match &date.fields["literal"].kind {
            Some(Json::StringValue(words)) => words.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let date = |value: &readout::pb::dispute::Value| literal(value.value.as_ref().unwrap());
    dispute.values.iter().map(|value| (date(value), value.reports.as_slice(), value.independent_source_count)).collect()
}

#[tokio::test]
async fn dispute_has_the_values_their_reports_and_the_rule_that_chose_one() {
    let service = Service::start().await;
    let (meeting, reports, third) = disputed(&service).await;
    let [dispute] = meeting.disputes.as_slice() else { panic!("{:?}", meeting.disputes) };
    assert_eq!((dispute.field.as_str(), dispute.chosen, dispute.rule()), ("date", 0, Rule::MostSources));
    let on = |day: i32| format!("on August {day}");
    let copies = [reports[0].clone(), reports[3].clone()];
    assert_eq!(dates(dispute), [(on(25), &reports[1..3], 2), (on(24), &copies[..], 1)]);
    assert_eq!(meeting.account.as_ref().unwrap().date, visit(25).date);
    let counts = (meeting.report_count, meeting.article_count, meeting.independent_source_count);
    assert_eq!((counts, meeting.settle_version), ((4, 4, 3), 4));

    // Without the third article, both dates have one independent source.
    let force = DeleteArticleRequest { name: third, force: true, ..Default::default() };
    service.articles.clone().delete_article(force).await.unwrap();
    let meeting = service.meeting(&meeting.name).await;
    let [dispute] = meeting.disputes.as_slice() else { panic!("{:?}", meeting.disputes) };
    assert_eq!((dispute.chosen, dispute.rule()), (0, Rule::SmallestUri));
    assert_eq!(dates(dispute), [(on(24), &copies[..], 1), (on(25), &reports[1..2], 1)]);
    assert_eq!(meeting.account.unwrap().date, visit(24).date);
}

#[tokio::test]
async fn disputes_are_in_the_full_view_only() {
    let service = Service::start().await;
    let (meeting, ..) = disputed(&service).await;
    let names = vec![meeting.name.clone()];
    for (view, expected) in [(View::Full, &meeting.disputes[..]), (View::Basic, &[])] {
        let get = GetMeetingRequest { name: meeting.name.clone(), view: view.into(), ..Default::default() };
        assert_eq!(service.meetings.clone().get_meeting(get).await.unwrap().into_inner().disputes, expected);
        let batch = BatchGetMeetingsRequest { names: names.clone(), view: view.into(), ..Default::default() };
        let batch = service.meetings.clone().batch_get_meetings(batch).await.unwrap().into_inner();
        assert_eq!(batch.meetings[0].disputes, expected);
        let list = ListMeetingsRequest { view: view.into(), ..Default::default() };
        let listed = service.meetings.clone().list_meetings(list.clone()).await.unwrap().into_inner();
        assert_eq!(listed.meetings[0].disputes, expected);
        let mut stream = service.meetings.clone().stream_meetings(list).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().meetings[0].disputes, expected);
    }
    assert_eq!(service.delete_meeting(&meeting.name).await.unwrap().disputes, []);
    assert_eq!(service.undelete_meeting(&meeting.name).await.unwrap().disputes, []);
    let watch = WatchChangesRequest { include_resource: true, ..all(beginning()) };
    let changes = service.watch(watch).await.caught_up().await;
    let disputes = changes.into_iter().filter_map(|change| match change.resource {
        Some(Resource::Meeting(meeting)) => Some(meeting.disputes),
        _ => None,
    });
    assert_eq!(disputes.collect::<Vec<_>>(), vec![vec![]; 6]);
    assert_eq!(service.meeting(&meeting.name).await.disputes, meeting.disputes);
}
