//! External ids of meetings: unique among live meetings, whatever call writes them; filters and links by them.

use readout::pb::{
    Account, AddReportRequest, CreateMeetingRequest, ErrorReason, ExternalId, GetMeetingRequest, Link,
    ListMeetingsRequest, Meeting, Report, link,
};
use tonic::{Code, Response, Status};

use crate::support::{
    Refused, Service,
    follow::{beginning, matching},
    make::{article, day, person, talks, wikidata},
    refused,
    status::metadata_of,
};

pub fn id(value: &str) -> ExternalId {
    ExternalId { scheme: "nsw".into(), value: value.into() }
}

/// Talks with these ids of the register.
pub fn with_ids(title: &str, values: &[&str]) -> Account {
    Account { external_ids: values.iter().map(|value| id(value)).collect(), ..talks(title) }
}

fn ids_of(meeting: &Meeting) -> Vec<&str> {
    let ids = meeting.account.iter().flat_map(|account| &account.external_ids);
    ids.map(|id| id.value.as_str()).collect()
}

impl Service {
    /// A meeting of an article of its own.
    async fn meeting_with(&self, uri: &str, values: &[&str]) -> Result<Meeting, Status> {
        let source = self.create_article(article(uri)).await;
        self.create_meeting(&source, with_ids(uri, values)).await
    }

    async fn report_with(&self, meeting: &str, uri: &str, values: &[&str]) -> Result<Report, Status> {
        let source = self.create_article(article(uri)).await;
        self.add_report(meeting, &source.name, with_ids(uri, values)).await
    }

    pub async fn meetings_found(&self, filter: &str, show_deleted: bool) -> Vec<String> {
        let request = ListMeetingsRequest { filter: filter.into(), show_deleted, ..Default::default() };
        let list = self.meetings.clone().list_meetings(request).await.expect("a list").into_inner();
        list.meetings.into_iter().map(|meeting| meeting.name).collect()
    }
}

#[track_caller]
fn duplicate(status: Status, meeting: &Meeting, value: &str) {
    assert_eq!((metadata_of(&status, "scheme").as_str(), metadata_of(&status, "value").as_str()), ("nsw", value));
    refused(status, Code::AlreadyExists, ErrorReason::DuplicateMeeting, &meeting.name);
}

#[tokio::test]
async fn create_meeting_and_add_report_refuse_the_external_id_of_another_live_meeting() {
    let service = Service::start().await;
    let first = service.meeting_with("urn:1", &["b", "a"]).await.unwrap();
    assert_eq!(ids_of(&first), ["a", "b"]);
    duplicate(service.meeting_with("urn:2", &["c", "b"]).await.unwrap_err(), &first, "b");
    // A call that only validates is refused, too.
    let source = service.create_article(article("urn:3")).await;
    let request = CreateMeetingRequest {
        meeting: Some(Meeting { account: Some(with_ids("Talks", &["a"])), ..Default::default() }),
        source_article: source.name.clone(),
        validate_only: true,
        ..Default::default()
    };
    duplicate(service.meetings.clone().create_meeting(request).await.unwrap_err(), &first, "a");

    let second = service.meeting_with("urn:4", &["c"]).await.unwrap();
    duplicate(service.report_with(&second.name, "urn:5", &["d", "a"]).await.unwrap_err(), &first, "a");
    assert_eq!(ids_of(&service.meeting(&second.name).await), ["c"]);
    // A report of the meeting itself may repeat its ids and add others: the meeting has the union.
    service.report_with(&first.name, "urn:6", &["e", "a"]).await.unwrap();
    assert_eq!(ids_of(&service.meeting(&first.name).await), ["a", "b", "e"]);
    // Another scheme is another id.
    let account = Account { external_ids: wikidata("a"), ..talks("Other") };
    service.create_meeting(&source, account).await.unwrap();
    // A meeting that AddReport would create is refused in the same way.
    let report = Report { article: source.name, account: Some(with_ids("New", &["e"])), ..Default::default() };
    let request = AddReportRequest {
        meeting: "meetings/0198f2d1-0000-7000-8000-000000000003".into(),
        report: Some(report),
        allow_missing: true,
        ..Default::default()
    };
    duplicate(service.meetings.clone().add_report(request).await.unwrap_err(), &first, "e");
}

