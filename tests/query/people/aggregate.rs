//! AggregateMeetings: groups, counts, order and errors.

use readout::pb::{
    Account, AggregateMeetingsRequest, ErrorReason, Office, Place,
    account::{Kind, Status},
    aggregate_meetings_response::Group,
};
use tonic_types::StatusExt;

use super::{World, on};
use crate::support::{Refused, reason_of};

fn by(groups: &[&str]) -> AggregateMeetingsRequest {
    AggregateMeetingsRequest {
        group_by: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Default::default()
    }
}

/// The same, in the order of keys.
fn sorted(groups: &[&str]) -> AggregateMeetingsRequest {
    AggregateMeetingsRequest { order_by: "key".into(), ..by(groups) }
}

/// Each group with its counts: `2020/TALKS 3`.
async fn counts(world: &World, request: AggregateMeetingsRequest) -> Vec<String> {
    let answer = world.aggregate(request.clone()).await.unwrap();
    assert!(!answer.as_of.is_empty());
    let row = |group: Group| {
        let keys: Vec<String> = request.group_by.iter().filter_map(|word| group.keys.get(word).cloned()).collect();
        let participants = if request.count_participants { format!(" {}", group.participant_count) } else { "".into() };
        format!("{} {}{participants}", keys.join("/"), group.meeting_count)
    };
    answer.groups.into_iter().map(row).collect()
}

/// Five meetings, and three that are deleted or merged.
async fn world() -> World {
    let world = World::start().await;
    let place = |region: &str| Some(Place { region_code: region.into(), ..Default::default() });
    let topics = |topics: &[&str]| topics.iter().map(|topic| (*topic).to_owned()).collect();
    let mut summit = Account {
        kind: Kind::Summit.into(),
        date: on((2020, 9, 4)),
        place: place("AZ"),
        topics: topics(&["peace", "trade"]),
        ..world.account("summit", "ABC")
    };
    for (participation, seniority) in summit.participations.iter_mut().zip([1, 1, 2]) {
        participation.office = Some(Office { seniority, ..Default::default() });
    }
    let postponed = Account {
        status: Status::Postponed.into(),
        date: on((2020, 12, 0)),
        topics: topics(&["peace"]),
        ..world.account("postponed", "AB")
    };
    let remote = Account { date: on((2021, 2, 28)), place: place("DK"), ..world.account("remote", "AD~") };
    let vague = Account { kind: Kind::Unspecified.into(), date: on((2021, 0, 0)), ..world.account("vague", "AE?F^") };
    for account in [summit, postponed, remote, vague, world.account("undated", "")] {
        world.meeting(account).await;
    }
    let deleted = world.meet_on((2020, 9, 4), "GH").await;
    world.service.delete_meeting(&deleted).await.unwrap();
    let merged = world.meet_on((2020, 9, 4), "").await;
    let into = world.meet_on((1999, 1, 1), "").await;
    world.service.merge(&into, &[&merged]).await.unwrap();
    world.service.delete_meeting(&into).await.unwrap();
    world
}

#[tokio::test]
async fn aggregate_meetings_counts_by_each_property() {
    let world = world().await;
    let expected: &[(&str, &[&str])] = &[
        ("kind", &[" 1", "SUMMIT 1", "TALKS 3"]),
        ("status", &["HELD 4", "POSTPONED 1"]),
        ("place.region", &[" 3", "AZ 1", "DK 1"]),
        ("year", &[" 1", "2020 2", "2021 2"]),
        ("quarter", &[" 2", "2020-Q3 1", "2020-Q4 1", "2021-Q1 1"]),
        ("month", &[" 2", "2020-09 1", "2020-12 1", "2021-02 1"]),
        ("region", &["AZ 4", "BE 2", "CZ 1", "DK 1", "FI 1"]),
        ("region_pair", &["AZ-BE 2", "AZ-CZ 1", "AZ-DK 1", "AZ-FI 1", "BE-CZ 1"]),
        ("topic", &["peace 2", "trade 1"]),
        ("seniority", &["1 1", "2 1"]),
    ];
    for (word, groups) in expected {
        assert_eq!(counts(&world, sorted(&[word])).await, *groups, "{word}");
    }
    assert_eq!(counts(&world, by(&[])).await, [" 5"]);
}

#[tokio::test]
async fn aggregate_meetings_counts_only_participants_who_were_present() {
    let world = world().await;
    let name = |letter| world.name(letter);
    let each = ['A', 'B', 'C', 'D'].into_iter().zip([4, 2, 1, 1]);
    let each: Vec<String> = each.map(|(letter, meetings)| format!("{} {meetings}", name(letter))).collect();
    assert_eq!(counts(&world, sorted(&["participant"])).await, each);
    let pairs = [('A', 'B', 2), ('A', 'C', 1), ('A', 'D', 1), ('B', 'C', 1)];
    let pairs = pairs.map(|(first, second, meetings)| format!("{},{} {meetings}", name(first), name(second)));
    assert_eq!(counts(&world, sorted(&["participant_pair"])).await, pairs);
}

#[tokio::test]
async fn a_property_named_twice_in_group_by_groups_by_pairs() {
    let world = world().await;
    let answer = |word: &str| world.aggregate(sorted(&[word, word]));
    let pair = |word: &str| world.aggregate(sorted(&[word]));
    assert_eq!(answer("region").await.unwrap().groups, pair("region_pair").await.unwrap().groups);
    assert_eq!(answer("participant").await.unwrap().groups, pair("participant_pair").await.unwrap().groups);
}

