//! AggregateStatements: groups, counts, order and errors, compared with plain code over the statements of ListStatements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use readout::pb::{
    Account, AggregateMeetingsRequest, AggregateStatementsRequest, AggregateStatementsResponse, Date, DateSpan,
    ErrorReason, GetMeetingRequest, GetParticipantRequest, ListStatementsRequest, Meeting, MergeParticipantsRequest,
    Statement, date_span::Extent, list_statements_response::Result as Found,
};
use tonic::{Response, Status};

use crate::support::{
    Refused, Service, make,
    stories::{azernews_line, lines, request, story},
    story_stream::ingest_all,
};

fn by(groups: &[&str]) -> AggregateStatementsRequest {
    AggregateStatementsRequest {
        group_by: groups.iter().map(|group| (*group).to_owned()).collect(),
        page_size: 1_000,
        ..Default::default()
    }
}

impl Service {
    async fn statement_counts(
        &self,
        request: AggregateStatementsRequest,
    ) -> Result<AggregateStatementsResponse, Status> {
        self.meetings.clone().aggregate_statements(request).await.map(Response::into_inner)
    }
}

/// A service with some of the real stories, all statements in it, and their meetings by name.
struct World {
    service: Service,
    statements: Vec<Found>,
    meetings: HashMap<String, Meeting>,
}

impl World {
    async fn start() -> Self {
        let service = Service::start().await;
        let some: Vec<_> =
            lines().iter().step_by(200).chain([&azernews_line()]).map(|line| request(&story(line))).collect();
        ingest_all(&service.ingest, some).await;
        let mut world = Self { service, statements: Vec::new(), meetings: HashMap::new() };
        world.read().await;
        assert!(world.statements.len() >= 10, "{} statements", world.statements.len());
        world
    }