#[tokio::test]
async fn retraction_deletion_and_ruling_free_an_external_id() {
    let service = Service::start().await;
    let first = service.meeting_with("urn:1", &["a"]).await.unwrap();
    let report = service.report_with(&first.name, "urn:2", &["b"]).await.unwrap();
    service.retract_report(&report.name).await.unwrap();
    assert_eq!(ids_of(&service.meeting(&first.name).await), ["a"]);
    let second = service.meeting_with("urn:3", &["b"]).await.unwrap();

    // A ruling takes the id from its meeting; without the ruling the meeting would have it again.
    service.rule(&first.name, with_ids("", &["x"]), &["account.external_ids"]).await.unwrap();
    assert_eq!(ids_of(&service.meeting(&first.name).await), ["x"]);
    let third = service.meeting_with("urn:4", &["a"]).await.unwrap();
    let ruling = service.reports_of(&first.name).await.into_iter().find(|report| report.ruling.is_some()).unwrap();
    duplicate(service.retract_report(&ruling.name).await.unwrap_err(), &third, "a");
    let taken = service.rule(&first.name, with_ids("", &["b"]), &["account.external_ids"]).await;
    duplicate(taken.unwrap_err(), &second, "b");

    // Deletion frees the id, and undeletion needs it.
    service.delete_meeting(&third.name).await.unwrap();
    let fourth = service.meeting_with("urn:5", &["a"]).await.unwrap();
    duplicate(service.undelete_meeting(&third.name).await.unwrap_err(), &fourth, "a");
    service.delete_meeting(&fourth.name).await.unwrap();
    service.undelete_meeting(&third.name).await.unwrap();
    duplicate(service.undelete_meeting(&fourth.name).await.unwrap_err(), &third, "a");
    assert_eq!(service.meetings_found("external_id = \"nsw:a\"", false).await, [third.name.as_str()]);
    assert_eq!(service.meetings_found("external_id = \"nsw:a\"", true).await.len(), 2);

    // A retracted meeting holds nothing.
    let only = service.reports_of(&third.name).await.remove(0);
    service.retract_report(&only.name).await.unwrap();
    service.undelete_meeting(&fourth.name).await.unwrap();
    assert_eq!(service.meetings_found("external_id = \"nsw:a\"", true).await, [fourth.name]);
}

#[tokio::test]
async fn merge_unites_external_ids_and_split_moves_them() {
    let service = Service::start().await;
    let first = service.meeting_with("urn:1", &["a"]).await.unwrap();
    let second = service.meeting_with("urn:2", &["b"]).await.unwrap();
    let merged = service.merge(&first.name, &[&second.name]).await.unwrap();
    assert_eq!(ids_of(&merged), ["a", "b"]);
    duplicate(service.meeting_with("urn:3", &["b"]).await.unwrap_err(), &first, "b");

    // A report that came after the merge keeps the id here, so that the merge cannot be undone.
    let later = service.report_with(&first.name, "urn:4", &["b"]).await.unwrap();
    duplicate(service.split(&first.name, &[], &second.name).await.unwrap_err(), &first, "b");
    service.retract_report(&later.name).await.unwrap();
    let back = service.split(&first.name, &[], &second.name).await.unwrap();
    assert_eq!((ids_of(&back), ids_of(&service.meeting(&first.name).await)), (vec!["b"], vec!["a"]));

    // Two parts of a meeting cannot both have its id.
    let other = service.report_with(&first.name, "urn:5", &["a", "c"]).await.unwrap();
    duplicate(service.split(&first.name, &[&other.name], "").await.unwrap_err(), &first, "a");
    service.rule(&first.name, with_ids("", &[]), &["account.external_ids"]).await.unwrap();
    let new = service.split(&first.name, &[&other.name], "").await.unwrap();
    assert_eq!((ids_of(&new), ids_of(&service.meeting(&first.name).await).len()), (vec!["a", "c"], 0));
}