#[tokio::test]
async fn aggregate_meetings_groups_by_two_properties() {
    let world = world().await;
    assert_eq!(
        counts(&world, sorted(&["year", "kind"])).await,
        ["/TALKS 1", "2020/SUMMIT 1", "2020/TALKS 1", "2021/ 1", "2021/TALKS 1"]
    );
    assert_eq!(
        counts(&world, sorted(&["topic", "region"])).await,
        ["peace/AZ 2", "peace/BE 2", "peace/CZ 1", "trade/AZ 1", "trade/BE 1", "trade/CZ 1"]
    );
    assert_eq!(counts(&world, sorted(&["month", "year"])).await[..2], ["/ 1", "/2021 1"]);
}

#[tokio::test]
async fn aggregate_meetings_counts_participants_on_demand() {
    let world = world().await;
    let counting = |request| AggregateMeetingsRequest { count_participants: true, ..request };
    assert_eq!(counts(&world, counting(by(&[]))).await, [" 5 4"]);
    assert_eq!(counts(&world, counting(sorted(&["year"]))).await, [" 1 0", "2020 2 3", "2021 2 2"]);
    assert_eq!(counts(&world, counting(sorted(&["topic"]))).await, ["peace 2 3", "trade 1 3"]);
    let filter = "place.region = DK".into();
    assert_eq!(counts(&world, AggregateMeetingsRequest { filter, ..counting(by(&[])) }).await, [" 1 2"]);
    let most = AggregateMeetingsRequest { order_by: "participant_count desc".into(), ..by(&["month"]) };
    let answer = world.aggregate(most).await.unwrap();
    let counts: Vec<_> = answer
        .groups
        .iter()
        .map(|group| (group.keys["month"].as_str(), group.meeting_count, group.participant_count))
        .collect();
    assert_eq!(counts, [("2020-09", 1, 3), ("2020-12", 1, 2), ("2021-02", 1, 2), ("", 2, 1)]);
}

#[tokio::test]
async fn aggregate_meetings_returns_the_largest_groups_first_and_omits_the_rest() {
    let world = world().await;
    assert_eq!(counts(&world, by(&["region"])).await, ["AZ 4", "BE 2", "CZ 1", "DK 1", "FI 1"]);
    for (page_size, truncated) in [(1, true), (4, true), (5, false), (1_001, false)] {
        let answer = world.aggregate(AggregateMeetingsRequest { page_size, ..by(&["region"]) }).await.unwrap();
        assert_eq!(answer.groups.len(), 5.min(page_size as usize));
        assert_eq!(answer.truncated, truncated);
    }
    let counted = AggregateMeetingsRequest { page_size: 2, count_participants: true, ..by(&["region"]) };
    assert_eq!(counts(&world, counted).await, ["AZ 4 4", "BE 2 3"]);
    let refused = world.aggregate(AggregateMeetingsRequest { page_size: -1, ..by(&[]) }).await.unwrap_err();
    assert_eq!(Refused::from(refused), Refused::invalid(["page_size"]));
}

#[tokio::test]
async fn aggregate_meetings_counts_only_meetings_that_match_the_filter() {
    let world = world().await;
    let filtered = |filter: &str| AggregateMeetingsRequest { filter: filter.into(), ..sorted(&["kind"]) };
    assert_eq!(counts(&world, filtered("date = 2020")).await, ["SUMMIT 1", "TALKS 1"]);
    assert_eq!(counts(&world, filtered("NOT region = BE")).await, [" 1", "TALKS 2"]);
    assert_eq!(counts(&world, filtered("date = 1999")).await, [""; 0]);
    let none = AggregateMeetingsRequest { filter: "date = 1999".into(), count_participants: true, ..by(&[]) };
    assert_eq!(counts(&world, none).await, [" 0 0"]);
    // A group counts the meetings that a filter on its key finds.
    for (word, key) in [("region", "AZ"), ("topic", "peace"), ("kind", "TALKS"), ("place.region", "DK")] {
        let filter = format!("{word} = \"{key}\"");
        let total = counts(&world, AggregateMeetingsRequest { filter, ..by(&[]) }).await;
        let groups = world.aggregate(by(&[word])).await.unwrap().groups;
        let group = groups.iter().find(|group| group.keys[word] == key).unwrap();
        assert_eq!(total, [format!(" {}", group.meeting_count)]);
    }
}

#[tokio::test]
async fn an_invalid_group_or_order_is_refused_with_a_suggestion() {
    let world = World::start().await;
    let status = world.aggregate(by(&["year", "mnth"])).await.unwrap_err();
    let description = status.get_details_bad_request().unwrap().field_violations[0].description.clone();
    assert!(description.contains("did you mean \"month\"?"), "{description}");
    assert_eq!(Refused::from(status), Refused::invalid(["group_by[1]"]));
    for (groups, field) in [(&["date"][..], "group_by[0]"), (&["kind", "kind"], "group_by[1]"), (&["a"; 3], "group_by")]
    {
        let status = world.aggregate(by(groups)).await.unwrap_err();
        assert_eq!(Refused::from(status), Refused::invalid([field]));
    }
    for order_by in ["meeting_count", "key desc", "date", "key, year", "; drop table meeting"] {
        let request = AggregateMeetingsRequest { order_by: order_by.into(), ..by(&["year"]) };
        let status = world.aggregate(request).await.unwrap_err();
        assert_eq!(Refused::from(status), Refused::fields(ErrorReason::InvalidOrder, ["order_by"]));
    }
    let request = AggregateMeetingsRequest { filter: "kind = ".into(), ..by(&["year"]) };
    assert_eq!(reason_of(&world.aggregate(request).await.unwrap_err()), ErrorReason::InvalidFilter);
}