    /// Reads all statements and their meetings.
    async fn read(&mut self) {
        let mut request = ListStatementsRequest { page_size: 1_000, ..Default::default() };
        self.statements.clear();
        loop {
            let page = self.service.meetings.clone().list_statements(request.clone()).await.unwrap().into_inner();
            self.statements.extend(page.results);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        let names: BTreeSet<String> = self.statements.iter().map(|found| found.meeting.clone()).collect();
        for name in names {
            let request = GetMeetingRequest { name: name.clone(), ..Default::default() };
            let meeting = self.service.meetings.clone().get_meeting(request).await.unwrap().into_inner();
            self.meetings.insert(name, meeting);
        }
    }

    /// The values of a group that a statement has.
    fn values(&self, group: &str, found: &Found) -> BTreeSet<String> {
        let statement = found.statement.as_ref().unwrap();
        let account = self.meetings[&found.meeting].account.as_ref().unwrap();
        let speakers =
            || account.participations.iter().filter(|participation| statement.speakers.contains(&participation.id));
        let set = |number: i32, name: &str| BTreeSet::from([if number == 0 { String::new() } else { name.to_owned() }]);
        let date = account.date.as_ref().and_then(|date| date.start).unwrap_or_default();
        match group {
            "speaker" => {
                speakers().map(|speaker| speaker.participant.clone()).filter(|name| !name.is_empty()).collect()
            }
            "region" => speakers().map(|speaker| speaker.region_code.clone()).filter(|code| !code.is_empty()).collect(),
            "topic" => statement.topics.iter().cloned().collect(),
            "act" => set(statement.act, statement.act().as_str_name()),
            "speaker_kind" => set(statement.speaker_kind, statement.speaker_kind().as_str_name()),
            "quotation" => set(statement.quotation, statement.quotation().as_str_name()),
            "meeting" => [found.meeting.clone()].into(),
            "article" => [found.article.clone()].into(),
            "year" if date.year > 0 => [format!("{:04}", date.year)].into(),
            "month" if date.month > 0 => [format!("{:04}-{:02}", date.year, date.month)].into(),
            "quarter" if date.month > 0 => [format!("{:04}-Q{}", date.year, (date.month + 2) / 3)].into(),
            "year" | "month" | "quarter" => [String::new()].into(),
            other => panic!("the oracle does not know the group {other}"),
        }
    }

    /// The counts by plain code.
    fn counted(&self, groups: &[&str]) -> BTreeMap<Vec<String>, i32> {
        let mut counts = BTreeMap::new();
        for found in &self.statements {
            let mut keys = vec![Vec::new()];
            for group in groups {
                let values = self.values(group, found);
                let with = |key: &Vec<String>| -> Vec<Vec<String>> {
                    values.iter().map(|value| key.iter().cloned().chain([value.clone()]).collect()).collect()
                };
                keys = keys.iter().flat_map(with).collect();
            }
            keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
        }
        counts
    }

    async fn assert_agree(&self, groups: &[&str]) {
        let answer = self.service.statement_counts(by(groups)).await.unwrap();
        assert!(!answer.truncated && !answer.as_of.is_empty());
        let key = |keys: &BTreeMap<String, String>| groups.iter().map(|group| keys[*group].clone()).collect::<Vec<_>>();
        let listed: Vec<(Vec<String>, i32)> =
            answer.groups.iter().map(|group| (key(&group.keys), group.statement_count)).collect();
        let mut expected: Vec<(Vec<String>, i32)> = self.counted(groups).into_iter().collect();
        expected.sort_by(|(left, more), (right, less)| (less, left).cmp(&(more, right)));
        assert_eq!(listed, expected, "{groups:?}");
        for group in answer.groups {
            let named: BTreeSet<&String> = group.keys.values().filter(|key| key.starts_with("participants/")).collect();
            assert_eq!(named, group.display_names.keys().collect(), "{groups:?}");
        }
    }
}

#[tokio::test]
async fn aggregate_statements_counts_as_plain_code_over_the_listed_statements_does() {
    let world = World::start().await;
    for groups in [
        &[][..],
        &["speaker"],
        &["region"],
        &["act"],
        &["topic"],
        &["month"],
        &["quarter"],
        &["year"],
        &["speaker_kind"],
        &["quotation"],
        &["meeting"],
        &["article"],
        &["speaker", "act"],
        &["region", "year"],
        &["month", "topic"],
    ] {
        world.assert_agree(groups).await;
    }
}

#[tokio::test]
async fn aggregate_statements_counts_a_speaker_as_settled() {
    let mut world = World::start().await;
    let speakers: Vec<Vec<String>> = world.counted(&["speaker"]).into_keys().collect();
    let (alias, person) = (speakers[0][0].clone(), speakers[1][0].clone());
    let merge = MergeParticipantsRequest {
        sources: vec![alias],
        name: person.clone(),
        reason: "the same person".into(),
        ..Default::default()
    };
    world.service.participants.clone().merge_participants(merge).await.unwrap();
    world.read().await;
    world.assert_agree(&["speaker"]).await;
    let answer = world.service.statement_counts(by(&["speaker"])).await.unwrap();
    let group = answer.groups.iter().find(|group| group.keys["speaker"] == person).unwrap();
    let request = GetParticipantRequest { name: person.clone(), ..Default::default() };
    let found = world.service.participants.clone().get_participant(request).await.unwrap().into_inner();
    assert_eq!(group.display_names, BTreeMap::from([(person, found.display_name)]));
}

#[tokio::test]
async fn aggregate_statements_obeys_filter_query_page_size_and_order() {
    let world = World::start().await;
    let filtered = AggregateStatementsRequest { filter: "act = STRESS".into(), ..by(&["act"]) };
    let answer = world.service.statement_counts(filtered).await.unwrap();
    assert_eq!(answer.groups.len(), 1);
    assert_eq!(answer.groups[0].statement_count, world.counted(&["act"])[&vec!["STRESS".to_owned()]]);
    let words = AggregateStatementsRequest { query: "\"Sea Cup\"".into(), ..by(&[]) };
    let listed = ListStatementsRequest { query: words.query.clone(), ..Default::default() };
    let listed = world.service.meetings.clone().list_statements(listed).await.unwrap().into_inner().results.len();
    let counted = world.service.statement_counts(words).await.unwrap().groups[0].statement_count;
    assert!(listed > 0 && counted as usize == listed, "{counted} of {listed}");
    let first = AggregateStatementsRequest { page_size: 2, order_by: "key".into(), ..by(&["act"]) };
    let answer = world.service.statement_counts(first).await.unwrap();
    let keys: Vec<Vec<String>> = world.counted(&["act"]).into_keys().take(2).collect();
    assert!(answer.truncated);
    assert_eq!(answer.groups.iter().map(|group| vec![group.keys["act"].clone()]).collect::<Vec<_>>(), keys);
    for (request, expected) in [
        (by(&["speakr"]), Refused::fields(ErrorReason::InvalidField, ["group_by[0]"])),
        (by(&["act", "act"]), Refused::fields(ErrorReason::InvalidField, ["group_by[1]"])),
        (by(&["act", "month", "topic"]), Refused::fields(ErrorReason::InvalidField, ["group_by"])),
        (
            AggregateStatementsRequest { order_by: "meeting_count desc".into(), ..by(&[]) },
            Refused::fields(ErrorReason::InvalidOrder, ["order_by"]),
        ),
    ] {
        let refused = world.service.statement_counts(request.clone()).await.expect_err("refused");
        assert_eq!(Refused::from(refused), expected, "{request:?}");
    }
}

#[tokio::test]
async fn aggregate_statements_dates_an_event_some_time_within_a_span_as_counts_of_meetings_do() {
    let service = Service::start().await;
    let source = service.create_article(make::article("urn:a")).await;
    let month = |year, month| Some(Date { year, month, day: 0 });
    for (title, start, end) in [
        ("month", month(2014, 11), month(2014, 11)),
        ("quarter", month(2014, 10), month(2014, 12)),
        ("year", month(2014, 2), month(2014, 12)),
        ("years", month(2014, 12), month(2015, 1)),
    ] {
        let statement = Statement { id: "s".into(), text: title.into(), ..Default::default() };
        let mut account = Account { statements: vec![statement], ..make::talks(title) };
        account.date = Some(DateSpan { start, end, extent: Extent::SometimeWithin.into(), ..Default::default() });
        service.create_meeting(&source, account).await.unwrap();
    }
    for (word, expected) in [
        ("month", vec![("", 3), ("2014-11", 1)]),
        ("quarter", vec![("", 2), ("2014-Q4", 2)]),
        ("year", vec![("2014", 3), ("", 1)]),
    ] {
        let counted = service.statement_counts(by(&[word])).await.unwrap().groups;
        let counted: Vec<_> = counted.iter().map(|group| (group.keys[word].as_str(), group.statement_count)).collect();
        assert_eq!(counted.len(), expected.len(), "{word}: {counted:?}");
        assert!(expected.iter().all(|group| counted.contains(group)), "{word}: {counted:?}");
        let request = AggregateMeetingsRequest { group_by: vec![word.into()], ..Default::default() };
        let meetings = service.meetings.clone().aggregate_meetings(request).await.unwrap().into_inner().groups;
        let meetings: Vec<_> = meetings.iter().map(|group| (group.keys[word].as_str(), group.meeting_count)).collect();
        assert_eq!(meetings, counted, "{word}");
    }
}