#[tokio::test]
async fn filter_external_id_finds_articles_participants_and_meetings_and_watches_follow_it() {
    let service = Service::start().await;
    let meeting = service.meeting_with("urn:1", &["1:2 é"]).await.unwrap();
    service.meeting_with("urn:2", &["1"]).await.unwrap();
    let filter = "external_id = \"nsw:1:2 e\u{301}\"";
    assert_eq!(service.meetings_found(filter, false).await, [meeting.name.as_str()]);
    assert_eq!(service.meetings_found("NOT external_id : \"nsw:1\"", false).await, [meeting.name.as_str()]);
    let watched = service.watch(matching(beginning(), &format!("meeting.{filter}"))).await.caught_up().await;
    assert_eq!(watched.into_iter().map(|change| change.name).collect::<Vec<_>>(), [meeting.name.as_str()]);

    let mut cited =
        service.create_article(readout::pb::Article { external_ids: wikidata("Q1"), ..article("urn:3") }).await;
    let found = async |filter: &str| {
        let request = readout::pb::ListArticlesRequest { filter: filter.into(), ..Default::default() };
        let list = service.articles.clone().list_articles(request).await.unwrap().into_inner();
        list.articles.into_iter().map(|article| article.name).collect::<Vec<_>>()
    };
    assert_eq!(found("external_id = \"wikidata:Q1\"").await, [cited.name.clone()]);
    cited.external_ids = wikidata("Q2");
    service.update_article(cited.clone(), &["external_ids"]).await.unwrap();
    assert_eq!(found("external_id = \"wikidata:Q1\"").await, [""; 0]);
    assert_eq!(found("external_id = \"wikidata:Q2\"").await, [cited.name]);

    let known = readout::pb::Participant { external_ids: wikidata("Q7"), ..person("Kerim Veliyev", "AZ") };
    service.create_participant(known).await;
    service.create_participant(person("Zakir Hasanov", "AZ")).await;
    assert_eq!(service.participants_where("external_id = \"wikidata:Q7\"").await, ["Kerim Veliyev"]);
    assert_eq!(service.participants_where("external_id != \"wikidata:Q7\"").await, ["Zakir Hasanov"]);

    for wrong in ["external_id = Q7", "external_id = \":Q7\"", "external_id = \"nsw:\"", "external_id < \"nsw:1\""] {
        let request = ListMeetingsRequest { filter: wrong.into(), ..Default::default() };
        let refused = service.meetings.clone().list_meetings(request).await.unwrap_err();
        assert_eq!(Refused::from(refused), Refused::fields(ErrorReason::InvalidFilter, ["filter"]), "{wrong}");
    }
}

#[tokio::test]
async fn link_by_external_id_names_the_meeting_once_it_comes() {
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let link = Link { kind: link::Kind::OnMarginsOf.into(), external_id: Some(id("summit")), ..Default::default() };
    let account = Account { links: vec![link], date: day(2020, 8, 24), ..talks("Talks") };
    let meeting = service.create_meeting(&source, account).await.unwrap();
    let linked = async || service.meeting(&meeting.name).await.account.unwrap().links.remove(0);
    assert_eq!((linked().await.meeting, linked().await.external_id), (String::new(), Some(id("summit"))));

    let summit = service.meeting_with("urn:2", &["summit"]).await.unwrap();
    assert_eq!(linked().await.meeting, summit.name);
    // The same in lists, and in the answer to a write, whose other parts can be sent back.
    let request = ListMeetingsRequest { view: readout::pb::View::Full.into(), ..Default::default() };
    let listed = service.meetings.clone().list_meetings(request).await.unwrap().into_inner().meetings;
    assert_eq!(listed[0].account.as_ref().unwrap().links[0].meeting, summit.name);
    let mut read = service.meeting(&meeting.name).await;
    read.labels = crate::support::make::labels(&[("desk", "foreign")]);
    let updated = service.update_meeting(read, &["labels"]).await.unwrap();
    assert_eq!(updated.account.as_ref().unwrap().links[0].meeting, summit.name);
    // The report stays as told, and so does a view of the past.
    let report = service.reports_of(&meeting.name).await.remove(0);
    assert_eq!(report.account.unwrap().links[0].meeting, "");
    let read_time = updated.update_time;
    let request = GetMeetingRequest { name: meeting.name.clone(), read_time, ..Default::default() };
    let then = service.meetings.clone().get_meeting(request).await.map(Response::into_inner).unwrap();
    assert_eq!(then.account.unwrap().links[0].meeting, "");

    service.delete_meeting(&summit.name).await.unwrap();
    assert_eq!(linked().await.meeting, "");
}

#[tokio::test]
async fn account_refuses_bad_external_ids_links_and_stops() {
    use readout::pb::{Place, Stop};
    let service = Service::start().await;
    let source = service.create_article(article("urn:1")).await;
    let stop = |locality: &str| Stop {
        place: Some(Place { locality: locality.into(), ..Default::default() }),
        ..Default::default()
    };
    let link = |meeting: &str, external_id: Option<ExternalId>| Link {
        kind: link::Kind::PartOf.into(),
        meeting: meeting.into(),
        external_id,
        ..Default::default()
    };
    let named = "meetings/0198f2d1-0000-7000-8000-000000000003";
    let numbered = |count: usize| (0..count).map(|number| id(&number.to_string())).collect::<Vec<_>>();
    let in_scheme = |scheme: &str| ExternalId { scheme: scheme.into(), value: "1".into() };
    let with = |external_ids| Account { external_ids, ..talks("Talks") };
    let with_links = |links| Account { links, ..talks("Talks") };
    let with_stops = |stops| Account { stops, ..talks("Talks") };
    for (account, field) in [
        (with(vec![id(&"x".repeat(257))]), "external_ids[0].value"),
        (with(vec![id("")]), "external_ids[0].value"),
        (with(vec![id("a\u{7}b")]), "external_ids[0].value"),
        (with(vec![id("a\nb")]), "external_ids[0].value"),
        (with(vec![in_scheme("")]), "external_ids[0].scheme"),
        (with(vec![in_scheme("nsw:diaries")]), "external_ids[0].scheme"),
        (with(vec![id("1"), id("2"), id("1")]), "external_ids[2]"),
        (with(numbered(51)), "external_ids"),
        (with_links(vec![link("", None)]), "links[0].meeting"),
        (with_links(vec![link("", Some(ExternalId::default()))]), "links[0].meeting"),
        (with_links(vec![link(named, Some(id("1")))]), "links[0].external_id"),
        (with_links(vec![link("", Some(id("a\u{85}")))]), "links[0].external_id.value"),
        (with_stops(vec![stop("Baku"), Stop { date: day(2020, 8, 24), ..Default::default() }]), "stops[1].place"),
        (with_stops(vec![Stop { place: Some(Place::default()), ..Default::default() }]), "stops[0].place"),
        (with_stops(vec![stop("Baku"); 101]), "stops"),
    ] {
        let status = service.create_meeting(&source, account).await.unwrap_err();
        assert_eq!(Refused::from(status), Refused::invalid([&*format!("meeting.account.{field}")]));
    }
    // At the limits.
    let mut most = with(numbered(50));
    most.external_ids[0] = id(&"é".repeat(256));
    most.stops = vec![stop("Baku"); 100];
    most.links = vec![link("", Some(ExternalId { scheme: "s".repeat(64), ..id("1") }))];
    let meeting = service.create_meeting(&source, most).await.unwrap();
    let account = meeting.account.unwrap();
    assert_eq!((account.external_ids.len(), account.stops.len()), (50, 1));
}
